"""80 % bands from the residuals of the nearest measured cases.

A fit predicts cases that it has not seen; the logarithms of measured over predicted are kept as quantiles by how near a
case is: all, its mode (together, apart, drafts, maker), the same engine under the same kind of load, the same
accelerator, the same model on it. There is one such table for each degree of novelty, from fits that had left out just
that: loads of a known deployment, a deployment, a model, an accelerator, a mode. What is new in two ways takes both.

Quantiles of few cases lie inside those of the law they are drawn from, and cases of one deployment err together. By
how much bands must widen for that is measured, mode by mode (split-conformal prediction over groups): each group's
cases are held against the bands of the others, and the stretch that covers 80 % of them is applied to all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from compute.calibration.cases import Case

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

COVERED_FRAC = 0.8
LOW_QUANTILE, HIGH_QUANTILE = 0.5 - COVERED_FRAC / 2.0, 0.5 + COVERED_FRAC / 2.0
# A lone group has no other to be held against. Student's t of one degree of freedom, the least that a spread can be
# estimated with, predicts the next draw from the mean of two: t / z * sqrt(1 + 1/2).
LONE_GROUP_WIDENING = float(stdtrit(1, HIGH_QUANTILE) / ndtri(HIGH_QUANTILE) * np.sqrt(1.5))
PRIOR_COUNT = 40.0  # cases that a coarser group's quantiles count for in a finer group
QUANTITIES = ("itl", "ttft", "throughput", "power", "joules")
NOVELTIES = ("known", "new_deployment", "new_model", "new_accelerator", "other_mode")
# What the groups of a path name, coarse to fine, of what a case can be new in.
GROUP_NAMES: tuple[tuple[str, ...], ...] = (
    (),
    ("mode",),
    ("mode", "model"),
    ("mode",),
    ("accelerator", "mode"),
    ("accelerator", "mode", "model"),
)
COARSE = 3  # groups of a path that say nothing of engine or load
FINE = "fine|"
LEAST_GROUPS = 4  # of a mode, to measure a stretch of its own


def load_class(case: Case, queued: bool) -> str:
    """Return the kind of load: requests per accelerator, or that requests wait for memory."""
    if np.isinf(case.concurrency):
        return "saturated"
    if queued:
        return "queued"
    per_accelerator = case.concurrency / case.n_accelerators
    return "light" if per_accelerator <= 4 else "medium" if per_accelerator <= 32 else "heavy"


def mode_class(case: Case, quantity: str = "") -> str:
    """Return the mode of a case: prompts apart or not, drafts or not, saturated or not, and the accelerator's maker.

    Times to the first token are told apart by statistic, too: medians do not see a benchmark's start.
    """
    a = case.attributes
    maker = "amd" if a["generation"].startswith("cdna") else "other makers"
    load = "saturated" if np.isinf(case.concurrency) else a["mode"]
    drafts = "drafts" if a["drafts"] != "none" else "no drafts"
    return "|".join([load, drafts, maker, *([a["statistic"]] if quantity == "ttft" else [])])


def run_kind(generation: str, model: str, is_apart: bool, has_drafts: bool) -> str:
    """Return the kind of a run: which runs with which model were measured, the record of a fit lists by it."""
    mode = "disaggregated" if is_apart else "aggregated"
    return f"{generation}|{model}|{mode}|{'drafts' if has_drafts else 'no drafts'}"


def group_path(case: Case, queued: bool, quantity: str = "") -> tuple[str, ...]:
    """Return the groups of a case from coarse to fine; `GROUP_NAMES` says what each names."""
    a, load, mode = case.attributes, load_class(case, queued), mode_class(case, quantity)
    return (
        "all",
        f"mode={mode}",
        f"mode={mode}|{a['model']}",
        f"{a['engine']}|{a['protocol']}|{mode}|{load}",
        f"{a['accelerator']}|{a['engine']}|{a['protocol']}|{mode}|{load}",
        f"{a['accelerator']}|{a['engine']}|{a['protocol']}|{a['model']}|{mode}|{load}",
    )


def residual_quantiles(
    paths: Sequence[tuple[str, ...]], residuals: FloatArray, widening: float | Mapping[str, float] = 1.0
) -> dict[str, list[float]]:
    """Return count, low and high quantile of each group's residuals, shrunk towards its coarser group.

    Parameters
    ----------
    paths : sequence of tuple
        Groups of each case, coarse to fine.
    residuals : ndarray, shape (n_cases,)
        Logarithms of measured over predicted, NaN where there is none.
    widening : float or mapping
        Of the quantiles' distance from their middle, as `widening_that_covers` returns it.
    """
    members: dict[str, list[int]] = {}
    parents: dict[str, str | None] = {}
    for i, path in enumerate(paths):
        if not np.isfinite(residuals[i]):
            continue
        for depth, group in enumerate(path):
            members.setdefault(group, []).append(i)
            parents[group] = path[depth - 1] if depth else None
    stretches = {"": widening} if isinstance(widening, int | float) else widening
    table: dict[str, list[float]] = {}
    for group in sorted(members, key=lambda g: _depth(g, parents)):
        values = residuals[members[group]]
        ends = np.quantile(values, [LOW_QUANTILE, HIGH_QUANTILE])
        path = paths[members[group][0]]
        stretch = _stretch(stretches, path, path.index(group))
        low, high = ends.mean() + stretch * (ends - ends.mean())
        n = values.size
        parent = parents[group]
        if parent is not None:
            share = n / (n + PRIOR_COUNT)
            low = share * low + (1 - share) * table[parent][1]
            high = share * high + (1 - share) * table[parent][2]
        table[group] = [n, round(float(low), 4), round(float(high), 4)]
    return table


def widening_that_covers(
    paths: Sequence[tuple[str, ...]], residuals: FloatArray, left_out: IntArray
) -> dict[str, float]:
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

    Returns
    -------
    dict of str to float
        By the second and third group of the paths, where it has left-out groups enough, and "" for all others; of the
        groups below them the same again, marked by `FINE`.

    References
    ----------
    .. [1] Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74 (2015).
    """
    measured = np.isfinite(residuals)
    groups = np.unique(left_out[measured])
    if groups.size < 2:
        return {"": LONE_GROUP_WIDENING}
    found: dict[str, float] = {}
    # coarse groups are stretched by how well they alone cover, finer ones by how well they do beside those; these lean
    # on the coarse ones, which takes a second look
    for depth in (COARSE, None, None):
        cut = [path[:depth] for path in paths]
        scores = np.full(residuals.shape, np.nan)
        for group in groups:
            inside = left_out == group
            table = residual_quantiles(cut, np.where(inside, np.nan, residuals), found or 1.0)
            for i in np.flatnonzero(inside & measured):
                low, high = band_logs(table, cut[i])
                scores[i] = abs(residuals[i] - (low + high) / 2.0) / max((high - low) / 2.0, 1e-9)
        mark = "" if depth else FINE
        before = dict(found)
        found[mark] = before.get(mark, 1.0) * float(np.quantile(scores[measured], COVERED_FRAC))
        for level in (1, 2):
            names = np.array([path[level] if len(path) > level else "" for path in paths])
            for name in np.unique(names[measured]):
                here = measured & (names == name)
                if name and np.unique(left_out[here]).size >= LEAST_GROUPS:
                    stretch = before.get(mark + str(name), 1.0)
                    found[mark + str(name)] = stretch * float(np.quantile(scores[here], COVERED_FRAC))
    return found


