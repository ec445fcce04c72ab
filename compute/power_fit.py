"""Fit of accelerator power to measured cases: what running, arithmetic and memory traffic draw of TDP less idle."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from compute.cases import CaseTable
from compute.fitting import Measured, Solved
from compute.power import Activity, PowerCoefficients, accelerator_power_w, steady_activity

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TERMS = ("running", "compute", "memory")
INITIAL = np.log([0.2, 8.0, 1.3])
SIGMA_TERM, SIGMA_ACCELERATOR, SIGMA_MODEL, SIGMA_BOTH = 0.7, 0.25, 0.2, 0.15  # of logarithms
SIGMA_POWER = 0.05


def measured_activity(table: CaseTable, solved: Solved, measured: Measured) -> Activity:
    """Return the activity that measured speed implies, with predicted speed where none was measured."""
    rate = measured.output_tokens_per_s / table.replicas / table.output_tokens
    return steady_activity(
        table.work,
        solved.state,
        input_tokens=table.input_tokens,
        output_tokens=table.output_tokens,
        requests_per_s=np.where(np.isfinite(rate), rate, solved.requests_per_s),
        itl_s=np.where(np.isfinite(measured.itl_s), measured.itl_s, solved.itl_s),
    )


def fit_power(
    table: CaseTable, activity: Activity, power_w: FloatArray, use: BoolArray
) -> dict[str, dict[str, list[float]] | list[float]]:
    """Return power coefficients: global terms, deviations by accelerator, and scales by model and by both.

    Parameters
    ----------
    table : CaseTable
        All cases, (n_cases,).
    activity : Activity
        Of each case.
    power_w : ndarray, shape (n_cases,)
        Measured accelerator power [W], NaN where there is none.
    use : ndarray of bool, shape (n_cases,)
        Cases to fit to; those without a measurement are left out anyway.
    """
    rows = np.flatnonzero(use & np.isfinite(power_w))
    chosen = [table.cases[i] for i in rows]
    accelerators = sorted({c.accelerator.name for c in chosen})
    models = sorted({c.model.name for c in chosen})
    pairs = sorted({_pair(c.attributes) for c in chosen})
    by_accelerator = np.array([accelerators.index(c.accelerator.name) for c in chosen], dtype=int)
    by_model = np.array([models.index(c.model.name) for c in chosen], dtype=int)
    by_pair = np.array([pairs.index(_pair(c.attributes)) for c in chosen], dtype=int)
    idle = np.array([c.accelerator.idle_w for c in chosen])
    tdp = np.array([c.accelerator.tdp_w for c in chosen])
    here = Activity(activity.compute_frac[rows], activity.memory_frac[rows])
    ends = np.cumsum([3, 3 * len(accelerators), len(models), len(pairs)])
    sigma = np.repeat(
        [SIGMA_TERM, SIGMA_ACCELERATOR, SIGMA_MODEL, SIGMA_BOTH], [3, 3 * len(accelerators), len(models), len(pairs)]
    )

    def residuals(x: FloatArray) -> FloatArray:
        terms = INITIAL + x[:3] + x[3 : ends[1]].reshape(-1, 3)[by_accelerator]
        terms = terms + (x[ends[1] : ends[2]][by_model] + x[ends[2] :][by_pair])[:, None]
        watts = accelerator_power_w(PowerCoefficients(*np.exp(terms).T), here, idle_w=idle, tdp_w=tdp)
        return np.concatenate([np.log(watts / power_w[rows]) / SIGMA_POWER, x / sigma])

    x = least_squares(residuals, np.zeros(sigma.size), loss="soft_l1").x if rows.size else np.zeros(3)
    deviations = x[3 : ends[1]].reshape(-1, 3) if rows.size else np.zeros((0, 3))
    return {
        "global_log": np.round(INITIAL + x[:3], 4).tolist(),
        "accelerator_log": {name: np.round(deviations[i], 4).tolist() for i, name in enumerate(accelerators)},
        "model_log": {name: [round(float(x[ends[1] + i]), 4)] for i, name in enumerate(models)},
        "model_accelerator_log": {name: [round(float(x[ends[2] + i]), 4)] for i, name in enumerate(pairs)},
    }


def power_coefficients(fitted: Mapping[str, object], attributes: Sequence[Mapping[str, str]]) -> PowerCoefficients:
    """Return the power coefficients of cases from a fitted record; unknown groups deviate by nothing."""
    terms = np.tile(np.asarray(fitted["global_log"], dtype=np.float64), (len(attributes), 1))
    accelerator, model, both = (fitted[f"{name}_log"] for name in ("accelerator", "model", "model_accelerator"))
    for i, case in enumerate(attributes):
        terms[i] += accelerator.get(case["accelerator"], _generation_mean(accelerator, case))
        terms[i] += model.get(case["model"], [0.0])[0] + both.get(_pair(case), [0.0])[0]
    return PowerCoefficients(*np.exp(terms).T)


def _pair(attributes: Mapping[str, str]) -> str:
    return f"{attributes['model']}|{attributes['accelerator']}"


def _generation_mean(by_accelerator: Mapping[str, Sequence[float]], case: Mapping[str, str]) -> FloatArray:
    """Return the deviation of a relative of the same generation (they share a letter and a digit), or none."""
    relatives = [v for name, v in by_accelerator.items() if _stem(name) == _stem(case["accelerator"])]
    return np.mean(relatives, axis=0) if relatives else np.zeros(3)


def _stem(name: str) -> str:
    """Return the family letter and digit of a part's name: gb300 and b200-sxm are both `b`."""
    return name.removeprefix("g")[:1]
