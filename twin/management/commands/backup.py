"""Write one file with everything that this installation holds: database and uploads. Runs beside a running twin."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from twin.operations import backup


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("out", type=Path, help="file to write, or a folder that gets twin-DATE-TIME.tar")
        parser.add_argument(
            "--with-keys",
            action="store_true",
            help="keys of sessions and credentials too: then guard the file as you do them",
        )

    def handle(self, *args, out: Path, with_keys: bool, **options) -> None:
        if out.is_dir():
            out = out / f"twin-{timezone.now():%Y%m%d-%H%M%S}.tar"
        try:
            manifest = backup.write(out, with_keys=with_keys)
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        held = f"{sum(manifest.rows.values()):,} rows in {len(manifest.rows)} tables"
        made = f"{manifest.database}, version {manifest.version}; keys of sessions and credentials are {manifest.keys}"
        self.stdout.write(f"{out}: {out.stat().st_size:,} bytes, {held}, {made}.")
