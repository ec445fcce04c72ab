"""`manage.py import_site FILE.yaml`: a site from its file, all or nothing."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from facility.interchange.documents import MAX_BYTES, SiteFileError
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
            with file.open("rb") as opened:
                content = opened.read(MAX_BYTES + 1)  # one more than is read: the reader says so
            site = site_import(content=content, replace=replace)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except SiteFileError as error:
            raise CommandError(f"{file.name}: {error}") from error
        self.stdout.write(f"{site.slug}: {site.layouts.count()} layouts, {site.scenarios.count()} scenarios")
