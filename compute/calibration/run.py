"""One calibration from start to end: fit, cross-validate, derive bands, and record what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.accelerators import Accelerator
from compute.calibration.cases import CaseTable, case_table, parse_case
from compute.calibration.coefficients import CoefficientSet, measured_releases
from compute.calibration.fitting import (
    Measured,
    Solved,
    coefficient_set_of,
    fit_layout,
    fit_unknowns,
    out_of_fold_logs,
    solve_cases,
    unknown_log_values,
)
from compute.calibration.power_coefficients import power_coefficients
from compute.calibration.power_fit import CaseStates, case_states, fit_power, measured_states
from compute.calibration.uncertainty import (
    COVERED_FRAC,
    PRIOR_NARROWING_UNITS,
    PRIOR_STRETCH_UNITS,
    QUANTITIES,
    case_band,
    group_path,
    measured_kinds,
    mode_class,
    reachable_groups,
    residual_quantiles,
    run_kind,
    widening_that_covers,
)
from compute.model_shapes import ModelShape
from compute.steps.power import PowerCoefficients

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

N_FOLDS = 5
MEASURED = ("measured_itl_s", "measured_ttft_s", "measured_output_tokens_per_s", "measured_accelerator_power_w")
MODEL_FOLDS = 6
# What a case is new in -> what the fits that its band comes from had left out.
KINDS = {
    "known": "case",
    "new_deployment": "deployment",
    "new_model": "model",
    "new_accelerator": "accelerator",
    "other_mode": "mode",
}
SEED = 20260101  # of the assignment of deployments to folds


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Measured cases that parse, and why the others do not."""

    table: CaseTable
    measured: Measured
    deployments: tuple[str, ...]  # cases of one deployment never part in cross-validation
    months: tuple[str, ...]  # of measurement, "" where not stated
    rejected: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """Logarithms of predicted over measured by quantity (rows as `QUANTITIES`), each case unseen by its fit."""

    by_deployment: FloatArray  # (5, n_cases)
    by_case: FloatArray  # other loads of the same deployment are known, as after measuring a few of one's own
    by_model: FloatArray
    by_accelerator: FloatArray
    by_mode: FloatArray  # prompts apart, or drafts, left out
    by_date: FloatArray  # later half from the earlier half; NaN for undated and earlier cases
    queued: BoolArray  # (n_cases,), requests wait for memory
    predicted_throughput: FloatArray  # (n_cases,), by deployment [1/s]


def read_evidence(
    rows: Sequence[Mapping[str, str]], accelerators: Mapping[str, Accelerator], models: Mapping[str, ModelShape]
) -> Evidence:
    """Return the measured cases of rows, with a reason for each row that cannot be read.

    Parameters
    ----------
    rows : sequence of mapping
        In the columns of the measured serving cases, as text.
    accelerators, models : mapping
        What the catalogue has, by id.
    """
    cases, kept, values, rejected = [], [], [], []
    for i, row in enumerate(rows):
        try:
            case, measured = parse_case(row, accelerators, models), [_measured(row, name) for name in MEASURED]
            if np.isnan(measured).all():
                raise ValueError(f"nothing is measured; give one of {', '.join(MEASURED)}")
        except ValueError as error:
            rejected.append(f"row {i + 2} ({row.get('case_id', '')}): {error}")
            continue
        cases.append(case)
        kept.append(row)
        values.append(measured)
    if not cases:
        raise ValueError("no usable case" + (f"; first: {rejected[0]}" if rejected else ""))
    itl_s, ttft_s, throughput, power_w = np.array(values).T
    # Throughput that was derived from the latencies is no second measurement.
    derived = np.array(["little's law" in (row.get("note") or "").lower() for row in kept])
    return Evidence(
        table=case_table(cases),
        measured=Measured(
            itl_s=itl_s,
            ttft_s=ttft_s,
            output_tokens_per_s=np.where(derived, np.nan, throughput),
            accelerator_power_w=power_w,
        ),
        deployments=tuple(c.deployment for c in cases),
        months=tuple(str(row.get("measured_on") or "")[:7] for row in kept),
        rejected=tuple(rejected),
    )


def _measured(row: Mapping[str, str], name: str) -> float:
    """Return a measured value, NaN where it is blank."""
    text = (row.get(name) or "nan").strip() or "nan"
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}; must be a number or blank") from None
    if not (np.isnan(value) or 0 < value < 1e12):
        raise ValueError(f"{name} is {text}; must be greater than 0 and finite, or blank")
    return value


