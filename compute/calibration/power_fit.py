"""Fit of accelerator power to measured cases: what running, arithmetic and memory traffic draw of TDP less idle."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from compute.calibration.cases import CaseTable
from compute.calibration.fitting import FREEDOM, Measured, Solved
from compute.calibration.power_coefficients import GROUPS, group_name, is_unpacked
from compute.steps.power import Activity, EngineStates, PowerCoefficients, engine_states, states_power_share
from compute.steps.speculation import tokens_per_step

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

INITIAL = np.log([0.2, 8.0, 1.3])  # running, compute, memory
SIGMA_TERM, SIGMA_ACCELERATOR, SIGMA_UNPACKED = 0.7, 0.25, 0.5  # of logarithms
# While ranks exchange they wait: on Hopper an instance of several accelerators draws less than its activity says, on
# Blackwell more, and single ones the reverse ("spread"). Cards, cooling and engine settings differ between sweeps
# of the same model on the same card: at equal speed and batch two such sweeps draw 399 W and 519 W. What is common to
# them is what an unseen sweep is predicted by.
SIGMA_GROUPS = dict(zip(GROUPS, (0.2, 0.2, 0.15, 0.15), strict=True))
SIGMA_SWEEP_TERM = 0.2  # a few measured loads of a deployment say how its watts rise with load, too
SIGMA_POWER = 0.05
# Of accelerators without a measured case, from medians of public benchmark runs (InferenceX, aggregated, prompts up to
# 8,192 tokens): MI355X draws 532 W with 4 to 8 requests in flight, 700 W with 16 to 32, 819 W with 64 to 128 and 848 W
# beyond 256, where the drive that its activity has on other accelerators would make it 741 to 1,144 W.
PUBLISHED_DRIVE_LOG = {"mi355x": -0.56}


@dataclass(frozen=True, slots=True, eq=False)
class CaseStates:
    """States of cases: of what generates, and of the prefill pool where prompts are read apart; arrays (n_cases,)."""

    main: EngineStates
    prefill: EngineStates
    prefill_share: FloatArray  # of a case's accelerators that only read prompts

    def take(self, rows: IntArray) -> "CaseStates":
        """Return the states of the cases `rows`."""
        return CaseStates(_taken(self.main, rows), _taken(self.prefill, rows), self.prefill_share[rows])

    def power_share(self, coefficients: PowerCoefficients) -> FloatArray:
        """Return the mean share of (TDP - idle) over all accelerators of each case [-]."""
        main, prefill = (states_power_share(coefficients, states) for states in (self.main, self.prefill))
        return (1.0 - self.prefill_share) * main + self.prefill_share * prefill


def _taken(states: EngineStates, rows: IntArray) -> EngineStates:
    activities = [Activity(a.compute_frac[rows], a.memory_frac[rows]) for a in (states.prefill, states.decode)]
    return EngineStates(states.prefill_frac[rows], states.decode_frac[rows], *activities)


def case_states(table: CaseTable, solved: Solved, itl_s: FloatArray, tokens_per_s: FloatArray) -> CaseStates:
    """Return the states of cases at latency and throughput, measured or predicted.

    Parameters
    ----------
    table, solved : CaseTable, Solved
        Cases and what the model says of them: how much of a gap is a step, and how long a prompt takes.
    itl_s, tokens_per_s : ndarray, shape (n_cases,)
        Of the whole deployment.
    """
    is_apart = table.prefill_workers > 0
    rate = tokens_per_s / table.output_tokens
    state = solved.state
    step_s = state.decode_step_s * itl_s / np.maximum(state.itl_s, 1e-12)
    per_step = tokens_per_step(table.draft_tokens, np.where(table.draft_tokens > 0, solved.draft_acceptance, 0.0))
    lengths = {"input_tokens": table.input_tokens}
    main = engine_states(
        table.work,
        decoding=state.decoding,
        decode_step_s=step_s,
        prefill_s=np.where(is_apart, 0.0, state.prefill_s),
        output_tokens=table.output_tokens,
        requests_per_s=rate / table.replicas,
        draft_tokens=table.draft_tokens,
        tokens_per_step=per_step,
        **lengths,
    )
    prefill = engine_states(
        table.prefill_work,
        decoding=1.0,
        decode_step_s=0.0,
        prefill_s=state.prefill_s,
        output_tokens=0.0,
        requests_per_s=np.where(is_apart, rate / np.maximum(table.prefill_workers, 1.0), 0.0),
        **lengths,
    )
    of_prefill = table.prefill_workers * table.prefill_work.accelerators
    return CaseStates(main, prefill, np.where(is_apart, of_prefill / table.n_accelerators, 0.0))


def measured_states(table: CaseTable, solved: Solved, measured: Measured) -> CaseStates:
    """Return the states that measured speed implies, with predicted speed where none was measured."""
    rate, itl_s = measured.output_tokens_per_s, measured.itl_s
    return case_states(
        table,
        solved,
        np.where(np.isfinite(itl_s), itl_s, solved.itl_s),
        np.where(np.isfinite(rate), rate, solved.output_tokens_per_s),
    )


def fit_power(
    table: CaseTable, states: CaseStates, power_w: FloatArray, use: BoolArray
) -> dict[str, dict[str, list[float]] | list[float]]:
    """Return power coefficients: global terms, deviations by accelerator and sweep, scales of the other groups.

    Parameters
    ----------
    table : CaseTable
        All cases, (n_cases,).
    states : CaseStates
        Of each case.
    power_w : ndarray, shape (n_cases,)
        Measured accelerator power [W], NaN where there is none.
    use : ndarray of bool, shape (n_cases,)
        Cases to fit to; those without a measurement are left out anyway.
    """
    rows = np.flatnonzero(use & np.isfinite(power_w))
    chosen = [table.cases[i] for i in rows]
    attributes = [c.attributes for c in chosen]
    accelerators, by_accelerator = _members([a["accelerator"] for a in attributes])
    sweeps, by_sweep = _members([group_name("sweep", a) for a in attributes])
    groups = {name: _members([group_name(name, a) for a in attributes]) for name in SIGMA_GROUPS}
    idle = np.array([c.accelerator.idle_w for c in chosen])
    tdp = np.array([c.accelerator.tdp_w for c in chosen])
    unpacked = np.array([is_unpacked(a) for a in attributes], dtype=bool)
    here = states.take(rows)
    sizes = [3, 1, 3 * len(accelerators), 3 * len(sweeps), *(len(names) for names, _ in groups.values())]
    ends = np.cumsum(sizes)
    sigma = np.repeat([SIGMA_TERM, SIGMA_UNPACKED, SIGMA_ACCELERATOR, SIGMA_SWEEP_TERM, *SIGMA_GROUPS.values()], sizes)

    def residuals(x: FloatArray) -> FloatArray:
        terms = INITIAL + x[:3] + x[4 : ends[2]].reshape(-1, 3)[by_accelerator]
        terms += x[ends[2] : ends[3]].reshape(-1, 3)[by_sweep]
        terms[:, 2] += np.where(unpacked, x[3], 0.0)
        for (_, members), first in zip(groups.values(), ends[3:], strict=False):
            terms = terms + x[first + members][:, None]
        watts = idle + (tdp - idle) * here.power_share(PowerCoefficients(*np.exp(terms).T))
        miss = np.log(watts / power_w[rows]) / SIGMA_POWER
        # squares of these are twice the negative logarithm of Student's t: rows that disagree with all hardly pull
        robust = np.sign(miss) * np.sqrt((FREEDOM + 1.0) * np.log1p(miss**2 / FREEDOM))
        return np.concatenate([robust, x / sigma])

    x = least_squares(residuals, np.zeros(sigma.size)).x if rows.size else np.zeros(4)
    found: dict[str, dict[str, list[float]] | list[float]] = {
        "global_log": np.round(INITIAL + x[:3], 4).tolist(),
        "unpacked_log": [round(float(x[3]), 4)],
        "accelerator_log": {name: [value] * 3 for name, value in PUBLISHED_DRIVE_LOG.items()}
        | _triples(accelerators, x[4 : ends[2]]),
        "sweep_terms_log": _triples(sweeps, x[ends[2] : ends[3]]),
    }
    for (name, (names, _)), first in zip(groups.items(), ends[3:], strict=False):
        found[f"{name}_log"] = {member: [round(float(x[first + i]), 4)] for i, member in enumerate(names)}
    return found


def _triples(names: Sequence[str], values: FloatArray) -> dict[str, list[float]]:
    """Return the three deviations of each name, of running, compute and memory."""
    return {name: np.round(values[3 * i : 3 * i + 3], 4).tolist() for i, name in enumerate(names)}


def _members(names: Sequence[str]) -> tuple[list[str], IntArray]:
    unique, inverse = np.unique(np.array(names, dtype=str), return_inverse=True)
    return unique.tolist(), inverse.astype(np.int64)
