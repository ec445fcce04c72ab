"""Friction, pipes, manifolds and pumps against published and other programs' values."""

import numpy as np
import pytest

from power_cooling.fluids import hydraulics as hy

RACKS = 12


def _rack_network(losses):
    """The header of the pandapipes case: DN100, 0.6 m between take-offs, 2 x 1.5 m DN32 to and from each rack."""
    pipe = (np.full(RACKS, 1.5), np.full(RACKS, 0.032), np.full(RACKS, 1.5e-5))
    branches = (
        hy.PipeRuns(*pipe, np.broadcast_to(np.asarray(losses, dtype=float), RACKS)),
        hy.PipeRuns(*pipe, np.zeros(RACKS)),
    )
    headers = hy.PipeRuns(np.full(RACKS, 0.6), np.full(RACKS, 0.1), np.full(RACKS, 4.5e-5), np.zeros(RACKS))
    return branches, headers


@pytest.mark.parametrize(
    ("reynolds", "ratio", "factor"),
    # fluids 1.3.1
    [(1e4, 1e-5, 0.030898423052041227), (5e4, 1e-3, 0.024020783975372002), (1e6, 0.0, 0.011645040997991622)],
)
def test_colebrook_is_solved_to_rounding(reynolds, ratio, factor):
    assert hy.colebrook_friction(reynolds, ratio) == pytest.approx(factor, rel=1e-13)
    assert hy.haaland_friction(reynolds, ratio) == pytest.approx(factor, rel=0.015)


def test_friction_is_laminar_then_joins_turbulence_without_a_jump():
    assert hy.friction_factor(1000.0) == pytest.approx(0.064)
    reynolds = np.linspace(2200, 4200, 2001)
    assert np.abs(np.diff(hy.friction_factor(reynolds, 1e-4))).max() < 1e-4


def test_pipe_drop_is_the_published_one():
    # fluids 1.3.1: PG25 at 30 °C, 60 m of DN100 with ΣK = 12 at 9 kg/s.
    pipe = hy.PipeRuns(60.0, 0.1, 4.5e-5, 12.0)
    drop = hy.pressure_drop_pa(pipe, 9.0, 1019.4265929739583, 0.0017971566037618565)
    assert drop == pytest.approx(16041.9121677191, rel=1e-10)
    assert hy.pressure_drop_pa(pipe, -9.0, 1019.4265929739583, 0.0017971566037618565) == pytest.approx(-drop)
    assert hy.pressure_drop_pa(pipe, 0.0, 1019.0, 0.0018) == 0.0


def test_a_direct_return_feeds_the_near_racks_more():
    branches, headers = _rack_network(60.0)
    done = hy.solve_manifold(branches, headers, 30.0, density_kg_m3=1013.0, viscosity_pa_s=0.00132)
    # pandapipes 0.16.0, first and last racks; its Colebrook has 3.71 for 3.7, so 1e-4.
    expected = [2.516958551824914, 2.5114275600679137, 2.493146964705064, 2.493081509507495]
    assert done.branch_kg_s[[0, 1, -2, -1]] == pytest.approx(expected, rel=1e-4)
    assert done.report.converged
    assert done.branch_kg_s.sum() == pytest.approx(30.0, rel=1e-12)


def test_a_reverse_return_is_symmetric_and_more_even():
    branches, headers = _rack_network(60.0)
    done = hy.solve_manifold(branches, headers, 30.0, density_kg_m3=1013.0, viscosity_pa_s=0.00132, returning="reverse")
    assert done.branch_kg_s == pytest.approx(done.branch_kg_s[::-1], rel=1e-9)
    # pandapipes 0.16.0
    assert done.branch_kg_s[:2] == pytest.approx([2.5050443499061386, 2.502297834115069], rel=1e-4)


