"""Inputs are named in words and shown in their unit; none stands as a raw field name or a bare number."""

import re

import pytest
import yaml
from django.conf import settings

from facility.catalogue.schema import KINDS
from power_cooling.availability import solve as availability
from power_cooling.cooling import comfort
from twin.core.failures import components as failures
from twin.core.inputs import equipment
from twin.core.results import assumptions
from twin.core.text import field_names
from twin.core.text.field_names import assumption_words, fact_text, field_unit, field_words

GAP = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("name", "words", "unit"),
    [
        ("liquid_supply_max_degc", "Liquid supply max", "°C"),
        ("cop_at_35_degc", "COP at 35 °C", ""),
        ("resistance_ohm_per_m", "Resistance", "Ω/m"),
        ("non_accelerator_breakdown_w.nvlink_switch_trays", "Non accelerator breakdown: NVLink switch trays", "W"),
        ("power_supply.usable_w_nplusn", "Power supply: Usable at N+N", "W"),
        ("power_supply.efficiency_peak", "Power supply: efficiency peak", "%"),
        ("slo.ttft_p95_s", "Targets: TTFT p95", "s"),
        ("wacc_frac", "Cost of capital", "%"),
        ("accelerators_per_system", "Accelerators per system", ""),
    ],
)
def test_a_field_is_called_and_measured_as_planners_do(name, words, unit):
    assert (field_words(name), field_unit(name)) == (words, unit)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ({"mean": 4200, "p95": 16000}, "tok", "mean 4.20 k tok, p95 16.0 k tok"),
        ({"load_0_25": 0.963, "load_1_00": 0.972}, "%", "25.0 % load 96.3 %, 100 % load 97.2 %"),
        ({"ttft_p95_s": 1.5, "tpot_p95_s": None, "availability": 0.999}, "", "TTFT p95 1.50 s, availability 99.90 %"),
        ([0.965, 0.95], "%", "96.5 %, 95.0 %"),
        ("full_rack", "", "full rack"),
        ("346-480 3ph", "", "346-480 3ph"),
        (True, "", "yes"),
        (None, "W", "—"),
    ],
)
def test_values_of_every_shape_carry_their_unit(value, unit, text):
    assert fact_text(value, unit).replace(GAP, " ") == text


def test_an_assumption_says_what_it_is_of():
    assert assumption_words("wacc", "value", "1") == ("Finance and operation", "Cost of capital", "%")
    assert assumption_words("Model", "cold_plate_max_k_per_w", "1")[1:] == ("Highest resistance of a cold plate", "K/W")
    assert assumption_words("Sterling", "hourly weather", "h") == ("Sterling", "Hourly weather", "h")


def test_every_price_and_every_assumption_of_equipment_has_words():
    folder = settings.BASE_DIR / "facility" / "catalogue"
    prices = {entry["id"] for entry in yaml.safe_load((folder / "finance.yaml").read_text())["entries"]}
    assert set(field_names.VALUES) == prices
    read = (equipment, failures, comfort, availability)
    assumed = {n.removeprefix("ASSUMED_").lower() for one in read for n in vars(one) if n.startswith("ASSUMED_")}
    assert assumed <= set(field_names.OF_MODEL)


def test_no_input_of_a_run_is_shown_as_a_bare_number():
    counts = {"cycles_of_concentration", "peak_to_mean", "reference_cop", "cop_at_35_degc", "slo", "value"}
    counts |= {"user_turns_per_task", "llm_calls_per_turn", "sub_agent_fan_out", "cores"}
    assert set(assumptions.FIELDS_BY_KIND) <= set(KINDS)
    for kind, fields in assumptions.FIELDS_BY_KIND.items():
        for name in fields:
            assert name in counts or field_unit(name), f"{kind}.{name}"
            assert not re.search("_| w$", field_words(name))
