"""What a site's readings say of a layout, for pages and programs: asked for here, made by a worker, accepted here."""

import datetime as dt
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from facility.models import Layout, Site
from facility.permissions import Right, check_write
from twin.core.figures_of_merit import RANKED_BY
from twin.core.inputs.parameters import APPLIED
from twin.core.telemetry.advised import RAISED
from twin.core.telemetry.fitted import DEFAULT, LayoutFit
from twin.core.telemetry.readings import FIRST_MS, LAST_MS
from twin.exceptions import CannotSimulate, InvalidTransition, KeyReused
from twin.models import Scenario, Study
from twin.runs import jobs, snapshot
from twin.telemetry import store
from twin.telemetry.accept import accept
from twin.telemetry.store import utc

MOST_DAYS = 400  # of a span
SAME = ("kind", "layout_id", "scenario_id", "start_at", "end_at", "offset_s", "parameters", "figure", "taken_id")


def study_ask(
    *,
    kind: Study.Kind,
    layout: Layout,
    scenario: Scenario,
    start_at: dt.datetime,
    end_at: dt.datetime,
    offset_s: float = 0.0,
    parameters: Sequence[str] = (),
    key: str = "",
    user=None,
) -> Study:
    """Record a question about the readings of a layout's site and queue it; the same key gives the same study.

    Raises
    ------
    CannotSimulate
        If the scenario belongs to another site.
    KeyReused
        If this user's key came with another question before.
    PermissionDenied
        If `user` is given and may not change the site.
    ValidationError
        If the span is odd, or a parameter unknown.
    """
    _check(layout, scenario, user)
    for name, when in (("start", start_at), ("end", end_at)):
        if not FIRST_MS <= when.timestamp() * 1e3 <= LAST_MS:
            raise ValidationError({name: f"{name} is {when:%Y-%m-%d}; must lie from 1990 to 2100."})
    if not start_at < end_at:
        raise ValidationError({"end": "end must come after start."})
    if end_at - start_at > dt.timedelta(days=MOST_DAYS):
        raise ValidationError({"end": f"The span must not be longer than {MOST_DAYS} days."})
    names = list(dict.fromkeys(parameters or DEFAULT)) if kind == Study.Kind.CALIBRATION else []
    if unknown := [name for name in names if name not in APPLIED]:
        raise ValidationError({"parameters": f"{unknown[0]} is not fitted; there are {', '.join(APPLIED)}."})
    study = Study(
        kind=kind,
        layout=layout,
        scenario=scenario,
        start_at=start_at,
        end_at=end_at,
        offset_s=offset_s,
        parameters=names,
        key=key,
        created_by=user,
    )
    return queued(study)


def advice_ask(*, layout: Layout, scenario: Scenario, figure: str = RANKED_BY, key: str = "", user=None) -> Study:
    """Ask which set points of a layout raise a figure, and queue it; the same key gives the same study.

    Raises
    ------
    CannotSimulate, KeyReused, PermissionDenied
        As `study_ask`.
    ValidationError
        If it is no figure that an advice raises.
    """
    _check(layout, scenario, user)
    if figure not in RAISED:
        raise ValidationError({"figure": f"figure is {figure}; must be one of {', '.join(RAISED)}."})
    return queued(
        Study(kind=Study.Kind.ADVICE, layout=layout, scenario=scenario, figure=figure, key=key, created_by=user)
    )


def _check(layout: Layout, scenario: Scenario, user) -> None:
    check_write(user, layout.site, Right.OPERATE)
    if scenario.site_id != layout.site_id:
        raise CannotSimulate(f"Scenario {scenario.slug} belongs to another site than layout {layout.slug}.")


def queued(study: Study) -> Study:
    """Return the study, stored and queued, or the one that its user asked under the same key before."""
    user, key = study.created_by, study.key
    known = Study.objects.filter(created_by=user, key=key).defer(*Study.HEAVY).first() if key else None
    if known is not None:
        if any(getattr(known, name) != getattr(study, name) for name in SAME):
            raise KeyReused(f"Idempotency-Key {key} was used for another question; take a new one.")
        return known
    with transaction.atomic():
        study.save()
        jobs.ring(Study, study.id)
    return study


@transaction.atomic
def study_retry(study: Study, *, user) -> Study:
    """Queue a failed or cancelled study again, on the layout and readings as they are now."""
    found = jobs.queued_again(study, user=user)
    jobs.ring(Study, found.id)
    return found


@transaction.atomic
def study_accept(study: Study, *, name: str, user) -> Layout:
    """Return a copy of the layout with what a calibration found; see `accept`.

    Raises
    ------
    InvalidTransition
        If it is no calibration that is done, was accepted before, or the layout or scenario has changed since.
    PermissionDenied
        If the user may not change the site.
    ValueError, ValidationError
        As `accept`.
    """
    check_write(user, study.layout.site, Right.APPROVE)
    found = Study.objects.select_for_update(of=("self",)).select_related("layout__site", "scenario").get(id=study.id)
    if found.kind != Study.Kind.CALIBRATION or found.status != Study.Status.DONE or found.result is None:
        raise InvalidTransition(f"{found} is {found.status}; only a calibration that is done can be accepted.")
    if found.accepted_as is not None:
        raise InvalidTransition(f"{found} was accepted as {found.accepted_as.path} already.")
    now = snapshot.sha256(snapshot.canonical(snapshot.snapshot(found.layout, found.scenario)))
    if now != found.inputs_sha256:
        raise InvalidTransition(
            f"{found.layout.path} or its scenario has changed since it was calibrated; calibrate it again."
        )
    made = accept(
        layout=found.layout,
        fit=LayoutFit.from_json(found.result),
        name=name,
        start_s=found.span["start_s"],
        end_s=found.span["end_s"],
        user=user,
    )
    Study.objects.filter(id=found.id).update(accepted_as=made)
    return made


def span_of_readings(site: Site) -> tuple[dt.datetime, dt.datetime] | None:
    """Return the beginning of the first and the end of the last UTC day with readings."""
    span = store.span(site)
    return None if span is None else (utc(span[0]), utc(span[1]))
