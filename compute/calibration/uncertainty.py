"""80 % bands from the residuals of the nearest measured cases.

A fit predicts cases that it has not seen; the logarithms of measured over predicted are kept as quantiles by how near a
case is: the same system under the same kind of load, the same system, the same engine, all. What the fit has not seen
(a model, an accelerator, both) takes its quantiles from fits that had left out a model or an accelerator.

Quantiles of few cases lie inside those of the law they are drawn from, and cases of one deployment err together. By how
much bands must widen for that is measured: each group's cases are held against the bands of the others, and the
stretch that covers 80 % of them is applied to all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

from compute.calibration.cases import Case

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

COVERED_FRAC = 0.8
LOW_QUANTILE, HIGH_QUANTILE = 0.5 - COVERED_FRAC / 2.0, 0.5 + COVERED_FRAC / 2.0
# A lone group has no other to be held against. Student's t of one degree of freedom, the least that a spread can be
# estimated with, predicts the next draw from the mean of two: t / z * sqrt(1 + 1/2).
LONE_GROUP_WIDENING = float(student_t.ppf(HIGH_QUANTILE, 1) / norm.ppf(HIGH_QUANTILE) * np.sqrt(1.5))
PRIOR_COUNT = 40.0  # cases that a coarser group's quantiles count for in a finer group
QUANTITIES = ("itl", "ttft", "throughput", "power", "joules")
NOVELTIES = ("known", "new_model", "new_accelerator")


def load_class(case: Case, queued: bool) -> str:
    """Return the kind of load: requests per accelerator, or that requests wait for memory."""
    if np.isinf(case.concurrency):
        return "saturated"
    if queued:
        return "queued"
    per_accelerator = case.concurrency / case.n_accelerators
    return "light" if per_accelerator <= 4 else "medium" if per_accelerator <= 32 else "heavy"


def group_path(case: Case, queued: bool) -> tuple[str, ...]:
    """Return the groups of a case from coarse to fine."""
    a, load = case.attributes, load_class(case, queued)
    return (
        "all",
        f"load={load}",
        f"{a['engine']}|{a['protocol']}|{load}",
        f"{a['accelerator']}|{a['engine']}|{a['protocol']}|{load}",
        f"{a['accelerator']}|{a['engine']}|{a['protocol']}|{a['model']}|{load}",
    )


def residual_quantiles(
    paths: Sequence[tuple[str, ...]], residuals: FloatArray, widening: float = 1.0
) -> dict[str, list[float]]:
    """Return count, low and high quantile of each group's residuals, shrunk towards its coarser group.

    Parameters
    ----------
    paths : sequence of tuple
        Groups of each case, coarse to fine.
    residuals : ndarray, shape (n_cases,)
        Logarithms of measured over predicted, NaN where there is none.
    widening : float
        Of the quantiles' distance from their middle.
    """
    members: dict[str, list[int]] = {}
    parents: dict[str, str | None] = {}
    for i, path in enumerate(paths):
        if not np.isfinite(residuals[i]):
            continue
        for depth, group in enumerate(path):
            members.setdefault(group, []).append(i)
            parents[group] = path[depth - 1] if depth else None
    table: dict[str, list[float]] = {}
    for group in sorted(members, key=lambda g: _depth(g, parents)):
        values = residuals[members[group]]
        ends = np.quantile(values, [LOW_QUANTILE, HIGH_QUANTILE])
        low, high = ends.mean() + widening * (ends - ends.mean())
        n = values.size
        parent = parents[group]
        if parent is not None:
            share = n / (n + PRIOR_COUNT)
            low = share * low + (1 - share) * table[parent][1]
            high = share * high + (1 - share) * table[parent][2]
        table[group] = [n, round(float(low), 4), round(float(high), 4)]
    return table


def widening_that_covers(paths: Sequence[tuple[str, ...]], residuals: FloatArray, left_out: IntArray) -> float:
    """Return the widening with which bands cover `COVERED_FRAC` of the cases of groups that they have not seen [-].

    A case's score is the distance of its residual from the middle of the band that the other groups give it, over half
    that band's width; the widening is the scores' quantile, or `LONE_GROUP_WIDENING` where there is no other group.

    Parameters
    ----------
    paths : sequence of tuple
        Groups of each case, coarse to fine.
    residuals : ndarray, shape (n_cases,)
        Logarithms of measured over predicted, NaN where there is none.
    left_out : ndarray of int, shape (n_cases,)
        Which cases no band may come from that is held against one of them: folds of deployments, models, accelerators.

    References
    ----------
    .. [1] Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74 (2015).
    """
    measured = np.isfinite(residuals)
    groups = np.unique(left_out[measured])
    if groups.size < 2:
        return LONE_GROUP_WIDENING
    scores = np.full(residuals.shape, np.nan)
    for group in groups:
        inside = left_out == group
        table = residual_quantiles(paths, np.where(inside, np.nan, residuals))
        for i in np.flatnonzero(inside & measured):
            low, high = band_logs(table, paths[i])
            scores[i] = abs(residuals[i] - (low + high) / 2.0) / max((high - low) / 2.0, 1e-9)
    return float(np.quantile(scores[measured], COVERED_FRAC))


def _depth(group: str, parents: Mapping[str, str | None]) -> int:
    depth = 0
    parent = parents[group]
    while parent is not None:
        depth += 1
        parent = parents[parent]
    return depth


def band_logs(table: Mapping[str, Sequence[float]], path: tuple[str, ...]) -> tuple[float, float]:
    """Return the low and high residual of the finest group that the table has."""
    found = next((table[group] for group in reversed(path) if group in table), None)
    return (float(found[1]), float(found[2])) if found else (-1.0, 1.0)


def novelty(case: Case, models: Sequence[str], systems: Sequence[str]) -> tuple[bool, bool]:
    """Return whether the model, and whether the accelerator with this engine, are unknown to the fit."""
    a = case.attributes
    return a["model"] not in models, f"{a['accelerator']}|{a['engine']}" not in systems


def case_band(
    bands: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    quantity: str,
    case: Case,
    queued: bool,
    is_new_model: bool,
    is_new_system: bool,
) -> tuple[float, float]:
    """Return the logarithms of the band's ends over the prediction.

    Where model and system are both new their distances from the centre add in quadrature.
    """
    path = group_path(case, queued)
    kinds = [name for name, new in (("new_model", is_new_model), ("new_accelerator", is_new_system)) if new]
    ends = [band_logs(bands[kind].get(quantity, {}), path) for kind in kinds or ["known"]]
    known = band_logs(bands["known"].get(quantity, {}), path)
    low = min(known[0], -float(np.hypot(*(min(e[0], 0.0) for e in ends))) if len(ends) == 2 else ends[0][0])
    high = max(known[1], float(np.hypot(*(max(e[1], 0.0) for e in ends))) if len(ends) == 2 else ends[0][1])
    return low, high


def half_bands(record: Mapping[str, Any], accelerator: str, model: str) -> dict[str, float]:
    """Return half the logarithmic width of the 80 % band of each of `QUANTITIES`.

    Parameters
    ----------
    record : mapping
        Of a fitted set: the models and systems that it has seen, and `bands`.
    accelerator, model : str
        By catalogue id. What is new to the fit widens the band; where both are, the widths add in quadrature.
    """
    kinds = ["known"]
    kinds += [] if model in record["models"] else ["new_model"]
    kinds += [] if any(s.startswith(f"{accelerator}|") for s in record["systems"]) else ["new_accelerator"]
    half = {}
    for quantity in QUANTITIES:
        widths = []
        for kind in kinds:
            low, high = band_logs(record["bands"][kind].get(quantity, {}), ("all",))
            widths.append(0.5 * (high - low))
        half[quantity] = float(np.hypot(*widths[-2:])) if len(widths) > 2 else max(widths)
    return half
