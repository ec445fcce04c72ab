"""The replay's scheduler against schedules worked out by hand with round step times."""

import numpy as np
import pytest

from compute.replay.requests import AnsweredRows, RequestBatch, request_batch
from compute.replay.run import ActivityPower, ReplicaPool, replay
from compute.steps.power import PowerCoefficients
from compute.steps.step_model import StepModel

TOKENS = np.arange(4097, dtype=np.float64)


def steps(decode_s=0.01, prompt_token_s=0.001, *, kv_token_s=0.0, sequence_s=0.0, pair_s=0.0, **window):
    """A decode step takes 10 ms; a step with prompt tokens 10 ms + 1 ms each."""
    return StepModel(
        decode_s=np.full_like(TOKENS, decode_s),
        mixed_s=decode_s + prompt_token_s * TOKENS,
        sequence_s=sequence_s,
        kv_token_s=kv_token_s,
        prefill_pair_s=pair_s,
        compute_activity_s=1e-6 * TOKENS,
        memory_activity_s=np.full_like(TOKENS, 0.5 * decode_s),
        kv_token_memory_s=0.0,
        prefill_pair_compute_s=0.0,
        **window,
    )


def pool(step=None, **options) -> ReplicaPool:
    return ReplicaPool(**{"step": step or steps(), "n_replicas": 1, "kv_tokens": 1e6, "kv_block_tokens": 1, **options})


def run(batch: RequestBatch, *args, **options):
    returned: list[AnsweredRows] = []
    result = replay([batch], *args, on_rows=returned.append, **options)
    assert len(returned) >= 1
    columns = {
        name: np.concatenate([getattr(rows, name) for rows in returned])
        for name in (
            "queued_s",
            "scheduled_s",
            "first_token_s",
            "last_token_s",
            "cached_tokens",
            "n_preemptions",
            "replica",
        )
    }
    return result, columns


def requests(arrival_s, input_tokens, output_tokens, **options):
    return request_batch(np.array(arrival_s), np.array(input_tokens), np.array(output_tokens), **options)


def waited_s(result) -> float:
    """Time that requests waited, all together."""
    series = result.series[0]
    span_s = np.minimum(series.bin_width_s, result.end_s - series.start_s)
    return float((series.waiting * span_s).sum())


@pytest.mark.compiled
def test_a_lone_request_takes_one_prompt_step_and_one_step_per_further_token():
    _, rows = run(requests([1.0], [100], [5]), pool())
    # Prompt step 10 ms + 100 · 1 ms; then four steps of 10 ms.
    assert rows["first_token_s"] == pytest.approx([1.11])
    assert rows["last_token_s"] == pytest.approx([1.15])


@pytest.mark.compiled
def test_a_prompt_longer_than_the_budget_is_cut_into_chunks():
    _, rows = run(requests([0.0], [2500], [1]), pool(token_budget=1000))
    # Chunks of 1000, 1000 and 500 tokens: 3 · 10 ms + 2500 · 1 ms.
    assert rows["first_token_s"] == pytest.approx([2.53])
    assert rows["last_token_s"] == rows["first_token_s"]


@pytest.mark.compiled
def test_decoding_sequences_take_their_tokens_from_the_budget_first():
    _, rows = run(requests([0.0, 0.055], [10, 1000], [100, 1]), pool(token_budget=501))
    # The first request decodes from 20 ms on. At 60 ms the second begins: two chunks of 500 beside one decode token.
    assert rows["first_token_s"][1] == pytest.approx(0.06 + 2 * (0.01 + 0.501))


@pytest.mark.compiled
def test_steps_without_prompts_sum_to_the_arithmetic_series():
    model = steps(kv_token_s=1e-6)
    _, rows = run(requests([0.0], [100], [1001]), pool(model))
    # 1000 steps that read 100, 101, … 1099 tokens of context.
    assert rows["last_token_s"] - rows["first_token_s"] == pytest.approx([1000 * 0.01 + 1e-6 * (100 + 1099) / 2 * 1000])


@pytest.mark.compiled
def test_an_arrival_is_seen_at_the_next_step_boundary_of_a_long_stretch():
    model = steps(kv_token_s=1e-6)
    _, rows = run(requests([0.0, 1.0], [100, 100], [1001, 1]), pool(model))
    boundaries = 0.11 + np.cumsum(0.01 + 1e-6 * (100 + np.arange(1000)))
    start = boundaries[np.searchsorted(boundaries, 1.0)]
    context = 100 + np.searchsorted(boundaries, 1.0) + 1
    assert rows["scheduled_s"][1] == pytest.approx(start)
    assert rows["first_token_s"][1] == pytest.approx(start + 0.01 + 0.101 + 1e-6 * context)


@pytest.mark.compiled
def test_seats_bound_the_batch_and_the_rest_wait_in_order():
    result, rows = run(requests([0.0, 0.0, 0.0], [10, 10, 10], [11, 21, 5]), pool(seats=2))
    assert np.all(np.diff(rows["scheduled_s"]) >= 0)
    # The third starts when the first has ended: prompts 30 ms, then ten steps of 10 ms.
    assert rows["scheduled_s"][2] == pytest.approx(0.03 + 0.1)
    assert result.series[0].batch.max() <= 2


