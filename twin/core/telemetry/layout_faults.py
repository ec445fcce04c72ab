"""Faults in a layout's readings: what a sensor or a machine that fails would leave, and how much of the residual it is.

The strongest explanation is taken out first, then the next is looked for in what is left; each needs a CUSUM alarm too.
What machines would leave is solved for the objects whose points look odd.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.results.figures import figures_of_merit, served_in
from twin.core.solve.estimate import estimated_year
from twin.core.solved import Described, Progress
from twin.core.telemetry.alarms import Whitening, cusum, whitening
from twin.core.telemetry.compare import OUTPUT_TOKENS, Columns, driven_by
from twin.core.telemetry.faulted import OBJECTS, MachineFault
from twin.core.telemetry.layout_fit import FITTED_KINDS, LayoutModel, cdu_objects, swayed
from twin.core.telemetry.machine_faults import Machines
from twin.core.telemetry.predicted import Points
from twin.core.telemetry.publish import faulty_points
from twin.core.telemetry.quantities import FAULTS, QUANTITIES, SENSOR_FAULTS, is_sensor_temperature, point_name
from twin.core.telemetry.times import iso_time

FloatArray = NDArray[np.float64]

MOST_TIMES = 500
LEAST_TIMES = 16
MOST_STARTS = 100  # that a fault is tried from
LEAST_AFTER = 4  # readings after a fault's start
FALSE_ALARM = 6.0  # -ln of how often a healthy site's readings lead to any fault, about
TRIED_UA_FRAC = 0.8
ODD = 12.0  # of a point's sum of squares, that one shape of a sensor's fault takes: its object's machine may fail
MOST_OBJECTS = 8  # whose machines are tried at a time, the oddest first
MOST_REFINED = 3
TOLD_APART = 6.0  # by how much one kind must explain more than another, to be told from it
MOST_FAULTS = 20
DAY_S, J_PER_KWH = 86_400.0, 3.6e6


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    kind: str
    object: str
    rows: NDArray[np.intp]  # points that it touches
    shape: FloatArray  # what one unit of it does from its start, in sigmas, (n_rows, n_times)
    start: int
    size: float
    explained: float  # of the sum of squares
    explained_from_first: float  # if it had been there from the first start on
    alike: tuple[str, ...] = ()  # kinds that explain nearly as much
    machine: MachineFault | None = None

    @property
    def of_sensor(self) -> bool:
        """Whether it is of a sensor, not of a machine."""
        return self.kind in SENSOR_FAULTS


@dataclass(frozen=True, slots=True)
class LayoutFault:
    """A fault that readings show: its row as `diagnose_telemetry --json` has it, and whether it was there all along."""

    row: dict[str, Any]
    lasting: bool


@dataclass(frozen=True, slots=True)
class Worth:
    """What a layout's tokens and energy are worth: what they cost there."""

    usd_per_million_tokens: float  # 0: the layout has no cost per token
    usd_per_kwh: float

    def usd(self, tokens: float, energy_j: float) -> float:
        """Return what lost tokens and wasted energy cost; what a fault saves is not counted against it."""
        return max(tokens, 0.0) / 1e6 * self.usd_per_million_tokens + max(energy_j, 0.0) / J_PER_KWH * self.usd_per_kwh

    @property
    def text(self) -> str:
        """The prices in words."""
        price = f"${self.usd_per_million_tokens:.3g} a million, the layout's own cost"
        if not self.usd_per_million_tokens:
            price = "no price: the layout has no cost per token"
        return f"tokens at {price}; energy at ${self.usd_per_kwh:.3g}/kWh"


def worth_of(year: Described) -> Worth:
    """Return a layout's cost per token over the year as described, and its tariff."""
    scenario, region = year.inputs.scenario, year.inputs.site.region.facts
    estimated, _ = estimated_year(year)
    cost = figures_of_merit(estimated, served_in(estimated))["cost_per_million_output_tokens_usd"]
    own_price = scenario.electricity_usd_per_kwh
    return Worth(
        0.0 if cost is None or not np.isfinite(cost) else float(cost),
        float(region["electricity_usd_per_kwh"] if own_price is None else own_price),
    )


