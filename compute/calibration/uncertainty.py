"""80 % bands from the residuals of the nearest measured cases.

A fit predicts cases that it has not seen; the logarithms of measured over predicted are kept as quantiles by how near a
case is: all, its mode (together, apart, drafts, maker), the same model, under the same kind of load, on the same
accelerator and engine. There is one such table for each degree of novelty, from fits that had left out just that: loads
of a known deployment, a deployment, a model, an accelerator, a mode. What is new in two ways takes both.

Cases of one deployment err together, so that it is deployments (or models, accelerators, modes) that count, not cases:
they say how far a finer group is believed. Quantiles of few of them lie inside those of the law that they are drawn
from. By how much bands must widen for that is measured, mode by mode and model by model (cross-conformal prediction
over groups): each group's cases are held against the bands of the others, and the stretch that covers 80 % of one more
unseen deployment is applied to all.
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
PRIOR_UNITS = 40.0  # deployments that a coarser group's quantiles count for in a finer group
PRIOR_STRETCH_UNITS = 4.0  # the same of the stretch of bands
# Few models, accelerators or modes that happen to lie close say little about how far the next one lies: that a group of
# them needs less than the coarser one is believed as slowly as its quantiles are.
PRIOR_NARROWING_UNITS = PRIOR_UNITS
LEAST_HALF_BAND = 0.02  # what runs of the same deployment and load differ by in any case
QUANTITIES = ("itl", "ttft", "throughput", "power", "joules")
NOVELTIES = ("known", "new_deployment", "new_model", "new_accelerator", "other_mode")
# What the groups of a path name, coarse to fine, of what a case can be new in.
GROUP_NAMES: tuple[tuple[str, ...], ...] = (
    (),
    ("mode",),
    ("mode", "model"),
    ("mode", "model"),
    ("accelerator", "mode", "model"),
)
NEW_IN = {"new_model": "model", "new_accelerator": "accelerator", "other_mode": "mode"}
STRETCHED = 3  # groups of a path with a stretch of their own; finer ones take that of the last


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
    """Return the name of a kind of run in a fit's record: `generation|model|mode|drafts`."""
    mode = "disaggregated" if is_apart else "aggregated"
    return f"{generation}|{model}|{mode}|{'drafts' if has_drafts else 'no drafts'}"


def group_path(case: Case, queued: bool, quantity: str = "") -> tuple[str, ...]:
    """Return the groups of a case from coarse to fine; `GROUP_NAMES` says what each names."""
    a, load, mode = case.attributes, load_class(case, queued), mode_class(case, quantity)
    of_model = f"mode={mode}|{a['model']}"
    return (
        "all",
        f"mode={mode}",
        of_model,
        f"{of_model}|{load}",
        f"{of_model}|{load}|{a['accelerator']}|{a['engine']}|{a['protocol']}",
    )


def residual_quantiles(
    paths: Sequence[tuple[str, ...]],
    residuals: FloatArray,
    units: IntArray | None = None,
    widening: Mapping[str, float] | None = None,
) -> dict[str, list[float]]:
    """Return count, low and high quantile of each group's residuals, shrunk towards its coarser group.

    Parameters
    ----------
    paths : sequence of tuple
        Groups of each case, coarse to fine; a finer group lies in one coarser group only.
    residuals : ndarray, shape (n_cases,)
        Logarithms of measured over predicted, NaN where there is none.
    units : ndarray of int, shape (n_cases,), optional
        Which cases err together: their deployment, model or accelerator. A unit weighs by the root of its cases. Each
        case is one of its own by default.
    widening : mapping, optional
        Of the quantiles' distance from their middle by group, as `widening_that_covers` returns it.
    """
    measured = np.flatnonzero(np.isfinite(residuals))
    weights, inverse = _unit_weights(np.arange(residuals.size) if units is None else units, measured)
    table: dict[str, list[float]] = {}
    plain: dict[str, tuple[float, float]] = {}  # not stretched
    for depth, members in enumerate(_members(paths, measured)):
        for group, rows in members.items():
            low, high = _weighted_quantiles(
                residuals[measured[rows]], weights[rows], np.array([LOW_QUANTILE, HIGH_QUANTILE])
            )
            path = paths[measured[rows[0]]]
            if depth:
                n = _effective_units(weights[rows], inverse[rows])
                share = n / (n + PRIOR_UNITS)
                coarse_low, coarse_high = plain[path[depth - 1]]
                low, high = share * low + (1 - share) * coarse_low, share * high + (1 - share) * coarse_high
            plain[group] = low, high
            half = max(0.5 * (high - low), LEAST_HALF_BAND) * _stretch(widening or {}, path[: depth + 1])
            middle = 0.5 * (low + high)
            table[group] = [len(rows), round(middle - half, 4), round(middle + half, 4)]
    return table


