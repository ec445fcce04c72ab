"""What becomes of demand above capacity, in tokens, latencies, attainment and cost."""

import math
from dataclasses import replace

import numpy as np
import pytest

from twin.core.inputs.admission import ASSUMED_PATIENCE_S, RULES, queue, refuse
from twin.core.inputs.layout import layout_inputs
from twin.core.results.figures import Served
from twin.core.solve.simulate import described, simulate

HOUR_S = 3600.0


def test_a_queue_serves_later_what_it_could_not_serve_at_once():
    arrivals, capacity = np.array([1.0, 3.0, 1.0, 0.0, 0.0]), np.full(5, 2.0)
    door = queue(arrivals, capacity)
    assert door.served_per_s.tolist() == [1.0, 2.0, 2.0, 0.0, 0.0]
    assert door.backlog.tolist() == [0.0, 0.0, HOUR_S, 0.0, 0.0]
    assert door.longest_wait_s.tolist() == [0.0, 0.5 * HOUR_S, 0.5 * HOUR_S, 0.0, 0.0]
    assert door.refused_per_s.sum() == 0


def test_a_queue_that_empties_and_fills_again_is_that_of_every_hour():
    rng = np.random.default_rng(3)
    arrivals, capacity = rng.random(2000) * 2.0, rng.random(2000) * 2.4
    capacity[500:560] = 0.0
    left, backlog = 0.0, [0.0]
    for came, could in zip(arrivals.tolist(), capacity.tolist(), strict=True):
        most = 3600.0 * 5 * (could if could > 0 else came)
        left = min(max(left + (came - could) * HOUR_S, 0.0), most)
        backlog.append(left)
    assert queue(arrivals, capacity, 5 * HOUR_S).backlog.tolist() == backlog[:-1]


def test_nobody_waits_longer_than_patience_lasts():
    arrivals, capacity = np.full(100, 3.0), np.full(100, 1.0)
    door = queue(arrivals, capacity)
    assert door.longest_wait_s.max() == pytest.approx(ASSUMED_PATIENCE_S)
    assert door.refused_per_s[-1] == pytest.approx(2.0)
    kept = arrivals.sum() - door.served_per_s.sum() - door.refused_per_s.sum()
    assert kept * HOUR_S == pytest.approx(ASSUMED_PATIENCE_S * 1.0)


def test_a_dead_pool_serves_none_and_loses_who_waited_a_day():
    door = queue(np.full(48, 2.0), np.zeros(48))
    assert door.served_per_s.sum() == 0
    assert door.refused_per_s[-1] == pytest.approx(2.0)
    assert np.all(np.isfinite(door.wait_s))


def test_requests_are_in_time_until_the_queue_is_longer_than_the_slack():
    arrivals, capacity = np.array([3.0, 1.0, 1.0]), np.full(3, 2.0)
    door = queue(arrivals, capacity)
    # the queue grows by one request a second and is too long for 180 s of slack after 360 s; it drains as fast
    share = door.in_time_frac(arrivals, capacity, np.full(3, 180.0))
    assert share == pytest.approx([0.1, 0.1, 1.0])


def test_below_capacity_all_doors_are_open():
    arrivals, capacity = np.array([0.5, 1.0]), np.ones(2)
    for door in (queue(arrivals, capacity), refuse(arrivals, capacity)):
        assert door.served_per_s.tolist() == [0.5, 1.0]
        assert door.wait_s.tolist() == [0.0, 0.0]


@pytest.fixture(scope="module")
def run(sample_inputs):
    """Return the figures of a sample at a load, a cap and an admission rule."""
    taken = sample_inputs("sterling/gb200-nvl72")

    def answered(load: float = 0.9, cap_w: float | None = None, admission: str = "queue"):
        scenario = taken["scenario"] | {"admission": admission, "accelerator_power_limit_w": cap_w}
        scenario["workloads"] = [share | {"peak_load_frac": load} for share in scenario["workloads"]]
        return simulate(layout_inputs(taken | {"scenario": scenario})).figures

    return answered


def gets_worse(rows: list[dict], *, cost_from: int = 0) -> None:
    """Assert that what users see and what a good token costs never gets better from one row to the next."""
    good_cost = [row["cost_per_million_good_tokens_usd"] or math.inf for row in rows]
    for before, after in zip(rows, rows[1:], strict=False):
        assert after["slo_attainment_frac"] <= before["slo_attainment_frac"] + 1e-9
        assert after["ttft_p95_s"] >= before["ttft_p95_s"] * (1 - 1e-9)
        assert after["served_frac"] <= before["served_frac"] + 1e-9
    # a cap saves a little energy before it costs tokens; fixed cost is spread over more tokens up to full load
    for before, after in zip(good_cost[cost_from:], good_cost[cost_from + 1 :], strict=False):
        assert after >= before * (1 - 1e-3)


