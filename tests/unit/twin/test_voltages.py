"""Voltages at the feeds against drops worked by hand, and what the rules say of them."""

import numpy as np
import pytest

from facility.models import PowerFeed, Rack
from power_cooling.electrical.power_electronics import direct_current_line
from tests.small_inputs import sheet, small_inputs
from tests.small_site import new_rack, product, small_layout
from tests.unit.twin.test_ride_through import feed
from twin.core.inputs.feeds import loss_curve
from twin.core.inputs.voltages import busway_impedance_ohm, feed_voltages, nominal_voltages_v
from twin.core.results.findings import BLOCKING, HINT, RISK
from twin.runs.findings import layout_findings

BUSWAY = sheet("busways", facts={"voltage_v": 415, "resistance_ohm_per_m": 3.8e-5})
TRANSFORMER = sheet(
    "transformers",
    facts={
        "rating_va": 3e6,
        "primary_v": 13800,
        "secondary_v": 480,
        "impedance_frac": 0.06,
        "load_loss_full_w": 20500.0,
        "no_load_loss_w": 5200.0,
    },
)
BESIDE = {"hall_id": None, "eco_mode": False, "redundancy": "N", "length_m": 0.0, "rating_w": 3e6}


def voltages(drawn_w, *rows):
    inputs = small_inputs(feeds=[BESIDE | row for row in rows], products={"by_id": {"1": BUSWAY, "2": TRANSFORMER}})
    return inputs, feed_voltages(inputs, np.array([drawn_w], dtype=float))[0]


def test_a_sheet_of_drops_gives_resistance_and_reactance():
    # 1,250 A: 0.007 V a metre at 100 A between phases, 38 µΩ of it resistance, at a power factor of 0.9.
    ohm = busway_impedance_ohm(3.8e-5, 0.007)
    assert ohm.real == 3.8e-5
    assert ohm.imag == pytest.approx((0.007 / (3**0.5 * 100) - 3.8e-5 * 0.9) / 0.19**0.5)
    assert busway_impedance_ohm(3.8e-5, 0.005).imag == 0  # less than its own resistance


def test_a_busway_drops_by_its_current_and_half_of_its_length():
    utility, busway = feed(1, "U", "utility", None), feed(2, "B", "busway", 1, product_id=1) | {"length_m": 100.0}
    _, at = voltages([0.0, 400e3], utility, busway)
    current_a = 400e3 / 0.98 / (3**0.5 * 415)
    drop_v = 3**0.5 * current_a * 0.98 * 3.8e-3 * 9 / 16  # eight even taps: 9/16 of the way
    # The load takes constant power: the current rises as the voltage falls, by the drop itself.
    assert 1 - at[1] == pytest.approx(drop_v / 415, rel=0.02)
    assert at[0] == 1


def test_a_transformer_drops_by_its_impedance_and_a_ups_holds_its_output():
    utility, transformer = feed(1, "U", "utility", None), feed(2, "T", "transformer", 1, product_id=2)
    _, at = voltages([0.0, 2.4e6], utility, transformer)
    # u_r cos φ + u_x sin φ at 2.45 of 3 MVA, and half the square of what is across
    load = 2.4e6 / 0.98 / 3e6
    u_r, u_x = 20500 / 3e6, (0.06**2 - (20500 / 3e6) ** 2) ** 0.5
    along, across = load * (u_r * 0.98 + u_x * 0.199), load * (u_x * 0.98 - u_r * 0.199)
    assert 1 - at[1] == pytest.approx(along + across**2 / 2, rel=0.03)


def test_the_nominal_voltage_is_that_of_the_sheet_above_or_below():
    rows = (
        feed(1, "U", "utility", None),
        feed(2, "T", "transformer", 1, product_id=2),
        feed(3, "S", "switchboard", 2),
        feed(4, "B", "busway", 3, product_id=1),
    )
    inputs, at = voltages([0, 0, 0, 1e5], *rows)
    assert nominal_voltages_v(inputs).tolist() == [13800, 480, 480, 415]
    assert np.all(np.isfinite(at))