def widening_that_covers(
    paths: Sequence[tuple[str, ...]],
    residuals: FloatArray,
    left_out: IntArray,
    units: IntArray,
    narrowing_units: float = PRIOR_STRETCH_UNITS,
) -> dict[str, float]:
    """Return the widening with which bands cover `COVERED_FRAC` of the cases of units that they have not seen [-].

    A case's score is the distance of its residual from the middle of the band that the other groups give it, over half
    that band's width; the widening is the scores' quantile where one unit more than the measured ones is to lie inside,
    shrunk towards that of the coarser group, or `LONE_GROUP_WIDENING` where there is no other group.

    Parameters
    ----------
    paths : sequence of tuple
        Groups of each case, coarse to fine.
    residuals : ndarray, shape (n_cases,)
        Logarithms of measured over predicted, NaN where there is none.
    left_out : ndarray of int, shape (n_cases,)
        Which cases no band may come from that is held against one of them: folds of deployments, models, accelerators.
    units : ndarray of int, shape (n_cases,)
        As for `residual_quantiles`; none lies in two folds.
    narrowing_units : float
        Units that a coarser group's stretch counts for in a finer group whose own is less.

    Returns
    -------
    dict of str to float
        By group, for the `STRETCHED` coarsest of each path.

    References
    ----------
    .. [1] Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74 (2015).
    .. [2] Dunn, Wasserman and Ramdas, "Distribution-free prediction sets for two-layer hierarchical models", JASA 118
       (2023): groups, not cases, are what is exchangeable.
    """
    measured = np.flatnonzero(np.isfinite(residuals))
    folds = np.unique(left_out[measured])
    if folds.size < 2:
        return {path[0]: LONE_GROUP_WIDENING for path in paths[:1]}
    scores = np.full(residuals.shape, np.nan)
    for fold in folds:
        table = residual_quantiles(paths, np.where(left_out == fold, np.nan, residuals), units)
        for i in measured[left_out[measured] == fold]:
            low, high = band_logs(table, paths[i])
            scores[i] = abs(residuals[i] - 0.5 * (low + high)) / (0.5 * (high - low))
    weights, inverse = _unit_weights(units, measured)
    logs: dict[str, float] = {}
    for depth, members in enumerate(_members(paths, measured)[:STRETCHED]):
        for group, rows in members.items():
            n = _effective_units(weights[rows], inverse[rows])
            stretch = _quantile_of_one_more(scores[measured[rows]], np.ones(len(rows)), n)
            found = float(np.log(min(stretch, LONE_GROUP_WIDENING)))
            if depth:
                coarser = logs[paths[measured[rows[0]]][depth - 1]]
                share = n / (n + (PRIOR_STRETCH_UNITS if found > coarser else narrowing_units))
                found = share * found + (1 - share) * coarser
            logs[group] = found
    return {group: float(np.exp(log)) for group, log in logs.items()}


def _members(paths: Sequence[tuple[str, ...]], measured: IntArray) -> list[dict[str, list[int]]]:
    """Return places in `measured` by group, for each depth of the paths."""
    found: list[dict[str, list[int]]] = []
    for place, i in enumerate(measured):
        for depth, group in enumerate(paths[i]):
            if depth == len(found):
                found.append({})
            found[depth].setdefault(group, []).append(place)
    return found


def _unit_weights(units: IntArray, measured: IntArray) -> tuple[FloatArray, IntArray]:
    """Return the weight of each measured case, and its unit: a unit of n cases weighs as the root of n."""
    _, inverse, counts = np.unique(units[measured], return_inverse=True, return_counts=True)
    return 1.0 / np.sqrt(counts[inverse]), inverse


def _effective_units(weights: FloatArray, units: IntArray) -> float:
    """Return how many units of equal weight say as much as these."""
    sums = np.bincount(units, weights)
    return float(sums.sum() ** 2 / np.sum(sums**2))


def _weighted_quantiles(values: FloatArray, weights: FloatArray, levels: FloatArray) -> tuple[float, float]:
    order = np.argsort(values)
    upto = np.cumsum(weights[order])
    low, high = np.interp(levels, (upto - 0.5 * weights[order]) / upto[-1], values[order])
    return float(low), float(high)


def _quantile_of_one_more(scores: FloatArray, weights: FloatArray, n_units: float) -> float:
    """Return the score below which a case of one more unit lies with `COVERED_FRAC`.

    Of n units whose cases err as one, the quantile f passes n f + 1/2 on average, and one more lies below the i-th of
    n with i / (n + 1); the largest score where so few units cannot say.
    """
    order = np.argsort(scores)
    upto = np.cumsum(weights[order])
    chances = (n_units * upto / upto[-1] + 0.5) / (n_units + 1.0)
    return float(np.interp(COVERED_FRAC, chances, scores[order]))


