"""Step times against values worked by hand, and the steady state's own balances."""

from dataclasses import replace

import numpy as np
import pytest

from compute.accelerators import accelerator_from_entry
from compute.model_shapes import model_shape_from_entry
from compute.steps.closed_loop import Scheduling, closed_loop, prefill_time_s
from compute.steps.disaggregation import disaggregated_loop
from compute.steps.power import clock_power_factor, clock_under_cap
from compute.steps.roofline import Efficiencies, Parallelism, deployment_work, linear_s, step_costs, step_time_s
from facility.catalogue import entries

LIGHT = Efficiencies(*(np.float64(1.0),) * 6, *(np.float64(0.0),) * 8)  # data-sheet speed, no overhead


def replace_efficiencies(**changes):
    return replace(LIGHT, **{name: np.float64(value) for name, value in changes.items()})


def costs(model="llama-3.1-8b", accelerator="h100-sxm", precision="bf16", ranks=1, efficiencies=LIGHT):
    work = deployment_work(
        accelerator_from_entry(entries("accelerators")[accelerator]),
        model_shape_from_entry(entries("models")[model]),
        Parallelism(ranks),
        weight_precision=precision,
    )
    return step_costs(work, efficiencies)


def test_one_sequence_reads_all_weights_once_and_its_cache():
    seconds = step_time_s(costs(), decode_sequences=1, context_tokens=1000)[0]
    weights = 2 * (8.03e9 - 128256 * 4096) / 3.35e12  # the input table is looked up, not read
    cache = 131_072 * 1000 / 3.35e12
    assert seconds == pytest.approx(weights + cache, rel=1e-3)  # arithmetic of one token adds 5e-6 of it


def test_a_long_prompt_takes_its_arithmetic():
    n = 8192
    seconds = step_time_s(costs(), decode_sequences=0, context_tokens=0, prefill_tokens=n, prefill_pairs=n * n / 2)[0]
    linear = 2 * (8.03e9 - 2 * 128256 * 4096) * n / 989.4e12
    attention = 32 * 2 * 32 * 256 * n * n / 2 / 989.4e12  # layers, multiply-add, heads, key and value dimensions
    weights = 2 * (8.03e9 - 128256 * 4096) / 3.35e12
    assert seconds == pytest.approx(np.hypot(linear, weights) + attention, rel=1e-3)


def test_few_tokens_read_few_experts():
    mixture = costs("deepseek-r1", "h200-sxm", "fp8", 8)
    one = step_time_s(mixture, decode_sequences=1, context_tokens=0)[0]
    many = step_time_s(mixture, decode_sequences=128, context_tokens=0)[0]
    expert_s = 58 * 256 * 3 * 7168 * 2048 / 8 / 4.8e12
    # uniform routing of 8 of 256: 3.1 % of the experts for one token, 98.3 % for 128
    assert many - one == pytest.approx(expert_s * (0.983 - 0.031), rel=0.15)  # arithmetic and links add up to a tenth


def test_token_table_and_step_time_are_the_same_formula():
    c = costs(ranks=2, efficiencies=Efficiencies(*(np.float64(0.5),) * 6, *(np.float64(1e-5),) * 8))
    table = c.token_table_s(0, 64)
    for b in (1, 7, 64):
        whole = step_time_s(c, decode_sequences=b, context_tokens=500)[0]
        rest = b * (c.kv_token_s[0] * 500 + c.sequence_s[0])
        assert table[b] + rest == pytest.approx(whole, rel=1e-12)


def test_pipeline_stages_hold_the_step_and_share_the_batch():
    entry, model = entries("accelerators")["h100-sxm"], entries("models")["llama-3.1-70b"]
    a, m = accelerator_from_entry(entry), model_shape_from_entry(model)
    plain = step_costs(deployment_work(a, m, Parallelism(2), weight_precision="fp8"), LIGHT)
    piped = step_costs(deployment_work(a, m, Parallelism(2, 2), weight_precision="fp8"), LIGHT)
    half = step_time_s(plain, decode_sequences=16, context_tokens=1000)[0]
    assert step_time_s(piped, decode_sequences=32, context_tokens=1000)[0] == pytest.approx(half, rel=1e-2)  # hand-over