def diagnose_layout(
    year: Described,
    measured: Mapping[tuple[str, str], Columns],
    *,
    start_s: float,
    end_s: float,
    offset_s: float,
    progress: Progress = lambda stage, frac: None,
) -> list[LayoutFault]:
    """Return the faults that readings show, most certain first.

    Parameters
    ----------
    year : Described
        As `simulate.described` gives it: the healthy layout.
    measured : mapping of columns
        By object and quantity, in SI. Readings whose quality is not 1 are left out.
    start_s, end_s, offset_s : float
        Span [s since 1970], and the clock that the typical year runs on, from UTC [s].
    progress : callable
        Takes what is done and how far it is, 0 to 1.

    Raises
    ------
    ValueError
        If the readings are too few, or the layout cannot be solved.
    """
    span = {"start_s": start_s, "end_s": end_s, "offset_s": offset_s}
    progress("solving the measured times", 0.05)
    driven = driven_by(year, measured, **span, most=MOST_TIMES)
    if driven.at_s.size < LEAST_TIMES:
        raise ValueError(
            f"there are good readings at {driven.at_s.size} times between --start and --end; {LEAST_TIMES} or more are"
            " needed to tell a fault from noise"
        )
    swayed_by = swayed(year, measured, driven, **span, most=MOST_TIMES)
    # where the load is not read from tokens, another use case may be served than the scenario says
    left_out = () if driven.load_from == OUTPUT_TOKENS else ("output_tokens_per_s",)
    model = LayoutModel(driven, swayed_by, progress, (*FITTED_KINDS, "rack"), left_out)
    described = model.read({})
    left = model.residuals(described)
    fouled = {
        name: (described - model.read({f"{name} ua_frac": TRIED_UA_FRAC})) / model.sigma / (TRIED_UA_FRAC - 1.0)
        for name in cdu_objects(year)
    }
    starts = _starts(driven.at_s.size)
    machines = Machines(driven.layout, model.keys, described, model.sigma, starts)
    n_tried = (3 * len(model.keys) + len(fouled) + MOST_OBJECTS * len(OBJECTS)) * starts.size
    least = 2.0 * (np.log(n_tried) + FALSE_ALARM)
    found: list[LayoutFault] = []
    gone: set[str] = set()
    worth: Worth | None = None
    while len(found) < MOST_FAULTS:
        sensors = [one for one in _sensor_faults(model, described, left, starts) if one.object not in gone]
        progress("solving what machines may have", 0.3 + 0.6 * len(found) / MOST_FAULTS)
        groups = [_fouling(name, shape, left, starts) for name, shape in fouled.items() if name not in gone]
        tried = [
            *sensors,
            *(one for one in groups if one is not None),
            *_machine_faults(machines, sensors, left, gone, least),
        ]
        if not tried:
            break
        # A sensor that errs alone explains its point as well as a machine whose fault shows there.
        top = max(tried, key=lambda candidate: candidate.explained - 2.0 * TOLD_APART * candidate.of_sensor)
        if top.explained < least:
            break
        after = left.copy()
        after[top.rows, top.start :] -= top.size * top.shape[:, top.start :]
        lasting, alarm = _alarm(left, after, top)
        score = top.explained / 2.0 * (1 - lasting) / (1 + lasting)
        if alarm is not None and 2.0 * score >= least:
            worth = worth or worth_of(year)
            row = _row(model, top, score, alarm, float(np.median(np.diff(driven.at_s))), worth)
            found.append(LayoutFault(row, top.explained_from_first > top.explained - 2.0 * TOLD_APART))
        left = after
        gone.add(top.object)  # one fault an object, and a sensor
    return sorted(found, key=lambda fault: -fault.row["score"])


