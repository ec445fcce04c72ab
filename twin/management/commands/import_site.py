"""`manage.py import_site FILE.yaml`: a site from its file, all or nothing."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from facility.interchange.documents import SiteFileError
from twin.interchange.site_file import site_import


class Command(BaseCommand):
    help = "Create a site from a YAML file. Changes nothing if anything in it is wrong."

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--replace", action="store_true",
            help="bring an existing site to the file's state; what the file lacks is deleted with its runs",
        )  # fmt: skip

    def handle(self, *, file: Path, replace: bool, **options) -> None:
        try:
            site = site_import(content=file.read_bytes(), replace=replace)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except SiteFileError as error:
            raise CommandError(f"{file.name}: {error}") from error
        self.stdout.write(f"{site.slug}: {site.layouts.count()} layouts, {site.scenarios.count()} scenarios")