def cross_validate(evidence: Evidence) -> CrossValidation:
    """Return predictions of every case by fits that have not seen its deployment, its model, its accelerator."""
    table, measured = evidence.table, evidence.measured
    logs = measured.logs()
    layout = fit_layout(table)
    dated = np.array(evidence.months)
    known = np.sort(dated[dated != ""])
    late = dated > known[known.size // 2] if known.size else np.zeros(dated.size, dtype=bool)
    splits: dict[str, list[BoolArray]] = {
        "deployment": _masks(_left_out(evidence, "deployment")),
        "case": _masks(_left_out(evidence, "case")),
        "model": _masks(_left_out(evidence, "model")),
        "accelerator": _masks(_left_out(evidence, "accelerator")),
        "mode": _masks(_left_out(evidence, "mode"))[1:],
        "date": [late] if late.any() and not late.all() else [],
    }
    results = {}
    for kind, masks in splits.items():
        predicted, used = out_of_fold_logs(table, logs, layout, masks)
        watts = _power_out_of_fold(table, measured, predicted, solve_cases(table, used), masks)
        results[kind] = (predicted, watts)
    errors = {kind: _errors(table, measured, *result) for kind, result in results.items()}
    full = fit_unknowns(table, logs, layout)
    fitted = solve_cases(table, unknown_log_values(layout, full, len(table.cases)))
    return CrossValidation(
        by_deployment=errors["deployment"],
        by_case=errors["case"],
        by_model=errors["model"],
        by_accelerator=errors["accelerator"],
        by_mode=errors["mode"],
        by_date=errors["date"],
        queued=fitted.state.wait_s > 0,
        predicted_throughput=np.exp(results["deployment"][0][2]),
    )


def _folds_of(names: Sequence[str], n_folds: int = N_FOLDS) -> IntArray:
    unique, inverse = np.unique(np.array(names), return_inverse=True)
    return (np.random.default_rng(SEED).permutation(unique.size) % n_folds)[inverse]


def _left_out(evidence: Evidence, unseen: str) -> IntArray:
    """Return the fold of each case in which its deployment, its model or its accelerator is left out."""
    if unseen == "deployment":
        return _folds_of(evidence.deployments)
    if unseen == "case":
        return _folds_of([str(i) for i in range(len(evidence.deployments))])
    if unseen == "model":
        return _folds_of([c.attributes["model"] for c in evidence.table.cases], MODEL_FOLDS)
    if unseen == "mode":  # 0: neither drafts nor prompts apart
        return np.array([(c.prefill is not None) + 2 * (c.draft_tokens > 0) for c in evidence.table.cases])
    return np.unique([c.attributes[unseen] for c in evidence.table.cases], return_inverse=True)[1]


def _units(evidence: Evidence, unseen: str) -> IntArray:
    """Return which cases err together in a fit that has not seen what they have in common."""
    if unseen == "case":
        return np.arange(len(evidence.deployments))
    if unseen == "deployment":
        return np.unique(evidence.deployments, return_inverse=True)[1]
    if unseen == "model":
        return np.unique([c.attributes["model"] for c in evidence.table.cases], return_inverse=True)[1]
    return _left_out(evidence, unseen)


def _masks(folds: IntArray) -> list[BoolArray]:
    return [folds == k for k in np.unique(folds)]


def _power_out_of_fold(
    table: CaseTable, measured: Measured, predicted: FloatArray, states: Solved, masks: Sequence[BoolArray]
) -> FloatArray:
    """Return predicted watts of each case from activity at predicted speed and coefficients fitted without it."""
    watts = np.full(len(table.cases), np.nan)
    attributes = [c.attributes for c in table.cases]
    seen = measured_states(table, states, measured)
    at_prediction = case_states(table, states, np.exp(predicted[0]), np.exp(predicted[2]))
    for mask in masks:
        if not np.any(mask & np.isfinite(measured.accelerator_power_w)):
            continue
        coefficients = power_coefficients(fit_power(table, seen, measured.accelerator_power_w, ~mask), attributes)
        watts[mask] = case_power_w(table, coefficients, at_prediction)[mask]
    return watts


def case_power_w(table: CaseTable, coefficients: PowerCoefficients, states: CaseStates) -> FloatArray:
    """Return the mean power of one accelerator of each case [W], shape (n_cases,).

    Parameters
    ----------
    table : CaseTable
        Cases.
    coefficients : PowerCoefficients
        Of each case.
    states : CaseStates
        What each case's accelerators do over time.
    """
    idle = np.array([c.accelerator.idle_w for c in table.cases])
    tdp = np.array([c.accelerator.tdp_w for c in table.cases])
    return idle + (tdp - idle) * states.power_share(coefficients)


def _errors(table: CaseTable, measured: Measured, predicted: FloatArray, watts: FloatArray) -> FloatArray:
    joules = watts * table.n_accelerators / np.exp(predicted[2])
    measured_joules = measured.accelerator_power_w * table.n_accelerators / measured.output_tokens_per_s
    return np.vstack(
        [
            predicted - measured.logs(),
            np.log(watts / measured.accelerator_power_w),
            np.log(joules / measured_joules),
        ]
    )


def calibrate(evidence: Evidence, validation: CrossValidation, *, fitted_from: str) -> CoefficientSet:
    """Return the coefficient set of all cases, with its bands and the record of how it was fitted.

    Parameters
    ----------
    evidence : Evidence
        Measured cases; all of them are fitted to.
    validation : CrossValidation
        Errors of cases left out of the fit, from which the bands come.
    fitted_from : str
        Name of the data, for the record.
    """
    table, measured = evidence.table, evidence.measured
    layout = fit_layout(table)
    unknowns = fit_unknowns(table, measured.logs(), layout, max_iterations=30)
    found = coefficient_set_of(layout, unknowns)
    solved = solve_cases(table, unknown_log_values(layout, unknowns, len(table.cases)))
    power = fit_power(
        table,
        measured_states(table, solved, measured),
        measured.accelerator_power_w,
        np.ones(len(table.cases), dtype=bool),
    )
    months = sorted(m for m in evidence.months if m)
    systems: dict[str, int] = {}
    for case in table.cases:
        key = "|".join(case.attributes[k] for k in ("accelerator", "engine", "protocol", "vintage"))
        systems[key] = systems.get(key, 0) + 1
    record = {
        "fitted_from": fitted_from,
        "cases": len(table.cases),
        "rejected": len(evidence.rejected),
        "measured_from": months[0] if months else "",
        "measured_to": months[-1] if months else "",
        "cases_by_vintage": systems,
        "models": sorted({c.model.name for c in table.cases}),
        "modes": sorted({mode_class(c) for c in table.cases}),
        "measured": measured_kinds(table.cases),
        "releases": measured_releases([c.attributes for c in table.cases], evidence.months),
        "kinds": sorted(
            {
                run_kind(c.attributes["generation"], c.model.name, c.prefill is not None, c.draft_tokens > 0)
                for c in table.cases
            }
        ),
        "deployments": sorted(set(evidence.deployments)),
        "systems": sorted({f"{c.accelerator.name}|{c.attributes['engine']}" for c in table.cases}),
        "power": power,
        "bands": bands_of(evidence, validation),
        "residuals": residual_summary(evidence, validation),
    }
    return replace(found, record=record)


def bands_of(
    evidence: Evidence, validation: CrossValidation, use: BoolArray | None = None, unseen: str | None = None
) -> dict[str, dict[str, Any]]:
    """Return residual quantiles by novelty and quantity, from the cases of `use`; of all novelties or that of one.

    Only groups that a case of that novelty can be looked up in.
    """
    cases = evidence.table.cases
    keep = np.ones(len(cases), dtype=bool) if use is None else use
    bands: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS if unseen in (None, KINDS[kind])}
    for j, quantity in enumerate(QUANTITIES):
        paths = [group_path(case, bool(q), quantity) for case, q in zip(cases, validation.queued, strict=True)]
        for kind in bands:
            left_out = _left_out(evidence, KINDS[kind])
            residuals = np.where(keep & _others_know(evidence, KINDS[kind]), -_errors_of(validation, kind)[j], np.nan)
            units = _units(evidence, KINDS[kind])
            narrowing = PRIOR_STRETCH_UNITS if kind in ("known", "new_deployment") else PRIOR_NARROWING_UNITS
            widening = widening_that_covers(paths, residuals, left_out, units, narrowing)
            quantiles = residual_quantiles(paths, residuals, units, widening)
            reachable = reachable_groups(paths, KINDS[kind])
            bands[kind][quantity] = {group: row for group, row in quantiles.items() if group in reachable}
    return bands