def test_requests_that_memory_does_not_admit_wait_by_littles_law():
    c = costs(efficiencies=Efficiencies(*(np.float64(0.5),) * 6, *(np.float64(1e-5),) * 8))
    scheduling = Scheduling(*(np.float64(v) for v in (0.01, 1.5, 0.05, 0.8, 0.0, 0.0)))
    loop = {"concurrency": 100.0, "input_tokens": 1000.0, "output_tokens": 200.0, "admitted_limit": 25.0}
    state = closed_loop(c, scheduling, **loop)
    assert state.admitted == 25
    in_flight = state.requests_per_s * (state.ttft_s + 199 * state.itl_s)  # gaps between 200 tokens
    assert in_flight[0] == pytest.approx(100, rel=1e-9)
    assert state.wait_s[0] == pytest.approx(75 / state.requests_per_s[0])


def test_the_clock_under_a_cap_draws_the_cap():
    clock = clock_under_cap(np.array([500.0, 700.0, 120.0]), static_w=100.0, dynamic_w=600.0)
    assert 100 + 600 * clock_power_factor(clock[0]) == pytest.approx(500)
    assert clock[1] == pytest.approx(1)
    assert clock[2] == 0.3  # below what the lowest clock draws


def wide(model="deepseek-r1", accelerator="h100-sxm", ranks=72):
    work = deployment_work(
        accelerator_from_entry(entries("accelerators")[accelerator]),
        model_shape_from_entry(entries("models")[model]),
        Parallelism(1, attention_data_parallel=ranks, expert_parallel=ranks),
        weight_precision="fp8",
    )
    return step_costs(work, Efficiencies(*(np.float64(0.5),) * 6, *(np.float64(1e-5),) * 8))


def test_attention_ranks_schedule_their_own_sequences_side_by_side():
    one_rank, eight = wide(ranks=1), wide(ranks=8)
    assert one_rank.sequence_s[0] == pytest.approx(1e-5)
    assert eight.sequence_s[0] == pytest.approx(1e-5 / 8)


def test_expert_exchange_over_the_network_hides_in_part_behind_the_products():
    c, tokens = wide(), 256.0 * 72
    sent = 72 * (1 - (71 / 72) ** 8) * 71 / 72 * 7168 * 3  # to other ranks: FP8 there, BF16 back
    network_s = 58 * sent * 256 / 61e9  # of 256 tokens from each rank, in 58 layers
    assert c.exchange_token_s[0] == 0.0
    assert c.network_token_s[0] * tokens == pytest.approx(network_s, rel=1e-9)
    alone_s = linear_s(replace(c, network_token_s=np.zeros(1)), tokens, tokens)[0]
    both_s = linear_s(c, tokens, tokens)[0]
    assert max(alone_s, network_s) < both_s < alone_s + network_s
    # prompts are read in two batches by turns: one is computed while the other is on its way
    computing = replace(c, network_token_s=np.zeros(1))
    whole_s, halves_s = (k * linear_s(computing, tokens / k, 0.0)[0] for k in (1, 2))
    prompts_s = linear_s(c, tokens, 0.0, are_prompts=True)[0]
    assert halves_s > whole_s  # weights are read twice
    assert prompts_s == pytest.approx(max(halves_s, network_s))
    assert prompts_s < linear_s(c, tokens, 0.0)[0]
    # a few tokens go in one batch: reading weights twice takes longer than they are on their way
    assert linear_s(c, 72.0, 0.0, are_prompts=True) == linear_s(c, 72.0, 0.0)
    assert np.all(np.diff(linear_s(c, np.linspace(1.0, 2e5, 2000), 0.0, are_prompts=True)) > 0)
    # closed form and replay alike, and no step that generates
    step = {"context_tokens": 0.0, "prefill_pairs": 0.0}
    assert step_time_s(c, decode_sequences=0.0, prefill_tokens=2e4, **step)[0] == pytest.approx(
        c.token_table_s(0, 20_000, is_generating=False)[-1], rel=1e-3
    )
    mixed_s = step_time_s(c, decode_sequences=1.0, prefill_tokens=tokens, **step)[0]
    assert mixed_s > step_time_s(c, decode_sequences=0.0, prefill_tokens=tokens + 1, **step)[0]
    inside = wide(accelerator="gb200")  # one scale-up domain of 72
    assert inside.network_token_s[0] == 0.0
    assert inside.exchange_token_s[0] > 0.0


