"""What fits in accelerator memory: weights, KV cache, and how many requests that admits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.steps.roofline import DeploymentWork

FloatArray = NDArray[np.float64]

# Share of device memory that engines claim; the published runs that fill memory were tuned to 0.90-0.95.
CLAIMED_MEMORY_FRAC = 0.95
# assumed first value, fitted per engine: activations, CUDA graphs, communication buffers and sampler per accelerator
ASSUMED_WORKSPACE_BYTES = 3e9
# The fitted workspace is that of cards of 80 GB and more, where what engines leave free by default (10 % of the memory)
# is most of it. On a card of 24 GB vLLM finds room for 31,232 tokens of Llama-3.1-8B in BF16 beside 16.1 GB of weights
# (vLLM issue 10517): 2.7 GB or 11 % are kept.
MOST_WORKSPACE_FRAC = 0.11


@dataclass(frozen=True, slots=True, eq=False)
class MemoryFit:
    """Memory of one instance of each deployment; arrays of shape (n,)."""

    weight_bytes: FloatArray  # over the instance
    kv_bytes: FloatArray  # left for the KV cache over the instance; negative where weights do not fit
    hbm_bytes: FloatArray  # of one accelerator
    accelerators: FloatArray


def memory_fit(
    work: DeploymentWork,
    hbm_bytes: ArrayLike,
    *,
    claimed_frac: float = CLAIMED_MEMORY_FRAC,
    workspace_bytes: ArrayLike = ASSUMED_WORKSPACE_BYTES,
) -> MemoryFit:
    """Return weights and the memory left for KV cache of each deployment.

    Parameters
    ----------
    work : DeploymentWork
        Of each deployment, shape (n,).
    hbm_bytes : array_like
        Memory of one accelerator [bytes], shape (n,) or ().
    claimed_frac : float
        Share of it that the engine uses [-].
    workspace_bytes : array_like
        Kept per accelerator for everything but weights and cache [bytes].
    """
    hbm = np.asarray(hbm_bytes, dtype=np.float64) + np.zeros_like(work.weight_bytes)
    weights = work.weight_bytes * work.accelerators
    free = (claimed_frac * hbm - np.asarray(workspace_bytes, dtype=np.float64)) * work.accelerators - weights
    return MemoryFit(weight_bytes=weights, kv_bytes=free, hbm_bytes=hbm, accelerators=work.accelerators)


def workspace_bytes(hbm_bytes: ArrayLike, fitted_bytes: ArrayLike) -> FloatArray:
    """Return what an engine reserves per accelerator beside weights and cache [bytes]: as fitted, less on small cards.

    Parameters
    ----------
    hbm_bytes : array_like
        Memory of one accelerator [bytes].
    fitted_bytes : array_like
        The fitted reserve [bytes]; at most `MOST_WORKSPACE_FRAC` of the memory is taken.
    """
    return np.minimum(fitted_bytes, MOST_WORKSPACE_FRAC * np.asarray(hbm_bytes, dtype=np.float64))


def kv_bytes_per_request(work: DeploymentWork, context_tokens: ArrayLike) -> FloatArray:
    """Return cache bytes that a request of this context holds over the instance, all copies counted [bytes]."""
    context = np.asarray(context_tokens, dtype=np.float64)
    windowed = work.kv_window_bytes_per_token
    full = work.kv_bytes_per_token - windowed
    growing = full * context + windowed * np.minimum(context, work.window_tokens)
    return work.state_bytes + work.kv_copies * growing


def admitted_requests(work: DeploymentWork, memory: MemoryFit, context_tokens: ArrayLike) -> FloatArray:
    """Return how many requests of this context one instance holds at once [-]; below 1 where not even one fits."""
    return np.maximum(memory.kv_bytes, 0.0) / kv_bytes_per_request(work, context_tokens)


def memory_reason(work: DeploymentWork, memory: MemoryFit, context_tokens: float, index: int = 0) -> str:
    """Return why a request does not fit, or an empty text where it fits.

    Parameters
    ----------
    work, memory : DeploymentWork, MemoryFit
        Of n deployments.
    context_tokens : float
        Context of the request [tokens].
    index : int
        Which of the deployments.

    Returns
    -------
    str
        Names weights, accelerators and what is left, in decimal gigabytes.
    """
    n, hbm_gb = int(memory.accelerators[index]), memory.hbm_bytes[index] / 1e9
    weights_gb, kv_gb = memory.weight_bytes[index] / 1e9, max(memory.kv_bytes[index], 0.0) / 1e9
    if memory.kv_bytes[index] <= 0:
        return f"weights need {weights_gb:.0f} GB, {n} x {hbm_gb:.0f} GB leave 0 GB for KV cache"
    need_gb = kv_bytes_per_request(work.take([index]), context_tokens)[0] / 1e9
    if need_gb > kv_gb:
        return (
            f"one request of {context_tokens:.0f} tokens needs {need_gb:.1f} GB of KV cache; weights need "
            f"{weights_gb:.0f} GB, {n} x {hbm_gb:.0f} GB leave {kv_gb:.1f} GB"
        )
    return ""