def _errors_of(validation: CrossValidation, kind: str) -> FloatArray:
    return getattr(validation, f"by_{KINDS[kind]}")


def _others_know(evidence: Evidence, unseen: str) -> BoolArray:
    """Return whether a case's accelerator is known to the fit that had left its deployment out.

    The only deployment of an accelerator says how well others predict an accelerator, not a deployment.
    """
    if unseen != "deployment":
        return np.ones(len(evidence.deployments), dtype=bool)
    folds = _left_out(evidence, unseen)
    parts = np.array([c.accelerator.name for c in evidence.table.cases])
    return np.array([np.any(folds[parts == part] != fold) for part, fold in zip(parts, folds, strict=True)])


@dataclass(frozen=True, slots=True, eq=False)
class BandScores:
    """How bands from other cases held; rows as `QUANTITIES`, (5, n_cases), NaN where nothing was measured."""

    covered: FloatArray  # 1 where a case lies in its band, else 0
    half_width: FloatArray  # of the band, in logarithms
    interval_score: FloatArray  # width, and what lies outside it tenfold: the lower, the better (Gneiting and Raftery)


def band_coverage(evidence: Evidence, validation: CrossValidation, unseen: str = "deployment") -> BandScores:
    """Return how the bands of cases held that come from the others.

    Parameters
    ----------
    evidence, validation : Evidence, CrossValidation
        Cases and their errors.
    unseen : str
        What neither the prediction nor its band has seen: the "case", "deployment", "model", "accelerator" or "mode".

    References
    ----------
    .. [1] Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102 (2007), eq. 43.
    """
    cases = evidence.table.cases
    folds = _left_out(evidence, unseen)
    residuals = -getattr(validation, f"by_{unseen}")
    kind = next(name for name, what in KINDS.items() if what == unseen)
    low, high = np.full(residuals.shape, np.nan), np.full(residuals.shape, np.nan)
    known = _others_know(evidence, unseen)
    for k in np.unique(folds):
        bands = bands_of(evidence, validation, folds != k, unseen if unseen in ("case", "deployment") else None)
        measured = measured_kinds([case for case, fold in zip(cases, folds, strict=True) if fold != k])
        for i in np.flatnonzero(folds == k):
            for j, quantity in enumerate(QUANTITIES):
                if np.isfinite(residuals[j, i]) and known[i]:
                    queued = bool(validation.queued[i])
                    low[j, i], high[j, i] = case_band(bands, quantity, cases[i], queued, (kind,), measured)
    outside = np.maximum(low - residuals, 0.0) + np.maximum(residuals - high, 0.0)
    return BandScores(
        covered=np.where(np.isfinite(low), outside == 0.0, np.nan),
        half_width=0.5 * (high - low),
        interval_score=high - low + 2.0 / (1.0 - COVERED_FRAC) * outside,
    )