def test_the_rank_that_chance_gives_most_experts_holds_the_others_up():
    chance, groups, tokens, draws = np.random.default_rng(5), 8, 16, 400
    hit, sent = np.zeros(draws), np.zeros(draws)  # of the most loaded rank
    for i in range(draws):
        routed = np.concatenate([chance.choice(256, 8, replace=False) for _ in range(tokens)])
        hit[i] = np.bincount(np.unique(routed) // 32, minlength=groups).max()
        sent[i] = np.bincount(routed // 32, minlength=groups).max()
    c = wide(accelerator="h200-sxm", ranks=groups)
    at_once = replace(c, dense_weight_s=0.0 * c.dense_weight_s, head_gemm_s=0.0 * c.head_gemm_s)
    reading = linear_s(replace(at_once, token_gemm_s=np.zeros(1), token_spread_s=np.zeros(1)), tokens, 0)[0]
    assert reading / c.expert_weight_s[0] == pytest.approx(hit.mean() / 32, rel=0.03)
    work = deployment_work(
        accelerator_from_entry(entries("accelerators")["h200-sxm"]),
        model_shape_from_entry(entries("models")["deepseek-r1"]),
        Parallelism(1, attention_data_parallel=groups, expert_parallel=groups),
        weight_precision="fp8",
    )
    more = c.token_spread_s[0] * np.sqrt(tokens) / (work.expert_gemm_s[0] / 0.5 * tokens)
    assert 1 + more == pytest.approx(sent.mean() / (tokens * 8 / groups), rel=0.05)


def test_small_experts_with_few_tokens_each_waste_most_of_a_tile():
    padded = replace_efficiencies(expert_pad_tokens=20.0, expert_pad_columns=64.0)
    small, big = (costs(model, "h200-sxm", "fp8", 8, padded) for model in ("deepseek-r1", "mixtral-8x22b-v0.1"))
    # 20 tokens in vain for each of 256 experts where a token takes 8 of them, for each of 8 where it takes 2
    for c, tokens in ((small, 20 * 256 / 8), (big, 20 * 8 / 2)):
        expert_token_s = c.expert_pad_s[0] / tokens
        assert 0 < expert_token_s < c.token_gemm_s[0]
    plain = costs("deepseek-r1", "h200-sxm", "fp8", 8)
    narrow = 1 + 64 / (2048 / 8)  # columns of an expert on each of 8 ranks
    assert small.token_gemm_s[0] - plain.token_gemm_s[0] == pytest.approx(
        (narrow - 1) * small.expert_pad_s[0] / (20 * 32 * narrow)
    )


def test_sliced_experts_load_all_ranks_alike():
    sliced = costs("deepseek-r1", "h200-sxm", "fp8", 8)
    assert sliced.expert_spread[0] == sliced.token_spread_s[0] == 0.0


def test_prompts_that_queue_for_a_wide_instance_share_its_reading_of_weights():
    c, scheduling = wide(ranks=32), Scheduling(*(np.float64(v) for v in (0.01, 1.5, 0.0, 1.0, 0.0, 0.0)))
    load = {"concurrency": 1e4, "input_tokens": 2000.0, "output_tokens": 1.0, "kv_bytes": 1e6}

    def requests_per_s(ranks):
        pools = {"prefill_instances": 1.0, "prefill_ranks": ranks, "decode_instances": 100.0}
        return disaggregated_loop(c, c, scheduling, **pools, **load).requests_per_s[0]

    step_s = prefill_time_s(c, 2000.0, bunch=32 * 8192 / 2000)[0] * 32 * 8192 / 2000  # the whole budget of all ranks
    assert requests_per_s(32.0) == pytest.approx(0.9 * 32 * 8192 / 2000 / step_s)
    assert requests_per_s(32.0) > 1.2 * requests_per_s(1.0)  # which fills one rank's budget with four prompts


def test_an_efficiency_above_one_is_refused_by_name():
    with pytest.raises(ValueError, match=r"Efficiencies.gemm_frac\[0\] is 1.2; must be in \(0, 1\]"):
        Efficiencies(*(np.float64(v) for v in (1, 1, 1.2, 1, 1, 1)), *(np.float64(0.0),) * 8)
