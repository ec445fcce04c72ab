"""The shipped catalogue and sample sites in a test's database, read by their commands once in each process."""

import io
from functools import cache
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction

from facility.models import Product, Site, Weather

CATALOGUE, SAMPLES = "load_catalogue", "load_samples"

Rows = dict[str, list[tuple[Any, ...]]]  # by table, the key first


def load_shipped(*commands: str) -> None:
    """Do what the commands do, by the rows that they made the first time.

    Parameters
    ----------
    *commands : str
        `CATALOGUE`, or `CATALOGUE` and `SAMPLES`. Products of the catalogue that are there already stay as they are;
        samples beside anything that is there, and databases other than SQLite, get the commands themselves.
    """
    with_samples = SAMPLES in commands
    beside = with_samples and any(model.objects.exists() for model in (Product, Weather, Site))
    if beside or connection.vendor != "sqlite":
        _run(commands)
        return
    for table, rows in _made_by(commands).items():
        places = ", ".join(["%s"] * len(rows[0]))
        filled = (
            rows if with_samples else [(None, *row[1:]) for row in rows]
        )  # nothing points at them: keys of their own
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT OR IGNORE INTO {connection.ops.quote_name(table)} VALUES ({places})", filled)


@cache
def _made_by(commands: tuple[str, ...]) -> Rows:
    """Return the rows that the commands put into empty tables; what was there is back afterwards."""
    with transaction.atomic(), connection.cursor() as cursor:
        tables = [
            connection.ops.quote_name(table)
            for table in connection.introspection.table_names(cursor)
            if table.startswith(("facility_", "twin_"))
        ]
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")
        _run(commands)
        made = {}
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            made[table.strip('"')] = cursor.fetchall()
        transaction.set_rollback(True)
    return {table: rows for table, rows in made.items() if rows}


def _run(commands: tuple[str, ...]) -> None:
    for command in commands:
        call_command(command, verbosity=0, stdout=io.StringIO())