def test_direct_current_loses_and_drops_over_both_conductors():
    dc = sheet("busways", facts=BUSWAY["facts"] | {"voltage_v": 800, "current_type": "dc"}, rating_w=1e6)
    rows = [BESIDE | feed(1, "U", "utility", None), BESIDE | feed(2, "B", "busway", 1, product_id=1)]
    rows[1] |= {"length_m": 100.0, "rating_w": 1e6}
    inputs = small_inputs(feeds=rows, products={"by_id": {"1": dc}})
    at = feed_voltages(inputs, np.array([[0.0, 500e3]]))[0]
    # The exact voltage behind a resistance: V = (V0 + sqrt(V0² - 4 R P)) / 2, taps as 9/16 of the way.
    line = direct_current_line(800.0, 2 * 3.8e-3 * 9 / 16, 500e3)
    assert at[1] == pytest.approx(float(line.voltage_v) / 800, rel=1e-4)
    spread = 9 * 17 / (6 * 64)
    loss = loss_curve(inputs, inputs.feeds[1])
    assert loss.square_frac * 1e6 == pytest.approx(spread * 2 * 3.8e-3 * (1e6 / 800) ** 2)


def test_too_much_load_for_the_lines_has_no_voltage():
    utility, busway = feed(1, "U", "utility", None), feed(2, "B", "busway", 1, product_id=1) | {"length_m": 20e3}
    _, at = voltages([0.0, 3e6], utility, busway)
    assert np.isnan(at).all()


def test_a_branch_without_voltage_leaves_the_others_of_its_source_theirs():
    utility, short = feed(1, "U", "utility", None), feed(2, "B", "busway", 1, product_id=1) | {"length_m": 10.0}
    _, alone = voltages([0.0, 400e3], utility, short)
    _, at = voltages([0.0, 400e3, 3e6], utility, short, feed(3, "C", "busway", 1, product_id=1) | {"length_m": 20e3})
    assert at[:2].tolist() == alone.tolist()
    assert np.isnan(at[2])


@pytest.mark.django_db
class TestFindings:
    @pytest.fixture
    def layout(self):
        layout = small_layout()
        Rack.objects.bulk_create([new_rack(layout, name=f"A-{i}", x_m=2 + 0.6 * i) for i in range(5)])
        return layout

    def of(self, layout, rule):
        return [finding for finding in layout_findings(layout) if finding.rule == rule]

    def test_a_long_busway_is_named_with_the_failure_that_loads_it_most(self, layout):
        assert not self.of(layout, "voltage drop")
        PowerFeed.objects.filter(kind="busway").update(length_m=800)
        found = self.of(layout, "voltage drop")
        assert {f.object_name for f in found} == {"Busway-A", "Busway-B"}
        assert found[0].severity == RISK
        assert found[0].value > found[0].limit == 0.05
        assert "when" in found[0].message
        PowerFeed.objects.filter(kind="busway").update(length_m=100_000)
        assert {f.severity for f in self.of(layout, "voltage drop")} == {BLOCKING}

    def test_racks_of_alternating_current_on_a_busway_of_direct_current_are_refused(self, layout):
        assert not self.of(layout, "unlike currents")
        PowerFeed.objects.filter(name="Busway-A").update(product=product("busways", "busway-1600a-800vdc"))
        (found,) = self.of(layout, "unlike currents")
        assert (found.object_name, found.severity) == ("A-0", BLOCKING)
        assert "Busway-A gives direct current" in found.message

    def test_products_of_unlike_voltages_are_named_once_a_transformer(self, layout):
        assert not self.of(layout, "unlike voltages")
        PowerFeed.objects.filter(name="T-A").update(product=product("transformers", "xfmr-3000-dry"))
        (found,) = self.of(layout, "unlike voltages")
        assert (found.object_name, found.severity, found.value, found.limit) == ("T-A", HINT, 480, 415)
        assert "Busway-A behind it are of 415 V" in found.message
