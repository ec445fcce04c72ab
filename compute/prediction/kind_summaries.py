"""How far predictions agree with measured runs, summed up by kind of run: counts, dates, errors, coverage of bands.

Never a row: the terms of the measured runs allow summary errors only, so a kind with fewer than `LEAST_RUNS` runs gives
its count alone. The summaries of a release are kept beside this module (`kind_summaries.json`), because the measured
runs are not on the machines where the program runs; `manage.py measure_kinds` writes them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.calibration.coefficients import CoefficientSet
from compute.calibration.run import BandScores, CrossValidation, Evidence
from compute.calibration.uncertainty import QUANTITIES
from compute.prediction.rows import BAND_OF, PREDICTED, predict_cases

FloatArray = NDArray[np.float64]

STORED = Path(__file__).parent / "kind_summaries.json"
LEAST_RUNS = 10  # of a kind, to be summed up
BY = {
    "inferencex": "InferenceX",
    "ml_energy": "ML.ENERGY",
    "trtllm_bench": "TensorRT-LLM",
    "gap_analysis": "gap analysis",
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """One quantity of one kind: errors are |predicted / measured - 1|, medians over runs.

    Attributes
    ----------
    runs : int
        That measured it.
    left_out_error_frac, left_out_covered_frac : float
        By fits that had left out the run's deployment with all its loads, and how many runs lay in the 80 % bands that
        other deployments gave; None where no other deployment knows the accelerator.
    shipped_error_frac, shipped_covered_frac : float
        By the shipped set, which has seen these runs.
    """

    runs: int
    left_out_error_frac: float | None
    left_out_covered_frac: float | None
    shipped_error_frac: float | None
    shipped_covered_frac: float | None


@dataclass(frozen=True, slots=True)
class KindSummary:
    """Measured runs of one kind with one model on one accelerator; `agreements` by name in `QUANTITIES`, if enough."""

    accelerator: str
    model: str
    is_apart: bool
    has_drafts: bool
    runs: int
    first: str  # month
    last: str
    sources: tuple[str, ...]
    agreements: Mapping[str, Agreement]


def kind_summaries(
    evidence: Evidence,
    coefficients: CoefficientSet,
    models: Sequence[str],
    validation: CrossValidation | None = None,
    scores: BandScores | None = None,
) -> list[KindSummary]:
    """Return the summaries of all kinds with some models, by accelerator.

    Parameters
    ----------
    evidence : Evidence
        Measured runs.
    coefficients : CoefficientSet
        The shipped set.
    models : sequence of str
        By catalogue id.
    validation, scores : CrossValidation, BandScores, optional
        Errors by left-out deployment and how their bands held; None in their place where omitted.
    """
    shipped = _shipped_errors(evidence, coefficients)
    nothing = np.full_like(shipped[0], np.nan)
    left_out = (
        (np.abs(np.expm1(validation.by_deployment)), scores.covered)
        if validation is not None and scores is not None
        else (nothing, nothing)
    )
    members: dict[tuple[str, str, bool, bool], list[int]] = {}
    for i, case in enumerate(evidence.table.cases):
        if case.model.name in models:
            key = (case.model.name, case.accelerator.name, case.prefill is not None, case.draft_tokens > 0)
            members.setdefault(key, []).append(i)
    found = []
    for (model, accelerator, is_apart, has_drafts), places in sorted(members.items()):
        at = np.array(places)
        months = sorted(filter(None, (evidence.months[i] for i in places)))
        clients = {evidence.table.cases[i].attributes["client"] for i in places}
        found.append(
            KindSummary(
                accelerator,
                model,
                is_apart,
                has_drafts,
                len(places),
                months[0] if months else "",
                months[-1] if months else "",
                tuple(sorted(BY.get(client, client) for client in clients)),
                _agreements(at, left_out, shipped),
            )
        )
    return found


def _shipped_errors(evidence: Evidence, coefficients: CoefficientSet) -> tuple[FloatArray, FloatArray]:
    """Return |predicted / measured - 1| and whether bands hold, (5, n_cases) as `QUANTITIES`, NaN if unmeasured."""
    prediction = predict_cases(evidence.table, coefficients)
    row_of = {BAND_OF[name]: j for j, name in enumerate(PREDICTED)}
    measured = {
        "itl": evidence.measured.itl_s,
        "ttft": evidence.measured.ttft_s,
        "throughput": evidence.measured.output_tokens_per_s,
        "power": evidence.measured.accelerator_power_w,
    }
    n_tokens = evidence.table.n_accelerators / measured["throughput"]
    measured["joules"] = measured["power"] * n_tokens
    errors, held = [], []
    for quantity in QUANTITIES:
        j, value = row_of[quantity], measured[quantity]
        predicted = getattr(prediction, PREDICTED[j])
        errors.append(np.abs(predicted / value - 1.0))
        inside = (prediction.low[j] <= value) & (value <= prediction.high[j])
        held.append(np.where(np.isfinite(errors[-1]), inside, np.nan))
    return np.array(errors), np.array(held)


def _agreements(
    at: NDArray[np.int64], left_out: tuple[FloatArray, FloatArray], shipped: tuple[FloatArray, FloatArray]
) -> dict[str, Agreement]:
    """Return the agreement of runs `at`, from errors and whether bands held, each of shape (5, n_cases)."""
    found = {}
    for j, quantity in enumerate(QUANTITIES):
        n = int(np.isfinite(shipped[0][j, at]).sum())
        if n >= LEAST_RUNS:
            found[quantity] = Agreement(
                n,
                _of(np.median, left_out[0][j, at]),
                _of(np.mean, left_out[1][j, at]),
                _of(np.median, shipped[0][j, at]),
                _of(np.mean, shipped[1][j, at]),
            )
    return found


def _of(statistic: Any, values: FloatArray) -> float | None:
    """Return a statistic of the finite values, rounded to 4 digits; None where there are none."""
    seen = values[np.isfinite(values)]
    return round(float(statistic(seen)), 4) if seen.size else None


def written(summaries: Sequence[KindSummary], measured_on: str, files: Sequence[str]) -> str:
    """Return summaries as the JSON text that `stored_summaries` reads.

    Parameters
    ----------
    summaries : sequence of KindSummary
        Of a release.
    measured_on : str
        Date.
    files : sequence of str
        That hold the measured runs.
    """
    content = {"measured_on": measured_on, "files": list(files), "kinds": [asdict(one) for one in summaries]}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


@cache
def stored_summaries() -> tuple[str, tuple[KindSummary, ...]]:
    """Return the date of the shipped summaries, and them."""
    content = json.loads(STORED.read_text(encoding="utf-8"))
    return content["measured_on"], tuple(
        KindSummary(
            **{
                **kind,
                "sources": tuple(kind["sources"]),
                "agreements": {name: Agreement(**values) for name, values in kind["agreements"].items()},
            }
        )
        for kind in content["kinds"]
    )
