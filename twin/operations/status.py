"""What the status page for administrators shows: parts, queues, workers, failed jobs, slow addresses, room."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client import CollectorRegistry

from twin.models import Job, Worker
from twin.runs import jobs
from twin.runs.ring import SIGN_LIFE

MOST_FAILED = 20
MOST_ROUTES = 15
SLOW_S = 0.8  # what a page may take; a bound of the histogram


@dataclass(frozen=True, slots=True)
class Queue:
    """Open jobs of a kind."""

    name: str
    n_queued: int
    oldest_at: datetime | None
    n_unrung: int  # whose message the broker has not taken
    stages: Mapping[str, int]  # running ones by stage

    @property
    def n_running(self) -> int:
        """Jobs that workers have."""
        return sum(self.stages.values())


@dataclass(frozen=True, slots=True)
class Route:
    """How long the answers of one address took."""

    role: str
    name: str
    n: int
    mean_s: float
    p95_below_s: float  # the bound of the histogram that 95 of 100 are within; inf beyond the last
    slow_frac: float  # that took longer than SLOW_S


def queues() -> list[Queue]:
    """Return what waits and what is being done, by kind."""
    found = []
    for kind in jobs.JOBS:
        queued = kind.objects.order_by().filter(status=Job.Status.QUEUED)
        counted = queued.aggregate(n=Count("id"), at=Min("created_at"))
        stages = kind.objects.order_by().filter(status=Job.Status.RUNNING).values_list("stage").annotate(n=Count("id"))
        unrung = queued.filter(rung_at=None).count()
        found.append(Queue(str(kind._meta.verbose_name_plural), counted["n"], counted["at"], unrung, dict(stages)))
    return found


def workers() -> list[tuple[Worker, bool]]:
    """Return the workers of the last day, and whether each has been heard of lately."""
    alive_since = timezone.now() - SIGN_LIFE
    return [(worker, worker.seen_at > alive_since) for worker in Worker.objects.order_by("-seen_at")]


def failed() -> list[Job]:
    """Return the newest failed jobs of all kinds."""
    rows: list[Job] = []
    for kind in jobs.JOBS:
        of_kind = kind.objects.filter(status=Job.Status.FAILED).select_related("layout__site", "created_by")
        rows += of_kind.defer(*kind.HEAVY).order_by("-finished_at")[:MOST_FAILED]
    return sorted(rows, key=lambda job: job.finished_at or job.created_at, reverse=True)[:MOST_FAILED]


def slow_routes(registry: CollectorRegistry) -> list[Route]:
    """Return the addresses that took the most time of those with slow answers, then of the rest."""
    buckets: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    sums: dict[tuple[str, str], float] = {}
    for family in registry.collect():
        if family.name != "twin_request_seconds":
            continue
        for sample in family.samples:
            key = sample.labels["role"], sample.labels["route"]
            if sample.name.endswith("_bucket"):
                buckets[key][float(sample.labels["le"])] = sample.value
            elif sample.name.endswith("_sum"):
                sums[key] = sample.value
    routes = [_route(*key, within, sums.get(key, 0.0)) for key, within in buckets.items()]
    return sorted(routes, key=lambda route: (-route.slow_frac * route.n, -route.mean_s))[:MOST_ROUTES]


def _route(role: str, name: str, within: Mapping[float, float], sum_s: float) -> Route:
    n = int(max(within.values()))
    p95 = min((bound for bound, count in within.items() if count >= 0.95 * n), default=float("inf"))
    return Route(role, name, n, sum_s / n if n else 0.0, p95, 1.0 - within.get(SLOW_S, n) / n if n else 0.0)