def residual_summary(evidence: Evidence, validation: CrossValidation) -> dict[str, dict[str, list[float]]]:
    """Return count, median and mean absolute relative error by kind of cross-validation and quantity."""
    kinds = {
        "deployment": validation.by_deployment,
        "case": validation.by_case,
        "model": validation.by_model,
        "accelerator": validation.by_accelerator,
        "mode": validation.by_mode,
        "date": validation.by_date,
    }
    summary: dict[str, dict[str, list[float]]] = {}
    for kind, errors in kinds.items():
        for j, quantity in enumerate(QUANTITIES):
            e = np.abs(np.expm1(errors[j][np.isfinite(errors[j])]))
            if e.size:
                values = [e.size, round(float(np.median(e)), 4), round(float(e.mean()), 4)]
                summary.setdefault(kind, {})[quantity] = values
    return summary


def family_rank_correlation(evidence: Evidence, predicted_tokens_per_s: FloatArray) -> tuple[float, int]:
    """Return the mean Spearman correlation of throughput within deployment families, and their number.

    A family is one system and model; its members differ in ranks, lengths and load. Families of fewer than five cases
    say little about order and do not count. Throughput by Little's law serves where none was measured.
    """
    measured = evidence.measured
    in_flight = evidence.table.concurrency * evidence.table.replicas
    life = measured.ttft_s + measured.itl_s * evidence.table.output_tokens
    rate = np.where(
        np.isfinite(measured.output_tokens_per_s),
        measured.output_tokens_per_s,
        in_flight * evidence.table.output_tokens / life,
    )
    families: dict[str, list[int]] = {}
    for i, case in enumerate(evidence.table.cases):
        if np.isfinite(rate[i]) and np.isfinite(predicted_tokens_per_s[i]):
            key = "|".join(case.attributes[k] for k in ("accelerator", "engine", "protocol", "model", "precision"))
            families.setdefault(key, []).append(i)
    values = [
        np.corrcoef(_ranks(rate[members]), _ranks(predicted_tokens_per_s[members]))[0, 1]
        for members in families.values()
        if len(members) >= 5
    ]
    return (float(np.mean(values)), len(values)) if values else (float("nan"), 0)


def _ranks(values: FloatArray) -> FloatArray:
    return np.argsort(np.argsort(values)).astype(np.float64)
