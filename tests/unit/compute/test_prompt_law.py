"""How lengths vary, what long prompts do to those behind them, and the percentiles that follow."""

from dataclasses import replace

import numpy as np
import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.steady.instances import build_instances, within_context
from compute.steady.load_lines import both_phases_line, decode_line, paired_line
from compute.steady.open_loop import keeps_targets, open_arrivals
from compute.steady.prompt_law import PromptTimes, prompt_times
from compute.steps.roofline import Parallelism
from compute.workload import LatencyTargets, Workload, length_points
from facility.catalogue import entries

MODEL = model_shape_from_entry(entries("models")["llama-3.1-70b"])
CALM = Workload(4000, 400)
VARIED = replace(CALM, input_variation=2.0, output_variation=1.0, most_input_tokens=100_000)
TARGETS = LatencyTargets(3.0, 0.05)


@pytest.fixture(scope="module")
def column():
    instances, _ = build_instances(
        coefficient_set(),
        accelerator_from_entry(entries("accelerators")["h200-sxm"]),
        MODEL,
        CALM,
        [Parallelism(4), Parallelism(8)],
        ["fp8"],
        engine="vllm",
    )
    return instances.columns()


def test_points_have_the_moments_of_their_law():
    tokens, share = length_points(4000.0, 1.0, np.inf)
    assert share.sum() == pytest.approx(1)
    assert share @ tokens == pytest.approx(4000, rel=1e-9)
    assert share @ tokens**2 == pytest.approx(4000**2 * 2, rel=0.02)  # (1 + variation²) mean²
    assert np.all(np.diff(tokens) > 0)
    # 95 % of a log-normal law of unit variation lie below exp(z sigma - sigma² / 2) means
    sigma = np.sqrt(np.log(2))
    below = share[tokens < 4000 * np.exp(1.6449 * sigma - sigma**2 / 2)].sum()
    assert below == pytest.approx(0.95, abs=0.02)


def test_points_are_cut_at_the_longest_and_one_where_nothing_varies():
    tokens, share = length_points(4000.0, 3.0, 20_000.0)
    assert tokens.max() == 20_000
    assert share @ tokens < 4000
    tokens, share = length_points(4000.0, 0.0, np.inf)
    assert (tokens.tolist(), share.tolist()) == ([4000.0], [1.0])


def test_long_answers_are_met_more_often():
    assert CALM.generated_tokens == 200
    assert VARIED.generated_tokens == pytest.approx(400, rel=0.02)  # half of mean (1 + variation²)


def test_moments_mix_prompts_that_find_and_that_lost_their_context():
    times = PromptTimes(np.array([[[1.0, 3.0]]]), np.array([[[10.0, 30.0]]]), np.array([0.5, 0.5]))
    kept = np.array([[1.0, 0.5, 0.0]])
    assert times.moment(kept, 1).tolist() == [[2.0, 11.0, 20.0]]
    assert times.moment(kept, 2).tolist() == [[5.0, 252.5, 500.0]]
    assert times.kinds_s(np.array([[0.5]])).tolist() == [[[1.0, 3.0, 1.5, 3.5, 10.0, 30.0]]]
    weights = times.weights(kept, np.array([[0.0, 0.25, 0.0]]))
    assert weights[0, 1].tolist() == [0.125] * 4 + [0.25] * 2
    assert weights.sum(axis=-1).tolist() == [[1.0, 1.0, 1.0]]


def test_long_prompts_take_more_than_their_share(column):
    kept = np.ones((1, 1))
    calm, varied = (prompt_times(column.costs, workload).moment(kept, 1) for workload in (CALM, VARIED))
    assert np.all(varied > 1.05 * calm)  # attention grows with the square of length


def test_percentiles_invert_the_shares_within(column):
    line = both_phases_line(column, VARIED)
    rates = 0.6 * line.requests_per_s[:, -1:]
    state = open_arrivals(line, rates, VARIED, TARGETS)
    assert np.all(state.ttft_p50_s < state.ttft_mean_s)
    assert np.all(state.ttft_mean_s < state.ttft_p95_s)
    for i in range(2):
        at = LatencyTargets(float(state.ttft_p95_s[i, 0]), float(state.itl_p95_s[i, 0]))
        # prompts of one length that do not wait take the same time: the share within steps up there
        below = LatencyTargets(at.ttft_s * (1 - 1e-4), at.itl_s)
        reached, missed = (open_arrivals(line, rates, VARIED, t).attainment_frac[i, 0] for t in (at, below))
        assert missed - 1e-4 <= 0.95**2 <= reached + 1e-4
        for less, kept in ((1.001, True), (0.999, False)):
            near = LatencyTargets(at.ttft_s * less, at.itl_s * less)
            assert keeps_targets(line, rates, VARIED, near)[i, 0] == kept


def test_varied_lengths_and_bursts_make_tails_not_medians(column):
    states = []
    for workload in (CALM, VARIED, replace(VARIED, dispersion=4.0)):
        line = both_phases_line(column, workload)
        states.append(open_arrivals(line, np.full((2, 1), 1.0), workload, TARGETS))
    calm, varied, bursty = states
    for name in ("ttft_p95_s", "itl_p95_s"):
        assert np.all(getattr(varied, name) > 1.3 * getattr(calm, name))
        assert np.all(getattr(bursty, name) > getattr(varied, name))
    assert np.all(varied.ttft_p50_s < 1.5 * calm.ttft_p50_s)


def test_prompts_read_apart_do_not_stall_generation(column):
    together = both_phases_line(column, VARIED)
    apart = paired_line(
        column, decode_line(column, VARIED), VARIED, prefill_instances=np.full(2, 2.0), decode_instances=np.ones(2)
    )
    rates = np.full((2, 1), 1.0)
    mixed, clean = (open_arrivals(line, rates, VARIED, TARGETS) for line in (together, apart))
    assert np.all(clean.itl_p95_s / clean.itl_p50_s < 1.2)
    assert np.all(mixed.itl_p95_s / mixed.itl_p50_s > 1.5)


def test_no_request_is_longer_than_the_context():
    endless = replace(VARIED, most_input_tokens=np.inf)
    assert within_context(endless, MODEL).most_input_tokens == MODEL.max_context_tokens
    assert within_context(VARIED, MODEL).most_input_tokens == 100_000
    with pytest.raises(ValueError, match=r"most_input_tokens is 10; must be at least the mean, 4000"):
        replace(CALM, most_input_tokens=10)
