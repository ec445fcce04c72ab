"""Advice that was taken on: who says so, when it was, on which layout; and the question what it has gained since."""

import datetime as dt
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.utils import timezone

from facility.models import Layout
from facility.permissions import Right, check_write
from twin.core.telemetry.readings import FIRST_MS
from twin.exceptions import InvalidTransition
from twin.models import Study, TakenAdvice
from twin.telemetry.store import utc
from twin.telemetry.studies import MOST_DAYS, queued

BEFORE = dt.timedelta(days=30)  # of readings, at most, that tell how far the twin is off before the change
STANDING = (Layout.Status.AS_BUILT, Layout.Status.AS_OPERATED)  # layouts that a plant was built to


@transaction.atomic
def advice_take(
    study: Study, *, taken_at: dt.datetime, orders: Sequence[int] = (), layout: Layout | None = None, user
) -> TakenAdvice:
    """Write down that set points of an advice were taken on.

    Parameters
    ----------
    study : Study
        An advice that is done.
    taken_at : datetime
        When the plant ran at them first, with its zone.
    orders : sequence of int
        Which set points, from 1; none: all that are not taken on yet.
    layout : Layout, optional
        As it stood before the change; default: the advice's own.

    Raises
    ------
    InvalidTransition
        If the study is no advice that is done, or has no set point left.
    PermissionDenied
        If the user may not operate the site.
    ValidationError
        If a set point, the time or the layout is odd.
    """
    check_write(user, study.layout.site, Right.OPERATE)
    found = Study.objects.select_for_update(of=("self",)).select_related("layout__site").get(id=study.id)
    if found.kind != Study.Kind.ADVICE or found.status != Study.Status.DONE or found.result is None:
        raise InvalidTransition(f"{found} is {found.status}; only an advice that is done can be taken on.")
    n, taken = len(found.result["advice"]), set()
    for mark in found.taken_rows.all():
        taken.update(mark.orders)
    left = [order for order in range(1, n + 1) if order not in taken]
    if not left:
        raise InvalidTransition(f"{found} has no set point that is not taken on yet.")
    return TakenAdvice.objects.create(
        study=found,
        layout=_standing(found, layout or found.layout),
        orders=_orders(orders, n, taken) or left,
        taken_at=_past(taken_at),
        created_by=user,
    )


def _orders(orders: Sequence[int], n: int, taken: set[int]) -> list[int]:
    for order in orders:
        if not 1 <= order <= n:
            raise ValidationError({"orders": f"There is no set point {order}; the advice has 1 to {n}."})
        if order in taken:
            raise ValidationError({"orders": f"Set point {order} is taken on already."})
    return sorted(set(orders))


def _standing(study: Study, layout: Layout) -> Layout:
    if layout.site_id != study.layout.site_id:
        raise ValidationError({"layout": f"{layout.path} belongs to another site than the advice."})
    if layout.status not in STANDING:
        raise ValidationError(
            {
                "layout": f"{layout.path} is {layout.get_status_display()}; name a layout that is as built or as"
                " operated: accepting a calibration makes one."
            }
        )
    return layout


def _past(when: dt.datetime) -> dt.datetime:
    if not utc(FIRST_MS) <= when <= timezone.now():
        raise ValidationError({"taken_at": f"It is {when:%Y-%m-%d %H:%M}; must lie from 1990 to now."})
    return when


def taken_remove(mark: TakenAdvice, *, user) -> None:
    """Take back that set points were taken on, and the gains that were measured of them.

    Raises
    ------
    PermissionDenied
        If the user may not operate the site.
    """
    check_write(user, mark.layout.site, Right.OPERATE)
    mark.delete()


def gain_ask(
    mark: TakenAdvice, *, end_at: dt.datetime | None = None, offset_s: float = 0.0, key: str = "", user=None
) -> Study:
    """Ask what set points that were taken on have gained, and queue it; the same key gives the same study.

    The time before the change begins at the change before it, and the time after it ends at the next: another state of
    the plant would speak there.

    Raises
    ------
    KeyReused, PermissionDenied
        As `study_ask`.
    ValidationError
        If the end is odd, or other set points were taken on at the same time: no reading tells their gains apart.
    """
    check_write(user, mark.layout.site, Right.OPERATE)
    known = mark.gains.filter(created_by=user, key=key).first() if key and end_at is None else None
    if known is not None:  # asked up to then: the present has moved on
        return known
    others = TakenAdvice.objects.filter(layout__site=mark.layout.site).exclude(pk=mark.pk)
    if others.filter(taken_at=mark.taken_at).exists():
        raise ValidationError(
            {
                "taken": f"Other set points of the site were taken on at {mark.taken_at:%Y-%m-%d %H:%M} UTC as well: no"
                " reading tells their gains apart. Take one back, and mark those of one advice together."
            }
        )
    later = others.filter(taken_at__gt=mark.taken_at).order_by("taken_at").first()
    earlier = others.filter(taken_at__lt=mark.taken_at).order_by("-taken_at").first()
    last = min(
        timezone.now() if later is None else later.taken_at, mark.taken_at + dt.timedelta(days=MOST_DAYS) - BEFORE
    )
    if end_at is not None and not mark.taken_at < end_at <= last:
        raise ValidationError(
            {"end": f"end must come after {mark.taken_at:%Y-%m-%d %H:%M} and not after {last:%Y-%m-%d %H:%M} UTC."}
        )
    start = mark.taken_at - BEFORE
    return queued(
        Study(
            kind=Study.Kind.GAIN,
            layout=mark.layout,
            scenario=mark.study.scenario,
            taken=mark,
            figure=mark.study.figure,
            start_at=start if earlier is None else max(start, earlier.taken_at),
            end_at=end_at or last,
            offset_s=offset_s,
            key=key,
            created_by=user,
        )
    )


def rows_before(mark: TakenAdvice) -> list[dict]:
    """Return the rows that were taken on the same layout before, in their order: the plant ran at them already."""
    before = TakenAdvice.objects.filter(layout=mark.layout, taken_at__lt=mark.taken_at).select_related("study")
    return [row for one in before for row in one.rows]


def taken_of(study: Study) -> QuerySet[TakenAdvice]:
    """Return what was taken on of an advice, each with its newest measured gains first."""
    gains = Study.objects.order_by("-created_at").select_related("layout")
    return study.taken_rows.select_related("layout__site", "created_by").prefetch_related(Prefetch("gains", gains))
