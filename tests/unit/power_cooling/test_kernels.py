"""Compiled loops of availability: states found by code, chains balanced, the next event of drawn years."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from power_cooling.availability.capacity_functions import unit_codes
from power_cooling.availability.kernels import balance, find_rows, hashed, leaving_rates, next_events
from power_cooling.availability.repairable import RepairableGroups, Subsystem

pytestmark = pytest.mark.compiled


def test_every_code_is_found_at_its_row_and_no_other():
    states = np.array(np.meshgrid(range(6), range(5), range(4))).reshape(3, -1).T
    codes = states.astype(np.uint64) @ unit_codes(3)
    rows = np.empty(codes.size, dtype=np.int64)
    find_rows(codes, codes, hashed(codes), rows)
    assert rows.tolist() == list(range(codes.size))
    find_rows(codes + np.uint64(1), codes, hashed(codes), rows)
    assert np.all(rows == -1)
    find_rows(codes[:1], codes[:0], hashed(codes[:0]), rows[:1])
    assert rows[0] == -1


def test_a_balanced_chain_is_the_solution_of_its_equations():
    rng = np.random.default_rng(7)
    flow = rng.random((30, 30)) * (rng.random((30, 30)) < 0.2)
    flow += np.diag(np.ones(29), 1) + np.diag(np.ones(29), -1)
    np.fill_diagonal(flow, 0.0)  # from column to row
    leaving = flow.sum(axis=0)
    inflows = csr_array(flow)
    probability = np.full(30, 1 / 30)
    starts, origins = inflows.indptr.astype(np.int64), inflows.indices.astype(np.int64)
    passes = balance(starts, origins, inflows.data, leaving, probability, 1e-13, 10_000)
    assert passes < 10_000
    equations = np.vstack([flow - np.diag(leaving), np.ones(30)])
    exact = np.linalg.lstsq(equations, np.append(np.zeros(30), 1.0), rcond=None)[0]
    assert probability == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("crews", [0, 1, 3])
def test_drawn_events_are_those_of_the_rates_in_order(crews):
    groups = RepairableGroups(
        ("A", "B", "C"), [3, 2, 1], [5.0, 8.0, 2.0], [4.0, 6.0, 9.0], common_cause_frac=[0.1, 0.0, 0.3]
    )
    subsystem = Subsystem("site", groups, lambda failed: np.ones(len(failed)), crews=crews)
    state = np.array(np.meshgrid(range(4), range(3), range(2))).reshape(3, -1).T.copy()
    active = np.arange(len(state))
    alone = (1 - groups.common_cause_frac) * groups.failures_per_h
    common = groups.common_cause_frac * groups.failures_per_h
    mended, leaving = np.empty(state.shape), np.empty(len(state))
    leaving_rates(state, active, groups.units, groups.crews, groups.repair_h, crews, alone, common, mended, leaving)
    running = groups.units - state
    assert mended == pytest.approx(subsystem.repairs_per_h(state))
    ways = np.hstack([running * alone, (running > 0) * common, mended]).cumsum(axis=1)
    assert leaving == pytest.approx(ways[:, -1])
    for share in (0.0, 0.2, 0.5, 0.8, 0.999):
        column, change = np.empty(len(state), dtype=np.int64), np.empty(len(state), dtype=np.int64)
        next_events(state, active, groups.units, alone, common, mended, share * leaving, column, change)
        event = np.argmax(ways > (share * ways[:, -1])[:, None], axis=1)
        assert column.tolist() == (event % 3).tolist()
        jumps = np.choose(event // 3, [1, running[active, event % 3], -1])
        assert change.tolist() == jumps.tolist()
