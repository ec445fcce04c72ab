"""The closed-form serving model against measured runs that its fit has not seen."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compute.accelerators import accelerator_from_entry
from compute.calibration.run import (
    CrossValidation,
    Evidence,
    band_coverage,
    cross_validate,
    family_rank_correlation,
    read_evidence,
)
from compute.calibration.uncertainty import QUANTITIES
from compute.model_shapes import model_shape_from_entry
from facility.catalogue import entries
from twin.validation.check import Check, at_least, at_most, skipped, within

GROUP = "serving"
ROWS = QUANTITIES.index


def checks(data: Path) -> Iterator[Check]:
    """Yield the scoreboard's rows; recomputes the whole cross-validation from the cases in `data`."""
    path = data / "serving" / "cases.csv"
    if not path.exists():
        yield skipped("serving, cross-validated", GROUP, [path])
        return
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    evidence = read_evidence(
        rows,
        {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()},
        {name: model_shape_from_entry(entry) for name, entry in entries("models").items()},
    )
    validation = cross_validate(evidence)
    yield from _errors(evidence, validation)
    yield from _bands(evidence, validation)
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
        ("accelerator watts by deployment, median", by_deployment, "power", powered, np.median, 0.05, unstated),
        ("joules per token by deployment, median", by_deployment, "joules", powered, np.median, 0.09, unstated),
        ("accelerator watts by case, median", by_case, "power", powered, np.median, 0.05, same_sweep),
        ("joules per token by case, median", by_case, "joules", powered, np.median, 0.09, same_sweep),
    )
    for name, errors, quantity, cases, statistic, reach, note in plan:
        values = errors[ROWS(quantity)]
        chosen = cases & np.isfinite(values)
        if chosen.any():
            error = statistic(np.abs(np.expm1(values[chosen])))
            yield at_most(f"{name} error", GROUP, int(chosen.sum()), error, reach, "-", note)
    for name, errors in (("accelerator", validation.by_accelerator), ("date", validation.by_date)):
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


def _bands(evidence: Evidence, validation: CrossValidation) -> Iterator[Check]:
    covered = band_coverage(evidence, validation)
    for quantity, row in zip(QUANTITIES, covered, strict=True):
        measured = np.isfinite(row)
        if measured.any():
            share = float(row[measured].mean())
            name = f"80 % band covers {quantity}"
            yield within(name, GROUP, int(measured.sum()), share, (0.76, 0.84), "-", "band from other deployments")
    for unseen in ("model", "accelerator"):
        for quantity, row in zip(QUANTITIES, band_coverage(evidence, validation, unseen), strict=True):
            measured = np.isfinite(row)
            if measured.any():
                name = f"80 % band covers {quantity} of a left-out {unseen}"
                note = f"band from other {unseen}s; too wide a band is no miss here"
                yield at_least(name, GROUP, int(measured.sum()), float(row[measured].mean()), 0.76, "-", note)


def _column(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) if row.get(name) else np.nan for row in rows])
