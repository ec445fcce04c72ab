"""The closed-form serving model against measured runs that its fit has not seen."""

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.calibration.run import (
    BandScores,
    CrossValidation,
    Evidence,
    band_coverage,
    cross_validate,
    family_rank_correlation,
    read_evidence,
)
from compute.calibration.uncertainty import QUANTITIES
from compute.model_shapes import model_shape_from_entry
from compute.prediction.kind_summaries import kind_summaries, stored_summaries
from facility.catalogue import entries
from twin.core.serving.evidence import MODELS
from twin.validation.check import Check, at_least, at_most, skipped, within

GROUP = "serving"
BY_DEPLOYMENT = "deployments left out with all their loads"
ROWS = QUANTITIES.index


FILES = ("cases.csv", "cases_2026.csv")
# Kinds of runs of 2025-10 and later: name, cases, and reaches: ITL median and mean, TTFT median of rows that state
# means. None where the plan has none.
AMD = "cdna"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of measured run and what its predictions must reach by left-out deployment."""

    name: str
    is_apart: bool
    has_drafts: bool
    is_amd: bool | None = None  # None: of any maker
    model: str = ""  # of any where blank
    itl_median: float | None = None
    itl_mean: float | None = None
    ttft_median: float | None = None


KINDS = (
    Kind("NVIDIA, DeepSeek-R1, aggregated", False, False, False, "deepseek-r1", 0.065, 0.10, 0.22),
    Kind("NVIDIA, gpt-oss-120b, aggregated", False, False, False, "gpt-oss-120b", 0.065, 0.10, 0.22),
    Kind("AMD, aggregated", False, False, True, "", 0.12, None, 0.30),
    Kind("prefill apart", True, False, None, "", 0.14, 0.22, 0.35),
    Kind("drafts, aggregated", False, True, None, "", 0.12, 0.17),
    Kind("drafts, prefill apart", True, True, None, "", 0.16, 0.24),
)
UNSEEN = ("case", "deployment", "model", "accelerator", "mode")  # what bands and predictions have not seen
LEAST_CASES = 50  # of a kind, to judge how often its bands hold
MOST_BIAS = 0.08  # of tokens per second, by AMD accelerator


def checks(data: Path) -> Iterator[Check]:
    """Yield the scoreboard's rows; recomputes the whole cross-validation from the cases in `data`."""
    paths = [data / "serving" / name for name in FILES]
    rows: list[dict[str, str]] = []
    for path in paths:
        if path.exists():
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows += csv.DictReader(file)
        else:
            yield skipped(f"serving, cross-validated on {path.name}", GROUP, [path])
    if not rows:
        return
    evidence = read_evidence(
        rows,
        {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()},
        {name: model_shape_from_entry(entry) for name, entry in entries("models").items()},
    )
    validation = cross_validate(evidence)
    bands = {unseen: band_coverage(evidence, validation, unseen) for unseen in UNSEEN}
    yield from _errors(evidence, validation)
    yield from _by_kind(evidence, validation, bands)
    yield from _bands(bands)
    if all(path.exists() for path in paths):
        yield _summaries(evidence, validation, bands["deployment"])
    correlation, families = family_rank_correlation(evidence, validation.predicted_throughput)
    yield at_least("rank correlation of throughput within a family", GROUP, families, correlation, 0.95, "-")
    peer = _column(rows, "peer_itl_s") / _column(rows, "measured_itl_s")
    seen = np.isfinite(peer)
    if seen.any() and not evidence.rejected:
        ours = np.abs(np.expm1(validation.by_deployment[ROWS("itl"), seen]))
        error = np.abs(peer[seen] - 1.0)
        note = f"AIConfigurator 0.12.0 on the same rows: {np.median(error):.1%} / {error.mean():.1%}"
        yield at_most(
            "ITL beside the peer, median", GROUP, int(seen.sum()), np.median(ours), np.median(error), "-", note
        )


