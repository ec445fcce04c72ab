"""What a drawing of racks is coloured by: the question in an address, and its answer for each rack.

A question names a quantity, a mode (used, remaining to its limit, or the limit) and a time: the whole year, as the last
run stored it, the design hour, or one hour of the year, solved now for the layout as it is described now. Colours at an
hour span its whole day, so that a slider moves colours and not their scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facility.models import Layout, Product, Rack, Weather
from twin.core.failures.rack_availability import rack_availability_frac
from twin.core.results.object_quantities import OVER, STATES
from twin.core.results.rack_quantities import BY_NAME, MADE_BY_COMPUTE, QUANTITIES, Quantity
from twin.core.solve.object_states import object_tables
from twin.core.solve.simulate import described as solvable
from twin.core.solve.steady import DESIGN, hour_rows, solve_steady
from twin.core.text.numbers import DIFFERENCE_UNITS, quantity_text
from twin.exceptions import CannotSimulate
from twin.floor.rows import FloatArray, Floor
from twin.models import Run, Scenario
from twin.runs import services, snapshot
from twin.runs.latest import LatestRun

MODES = {"used": "used", "remaining": "remaining", "limit": "limit"}
HOURS_AT_ONCE = 24


@dataclass(frozen=True, slots=True)
class Question:
    """What to colour by; `hour` is "year", "design" or an hour of the year."""

    quantity: Quantity
    mode: str
    hour: int | str
    scenario: Scenario | None
    run: LatestRun | None
    n_hours: int
    notes: tuple[str, ...] = ()  # what of the address could not be followed, and what is shown instead

    @property
    def label(self) -> str:
        """The quantity's name at this time."""
        return self.quantity.label_at(self.hour)

    @property
    def unit(self) -> str:
        """The unit of what is shown in this mode."""
        return unit_in(self.mode, self.quantity.unit)

    @property
    def when(self) -> str:
        """Which of the three times: year, design or hour."""
        return self.hour if isinstance(self.hour, str) else "hour"

    @property
    def follows_hours(self) -> bool:
        """Whether the hour slider means anything: the quantity is solved and there is a demand to solve it under."""
        return bool(self.quantity.hour and self.scenario)

    @property
    def query(self) -> dict[str, str]:
        """The question as a query of an address."""
        asked = {"colour": self.quantity.name, "mode": self.mode, "hour": str(self.hour)}
        return asked | ({"scenario": self.scenario.slug} if self.scenario else {})


@dataclass(frozen=True, slots=True, eq=False)
class Colouring:
    """A question's answer. Arrays have shape (n_racks,), in the order of `Floor.racks`; NaN where there is no value."""

    question: Question
    used: FloatArray
    limit: FloatArray
    low: float  # ends of the colours, over all hours asked at once
    high: float
    state: NDArray[np.str_]  # "", "over", "throttled" or "dead"
    is_compute: NDArray[np.bool_]
    time_label: str = ""  # "16 Jul 15:00 · 33.1 °C · load 93 %"
    notes: list[str] = field(default_factory=list)

    @property
    def shown(self) -> FloatArray:
        """What is drawn in this mode."""
        return in_mode(self.question.mode, self.used, self.limit)

    @property
    def is_over(self) -> NDArray[np.bool_]:
        """Racks above a limit: of this quantity, or of another according to their state."""
        with np.errstate(invalid="ignore"):
            return (self.used > self.limit * OVER) | (self.state == "over")

    @property
    def tick(self) -> float | None:
        """Where the legend marks the limit: of the compute rack closest to its own, or nothing left.

        Other racks are described by their rating, which they always draw; where no compute rack has a limit they count.
        """
        left = self.limit - self.used
        if np.isfinite(left[self.is_compute]).any():
            left = np.where(self.is_compute, left, np.nan)
        if self.question.mode == "limit" or not np.isfinite(left).any():
            return None
        return 0.0 if self.question.mode == "remaining" else float(self.limit[np.nanargmin(left)])


