"""The bell for what is due: queued runs whose message was lost, and running ones whose worker died.

Every `serve` and every worker looks every few seconds, so that nothing waits for a hand after a restart of the broker
or the database: a run whose message was lost is in the hands of a worker again within `RECOVERY_S` of a worker, the
broker and the database being there. A doubled message is harmless (`leases.claim`), and each look takes a run by
a conditional update, so that of many only one rings for it.
"""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import Q
from django.utils import timezone

from twin.models import Job, Worker
from twin.runs import jobs

RECOVERY_S = 30.0  # a lease of 15 s, or two looks of 5 s and a reconnection of up to 8 s; the rest is reserve
OVERDUE = timedelta(seconds=5)  # a message that no idle worker has taken by then is lost
RINGS_PER_SLOT = 8  # at a time, so that lost messages of many runs do not come back one by one
SIGN_LIFE = timedelta(seconds=20)  # a worker that is silent for longer is shown as missing

logger = logging.getLogger(__name__)


def jobs_ring(*, n_overdue: int) -> int:
    """Send messages for jobs that should have one and have not, oldest first, and return how many the broker took.

    Parameters
    ----------
    n_overdue : int
        How many of a kind to ring for although the broker took a message for them: 0 unless a worker has nothing to do.
    """
    late = timezone.now() - OVERDUE
    n_rung = 0
    for kind in jobs.JOBS:
        queued = kind.objects.filter(status=Job.Status.QUEUED).order_by("created_at")
        never = queued.filter(rung_at=None, created_at__lt=late).values_list("id", "rung_at")[: 8 * RINGS_PER_SLOT]
        overdue = queued.filter(Q(rung_at__lt=late)).values_list("id", "rung_at")[:n_overdue]
        for job_id, rung_at in [*never, *overdue]:
            waiting = kind.objects.filter(id=job_id, status=Job.Status.QUEUED, rung_at=rung_at)
            if not waiting.update(rung_at=timezone.now()):
                continue  # another process rings for it, or a worker has it
            if not jobs.publish(kind, job_id):
                return n_rung  # the broker is away; the next look tries again
            n_rung += 1
    return n_rung


def worker_seen(name: str, n_slots: int, broker_problem: str = "") -> None:
    """Write a worker's sign of life; forget those that were silent for a day."""
    now = timezone.now()
    Worker.objects.update_or_create(
        name=name[:200], defaults={"n_slots": n_slots, "seen_at": now, "broker_problem": broker_problem[:300]}
    )
    Worker.objects.filter(seen_at__lt=now - timedelta(days=1)).delete()


def worker_gone(name: str) -> None:
    """Remove the sign of a worker that ends."""
    Worker.objects.filter(name=name[:200]).delete()


def waiting_reason(job: Job) -> str:
    """Return what a queued job waits for beyond its turn: a worker, or the broker; empty where neither is missing."""
    if job.status != Job.Status.QUEUED or timezone.now() - job.created_at < 2 * OVERDUE:
        return ""
    if job.rung_at is None:
        return (
            "The message broker cannot be reached. It is kept and starts by itself, at most "
            f"{RECOVERY_S:.0f} s after the broker is back."
        )
    living = list(Worker.objects.filter(seen_at__gt=timezone.now() - SIGN_LIFE))
    if not living:
        how = "manage.py serve starts one" if settings.EMBEDDED_BROKER else "celery -A twin.celery worker starts one"
        return f"No worker is running. It is kept and starts as soon as one is there ({how})."
    if all(worker.broker_problem for worker in living):
        return f"No worker can reach the message broker: {living[0].broker_problem}"
    return ""


class Ringer(threading.Thread):
    """Looks for what is due every few seconds until stopped; outlives restarts of the database.

    Parameters
    ----------
    look : callable
        Does one look. Its database errors are logged, and the next look tries again.
    every_s : float
        Seconds between two looks.
    """

    def __init__(self, look: Callable[[], None], every_s: float) -> None:
        super().__init__(name="ring", daemon=True)
        self.look, self.every_s = look, every_s
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self.every_s):
            close_old_connections()
            try:
                self.look()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("due work could not be queried: %s", error)
            finally:
                connection.close()

    def stop(self) -> None:
        """End after the look that is under way."""
        self._over.set()
        if self.is_alive():
            self.join(timeout=5)
