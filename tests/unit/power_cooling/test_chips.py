import numpy as np
import pytest
from scipy.optimize import brentq

from power_cooling.racks.chips import chip_power_scalar, clock_from_share_scalar, clock_share_scalar, solve_junctions


@pytest.mark.slow
def test_junctions_agree_with_brent_on_a_thousand_chips():
    rng = np.random.default_rng(7)
    n = 1000
    coolant, r_th = rng.uniform(20, 60, n), rng.uniform(0.01, 0.05, n)
    static, dynamic = rng.uniform(150, 400, n), rng.uniform(0, 1000, n)
    leak, alpha, cap = rng.uniform(20, 120, n), rng.uniform(0.005, 0.015, n), rng.uniform(300, 1400, n)
    state = solve_junctions(
        coolant, r_th, static, dynamic, leakage_w=leak, leakage_per_k=alpha, power_limit_w=cap, throttle_degc=87.0
    )
    assert not state.runaway.any()
    for i in range(n):

        def excess(t, i=i):
            growth = np.exp(alpha[i] * (t - 65.0))
            held = min(leak[i], static[i])
            power = chip_power_scalar(t, growth, static[i], dynamic[i], held, alpha[i], cap[i], 87.0, 0.05, 0.3, 0.25)
            return t - coolant[i] - r_th[i] * power[0]

        root = brentq(excess, coolant[i] - 1, 165, xtol=1e-12, rtol=1e-14)
        assert state.junction_degc[i] == pytest.approx(root, abs=1e-9)  # reach of the issue


def test_power_without_leakage_and_limits_is_the_linear_balance():
    state = solve_junctions(40.0, 0.03, 200.0, 800.0)
    assert state.power_w == pytest.approx(1000.0, abs=1e-9)
    assert state.junction_degc == pytest.approx(70.0, abs=1e-9)
    assert state.clock_frac == 1.0


def test_a_cap_sets_power_and_the_clock_that_leaves_it():
    state = solve_junctions(30.0, 0.02, 200.0, 800.0, power_limit_w=700.0, leakage_w=100.0)
    assert state.capped
    assert state.power_w == pytest.approx(700.0, abs=1e-9)
    leaked = 100.0 * np.exp(0.010 * (state.junction_degc - 65.0))
    share = (700.0 - 200.0 + 100.0 - leaked) / 800.0
    assert clock_share_scalar(float(state.clock_frac), 0.25) == pytest.approx(share, abs=1e-12)


def test_the_cap_does_not_push_the_clock_below_its_least():
    state = solve_junctions(30.0, 0.02, 400.0, 600.0, power_limit_w=300.0, min_clock_frac=0.5)
    assert state.clock_frac == 0.5
    assert state.power_w == pytest.approx(400 + 600 * clock_share_scalar(0.5, 0.25))


def test_a_hot_chip_throttles_on_the_stated_slope():
    state = solve_junctions(70.0, 0.03, 200.0, 1000.0, throttle_degc=87.0, throttle_frac_per_k=0.05)
    assert state.throttled
    assert state.clock_frac == pytest.approx(1 - 0.05 * (state.junction_degc - 87.0), abs=1e-9)
    assert 87.0 < state.junction_degc < 87.0 + 1 / 0.05


def test_a_chip_without_coolant_margin_is_tripped():
    assert solve_junctions(110.0, 0.02, 300.0, 500.0, trip_degc=105.0).tripped


def test_runaway_is_flagged_and_the_lowest_root_given():
    # 0.2 K/W * 0.03 /K * 150 W * growth passes 1 near 69 degC: two roots below the search limit, or none.
    cool = solve_junctions(
        10.0, 0.2, 150.0, 20.0, leakage_w=150.0, leakage_per_k=0.03, throttle_degc=400, trip_degc=500
    )
    assert cool.runaway
    assert not cool.tripped
    assert cool.power_slope_w_per_k * 0.2 < 1  # the stable one of the two
    lost = solve_junctions(
        60.0, 0.2, 150.0, 20.0, leakage_w=150.0, leakage_per_k=0.03, throttle_degc=400, trip_degc=500
    )
    assert lost.tripped


@pytest.mark.parametrize("phi", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("linear", [0.0, 0.25, 1.0])
def test_the_clock_law_inverts(phi, linear):
    assert clock_from_share_scalar(clock_share_scalar(phi, linear), linear) == pytest.approx(phi, abs=1e-7)


def test_a_negative_resistance_is_refused_by_name():
    with pytest.raises(ValueError, match="r_th_k_per_w is -0.1"):
        solve_junctions(30.0, -0.1, 100.0, 100.0)
