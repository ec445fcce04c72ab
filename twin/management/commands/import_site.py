"""`manage.py import_site FILE.yaml`: a site from its file, all or nothing."""

import sys
from contextlib import nullcontext
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError

from facility.interchange.documents import MAX_BYTES, SiteFileError
from twin.interchange.site_file import site_import


class Command(BaseCommand):
    help = "Create a site from a YAML file. Changes nothing if anything in it is wrong."

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", type=Path, help="- reads what is piped in")
        parser.add_argument("--user", type=int, help="number of the user whose rights count; default: all rights")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="bring an existing site to the file's state; what the file lacks is deleted with its runs",
        )

    def handle(self, *, file: Path, replace: bool, user: int | None, **options) -> None:
        who = get_user_model().objects.filter(pk=user, is_active=True).first() if user is not None else None
        if user is not None and who is None:
            raise CommandError(f"there is no active user {user}")
        try:
            with nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb") as opened:
                content = opened.read(MAX_BYTES + 1)  # one more than is read: the reader says so
            site = site_import(content=content, replace=replace, user=who)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except PermissionDenied as error:
            raise CommandError(str(error)) from error
        except SiteFileError as error:
            raise CommandError(f"{file.name}: {error}" if file.name != "-" else str(error)) from error
        self.stdout.write(f"{site.slug}: {site.layouts.count()} layouts, {site.scenarios.count()} scenarios")
