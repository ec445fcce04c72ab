"""A sweep is asked for, watched, stopped and asked again: for pages, programs and the command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Avg, Case, Count, F, FloatField, Q, QuerySet, When

from facility.models import Layout
from facility.permissions import Right, check_write
from twin.core.figures_of_merit import BY_NAME, RANKED_BY
from twin.exceptions import CannotSimulate, InvalidTransition, KeyReused
from twin.models import Job, Run, Scenario, Sweep, SweepPoint
from twin.runs import jobs, snapshot
from twin.sweeps import axes as sweep_axes

RANKING_FIGURES = tuple(name for name, figure in BY_NAME.items() if figure.better)
SAME = ("layout_id", "scenario_id", "axes", "figure")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep has come as a whole."""

    n: Mapping[str, int]  # points by state
    done_frac: float
    cancel_requested: bool

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return not (self.n.get(Job.Status.QUEUED) or self.n.get(Job.Status.RUNNING))

    @property
    def status(self) -> str:
        """One word for all points; done where any came to a result and none is open."""
        if not self.ended:
            begun = self.n.get(Job.Status.RUNNING) or self.done_frac > 0
            return Job.Status.RUNNING.value if begun else Job.Status.QUEUED.value
        for state in (Job.Status.CANCELLED, Job.Status.DONE):
            if self.n.get(state):
                return state.value
        return Job.Status.FAILED.value


def sweep_ask(
    *,
    layout: Layout,
    scenario: Scenario,
    axes: Sequence[Mapping[str, Any]],
    figure: str = RANKED_BY,
    key: str = "",
    user=None,
) -> Sweep:
    """Record a sweep over a layout as it is now, and queue its points; the same key gives the same sweep.

    Raises
    ------
    CannotSimulate
        If there is nothing to solve, or the scenario belongs to another site.
    KeyReused
        If this user's key came with another question before.
    PermissionDenied
        If `user` is given and may not change the site.
    ValidationError
        If an axis names what is not there or not allowed, by its place; or no such figure is ranked by.
    """
    check_write(user, layout.site, Right.RUN)
    if figure not in RANKING_FIGURES:
        raise ValidationError({"figure": f"It is {figure}; must be one of {', '.join(RANKING_FIGURES)}."})
    base = snapshot.snapshot(layout, scenario)
    try:
        read, products = sweep_axes.read_axes(axes, base)
    except sweep_axes.AxisError as error:
        raise ValidationError({f"axes[{error.place}]": str(error)}) from error
    spelled = snapshot.canonical(base)
    sweep = Sweep(
        layout=layout,
        scenario=scenario,
        created_by=user,
        axes=[axis.as_json() for axis in read],
        figure=figure,
        inputs=snapshot.packed(spelled),
        inputs_sha256=snapshot.sha256(spelled),
        products=products,
        key=key,
    )
    known = Sweep.objects.filter(created_by=user, key=key).defer(*Sweep.HEAVY).first() if key else None
    if known is not None:
        if any(getattr(known, name) != getattr(sweep, name) for name in SAME):
            raise KeyReused(f"Idempotency-Key {key} was used for another sweep; take a new one.")
        return known
    points = [
        SweepPoint(sweep=sweep, layout=layout, index=index, values=list(values), created_by=user)
        for index, values in enumerate(sweep_axes.points(read))
    ]
    sweep.n_points = len(points)
    with transaction.atomic():
        sweep.save()
        SweepPoint.objects.bulk_create(points)
        for point in points:
            jobs.ring(SweepPoint, point.id)
    return sweep


def sweep_cancel(sweep: Sweep, *, user) -> Sweep:
    """Stop every point that has not ended; what is solved stays.

    Raises
    ------
    InvalidTransition
        If all of it has ended.
    PermissionDenied
        If the user may not change the site.
    """
    check_write(user, sweep.layout.site, Right.RUN)
    n = 0
    for point in sweep.points.exclude(status__in=Job.ENDED).defer(*SweepPoint.HEAVY).select_related("layout__site"):
        try:
            jobs.cancel(point, user=user)
        except InvalidTransition:
            continue  # it ended meanwhile
        n += 1
    if not n:
        raise InvalidTransition(f"{sweep} has ended; only one that is queued or running can be cancelled.")
    return sweep


