"""Load flow against a published feeder and a hall solved by another program, on retyped tables."""

import json

import numpy as np
import pytest
from scipy.optimize import fsolve

from power_cooling.electrical.load_flow import double_conversion_ups, line, radial_network, solve_load_flow, transformer
from twin.validation import electrical as scoreboard
from twin.validation.unbalanced_load_flow import four_wire_network, solve_four_wire

pytestmark = pytest.mark.slow

# M. E. Baran, F. F. Wu, IEEE Trans. Power Delivery 4(2), 1989, as corrected in common use: from, to, R ohm, X ohm,
# P kW, Q kvar at the receiving bus; 12.66 kV.
FEEDER = """
    0 1 0.0922 0.047 100 60
    1 2 0.493 0.2511 90 40
    2 3 0.366 0.1864 120 80
    3 4 0.3811 0.1941 60 30
    4 5 0.819 0.707 60 20
    5 6 0.1872 0.6188 200 100
    6 7 0.7114 0.2351 200 100
    7 8 1.03 0.74 60 20
    8 9 1.044 0.74 60 20
    9 10 0.1966 0.065 45 30
    10 11 0.3744 0.1238 60 35
    11 12 1.468 1.155 60 35
    12 13 0.5416 0.7129 120 80
    13 14 0.591 0.526 60 10
    14 15 0.7463 0.545 60 20
    15 16 1.289 1.721 60 20
    16 17 0.732 0.574 90 40
    1 18 0.164 0.1565 90 40
    18 19 1.5042 1.3554 90 40
    19 20 0.4095 0.4784 90 40
    20 21 0.7089 0.9373 90 40
    2 22 0.4512 0.3083 90 50
    22 23 0.898 0.7091 420 200
    23 24 0.896 0.7011 420 200
    5 25 0.203 0.1034 60 25
    25 26 0.2842 0.1447 60 25
    26 27 1.059 0.9337 60 20
    27 28 0.8042 0.7006 120 70
    28 29 0.5075 0.2585 200 600
    29 30 0.9744 0.963 150 70
    30 31 0.3105 0.3619 210 100
    31 32 0.341 0.5302 60 40
"""


def test_the_33_bus_feeder_loses_the_published_power():
    rows = [row.split() for row in FEEDER.strip().splitlines()]
    network = radial_network("0", 12660.0, [line(t, f, 12660.0, float(r), float(x)) for f, t, r, x, _, _ in rows])
    p, q = np.zeros((1, 33)), np.zeros((1, 33))
    for _, bus, _, _, p_kw, q_kvar in rows:
        p[0, network.index(bus)] = 1e3 * float(p_kw)
        q[0, network.index(bus)] = 1e3 * float(q_kvar)
    result = solve_load_flow(network, p, q)
    volts = np.abs(result.voltage_pu[0])
    # The published figures' last digits: 202.68 kW, 0.9131 pu at bus 18 (17 counted from 0).
    assert result.loss_w.sum() / 1e3 == pytest.approx(202.68, abs=0.005)
    assert volts.min() == pytest.approx(0.9131, abs=5e-5)
    assert network.buses[int(np.argmin(volts))] == "17"


# Side A carries all: 792 kW of racks at pf 0.98 on a busway, PDU transformer, UPS, 60 m feeder, 3 MVA transformer and
# 300 m of 13.8 kV cable, 120 kW of plant at pf 0.92. pandapower 3.3.3, Newton-Raphson to 1e-12 MVA, T model.


