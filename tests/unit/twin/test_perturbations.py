"""A sensible change of a sample moves every figure the right way, by a plausible size.

Instant answers stand for runs: they take the same formulas, on 52 solved hours of the year.
"""

import math
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from power_cooling.site_facts.weather import pack, unpack
from twin.core.inputs.layout import layout_inputs
from twin.core.solve.estimate import instant_answer
from twin.core.solve.simulate import described

pytestmark = [pytest.mark.django_db, pytest.mark.compiled]

SAMPLES = ("sterling/gb200-nvl72", "sterling/hgx-h200", "golden/vera-rubin-nvl72")
#: Of what users are served and how fast: what facility and prices do not touch.
SERVED = (
    "output_tokens_per_s",
    "good_tokens_per_s",
    "ttft_p95_s",
    "itl_p95_s",
    "slo_attainment_frac",
    "utilisation_frac",
)
GOOD_COST = "cost_per_million_good_tokens_usd"


def asked(raw: dict[str, Any], load: float) -> None:
    for share in raw["scenario"]["workloads"]:
        share["peak_load_frac"] = load


def priced(raw: dict[str, Any]) -> None:
    raw["scenario"]["electricity_usd_per_kwh"] = 2 * raw["site"]["region"]["facts"]["electricity_usd_per_kwh"]


