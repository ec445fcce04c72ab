"""Cases under open arrivals: an idle instance, busier ones, several replicas, and a rate beyond what they sustain."""

import numpy as np
import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.cases import case_table, parse_case
from compute.calibration.coefficients import coefficient_set
from compute.calibration.fitting import solve_cases
from compute.model_shapes import model_shape_from_entry
from compute.prediction.open_arrivals import with_open_arrivals
from facility.catalogue import entries

ACCELERATORS = {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()}
MODELS = {name: model_shape_from_entry(entry) for name, entry in entries("models").items()}
CASE = {
    "engine": "vllm",
    "accelerator": "h100-sxm",
    "n_accelerators": "1",
    "model": "llama-3.1-8b",
    "weight_precision": "bf16",
    "tensor_parallel": "1",
    "input_tokens": "1000",
    "output_tokens": "200",
    "concurrency": "",
}


def answered(*asked: dict[str, str], rows=None):
    """Return the cases solved as closed loops, then with open arrivals, and the refusals."""
    table = case_table(
        [parse_case(CASE | one | {"case_id": str(i)}, ACCELERATORS, MODELS) for i, one in enumerate(asked)]
    )
    log_values = coefficient_set().log_values([case.attributes for case in table.cases])
    closed = solve_cases(table, log_values)
    open_rows = np.arange(len(asked)) if rows is None else np.array(rows)
    return closed, *with_open_arrivals(table, log_values, closed, open_rows)


def test_tokens_come_at_the_rate_of_the_requests_and_latency_grows_with_it():
    _, solved, refusals = answered(*({"request_rate_per_s": rate} for rate in ("0.01", "2", "8")))
    assert refusals == {}
    assert solved.output_tokens_per_s == pytest.approx([2.0, 400.0, 1600.0])
    assert np.all(np.diff(solved.itl_s) > 0)
    assert np.all(np.diff(solved.ttft_s) > 0)
    # Little's law: requests in service are the rate times how long each takes to decode.
    in_service = np.array([0.01, 2.0, 8.0]) * 200 * solved.itl_s
    assert solved.state.decoding == pytest.approx(in_service, rel=0.1)  # means of a ratio, and prefill beside it


def test_replicas_share_the_rate_evenly():
    alone, four = {"request_rate_per_s": "2"}, {"request_rate_per_s": "8", "n_accelerators": "4"}
    _, solved, _ = answered(alone, four)
    assert solved.itl_s[1] == pytest.approx(solved.itl_s[0], rel=1e-9)
    assert solved.output_tokens_per_s[1] == pytest.approx(4 * solved.output_tokens_per_s[0])


def test_a_rate_beyond_what_is_sustained_is_refused_with_the_most_that_is():
    _, _, refusals = answered({"request_rate_per_s": "1e4"})
    assert list(refusals) == [0]
    assert "request_rate_per_s is 10000; 1 x h100-sxm sustain at most" in refusals[0]
    most = float(refusals[0].split("at most ")[1].split()[0])
    _, _, refusals = answered(*({"request_rate_per_s": f"{share * most}"} for share in (0.95, 1.05)))
    assert list(refusals) == [1]


def test_closed_loops_beside_open_ones_stay_as_they_were():
    closed, solved, _ = answered({"concurrency": "8"}, {"request_rate_per_s": "2"}, rows=[1])
    for name in ("ttft_s", "itl_s", "output_tokens_per_s", "requests_per_s"):
        assert getattr(solved, name)[0] == getattr(closed, name)[0]