def _stretch(stretches: Mapping[str, float], path: tuple[str, ...], depth: int) -> float:
    """Return the widening of the group at a depth of a path: that of the finest coarse group that has its own."""
    mark = FINE if depth >= COARSE and FINE in stretches else ""
    names = path[min(depth, COARSE - 1) : 0 : -1]
    return next((stretches[mark + name] for name in names if mark + name in stretches), stretches.get(mark, 1.0))


def _depth(group: str, parents: Mapping[str, str | None]) -> int:
    depth = 0
    parent = parents[group]
    while parent is not None:
        depth += 1
        parent = parents[parent]
    return depth


def reachable_groups(paths: Sequence[tuple[str, ...]], new_in: str) -> set[str]:
    """Return the groups of paths in which a case can be looked up that is new in something.

    A case whose model no measured case had falls into no measured group that names a model; so for accelerators with
    their engine, and for modes. Such groups only steady the finer ones while bands are taken, and are not kept.

    Parameters
    ----------
    paths : sequence of tuple
        Groups of each measured case, as `group_path` returns them.
    new_in : str
        "model", "accelerator" or "mode"; all groups can be reached by a case that is new in something else.
    """
    depths = [depth for depth, names in enumerate(GROUP_NAMES) if new_in not in names]
    return {path[depth] for path in paths for depth in depths}


