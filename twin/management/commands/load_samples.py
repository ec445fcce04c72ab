"""`manage.py load_samples`: sites on published reference designs, so that a new user sees results at once."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

import facility
from facility.interchange.documents import SiteFileError, read
from facility.models import Product, Site
from twin.interchange.site_file import site_import

SAMPLES = Path(facility.__file__).parent / "samples"


class Command(BaseCommand):
    help = "Create the sample sites. Sites that exist stay as they are, unless --replace."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--replace", action="store_true", help="bring the sample sites back to their first state")

    def handle(self, *, replace: bool, **options) -> None:
        if not Product.objects.exists():
            raise CommandError("the catalogue is empty; run `manage.py load_catalogue` first")
        for path in sorted(SAMPLES.glob("*.yaml")):
            content = path.read_bytes()
            slug = read(content)["site"]["slug"]
            if Site.objects.filter(slug=slug).exists() and not replace:
                self.stdout.write(f"{slug}: there already")
                continue
            try:
                site = site_import(content=content, replace=replace)
            except SiteFileError as error:
                raise CommandError(f"{path.name}: {error}") from error
            self.stdout.write(f"{slug}: {site.layouts.count()} layouts, {site.scenarios.count()} scenarios")
