"""Data-sheet points to loss curves; converters; direct-current lines."""

import numpy as np
import pytest
from scipy.optimize import nnls

from power_cooling.electrical.loss_curves import (
    curve_from_efficiency,
    harmonic_derating_frac,
    line_curve,
    transformer_curve,
    warm_resistance_ohm,
)
from power_cooling.electrical.power_electronics import (
    ConverterStage,
    converter_chain,
    direct_current_line,
    shelf_input_w,
)


def test_a_curve_is_found_again_from_its_own_efficiencies():
    load = np.array([0.1, 0.25, 0.5, 0.75, 1.0])
    loss = 0.01 + 0.012 * load + 0.018 * load**2
    curve = curve_from_efficiency(load, load / (load + loss))
    # Least squares of exact data: rounding only.
    assert curve.no_load_frac == pytest.approx(0.01, rel=1e-9)
    assert curve.proportional_frac == pytest.approx(0.012, rel=1e-9)
    assert curve.square_frac == pytest.approx(0.018, rel=1e-9)
    assert curve.efficiency_frac(1.0) == pytest.approx(1 / 1.04)


def test_two_points_are_met_and_no_term_is_negative():
    curve = curve_from_efficiency([0.5, 1.0], [0.985, 0.978])
    assert curve.efficiency_frac([0.5, 1.0]) == pytest.approx([0.985, 0.978], abs=1e-12)
    assert min(curve.no_load_frac, curve.proportional_frac, curve.square_frac) >= 0


def test_terms_are_those_of_non_negative_least_squares():
    rng = np.random.default_rng(7)
    for n, powers in ((1, [1, 2, 0]), (3, [0, 1, 2]), (5, [0, 1, 2])):
        for _ in range(20):
            load = np.sort(rng.choice(np.linspace(0.05, 1.2, 24), n, replace=False))
            terms = rng.uniform(0, 0.05, 3) * (rng.random(3) < 0.7) + 1e-6
            loss = np.maximum.accumulate((terms @ load ** [[0], [1], [2]]) * (1 + 0.05 * rng.normal(size=n)))
            curve = curve_from_efficiency(load, load / (load + loss))
            wanted = nnls(load[:, None] ** (np.array(powers) - 1.0), loss / load)[0]
            found = [(curve.no_load_frac, curve.proportional_frac, curve.square_frac)[p] for p in powers]
            assert found == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ("load", "efficiency", "message"),
    [
        ([0.5, 1.0], [0.9, 0.99], "less loss"),
        ([0.5, 1.0], [0.9, 1.1], r"efficiency_frac\[1\] is 1.1"),
        ([0.0, 1.0], [0.9, 0.9], r"load_frac\[0\] is 0"),
        ([0.5, 0.5], [0.9, 0.9], "given twice"),
        ([0.5], [0.9, 0.9], "one of each"),
    ],
)
def test_an_impossible_data_sheet_is_refused(load, efficiency, message):
    with pytest.raises(ValueError, match=message):
        curve_from_efficiency(load, efficiency)


@pytest.mark.parametrize("no_load_frac", [1e-9, 6.356711708323535e-16])
def test_a_constant_loss_near_the_rounding_of_one_is_not_refused_as_falling(no_load_frac):
    load = np.array([0.1, 0.25, 0.5, 0.75, 1.0])
    curve = curve_from_efficiency(load, load / (load + no_load_frac))
    assert curve.no_load_frac == pytest.approx(no_load_frac, abs=1e-15)  # a few roundings of an efficiency near 1


def test_transformer_and_line_curves_equal_their_losses_at_rating():
    assert transformer_curve(2.5e6, 3800, 14400).loss_frac(1.0) * 2.5e6 == pytest.approx(18200)
    current = 400e3 / (np.sqrt(3) * 415 * 0.98)
    assert line_curve(400e3, 0.004, 415, 0.98).loss_frac(1.0) * 400e3 == pytest.approx(3 * current**2 * 0.004)


def test_even_taps_leave_the_share_of_line_loss_found_by_adding_sections():
    sections = sum((1 - i / 12) ** 2 / 12 for i in range(12))
    whole, tapped = line_curve(1e5, 0.01, 415), line_curve(1e5, 0.01, 415, n_taps=12)
    assert tapped.square_frac / whole.square_frac == pytest.approx(sections, rel=1e-12)


def test_copper_at_75_degc_has_the_resistance_of_the_standard():
    assert warm_resistance_ohm(1.0, 75.0) == pytest.approx(1.21615)


def test_a_clean_current_needs_no_derating_and_harmonics_do():
    assert harmonic_derating_frac(0.1, [1.0]) == 1.0
    # F_HL = (1 + 25 * 0.04) / 1.04 by hand.
    expected = np.sqrt(1.1 / (1 + 0.1 * (1 + 25 * 0.04) / 1.04))
    assert harmonic_derating_frac(0.1, [1, 0, 0, 0, 0.2]) == pytest.approx(expected)


def test_a_converter_chain_adds_up_by_hand():
    stages = (ConverterStage(13.0, 0.98), ConverterStage(17.0, 0.96, units=4, children=16, beside_w=1000.0))
    chain = converter_chain(500.0, stages)
    node = 513 / 0.98
    chassis = (16 * node + 1000 + 4 * 17) / 0.96
    assert chain.input_w == pytest.approx(chassis)
    assert chain.load_w == pytest.approx(9000.0)
    assert sum(chain.stage_loss_w) == pytest.approx(chassis - 9000.0)


def test_a_shelf_switches_supplies_off_at_low_load():
    always = shelf_input_w(3e3, 5.5e3, 6, 0.01, 0.0, 0.02)
    staged = shelf_input_w(3e3, 5.5e3, 6, 0.01, 0.0, 0.02, least_load_frac=0.4)
    assert always == pytest.approx(3e3 + 6 * 55 + 0.02 * 3e3**2 / 33e3)
    assert staged == pytest.approx(3e3 + 55 + 0.02 * 3e3**2 / 5.5e3)


def test_a_dc_line_has_the_voltage_of_its_quadratic_and_says_when_there_is_none():
    answer = direct_current_line(800.0, 0.05, [0.0, 1e6, 3.2e6, 3.3e6])
    assert answer.voltage_v[:3] == pytest.approx([800.0, (800 + np.sqrt(640e3 - 0.2e6)) / 2, 400.0])
    assert answer.feasible.tolist() == [True, True, True, False]
    assert np.isnan(answer.loss_w[3])
    assert answer.loss_w[1] == pytest.approx(800.0 * answer.current_a[1] - 1e6)