def test_scenarios_solve_together_as_they_do_alone():
    branches, headers = _rack_network(np.linspace(30, 150, RACKS))
    together = hy.solve_manifold(
        branches, headers, np.array([12.0, 30.0]), density_kg_m3=[1013.0, 1013.0], viscosity_pa_s=[0.00132, 0.00132]
    )
    for i, total in enumerate((12.0, 30.0)):
        alone = hy.solve_manifold(branches, headers, total, density_kg_m3=1013.0, viscosity_pa_s=0.00132)
        assert together.branch_kg_s[i] == pytest.approx(alone.branch_kg_s, rel=1e-9)


def test_a_pump_meets_its_network_where_epanet_finds_it():
    # EPANET 2.2 with K = 60, pipes of 15 mm (branches) and 45 mm (headers, mains) roughness; Swamee-Jain, so 2e-3.
    branches = hy.PipeRuns(np.full(RACKS, 3.0), np.full(RACKS, 0.032), np.full(RACKS, 0.015), np.full(RACKS, 60.0))
    headers = hy.PipeRuns(np.full(RACKS, 0.6), np.full(RACKS, 0.1), np.full(RACKS, 0.045), np.zeros(RACKS))
    mains = hy.PipeRuns(np.full(2, 5.0), np.full(2, 0.15), np.full(2, 0.045), np.zeros(2))
    flow, head, shares = hy.solve_pump_and_manifold(
        hy.PumpCurve.through(0.03, 20.0), (branches,), headers, mains, density_kg_m3=1013.0, viscosity_pa_s=0.00132
    )
    assert flow == pytest.approx(0.019696036353707314, rel=2e-3)
    assert head == pytest.approx(23.793132781982422, rel=2e-3)
    assert shares.branch_kg_s[0] / 1013.0 == pytest.approx(0.001760009559802711, rel=2e-3)


def test_a_slower_pump_moves_less_and_the_head_falls_with_its_square():
    pump = hy.PumpCurve.through(0.03, 20.0)
    assert pump.head_m(0.0) == pytest.approx(80 / 3)
    assert pump.head_m(0.0, 0.5) == pytest.approx(80 / 3 / 4)
    assert pump.head_m(0.06) == pytest.approx(0.0, abs=1e-12)


def test_pump_power_splits_into_shaft_heat_and_motor_loss():
    power, shaft = hy.pump_power_w(0.03, 250e3, pump_efficiency=0.7, motor_efficiency=0.92, drive_efficiency=0.97)
    assert shaft == pytest.approx(0.03 * 250e3 / 0.7)
    assert power == pytest.approx(12006, rel=1e-3)  # the catalogue's CDU pump


def test_equal_branches_in_parallel_resist_as_their_count_squared():
    assert hy.parallel_resistance(np.full(4, 16.0)) == pytest.approx(1.0)


def test_mixing_weighs_by_flow():
    assert hy.mixed_temperature_degc([3.0, 1.0], [40.0, 20.0]) == pytest.approx(35.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hy.PipeRuns(1.0, 0.0, 0.0, 0.0), r"PipeRuns.diameter_m\[0\] is 0; must be greater than 0"),
        (lambda: hy.PumpCurve(-1.0, 2.0), "PumpCurve.shutoff_head_m is -1 m; must be greater than 0"),
        (lambda: hy.pump_power_w(1.0, 1.0, pump_efficiency=1.2), r"pump_efficiency must be in \(0, 1\]"),
        (
            lambda: hy.solve_manifold(*_rack_network(60.0), 0.0, density_kg_m3=1013.0, viscosity_pa_s=0.001),
            "total_kg_s is 0 kg/s; must be greater than 0",
        ),
    ],
)
def test_impossible_hydraulics_are_refused_with_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_not_converging_is_an_answer():
    done = hy.solve_manifold(
        *_rack_network(60.0), 30.0, density_kg_m3=1013.0, viscosity_pa_s=0.00132, max_iterations=1, tolerance_pa=1e-12
    )
    assert not done.report.converged
    assert "out of balance" in done.report.message
