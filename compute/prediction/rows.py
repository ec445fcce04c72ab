"""Predictions for serving cases: rows in, rows out, each with bands or with the reason why there is no answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import Accelerator
from compute.calibration.cases import CALIBRATED_PROTOCOL, Case, CaseTable, case_table, parse_case
from compute.calibration.coefficients import CoefficientSet
from compute.calibration.fitting import Solved, solve_cases
from compute.calibration.power_coefficients import power_coefficients
from compute.calibration.power_fit import CaseStates, case_states
from compute.calibration.run import case_power_w
from compute.calibration.uncertainty import case_band, novelty
from compute.model_shapes import ModelShape
from compute.prediction.open_arrivals import with_open_arrivals
from compute.steady.instances import version_note
from compute.steps.power import PowerCoefficients, power_quantile_share, states_power_share

FloatArray = NDArray[np.float64]

PREDICTED = ("ttft_s", "itl_s", "output_tokens_per_s", "accelerator_power_w", "joules_per_output_token")
POWER_DETAILS = (
    "accelerator_power_p50_w",  # over time, as a meter that logs watts sees it
    "accelerator_power_p75_w",
    "accelerator_power_p90_w",
    "prefill_power_w",  # of pools that only read prompts, and that only generate
    "decode_power_w",
)
NORMAL_75 = 0.6744897501960817  # points of the standard normal law
NORMAL_90 = 1.2815515655446004
BAND_OF = dict(zip(PREDICTED, ("ttft", "itl", "throughput", "power", "joules"), strict=True))
COLUMNS = (
    "case_id",
    *(column for name in PREDICTED for column in (name, f"{name}_low", f"{name}_high")),
    *POWER_DETAILS,
    "feasible",
    "reason",
    "assumed",
)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Predicted values of checked cases, shape (n_cases,); bands have shape (5, n_cases) in `PREDICTED` order."""

    ttft_s: FloatArray
    itl_s: FloatArray
    output_tokens_per_s: FloatArray
    accelerator_power_w: FloatArray
    joules_per_output_token: FloatArray
    low: FloatArray
    high: FloatArray
    power_details: FloatArray  # (5, n_cases) in `POWER_DETAILS` order, NaN where there is no such pool
    draft_acceptance: FloatArray  # (n_cases,), of drafted tokens; where nothing is drafted it means nothing
    reasons: tuple[str, ...]  # why a case has no steady state, or blank
    notes: tuple[str, ...]  # what to know of an answer, or blank


def predict_rows(
    rows: Sequence[Mapping[str, str | None]],
    accelerators: Mapping[str, Accelerator],
    models: Mapping[str, ModelShape],
    coefficients: CoefficientSet,
) -> list[dict[str, str | float | bool]]:
    """Return one answer per row, in order, with the keys of `COLUMNS`.

    Parameters
    ----------
    rows : sequence of mappings
        Columns of the measured serving cases, values as text; missing columns count as blank. `request_rate_per_s`
        in place of `concurrency` asks for open (Poisson) arrivals at the whole deployment.
    accelerators, models : mapping
        What the catalogue has, by id.
    coefficients : CoefficientSet
        A fitted set.

    Returns
    -------
    list of dict
        Numbers and `feasible` True, or blanks, `feasible` False and the reason. Where more requests are in flight than
        a deployment takes in, the reason of an answer says how many wait. `assumed` says what was taken where a row is
        blank.
    """
    answers: list[dict[str, str | float | bool]] = []
    cases: list[Case] = []
    places: list[int] = []
    for i, row in enumerate(rows):
        answer: dict[str, str | float | bool] = dict.fromkeys(COLUMNS, "")
        answer["case_id"] = str(row.get("case_id") or "")
        try:
            cases.append(parse_case(row, accelerators, models))
            places.append(i)
            answer["feasible"] = True
        except ValueError as error:
            answer["feasible"] = False
            answer["reason"] = str(error)
        answers.append(answer)
    if not cases:
        return answers
    prediction = predict_cases(case_table(cases), coefficients)
    for k, i in enumerate(places):
        if prediction.reasons[k]:
            answers[i] |= {"feasible": False, "reason": prediction.reasons[k]}
            continue
        version = str(rows[i].get("engine_version") or "").strip()
        case = cases[k]
        unseen = version_note(coefficients, case.accelerator, case.attributes["engine"], version)
        answers[i]["reason"] = "; ".join(filter(None, (prediction.notes[k], unseen)))
        answers[i]["assumed"] = _assumed_text(rows[i], case, float(prediction.draft_acceptance[k]))
        for j, name in enumerate(PREDICTED):
            value = float(getattr(prediction, name)[k])
            if not np.isfinite(value):
                continue
            answers[i][name] = value
            answers[i][f"{name}_low"] = float(prediction.low[j, k])
            answers[i][f"{name}_high"] = float(prediction.high[j, k])
        for name, value in zip(POWER_DETAILS, prediction.power_details[:, k], strict=True):
            if np.isfinite(value):
                answers[i][name] = float(value)
    return answers


