"""What a Celery worker does beside its tasks: it looks for work that is due, and comes back soon to a lost broker."""

import time
from functools import partial

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer
from django.conf import settings

TEND = ("twin.tasks.telemetry_tend", "twin.tasks.runs_tend")  # compaction of readings, and what is kept no longer
TEND_EVERY_S = 600.0
BROKER_RETRY_MAX_S = 5.0  # Celery's own pause grows to 30 s, longer than a lost run may wait in all


class PatientConsumer(Consumer):
    """Looks for a broker that went away every few seconds, however long it stays away."""

    def ensure_connected(self, conn):
        conn.ensure_connection = partial(conn.ensure_connection, interval_max=BROKER_RETRY_MAX_S)
        return super().ensure_connected(conn)


class RingStep(bootsteps.StartStopStep):
    """Sends due work to workers while the worker lives, and records in the database that it lives."""

    def __init__(self, parent, **options) -> None:
        self.ringer, self.n_received, self.tended_at = None, -1, time.monotonic()
        super().__init__(parent, **options)

    def start(self, parent) -> None:
        # Celery reads this module before models are there; once a worker starts they are.
        from twin.runs import jobs, ring

        self.ring, self.jobs = ring, jobs
        if settings.TWIN_RING_EVERY_S:
            self.ringer = ring.Ringer(lambda: self.look(parent), settings.TWIN_RING_EVERY_S)
            self.ringer.start()

    def stop(self, parent) -> None:
        if self.ringer:
            self.ringer.stop()
            self.ringer = None
            self.ring.worker_gone(parent.hostname)

    def look(self, worker) -> None:
        """Take up orphans; ring for lost messages where this worker has had nothing to do since its last look."""
        n_received = sum(state.total_count.values())
        idle = not state.reserved_requests and n_received == self.n_received
        self.n_received = n_received
        self.jobs.recover()
        self.ring.jobs_ring(n_overdue=self.ring.RINGS_PER_SLOT * worker.concurrency if idle else 0)
        connection = getattr(worker.consumer, "connection", None)
        away = "" if connection is not None and connection.connected else "not connected; trying again"
        if time.monotonic() - self.tended_at > TEND_EVERY_S:
            self.tended_at = time.monotonic()
            for task in TEND:
                self.jobs.send(task)
        self.ring.worker_seen(worker.hostname, worker.concurrency, away)
