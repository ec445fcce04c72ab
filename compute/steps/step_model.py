"""What one engine step costs, as the request-level replay reads it: tables by tokens, slopes by context."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compute.steps.roofline import DeploymentWork, StepCosts

FloatArray = NDArray[np.float64]


class StepTables(NamedTuple):
    """The same figures as `StepModel`, as a plain tuple for the compiled loops."""

    decode_s: FloatArray
    mixed_s: FloatArray
    sequence_s: float
    kv_token_s: float
    window_kv_token_s: float
    mixed_kv_factor: float
    prompts_add: bool
    window_tokens: int
    prefill_pair_s: float
    window_prefill_pair_s: float
    prefill_kv_token_s: float
    compute_activity_s: FloatArray
    memory_activity_s: FloatArray
    kv_token_memory_s: float
    window_kv_token_memory_s: float
    prefill_pair_compute_s: float
    window_prefill_pair_compute_s: float


@dataclass(frozen=True, slots=True, eq=False)
class StepModel:
    """Duration and activity of one engine step of one replica, as a function of what the step carries.

    A step that carries `n` tokens (of decoding sequences and of prompt chunks together) of `b` sequences, reads `kv`
    tokens of context for the decoding ones, and computes attention over `pairs` (query, key) pairs of prompts, takes

        decode_s[n] (no prompt in it) or mixed_s[n] + b·sequence_s + kv·kv_token_s + pairs·prefill_pair_s
        + tokens of context that the prompt chunks read again · prefill_kv_token_s.

    Everything that depends on the token count alone (matrix products, expert coverage, collectives, launches) sits in
    the tables, so any step-time formula whose attention part is linear in context is represented exactly. Where
    `prompts_add`, `mixed_s` counts the tokens of one prompt, and each prompt's is added to `decode_s` of the decoding
    sequences: they do not share the reading of weights.

    Attributes
    ----------
    decode_s, mixed_s : ndarray, shape (n_tokens_max + 1,)
        Duration by tokens in the step, without attention [s]. Index 0 is never used.
    sequence_s : float
        Extra time per sequence in the step (sampling, scheduling) [s].
    kv_token_s, window_kv_token_s : float
        Time to read one token of context in all full-attention layers, and in all sliding-window layers [s].
    mixed_kv_factor : float
        Reading context takes this many times longer in a step that also carries prompt tokens: kernels that serve both
        at once split the work worse than those for decoding alone.
    prompts_add : bool
        Whether prompts take their own time beside decoding, or share the step's reading of weights.
    window_tokens : int
        Width of the sliding window [tokens]; 0 where the model has none.
    prefill_pair_s, window_prefill_pair_s : float
        Attention time per (query, key) pair of a prompt, full and windowed layers [s].
    prefill_kv_token_s : float
        Time to read one token of earlier context for a prompt chunk [s].
    compute_activity_s, memory_activity_s : ndarray, shape (n_tokens_max + 1,)
        Seconds of arithmetic at peak rate, and of memory traffic at peak bandwidth, by tokens in the step.
    kv_token_memory_s, window_kv_token_memory_s, prefill_pair_compute_s, window_prefill_pair_compute_s : float
        The same for attention, per context token and per pair.
    """

    decode_s: FloatArray
    mixed_s: FloatArray
    sequence_s: float
    kv_token_s: float
    prefill_pair_s: float
    compute_activity_s: FloatArray
    memory_activity_s: FloatArray
    kv_token_memory_s: float
    prefill_pair_compute_s: float
    prefill_kv_token_s: float = 0.0
    mixed_kv_factor: float = 1.0
    prompts_add: bool = False
    window_tokens: int = 0
    window_kv_token_s: float = 0.0
    window_prefill_pair_s: float = 0.0
    window_kv_token_memory_s: float = 0.0
    window_prefill_pair_compute_s: float = 0.0

    def __post_init__(self) -> None:
        n_tokens = self.decode_s.size
        for name in ("decode_s", "mixed_s", "compute_activity_s", "memory_activity_s"):
            table = getattr(self, name)
            if table.ndim != 1 or table.size != n_tokens or n_tokens < 2:
                raise ValueError(
                    f"StepModel.{name} has shape {table.shape}; must be ({max(n_tokens, 2)},) like decode_s"
                )
            bad = np.flatnonzero(~(np.isfinite(table) & (table >= 0)))
            if bad.size:
                raise ValueError(f"StepModel.{name}[{bad[0]}] is {table[bad[0]]} s; must be 0 or more and finite")
        for name in ("decode_s", "mixed_s"):
            table = getattr(self, name)
            bad = np.flatnonzero(table[1:] <= 0)
            if bad.size:
                raise ValueError(f"StepModel.{name}[{bad[0] + 1}] is 0 s; must be greater than 0")
        for name in StepTables._fields:
            value = getattr(self, name)
            if not isinstance(value, np.ndarray) and not (np.isfinite(value) and value >= 0):
                raise ValueError(f"StepModel.{name} is {value}; must be 0 or more and finite")

    @property
    def max_tokens(self) -> int:
        """Most tokens in one step that the tables reach."""
        return self.decode_s.size - 1

    def tables(self) -> StepTables:
        """Return the figures as the tuple that the compiled loops take."""

        def table(values: FloatArray) -> FloatArray:
            return np.ascontiguousarray(values, dtype=np.float64)

        return StepTables(
            decode_s=table(self.decode_s),
            mixed_s=table(self.mixed_s),
            sequence_s=float(self.sequence_s),
            kv_token_s=float(self.kv_token_s),
            window_kv_token_s=float(self.window_kv_token_s),
            mixed_kv_factor=float(self.mixed_kv_factor),
            prompts_add=bool(self.prompts_add),
            window_tokens=int(self.window_tokens),
            prefill_pair_s=float(self.prefill_pair_s),
            window_prefill_pair_s=float(self.window_prefill_pair_s),
            prefill_kv_token_s=float(self.prefill_kv_token_s),
            compute_activity_s=table(self.compute_activity_s),
            memory_activity_s=table(self.memory_activity_s),
            kv_token_memory_s=float(self.kv_token_memory_s),
            window_kv_token_memory_s=float(self.window_kv_token_memory_s),
            prefill_pair_compute_s=float(self.prefill_pair_compute_s),
            window_prefill_pair_compute_s=float(self.window_prefill_pair_compute_s),
        )

    def step_s(
        self,
        *,
        decode_sequences: FloatArray,
        context_tokens: FloatArray,
        prefill_tokens: FloatArray | float = 0.0,
        prefill_pairs: FloatArray | float = 0.0,
    ) -> FloatArray:
        """Return the duration of steps without sliding windows, table values interpolated [s].

        Parameters
        ----------
        decode_sequences, context_tokens : ndarray, any shape
            Decoding sequences in the step, and the sum of their contexts [tokens].
        prefill_tokens, prefill_pairs : ndarray or float
            Prompt tokens in the step and their (query, key) pairs.
        """
        n_tokens = np.asarray(decode_sequences, dtype=np.float64) + prefill_tokens
        index = np.arange(self.decode_s.size)
        mixed_s = np.interp(n_tokens, index, self.mixed_s)
        if self.prompts_add:
            mixed_s = np.interp(prefill_tokens, index, self.mixed_s) + np.interp(decode_sequences, index, self.decode_s)
        table = np.where(np.asarray(prefill_tokens) > 0, mixed_s, np.interp(n_tokens, index, self.decode_s))
        return (
            table
            + self.sequence_s * np.asarray(decode_sequences)
            + self.kv_token_s * np.asarray(context_tokens)
            + self.prefill_pair_s * np.asarray(prefill_pairs)
        )


def step_model(
    work: DeploymentWork,
    costs: StepCosts,
    max_tokens: int,
    *,
    deployment: int = 0,
    mixed_kv_factor: float = 1.0,
    decode_scale: float = 1.0,
    prompt_scale: float | None = None,
    draft_tokens: int = 0,
    draft_cost_frac: float = 0.0,
) -> StepModel:
    """Return the step model of one deployment of the closed form, so that replay and closed form share step times.

    Prompt tokens other than a prompt's last need no output head; the head of the few that complete in a step, and of
    the decoding sequences beside them, is left out of mixed steps (below 1 % of such a step's arithmetic). With
    pipeline stages decoding sequences divide over them, as in the closed form, and prompts pass all of them.

    Parameters
    ----------
    work : DeploymentWork
        What the deployment must do, for activity at data-sheet speed.
    costs : StepCosts
        The same divided by efficiencies, for durations.
    max_tokens : int
        Most tokens in a step.
    deployment : int
        Index into both.
    mixed_kv_factor : float
        As in `StepModel`.
    decode_scale : float
        Fitted factor on what decoding takes.
    prompt_scale : float or None
        Fitted share of a prompt's time alone by which it lengthens a step; None where prompts and decoding share the
        reading of weights, by the formula of one step.
    draft_tokens, draft_cost_frac : int, float
        Drafted per sequence and step, and what drafting one takes over a plain step.
    """
    fitted, at_peak = costs.take([deployment]), work.take([deployment])
    tokens = np.arange(max_tokens + 1, dtype=np.float64)
    stages = float(fitted.pipeline_parallel[0])
    decode_s = costs.token_table_s(deployment, max_tokens, is_generating=True)
    coverage = -np.expm1(at_peak.log_unrouted * np.maximum(tokens, 1e-12))
    mixed_s = costs.token_table_s(deployment, max_tokens, is_generating=False)
    pair_scale = 1.0
    if prompt_scale is not None:
        mixed_s, pair_scale = prompt_scale * mixed_s, prompt_scale
    # a plain step of as many sequences, for each of which the step carries one token and its drafts
    drafting = draft_tokens * draft_cost_frac
    decode_s = decode_scale * (decode_s + drafting * np.interp(tokens / (1 + draft_tokens), tokens, decode_s))
    decode_scale *= 1.0 + drafting  # of what goes by sequences and their context
    window_tokens = fitted.window_tokens[0]
    has_window = bool(np.isfinite(window_tokens))
    return StepModel(
        decode_s=np.interp(tokens / stages, tokens, decode_s),
        mixed_s=mixed_s,
        sequence_s=decode_scale * float(fitted.sequence_s[0]) / stages,
        kv_token_s=decode_scale * float(fitted.kv_token_s[0]) / stages,
        prefill_pair_s=pair_scale * float(fitted.pair_s[0]),
        compute_activity_s=tokens * (at_peak.dense_gemm_s + at_peak.expert_gemm_s)[0] / stages,
        memory_activity_s=(at_peak.dense_weight_s[0] + at_peak.expert_weight_s[0] * coverage) / stages,
        kv_token_memory_s=float(at_peak.kv_token_s[0]) / stages,
        prefill_pair_compute_s=float(at_peak.pair_s[0]) / stages,
        mixed_kv_factor=mixed_kv_factor,
        prompts_add=prompt_scale is not None,
        window_tokens=int(window_tokens) if has_window else 0,
        window_kv_token_s=decode_scale * float(fitted.window_kv_token_s[0]) / stages if has_window else 0.0,
        window_prefill_pair_s=pair_scale * float(fitted.window_pair_s[0]) if has_window else 0.0,
        window_kv_token_memory_s=float(at_peak.window_kv_token_s[0]) / stages if has_window else 0.0,
        window_prefill_pair_compute_s=float(at_peak.window_pair_s[0]) / stages if has_window else 0.0,
    )
