"""What a benchmark's client and its scripts' settings make of times to the first token."""

import numpy as np
import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.case_fields import day_text
from compute.calibration.cases import case_table, parse_case
from compute.calibration.client_habits import ClientHabits
from compute.calibration.coefficients import INDEX, LOG_INITIAL
from compute.calibration.fitting import solve_both_ways
from compute.model_shapes import model_shape_from_entry
from compute.steps.closed_loop import Scheduling, closed_loop
from compute.steps.roofline import Efficiencies, Parallelism, deployment_work, step_costs
from facility.catalogue import entries

ACCELERATORS = {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()}
MODELS = {name: model_shape_from_entry(entry) for name, entry in entries("models").items()}
ROW = {
    "source": "InferenceX",
    "measured_on": "2025-12-17",
    "engine": "sglang",
    "engine_version": "0.5.6",
    "accelerator": "b200-sxm",
    "n_accelerators": "8",
    "model": "deepseek-r1",
    "weight_precision": "fp8",
    "mode": "aggregated",
    "tensor_parallel": "8",
    "input_tokens": "8192",
    "output_tokens": "1024",
    "concurrency": "64",
}


def case(**change):
    return parse_case(ROW | change, ACCELERATORS, MODELS)


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({}, 30),
        ({"concurrency": "16"}, 30),
        ({"concurrency": "15"}, 10),
        ({"n_accelerators": "4", "tensor_parallel": "4"}, 10),
        ({"n_accelerators": "4", "tensor_parallel": "4", "weight_precision": "fp4"}, 30),
        ({"tensor_parallel": "1", "data_parallel": "8", "expert_parallel": "8"}, 1),
        ({"accelerator": "mi300x"}, 4),
        ({"accelerator": "h200-sxm"}, 1),
        ({"engine": "trtllm"}, 1),
        ({"source": ""}, 1),  # one's own engine keeps its default
        ({"source": "ML.ENERGY"}, 1),
    ],
)
def test_how_often_an_engine_looks_for_new_requests_follows_the_benchmarks_scripts(change, steps):
    assert case(**change).habits.look_steps == steps


@pytest.mark.parametrize(
    ("change", "requests"),
    [
        ({}, 50),
        ({"input_tokens": "1024", "output_tokens": "8192"}, 20),
        ({"accelerator": "mi355x"}, 50),
        ({"accelerator": "mi355x", "engine": "atom", "weight_precision": "fp4"}, 50),
        ({"weight_precision": "fp4"}, 10),
        ({"accelerator": "h200-sxm"}, 10),
        ({"accelerator": "mi300x"}, 10),
        ({"measured_on": "2026-01-21"}, 10),
        ({"measured_on": ""}, 10),
    ],
)
def test_how_many_requests_a_client_sends_follows_its_day(change, requests):
    assert 1 / case(**change).habits.start_frac == pytest.approx(requests)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", ""),
        ("2025", "2025"),
        ("2025-12", "2025-12"),
        ("2025-12 (approx.)", "2025-12"),
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02T09:30:00Z", "2026-01-02"),
        ("20260102-093000", "2026-01-02"),
    ],
)
def test_a_date_is_read_as_far_as_it_is_known(written, meant):
    assert day_text(written) == meant


@pytest.mark.parametrize(
    "written", ["2026-1-2", "21.01.2026", "01/21/2026", "yesterday", "2026-13-01", "2026-01-32", "20"]
)
def test_a_date_that_texts_would_put_on_the_wrong_side_is_refused(written):
    with pytest.raises(ValueError, match="measured_on is .*; write it as 2026-01-21"):
        case(measured_on=written)


def test_a_client_warms_up_since_its_day_and_says_so():
    assert not case().habits.warms_up
    assert case(measured_on="2026-01-21").habits.warms_up
    assert case(measured_on="").habits.warms_up
    assert case().habits.described() == (
        "50 requests for each in flight, not warmed up, a look for new requests every 30 steps"
    )
    assert ClientHabits().described() == "10 requests for each in flight, warmed up"


def test_pools_apart_are_measured_warm_and_look_before_each_step():
    apart = case(
        mode="disaggregated",
        n_accelerators="16",
        prefill_accelerators="8",
        decode_accelerators="8",
    )
    assert apart.habits == ClientHabits(start_frac=0.1, warms_up=True, look_steps=1.0)


def test_fewer_of_many_requests_are_sent_at_the_start():
    cases = case_table([case(concurrency="2"), case(concurrency="2", measured_on="2026-02-01")])
    values = np.tile(LOG_INITIAL, (2, 1))
    values[:, INDEX["warm_s"]] = np.log(0.5)
    before, now = solve_both_ways(cases, values)[0].state.burst_s
    shared = solve_both_ways(cases, values)[0].state.prefill_s[0]
    burst = np.exp(LOG_INITIAL[INDEX["burst"]])
    assert before == pytest.approx((burst * shared + 0.5) / 5, rel=0.02)  # one in fifty, not in ten
    assert now == pytest.approx(burst * shared, rel=0.02)  # warm


def test_looking_every_thirty_steps_costs_half_of_them_and_what_else_was_found():
    work = deployment_work(ACCELERATORS["b200-sxm"], MODELS["deepseek-r1"], Parallelism(8), weight_precision="fp8")
    costs = step_costs(work, Efficiencies(*(np.float64(0.5),) * 6, *(np.float64(1e-5),) * 8))
    scheduling = Scheduling(*(np.float64(v) for v in (0.01, 1.0, 0.0, 1.0, 0.0, 0.0)))
    loop = {"input_tokens": 8192.0, "output_tokens": 1025.0}
    for in_flight in (1.0, 32.0):
        always = closed_loop(costs, scheduling, concurrency=in_flight, **loop)
        seldom = closed_loop(costs, scheduling, concurrency=in_flight, look_steps=30.0, **loop)
        beside = 29 / 1024 * (in_flight - 1) * seldom.prefill_s
        waited = seldom.ttft_s - always.ttft_s
        assert waited == pytest.approx(29 / 2 * seldom.decode_step_s + beside, rel=0.05)
        held = seldom.requests_per_s * (seldom.ttft_s + 1024 * seldom.itl_s)
        assert held == pytest.approx(in_flight, rel=1e-9)  # Little's law
