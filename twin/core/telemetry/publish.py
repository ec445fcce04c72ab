"""A layout's predicted points as if measured: noise, faults of sensors and machines, a plant other than described."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.inputs.layout import LayoutInputs
from twin.core.inputs.parameters import APPLIED, Truth
from twin.core.solve.as_operated import sensor_reads, with_parameters
from twin.core.solve.simulate import described
from twin.core.solve.steady import solve_steady
from twin.core.solved import Described
from twin.core.telemetry.faulted import MachineFault, as_read, refusal, with_fault
from twin.core.telemetry.predicted import Points, at_times, hour_of_year, layout_objects, matches, predicted_points
from twin.core.telemetry.quantities import (
    FAULTS,
    PARAMETERS,
    QUANTITIES,
    SENSOR_FAULTS,
    is_sensor_temperature,
    point_name,
)
from twin.core.telemetry.tables import listed
from twin.core.telemetry.times import iso_time, parse_time

FloatArray = NDArray[np.float64]

DAY_S = 86_400.0
MOST_SAMPLES = 20_000_000
MOST_SOLVED = 3000  # readings in time that are solved each; more are interpolated between whole hours
# What a relative reading gains for each kelvin of a fault's range: 3 K, or 0.3 of the reading.
FRAC_PER_K = 0.1


@dataclass(frozen=True, slots=True)
class Noise:
    """What a sensor adds: sigma and drift in the quantity's unit, or of the reading where that is how it errs."""

    sigma: float
    drift_per_day: float = 0.0
    missing_frac: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of some size, 0 to 1 of its kind's range, from a time on [s since 1970]."""

    kind: str
    object: str
    start: float
    size: float

    @property
    def machine(self) -> MachineFault | None:
        """What it does to a machine; None where it is of a sensor."""
        if self.kind in SENSOR_FAULTS:
            return None
        return MachineFault(self.kind, self.object, fault_size(self.kind, self.size))


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """What is written: times [s since 1970], and each point's readings, NaN where there is none."""

    times: FloatArray
    points: Points
    silent: tuple[Fault, ...] = ()  # faults of machines that change no reading

    def rows(self) -> Iterator[tuple[str, str, float, str, int]]:
        """Return rows of the long CSV, in order of time."""
        named = [
            (point_name(name, quantity), QUANTITIES[quantity].unit, values)
            for (name, quantity), values in self.points.items()
        ]
        for i, second in enumerate(self.times.tolist()):
            time = iso_time(second)
            for name, unit, values in named:
                if np.isfinite(values[i]):
                    yield time, name, float(f"{values[i]:.9g}"), unit, 1


def publish(
    inputs: LayoutInputs,
    *,
    start_s: float,
    offset_s: float,
    hours: float,
    step_s: float,
    noise: Mapping[str, Noise] | None = None,
    truths: Sequence[Truth] = (),
    faults: Sequence[Fault] = (),
    seed: int = 0,
) -> Published:
    """Return what a layout's sensors would read.

    Parameters
    ----------
    inputs : LayoutInputs
    start_s, offset_s : float
        First reading [s since 1970], and its clock's distance from UTC [s]: the clock that the typical year runs on.
    hours, step_s : float
        How long [h], and the time between readings [s].
    noise : mapping of Noise, optional
        By quantity. Without it readings are exact.
    truths, faults : sequences
        As `truths_of` and `fault_of` read them.
    seed : int
        Of the noise.

    Raises
    ------
    ValueError
        If hours or step are out of range, or the layout cannot be solved.
    """
    if not (np.isfinite(hours) and 0 < hours <= 8760):
        raise ValueError(f"--hours is {hours:g}; must be above 0, at most 8760")
    if not (np.isfinite(step_s) and 1 <= step_s <= 3600 * hours):
        raise ValueError(f"--step is {step_s:g} s; must be 1 s up to the {hours:g} hours that are published")
    times = start_s + np.arange(0.0, hours * 3600.0, step_s)
    year = with_parameters(described(inputs), truths)
    at = hour_of_year(times, offset_s, year.weather.n_elements)
    if times.size <= MOST_SOLVED:  # plants switch between hours too: a line between two modes is neither
        knots, place = np.unique(at, return_inverse=True)
        part = np.zeros(times.size)
        before = after = place
    else:
        n_year, part = year.weather.n_elements, at % 1.0
        knots, place = np.unique(np.concatenate([np.floor(at), np.floor(at) + 1]) % n_year, return_inverse=True)
        before, after = place[: times.size], place[times.size :]
    solved = predicted_points(solve_steady(at_times(year, knots), range(knots.size)))
    machines = [fault for fault in faults if fault.machine]
    if len(solved) * times.size > MOST_SAMPLES:
        raise ValueError(
            f"{len(solved):,} points × {times.size:,} readings are more than {MOST_SAMPLES:,}; take a larger --step or"
            " fewer --hours"
        )
    random = np.random.default_rng(seed)
    points: Points = {}
    acting = np.array([times >= fault.start for fault in machines]).reshape(len(machines), times.size)
    plants = _plants(year, machines, acting, knots, solved)
    for name, quantity in solved:
        exact = np.full(times.size, np.nan)
        for here, solved_so in plants:
            values = solved_so.get((name, quantity), np.full(knots.size, np.nan))
            between = np.where(part > 0, values[before] * (1 - part) + values[after] * part, values[before])
            exact[here] = between[here]
        read = sensor(name, quantity, times, exact, truths, faults)
        points[name, quantity] = _noisy(quantity, times, read, (noise or {}).get(quantity), random)
    return Published(times, points, _silent(machines, acting, plants, solved))


