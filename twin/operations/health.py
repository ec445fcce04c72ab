"""Whether the parts that this installation needs are there: for probes, metrics, the status page and `doctor`.

A web process is *ready* while it can answer: database, migrations, disk. Broker and workers are parts of the whole:
pages go on without them, and queued work waits.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import kombu.exceptions
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from twin.celery import app
from twin.core.text.numbers import quantity_text
from twin.models import Worker
from twin.runs.ring import SIGN_LIFE

BROKER_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One part, and what to do where it is not as it should be; both sentences are the operator's, not the world's."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def database() -> Check:
    """Ask the database anything at all."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError) as error:
        remedy = "Start the database, or correct DATABASE_URL; user, password and network must let this machine in."
        return Check("database", False, f"cannot be reached: {_line(error)}", remedy)
    return Check("database", True, f"{connection.vendor} answers")


def migrations() -> Check:
    """Compare the tables of the database with those that this version of the program wants."""
    if _applied:
        return Check("migrations", True, "all applied")
    try:
        executor = MigrationExecutor(connection)
        waiting = [f"{m.app_label}.{m.name}" for m, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    except (DatabaseError, InterfaceError) as error:
        return Check("migrations", False, f"cannot be read: {_line(error)}", "See database.")
    if waiting:
        shown = ", ".join(waiting[:4]) + (f" and {len(waiting) - 4} more" if len(waiting) > 4 else "")
        return Check("migrations", False, f"not applied: {shown}", "Run: manage.py migrate")
    _applied.append(True)
    return Check("migrations", True, "all applied")


_applied: list[bool] = []  # what was applied once stays so as long as this process runs its version


def broker() -> Check:
    """Connect to the broker, without trying twice."""
    if settings.CELERY_BROKER_URL.startswith("filesystem://"):
        folder = Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"])
        writable = os.access(folder, os.W_OK)
        detail = f"folder {folder} " + ("takes messages" if writable else "cannot be written")
        return Check("broker", writable, detail, "" if writable else f"Give this user the right to write to {folder}.")
    address = app.connection_for_write().as_uri()  # without its password
    try:
        with app.connection_for_write(connect_timeout=BROKER_WAIT_S) as link:
            link.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_WAIT_S)
    except (kombu.exceptions.KombuError, *app.connection_for_write().recoverable_connection_errors, OSError) as error:
        remedy = "Start the broker, or correct CELERY_BROKER_URL. Queued runs are kept and start once it is back."
        return Check("broker", False, f"{address} cannot be reached: {_line(error)}", remedy)
    return Check("broker", True, f"{address} answers")


def workers() -> Check:
    """Look for the sign of life of a worker that reaches the broker."""
    how = "manage.py serve starts one" if settings.EMBEDDED_BROKER else "celery -A twin.celery worker starts one"
    try:
        living = list(Worker.objects.filter(seen_at__gt=timezone.now() - SIGN_LIFE))
    except (DatabaseError, InterfaceError) as error:
        return Check("worker", False, f"cannot be looked up: {_line(error)}", "See database and migrations.")
    if not living:
        return Check("worker", False, f"none was heard of in {SIGN_LIFE.seconds} s", f"Start a worker: {how}.")
    able = [worker for worker in living if not worker.broker_problem]
    if not able:
        return Check("worker", False, f"none reaches the broker: {living[0].broker_problem}", "See broker.")
    n_slots = sum(worker.n_slots for worker in able)
    return Check("worker", True, f"{len(able)} with {n_slots} slot{'s' * (n_slots != 1)}")


def disk() -> Check:
    """Write a file where uploads, keys and an embedded database live, and look how much room is left."""
    home = settings.TWIN_HOME
    free, least = shutil.disk_usage(home).free, settings.TWIN_MIN_FREE_BYTES
    try:
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
    except OSError as error:
        return Check(
            "disk", False, f"{home} cannot be written: {error.strerror}", "Free space, or fix the permissions."
        )
    if free < least:
        remedy = "Free space or enlarge the disk; TWIN_MIN_FREE_BYTES says how little is too little."
        return Check("disk", False, f"{free:,} bytes free at {home}; at least {least:,} are wanted", remedy)
    return Check("disk", True, f"{quantity_text(free, 'B')} free at {home}")


READY: tuple[Callable[[], Check], ...] = (database, migrations, disk)
WHOLE: tuple[Callable[[], Check], ...] = (*READY, broker, workers)


def checked(parts: tuple[Callable[[], Check], ...]) -> list[Check]:
    """Return each part's check; one that breaks counts as failed, and the others are still asked."""
    return [part() for part in parts]


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
