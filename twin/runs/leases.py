"""Who does a job: claim, heartbeat, progress and cancellation, all through its row.

A worker that claims a job raises its attempt number. Everything that it writes later names that number, so a worker
that was thought dead and wakes up again cannot touch a job that another one has taken over.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from twin.exceptions import RunCancelled, RunHeld, RunLost
from twin.models import Job

LEASE = timedelta(seconds=15)  # a worker that is silent for longer counts as dead
HEARTBEAT_S = 4.0  # three chances within a lease
REPORT_EVERY_S = 0.3  # SQLite has one writer; a bar that moves three times a second looks alive
PATIENCE_S = 120.0  # how long a job that is done waits for its database
RETRY_S = 1.0
T = TypeVar("T")

logger = logging.getLogger(__name__)


def lease_left_s(job: Job) -> float:
    """Return how long the worker of a running job may stay silent before it counts as dead [s], at least 0."""
    if job.status != Job.Status.RUNNING or job.heartbeat_at is None:
        return 0.0
    return max(0.0, (job.heartbeat_at + LEASE - timezone.now()).total_seconds())


@transaction.atomic
def claim(kind: type[Job], job_id: UUID) -> int | None:
    """Take a job for this worker and return its attempt number, or None where there is nothing left to do.

    Raises
    ------
    RunHeld
        If another worker is doing it and was heard of within its lease.
    """
    job = kind.objects.select_for_update().only("status", "attempt", "max_attempts", "heartbeat_at").get(id=job_id)
    if job.ended:
        return None
    if left_s := lease_left_s(job):
        raise RunHeld(left_s)
    if job.attempt >= job.max_attempts:
        return None  # jobs.recover says so in the row
    now = timezone.now()
    kind.objects.filter(id=job_id).update(
        status=Job.Status.RUNNING,
        attempt=F("attempt") + 1,
        heartbeat_at=now,
        started_at=now,
        progress_frac=0.0,
        stage="reading the layout",
        message="",
    )
    return job.attempt + 1


class Lease:
    """Keeps a claimed job alive while it is done; calling it reports progress.

    The call raises `RunCancelled` once somebody has asked to stop, and `RunLost` once the job is no longer this
    attempt's. A thread beats as well, because the first solve on a machine may compile for a minute without a word.
    """

    def __init__(self, kind: type[Job], job_id: UUID, attempt: int) -> None:
        self.own_row = kind.objects.filter(id=job_id, attempt=attempt, status=Job.Status.RUNNING)
        self._stage, self._reported_at_s = "", float("-inf")
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Lease":
        if not connection.in_atomic_block:  # inside a transaction nobody would see a heartbeat
            self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def __call__(self, stage: str, done_frac: float) -> None:
        now_s = time.monotonic()
        if stage == self._stage and now_s - self._reported_at_s < REPORT_EVERY_S:
            return
        self._stage, self._reported_at_s = stage, now_s
        progress_frac = min(max(done_frac, 0.0), 1.0)
        try:
            written = self.own_row.filter(cancel_requested=False).update(
                stage=stage[:40], progress_frac=progress_frac, heartbeat_at=timezone.now()
            )
            if not written:
                self.check()
        except (DatabaseError, InterfaceError):
            # A database that restarts must not cost what is solved already; the next report or the end looks again.
            logger.warning("progress could not be written", exc_info=True)
            if not connection.in_atomic_block:
                connection.close()

    def check(self) -> None:
        """Raise if the job was cancelled or is no longer this attempt's."""
        cancel_requested = self.own_row.values_list("cancel_requested", flat=True).first()
        if cancel_requested is None:
            raise RunLost("another worker took it over, or it was ended")
        if cancel_requested:
            raise RunCancelled("cancelled while it was being solved")

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_S):
            try:
                self.own_row.update(heartbeat_at=timezone.now())
            except (DatabaseError, InterfaceError):  # the next beat may work; if none does, the lease ends and says so
                logger.warning("a heartbeat could not be written", exc_info=True)
                connection.close()
        connection.close()


def patiently(write: Callable[[], T]) -> T:
    """Return what `write` returns, trying again on a new connection while the database cannot be reached.

    Raises
    ------
    OperationalError, InterfaceError
        If it cannot be reached for `PATIENCE_S`.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > deadline_s:
                raise
            logger.warning("the database cannot be reached; trying again", exc_info=True)
            connection.close()
            time.sleep(RETRY_S)