def hall(model: str):
    sections = [("rack 0", "pdu", 0.020), *((f"rack {i}", f"rack {i - 1}", 0.006) for i in range(1, 6))]
    return radial_network(
        "utility",
        13800.0,
        [
            line("mv", "utility", 13800.0, 0.125 * 0.3, 0.11 * 0.3),
            transformer(
                "lv",
                "mv",
                480.0,
                rating_va=3e6,
                short_circuit_frac=0.0575,
                short_circuit_resistive_frac=0.01,
                no_load_loss_w=5e3,
                no_load_current_frac=0.003,
                model=model,
            ),
            line("ups in", "lv", 480.0, 0.0155 * 0.06, 0.008 * 0.06),
            double_conversion_ups("ups out", "ups in", 480.0, rating_w=1e6, loss_frac=(0.01, 0.012, 0.018)),
            transformer(
                "pdu",
                "ups out",
                415.0,
                rating_va=1.25e6,
                short_circuit_frac=0.04,
                short_circuit_resistive_frac=0.012,
                no_load_loss_w=1.8e3,
                no_load_current_frac=0.005,
                model=model,
            ),
            *(line(bus, above, 415.0, 0.031 * km, 0.016 * km) for bus, above, km in sections),
        ],
    )


def test_a_hall_with_one_side_failed_agrees_with_pandapower():
    network = hall("t")
    p, q = np.zeros((1, len(network.buses))), np.zeros((1, len(network.buses)))
    racks = [network.index(f"rack {i}") for i in range(6)]
    p[0, racks], q[0, racks] = 132e3, 132e3 * np.tan(np.arccos(0.98))
    p[0, network.index("lv")], q[0, network.index("lv")] = 120e3, 120e3 * np.tan(np.arccos(0.92))
    result = solve_load_flow(network, p, q)
    volts = np.abs(result.voltage_pu[0])
    # pandapower's own tolerance of 1e-12 MVA leaves 1e-12 pu.
    assert volts[network.index("rack 5")] == pytest.approx(0.9812504081668454, abs=1e-10)
    assert volts[network.index("ups in")] == pytest.approx(0.9894045064922391, abs=1e-10)
    assert result.power_in_va[0, 0].real == pytest.approx(966444.5544052898, rel=1e-10)
    assert result.loss_w[0, network.index("lv")] == pytest.approx(8186.218741616846, rel=1e-8)
    assert result.current_a[0, racks[0]] == pytest.approx(1144.713299464457, rel=1e-9)


def test_an_unbalanced_busway_agrees_with_opendss():
    per_km = 0.031 + 0.016j
    lengths = [0.020, *([0.006] * 5)]
    network = four_wire_network(
        "source",
        415.0,
        [(f"rack {i}", f"rack {i - 1}" if i else "source", per_km * km) for i, km in enumerate(lengths)],
    )
    load = np.zeros((1, 7, 3), dtype=complex)
    load[0, 1:, 0] = 44e3 * (1 + 1j * np.tan(np.arccos(0.98)))
    result = solve_four_wire(network, load)
    last = result.voltage_v[0, network.index("rack 5")]
    # OpenDSS 0.14.5 stops at 1e-4 V by its own tolerance; a grounded source, diagonal impedance, single-phase load.
    assert last[0] == pytest.approx(238.26552056594952 - 0.37427134861029254j, abs=1e-4)
    assert last[3] == pytest.approx(1.3348410583083237 + 0.3742712556574084j, abs=1e-4)
    assert abs(result.current_a[0, 1, 3]) == pytest.approx(1134.8555929270312, rel=1e-6)
    assert result.loss_w.sum() == pytest.approx(2330.373899156243, rel=1e-6)


def test_the_frontier_chain_draws_the_published_power():
    # The published figures' last digits.
    assert scoreboard.frontier_power_w(90.0, 88.0)[0] == pytest.approx(7.307e6, abs=0.5e3)
    assert scoreboard.frontier_power_w(280.0, 560.0)[0] == pytest.approx(28.228e6, abs=0.5e3)


def test_every_electrical_row_of_the_scoreboard_passes(data_dir):
    rows = list(scoreboard.checks(data_dir))
    assert len(rows) > 3
    assert [row.check for row in rows if row.status != "pass"] == []


