"""Efficiencies of accelerators of which single kernels were timed, for parts without published serving runs.

The published profiles time each layer of a model by tokens, decode attention by sequences and context, and collectives
by message size, each alone. They were not taken from the serving runs that the replay is held against.

Sources: github casys-kaist/LLMServingSim, profiler/perf, vLLM kernels, Llama-3.1-8B in BF16:
RTXPRO6000 (Server Edition) …/tp1/dense.csv @72c16bac, attention.csv @0d3de681, step.csv @4c0bb4fc, Qwen3-32B …/tp2
@72c16bac, hardware.yaml @e08dc388; RTX4090 …/tp1/dense.csv @856225aa, attention.csv @a09fa560.
"""

from dataclasses import dataclass

import numpy as np

from compute.steps.roofline import Efficiencies


@dataclass(frozen=True, slots=True)
class ComponentTimings:
    """What was timed, reduced to shares of data-sheet speed and overheads; see the module for sources."""

    weight_bandwidth_frac: float  # matrix products of one token
    kv_bandwidth_frac: float  # decode attention alone, 128 sequences of about 1,000 tokens
    gemm_frac: float  # matrix products of 1,024 to 2,048 tokens, with activations and norms between them
    link_frac: float  # all-reduce of large messages, by slot bandwidth
    exchange_s: float  # all-reduce of small messages
    mixed_head_token_s: float  # decode attention beside a prompt chunk, per query head of 128, layer and context token


# Decoding alone, kernels read a KV head once for all its query heads. Beside prompt tokens they work query head by
# query head: 128 sequences of 923 tokens take 584 us a layer with 8 KV heads and 569 us with 4, both with 32 query
# heads.
MEASURED = {
    # At 1,597 GB/s: gate and up projections of 234.9 MB in 157.5 us and 262.1 MB in 183.8 us, down projections of
    # 117.4 MB in 81.1 us, query-key-value 52.4 MB in 39.0 us. Attention: 128 x 923 tokens in 348.8 us a layer, 4,096 B.
    # 1,024 tokens of Llama-3.1-8B in a step of 47.9 ms: 331 of 504 TFLOP/s; layers of Qwen3-32B some 5 % faster.
    # NCCL over the host's PCIe root, as such machines come (ACS and IOMMU on): 15.9 GB/s of 64, two hops of 6.6 us.
    "rtx-pro-6000": ComponentTimings(0.90, 0.87, 0.67, 0.25, 13.2e-6, 1.5e-10),
    # At 1,008 GB/s: 247.3 us and 126.8 us for the first two products; attention 128 x 1,024 in 606 us, 1,427.5 us
    # beside 16 prompt tokens. 164.8 of 165.2 TFLOP/s in the down projection of 2,048 tokens, 5 % of the layer is
    # outside products. Link: not timed, taken over from the other card.
    "rtx-4090": ComponentTimings(0.93, 0.88, 0.94, 0.25, 13.2e-6, 3.4e-10),
}

# Not timed in a form that separates them; small beside the rest on these cards.
ASSUMED_EXPERT_GEMM_FRAC = 0.5
ASSUMED_ATTENTION_FRAC = 0.5
ASSUMED_MOE_LAYER_S = 20e-6
# Norms, activation, rotary embedding and the least attention time of one token, 25 us a layer on both cards, less what
# the other terms hold already.
ASSUMED_LAYER_S = 20e-6
ASSUMED_STEP_S = 5e-4  # the scheduler runs beside the step (asynchronous scheduling); what is left is the sampler
ASSUMED_SEQUENCE_S = 1e-6


def component_efficiencies(timings: ComponentTimings) -> Efficiencies:
    """Return the timings as efficiencies of the step-time formula."""
    return Efficiencies(
        weight_bandwidth_frac=np.array(timings.weight_bandwidth_frac),
        kv_bandwidth_frac=np.array(timings.kv_bandwidth_frac),
        gemm_frac=np.array(timings.gemm_frac),
        expert_gemm_frac=np.array(ASSUMED_EXPERT_GEMM_FRAC),
        attention_frac=np.array(ASSUMED_ATTENTION_FRAC),
        link_frac=np.array(timings.link_frac),
        exchange_s=np.array(timings.exchange_s),
        dispatch_s=np.array(timings.exchange_s),
        layer_s=np.array(ASSUMED_LAYER_S),
        moe_layer_s=np.array(ASSUMED_MOE_LAYER_S),
        step_s=np.array(ASSUMED_STEP_S),
        sequence_s=np.array(ASSUMED_SEQUENCE_S),
        expert_pad_tokens=np.array(0.0),  # inside the assumed share
        expert_pad_columns=np.array(0.0),
    )


def timings_of(accelerator: str, memory_type: str) -> ComponentTimings | None:
    """Return the timings of an accelerator, or of the middle of those measured for another card with GDDR memory.

    Parameters
    ----------
    accelerator : str
        By catalogue id.
    memory_type : str
        As the catalogue has it, such as "GDDR7".

    Returns
    -------
    ComponentTimings or None
        None where no kernels of it or of its like were timed.
    """
    if accelerator in MEASURED:
        return MEASURED[accelerator]
    if not memory_type.upper().startswith("GDDR"):
        return None
    cards = list(MEASURED.values())
    return ComponentTimings(
        **{
            name: float(np.exp(np.mean([np.log(getattr(card, name)) for card in cards])))
            for name in ComponentTimings.__dataclass_fields__
        }
    )