def _by_kind(evidence: Evidence, validation: CrossValidation, bands: dict[str, BandScores]) -> Iterator[Check]:
    """Yield errors, bias and bands of the newer runs by kind of deployment, each deployment left out."""
    cases = evidence.table.cases
    recent = np.array([c.attributes["protocol"] == "inferencex" for c in cases])
    recent &= np.isfinite(evidence.measured.output_tokens_per_s)  # the newer runs state measured throughput
    means = np.array([c.attributes["statistic"] == "mean" for c in cases])
    errors = np.expm1(validation.by_deployment)
    for kind in KINDS:
        of_kind = recent & np.array(
            [
                (c.prefill is not None) == kind.is_apart
                and (c.draft_tokens > 0) == kind.has_drafts
                and (kind.is_amd is None or c.attributes["generation"].startswith(AMD) == kind.is_amd)
                and kind.model in ("", c.attributes["model"])
                for c in cases
            ],
            dtype=bool,
        )
        for figure, quantity, which, statistic, reach in (
            ("ITL median", "itl", of_kind, np.median, kind.itl_median),
            ("ITL mean", "itl", of_kind, np.mean, kind.itl_mean),
            ("TTFT median", "ttft", of_kind & means, np.median, kind.ttft_median),
        ):
            chosen = which & np.isfinite(errors[ROWS(quantity)])
            if chosen.any() and reach is not None:
                value = float(statistic(np.abs(errors[ROWS(quantity), chosen])))
                yield at_most(
                    f"{kind.name}: {figure} error", GROUP, int(chosen.sum()), value, reach, "-", BY_DEPLOYMENT
                )
        if kind.is_amd:
            for name in sorted({c.accelerator.name for c, is_one in zip(cases, of_kind, strict=True) if is_one}):
                here = of_kind & np.array([c.accelerator.name == name for c in cases])
                bias = float(np.median(errors[ROWS("throughput"), here]))
                note = f"{bias:+.1%}; {BY_DEPLOYMENT}"
                yield at_most(
                    f"{kind.name}: bias of tokens/s, {name}", GROUP, int(here.sum()), abs(bias), MOST_BIAS, "-", note
                )
        for unseen, scores in bands.items():
            for quantity in ("itl", "ttft", "throughput"):
                # medians do not see a benchmark's start: to be told apart from means, as errors are
                yield from _held(kind.name, quantity, of_kind & means if quantity == "ttft" else of_kind, unseen,
                                 scores, validation)  # fmt: skip
    saturated = ~np.isfinite(evidence.table.concurrency)
    for unseen, scores in bands.items():
        yield from _held("saturated", "throughput", saturated, unseen, scores, validation)


def _summaries(evidence: Evidence, validation: CrossValidation, scores: BandScores) -> Check:
    """Return how far the summaries that the page of claims shows lie from those of these runs."""
    stored = {(s.model, s.accelerator, s.is_apart, s.has_drafts): s for s in stored_summaries()[1]}
    furthest, n = 0.0, 0
    for one in kind_summaries(evidence, coefficient_set(), MODELS, validation, scores):
        old = stored.get((one.model, one.accelerator, one.is_apart, one.has_drafts))
        if old is None or old.runs != one.runs or set(old.agreements) != set(one.agreements):
            furthest = 1.0
            continue
        n += one.runs
        for name, agreement in one.agreements.items():
            shown = asdict(old.agreements[name])
            found = asdict(agreement)
            furthest = max([furthest, *(abs((found[k] or 0.0) - (shown[k] or 0.0)) for k in found if k != "runs")])
    note = "“manage.py measure_kinds” writes them anew"
    return at_most("summaries on the page of claims, furthest from these", GROUP, n, furthest, 0.005, "-", note)


def _held(
    kind: str, quantity: str, chosen: np.ndarray, unseen: str, scores: BandScores, validation: CrossValidation
) -> Iterator[Check]:
    """Yield how often the bands of a kind held, with their width and interval score in the note."""
    row = ROWS(quantity)
    here = chosen & np.isfinite(scores.covered[row])
    if here.sum() < LEAST_CASES:
        return
    error = np.median(np.abs(np.expm1(getattr(validation, f"by_{unseen}")[row, here])))
    note = (
        f"half width {np.median(scores.half_width[row, here]):.1%} beside a median error of {error:.1%}; interval "
        f"score {scores.interval_score[row, here].mean():.3f}; {unseen}s left out"
    )
    share = float(scores.covered[row, here].mean())
    name = f"{kind}: 80 % band covers {quantity}, {unseen} left out"
    if unseen in ("case", "deployment"):
        yield within(name, GROUP, int(here.sum()), share, (0.76, 0.86), "-", note)
    else:
        yield at_least(name, GROUP, int(here.sum()), share, 0.76, "-", f"{note}; too wide a band is no miss here")


