"""Too few machines of a kind: no figure looks better for it, at the design hour, in a year estimated or solved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from facility.catalogue import entries
from twin.core.drill.drill import capacity_tokens_per_s
from twin.core.inputs.layout import layout_inputs
from twin.core.results.findings import run_findings
from twin.core.results.limits import shortfalls
from twin.core.solve.estimate import instant_answer
from twin.core.solve.simulate import described, simulate
from twin.core.solve.steady import DESIGN, solve_steady

#: An hour with fewer racks on needs less of the chillers than its share, so shedding in the year's hottest hours may
#: take this much off the year's ratio of energies.
HOT_HOURS_PUE = 2e-4
ESTIMATED_FRAC = 1e-3  # what an estimate promises of its figures

pytestmark = [pytest.mark.django_db, pytest.mark.compiled]


@dataclass(frozen=True)
class Kind:
    """A kind of machine: on which sample, numbers of them from enough to too few, and what is then said."""

    layout: str
    counts: tuple[int, ...]
    change: Callable[[dict[str, Any], int], None]
    said: str


def cdus(raw: dict[str, Any], n: int) -> None:
    kept: dict[str, int] = {}
    rows = []
    for row in raw["cdus"]:
        kept[row["group"]] = kept.get(row["group"], 0) + 1
        rows += [row | {"redundant_units": 0}] if kept[row["group"]] <= n else []
    raw["cdus"] = rows


def air_units(raw: dict[str, Any], n: int) -> None:
    raw["halls"][0] |= {"n_air_units": n, "n_air_units_spare": 0}


def of_plant(units: str) -> Callable[[dict[str, Any], int], None]:
    def change(raw: dict[str, Any], n: int) -> None:
        raw["plants"][1] |= {units: n, f"{units}_spare": 0}

    return change


def smaller(units: str, product: str, fact: str, value: float) -> Callable[[dict[str, Any], int], None]:
    def change(raw: dict[str, Any], n: int) -> None:
        raw["products"]["by_id"][str(raw["plants"][1][product])]["facts"][fact] = value
        of_plant(units)(raw, n)

    return change


def towers(raw: dict[str, Any], n: int) -> None:
    entry = entries("cooling_towers")["cooling-tower-3500"]
    cooler = raw["products"]["by_id"][str(raw["plants"][1]["heat_rejection_id"])]
    cooler |= {"kind": "cooling_towers", "slug": "cooling-tower-1400"}
    cooler["facts"] = dict(entry) | {"capacity_w": 1.4e6}
    raw["plants"][1] |= {"economiser": "only", "chiller_id": None, "n_chillers": 0, "n_chillers_spare": 0}
    of_plant("n_heat_rejection")(raw, n)


def ups(raw: dict[str, Any], n: int) -> None:
    raw["feeds"] = [row | ({"n_units": n} if row["kind"] == "ups" else {}) for row in raw["feeds"]]


CHILLERS = smaller("n_chillers", "chiller_id", "capacity_w", 5e5)
PUMPS = smaller("n_pumps", "pump_id", "flow_m3_per_s", 0.06)
KINDS = {
    "CDUs": Kind("sterling/gb300-nvl72", (5, 3, 2, 1), cdus, "CDU rating"),
    "air units": Kind("sterling/hgx-h200", (6, 4, 3), air_units, "air-unit rating"),
    "chillers": Kind("sterling/gb300-nvl72", (5, 2, 1), CHILLERS, "chillers rating"),
    "towers": Kind("sterling/gb300-nvl72", (5, 3, 2), towers, "coolers or towers rating"),
    "dry coolers": Kind(
        "sterling/vera-rubin-nvl72", (6, 3, 2), of_plant("n_heat_rejection"), "coolers or towers rating"
    ),
    "pumps": Kind("sterling/vera-rubin-nvl72", (3, 1), PUMPS, "facility pumps rating"),
    "UPS": Kind("sterling/gb300-nvl72", (2, 1), ups, "feed rating"),
}


@pytest.mark.parametrize("name", KINDS)
def test_fewer_machines_than_are_needed_cost_tokens_and_save_nothing(sample_inputs, name):
    kind = KINDS[name]
    capacity, figures, said = [], [], []
    for n in kind.counts:
        raw = sample_inputs(kind.layout)
        kind.change(raw, n)
        year = described(layout_inputs(raw))
        steady = solve_steady(year, [DESIGN], keep_racks=False)
        capacity.append(float(capacity_tokens_per_s(steady)[0]))
        said.append(" ".join(row.kind for row in shortfalls(steady)))
        answer = instant_answer(year)
        assert answer.converged, answer.message
        figures.append(answer.figures)
    assert kind.said not in said[0]
    assert kind.said in said[-1], said
    assert np.all(np.diff(capacity) <= 0), capacity
    assert capacity[-1] < 0.99 * capacity[0]
    good = [row["good_tokens_per_s"] for row in figures]
    assert np.all(np.diff(good) <= ESTIMATED_FRAC * good[0]), good
    assert good[-1] < good[0]
    # A year without a good token has no cost of one.
    cost = [row["cost_per_million_good_tokens_usd"] or np.inf for row in figures]
    assert cost[-1] > cost[0]
    pue = [row["pue"] for row in figures]
    assert min(pue) > pue[0] - HOT_HOURS_PUE, pue


@pytest.mark.slow
def test_a_solved_year_says_so_too_and_agrees_with_the_estimate(sample_inputs):
    runs = []
    for n in (6, 3):
        raw = sample_inputs("sterling/vera-rubin-nvl72")
        of_plant("n_heat_rejection")(raw, n)
        inputs = layout_inputs(raw)
        runs.append((simulate(inputs), instant_answer(described(inputs))))
    (enough, _), (few, estimated) = runs
    assert not any("rating" in row.message for row in run_findings(enough.details))
    assert any("coolers or towers rating" in row.message for row in run_findings(few.details))
    for name, better in (("good_tokens_per_s", 1), ("cost_per_million_good_tokens_usd", -1), ("pue", -1)):
        assert better * enough.figures[name] > better * few.figures[name], name
    # Where racks are held back clocks bend, and 52 solved hours follow a bend less closely than a sound year's.
    assert estimated.figures["good_tokens_per_s"] == pytest.approx(few.figures["good_tokens_per_s"], rel=0.1)
    assert estimated.figures["pue"] == pytest.approx(few.figures["pue"], abs=2e-3)