def half_the_coolers(raw: dict[str, Any]) -> None:
    for plant in raw["plants"]:
        plant |= {"n_heat_rejection": max(plant["n_heat_rejection"] // 2, 1), "n_heat_rejection_spare": 0}


def without_spare_cdus(raw: dict[str, Any]) -> None:
    groups: dict[str, list[dict[str, Any]]] = {}
    for cdu in raw["cdus"]:
        groups.setdefault(cdu["group"], []).append(cdu)
    raw["cdus"] = [
        cdu | {"redundant_units": 0}
        for units in groups.values()
        for cdu in units[: len(units) - units[0]["redundant_units"]]
    ]


def at_2000_m(raw: dict[str, Any]) -> None:
    raw["site"]["elevation_m"] = 2000.0


def hotter(raw: dict[str, Any]) -> None:
    dry_bulb, humidity, pressure = unpack(b64decode(raw["weather"]["rows"]))
    raw["weather"]["rows"] = b64encode(pack(np.stack([dry_bulb + 8.0, humidity, pressure]))).decode()


def capped(raw: dict[str, Any]) -> None:
    in_use = {sheet["facts"].get("accelerator") for sheet in raw["products"]["by_id"].values()}
    chips = [sheet["facts"] for slug, sheet in raw["products"]["accelerators"].items() if slug in in_use]
    raw["scenario"]["accelerator_power_limit_w"] = 0.6 * max(chip["tdp_w"] for chip in chips)


def with_racks(raw: dict[str, Any], which: list[int]) -> None:
    racks = raw["racks"]
    raw["racks"] = {name: [values[i] for i in which] for name, values in racks.items()}
    raw["racks"]["id"] = list(range(1, len(which) + 1))
    raw["racks"]["name"] = [f"{name}-{i}" for i, name in enumerate(raw["racks"]["name"])]


def one_rack(raw: dict[str, Any]) -> None:
    with_racks(raw, [raw["racks"]["role"].index("compute")])


def ten_thousand_racks(raw: dict[str, Any]) -> None:
    n = len(raw["racks"]["id"])
    with_racks(raw, [i % n for i in range(10_000)])


def at_45_degrees(raw: dict[str, Any]) -> None:
    on_water = {cdu["plant_id"] for cdu in raw["cdus"]}
    for cdu in raw["cdus"]:
        cdu["supply_degc"] = 45.0
    for plant in raw["plants"]:
        if plant["id"] in on_water:
            plant["supply_degc"] = 40.0


def nothing_asked(raw: dict[str, Any]) -> None:
    for share in raw["scenario"]["workloads"]:
        share["requests_per_s"] = 0.0


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "as described": lambda raw: None,
    "electricity twice as dear": priced,
    "half the coolers": half_the_coolers,
    "no spare CDUs": without_spare_cdus,
    "at 2,000 m": at_2000_m,
    "8 K hotter": hotter,
    "capped at 60 %": capped,
    "load 0.2": lambda raw: asked(raw, 0.2),
    "load 1.3": lambda raw: asked(raw, 1.3),
    "load 3": lambda raw: asked(raw, 3.0),
    "nothing asked": nothing_asked,
    "one rack": one_rack,
    "10,000 racks": ten_thousand_racks,
    "coolant at 45 °C": at_45_degrees,
}


@pytest.fixture(scope="module")
def figures(sample_inputs):
    """Return a function that gives a sample's figures after a change, each solved once."""
    known: dict[tuple[str, str], dict[str, float]] = {}

    def answered(path: str, change: str = "as described") -> dict[str, float]:
        if (path, change) not in known:
            raw = sample_inputs(path)
            CHANGES[change](raw)
            found = instant_answer(described(layout_inputs(raw)))
            assert found.converged, found.message
            known[path, change] = {
                name: math.nan if value is None else float(value) for name, value in found.figures.items()
            }
        return known[path, change]

    return answered


def over(then: dict[str, float], base: dict[str, float], name: str) -> float:
    return then[name] / base[name]


@pytest.mark.parametrize("path", SAMPLES)
class TestPerturbations:
    def test_dearer_electricity_moves_money_alone(self, figures, path):
        base, then = figures(path), figures(path, "electricity twice as dear")
        assert 1.02 < over(then, base, GOOD_COST) < 1.15  # energy is a few percent of what accelerators cost
        assert {name for name in base if then[name] != base[name]} <= {n for n in base if "cost" in n}

    @pytest.mark.parametrize("change", ["half the coolers", "no spare CDUs"])
    def test_fewer_machines_cost_less_to_build_and_never_serve_more(self, figures, path, change):
        base, then = figures(path), figures(path, change)
        assert then["availability_frac"] <= base["availability_frac"] + 1e-9
        assert then["good_tokens_per_s"] <= base["good_tokens_per_s"] * (1 + 1e-9)
        assert then["ttft_p95_s"] >= base["ttft_p95_s"] * (1 - 1e-9)
        # What is not built is 0.1 to 1 % of what accelerators cost; what is lost may cost more.
        assert 0.985 < over(then, base, "cost_per_million_output_tokens_usd") < 1.03
        if then["good_tokens_per_s"] == base["good_tokens_per_s"]:
            yearly = [row["cost_per_million_output_tokens_usd"] * row["availability_frac"] for row in (then, base)]
            assert yearly[0] < yearly[1]  # of the same tokens while all of it runs
            assert then["pue"] > base["pue"]  # what is left runs harder

    def test_without_spare_cdus_the_others_pump_harder(self, figures, path):
        base, then = figures(path), figures(path, "no spare CDUs")
        assert 1.0 < over(then, base, "pue") < 1.01

    def test_height_changes_little_while_there_are_coolers_to_spare(self, figures, path):
        """Thin air takes less heat at a fan's speed, and less power: it is capacity that it costs, not energy."""
        base, then = figures(path), figures(path, "at 2,000 m")
        for name in SERVED:
            assert then[name] == pytest.approx(base[name], rel=1e-3)
        assert over(then, base, "pue") == pytest.approx(1.0, abs=0.004)

    def test_a_hotter_climate_costs_power_water_and_carbon(self, figures, path):
        base, then = figures(path), figures(path, "8 K hotter")
        assert 1.003 < over(then, base, "pue") < 1.05
        assert then["cue_kg_per_kwh"] / base["cue_kg_per_kwh"] == pytest.approx(over(then, base, "pue"))
        assert then["tokens_per_joule"] < base["tokens_per_joule"]
        assert then["peak_power_w"] > base["peak_power_w"]
        assert then[GOOD_COST] > base[GOOD_COST]
        assert base["wue_l_per_kwh"] == 0 or 1.1 < over(then, base, "wue_l_per_kwh") < 2

    def test_a_cap_takes_power_and_answers_later(self, figures, path):
        base, then = figures(path), figures(path, "capped at 60 %")
        assert then["peak_power_w"] <= base["peak_power_w"]
        assert then["tokens_per_joule"] >= base["tokens_per_joule"]  # demand is the same, at less power
        assert then["good_tokens_per_s"] <= base["good_tokens_per_s"]
        assert then["ttft_p95_s"] >= base["ttft_p95_s"]
        assert then[GOOD_COST] >= base[GOOD_COST] * (1 - 1e-3)

    def test_more_load_yields_more_per_watt_and_beyond_capacity_fewer_good_tokens(self, figures, path):
        little, base, over_full, flooded = (
            figures(path, change) for change in ("load 0.2", "as described", "load 1.3", "load 3")
        )
        rows = [little, base, over_full, flooded]
        for name, rises in (
            ("output_tokens_per_s", True),
            ("tokens_per_joule", True),
            ("utilisation_frac", True),
            ("ttft_p95_s", True),
            ("itl_p95_s", True),
            ("mean_power_w", True),
            ("pue", False),
            ("slo_attainment_frac", False),
            ("served_frac", False),
        ):
            values = [round(row[name] if rises else -row[name], 12) for row in rows]  # sums of hours are not exact
            assert values == sorted(values), name
        assert little["output_tokens_per_s"] == pytest.approx(base["output_tokens_per_s"] * 0.2 / 0.9, rel=0.01)
        assert little[GOOD_COST] > 3 * base[GOOD_COST]
        assert flooded[GOOD_COST] > over_full[GOOD_COST] > base[GOOD_COST]
        assert flooded["good_tokens_per_s"] < over_full["good_tokens_per_s"] < base["good_tokens_per_s"]
        assert flooded["utilisation_frac"] <= 1

    def test_nothing_asked_leaves_idle_power_and_no_cost_of_a_token(self, figures, path):
        base, then = figures(path), figures(path, "nothing asked")
        assert then["output_tokens_per_s"] == then["utilisation_frac"] == 0
        assert math.isnan(then[GOOD_COST])
        assert math.isnan(then["ttft_p95_s"])
        assert 0.3 < over(then, base, "mean_power_w") < 0.9
        assert base["pue"] < then["pue"] < 1.3

    def test_one_rack_in_a_whole_hall_pays_for_the_hall(self, figures, path):
        base, then = figures(path), figures(path, "one rack")
        assert then["slo_attainment_frac"] == pytest.approx(base["slo_attainment_frac"], abs=0.01)
        assert then["utilisation_frac"] == pytest.approx(base["utilisation_frac"], rel=0.02)
        assert then["pue"] > 2
        assert then["tokens_per_joule"] < 0.6 * base["tokens_per_joule"]
        assert then[GOOD_COST] > 2 * base[GOOD_COST]

    def test_a_hundred_times_the_racks_of_a_hall_trip_its_feeds(self, figures, path):
        then = figures(path, "10,000 racks")
        assert then["output_tokens_per_s"] == then["good_tokens_per_s"] == 0
        assert math.isnan(then[GOOD_COST])
        assert then["peak_power_w"] < 10e6
        assert then["availability_frac"] < figures(path)["availability_frac"]

    def test_warmer_coolant_leaks_more_and_is_cooled_for_less(self, figures, path):
        base, then = figures(path), figures(path, "coolant at 45 °C")
        assert then["pue"] <= base["pue"]
        assert then["tokens_per_joule"] <= base["tokens_per_joule"]  # leakage of the accelerators
        assert over(then, base, "tokens_per_joule") > 0.97
        for name in SERVED:
            assert then[name] == pytest.approx(base[name], rel=1e-3)


def test_a_layout_without_racks_is_refused_in_a_sentence(sample_inputs):
    raw = sample_inputs(SAMPLES[0])
    with_racks(raw, [])
    with pytest.raises(ValueError, match="The layout has no racks"):
        described(layout_inputs(raw))
