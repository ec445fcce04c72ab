"""Rows that something makes in an empty database: made once in each process, and put in again for later tests."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.utils import timezone

from facility.models import AuditEvent, Layout, Product, Site, Weather


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows of one table, the key first; `stamps` are the columns that hold when a row was made."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    stamps: frozenset[str] = frozenset()


Tables = dict[str, Stored]


def can_be_put_in() -> bool:
    """Return whether rows may be put in as they are: into SQLite, beside nothing that is described."""
    return connection.vendor == "sqlite" and not any(kind.objects.exists() for kind in (Product, Weather, Site, Layout))


def rows_made(make: Callable[[], object]) -> Tables:
    """Return the rows that something makes in empty tables; what was there is back afterwards."""
    with transaction.atomic(), connection.cursor() as cursor:
        tables = [
            table for table in connection.introspection.table_names(cursor) if table.startswith(("facility_", "twin_"))
        ]
        for table in tables:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        make()
        made = {}
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            columns = tuple(column[0] for column in cursor.description)
            made[table] = Stored(columns, cursor.fetchall(), _stamps().get(table, frozenset()))
        transaction.set_rollback(True)
    return {table: stored for table, stored in made.items() if stored.rows}


def put_in(tables: Tables, *, beside: Iterable[str] = ()) -> None:
    """Insert rows as if they were made now.

    Parameters
    ----------
    tables : dict
        As `rows_made` returns them.
    beside : iterable of str
        Tables that may hold some of the rows already, which then stay. As in the audit log nothing points at their
        rows, which get keys of their own.
    """
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    own_keys = {AuditEvent._meta.db_table, *beside}
    with transaction.atomic(), connection.cursor() as cursor:  # references are checked once all rows are in
        for table, stored in tables.items():
            changed = [now if column in stored.stamps else None for column in stored.columns]
            rows = [tuple(new or old for new, old in zip(changed, row, strict=True)) for row in stored.rows]
            if table in own_keys:
                rows = [(None, *row[1:]) for row in rows]
            insert = "INSERT OR IGNORE" if table in beside else "INSERT"
            names = ", ".join(map(connection.ops.quote_name, stored.columns))
            places = ", ".join(["%s"] * len(stored.columns))
            cursor.executemany(f"{insert} INTO {connection.ops.quote_name(table)} ({names}) VALUES ({places})", rows)


@cache
def _stamps() -> dict[str, frozenset[str]]:
    return {
        model._meta.db_table: frozenset(
            field.column
            for field in model._meta.concrete_fields
            if isinstance(field, models.DateTimeField)
            and (field.auto_now or field.auto_now_add or field.default is timezone.now)
        )
        for model in apps.get_models(include_auto_created=True)
    }