def in_mode(mode: str, used: FloatArray, limit: FloatArray) -> FloatArray:
    """Return what is used, what is left to the limit, or the limit."""
    if mode == "used":
        return used
    return limit - used if mode == "remaining" else np.where(np.isfinite(used), limit, np.nan)


def unit_in(mode: str, unit: str) -> str:
    """Return the unit of a quantity in a mode: what is left of a temperature is a difference."""
    return DIFFERENCE_UNITS["°C"] if mode == "remaining" and unit == "°C" else unit


def read_question(
    asked: Mapping[str, str], layout: Layout, *, runs: Sequence[LatestRun], scenarios: Sequence[Scenario]
) -> Question:
    """Return the question that an address asks, with notes on what of it cannot be followed."""
    notes: list[str] = []
    scenario, run = _scenario_and_run(asked, runs, scenarios, notes)
    quantity = BY_NAME.get(asked.get("colour", ""))
    if quantity is None:
        quantity = BY_NAME["power_w" if run else "rated_power_w"]
        if "colour" in asked:
            notes.append(f"There is no quantity “{asked['colour'][:40]}”; shown: {quantity.label.lower()}.")
    n_hours = _n_hours(layout, scenario)
    hour = _time(asked, quantity, scenario, run, n_hours, notes)
    mode = asked.get("mode", "used")
    if mode not in MODES or (mode != "used" and not quantity.limit):
        if mode in MODES:
            notes.append(f"No limit is stated for {quantity.label.lower()}; shown: the quantity itself.")
        mode = "used"
    return Question(quantity, mode, hour, scenario, run, n_hours, tuple(notes))


def _scenario_and_run(
    asked: Mapping[str, str], runs: Sequence[LatestRun], scenarios: Sequence[Scenario], notes: list[str]
) -> tuple[Scenario | None, LatestRun | None]:
    """Return the scenario of the address, else of its run, else of the newest run, else the first; and its run."""
    named = next((s for s in scenarios if s.slug == asked.get("scenario")), None)
    if asked.get("scenario") and named is None:
        notes.append(f"This site has no scenario “{asked['scenario'][:40]}”.")
    run = next((r for r in runs if str(r.id) == asked.get("run")), runs[0] if runs else None)
    scenario = named or next((s for s in scenarios if run and s.id == run.scenario_id), None)
    scenario = scenario or next(iter(scenarios), None)
    return scenario, next((r for r in runs if scenario and r.scenario_id == scenario.id), None)


def _n_hours(layout: Layout, scenario: Scenario | None) -> int:
    weather_id = (scenario and scenario.weather_id) or layout.site.weather_id
    return Weather.objects.filter(pk=weather_id).values_list("n_hours", flat=True).first() or 8760


def _time(
    asked: Mapping[str, str],
    quantity: Quantity,
    scenario: Scenario | None,
    run: LatestRun | None,
    n_hours: int,
    notes: list[str],
) -> int | str:
    """Return the asked time, or the nearest that this quantity has a value for."""
    text = asked.get("hour", "")
    if asked.get("when") in ("year", "design"):
        text = asked["when"]
    hour: int | str = int(text) if text.isdecimal() and len(text) <= 6 else text
    if isinstance(hour, int) and hour >= n_hours or isinstance(hour, str) and hour not in ("", "year", "design"):
        notes.append(f"“{text[:20]}” is no hour of this year: 0 to {n_hours - 1}, “design” or “year”.")
        hour = ""
    if quantity.is_described:
        return "year"
    if not quantity.hour or scenario is None:
        if hour not in ("", "year"):
            notes.append(f"{quantity.label} is known for the whole year only.")
        return "year"
    if not quantity.year or run is None:
        if hour == "year":
            why = "is solved hour by hour" if run else "needs a run for the whole year; run the year first"
            notes.append(f"{quantity.label} {why}. Shown: the design hour.")
        return hour if hour not in ("", "year") else "design"
    return hour if hour != "" else "year"