def band_logs(table: Mapping[str, Sequence[float]], path: tuple[str, ...]) -> tuple[float, float]:
    """Return the low and high residual of the finest group that the table has."""
    found = next((table[group] for group in reversed(path) if group in table), None)
    return (float(found[1]), float(found[2])) if found else (-1.0, 1.0)


def novelty(case: Case, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in what a case is new to the fit of a record: one or more of `NOVELTIES`."""
    a = case.attributes
    if case.deployment in record["deployments"]:
        return ("known",)
    kinds = [] if a["model"] in record["models"] else ["new_model"]
    kinds += [] if f"{a['accelerator']}|{a['engine']}" in record["systems"] else ["new_accelerator"]
    kinds += [] if mode_class(case) in record["modes"] else ["other_mode"]
    return tuple(kinds or ["new_deployment"])


def case_band(
    bands: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    quantity: str,
    case: Case,
    queued: bool,
    kinds: Sequence[str],
) -> tuple[float, float]:
    """Return the logarithms of the band's ends over the prediction.

    Never narrower than for what is less new. Where a case is new in several ways their distances add in quadrature.
    """
    path = group_path(case, queued, quantity)
    base = ["known", "new_deployment"] if "known" not in kinds else ["known"]
    less = [band_logs(bands[kind].get(quantity, {}), path) for kind in base]
    ends = [band_logs(bands[kind].get(quantity, {}), path) for kind in kinds]
    low = -float(np.hypot.reduce([min(e[0], 0.0) for e in ends])) if len(ends) > 1 else ends[0][0]
    high = float(np.hypot.reduce([max(e[1], 0.0) for e in ends])) if len(ends) > 1 else ends[0][1]
    if "known" in kinds or "new_deployment" in kinds:
        return low, high
    return min(low, *(e[0] for e in less)), max(high, *(e[1] for e in less))


def half_bands(
    record: Mapping[str, Any], accelerator: str, model: str, *, mode: str = "aggregated", drafts: bool = False
) -> dict[str, float]:
    """Return half the logarithmic width of the 80 % band of each of `QUANTITIES`.

    Parameters
    ----------
    record : mapping
        Of a fitted set: the models and systems that it has seen, and `bands`.
    accelerator, model : str
        By catalogue id. What is new to the fit widens the band; where both are, the widths add in quadrature.
    mode, drafts : str, bool
        Whether prompts are read apart ("disaggregated"), and whether drafts are verified.
    """
    maker = "amd" if accelerator.startswith("mi") else "other makers"
    kinds = [] if model in record["models"] else ["new_model"]
    kinds += [] if any(s.startswith(f"{accelerator}|") for s in record["systems"]) else ["new_accelerator"]
    kind_of = f"{mode}|{'drafts' if drafts else 'no drafts'}|{maker}"
    kinds += [] if kind_of in record["modes"] else ["other_mode"]
    half = {}
    for quantity in QUANTITIES:
        path = ("all", f"mode={kind_of}|mean" if quantity == "ttft" else f"mode={kind_of}")
        widths = []
        for kind in ["known", "new_deployment", *kinds]:
            low, high = band_logs(record["bands"][kind].get(quantity, {}), path)
            widths.append(0.5 * (high - low))
        half[quantity] = max([*widths, float(np.hypot.reduce(widths[2:])) if kinds else 0.0])
    return half