@pytest.mark.compiled
def test_a_lower_priority_waits_for_a_higher_one():
    batch = requests([0.0, 0.001, 0.001], [10, 10, 10], [11, 5, 5], priority=np.array([0, 1, 0]))
    _, rows = run(batch, pool(seats=1))
    assert rows["scheduled_s"][2] < rows["scheduled_s"][1]


@pytest.mark.compiled
def test_memory_shortage_preempts_the_latest_and_recomputes_it():
    # 60 tokens of memory, two requests of 20 + 30: both fit at first (40), not to the end (100).
    result, rows = run(requests([0.0, 0.0], [20, 20], [31, 31]), pool(kv_tokens=62))
    assert rows["n_preemptions"].tolist() == [0, 1]
    assert result.n_preemptions == 1
    # Prompts 50 ms; 11 steps until 62 tokens are used; the first goes on alone and ends after 19 more.
    first_end = 0.05 + 0.01 * 30
    assert rows["last_token_s"][0] == pytest.approx(first_end)
    # The second computes its 20 + 12 tokens again (which yields token 13) and then the 18 that are left.
    assert rows["last_token_s"][1] == pytest.approx(first_end + 0.01 + 0.032 + 18 * 0.01)
    # In between it waits; nobody else does.
    assert waited_s(result) == pytest.approx(first_end - (0.05 + 11 * 0.01))


@pytest.mark.compiled
def test_requests_wait_from_their_arrival_and_not_before():
    arrivals = np.arange(100.0)
    result, rows = run(requests(arrivals, [10] * 100, [3] * 100), pool(n_replicas=4))
    assert rows["scheduled_s"] == pytest.approx(arrivals)
    assert waited_s(result) == pytest.approx(0.0, abs=1e-9)
    # All at once on one seat: the k-th waits for k others, 40 ms each.
    result, rows = run(requests([0.0] * 50, [10] * 50, [3] * 50), pool(seats=1))
    assert waited_s(result) == pytest.approx(0.04 * 49 * 50 / 2)
    series = result.series[0]
    middle_s = series.start_s + 0.5 * np.minimum(series.bin_width_s, result.end_s - series.start_s)
    assert series.waiting == pytest.approx(np.interp(middle_s, [0.0, 2.0], [49.5, -0.5]), abs=0.6)


@pytest.mark.compiled
def test_a_request_that_can_never_fit_is_refused_with_the_figures():
    returned = []
    result = replay([requests([0.0, 0.0], [100, 10], [50, 5])], pool(kv_tokens=120), on_rows=returned.append)
    assert (result.n_answered, result.n_refused) == (1, 1)
    assert "100 input + 50 output tokens exceed the 120 KV tokens" in returned[0].reasons[0]
    assert np.isnan(returned[0].last_token_s[0])
    assert returned[0].last_token_s[1] > 0


@pytest.mark.compiled
def test_a_full_queue_refuses_and_says_so():
    returned = []
    batch = requests([0.0] * 5, [10] * 5, [1000] * 5)
    result = replay([batch], pool(seats=1, max_waiting=2), on_rows=returned.append)
    assert result.n_answered == 2
    assert all("2 requests already wait" in reason for reason in returned[0].reasons.values())


@pytest.mark.compiled
def test_draft_tokens_shorten_the_answer_by_their_mean_yield():
    fast = pool(draft_tokens=2, draft_acceptance_frac=0.5)
    assert fast.tokens_per_step == pytest.approx(1 + 0.5 + 0.25)
    _, rows = run(requests([0.0], [100], [71]), fast)
    assert rows["last_token_s"] - rows["first_token_s"] == pytest.approx([70 / 1.75 * 0.01])


def blocks(*ranges):
    first = np.array([a for a, _ in ranges])
    last = np.array([b for _, b in ranges])
    return np.ones(len(ranges), dtype=np.int64), first, last


@pytest.mark.compiled
def test_a_shared_prefix_is_computed_once():
    batch = requests([0.0, 10.0], [1100, 1600], [1, 1], ranges=blocks((0, 2), (0, 3)))
    result, rows = run(batch, pool())
    assert rows["cached_tokens"].tolist() == [0, 1024]
    assert result.cached_tokens == 1024
    assert rows["first_token_s"][1] == pytest.approx(10 + 0.01 + (1600 - 1024) * 0.001)


@pytest.mark.compiled
def test_the_least_recently_used_prefix_is_evicted_from_its_end():
    # Memory for four blocks: A (2 blocks), then B (3 blocks) pushes out A's second block, the deeper one.
    batch = requests([0.0, 10.0, 20.0], [1024, 1536, 1024 + 100], [1, 1, 1], ranges=blocks((0, 1), (10, 12), (0, 2)))
    _, rows = run(batch, pool(kv_tokens=4 * 512 + 50, token_budget=4096))
    assert rows["cached_tokens"].tolist() == [0, 0, 512]


