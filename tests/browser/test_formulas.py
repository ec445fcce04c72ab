"""What scripts work out for themselves comes to what Python says: tables of inputs through both."""

import numpy as np
import pytest
from django.core.exceptions import ValidationError

from facility.entry.number_entry import number_read, readings
from facility.entry.units import for_scripts, measure_of
from facility.floor_plan import Footprint, check_place, overlapping_pairs
from twin.core.results.object_quantities import OVER
from twin.core.text.numbers import quantity_text
from twin.floor.colouring import in_mode
from twin.floor.plan import N_STEPS, ramp_steps, tick_percent

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]

TYPED = (
    "",
    " ",
    "5",
    "-5",
    "−5",
    "–5",
    "+0.6",
    "0,6",
    "0.6",
    ".5",
    ",5",
    "5.",
    "5,",
    "1,234",
    "1.234",
    "0,125",
    "12,3456",
    "1,234,567",
    "1.234.567",
    "1.234,5",
    "1,234.5",
    "1.234.567,8",
    "1,234,567.8",
    "12.34.567,8",
    "1,23,4",
    "1.2.3",
    "1,234.567,8",
    "1.234,",
    "1 234,5",
    "1'234.5",
    "1’234,5",
    "1\u202f234",
    "1e3",
    "1,5e-3",
    "2E+2",
    "1e400",
    "1e",
    "e3",
    "0x10",
    "Infinity",
    "NaN",
    "1_000",
    "twelve",
    "12 kW",
    "--3",
    "1.234e2",
    "999,999",
)


CALL = """async ([script, name, cases]) => {
  const called = (await import(script))[name];
  return cases.map((given) => called(...given));
}"""


@pytest.fixture
def evaluated(page, live_server):
    """Return a function that calls an exported function of a script, in the browser, with each row of arguments."""
    page.goto(f"{live_server.url}/login/")
    return lambda script, name, cases: page.evaluate(CALL, [f"/static/js/{script}", name, cases])


def or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def test_the_drawing_board_reads_numbers_as_forms_do(evaluated):
    meant = [readings(text) for text in TYPED]
    assert evaluated("number_entry.js", "readings", [[text] for text in TYPED]) == meant
    assert evaluated("number_entry.js", "numberTyped", [[text] for text in TYPED]) == [
        found[0] if found else None for found in meant
    ]
    assert evaluated("number_entry.js", "numberTyped", [[text, True] for text in TYPED]) == [
        found[0] if len(found) == 1 else None for found in meant
    ]


WITH_UNITS = (
    *(("other_power_w", text) for text in TYPED),
    *(
        ("other_power_w", f"14 {unit}")
        for unit in ("W", "kW", "KW", "MW", "mw", "mW", "BTU/hr", "tons", "hp", "°C", "x")
    ),
    *(("supply_degc", f"{number} {unit}") for number in ("75", "-4", "41.3") for unit in ("", "F", "° F", "°C", "K")),
    *(
        ("width_m", text)
        for text in ("24 in", "10'", '12"', "6 FEET", "600mm", "1 234,5 mm", "1.234,5\u202fmm", "1 2345 m")
    ),
    *(("flow_m3_per_s", text) for text in ("3 m3/h", "3 m³/hr", "3 m^3/h", "80 GPM", "60 L/min", "60 l / min", "1")),
    *(("price_usd_per_kwh", text) for text in ("$0.12/kWh", "12 ct/kWh", "120 USD/MWh", "$ 120 / MWh", "0,12")),
    *(("port_bits_per_s", text) for text in ("100 Gb/s", "100 GB/s", "100 gb/s", "100 Gbps", "400")),
    *(
        ("port_bits_per_s", f"50 {unit}")
        for unit in ("GBps", "gbps", "GBPS", "Kbps", "GBit/s", "Gib/s", "b/s", "mbit/s")
    ),
    *(("drop_pa", f"5 {unit}") for unit in ("mPa", "mpa", "Mpa", "MPa", "Mbar", "MBAR", "Bar", "KPA")),
    *(("price_usd_per_kwh", f"7 {unit}") for unit in ("m$/kWh", "M$/kWh", "K$/KWH", "$/mWh")),
    *(("flow_m3_per_s", f"60 {unit}") for unit in ("L/Min", "l/MIN", "M3/h", "Ml/s")),
    *(("other_power_w", text) for text in ("1e305 GW", "-1e305 GW", "1e307")),
    *(("load_frac", text) for text in ("7 %", "0.07", "7 percent")),
    *(("asked_per_s", text) for text in ("2 1/s", "90/min", "3e1 / h")),
    *(("n_racks", text) for text in ("12", "12 m")),
)


def read_or_none(name: str, text: str) -> float | None:
    try:
        return number_read(text, measure=measure_of(name))
    except ValidationError:
        return None


