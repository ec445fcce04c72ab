"""What Prometheus reads: counts of all processes of this machine, and the state of the database that all share."""

import os
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from twin import __version__
from twin.core.provenance import MODEL_VERSION
from twin.models import Job, Worker
from twin.operations import health, storage
from twin.runs import jobs
from twin.runs.ring import SIGN_LIFE


def counted() -> CollectorRegistry:
    """Return what the processes of this machine have counted, those that ended included."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(settings.TWIN_METRICS_DIR))
    return registry


def counts_drop() -> None:
    """Remove the counts of processes of this machine that have ended."""
    for file in settings.TWIN_METRICS_DIR.glob("*_*.db"):
        pid = file.stem.rpartition("_")[2]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)
        except (ValueError, OSError):
            continue  # no process's, or somebody else's


def exposition() -> bytes:
    """Return all metrics as text."""
    registry = counted()
    registry.register(_State())
    return generate_latest(registry)


class _State:
    """Gauges that are read when they are asked for; without a database those that need none."""

    def describe(self) -> list[Metric]:
        return []  # else registering it would ask the database

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "twin_build", "What runs here.", value={"version": __version__, "model_version": str(MODEL_VERSION)}
        )
        checks = GaugeMetricFamily("twin_check", "1 while a part is as it should be.", labels=["part"])
        for check in health.checked(health.WHOLE):
            checks.add_metric([check.name], float(check.ok))
        yield checks
        yield GaugeMetricFamily("twin_disk_free_bytes", "At TWIN_HOME.", value=storage.free_bytes())
        try:
            yield from _queues()
            yield from _workers()
            yield GaugeMetricFamily("twin_database_bytes", "Size of the database.", value=storage.database_bytes())
        except (DatabaseError, InterfaceError):
            return  # twin_check says so


def _queues() -> Iterator[Metric]:
    now = timezone.now()
    states = GaugeMetricFamily("twin_jobs", "Rows by state.", labels=["kind", "state"])
    stages = GaugeMetricFamily("twin_jobs_running", "Running jobs by stage.", labels=["kind", "stage"])
    waiting = GaugeMetricFamily("twin_oldest_queued_seconds", "Age of the oldest queued job [s].", labels=["kind"])
    for kind in jobs.JOBS:
        name, rows = kind._meta.model_name, kind.objects.order_by()
        there = dict(rows.values_list("status").annotate(n=Count("id")))
        for state in Job.Status.values:
            states.add_metric([name, state], there.get(state, 0))
        running = rows.filter(status=Job.Status.RUNNING)
        for stage, n in running.values_list("stage").annotate(n=Count("id")):
            stages.add_metric([name, stage], n)
        oldest: datetime | None = rows.filter(status=Job.Status.QUEUED).aggregate(at=Min("created_at"))["at"]
        waiting.add_metric([name], (now - oldest).total_seconds() if oldest else 0.0)
    yield from (states, stages, waiting)


def _workers() -> Iterator[Metric]:
    seen = Worker.objects.filter(seen_at__gt=timezone.now() - SIGN_LIFE)
    slots = GaugeMetricFamily("twin_worker_slots", "Runs that living workers solve at once.", labels=["worker"])
    for worker in seen:
        slots.add_metric([worker.name], 0 if worker.broker_problem else worker.n_slots)
    yield slots
