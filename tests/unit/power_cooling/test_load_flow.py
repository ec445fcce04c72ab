"""Load flow: closed forms, refusals and collapse."""

import numpy as np
import pytest

from power_cooling.electrical.load_flow import double_conversion_ups, line, radial_network, solve_load_flow, transformer
from twin.validation.unbalanced_load_flow import four_wire_network, solve_four_wire


def one_line(resistance_ohm: float = 0.01, reactance_ohm: float = 0.0):
    return radial_network("grid", 400.0, [line("load", "grid", 400.0, resistance_ohm, reactance_ohm)])


def test_a_resistive_line_has_the_voltage_of_its_quadratic():
    network = one_line()
    result = solve_load_flow(network, [[0.0, 200e3]], [[0.0, 0.0]])
    expected = (1 + np.sqrt(1 - 4 * 0.01 * 200e3 / 400.0**2)) / 2
    # Sweeps stop at 1e-13 pu.
    assert result.voltage_pu[0, 1].real == pytest.approx(expected, abs=1e-12)
    assert result.loss_w[0, 1] == pytest.approx((1 - expected) / expected * 200e3, rel=1e-9)
    assert result.closure_rel[0] < 1e-12


def test_collapse_is_flagged_at_the_greatest_power_a_line_carries():
    network = one_line()
    limit = 400.0**2 / (4 * 0.01)
    load = np.array([[0.0, 0.9 * limit], [0.0, 1.01 * limit]])
    result = solve_load_flow(network, load, np.zeros_like(load))
    assert result.collapsed.tolist() == [False, True]
    assert np.isnan(result.voltage_pu[1]).all()
    assert not result.report.converged
    assert "1 of 2 elements have no solution" in result.report.message


def test_ups_holds_its_output_and_draws_its_input_at_its_own_power_factor():
    ups = double_conversion_ups("out", "in", 400.0, rating_w=1e5, loss_frac=(0.01, 0.02, 0.03), input_power_factor=0.9)
    network = radial_network("grid", 400.0, [line("in", "grid", 400.0, 0.02, 0.01), ups])
    p, q = np.zeros((1, 3)), np.zeros((1, 3))
    p[0, network.index("out")], q[0, network.index("out")] = 5e4, 4e4
    result = solve_load_flow(network, p, q)
    drawn = result.power_in_va[0, network.index("out")]
    assert result.voltage_pu[0, network.index("out")] == 1.0
    assert drawn.real == pytest.approx(5e4 + 1e5 * (0.01 + 0.02 * 0.5 + 0.03 * 0.25), rel=1e-12)  # rounding
    assert drawn.imag / drawn.real == pytest.approx(np.tan(np.arccos(0.9)), rel=1e-12)


@pytest.mark.parametrize("model", ["t", "pi", "secondary"])
def test_transformer_without_load_draws_its_iron_loss(model):
    winding = transformer(
        "lv",
        "grid",
        400.0,
        rating_va=1e6,
        short_circuit_frac=0.06,
        short_circuit_resistive_frac=0.01,
        no_load_loss_w=2e3,
        no_load_current_frac=0.004,
        model=model,
    )
    result = solve_load_flow(radial_network("grid", 10e3, [winding]), [[0.0, 0.0]], [[0.0, 0.0]])
    # The no-load current's own drop of 0.06 * 0.004 moves the iron loss by twice that at most.
    assert result.loss_w[0, 1] == pytest.approx(2e3, rel=5e-4)
    assert abs(result.power_in_va[0, 1]) == pytest.approx(4e3, rel=5e-4)


def test_many_elements_equal_each_alone():
    network = radial_network(
        "g",
        400.0,
        [line("a", "g", 400.0, 0.01, 0.01), line("b", "a", 400.0, 0.02, 0.01), line("c", "a", 400.0, 0.01, 0)],
    )
    p = np.random.default_rng(0).uniform(0, 5e4, (20, 4))
    together = solve_load_flow(network, p, 0.3 * p)
    for i in range(20):
        alone = solve_load_flow(network, p[i : i + 1], 0.3 * p[i : i + 1])
        np.testing.assert_allclose(together.voltage_pu[i], alone.voltage_pu[0], atol=1e-12)  # sweeps' tolerance


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ([("a", "g"), ("b", "g"), ("b", "a")], "bus 'b' is fed by 'g' and by 'a'; a meshed network"),
        ([("a", "b"), ("b", "c"), ("c", "a")], "buses form a loop: a <- b <- c <- a"),
        ([("a", "g"), ("b", "x")], "bus 'x', which feeds 'b', is not connected to the source 'g'"),
        ([("a", "g"), ("g", "a")], "'a' feeds the source 'g'"),
    ],
)
def test_a_network_that_is_not_radial_is_refused_by_name(ends, message):
    with pytest.raises(ValueError, match=message):
        radial_network("g", 400.0, [line(bus, fed_by, 400.0, 0.01, 0.0) for bus, fed_by in ends])


def test_a_line_between_voltages_is_refused():
    with pytest.raises(ValueError, match="line from 'g' .480 V. to 'a' .415 V. changes the nominal voltage"):
        radial_network("g", 480.0, [line("a", "g", 415.0, 0.01, 0.0)])


def test_a_load_that_is_not_a_number_is_refused_with_its_bus():
    with pytest.raises(ValueError, match=r"p_w\[0\] at bus load is nan"):
        solve_load_flow(one_line(), [[0.0, np.nan]], [[0.0, 0.0]])


def test_balanced_four_wire_load_equals_the_single_line_solution():
    balanced = solve_load_flow(one_line(0.01, 0.02), [[0.0, 150e3]], [[0.0, 30e3]])
    network = four_wire_network("grid", 400.0, [("load", "grid", 0.01 + 0.02j)])
    load = np.zeros((1, 2, 3), dtype=complex)
    load[0, 1] = (150e3 + 30e3j) / 3
    result = solve_four_wire(network, load)
    assert abs(result.voltage_v[0, 1, 0]) / (400 / np.sqrt(3)) == pytest.approx(
        abs(balanced.voltage_pu[0, 1]), abs=1e-12
    )
    assert abs(result.current_a[0, 1, 3]) < 1e-9
    assert result.voltage_unbalance_frac[0, 1] < 1e-12


def test_load_between_phases_leaves_the_neutral_without_current():
    network = four_wire_network("grid", 400.0, [("load", "grid", 0.01 + 0.02j)])
    phase, between = np.zeros((1, 2, 3), dtype=complex), np.zeros((1, 2, 3), dtype=complex)
    between[0, 1] = [30e3, 10e3, 0]
    result = solve_four_wire(network, phase, between)
    assert abs(result.current_a[0, 1, 3]) < 1e-9
    assert result.current_unbalance_frac[0, 1] > 0.1
    assert result.closure_rel[0] < 1e-12
