"""Everything from one database into another of any kind, row by row: resumable, and compared in the end.

Short tables go over in one transaction, whatever points to what. Long ones follow in steps, each its own transaction,
in the order of their keys: where a move was interrupted, the next one goes on behind the last key that arrived.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import environ
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, DatabaseError, DataError, connections, models, transaction
from django.db.migrations.executor import MigrationExecutor

from facility.models import AuditEvent
from twin.models import (
    Run,
    Study,
    StudyPoint,
    Sweep,
    SweepPoint,
    TelemetryArrival,
    TelemetryDay,
    TelemetryHot,
    TelemetryPushed,
    TelemetryUpload,
    Worker,
)

TARGET = "target"
STEP = 50  # rows of a transaction; a run with 1,000 racks has some 2 MB
LONG: tuple[type[models.Model], ...] = (
    Run,
    Study,
    StudyPoint,
    Sweep,
    SweepPoint,
    TelemetryDay,
    TelemetryHot,
    TelemetryArrival,
    TelemetryPushed,
    TelemetryUpload,
    AuditEvent,
)
LEFT_OUT: tuple[type[models.Model], ...] = (Worker,)  # signs of life of the old place
MARK = "twin_move"  # a table of the target while a move is under way: whose it is
KINDS = {"django.db.backends.postgresql": "PostgreSQL", "django.db.backends.sqlite3": "SQLite"}
#: A target with any of these is somebody's.
WANTED_EMPTY = frozenset({"auth.User", "facility.Site", "twin.Run", "facility.Product"})


class MoveError(Exception):
    """Why data cannot be moved; the old database is as it was."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A table that was moved."""

    table: str
    n_rows: int
    n_new: int  # in this go


def open_target(address: str) -> None:
    """Connect to the database that is to hold the data, under the alias `TARGET`.

    Raises
    ------
    MoveError
        If the address names none, the same one, or one that cannot be reached.
    """
    try:
        target = environ.Env.db_url_config(address)
    except (ImproperlyConfigured, ValueError) as error:
        raise MoveError(f"--to is no address of a database: {error}") from error
    if target.get("ENGINE") not in KINDS:
        raise MoveError("--to must begin with postgres:// (or sqlite:///)")
    here = connections[DEFAULT_DB_ALIAS].settings_dict
    if all(str(target.get(k) or "") == str(here.get(k) or "") for k in ("ENGINE", "NAME", "HOST", "PORT")):
        raise MoveError("--to is the database that holds the data now")
    connections.settings[TARGET] = connections.configure_settings({DEFAULT_DB_ALIAS: here, TARGET: target})[TARGET]
    try:
        connections[TARGET].ensure_connection()
    except DatabaseError as error:
        raise MoveError(f"--to cannot be reached: {str(error).strip().splitlines()[0]}") from error


def move(report: Callable[[Moved], None]) -> list[Moved]:
    """Move everything from the default database into `TARGET` and return what is there then.

    Parameters
    ----------
    report : callable
        Is given each table once it is over.

    Raises
    ------
    MoveError
        If a database is not of this version, the target holds other data, or the two differ in the end.
    """
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise MoveError("the old database is not of this version; run `manage.py migrate` first")
    kinds = [kind for kind in apps.get_models(include_auto_created=True) if kind not in LEFT_OUT]
    last = _behind(kinds)
    short = [kind for kind in kinds if kind not in last and kind not in LONG]
    before = _claimed(kinds)  # before anything is changed there
    call_command("migrate", database=TARGET, interactive=False, verbosity=0)
    if not before:
        with transaction.atomic(TARGET):
            for kind in kinds:  # what migrations put into new tables
                kind._base_manager.using(TARGET)._raw_delete(TARGET)
            for kind in short:
                _copied(kind, _rows(kind))
            _mark()
    for kind in LONG:
        _continued(kind)
    with transaction.atomic(TARGET):
        for kind in last:
            kind._base_manager.using(TARGET)._raw_delete(TARGET)
            _copied(kind, _rows(kind))
    done = []
    for kind in kinds:
        old, new = (_digest(kind, alias) for alias in (DEFAULT_DB_ALIAS, TARGET))
        if old != new:
            raise MoveError(
                f"{kind._meta.db_table} differs: {old[0]} rows here and {new[0]} there. The old database was changed "
                "since the move began: make the new one anew, empty, and move again"
            )
        done.append(Moved(kind._meta.db_table, new[0], new[0] - before.get(kind, 0)))
        report(done[-1])
    with connections[TARGET].cursor() as cursor:
        for statement in connections[TARGET].ops.sequence_reset_sql(no_style(), kinds):
            cursor.execute(statement)
        cursor.execute(f"DROP TABLE {MARK}")
    return done