def test_the_drawing_board_reads_and_shows_units_as_forms_do(evaluated):
    table = for_scripts({name for name, _ in WITH_UNITS})
    cases = [[text, True, table, name] for name, text in WITH_UNITS]
    found = evaluated("number_entry.js", "numberTyped", cases)
    assert found == [read_or_none(name, text) for name, text in WITH_UNITS]
    assert sum(value is not None for value in found) > 60
    stored = [(name, value) for name in table["fields"] for value in (0.0, 0.1, 24.0, 1234.5678, 7e6, -3.3)]
    shown = evaluated("number_entry.js", "numberShown", [[value, table, name] for name, value in stored])
    assert shown == [measure_of(name).number(value) for name, value in stored]


def test_the_drawing_board_has_the_footprints_of_the_floor_plan(evaluated):
    objects = [
        {"x_m": 1.2, "y_m": 0.0, "width_m": 0.6, "depth_m": 1.2, "orientation_deg": turn} for turn in (0, 90, 180, 270)
    ]
    boxes = evaluated("draw/floor.js", "boxOf", [[one] for one in objects])
    for found, one in zip(boxes, objects, strict=True):
        own = Footprint.placed("rack", **one)
        assert (found["x0"], found["y0"], found["x1"], found["y1"]) == (own.x0_m, own.y0_m, own.x1_m, own.y1_m)


def test_the_drawing_board_finds_the_overlaps_that_the_server_refuses(evaluated):
    rng = np.random.default_rng(7)
    corners = rng.integers(0, 40, (60, 2)) * 0.1 + rng.choice([0.0, 0.0005, 0.0015], (60, 2))  # around a millimetre
    turns = rng.choice([0, 90, 180, 270], 60)
    prints = [
        Footprint.placed(f"rack {i}", *map(float, corner), 0.6, 1.2, int(turn))
        for i, (corner, turn) in enumerate(zip(corners, turns, strict=True))
    ]
    boxes = [{"x0": f.x0_m, "y0": f.y0_m, "x1": f.x1_m, "y1": f.y1_m} for f in prints]
    pairs = [(i, j) for i in range(len(boxes)) for j in range(i + 1, len(boxes))]
    found = evaluated("draw/floor.js", "overlap", [[boxes[i], boxes[j]] for i, j in pairs])
    overlaps = {pair for pair, by in zip(pairs, found, strict=True) if by}
    rectangles = np.array([[f.x0_m, f.y0_m, f.x1_m, f.y1_m] for f in prints])
    assert overlaps == set(overlapping_pairs(rectangles))
    assert 100 < len(overlaps) < len(pairs) / 2
    for i, j in pairs[::7]:
        assert is_refused(prints[i], prints[j]) == ((i, j) in overlaps)


class WideFloor:
    name, width_m, depth_m = "hall", 100.0, 100.0


def is_refused(footprint: Footprint, other: Footprint) -> bool:
    try:
        check_place(footprint, WideFloor, [other])
    except ValidationError:
        return True
    return False


def test_scripts_write_numbers_as_templates_do(evaluated):
    values = [0.0, 1.0, 0.9995, 0.99951, 0.999996, 999.9e3, 9.996, 99.95, 1.3147e6, -0.31, 0.00347, 5.2e9, -41.26]
    units = ("W", "VA", "Wh", "J", "B/s", "°C", "%", "s", "tok/s", "tok/J", "K", "kg", "$", "$/year", "$/M tok", "")
    cases = [[value, unit] for value in values for unit in units]
    assert evaluated("quantities.js", "quantityText", cases) == [quantity_text(*case) for case in cases]


def test_the_slider_colours_as_the_server_does(evaluated):
    values = [None, -3.0, 0.0, 0.5, 1.0, *np.linspace(0, 10, 41), 11.0]
    for low, high in ((0.0, 10.0), (-3.0, 11.0), (2.0, 2.0)):
        array = np.array([np.nan if value is None else value for value in values], float)
        cases = [[value, low, high, N_STEPS] for value in values]
        assert evaluated("shading.js", "rampStep", cases) == ramp_steps(array, low, high).tolist()


def test_the_slider_places_the_limit_and_shows_modes_as_the_server_does(evaluated):
    ticks = [(tick, low, high) for tick in (-5.0, 0.0, 3.0, 10.0, 12.0) for low, high in ((0.0, 10.0), (3.0, 3.0))]
    assert evaluated("shading.js", "tickPercent", [list(case) for case in ticks]) == [tick_percent(*t) for t in ticks]
    pairs = [(used, limit) for used in (None, 0.0, 4.0, 10.04, 10.06) for limit in (None, 10.0)]
    used, limit = (np.array([np.nan if n is None else n for n in column]) for column in zip(*pairs, strict=True))
    for mode in ("used", "remaining", "limit"):
        cases = [[mode, *pair] for pair in pairs]
        assert evaluated("shading.js", "inMode", cases) == [or_none(value) for value in in_mode(mode, used, limit)]
    assert evaluated("shading.js", "isOver", [list(pair) for pair in pairs]) == (used > limit * OVER).tolist()
