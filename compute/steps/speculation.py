"""Speculative decoding and multi-token prediction: several tokens per step for the price of a wider step."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.steps.roofline import StepCosts, linear_s, step_time_s

FloatArray = NDArray[np.float64]

MOST_DRAFTS = 3  # per step, as engines run built-in prediction modules


def tokens_per_step(draft_tokens: ArrayLike, acceptance: ArrayLike) -> FloatArray:
    """Return the mean tokens that one verification step yields [-]: (1 - p^(g+1)) / (1 - p).

    Parameters
    ----------
    draft_tokens : array_like
        Drafted tokens g per step, 0 or more.
    acceptance : array_like
        Chance p that a drafted token is accepted given that those before it were, in [0, 1].

    References
    ----------
    .. [1] Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", arXiv 2211.17192, eq. 1.
    """
    g, p = np.asarray(draft_tokens, dtype=np.float64), np.asarray(acceptance, dtype=np.float64)
    if np.any((p < 0) | (p > 1)) or np.any(g < 0):
        raise ValueError("acceptance must be in [0, 1] and draft_tokens 0 or more")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p < 1, (1.0 - p ** (g + 1.0)) / (1.0 - p), g + 1.0)


def speculative_itl_s(
    costs: StepCosts,
    *,
    sequences: ArrayLike,
    context_tokens: ArrayLike,
    draft_tokens: ArrayLike,
    acceptance: ArrayLike,
    draft_cost_frac: ArrayLike = 0.0,
) -> FloatArray:
    """Return the mean gap between tokens with drafts verified in one step [s].

    The step carries (g + 1) tokens per sequence through weights and experts (more distinct experts are read: on
    mixtures of experts drafting can cost more than it brings) and reads the cache once.

    Parameters
    ----------
    costs : StepCosts
        Of the target model.
    sequences, context_tokens : array_like
        In the step, and their mean context.
    draft_tokens, acceptance : array_like
        As for `tokens_per_step`.
    draft_cost_frac : array_like
        Time of one drafted token over that of a plain step: the share of layers for a built-in prediction module
        (1/61 for DeepSeek-V3's), the ratio of model sizes for a draft model.
    """
    b, g = np.asarray(sequences, dtype=np.float64), np.asarray(draft_tokens, dtype=np.float64)
    draft_cost = np.asarray(draft_cost_frac, dtype=np.float64)
    plain_s = step_time_s(costs, decode_sequences=b, context_tokens=context_tokens)
    inside = b / costs.pipeline_parallel
    wide = inside * (1.0 + g)
    wider_s = linear_s(costs, wide, wide) - linear_s(costs, inside, inside) + costs.exchange_token_s * inside * g
    return (plain_s * (1.0 + draft_cost * g) + wider_s) / tokens_per_step(g, acceptance)


def draft_choices(mtp_layers: int) -> tuple[int, ...]:
    """Return the drafts per step that are worth trying: none, and up to three where a prediction module is built in."""
    return tuple(range(MOST_DRAFTS + 1)) if mtp_layers else (0,)


def generation_gap_s(costs: StepCosts, *, sequences: ArrayLike, context_tokens: ArrayLike) -> FloatArray:
    """Return the mean gap between tokens of steps without prompts [s].

    Parameters
    ----------
    costs : StepCosts
        Of each deployment; with drafted tokens where they are verified in its steps.
    sequences, context_tokens : array_like
        Sequences in the step, and their mean context [tokens].
    """
    if not np.any(costs.draft_tokens):
        return step_time_s(costs, decode_sequences=sequences, context_tokens=context_tokens)
    return speculative_itl_s(
        costs,
        sequences=sequences,
        context_tokens=context_tokens,
        draft_tokens=costs.draft_tokens,
        acceptance=costs.draft_acceptance,
        draft_cost_frac=costs.draft_cost_frac,
    )