def _machine_faults(
    machines: Machines, sensors: Sequence[_Candidate], left: FloatArray, gone: set[str], least: float
) -> list[_Candidate]:
    """Return the machine faults that explain most, of the objects whose points look odd, sized on the solver."""
    odd = sorted((c for c in sensors if c.explained > ODD), key=lambda c: -c.explained)
    names = [name for name in machines.objects_of(int(c.rows[0]) for c in odd) if name not in gone]
    rough = [candidate for name in names[:MOST_OBJECTS] for candidate in machines.best(name, left)]
    rough = sorted((one for one in rough if one.explained > 0.5 * least), key=lambda one: -one.explained)
    found = []
    for candidate in (machines.refined(one, left) for one in rough[:MOST_REFINED]):
        rows = np.flatnonzero(np.any(candidate.shape != 0, axis=1))
        found.append(
            _Candidate(
                candidate.fault.kind,
                candidate.fault.object,
                rows,
                candidate.shape[rows],
                candidate.start,
                1.0,
                candidate.explained,
                candidate.explained_from_first,
                machine=candidate.fault,
            )
        )
    return [
        replace(
            one,
            alike=tuple(
                f"{other.kind} of {other.object}"
                for other in found
                if other is not one and other.explained > one.explained - 2.0 * TOLD_APART
            ),
        )
        for one in found
    ]


def _starts(n: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, n - LEAST_AFTER, min(MOST_STARTS, n - LEAST_AFTER + 1)).astype(np.intp))


def _since(values: FloatArray, starts: NDArray[np.intp]) -> FloatArray:
    """Return the sums of values from each start on, along the last axis."""
    return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1][..., starts]


def _latest_most(explained: FloatArray) -> NDArray[np.intp]:
    """Return the last start of those that explain most: before a fault shows, its start is not told."""
    return explained.shape[-1] - 1 - np.argmax(explained[..., ::-1], axis=-1)


def _sensor_faults(
    model: LayoutModel, described: FloatArray, left: FloatArray, starts: NDArray[np.intp]
) -> list[_Candidate]:
    """Return the bias, gain or drift that explains most of each point's residual, and from when."""
    temperature = np.array([is_sensor_temperature(quantity) for _, quantity in model.keys])
    days = (model.driven.at_s - model.driven.at_s[0]) / DAY_S
    known = np.isfinite(left) & np.isfinite(described)
    seen, reading = np.where(known, left, 0.0), np.where(known, described, 0.0)
    unit = np.where(known, 1.0, 0.0)
    forms = {
        "sensor_gain": reading / model.sigma,
        "sensor_bias": unit / model.sigma,  # of temperatures; a relative sensor's is a share of its reading: a gain
        "sensor_drift": np.where(temperature[:, None], unit, reading) / model.sigma,
    }
    sizes, gains = {}, {}
    for kind, form in forms.items():
        along, power = _since(form * seen, starts), _since(form**2, starts)
        if kind == "sensor_drift":  # grows with the days since its start
            then = days[starts]
            power = _since(form**2 * days**2, starts) - then * (2.0 * _since(form**2 * days, starts) - then * power)
            along = _since(form * seen * days, starts) - then * along
        some = power > 1e-12
        sizes[kind] = np.divide(along, power, out=np.zeros_like(along), where=some)
        gains[kind] = sizes[kind] * along
    gains["sensor_bias"][~temperature] = 0.0
    most = {kind: gain.max(axis=1) for kind, gain in gains.items()}
    judged = np.stack([most["sensor_gain"] - TOLD_APART * temperature, most["sensor_bias"], most["sensor_drift"]])
    found = []
    for i, kind in enumerate(np.array(list(forms))[np.argmax(judged, axis=0)].tolist()):
        k = int(_latest_most(gains[kind][i]))
        if not gains[kind][i, k] > 0:
            continue
        shape = forms[kind][i] * np.where(np.arange(days.size) >= starts[k], 1.0, 0.0)
        if kind == "sensor_drift":
            shape = shape * (days - days[starts[k]])
        found.append(
            _Candidate(
                kind,
                point_name(*model.keys[i]),
                np.array([i]),
                shape[None, :],
                int(starts[k]),
                float(sizes[kind][i, k]),
                float(gains[kind][i, k]),
                float(gains[kind][i, 0]),
                tuple(other for other in forms if other != kind and most[other][i] > most[kind][i] - TOLD_APART),
            )
        )
    return found