def test_missing_files_are_named_and_skipped(tmp_path):
    skipped = [row for row in scoreboard.checks(tmp_path) if row.status == "skipped"]
    assert {row.note for row in skipped} == {
        "missing electrical_hall_pandapower*.json",
        "missing electrical_opendss*.json",
        "missing electrical_case*.json",
    }


def nodal_solution(branches, loads_va, nominal_v, source_v):
    """Voltages by SciPy's root finder on the nodal current balance: no tree, no sweep."""
    n = len(branches) + 1
    admittance = np.zeros((n, n), dtype=complex)
    for a, b, ohms in branches:
        y = 1 / ohms
        admittance[a, a] += y
        admittance[b, b] += y
        admittance[a, b] -= y
        admittance[b, a] -= y

    def balance(x):
        v = np.concatenate([[source_v], x[: n - 1] + 1j * x[n - 1 :]])
        rest = v * np.conj(admittance @ v) + loads_va
        return np.concatenate([rest[1:].real, rest[1:].imag]) / nominal_v**2

    flat = np.concatenate([np.full(n - 1, source_v), np.zeros(n - 1)])
    x = fsolve(balance, flat, xtol=1e-13)
    return np.concatenate([[source_v], x[: n - 1] + 1j * x[n - 1 :]])


@pytest.mark.parametrize("seed", range(4))
def test_feeders_of_any_shape_and_load_are_met_on_the_scoreboard(seed, tmp_path):
    rng = np.random.default_rng(seed)
    n, nominal_v = int(rng.integers(5, 25)), 11e3
    ends = [(int(rng.integers(0, b)), b) for b in range(1, n)]
    ohms = rng.uniform(0.05, 0.6, n - 1) + 1j * rng.uniform(0.05, 0.6, n - 1)
    loads = np.concatenate([[0], rng.uniform(0, 2e5, n - 1) + 1j * rng.uniform(0, 1e5, n - 1)])
    branches = [(a, b, z) for (a, b), z in zip(ends, ohms, strict=True)]
    volts = nodal_solution(branches, loads, nominal_v, 1.02 * nominal_v)
    loss_w = sum(abs((volts[a] - volts[b]) / z) ** 2 * z.real for a, b, z in branches)
    folder = tmp_path / "oracles"
    folder.mkdir()
    oracle = {
        "base_kv": nominal_v / 1e3,
        "branches": [{"f": a, "t": b, "r_ohm": z.real, "x_ohm": z.imag} for a, b, z in branches[::-1]],
        "loads": [{"bus": k, "p_kw": s.real / 1e3, "q_kvar": s.imag / 1e3} for k, s in enumerate(loads) if k],
        "vm_pu": list(np.abs(volts) / nominal_v),
        "loss_kw": loss_w / 1e3,
    }
    (folder / "electrical_case_random.json").write_text(json.dumps(oracle))
    rows = [row for row in scoreboard.checks(tmp_path) if "feeder" in row.check and row.status != "skipped"]
    assert [row.status for row in rows] == ["pass", "pass"]
    assert rows[0].check == f"{n}-bus feeder: voltage"


def test_a_file_that_cannot_be_read_is_one_miss_and_stops_nothing(tmp_path):
    folder = tmp_path / "oracles"
    folder.mkdir()
    (folder / "electrical_case_looped.json").write_text(
        json.dumps(
            {
                "base_kv": 11,
                "branches": [{"f": 1, "t": 2, "r_ohm": 1, "x_ohm": 1}, {"f": 2, "t": 1, "r_ohm": 1, "x_ohm": 1}],
                "loads": [],
                "vm_pu": [1, 1],
                "loss_kw": 0,
            }
        )
    )
    (folder / "electrical_opendss.json").write_text("{}")
    rows = list(scoreboard.checks(tmp_path))
    missed = [row for row in rows if row.status == "miss"]
    assert any("electrical_case_looped.json does not serve: ValueError" in row.note for row in missed)
    assert any(row.check.startswith("Frontier chain") and row.status == "pass" for row in rows)
