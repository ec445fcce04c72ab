"""Delete runs that ended long ago and that a newer one has taken the place of (docs/operate/workers.md)."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.runs.retention import runs_prune, superseded_runs


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, help="runs that ended within so many stay (default TWIN_RUNS_KEPT_DAYS)"
        )
        parser.add_argument("--dry-run", action="store_true", help="delete nothing, say how many would go")

    def handle(self, *args: Any, days: int | None, dry_run: bool, **options: Any) -> None:
        days = settings.TWIN_RUNS_KEPT_DAYS if days is None else days
        if days is None:
            raise CommandError("Runs are kept for ever: set TWIN_RUNS_KEPT_DAYS, or give --days.")
        if days < 1:
            raise CommandError(f"--days is {days}; at least 1.")
        if dry_run:
            self.stdout.write(f"{superseded_runs(days).count():,} runs would be deleted")
        else:
            self.stdout.write(f"{runs_prune(days):,} runs deleted")