@transaction.atomic
def sweep_retry(sweep: Sweep, *, user) -> Sweep:
    """Queue the failed and cancelled points again, on the description that the sweep began with.

    Raises
    ------
    InvalidTransition
        If there are none.
    PermissionDenied
        If the user may not change the site.
    """
    check_write(user, sweep.layout.site, Right.RUN)
    again = sweep.points.filter(status__in=(Job.Status.FAILED, Job.Status.CANCELLED)).defer(*SweepPoint.HEAVY)
    points = list(again.select_related("layout__site"))
    if not points:
        raise InvalidTransition(f"No point of {sweep} has failed or was cancelled.")
    for point in points:
        jobs.queued_again(point, user=user)
        jobs.ring(SweepPoint, point.id)
    return sweep


def progress(sweep: Sweep) -> Progress:
    """Return how far a sweep has come, by one query."""
    return progresses([sweep])[sweep.pk]


def progresses(sweeps: Sequence[Sweep]) -> dict[Any, Progress]:
    """Return how far sweeps have come by their ids, by one query."""
    share = Case(When(status__in=Job.ENDED, then=1.0), default=F("progress_frac"), output_field=FloatField())
    counts = {state: Count("id", filter=Q(status=state)) for state in Job.Status.values}
    stopping = Count("id", filter=Q(cancel_requested=True) & ~Q(status__in=Job.ENDED))
    rows = SweepPoint.objects.filter(sweep__in=[sweep.pk for sweep in sweeps]).order_by().values("sweep")
    found = {row["sweep"]: row for row in rows.annotate(share=Avg(share), stopping=stopping, **counts)}
    nothing: Mapping[str, Any] = {"share": 1.0, "stopping": 0}
    return {
        sweep.pk: Progress(
            {state: row[state] for state in Job.Status.values if row.get(state)},
            row["share"] or 0.0,
            bool(row["stopping"]),
        )
        for sweep in sweeps
        for row in [found.get(sweep.pk, nothing)]
    }


@dataclass(frozen=True, slots=True)
class Ranked:
    """A point in the order of a sweep's figure."""

    point: SweepPoint
    rank: int | None  # from 1; none where it has no figure, or cannot be built as described
    value: float | None
    over_first_frac: float | None  # how far from the best: positive is more


def ranking(sweep: Sweep, points: Sequence[SweepPoint]) -> list[Ranked]:
    """Return the points of a sweep, best first: what can be built, then what is blocked, then what has no result."""
    sign = -1.0 if BY_NAME[sweep.figure].better == "higher" else 1.0

    def value(point: SweepPoint) -> float | None:
        return (point.figures or {}).get(sweep.figure)

    def order(point: SweepPoint) -> tuple[bool, bool, float, int]:
        figure = value(point)
        return figure is None, bool(point.blocked), sign * (figure or 0.0), point.index

    found: list[Ranked] = []
    best: float | None = None
    for place, point in enumerate(sorted(points, key=order), 1):
        figure = value(point)
        able = figure is not None and not point.blocked
        best = figure if able and best is None else best
        away = figure / best - 1.0 if figure is not None and best else None
        found.append(Ranked(point, place if able else None, figure, away))
    return found


def as_described(sweep: Sweep) -> Run | None:
    """Return a finished run of what the sweep changes, unchanged: what its points are compared with."""
    runs = Run.objects.filter(
        layout=sweep.layout_id, scenario=sweep.scenario_id, status=Run.Status.DONE, inputs_sha256=sweep.inputs_sha256
    )
    return runs.defer(*Run.HEAVY).order_by("-finished_at").first()


def visible_sweeps(sites: QuerySet) -> QuerySet[Sweep]:
    """Return the sweeps of sites, newest first, without what only workers read."""
    rows = Sweep.objects.filter(layout__site__in=sites).select_related("layout__site", "scenario", "created_by")
    return rows.defer(*Sweep.HEAVY).order_by("-created_at", "id")


def check_scenario(layout: Layout, slug: str | None) -> Scenario:
    """Return the scenario of a layout's site by its short name, the site's own where none is named.

    Raises
    ------
    CannotSimulate
        If there is none.
    """
    there = layout.site.scenarios.all()
    scenario = there.filter(slug=slug).first() if slug else there.first()
    if scenario is None:
        names = ", ".join(there.values_list("slug", flat=True)) or "none yet"
        raise CannotSimulate(f"Site {layout.site.slug} has no scenario {slug or ''}; there are: {names}.")
    return scenario