def _plants(
    year: Described, faults: Sequence[Fault], acting: NDArray[np.bool_], knots: FloatArray, healthy: Points
) -> list[tuple[NDArray[np.bool_], Points]]:
    """Return the points of the plant with each set of machine faults that acts at some time, and when it does."""
    found = []
    for pattern in np.unique(acting, axis=1).T:
        points = healthy
        if pattern.any():
            own = [fault.machine for fault, acts in zip(faults, pattern, strict=True) if acts and fault.machine]
            points = faulty_points(year, own, knots)
        found.append((np.all(acting == pattern[:, None], axis=0), points))
    return found


def _silent(
    faults: Sequence[Fault],
    acting: NDArray[np.bool_],
    plants: Sequence[tuple[NDArray[np.bool_], Points]],
    healthy: Points,
) -> tuple[Fault, ...]:
    """Return the faults that change nothing at any time, such as a power limit that is not reached."""
    changes = np.zeros(acting.shape[1], dtype=bool)
    for here, points in plants:
        same = all(
            np.allclose(points[key], healthy[key], 1e-9, 0.0, equal_nan=True) for key in healthy if key in points
        )
        changes |= here & (not same)
    return tuple(fault for fault, acts in zip(faults, acting, strict=True) if not np.any(changes & acts))


def faulty_points(year: Described, faults: Sequence[MachineFault], knots: FloatArray | None = None) -> Points:
    """Return what a plant with machine faults has at hours of the year, or at those that the layout is already of."""
    plant = year
    for fault in faults:
        plant = with_fault(plant, fault)
    here = plant if knots is None else at_times(plant, knots)
    points = predicted_points(solve_steady(here, range(here.weather.n_elements)))
    for fault in faults:
        points = as_read(year, fault, points)
    return points


def fault_size(kind: str, size: float) -> float:
    """Return a size of 0 to 1 of a kind's range in the kind's own unit."""
    return FAULTS[kind].low + size * (FAULTS[kind].high - FAULTS[kind].low)


def sensor(
    name: str, quantity: str, times: FloatArray, exact: FloatArray, truths: Sequence[Truth], faults: Sequence[Fault]
) -> FloatArray:
    """Return what a sensor with the stated errors reads."""
    read = sensor_reads(exact, (truth for truth in truths if matches(truth.object, name, quantity)))
    for fault in (f for f in faults if f.kind in SENSOR_FAULTS and matches(f.object, name, quantity)):
        since = times >= fault.start
        size = fault_size(fault.kind, fault.size)
        if fault.kind == "sensor_gain":
            added = size * read
        else:
            days = np.maximum(times - fault.start, 0.0) / DAY_S if fault.kind == "sensor_drift" else np.ones(1)
            added = days * (size if is_sensor_temperature(quantity) else size * FRAC_PER_K * read)
        read = np.where(since, read + added, read)
    return read


def _noisy(
    quantity: str, times: FloatArray, exact: FloatArray, noise: Noise | None, random: np.random.Generator
) -> FloatArray:
    if noise is None:
        return exact
    scale = np.abs(exact) if QUANTITIES[quantity].relative else 1.0
    days = (times - times[0]) / DAY_S
    read = exact + scale * (noise.sigma * random.standard_normal(times.size) + noise.drift_per_day * days)
    return np.where(random.random(times.size) < noise.missing_frac, np.nan, read)


def usual_noise(sigmas: float) -> dict[str, Noise]:
    """Return so many usual sensor sigmas of every quantity."""
    if not (np.isfinite(sigmas) and 0 <= sigmas <= 100):
        raise ValueError(f"--noise is {sigmas:g}; must be 0 to 100 usual sensor sigmas, or a YAML file")
    return {name: Noise(sigmas * quantity.sigma) for name, quantity in QUANTITIES.items()}


