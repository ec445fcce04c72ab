"""Numbers on the pages of the model are those of the program."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs" / "model"
#: Page, its words with a place for each number, and where the numbers stand in the program.
NUMBERS = [
    (
        "admission",
        "those who would wait longer than patience leave; {:,.0f} s assumed",
        "twin.core.inputs.admission.ASSUMED_PATIENCE_S",
    ),
    ("availability", "beta factor, {:g} assumed", "twin.core.failures.components.ASSUMED_COMMON_CAUSE_FRAC"),
    ("bands", "end = n / (n + {:g})", "compute.calibration.uncertainty.PRIOR_UNITS"),
    ("bands", "log stretch = n / (n + {:g})", "compute.calibration.uncertainty.PRIOR_STRETCH_UNITS"),
    ("coupling", "within blocks of {:d}", "power_cooling.coupled.solve.BLOCK"),
    ("coupling", "steps are limited to {:g} k", "power_cooling.cooling.room_air.LINEAR_K"),
    ("coupling", "at most {:d} times", "twin.core.solve.simulate.MAX_LOAD_PASSES"),
    ("coupling", "moves by less than {:.0e}", "twin.core.solve.simulate.LOAD_TOLERANCE"),
    ("coupling", "in order of load, in {:d} parts", "twin.core.solve.simulate.N_PARTS"),
    ("coupling", "{:d} hours that cover load", "twin.core.solve.year_estimate.N_SOLVED"),
    ("coupling", "and the {:d} busiest", "twin.core.solve.estimate.N_BUSIEST"),
    ("cooling", "lift ≥ {:g} k", "power_cooling.cooling.chillers.LEAST_LIFT_K"),
    ("cooling", "water hotter than {:g} °c", "power_cooling.cooling.plant.HOTTEST_WATER_DEGC"),
    ("cooling", "beyond {:g} °c wet bulb", "power_cooling.cooling.towers.HIGHEST_WET_BULB_DEGC"),
    ("cooling", "every {:g} racks", "power_cooling.cooling.room_air.ASSUMED_END_REACH_RACKS"),
    ("cooling", "enthalpy h = {:.0f} t", "power_cooling.fluids.psychrometrics.DRY_AIR_J_PER_KG_K"),
    ("cooling", "+ {:.0f} w) / (1 + w)", "power_cooling.fluids.psychrometrics.VAPOUR_J_PER_KG_K"),
    ("cooling", "8 g/kg: {:,.1f} j/(kg k)", "power_cooling.cooling.room_air.AIR_CP_J_PER_KG_K"),
    ("power", "exp(-{:g} running)", "compute.steps.power.WAITING_FRAC"),
    ("power", "exp(-busy / {:g})", "compute.steps.power.ASSUMED_AWAKE_FRAC"),
    ("serving", "cut at a utilisation of {:g}", "compute.steady.open_loop.FULL"),
    ("serving", "chunks of {:,.0f} tokens", "compute.steps.closed_loop.ASSUMED_CHUNK_TOKENS"),
    ("telemetry", "cusum (k {:g}, h {:g}", "twin.core.telemetry.alarms.CUSUM_K", "twin.core.telemetry.alarms.CUSUM_H"),
    (
        "telemetry",
        "ewma ({:g}, {:g}",
        "twin.core.telemetry.alarms.EWMA_WEIGHT",
        "twin.core.telemetry.alarms.EWMA_WIDTH",
    ),
    ("telemetry", "from a gain of {:g}", "twin.core.telemetry.diagnose.LEAST_GAIN"),
    (
        "comparison",
        "{:g} where they serve the same models on the same accelerators, {:g} where one of both is the same, {:g} else",
        "twin.core.comparison.standing.SHARED_ALL",
        "twin.core.comparison.standing.SHARED_PART",
        "twin.core.comparison.standing.SHARED_NONE",
    ),
    ("comparison", "found by {:d} halvings", "twin.core.comparison.verdict.N_HALVINGS"),
    ("comparison", "temperatures by {:g} k", "twin.core.comparison.sensitivity.ASSUMED_RANGE_K"),
    (
        "serving",
        "derated {:.2f} and {:.2f}",
        "compute.steps.disaggregation.PREFILL_DERATE",
        "compute.steps.disaggregation.DECODE_DERATE",
    ),
    ("telemetry", "smoothed over {:d} rows", "twin.core.telemetry.detect.WINDOW"),
    (
        "telemetry",
        "alarm from {:g} spreads, until {:g}",
        "twin.core.telemetry.detect.ALARM_FROM",
        "twin.core.telemetry.detect.ALARM_UNTIL",
    ),
    ("transients", "(valve, {:g} s assumed)", "power_cooling.transients.solve.VALVE_TIME_S"),
    (
        "transients",
        "τ {:g} s for cdu pumps and {:g} s for facility pumps",
        "power_cooling.transients.disturbances.ASSUMED_PUMP_COAST_S",
        "power_cooling.transients.disturbances.ASSUMED_FACILITY_COAST_S",
    ),
    (
        "transients",
        "restart after {:g} s and ramp for {:g} s",
        "power_cooling.transients.disturbances.ASSUMED_CHILLER_RESTART_S",
        "power_cooling.transients.disturbances.ASSUMED_CHILLER_RAMP_S",
    ),
    ("transients", "by newton to {:.0e} of a unit's power", "power_cooling.transients.solve.NEWTON_TOLERANCE_FRAC"),
]


def value(name: str) -> float:
    module, _, constant = name.rpartition(".")
    return getattr(import_module(module), constant)


def exponent(text: str) -> str:
    """Return 1e-04 as pages write it: 1e-4."""
    return re.sub(r"e-0(\d)", r"e-\1", text)


@pytest.mark.parametrize(("page", "words", "names"), [(page, words, names) for page, words, *names in NUMBERS])
def test_a_number_on_a_page_is_the_programs(page, words, names):
    text = " ".join((PAGES / f"{page}.md").read_text(encoding="utf-8").lower().split())
    assert exponent(words.format(*(value(name) for name in names))) in text


def test_scaled_numbers_on_pages_are_the_programs():
    pages = {path.stem: " ".join(path.read_text(encoding="utf-8").split()) for path in PAGES.glob("*.md")}
    stops = 100 * value("power_cooling.transients.disturbances.ASSUMED_STOPPED_FRAC")
    assert f"stops at {stops:g} %" in pages["transients"]
    beyond = value("compute.steps.collectives.SCALEOUT_BYTES_PER_S") / 1e9
    experts = value("compute.steps.collectives.NETWORK_EXCHANGE_BYTES_PER_S") / 1e9
    assert f"beyond the scale-up domain {beyond:g} GB/s" in pages["serving"]
    assert f"expert exchanges {experts:g} GB/s" in pages["serving"]
    assert f"plus {100 * value('compute.steady.open_loop.STEP_VARIATION'):g} % assumed between" in pages["serving"]
    ranges = value("twin.core.comparison.sensitivity.ASSUMED_RANGE_FRAC")
    assert f"by {100 * ranges['estimated']:g} %, an assumption by {100 * ranges['assumed']:g} %" in pages["comparison"]
