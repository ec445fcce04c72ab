"""Efficiencies of accelerators of which single kernels were timed, for parts without published serving runs.

The published profiles time each layer of a model by tokens, decode attention by sequences and context, and collectives
by message size, each alone. They were not taken from the serving runs that the replay is held against.

Sources: github casys-kaist/LLMServingSim, profiler/perf, vLLM kernels, Llama-3.1-8B in BF16:
RTXPRO6000 (Server Edition) …/tp1/dense.csv @72c16bac, attention.csv @0d3de681, step.csv @4c0bb4fc, hardware.yaml
@e08dc388; RTX4090 …/tp1/dense.csv @856225aa, attention.csv @a09fa560.
"""

from dataclasses import dataclass

import numpy as np

from compute.roofline import Efficiencies


@dataclass(frozen=True, slots=True)
class ComponentTimings:
    """What was timed, reduced to shares of data-sheet speed and overheads; see the module for sources."""

    weight_bandwidth_frac: float  # matrix products of one token
    kv_bandwidth_frac: float  # decode attention, 128 sequences of about 1,000 tokens
    gemm_frac: float  # matrix products of 1,024 to 2,048 tokens, with activations and norms between them
    link_frac: float  # all-reduce of large messages, by slot bandwidth
    exchange_s: float  # all-reduce of small messages
    mixed_kv_factor: float  # decode attention beside a prompt chunk, over decode attention alone


MEASURED = {
    # 234.9 MB of gate and up projections in 157.5 us, 117.4 MB of down projection in 81.1 us, at 1,597 GB/s.
    # Attention: 128 x 923 tokens in 348.8 us per layer of 4,096 B. 1,024 tokens in 47.9 ms a step: 331 of 504 TFLOP/s.
    # Beside 16 prompt tokens 583.7 us at 923 and 836.2 (507.3 alone) at 1,384. NCCL over the host's PCIe root, as such
    # machines come (ACS and IOMMU on): 15.9 GB/s of 64, two hops of 6.6 us.
    "rtx-pro-6000": ComponentTimings(0.92, 0.88, 0.66, 0.25, 13.2e-6, 1.66),
    # 247.3 us and 126.8 us for the same products at 1,008 GB/s; 606 us at 128 x 1,024; 164.8 of 165.2 TFLOP/s in the
    # down projection of 2,048 tokens, 5 % of the layer outside products. Beside 16 prompt tokens 1,427.5 us. Link: not
    # timed, taken over from the other card.
    "rtx-4090": ComponentTimings(0.93, 0.88, 0.94, 0.25, 13.2e-6, 2.35),
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
        weight_bandwidth_frac=np.float64(timings.weight_bandwidth_frac),
        kv_bandwidth_frac=np.float64(timings.kv_bandwidth_frac),
        gemm_frac=np.float64(timings.gemm_frac),
        expert_gemm_frac=np.float64(ASSUMED_EXPERT_GEMM_FRAC),
        attention_frac=np.float64(ASSUMED_ATTENTION_FRAC),
        link_frac=np.float64(timings.link_frac),
        exchange_s=np.float64(timings.exchange_s),
        layer_s=np.float64(ASSUMED_LAYER_S),
        moe_layer_s=np.float64(ASSUMED_MOE_LAYER_S),
        step_s=np.float64(ASSUMED_STEP_S),
        sequence_s=np.float64(ASSUMED_SEQUENCE_S),
    )


def timings_of(accelerator: str, memory_type: str) -> ComponentTimings | None:
    """Return the timings of an accelerator, or of the middle of those measured for another card with GDDR memory.

    None where neither applies.
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