def predict_cases(table: CaseTable, coefficients: CoefficientSet) -> Prediction:
    """Return predicted values of checked cases with 80 % bands.

    Parameters
    ----------
    table : CaseTable
        Checked cases.
    coefficients : CoefficientSet
        A fitted set.

    Returns
    -------
    Prediction
        TTFT of a case whose requests are all queued at once is not defined: NaN.
    """
    log_values = coefficients.log_values([c.attributes for c in table.cases])
    solved = solve_cases(table, log_values)
    reasons = [""] * len(table.cases)
    is_open = np.isfinite([c.request_rate_per_s for c in table.cases])
    if is_open.any():
        solved, refusals = with_open_arrivals(table, log_values, solved, np.flatnonzero(is_open))
        for i, reason in refusals.items():
            reasons[i] = reason
    states = case_states(table, solved, solved.itl_s, solved.output_tokens_per_s)
    power = power_coefficients(coefficients.record["power"], [c.attributes for c in table.cases])
    watts = case_power_w(table, power, states)
    values = {
        "ttft_s": np.where(np.isfinite(table.concurrency), solved.ttft_s, np.nan),
        "itl_s": np.where(table.output_tokens > 1.0, solved.itl_s, np.nan),  # one token has no gap
        "output_tokens_per_s": solved.output_tokens_per_s,
        "accelerator_power_w": watts,
        "joules_per_output_token": watts * table.n_accelerators / solved.output_tokens_per_s,
    }
    bands, measured = coefficients.record["bands"], coefficients.record["measured"]
    low, high = np.empty((len(PREDICTED), len(table.cases))), np.empty((len(PREDICTED), len(table.cases)))
    queued = solved.state.wait_s > 0
    for k, case in enumerate(table.cases):
        kinds = novelty(case, coefficients.record)
        for j, name in enumerate(PREDICTED):
            ends = case_band(bands, BAND_OF[name], case, bool(queued[k]), kinds, measured)
            low[j, k], high[j, k] = values[name][k] * np.exp(ends)
    notes = tuple(
        "; ".join(filter(None, [_waiting_text(table, k, solved) if queued[k] else "", *case.warnings]))
        for k, case in enumerate(table.cases)
    )
    details = _power_details(table, power, states, solved)
    return Prediction(
        **values,
        low=low,
        high=high,
        power_details=details,
        draft_acceptance=np.broadcast_to(solved.draft_acceptance, (len(table.cases),)),
        reasons=tuple(reasons),
        notes=notes,
    )


def _assumed_text(row: Mapping[str, str | None], case: Case, acceptance: float) -> str:
    """Return what was taken where a row is blank, in words."""

    def blank(column: str) -> bool:
        return not str(row.get(column) or "").strip()

    a, client = case.attributes, case.attributes["client"]
    parts = {
        "statistic": f"latencies are {a['statistic']}s",
        "engine_version": "no release of the engine in particular",
        "kv_precision": f"{case.kv_precision} cache",
        "draft_tokens": f"{case.draft_tokens} tokens drafted per step" if case.draft_tokens else "",
        "draft_acceptance": f"drafted tokens accepted with {acceptance:.0%}, predicted" if case.draft_tokens else "",
    }
    found = [text for column, text in parts.items() if text and blank(column)]
    if client == "own":
        found.append("a client as InferenceX's, lengths as given")
    elif client == CALIBRATED_PROTOCOL:
        found.append(f"lengths drawn at 0.8 to 1 of the nominal ones; {case.habits.described()}")
    return "; ".join(found)


def _power_details(table: CaseTable, power: PowerCoefficients, states: CaseStates, solved: Solved) -> FloatArray:
    """Return percentiles of watts over time and the means of separate pools, in the order of `POWER_DETAILS`."""
    idle = np.array([c.accelerator.idle_w for c in table.cases])
    span = np.array([c.accelerator.tdp_w for c in table.cases]) - idle
    rate = solved.output_tokens_per_s / table.output_tokens
    each_prefill = rate / np.maximum(table.prefill_workers, 1.0)
    percentiles = [
        (1.0 - states.prefill_share) * power_quantile_share(power, states.main, rate / table.replicas, normal)
        + states.prefill_share * power_quantile_share(power, states.prefill, each_prefill, normal)
        for normal in (0.0, NORMAL_75, NORMAL_90)
    ]
    pools = [states_power_share(power, pool) for pool in (states.prefill, states.main)]
    apart = np.where(table.prefill_workers > 0, 1.0, np.nan)
    return idle + span * np.array([*percentiles, *(share * apart for share in pools)])


def _waiting_text(table: CaseTable, k: int, solved: Solved) -> str:
    """Return how many of a closed loop's requests are taken in; blank where all are queued at once on purpose."""
    in_flight = table.concurrency[k] * table.replicas[k]
    if not np.isfinite(in_flight):
        return ""
    admitted = np.floor(solved.state.admitted[k] * table.replicas[k])
    return f"memory and seats take in {admitted:.0f} of {in_flight:.0f} requests; the others wait for a place"