def _stretch(stretches: Mapping[str, float], groups: Sequence[str]) -> float:
    """Return the widening of the finest of these groups that has its own."""
    return next((stretches[group] for group in reversed(groups) if group in stretches), 1.0)


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


def measured_kinds(cases: Sequence[Case]) -> list[str]:
    """Return what ran in which mode on what, as texts of mode, model and accelerator."""
    return sorted({" | ".join((mode_class(c), c.attributes["model"], c.attributes["accelerator"])) for c in cases})


def novelty_shares(
    measured: Sequence[str], mode: str, model: str, accelerator: str, kinds: Sequence[str]
) -> dict[str, float]:
    """Return of each novelty the share of its variance that is in the band of a case [-].

    What is new counts in full. What a mode or an accelerator does to runs is known of a new model as the mean over the
    n models that ran so; for one more model that mean is off by 1 / (1 + n) of the variance between modes or
    accelerators, by all of it where nothing else ran so. The same of a mode or a model on a new accelerator.

    Parameters
    ----------
    measured : sequence of str
        Of a fitted set, as `measured_kinds` returns them.
    mode, model, accelerator : str
        Of the case; its mode as `mode_class` returns it.
    kinds : sequence of str
        In what the case is new.

    References
    ----------
    .. [1] Laird and Ware, "Random-effects models for longitudinal data", Biometrics 38 (1982): effects that few groups
       tell apart keep most of their variance.
    """
    shares = dict.fromkeys(kinds, 1.0)
    is_new = {"model": "new_model" in kinds, "accelerator": "new_accelerator" in kinds}
    if not any(is_new.values()):
        return shares
    runs = [text.split(" | ") for text in measured]
    in_mode = [run for run in runs if run[0] == mode]
    others = {
        "other_mode": min(
            len({run[place] for run in in_mode}) for place, name in ((1, "model"), (2, "accelerator")) if is_new[name]
        ),
        "new_accelerator": len({run[1] for run in runs if run[2] == accelerator}),
        "new_model": len({run[2] for run in runs if run[1] == model}),
    }
    return {kind: 1.0 / (1.0 + n) for kind, n in others.items()} | shares


def _joined(ends: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return the ends of novelties (share of the variance, low, high) as their distances add in quadrature."""
    if len(ends) == 1:
        return ends[0][1], ends[0][2]
    low = -float(np.hypot.reduce([np.sqrt(share) * min(low, 0.0) for share, low, _ in ends]))
    high = float(np.hypot.reduce([np.sqrt(share) * max(high, 0.0) for share, _, high in ends]))
    return low, high


def case_band(
    bands: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    quantity: str,
    case: Case,
    queued: bool,
    kinds: Sequence[str],
    measured: Sequence[str],
) -> tuple[float, float]:
    """Return the logarithms of the band's ends over the prediction.

    The band is never narrower than one for a case that is less new. Where a case is new in several ways, or little is
    known of how it is run (`novelty_shares`), the distances of the bands' ends add in quadrature.

    Parameters
    ----------
    bands : mapping
        Of a fitted set: by novelty, quantity and group.
    quantity : str
        One of `QUANTITIES`.
    case : Case
        What is predicted.
    queued : bool
        Whether its requests wait for memory.
    kinds : sequence of str
        In what the case is new, as `novelty` returns it.
    measured : sequence of str
        What was measured, as `measured_kinds` returns it.

    Returns
    -------
    low, high : float
        Natural logarithms.
    """
    path = group_path(case, queued, quantity)

    def ends(kind: str) -> tuple[float, float]:
        names = zip(path, GROUP_NAMES, strict=True)
        reached = tuple(group for group, what in names if NEW_IN.get(kind) not in what)
        return band_logs(bands[kind].get(quantity, {}), reached)

    if "known" in kinds or "new_deployment" in kinds:
        return ends(kinds[0])
    a = case.attributes
    shares = novelty_shares(measured, mode_class(case), a["model"], a["accelerator"], kinds)
    low, high = _joined([(share, *ends(kind)) for kind, share in shares.items()])
    less = [ends(kind) for kind in ("known", "new_deployment", *kinds)]
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
    shares = novelty_shares(record["measured"], kind_of, model, accelerator, kinds)
    half = {}
    for quantity in QUANTITIES:
        of_mode = f"mode={kind_of}|mean" if quantity == "ttft" else f"mode={kind_of}"
        path = ("all", of_mode, f"{of_mode}|{model}")
        widths = {}
        for kind in {"known": 1.0, "new_deployment": 1.0, **shares}:
            low, high = band_logs(record["bands"][kind].get(quantity, {}), path)
            widths[kind] = 0.5 * (high - low)
        new = [np.sqrt(share) * widths[kind] for kind, share in shares.items()]
        whole = [widths[kind] for kind in ("known", "new_deployment", *kinds)]
        half[quantity] = max([*whole, float(np.hypot.reduce(new)) if new else 0.0])
    return half