def _behind(kinds: Iterable[type[models.Model]]) -> list[type[models.Model]]:
    """Return the kinds whose rows point to long tables."""
    return [
        kind
        for kind in kinds
        if kind not in LONG and any(field.related_model in LONG for field in kind._meta.concrete_fields)
    ]


def _claimed(kinds: list[type[models.Model]]) -> dict[type[models.Model], int]:
    """Return the rows of a move that was interrupted, by kind; none where this one is the first.

    Raises
    ------
    MoveError
        If the target holds something else.
    """
    new = connections[TARGET]
    tables = set(new.introspection.table_names())
    if tables and "django_migrations" not in tables:
        raise MoveError(f"--to holds tables of another program, such as {min(tables)}; name an empty database")
    if MARK in tables:
        with new.cursor() as cursor:
            cursor.execute(f"SELECT source FROM {MARK}")
            if cursor.fetchone()[0] != _source():
                raise MoveError("--to holds a part of another database; make it anew, empty")
        return {kind: kind._base_manager.using(TARGET).count() for kind in kinds}
    for kind in kinds:
        wanted_empty = kind._meta.label in WANTED_EMPTY and kind._meta.db_table in tables
        if wanted_empty and kind._base_manager.using(TARGET).order_by().values("pk")[:1]:
            raise MoveError(f"--to holds {kind._meta.verbose_name_plural} already; name an empty database")
    return {}


def _mark() -> None:
    with connections[TARGET].cursor() as cursor:
        cursor.execute(f"CREATE TABLE {MARK} (source varchar(64) NOT NULL)")
        cursor.execute(f"INSERT INTO {MARK} VALUES (%s)", [_source()])


def _source() -> str:
    database = connections[DEFAULT_DB_ALIAS].settings_dict
    return hashlib.sha256(
        f"{database['ENGINE']} {database['HOST']} {database['PORT']} {database['NAME']}".encode()
    ).hexdigest()


def _rows(kind: type[models.Model], alias: str = DEFAULT_DB_ALIAS) -> models.QuerySet:
    names = [field.attname for field in kind._meta.concrete_fields]
    return kind._base_manager.using(alias).order_by("pk").values_list(*names)


def _continued(kind: type[models.Model]) -> None:
    """Copy the rows behind the last key that is there, step by step."""
    there = kind._base_manager.using(TARGET).order_by("-pk").values_list("pk", flat=True)
    while True:
        last = there.first()
        rows = _rows(kind) if last is None else _rows(kind).filter(pk__gt=last)
        with transaction.atomic(TARGET):
            if not _copied(kind, rows[:STEP]):
                return


def _copied(kind: type[models.Model], rows: models.QuerySet) -> int:
    """Write rows as they are, without what saving them would set anew, and return their number."""
    new, fields = connections[TARGET], kind._meta.concrete_fields
    columns = ", ".join(new.ops.quote_name(field.column) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    statement = f"INSERT INTO {new.ops.quote_name(kind._meta.db_table)} ({columns}) VALUES ({places})"
    n = 0
    try:
        with new.cursor() as cursor:
            for step in _steps(rows.iterator(chunk_size=STEP)):
                spelled = [
                    [field.get_db_prep_save(value, new) for field, value in zip(fields, row, strict=True)]
                    for row in step
                ]
                cursor.executemany(statement, spelled)
                n += len(step)
    except DataError as error:
        raise MoveError(f"{kind._meta.db_table}: {str(error).strip().splitlines()[0]}") from error
    return n


def _steps(rows: Iterator[tuple]) -> Iterator[list[tuple]]:
    while step := list(itertools.islice(rows, STEP)):
        yield step


def _digest(kind: type[models.Model], alias: str) -> tuple[int, int]:
    """Return the number of rows and a sum over what they hold, without their order: databases sort text differently."""
    n, total = 0, 0
    for row in _rows(kind, alias).iterator(chunk_size=STEP):
        spelled = "\x1f".join(_spelled(value) for value in row)
        total += int.from_bytes(hashlib.sha256(spelled.encode(errors="surrogatepass")).digest())
        n += 1
    return n, total % 2**256


def _spelled(value: Any) -> str:
    """Return a value in the one spelling that it has whichever database it comes from."""
    if isinstance(value, bytes | memoryview):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, dict | list | int | float) and not isinstance(value, bool):
        return json.dumps(_plain(value), sort_keys=True)
    return repr(value)


def _plain(value: Any) -> Any:
    """Return JSON with each number as a float: a database may write 1e20 with all its digits, and no -0.0."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return float(value) + 0.0 if isinstance(value, int | float) and not isinstance(value, bool) else value
