"""`manage.py export_site SLUG`: a site as one YAML file."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from facility.models import Site
from twin.interchange.site_file import site_export


class Command(BaseCommand):
    help = "Write a site with its layouts and scenarios as YAML to standard output or --out."

    def add_arguments(self, parser) -> None:
        parser.add_argument("slug", help="slug of the site")
        parser.add_argument("--out", type=Path, help="file to write")

    def handle(self, *, slug: str, out: Path | None, **options) -> None:
        site = Site.objects.filter(slug=slug).first()
        if site is None:
            known = ", ".join(Site.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"there is no site {slug!r}; there are: {known}")
        content = site_export(site=site)
        if out is None:
            self.stdout.write(content, ending="")
            return
        try:
            out.write_text(content, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error}") from error
