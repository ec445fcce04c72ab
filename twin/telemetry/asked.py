"""What is asked of the readings of a layout's site: the layout under a scenario, and the readings of a span of time."""

from dataclasses import dataclass
from typing import Any

from facility.models import Layout
from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.solved import Described
from twin.models import Run, Scenario
from twin.runs import snapshot
from twin.telemetry import store


@dataclass(frozen=True, slots=True, eq=False)
class AskedReadings:
    """A layout under a scenario, and the readings of its site in a span of time."""

    layout: Layout
    year: Described
    measured: dict[tuple[str, str], store.Columns]  # by object and quantity
    span: dict[str, float]  # start_s, end_s since 1970 and offset_s of the zone from UTC [s]
    inputs_sha256: str  # of the layout and scenario as they were read


def asked_readings(
    layout: Layout, scenario: Scenario, *, start_s: float, end_s: float, offset_s: float
) -> AskedReadings:
    """Return what is asked about, read once.

    Raises
    ------
    CannotSimulate
        If there is nothing to solve.
    ValueError
        If the layout cannot be solved, or there are more readings than are read at once.
    """
    inputs: dict[str, Any] = snapshot.snapshot(layout, scenario)
    return AskedReadings(
        layout=layout,
        year=described(layout_inputs(inputs)),
        measured=store.read(layout.site, round(start_s * 1e3), round(end_s * 1e3)),
        span={"start_s": start_s, "end_s": end_s, "offset_s": offset_s},
        inputs_sha256=snapshot.sha256(snapshot.canonical(inputs)),
    )


def figure_bands(inputs_sha256: str) -> dict[str, tuple[float, float]]:
    """Return low and high of each figure over its value, of the last run of just this description and scenario."""
    run = Run.objects.filter(inputs_sha256=inputs_sha256, status=Run.Status.DONE).order_by("-created_at").first()
    if run is None:
        return {}
    return {
        name: (band[0] / run.figures[name], band[1] / run.figures[name])
        for name, band in (run.bands or {}).items()
        if band and run.figures.get(name)
    }
