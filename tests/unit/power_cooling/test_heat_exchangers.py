"""Effectiveness relations against values worked by hand and the printed table."""

import math

import numpy as np
import pytest

from power_cooling.fluids import heat_exchangers as hx


def test_equal_streams_in_counterflow_give_ntu_over_one_plus_ntu():
    assert hx.counterflow_effectiveness([1.0, 3.0], 1.0) == pytest.approx([0.5, 0.75], rel=1e-15)
    # Just off the singular ratio the formula must join smoothly.
    assert hx.counterflow_effectiveness(3.0, 1 - 1e-8) == pytest.approx(0.75, rel=1e-8)


@pytest.mark.parametrize("flow", hx.FLOW_TYPES)
def test_a_boiling_or_condensing_side_makes_all_arrangements_alike(flow):
    assert hx.effectiveness(1.5, 0.0, flow) == pytest.approx(1 - math.exp(-1.5), rel=1e-12)


@pytest.mark.parametrize(
    ("flow", "expected"),
    # ht 1.2.0 at NTU 1, C_min / C_max 0.5.
    [
        ("counterflow", 0.5647334016064162),
        ("parallel", 0.5179132265677134),
        ("crossflow", 0.5474898338811396),
        ("crossflow, mixed Cmin", 0.5447637120146873),
        ("crossflow, mixed Cmax", 0.5419689915689507),
        ("crossflow approximate", 0.5447637120146873),
    ],
)
def test_effectiveness_is_the_published_one(flow, expected):
    assert hx.effectiveness(1.0, 0.5, flow) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("flow", hx.FLOW_TYPES)
def test_the_inverse_returns_the_size(flow):
    ntu, ratio = np.meshgrid([0.1, 0.7, 2.0, 4.0], [0.05, 0.5, 0.95])
    back = hx.ntu_from_effectiveness(hx.effectiveness(ntu, ratio, flow), ratio, flow)
    assert back == pytest.approx(ntu, rel=1e-6)  # parallel flow near its limit loses digits


def test_exchange_conserves_heat_and_keeps_its_hand_worked_duty():
    # C_hot = 2, C_cold = 4 kW/K, UA = 2 kW/K: NTU 1, ratio 0.5, 20 K apart at the inlets.
    done = hx.exchange(2000.0, 2000.0, 4000.0, 50.0, 30.0)
    assert done.heat_w == pytest.approx(0.5647334016064162 * 2000 * 20, rel=1e-12)
    assert 2000 * (50 - done.hot_outlet_degc) == pytest.approx(done.heat_w, rel=1e-12)
    assert 4000 * (done.cold_outlet_degc - 30) == pytest.approx(done.heat_w, rel=1e-12)


def test_a_standing_side_exchanges_nothing():
    done = hx.exchange(2000.0, [0.0, 2000.0], [1000.0, 0.0], 50.0, 30.0)
    assert done.heat_w.tolist() == [0.0, 0.0]
    assert done.hot_outlet_degc.tolist() == [50.0, 50.0]


def test_a_data_sheet_point_fixes_the_conductance():
    ua = hx.ua_from_rating(1.3e6, 1.3e5, 1.6e5, 50.0, 36.0)
    done = hx.exchange(ua, 1.3e5, 1.6e5, 50.0, 36.0)
    assert done.heat_w == pytest.approx(1.3e6, rel=1e-12)


def test_a_data_sheet_point_beyond_thermodynamics_is_refused():
    with pytest.raises(ValueError, match="cannot be reached in counterflow"):
        hx.ua_from_rating(2e6, 1.3e5, 1.6e5, 50.0, 36.0)


def test_films_in_series_halve_with_two_sides_and_fade_without_flow():
    assert hx.two_sided_ua_w_per_k(1e5, 1e5, 1.0, 1.0) == pytest.approx(5e4)
    assert hx.two_sided_ua_w_per_k(1e5, 1e5, 0.5, 0.5) == pytest.approx(5e4 * 0.5**0.7)
    assert hx.two_sided_ua_w_per_k(1e5, 1e5, 0.0, 1.0) == 0.0
    assert hx.two_sided_ua_w_per_k(1e5, 1e5, 1.0, 1.0, fouling_k_per_w=2e-5) == pytest.approx(2.5e4)


@pytest.mark.parametrize(
    ("reynolds", "kumar", "martin", "muley", "friction_kumar", "friction_martin"),
    # ht 1.2.0 and fluids 1.3.1 at 60° chevrons, Pr 6.2, enlargement 1.22.
    [
        (200, 9.214155807636583, 17.64790713376443, 18.607392755453667, 1.1508912640339057, 3.392113553375356),
        (1000, 25.346209079598076, 48.72311941523067, 65.53401376673446, 0.6884518695082902, 2.050155136541199),
        (8000, 109.34156203993103, 218.23807710826335, 333.3683456655929, 0.4402600072522965, 1.76510697970243),
    ],
)
def test_plates_have_the_published_correlations(reynolds, kumar, martin, muley, friction_kumar, friction_martin):
    assert hx.plate_nusselt_kumar(reynolds, 6.2) == pytest.approx(kumar, rel=1e-10)
    assert hx.plate_nusselt_martin(reynolds, 6.2) == pytest.approx(martin, rel=1e-10)
    assert hx.plate_nusselt_muley_manglik(reynolds, 6.2) == pytest.approx(muley, rel=1e-10)
    assert hx.plate_friction_kumar(reynolds) == pytest.approx(friction_kumar, rel=1e-10)
    assert hx.plate_friction_martin(reynolds) == pytest.approx(friction_martin, rel=1e-10)


def test_an_inverted_ratio_is_refused():
    with pytest.raises(ValueError, match=r"c_ratio must be in \[0, 1\]; pass C_min / C_max, not its inverse"):
        hx.effectiveness(1.0, 1.5)
    with pytest.raises(ValueError, match="flow is 'sideways'; must be one of"):
        hx.effectiveness(1.0, 0.5, "sideways")
