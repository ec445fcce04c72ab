"""The law of prompts: how long they are, what each takes to read, and how long they make others wait.

Lengths are log-normal, cut at the longest that is sent. Reading time grows faster than length (attention), and queues
see its second and third moment: a few long prompts make most of the waiting.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from compute.steady.session_cache import cached_frac
from compute.steps.closed_loop import prefill_time_s
from compute.steps.roofline import StepCosts
from compute.workload import Workload, length_points

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PromptTimes:
    """Reading time of prompts by length on n instances, of those whose context is cached and those that lost it [s].

    The middle axis is 1, or that of a load line whose clock changes along it.
    """

    found_s: FloatArray  # (n, 1, n_points)
    lost_s: FloatArray
    weight: FloatArray  # (n_points,)

    def moment(self, kept: FloatArray, order: int) -> FloatArray:
        """Return E[S^order] where a share `kept` of shape (n, m) finds its context."""
        found, lost = ((times**order) @ self.weight for times in (self.found_s, self.lost_s))
        return kept * found + (1.0 - kept) * lost

    def kinds_s(self, fetch_s: FloatArray) -> FloatArray:
        """Return times of found prompts, of those that are fetched in `fetch_s`, and of lost ones; (n, 1, kinds)."""
        return np.concatenate([self.found_s, self.found_s + fetch_s[..., None], self.lost_s], axis=-1)

    def weights(self, kept: FloatArray, fetched: FloatArray) -> FloatArray:
        """Return the probability of each of `kinds_s`, shape (n, m, kinds).

        Parameters
        ----------
        kept : ndarray, shape (n, m)
            Share of prompts whose context is still cached [-].
        fetched : ndarray
            Part of those whose context comes from a slower tier of memory [-].
        """
        return np.concatenate(
            [share[..., None] * self.weight for share in (kept - fetched, fetched, 1.0 - kept)], axis=-1
        )


def prompt_times(costs: StepCosts, workload: Workload) -> PromptTimes:
    """Return what a workload's prompts take on each of n instances, their costs of shape (n, 1)."""
    tokens, weight = length_points(workload.input_tokens, workload.input_variation, workload.most_input_tokens)
    of_length = replace(costs, **{field.name: getattr(costs, field.name)[..., None] for field in fields(costs)})
    found_s, lost_s = (
        prefill_time_s(of_length, tokens * (1.0 - cached), tokens * cached)
        for cached in (float(cached_frac(workload, kept)) for kept in (1.0, 0.0))
    )
    return PromptTimes(found_s=found_s, lost_s=lost_s, weight=weight)
