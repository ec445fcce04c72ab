"""Old runs that an installation keeps no longer (TWIN_RUNS_KEPT_DAYS).

Whatever its age a run stays that has not ended, that is the newest result of its layout and scenario, that stands in a
stored comparison, or whose layout was decided on: those are what somebody still reads.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from facility.models import Layout
from twin.models import Run

BATCH = 100  # runs deleted in a transaction: others wait for its locks


def superseded_runs(days: int, now: datetime | None = None) -> QuerySet[Run]:
    """Return the runs that a rule of so many days lets go of, oldest first.

    Parameters
    ----------
    days : int
        Runs that ended within as many days stay, at least 1.
    now : datetime, optional
        From when to count (default: now).
    """
    if days < 1:
        raise ValueError(f"days is {days}; at least 1")
    done = Run.objects.filter(status=Run.Status.DONE)
    same = done.filter(layout=OuterRef("layout"), scenario=OuterRef("scenario"))
    newer = same.filter(
        Q(finished_at__gt=OuterRef("finished_at")) | Q(finished_at=OuterRef("finished_at"), id__gt=OuterRef("id"))
    )
    try:
        before = (now or timezone.now()) - timedelta(days=days)
    except OverflowError:  # before the calendar begins no run has ended
        return Run.objects.none()
    return (
        Run.objects.filter(status__in=Run.ENDED, finished_at__lt=before, layout__status=Layout.Status.PROPOSED)
        .filter(Exists(newer) | ~Q(status=Run.Status.DONE))
        .filter(comparisons=None)
        .order_by("finished_at", "id")
    )


def runs_prune(days: int, now: datetime | None = None) -> int:
    """Delete the runs that a rule lets go of, each with a line in the audit log; return how many.

    Several at once do no harm: each batch is locked, and looked at once more under its lock.
    """
    n_gone = 0
    while ids := list(superseded_runs(days, now).values_list("id", flat=True)[:BATCH]):
        gone = _batch_delete(days, now, ids)
        if not gone:
            break  # others hold or have deleted them
        n_gone += gone
    return n_gone


@transaction.atomic
def _batch_delete(days: int, now: datetime | None, ids: list) -> int:
    # Rows that another deletes are passed over. A comparison made meanwhile holds its runs' rows: they are not locked
    # here, or it is seen by the second look.
    locked = list(
        Run.objects.filter(id__in=ids).order_by("id").select_for_update(skip_locked=True).values_list("id", flat=True)
    )
    still = list(superseded_runs(days, now).filter(id__in=locked).order_by().values_list("id", flat=True))
    Run.objects.filter(id__in=still).delete()
    return len(still)