def _errors(evidence: Evidence, validation: CrossValidation) -> Iterator[Check]:
    saturated = ~np.isfinite(evidence.table.concurrency)
    all_cases = np.ones(saturated.size, dtype=bool)
    powered = np.isfinite(evidence.measured.accelerator_power_w)
    by_deployment, by_model, by_case = validation.by_deployment, validation.by_model, validation.by_case
    unseen = "none of the cases was fitted to"
    # Sweeps of one model on one card at equal speed and batch differ by up to 30 % in watts (399 W and 519 W): clocks,
    # cooling and settings that no column states. With measured speed put in, a left-out sweep is still 7 to 8 % off.
    unstated = f"{unseen}; with measured speed still 7 to 8 %: clocks and cooling of a sweep are not published"
    same_sweep = "the left-out cases' deployments were measured at other loads"
    # name, errors, quantity, cases, statistic, reach, note
    plan = (
        ("ITL by deployment, median", by_deployment, "itl", all_cases, np.median, 0.08, unseen),
        ("ITL by deployment, mean", by_deployment, "itl", all_cases, np.mean, 0.13, unseen),
        ("ITL by left-out model, median", by_model, "itl", all_cases, np.median, 0.14, unseen),
        ("TTFT by deployment, median", by_deployment, "ttft", all_cases, np.median, 0.22, unseen),
        ("saturated throughput by deployment, median", by_deployment, "throughput", saturated, np.median, 0.10, unseen),
        ("accelerator watts by deployment, median", by_deployment, "power", powered, np.median, 0.08, unstated),
        ("joules per token by deployment, median", by_deployment, "joules", powered, np.median, 0.12, unstated),
        ("accelerator watts by case, median", by_case, "power", powered, np.median, 0.045, same_sweep),
        ("joules per token by case, median", by_case, "joules", powered, np.median, 0.05, same_sweep),
    )
    for name, errors, quantity, cases, statistic, reach, note in plan:
        values = errors[ROWS(quantity)]
        chosen = cases & np.isfinite(values)
        if chosen.any():
            error = statistic(np.abs(np.expm1(values[chosen])))
            yield at_most(f"{name} error", GROUP, int(chosen.sum()), error, reach, "-", note)
    for name, errors in (
        ("accelerator", validation.by_accelerator),
        ("mode", validation.by_mode),
        ("date", validation.by_date),
    ):
        values = errors[ROWS("itl")]
        chosen = np.isfinite(values)
        if chosen.any():
            error = float(np.median(np.abs(np.expm1(values[chosen]))))
            note = (
                "no reach in the plan; an untuned experiment stood at 20.8 % by date"
                if name == "date"
                else ("no reach in the plan; held to the peer's 23.9 % mean on systems it was profiled on")
            )
            yield at_most(f"ITL by left-out {name}, median error", GROUP, int(chosen.sum()), error, 0.24, "-", note)


def _bands(bands: dict[str, BandScores]) -> Iterator[Check]:
    """Yield coverage over all cases of each quantity, by what was left out."""
    for unseen in UNSEEN[1:]:
        for quantity, row in zip(QUANTITIES, bands[unseen].covered, strict=True):
            measured = np.isfinite(row)
            if not measured.any():
                continue
            n, share = int(measured.sum()), float(row[measured].mean())
            if unseen == "deployment":
                name = f"80 % band covers {quantity}"
                yield within(name, GROUP, n, share, (0.76, 0.84), "-", "band from other deployments")
            else:
                name = f"80 % band covers {quantity} of a left-out {unseen}"
                note = f"band from other {unseen}s; too wide a band is no miss here"
                yield at_least(name, GROUP, n, share, 0.76, "-", note)


def _column(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) if row.get(name) else np.nan for row in rows])
