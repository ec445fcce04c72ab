"""What is looked at where something is wrong with an installation: all parts of `health`, and what surrounds them."""

import os
import stat
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.checks import WARNING, run_checks
from django.db import DatabaseError, InterfaceError, connection
from django.db.models.functions import Now
from django.utils import timezone

from facility.models import Product
from twin import credentials, solver_door
from twin.core.provenance import this_solver
from twin.models import Job, Run
from twin.operations import health, in_use
from twin.operations.health import Check
from twin.runs import jobs
from twin.runs.ring import RECOVERY_S

OLDEST_PYTHON = (3, 11)
OLDEST_POSTGRESQL = 14  # of what Django 5.2 takes
CLOCK_APART_S = 5.0  # a lease lasts 15 s: clocks further apart than a third of it would let workers lose runs


def examined(*, deep: bool = False) -> list[Check]:
    """Return everything that was looked at, in the order in which faults cause others.

    Parameters
    ----------
    deep : bool
        Have the database look for damage in all of itself (SQLite).
    """
    found = [_python(), _configuration(), _rights(), health.disk()]
    there = health.database()
    found.append(there)
    if there.ok:
        found += [_asked("server", _server)]
        applied = health.migrations()
        found.append(applied)
        if applied.ok:
            found += [_asked("catalogue", _catalogue), _asked("clock", _clock), _asked("queue", _queue)]
        if deep:
            found.append(_asked("integrity", _integrity))
    found.append(health.broker())
    if there.ok and applied.ok:
        found.append(health.workers())
    return [*found, _solvers(), _model()]


def _asked(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (DatabaseError, InterfaceError) as error:
        return Check(name, False, f"cannot be looked at: {str(error).strip()[:300]}", "See database.")


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", False, f"{version}; 3.11 is the oldest that works", "Install a newer Python.")
    return Check("python", True, version)


def _configuration() -> Check:
    serious = [
        message
        for message in run_checks(include_deployment_checks=True)
        if message.level >= WARNING and not message.is_silenced()
    ]
    if serious:
        messages = "; ".join(f"{message.id}: {message.msg}" for message in serious[:5])
        hints = " ".join(message.hint for message in serious[:5] if message.hint)
        return Check("configuration", False, messages, hints or "The list of variables begins twin/settings.py.")
    if settings.DEBUG:
        return Check("configuration", False, "DJANGO_DEBUG is on: errors show code to visitors", "Unset DJANGO_DEBUG.")
    return Check("configuration", True, "checks of a deployment are silent")


def _rights() -> Check:
    """Look whether others on this machine can read the key, the database or the folder they are in."""
    kept = [settings.TWIN_HOME, settings.TWIN_HOME / "secret_key", credentials.key_file()]
    if settings.EMBEDDED_DATABASE:
        kept.append(Path(settings.DATABASES["default"]["NAME"]))
    shared = settings.TWIN_HOME.stat().st_mode & stat.S_ISVTX
    for path in kept:
        if path.exists() and path.stat().st_mode & 0o077 and not (path == settings.TWIN_HOME and shared):
            return Check("rights", False, f"others on this machine may read {path}", f"Run: chmod go= {path}")
    foreign = [path for path in kept if path.exists() and path.stat().st_uid != os.getuid()]
    if foreign:
        return Check("rights", False, f"{foreign[0]} belongs to another user", f"Run this as its owner: {foreign[0]}")
    return Check("rights", True, f"{settings.TWIN_HOME} is its owner's alone")


def _server() -> Check:
    if connection.vendor != "postgresql":
        return Check("server", True, "embedded; one machine, one writer at a time")
    major = connection.pg_version // 10_000
    if major < OLDEST_POSTGRESQL:
        return Check("server", False, f"PostgreSQL {major}", f"Upgrade it: {OLDEST_POSTGRESQL} is the oldest served.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity")
        n_open, most = cursor.fetchone()
    if n_open > 0.8 * most:
        remedy = (
            "Raise max_connections, or put a pooler before it: each thread of a web process and each worker holds one."
        )
        return Check("server", False, f"{n_open} of {most} connections are open", remedy)
    return Check("server", True, f"PostgreSQL {major}, {n_open} of {most} connections open")


def _catalogue() -> Check:
    if Product.objects.exists():
        return Check("catalogue", True, f"{Product.objects.count()} products")
    return Check("catalogue", False, "it is empty: no layout can be described", "Run: manage.py load_catalogue")


def _clock() -> Check:
    if connection.vendor != "postgresql":
        return Check("clock", True, "the database's is this machine's")
    there = Product.objects.annotate(now=Now()).values_list("now", flat=True).first() or timezone.now()
    apart_s = abs((timezone.now() - there).total_seconds())
    if apart_s > CLOCK_APART_S:
        remedy = "Let both follow a time server: workers are taken for dead by their clocks."
        return Check("clock", False, f"this machine's and the database's are {apart_s:.0f} s apart", remedy)
    return Check("clock", True, f"{apart_s:.1f} s from the database's")


def _queue() -> Check:
    late = timezone.now() - timedelta(seconds=RECOVERY_S)
    stuck = {
        kind._meta.verbose_name_plural: n
        for kind in jobs.JOBS
        if (n := kind.objects.filter(status=Job.Status.QUEUED, rung_at=None, created_at__lt=late).count())
    }
    if stuck:
        counts = ", ".join(f"{n} {name}" for name, n in stuck.items())
        remedy = "Nothing is lost: a worker or `serve` that reaches the broker sends them again. See broker and worker."
        return Check("queue", False, f"no message went out for {counts}", remedy)
    silent = Run.objects.filter(status=Run.Status.RUNNING, heartbeat_at__lt=late).count()
    if silent:
        return Check("queue", False, f"{silent} running without a sign of life", "The next worker takes them up.")
    return Check("queue", True, f"{Run.objects.filter(status=Run.Status.QUEUED).count()} runs wait their turn")


def _integrity() -> Check:
    if connection.vendor != "sqlite":
        return Check("integrity", True, "PostgreSQL looks after its own; see pg_amcheck")
    with connection.cursor() as cursor:
        found = [row[0] for row in cursor.execute("PRAGMA quick_check(5)").fetchall()]
        broken = cursor.execute("PRAGMA foreign_key_check").fetchmany(5)
    if found != ["ok"] or broken:
        damage = "; ".join(found if found != ["ok"] else [f"{row[0]} row {row[1]} names no {row[2]}" for row in broken])
        return Check("integrity", False, damage, "Stop the twin and restore the last backup: manage.py restore")
    return Check("integrity", True, "no damage")


def _solvers() -> Check:
    if settings.TWIN_SOLVES_HERE:
        return Check("solvers", True, "each web process solves by itself")
    path = solver_door.socket_path()
    if not in_use.serves_here():
        return Check("solvers", True, "no web server of this TWIN_HOME runs here, so none are needed")
    if solver_door.is_open():
        return Check("solvers", True, f"listen at {path}")
    remedy = "They start with `manage.py serve`; the log says why they ended. Or set TWIN_SOLVES_HERE=1."
    return Check("solvers", False, f"nothing listens at {path}", remedy)


def _model() -> Check:
    solver = this_solver()
    return Check("model", True, f"version {solver.version}, solver {solver.digest[:12]}")