def _fouling(name: str, shape: FloatArray, left: FloatArray, starts: NDArray[np.intp]) -> _Candidate | None:
    """Return the lost conductance that explains most of all points' residuals, and from when."""
    rows = np.flatnonzero(np.nanmax(np.abs(np.nan_to_num(shape)), axis=1) > 0)
    if not rows.size:
        return None
    known = np.isfinite(left[rows]) & np.isfinite(shape[rows])
    seen, expected = np.where(known, left[rows], 0.0), np.where(known, shape[rows], 0.0)
    along, power = _since((expected * seen).sum(axis=0), starts), _since((expected**2).sum(axis=0), starts)
    size = np.divide(along, power, out=np.zeros_like(along), where=power > 0)
    explained = np.where(size > 0, size * along, 0.0)  # conductance is lost, not won
    k = int(_latest_most(explained))
    if not explained[k] > 0:
        return None
    gain, first = float(explained[k]), float(explained[0])
    return _Candidate("fouling", name, rows, shape[rows], int(starts[k]), float(size[k]), gain, first)


def _alarm(before: FloatArray, after: FloatArray, fault: _Candidate) -> tuple[float, int | None]:
    """Return the AR(1) coefficient of what the fault leaves, and where the CUSUM of its most moved point alarms.

    The healthy mean is none: the layout as described.
    """
    moved = np.nansum(np.abs(fault.shape[:, fault.start :]), axis=1)
    row = int(fault.rows[int(np.argmax(moved))])
    if np.isfinite(after[row]).sum() < LEAST_TIMES // 2:
        return 0.0, None
    learned = whitening(after[row], least_sigma=1.0)
    healthy = Whitening(0.0, max(learned.coefficient, 0.0), learned.sigma)
    _, _, alarms = cusum(healthy.innovations(before[row]))
    here = np.flatnonzero(alarms[fault.start :])
    return healthy.coefficient, int(fault.start + here[0]) if here.size else None


def _row(
    model: LayoutModel, fault: _Candidate, score: float, alarm: int, step_s: float, worth: Worth
) -> dict[str, Any]:
    at_s = model.driven.at_s
    n = int(np.isfinite(model.measured[fault.rows][:, fault.start :]).sum())
    tokens, usd = None, None
    if fault.of_sensor:
        what = _sensor_text(fault)
        lost = "tokens lost and cost are not known: what is steered by this sensor is not described"
    else:
        if fault.machine is not None:
            what = f"{fault.machine.size:.1%} {FAULTS[fault.kind].about}, by {fault.rows.size} points"
            faulty = faulty_points(model.driven.layout, [fault.machine])
        else:
            size = min(fault.size, 0.7)
            what = f"{size:.1%} of the conductance lost, by {fault.rows.size} points"
            faulty = model.predicted({f"{fault.object} ua_frac": 1.0 - size})
        healthy = model.predicted({})
        tokens = _lost("output_tokens_per_s", healthy, faulty, fault, step_s)
        energy_j = -_lost("power_w", healthy, faulty, fault, step_s)
        usd = worth.usd(tokens, energy_j)
        lost = f"{energy_j / J_PER_KWH:.3g} kWh more; at the measured load, {worth.text}"
    if fault.alike:
        what += f" (not told from {' or '.join(fault.alike)})"
    return {
        "object": fault.object,
        "kind": fault.kind,
        "since": iso_time(float(at_s[fault.start])),
        "evidence": f"{what}, {n} readings; alarm at {iso_time(float(at_s[alarm]))}; {lost}",
        "score": score,
        "tokens_lost": tokens,
        "usd": usd,
    }


def _sensor_text(fault: _Candidate) -> str:
    quantity = fault.object.rpartition("|")[2]
    temperature, unit = is_sensor_temperature(quantity), QUANTITIES[quantity].unit
    high = "high" if fault.size > 0 else "low"
    return {
        "sensor_bias": f"reads {abs(fault.size):.3g} {'K' if temperature else unit} {high}",
        "sensor_gain": f"reads {abs(fault.size):.2%} {high}",
        "sensor_drift": f"reads {abs(fault.size):.3g} {'K' if temperature else 'of the reading'} a day more {high}",
    }[fault.kind]


def _lost(quantity: str, healthy: Points, faulty: Points, fault: _Candidate, step_s: float) -> float:
    """Return how much less of a quantity the site had since the fault began, times seconds."""
    had = [points["site", quantity][fault.start :] for points in (healthy, faulty)]
    return float(np.nansum(had[0] - had[1]) * step_s)
