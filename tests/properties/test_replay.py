"""What must hold of every replay, whatever arrives and however the replicas are set up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.replay.prefix_cache import (
    empty_prefix_cache,
    evict_oldest,
    find_block,
    insert_block,
    pin_block,
    release_block,
)
from compute.replay.requests import request_batch
from compute.replay.run import ReplicaPool, replay
from compute.steps.step_model import StepModel

pytestmark = [pytest.mark.slow, pytest.mark.compiled]

TOKENS = np.arange(1025, dtype=np.float64)
STEP = StepModel(
    decode_s=0.01 + 1e-5 * TOKENS,
    mixed_s=0.011 + 5e-5 * TOKENS,
    sequence_s=1e-5,
    kv_token_s=1e-7,
    prefill_pair_s=1e-9,
    compute_activity_s=1e-5 * TOKENS,
    memory_activity_s=np.full_like(TOKENS, 0.005),
    kv_token_memory_s=5e-8,
    prefill_pair_compute_s=5e-10,
    mixed_kv_factor=1.5,
)


@st.composite
def streams(draw):
    n = draw(st.integers(1, 40))
    gaps = draw(st.lists(st.floats(0, 0.5), min_size=n, max_size=n))
    prompt = draw(st.lists(st.integers(1, 700), min_size=n, max_size=n))
    answer = draw(st.lists(st.integers(1, 60), min_size=n, max_size=n))
    priority = draw(st.lists(st.integers(0, 7), min_size=n, max_size=n))
    shared = draw(st.booleans())
    ranges = None
    if shared:
        last = np.array(prompt) // 64
        first = np.zeros(n, dtype=np.int64)
        ranges = (np.ones(n, dtype=np.int64), first, last)
    return request_batch(
        np.cumsum(gaps), np.array(prompt), np.array(answer), priority=np.array(priority), ranges=ranges
    )


pools = st.builds(
    ReplicaPool,
    step=st.just(STEP),
    n_replicas=st.integers(1, 4),
    kv_tokens=st.floats(300, 3000),
    seats=st.integers(1, 12),
    token_budget=st.integers(13, 512),
    draft_tokens=st.integers(0, 3),
    draft_acceptance_frac=st.floats(0, 1),
    max_waiting=st.sampled_from([np.inf, 3.0]),
)
routers = st.sampled_from(["round-robin", "least-loaded", "prefix-aware"])


def run(batch, pool, router, decode_pool=None):
    returned = []
    result = replay(
        [batch],
        pool,
        router=router,
        decode_pool=decode_pool,
        transfer_s_per_token=1e-5,
        prefix_block_tokens=64,
        on_rows=returned.append,
    )
    columns = {
        name: np.concatenate([getattr(rows, name) for rows in returned])
        for name in (
            "queued_s",
            "scheduled_s",
            "first_token_s",
            "last_token_s",
            "cached_tokens",
            "input_tokens",
            "output_tokens",
            "replica",
            "n_preemptions",
        )
    }
    return result, columns, [reason for rows in returned for reason in rows.reasons.values()]


@settings(max_examples=60, deadline=None)
@given(streams(), pools, routers, st.booleans())
def test_every_request_is_answered_after_it_arrived_or_refused_with_a_reason(batch, pool, router, disaggregated):
    result, rows, reasons = run(batch, pool, router, pool if disaggregated else None)
    done = np.isfinite(rows["last_token_s"])
    assert result.n_answered == done.sum()
    assert result.n_answered + result.n_refused == len(batch.request_id)
    assert len(reasons) == result.n_refused
    assert np.all(rows["scheduled_s"][done] >= rows["queued_s"][done])
    # The shortest step with a prompt in it takes 11 ms.
    assert np.all(rows["first_token_s"][done] >= rows["queued_s"][done] + 0.011)
    steps = np.ceil((rows["output_tokens"][done] - 1) / pool.tokens_per_step - 1e-9)
    assert np.all(rows["last_token_s"][done] - rows["first_token_s"][done] >= 0.01 * steps - 1e-9)
    assert np.all(rows["cached_tokens"][done] < rows["input_tokens"][done])


@settings(max_examples=40, deadline=None)
@given(streams(), pools, routers)
def test_tokens_are_conserved(batch, pool, router):
    result, rows, _ = run(batch, pool, router)
    done = np.isfinite(rows["last_token_s"])
    assert result.output_tokens == rows["output_tokens"][done].sum()
    series = result.series[0]
    span_s = np.minimum(series.bin_width_s, np.maximum(result.end_s - series.start_s, 1e-12))
    generated = (series.output_tokens_per_s * span_s).sum()
    computed = (series.prompt_tokens_per_s * span_s).sum()
    if pool.draft_tokens == 0 and result.n_preemptions == 0 and result.n_answered:
        assert generated == pytest.approx(result.output_tokens, rel=1e-9)
        assert computed == pytest.approx(result.input_tokens - result.cached_tokens, rel=1e-9)
    elif result.n_answered:
        # Draft tokens past the end and recomputed prompts only add.
        assert generated >= result.output_tokens * (1 - 1e-9)
        assert computed >= (result.input_tokens - result.cached_tokens) * (1 - 1e-9)
    waited = float((series.waiting * span_s).sum()) * pool.n_replicas
    queued = float((rows["scheduled_s"] - rows["queued_s"])[done].sum())
    if result.n_preemptions == 0:
        assert waited == pytest.approx(queued, rel=1e-9, abs=1e-9)
    else:
        assert waited >= queued * (1 - 1e-9)


@settings(max_examples=25, deadline=None)
@given(streams(), pools, routers)
def test_memory_and_seats_are_never_exceeded(batch, pool, router):
    result, _, _ = run(batch, pool, router)
    series = result.series[0]
    assert series.kv_used_frac.max() <= 1 + 1e-9
    assert series.batch.max() <= pool.seats + 1e-9
    assert series.busy_frac.max() <= 1 + 1e-9


@settings(max_examples=25, deadline=None)
@given(streams(), pools, routers)
def test_the_same_input_gives_the_same_output(batch, pool, router):
    one, other = (run(batch, pool, router)[1] for _ in range(2))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@settings(max_examples=25, deadline=None)
@given(streams(), pools, st.integers(1, 10))
def test_cutting_the_stream_into_batches_changes_nothing(batch, pool, size):
    n = len(batch.request_id)
    whole = request_batch(batch.arrival_s, batch.input_tokens, batch.output_tokens, priority=batch.priority)
    returned = []
    parts = (
        request_batch(
            batch.arrival_s[i : i + size],
            batch.input_tokens[i : i + size],
            batch.output_tokens[i : i + size],
            priority=batch.priority[i : i + size],
        )
        for i in range(0, n, size)
    )
    if np.isfinite(pool.max_waiting):
        return  # what a router sees depends on its clock, which is cut at the end of a batch
    replay(parts, pool, on_rows=returned.append)
    expected = run(whole, pool, "round-robin")[1]["last_token_s"]
    np.testing.assert_allclose(np.concatenate([rows.last_token_s for rows in returned]), expected, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(streams(), st.floats(1.1, 3.0))
def test_faster_steps_answer_no_later_in_sum_on_an_idle_replica(batch, speed):
    # Alone on the replica, one request after another far apart: no queue, so faster steps cannot rearrange anything.
    apart = request_batch(np.arange(len(batch.request_id)) * 100.0, batch.input_tokens, batch.output_tokens)
    slow = ReplicaPool(step=STEP, n_replicas=1, kv_tokens=1e5, seats=8, token_budget=512)
    quick = StepModel(
        **{
            name: getattr(STEP, name) / speed if name.endswith("_s") else getattr(STEP, name)
            for name in StepModel.__dataclass_fields__
        }
    )
    fast = ReplicaPool(step=quick, n_replicas=1, kv_tokens=1e5, seats=8, token_budget=512)
    slow_rows, fast_rows = (run(apart, pool, "round-robin")[1] for pool in (slow, fast))
    assert np.all(fast_rows["last_token_s"] < slow_rows["last_token_s"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(1, 12), st.data())
def test_the_prefix_cache_agrees_with_a_plain_least_recently_used_list(keys, n_slots, data):
    cache = empty_prefix_cache(2, n_slots)
    plain: list[int] = []  # oldest first
    for key in keys:
        slot = find_block(cache, 1, key)
        assert (slot != -1) == (key in plain)
        if slot == -1:
            if len(plain) == n_slots:
                plain.pop(0)
            slot = insert_block(cache, 1, key)
            plain.append(key)
        elif data.draw(st.booleans()):
            pin_block(cache, 1, slot)
            release_block(cache, 1, slot, -1)
            plain.remove(key)
            plain.append(key)
        assert cache.n_unpinned[1] == len(plain)
    for key in list(plain):
        assert find_block(cache, 1, key) != -1
        assert evict_oldest(cache, 1)
        assert find_block(cache, 1, key) == -1
    assert not evict_oldest(cache, 1)
    assert cache.n_unpinned[0] == 0