@pytest.mark.compiled
def test_the_prefix_aware_router_goes_where_the_prefix_is():
    arrivals = [0.0, 10.0, 20.0, 30.0]
    batch = requests(arrivals, [1100] * 4, [1] * 4, ranges=blocks((0, 2), (10, 12), (0, 2), (10, 12)))
    _, rows = run(batch, pool(n_replicas=2), router="prefix-aware")
    assert rows["replica"][2] == rows["replica"][0]
    assert rows["replica"][3] == rows["replica"][1]
    assert rows["replica"][0] != rows["replica"][1]


@pytest.mark.compiled
def test_the_least_loaded_router_avoids_the_busy_replica():
    batch = requests([0.0, 1.0, 2.0], [10, 10, 10], [1000, 10, 10])
    _, rows = run(batch, pool(n_replicas=2), router="least-loaded")
    assert rows["replica"].tolist() == [0, 1, 1]


@pytest.mark.compiled
def test_disaggregation_passes_the_prompt_over_the_link():
    result, rows = run(
        requests([0.0], [1000], [11]),
        pool(),
        decode_pool=pool(),
        transfer_s_per_token=1e-4,
        transfer_latency_s=0.002,
        quantum_s=0.001,
    )
    assert rows["first_token_s"] == pytest.approx([1.01])
    assert rows["last_token_s"] == pytest.approx([1.01 + 0.002 + 0.1 + 10 * 0.01])
    assert len(result.series) == 2
    assert result.series[1].prompt_tokens_per_s.sum() == 0


@pytest.mark.compiled
def test_a_turn_starts_after_the_last_answer_and_its_delay():
    batch = requests([0.0, 0.0], [100, 200], [11, 1])
    links = RequestBatch(
        **{
            **{name: getattr(batch, name) for name in RequestBatch.__dataclass_fields__},
            "n_predecessors": np.array([0, 1]),
            "successor": np.array([1, -1]),
            "delay_s": np.array([0.0, 5.0]),
        }
    )
    _, rows = run(links, pool(), quantum_s=0.01)
    assert rows["queued_s"][1] == pytest.approx(rows["last_token_s"][0] + 5.0)
    assert rows["first_token_s"][1] == pytest.approx(rows["queued_s"][1] + 0.21)


@pytest.mark.compiled
def test_sliding_window_layers_stop_growing():
    model = steps(window_tokens=200, window_kv_token_s=1e-6)
    _, rows = run(requests([0.0], [100], [301]), pool(model))
    read = np.minimum(100 + np.arange(300), 200).sum()
    assert rows["last_token_s"] - rows["first_token_s"] == pytest.approx([300 * 0.01 + 1e-6 * read])


@pytest.mark.compiled
def test_power_over_time_follows_activity():
    power = ActivityPower(
        idle_w=100.0,
        tdp_w=500.0,
        coefficients=PowerCoefficients(running=np.array([0.1]), compute=np.array([3.0]), memory=np.array([0.8])),
    )
    result, _ = run(requests([0.0], [10], [1001]), pool(power=power))
    series = result.series[0]
    # Decoding one sequence: always busy, memory half of the time, 10⁻⁶ s of arithmetic per 10 ms step.
    drive = 0.1 + 3.0 * 1e-4 + 0.8 * 0.5
    assert series.accelerator_power_w[5] == pytest.approx(100.0 + 400.0 * (1 - np.exp(-drive)), rel=1e-6)
    assert (series.output_tokens_per_s * np.diff(series.start_s, append=result.end_s)).sum() == pytest.approx(1001)


@pytest.mark.compiled
def test_a_cancelled_replay_hands_back_what_it_has():
    returned = []
    batches = (
        request_batch(np.arange(100) + 100.0 * k, np.full(100, 10), np.full(100, 10), first_row=100 * k)
        for k in range(50)
    )
    result = replay(batches, pool(), on_rows=returned.append, should_stop=lambda: len(returned) >= 3)
    assert result.cancelled
    assert 0 < result.n_answered < 5000
    assert sum(len(rows.request_id) for rows in returned) == result.n_requests


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"seats": 0}, "seats is 0"),
        ({"kv_tokens": -1.0}, "kv_tokens is -1"),
        ({"draft_acceptance_frac": 1.5}, "draft_acceptance_frac is 1.5"),
        ({"token_budget": 100_000}, "need 100000"),
    ],
)
def test_an_impossible_pool_is_refused_by_name(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        pool(**options)


def test_requests_out_of_order_are_refused_by_name():
    with pytest.raises(ValueError, match="request 1 arrives at 1.0 s, before"):
        replay([requests([2.0, 1.0], [10, 10], [1, 1])], pool())


@pytest.mark.compiled
def test_a_higher_priority_is_admitted_past_a_request_that_does_not_fit():
    # The second needs more memory than the first leaves and waits; the third is small, urgent, and comes in between.
    batch = requests([0.0, 0.01, 0.5], [50, 125, 5], [101, 5, 5], priority=np.array([0, 1, 0]))
    _, rows = run(batch, pool(kv_tokens=170))
    assert rows["scheduled_s"][2] == pytest.approx(0.5, abs=0.01)  # one step
    assert rows["scheduled_s"][1] > rows["last_token_s"][0] - 1e-9