def colouring(floor: Floor, question: Question) -> Colouring:
    """Return the answer to a question; what cannot be solved is without value, and a note says why."""
    limit = rack_limits(floor, question.quantity)
    nothing = np.full(len(floor.racks), np.nan)
    state = np.full(len(floor.racks), "", dtype="<U9")
    label, notes = "", list(question.notes)
    block = nothing[None]
    if question.hour == "year" and not question.quantity.is_described:
        arrays = run_arrays(question.run)
        if arrays and question.quantity.year not in arrays:
            notes.append(f"The last run does not hold “{question.label}”; run the year again.")
        block = _possible(floor, question.quantity, rack_array(question.quantity.year, floor, arrays))[None]
        state[rack_array("throttled_hours", floor, arrays) > 0] = "throttled"
    else:
        try:
            if question.quantity.is_described:
                block = described(floor, question.quantity)[None]
            else:
                block, state, label, solver_notes = at_hour(floor, question)
                notes += solver_notes
        except (CannotSimulate, ValueError) as error:
            notes.append(f"{question.label} cannot be computed: {error}")
    at = question.hour % HOURS_AT_ONCE if isinstance(question.hour, int) and len(block) > 1 else 0
    spread = in_mode(question.mode, block, limit)
    finite = spread[np.isfinite(spread)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    is_compute = np.array([rack["role"] == Rack.Role.COMPUTE for rack in floor.racks], dtype=bool)
    return Colouring(question, block[at], limit, low, high, state, is_compute, label, notes)


def run_arrays(run: LatestRun | None) -> Mapping[str, np.ndarray]:
    """Return a run's arrays per rack; none without a run."""
    return services.run_racks(Run.objects.only("id", "racks").get(id=run.id)) if run else {}


def rack_array(name: str, floor: Floor, arrays: Mapping[str, np.ndarray]) -> FloatArray:
    """Return one of a run's arrays in the order of the floor's racks; NaN for racks that the run did not know."""
    values = np.full(len(floor.racks), np.nan)
    if name not in arrays:
        return values
    at = {int(rack_id): i for i, rack_id in enumerate(arrays["rack_id"])}
    known = [(i, at[rack["id"]]) for i, rack in enumerate(floor.racks) if rack["id"] in at]
    if known:
        here, there = np.array(known).T
        values[here] = np.asarray(arrays[name], dtype=float)[there]
    return values


def without_value(floor: Floor, quantity: Quantity) -> NDArray[np.bool_]:
    """Return which racks cannot have a value of the quantity: those that make no tokens are not bad at it."""
    made = quantity.name in MADE_BY_COMPUTE
    return np.array([made and rack["role"] != Rack.Role.COMPUTE for rack in floor.racks], dtype=bool)


def _possible(floor: Floor, quantity: Quantity, values: FloatArray) -> FloatArray:
    return np.where(without_value(floor, quantity), np.nan, values)


def block_of(hour: int | str, n_hours: int) -> list[int | str]:
    """Return the hours that are solved together with one: its day."""
    if isinstance(hour, str):
        return [hour]
    first = hour - hour % HOURS_AT_ONCE
    return list(range(first, min(first + HOURS_AT_ONCE, n_hours)))


def at_hour(floor: Floor, question: Question) -> tuple[FloatArray, NDArray[np.str_], str, list[str]]:
    """Return values of the hour's whole day, shape (n_hours, n_racks), and the hour's states, label and warnings."""
    hours = block_of(question.hour, question.n_hours)
    at = hours.index(question.hour)
    year = solvable(snapshot.inputs_now(floor.layout, question.scenario))
    steady = solve_steady(year, [DESIGN if hour == "design" else hour for hour in hours])
    tables = object_tables(steady)
    racks = tables["racks"]
    stated = dict(zip(racks.ids, STATES[racks.state[at]].tolist(), strict=True))
    state = np.array([stated.get(rack["id"], "") for rack in floor.racks], dtype="<U9")
    values = _possible(floor, question.quantity, solved_values(floor, question.quantity, tables))
    report = steady.coupled.report
    notes = [] if report.converged else [report.message]
    return values, np.where(state == "ok", "", state), hour_text(hour_rows(steady)[at]), notes


def solved_values(floor: Floor, quantity: Quantity, tables: Mapping[str, Any]) -> FloatArray:
    """Return the racks' values of a solved state, shape (n_hours, n_racks): their own, or their feed's or CDU's."""
    table = tables[quantity.part]
    columns = {key: i for i, key in enumerate(table.ids)}
    rows = np.asarray(table.values[quantity.hour], dtype=float)
    rows = np.column_stack([rows, np.full(len(rows), np.nan)])  # one more column for those without
    sides = [[columns.get(key, -1) for key in keys] for keys in links(floor, quantity)]
    return np.fmax.reduce([rows[:, side] for side in sides])


def links(floor: Floor, quantity: Quantity) -> list[list[int | None]]:
    """Return for each rack whose value it takes: itself, its CDU, or each of its feeds."""
    names = {"racks": ("id",), "cdus": ("cdu_id",), "feeds": ("feed_a_id", "feed_b_id")}[quantity.part]
    return [[rack[name] for rack in floor.racks] for name in names]


def hour_text(hour: Mapping[str, Any]) -> str:
    """Return an hour's date, weather and load in words."""
    words = [hour["label"], f"{quantity_text(hour['dry_bulb_degc'], '°C')} outside"]
    if hour.get("load_frac") is not None:
        words.append(f"load {hour['load_frac']:.0%}")
    return " · ".join(words)


def rack_limits(floor: Floor, quantity: Quantity) -> FloatArray:
    """Return the limit of a quantity per rack, NaN where none is stated."""
    match quantity.limit:
        case "":
            return np.full(len(floor.racks), np.nan)
        case "rating":
            rated = floor.rated_power_w()
            return np.where(rated > 0, rated, np.nan)
        case "floor":
            return floor.weight_limit_kg()
        case "full":
            return np.ones(len(floor.racks))
    stated = [floor.fact(rack, quantity.limit) for rack in floor.racks]
    return np.array([np.nan if limit is None else float(limit) for limit in stated], dtype=float)


def described(floor: Floor, quantity: Quantity) -> FloatArray:
    """Return a quantity that the description alone gives, NaN where it does not."""
    if quantity.name == "rated_power_w":
        rated = floor.rated_power_w()
        return np.where(rated > 0, rated, np.nan)
    return floor.weight_kg() if quantity.name == "weight_kg" else available(floor)


def available(floor: Floor) -> FloatArray:
    """Return the availability of each rack's supply, by six queries."""
    rows = {name: snapshot.table_rows(floor.layout, name) for name in ("feeds", "cdus", "halls", "plants")}
    products = snapshot.product_sheets({key for p in rows["plants"] for key in (p.heat_rejection_id, p.chiller_id)})
    return rack_availability_frac(
        [(rack["hall_id"], rack["cdu_id"], rack["feed_a_id"], rack["feed_b_id"]) for rack in floor.racks],
        **rows,
        products=products,
        reliability=dict(Product.objects.filter(kind="reliability").values_list("slug", "facts")),
    )


def offered(question: Question) -> list[tuple[str, list[Quantity]]]:
    """Return the quantities that can be chosen, in groups: solved, of the year only, and described."""
    solved = [q for q in QUANTITIES if (q.hour and question.scenario) or (q.year and q.hour and question.run)]
    return [
        ("Now or over the year", solved),
        ("Over the year", [q for q in QUANTITIES if q.year and not q.hour and question.run]),
        ("As described", [q for q in QUANTITIES if q.is_described]),
    ]
