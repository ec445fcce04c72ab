"""`manage.py load_catalogue`: the catalogue files and the shipped climates into the database."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from facility.catalogue import FOLDER
from facility.interchange.catalogue_files import CatalogueError, catalogue_load
from facility.weather import climates_load


class Command(BaseCommand):
    help = "Load or update the catalogue and the shipped climates. Idempotent; changes nothing if any value is bad."

    def add_arguments(self, parser) -> None:
        parser.add_argument(
            "--path", type=Path, default=FOLDER, help="folder of catalogue files (default: the shipped)"
        )

    def handle(self, *, path: Path, **options) -> None:
        try:
            with transaction.atomic():
                counts = catalogue_load(folder=path)
                n_climates = climates_load()
        except CatalogueError as error:
            raise CommandError(str(error)) from error
        for kind, count in counts.items():
            n = count.created + count.updated + count.unchanged
            self.stdout.write(f"{kind:24} {n:4}  ({count.created} new, {count.updated} updated)")
        total = sum(count.created + count.updated + count.unchanged for count in counts.values())
        self.stdout.write(f"{total} entries of {len(counts)} kinds; {n_climates} climates")