@pytest.mark.compiled
@pytest.mark.django_db
def test_overload_looks_bad_in_every_figure(run):
    gets_worse([run(load) for load in (0.5, 0.9, 1.0, 1.3, 3.0)], cost_from=2)


@pytest.mark.compiled
@pytest.mark.django_db
def test_a_power_cap_that_bites_looks_bad_in_every_figure(run):
    gets_worse([run(cap_w=share * 1200.0) for share in (1.0, 0.8, 0.6, 0.4)])


@pytest.mark.compiled
@pytest.mark.django_db
def test_each_rule_treats_the_same_overload_in_its_own_way(run):
    found = {rule: run(1.5, admission=rule) for rule in RULES}
    assert found["refuse"]["refused_frac"] > found["queue"]["refused_frac"]
    assert found["refuse"]["ttft_p95_s"] < found["queue"]["ttft_p95_s"]
    assert found["degrade"]["itl_p95_s"] > found["refuse"]["itl_p95_s"]
    for figures in found.values():
        assert figures["served_frac"] + figures["refused_frac"] == pytest.approx(1.0, abs=3e-3)  # some still wait
        assert figures["good_tokens_per_s"] <= figures["output_tokens_per_s"]
        assert figures["good_tokens_per_s"] == figures["goodput_tokens_per_s"]


@pytest.mark.django_db
@pytest.mark.parametrize("admission", ["queue", "refuse"])
def test_more_demand_and_less_clock_of_the_same_shortage_read_the_same(sample_inputs, admission):
    taken = sample_inputs("sterling/gb200-nvl72")
    year = described(layout_inputs(taken | {"scenario": taken["scenario"] | {"admission": admission}}))
    shape, left = (year.weather.n_elements, len(year.pools)), 0.75
    slow = np.column_stack([np.interp(left, p.capacity_frac, p.clock_frac) * np.ones(shape[0]) for p in year.pools])
    assert all(pool.speed(slow[:, i]) == pytest.approx(left) for i, pool in enumerate(year.pools))
    capped = Served(year.pools, slow, np.ones(shape))
    asked_more = [replace(pool, demand_per_s=pool.demand_per_s / left) for pool in year.pools]
    busier = Served(asked_more, np.ones(shape), np.ones(shape))
    for served in (capped, busier):  # some are refused, or wait for hours of less demand
        late = served.refused_per_s if admission == "refuse" else served.latency["ttft_p50_s"] > 60.0
        assert late.sum() > 0
    for name in ("requests_per_s", "refused_per_s"):
        assert getattr(capped, name) == pytest.approx(getattr(busier, name) * left, rel=1e-6, abs=1e-9)
    # a slower clock also writes slower, so that less keeps its targets of what is served
    assert capped.attainment(slice(None)) <= busier.attainment(slice(None)) < 1.0


@pytest.mark.django_db
@pytest.mark.parametrize("admission", RULES)
def test_another_demand_serves_what_a_scenario_of_that_demand_does(sample_inputs, admission):
    taken = sample_inputs("sterling/gb200-nvl72")
    year = described(layout_inputs(taken | {"scenario": taken["scenario"] | {"admission": admission}}))
    shape = (year.weather.n_elements, len(year.pools))
    clock, running = np.full(shape, 0.97), np.full(shape, 0.8)
    running[100:200] = 0.3
    served = Served(year.pools, clock, running)
    for share in (0.5, 1.0, 1.4):
        moved = [replace(pool, demand_per_s=share * pool.demand_per_s) for pool in year.pools]
        then = Served(moved, clock, running)
        made, good = served.at_demand(np.full(len(moved), share))
        assert made == pytest.approx(then.output_tokens_per_s.sum(), rel=1e-12)
        assert good == pytest.approx(then.goodput(slice(None)), rel=1e-12)


def test_a_share_of_less_than_a_rack_is_refused_with_what_it_comes_to(sample_inputs):
    """Shares are relative: 0.9 and 0.018 of 1.8 in all are half and a hundredth."""
    stored = sample_inputs("bay-area/gb300-nvl72-pod")
    [share] = stored["scenario"]["workloads"]
    shares = (0.9, 0.882, 0.018)
    stored["scenario"]["workloads"] = [share | {"accelerator_share_frac": frac} for frac in shares]
    with pytest.raises(ValueError, match=r"gets 1\.00.% of 8 racks, less than one"):
        described(layout_inputs(stored))
