"""Faults in a layout's readings: what a sensor or a fouled CDU would leave, told by how much of the residual it takes.

The strongest explanation is taken out first, then the next is looked for in what is left; each needs a CUSUM alarm too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.solved import Described, Progress
from twin.core.telemetry.alarms import Whitening, cusum, whitening
from twin.core.telemetry.compare import Columns, driven_by
from twin.core.telemetry.layout_fit import LayoutModel, cdu_objects, swayed
from twin.core.telemetry.predicted import Points
from twin.core.telemetry.quantities import QUANTITIES, is_sensor_temperature, point_name
from twin.core.telemetry.times import iso_time

FloatArray = NDArray[np.float64]

MOST_TIMES = 500
LEAST_TIMES = 16
MOST_STARTS = 100  # that a fault is tried from
LEAST_AFTER = 4  # readings after a fault's start
FALSE_ALARM = 6.0  # -ln of how often a healthy site's readings lead to any fault, about
TRIED_UA_FRAC = 0.8
TOLD_APART = 6.0  # by how much one kind must explain more than another, to be told from it
MOST_FAULTS = 20
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    kind: str
    object: str
    rows: NDArray[np.intp]  # points that it touches
    shape: FloatArray  # what one unit of it does from its start, in sigmas, (n_rows, n_times)
    start: int
    size: float
    explained: float  # of the sum of squares
    alike: tuple[str, ...] = ()  # kinds that explain nearly as much


def diagnose_layout(
    year: Described,
    measured: Mapping[tuple[str, str], Columns],
    *,
    start_s: float,
    end_s: float,
    offset_s: float,
    progress: Progress = lambda stage, frac: None,
) -> list[dict[str, Any]]:
    """Return the faults that readings show, the surest first.

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
    model = LayoutModel(driven, swayed(year, measured, driven, **span, most=MOST_TIMES), progress)
    described = model.read({})
    left = model.residuals(described)
    fouled = {
        name: (described - model.read({f"{name} ua_frac": TRIED_UA_FRAC})) / model.sigma / (TRIED_UA_FRAC - 1.0)
        for name in cdu_objects(year)
    }
    n_tried = (3 * len(model.keys) + len(fouled)) * min(MOST_STARTS, driven.at_s.size)
    least = 2.0 * (np.log(n_tried) + FALSE_ALARM)
    found: list[dict[str, Any]] = []
    best: dict[int, _Candidate | None] = {}
    while len(found) < MOST_FAULTS:
        for i in range(len(model.keys)):
            if i not in best:
                best[i] = _sensor_fault(model, described, left, i)
        fouling = [_fouling(name, shape, left) for name, shape in fouled.items()]
        tried = [candidate for candidate in (*best.values(), *fouling) if candidate is not None]
        if not tried:
            break
        top = max(tried, key=lambda candidate: candidate.explained)
        if top.explained < least:
            break
        after = left.copy()
        after[top.rows, top.start :] -= top.size * top.shape[:, top.start :]
        lasting, alarm = _alarm(left, after, top)
        score = top.explained / 2.0 * (1 - lasting) / (1 + lasting)
        if alarm is not None and 2.0 * score >= least:
            found.append(_row(model, top, score, alarm, float(np.median(np.diff(driven.at_s)))))
        left = after
        if top.kind == "fouling":
            fouled.pop(top.object)
            best.clear()
        else:
            best[int(top.rows[0])] = None  # one fault a sensor
    return sorted(found, key=lambda row: -row["score"])


def _starts(n: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, n - LEAST_AFTER, min(MOST_STARTS, n - LEAST_AFTER + 1)).astype(np.intp))


