"""Replicas for the replay: how much context their memory holds, and what a fit puts outside the steps."""

import numpy as np
import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.component_timings import MEASURED, component_efficiencies
from compute.model_shapes import model_shape_from_entry
from compute.replay.replicas import EngineTimes, kv_token_capacity, replica_pool
from compute.steps.roofline import Parallelism, deployment_work, step_costs
from facility.catalogue import entries

CARD = accelerator_from_entry(entries("accelerators")["rtx-4090"])
H100 = accelerator_from_entry(entries("accelerators")["h100-sxm"])
LLAMA = model_shape_from_entry(entries("models")["llama-3.1-8b"])
TIMES = EngineTimes(component_efficiencies(MEASURED["rtx-4090"]))


def test_a_card_holds_the_context_that_is_left_beside_weights_and_workspace():
    # 32 layers x 8 KV heads x 128 x 2 (keys and values) x 2 bytes = 131,072 bytes a token
    tokens = kv_token_capacity(CARD, LLAMA, Parallelism(1), weight_precision="bf16")
    weights = deployment_work(CARD, LLAMA, Parallelism(1), weight_precision="bf16", kv_precision="bf16")
    left = 0.9 * CARD.hbm_bytes - float(weights.weight_bytes[0]) - 1.0e9 - 2.5e5 * 2048
    assert tokens == pytest.approx(left / 131_072, rel=1e-6)
    assert kv_token_capacity(CARD, LLAMA, Parallelism(1), weight_precision="bf16", claimed_frac=0.8) < tokens
    eight_bit = kv_token_capacity(CARD, LLAMA, Parallelism(1), weight_precision="bf16", kv_precision="fp8")
    assert eight_bit == pytest.approx(2 * tokens)


def test_weights_that_leave_no_room_are_refused_with_both_sizes():
    model = model_shape_from_entry(entries("models")["llama-3.1-405b"])
    with pytest.raises(ValueError, match=r"llama-3.1-405b needs \d+ GB for weights in bf16; 1 x 86 GB of h100-sxm"):
        kv_token_capacity(H100, model, Parallelism(1), weight_precision="bf16")


def test_a_pool_takes_its_limits_from_the_model_and_what_it_was_told():
    pool = replica_pool(CARD, LLAMA, Parallelism(1), TIMES, weight_precision="bf16", n_replicas=3, seats=64)
    assert (pool.n_replicas, pool.seats, pool.accelerators_per_replica) == (3, 64, 1)
    assert pool.max_context_tokens == 131_072
    assert pool.kv_tokens == pytest.approx(kv_token_capacity(CARD, LLAMA, Parallelism(1), weight_precision="bf16"))
    assert (pool.frontend_s, pool.frontend_token_s) == (0.0, 0.0)
    told = replica_pool(CARD, LLAMA, Parallelism(1), TIMES, weight_precision="bf16", kv_tokens=5000.0)
    assert told.kv_tokens == 5000.0


def test_a_fits_time_outside_the_steps_is_the_request_and_what_its_prompt_takes_beyond_the_stall():
    work = deployment_work(CARD, LLAMA, Parallelism(1), weight_precision="bf16", kv_precision="bf16")
    costs = step_costs(work, TIMES.efficiencies)
    assert TIMES.prompt_scale() is None

    class Fitted:
        request_s, stall, first = np.array([0.02]), np.array([0.6]), np.array([1.0])

    fitted = EngineTimes(TIMES.efficiencies, decode_scale=1.1, scheduling=Fitted())
    assert fitted.prompt_scale() == pytest.approx(0.66)
    fixed_s, token_s = fitted.frontend(costs)
    assert fixed_s > 0.02
    assert token_s > 0
    Fitted.first = np.array([0.5])  # the prompt takes no longer than what it lengthens steps by
    assert fitted.frontend(costs) == (0.02, 0.0)
