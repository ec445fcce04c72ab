"""Copy everything into another database, such as from the embedded one to PostgreSQL; what is here stays as it is.

An interrupted move goes on where it stopped when the same command is given again. In the end every row is compared.
"""

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.operations import in_use, move


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", required=True, metavar="DATABASE_URL", help="postgres://user:password@host/name")

    def handle(self, *args, to: str, **options) -> None:
        if users := in_use.users():
            raise CommandError(f"stop first: {', '.join(users)}")
        try:
            move.open_target(to)
            moved = move.move(self._say)
        except move.MoveError as error:
            raise CommandError(str(error)) from error
        n_rows = sum(table.n_rows for table in moved)
        self.stdout.write(
            f"{n_rows:,} rows in {len(moved)} tables, equal in both. Set DATABASE_URL to the new address."
        )

    def _say(self, table: move.Moved) -> None:
        if table.n_rows:
            self.stdout.write(f"{table.table:40}{table.n_rows:>10,} rows, {table.n_new:,} new; equal")
