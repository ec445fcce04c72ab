"""`manage.py estimate_weather`: years of cities from their published normals, as the files that ship."""

from django.core.management.base import BaseCommand, CommandError

from facility.normals import read_normals
from facility.weather import ESTIMATED, write_climate
from twin.estimated_weather import year_of


class Command(BaseCommand):
    help = "Make the estimated years of climates/normals.yaml anew, after a change of it or of the method."

    def add_arguments(self, parser) -> None:
        parser.add_argument("cities", nargs="*", help="slugs of climates/normals.yaml (default: all)")

    def handle(self, *, cities: list[str], **options) -> None:
        known = {city["slug"]: city for city in read_normals()}
        unknown = sorted(set(cities) - set(known))
        if unknown:
            raise CommandError(f"cities is {unknown[0]!r}; must be one of {', '.join(known)}.")
        ESTIMATED.mkdir(exist_ok=True)
        for slug in cities or known:
            write_climate(year_of(known[slug]), ESTIMATED / f"estimated-{slug}.csv.gz")
        self.stdout.write(f"{len(cities or known)} years in {ESTIMATED}; load_catalogue takes them into the database")