def _explained(shapes: FloatArray, residual: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return size and explained sum of squares of each shape (n_shapes, n) on a residual with gaps."""
    known = np.isfinite(residual) & np.all(np.isfinite(shapes), axis=0)
    seen, expected = np.where(known, residual, 0.0), np.where(known, shapes, 0.0)
    power, along = np.sum(expected**2, axis=1), expected @ seen
    size = np.divide(along, power, out=np.zeros_like(along), where=power > 0)
    return size, size * along


def _sensor_fault(model: LayoutModel, described: FloatArray, left: FloatArray, i: int) -> _Candidate | None:
    """Return the bias, gain or drift that explains most of a point's residual, and from when."""
    name, quantity = model.keys[i]
    at_s, sigma, residual = model.driven.at_s, model.sigma[i], left[i]
    starts = _starts(at_s.size)
    since = np.arange(at_s.size)[None, :] >= starts[:, None]
    reading = described[i]
    temperature = is_sensor_temperature(quantity)
    scale = np.ones(at_s.size) if temperature else reading
    shapes = {
        "sensor_gain": since * reading / sigma,
        "sensor_drift": since * (at_s[None, :] - at_s[starts][:, None]) / DAY_S * scale / sigma,
    }
    if temperature:  # a relative sensor's bias is a share of its reading: a gain
        shapes["sensor_bias"] = since / sigma
    tried = {kind: _explained(shape, residual) for kind, shape in shapes.items()}
    most = {kind: float(explained.max()) for kind, (_, explained) in tried.items()}
    kinds = dict(most)
    if temperature:
        kinds["sensor_gain"] -= TOLD_APART
    kind = max(kinds, key=lambda name: kinds[name])
    size, explained = tried[kind]
    k = int(np.argmax(explained))
    if not explained[k] > 0:
        return None
    return _Candidate(
        kind,
        point_name(name, quantity),
        np.array([i]),
        shapes[kind][k][None, :],
        int(starts[k]),
        float(size[k]),
        float(explained[k]),
        tuple(other for other in most if other != kind and most[other] > most[kind] - TOLD_APART),
    )


def _fouling(name: str, shape: FloatArray, left: FloatArray) -> _Candidate | None:
    """Return the lost conductance that explains most of all points' residuals, and from when."""
    rows = np.flatnonzero(np.nanmax(np.abs(np.nan_to_num(shape)), axis=1) > 0)
    if not rows.size:
        return None
    flat, n = left[rows].ravel(), left.shape[1]
    starts = _starts(n)
    shapes = np.stack([np.where(np.arange(n) >= start, shape[rows], 0.0).ravel() for start in starts])
    size, explained = _explained(np.nan_to_num(shapes), flat)
    explained = np.where(size > 0, explained, 0.0)  # conductance is lost, not won
    k = int(np.argmax(explained))
    if not explained[k] > 0:
        return None
    return _Candidate("fouling", name, rows, shape[rows], int(starts[k]), float(size[k]), float(explained[k]))


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


def _row(model: LayoutModel, fault: _Candidate, score: float, alarm: int, step_s: float) -> dict[str, Any]:
    at_s = model.driven.at_s
    n = int(np.isfinite(model.measured[fault.rows][:, fault.start :]).sum())
    tokens: float | None = None
    if fault.kind == "fouling":
        size = min(fault.size, 0.7)
        what = f"{size:.1%} of the conductance lost, by {fault.rows.size} points"
        tokens = _tokens_lost(
            model.predicted({}), model.predicted({f"{fault.object} ua_frac": 1.0 - size}), fault, step_s
        )
        lost = "tokens at the measured load; no usd: what a token earns is no part of readings"
    else:
        temperature = is_sensor_temperature(fault.object.rpartition("|")[2])
        unit = QUANTITIES[fault.object.rpartition("|")[2]].unit
        high = "high" if fault.size > 0 else "low"
        what = {
            "sensor_bias": f"reads {abs(fault.size):.3g} {'K' if temperature else unit} {high}",
            "sensor_gain": f"reads {abs(fault.size):.2%} {high}",
            "sensor_drift": f"reads {abs(fault.size):.3g} {'K' if temperature else 'of the reading'} a day more {high}",
        }[fault.kind]
        if fault.alike:
            what += f" (not told from {' or '.join(fault.alike)})"
        lost = "no tokens_lost, no usd: what is steered by this sensor is not described"
    return {
        "object": fault.object,
        "kind": fault.kind,
        "since": iso_time(float(at_s[fault.start])),
        "evidence": f"{what}, {n} readings; alarm at {iso_time(float(at_s[alarm]))}; {lost}",
        "score": score,
        "tokens_lost": tokens,
        "usd": None,
    }


def _tokens_lost(healthy: Points, fouled: Points, fault: _Candidate, step_s: float) -> float:
    made = [points["site", "output_tokens_per_s"][fault.start :] for points in (healthy, fouled)]
    return float(np.nansum(made[0] - made[1]) * step_s)