def noise_of(rows: Any) -> dict[str, Noise]:
    """Read the list of a noise file: quantity, sigma, drift_per_day, missing_frac."""
    found = {}
    for where, row in _rows("noise", rows, {"quantity", "sigma", "drift_per_day", "missing_frac"}):
        quantity = row.get("quantity")
        if not isinstance(quantity, str) or quantity not in QUANTITIES:
            raise ValueError(f"{where} names quantity {quantity}; `map_telemetry --list` prints those there are")
        noise = Noise(*(_number(where, row, key, 0.0) for key in ("sigma", "drift_per_day", "missing_frac")))
        if noise.sigma < 0 or not 0 <= noise.missing_frac <= 1:
            raise ValueError(f"{where}: sigma must be 0 or more, and missing_frac 0 to 1")
        found[quantity] = noise
    return found


def truths_of(inputs: LayoutInputs, rows: Any) -> tuple[Truth, ...]:
    """Read the list of a truth file: object, parameter, value.

    Raises
    ------
    ValueError
        If an object is not of the layout, or a parameter unknown, out of range or not applied by the publishing plant.
    """
    found = []
    for where, row in _rows("truth", rows, {"object", "parameter", "value"}):
        parameter, name = str(row.get("parameter")), str(row.get("object"))
        if parameter not in PARAMETERS:
            raise ValueError(f"{where} names parameter {parameter}; there are {', '.join(PARAMETERS)}")
        if parameter not in APPLIED:
            raise ValueError(
                f"{where}: parameter {parameter} is not applied to a publishing plant yet; {', '.join(APPLIED)} are"
            )
        _known(inputs, where, name)
        kinds = APPLIED[parameter]
        feed_kind = next((feed.kind for feed in inputs.feeds if f"feed/{feed.name}" == name), "")
        if kinds and name.partition("/")[0] not in kinds and feed_kind not in kinds:
            raise ValueError(f"{where}: {parameter} belongs to {' or '.join(kinds)}, not to {name}")
        value, allowed = _number(where, row, "value"), PARAMETERS[parameter]
        if not allowed.low <= value <= allowed.high:
            raise ValueError(f"{where}: {parameter} is {value:g}; must be {allowed.low:g} to {allowed.high:g}")
        found.append(Truth(name, parameter, value))
    return tuple(found)


def fault_of(inputs: LayoutInputs, text: str) -> Fault:
    """Read `kind=…,object=…,start=…,size=…`.

    Raises
    ------
    ValueError
        If a key is missing or odd, or the object cannot have such a fault.
    """
    parts: dict[str, str] = {}
    for piece in text.split(","):
        key, equals, value = piece.partition("=")
        if equals and key.strip() in ("kind", "object", "start", "size"):
            parts[last := key.strip()] = value.strip()
        elif parts:
            parts[last] += f",{piece}"  # a name may have commas
        else:
            raise ValueError(f"--fault {text}: write kind=…,object=…,start=…,size=…")
    if missing := [key for key in ("kind", "object", "start", "size") if not parts.get(key)]:
        raise ValueError(f"--fault {text} has no {', '.join(missing)}; write kind=…,object=…,start=…,size=…")
    if parts["kind"] not in FAULTS:
        raise ValueError(f"--fault: kind {parts['kind']} is unknown; there are {', '.join(FAULTS)}")
    _known(inputs, "--fault", parts["object"])
    if parts["kind"] not in SENSOR_FAULTS and (wrong := refusal(inputs, parts["kind"], parts["object"])):
        raise ValueError(f"--fault: {wrong}")
    size = _number("--fault", parts, "size")
    if not 0 <= size <= 1:
        raise ValueError(f"--fault: size is {size:g}; must be 0 to 1 of the kind's range")
    if re.search(r"(Z|[+-]\d{2}:?\d{2})$", parts["start"]) is None or "T" not in parts["start"]:
        raise ValueError(f"--fault: start is {parts['start']}; write it with its zone, as 2026-07-01T00:00:00-05:00")
    return Fault(parts["kind"], parts["object"], parse_time(parts["start"]), size)


def _known(inputs: LayoutInputs, where: str, name: str) -> None:
    there = layout_objects(inputs)
    if name.split("|")[0] not in there and not name.startswith("workload/"):
        alike = [other for other in there if other.partition("/")[0] == name.partition("/")[0]] or there
        raise ValueError(f"{where}: {name} is no object of the layout; there are {listed(alike, 6)}")


def _rows(what: str, rows: Any, allowed: set[str]) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(f"the {what} file must be a list of entries with {', '.join(sorted(allowed))}")
    for i, row in enumerate(rows):
        if unknown := sorted(map(str, set(row) - allowed)):
            raise ValueError(f"{what}[{i}] has {unknown[0]}; there are {', '.join(sorted(allowed))}")
    return [(f"{what}[{i}]", row) for i, row in enumerate(rows)]


def _number(where: str, row: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = row.get(key, default)
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {key} is {value!r}; must be a number") from error
    if not np.isfinite(number):
        raise ValueError(f"{where}: {key} is {value!r}; must be a finite number")
    return number
