"""Put a backup in the place of this installation's data, and bring its tables up to date with this version."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.operations import backup, in_use


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--replace", action="store_true", help="although this installation holds data, which is lost"
        )
        parser.add_argument("--look", action="store_true", help="read and check the file, change nothing")

    def handle(self, *args, file: Path, replace: bool, look: bool, **options) -> None:
        try:
            manifest = backup.read_manifest(file)
            summary = f"{file}: made {manifest.made_at} by version {manifest.version}, {manifest.database}, "
            summary += f"{sum(manifest.rows.values()):,} rows, keys are {manifest.keys}"
            if look:
                self.stdout.write(f"{summary}; every part is as it was written.")
                return
            if users := in_use.users():
                raise CommandError(f"stop first: {', '.join(users)}")
            there = backup.row_counts()
            if not replace and any(there.get(table) for table in ("facility_site", "auth_user", "twin_run")):
                raise CommandError("this installation holds data, which a restore would replace; say --replace")
            backup.restore(file)
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{summary}; restored.")
        if manifest.keys == "excluded":
            self.stdout.write(
                "Keys were not in it: with other ones than before, users sign in again and enter credentials again."
            )
