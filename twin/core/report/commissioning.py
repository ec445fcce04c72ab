"""The commissioning report of a comparison: which points keep which limits, and what changed since an earlier one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin.core.report.document import COUNT, NUMBER, UNIT, Column, Report, Section, Table

N_SHOWN = 60  # rows of page and PDF
Row = Mapping[str, Any]  # one point of a comparison, as `compare_telemetry --json` gives it


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a point may be off: shares of its measured mean, or kelvin where it is a temperature."""

    name: str
    nmbe_frac: float
    cv_rmse_frac: float
    rmse_k: float | None  # None: it says nothing of temperatures
    mean_error_k: float | None


#: ASHRAE Guideline 14-2002, 5.3.2.4 f, kept in 2014: a model calibrated on hourly data keeps 10 % NMBE, 30 % CV(RMSE).
GUIDELINE_14 = Limits("Guideline 14", 0.10, 0.30, None, None)
#: Our own, for a plant whose sensors are those of `quantities`: what the twin reaches on plants whose truth is known
#: (3 % CV(RMSE), 0.3 K, `benchmark blind_plants`), with as much again for what a described plant leaves out.
OWN = Limits("Own", 0.02, 0.05, 0.6, 0.3)
KEPT, MISSED, UNJUDGED = "kept", "missed", "not judged"
DRIVES = "drives the layout"  # its residual says nothing
_ERRORS = "Bias is NMBE, of temperatures the mean error; error is CV(RMSE), of temperatures RMSE."


def judged(row: Row, limits: Limits) -> str:
    """Return whether a point keeps limits; `UNJUDGED` where they or the comparison say nothing of it."""
    if row["input"]:
        return UNJUDGED
    if "rmse_k" in row:
        pairs = [(row["rmse_k"], limits.rmse_k), (row.get("mean_error_k"), limits.mean_error_k)]
    else:
        pairs = [(row["nmbe_frac"], limits.nmbe_frac), (row["cv_rmse_frac"], limits.cv_rmse_frac)]
    if any(value is None or most is None for value, most in pairs):
        return UNJUDGED
    return KEPT if all(abs(value) <= most for value, most in pairs) else MISSED


def commissioning_report(
    now: Mapping[str, Any],
    facts: Sequence[tuple[str, str]],
    subtitle: str,
    *,
    earlier: Mapping[str, Any] | None,
    earlier_name: str,
    made: str,
) -> Report:
    """Return the report of a comparison.

    Parameters
    ----------
    now, earlier : mapping
        As `compare_telemetry --json` prints; `earlier` is that of commissioning, None where there is none.
    facts : sequence of pairs
        Of the cover: layout, span, scenario.
    earlier_name : str
        What the earlier one is called.
    made : str
        When the report is made, as the cover says it.
    """
    points = [row for row in now["points"] if not row["input"]]
    counts = {limits.name: _counts(points, limits) for limits in (GUIDELINE_14, OWN)}
    return Report(
        title="Commissioning report",
        subtitle=subtitle,
        facts=[("Verdict", verdict(counts)), *facts, ("Report made", made)],
        warnings=_warnings(now, points),
        sections=[
            _limits_section(points, counts),
            _points_section(now["points"]),
            _figures_section(now["figures"]),
            _coverage_section(now["coverage"]),
            _changes_section(now["points"], earlier, earlier_name),
        ],
    )


def _counts(points: Sequence[Row], limits: Limits) -> dict[str, int]:
    verdicts = [judged(row, limits) for row in points]
    return {state: verdicts.count(state) for state in (KEPT, MISSED, UNJUDGED)}


def verdict(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Return in a sentence how many points keep the limits."""
    parts = []
    for name, found in counts.items():
        n = found[KEPT] + found[MISSED]
        words = "no point can be judged" if not n else f"{found[KEPT]:,} of {n:,} points keep them"
        parts.append(f"{name} limits: {words}")
    return "; ".join(parts) + "."


def _warnings(now: Mapping[str, Any], points: Sequence[Row]) -> list[str]:
    found = []
    if now["step_s"] > 3600:
        found.append(
            f"The readings are means of {now['step_s']:g} s; Guideline 14's hourly limits are for an hour or less."
        )
    if now["load_from"] == "described" or now["weather_from"] == "described":
        found.append(
            f"Load {now['load_from']}, weather {now['weather_from']}: what is described, not measured, is part of the"
            " errors below."
        )
    if not points:
        found.append("Every measured point drives the layout: none is left to judge it by.")
    return found


def _limits_section(points: Sequence[Row], counts: Mapping[str, Mapping[str, int]]) -> Section:
    by_quantity: dict[str, list[Row]] = defaultdict(list)
    for row in points:
        by_quantity[row["quantity"]].append(row)
    rows = []
    for quantity, members in sorted(by_quantity.items()):
        kelvin = "rmse_k" in members[0]
        error = "rmse_k" if kelvin else "cv_rmse_frac"
        values = [row[error] for row in members if row[error] is not None]
        verdicts = [_counts(members, limits) for limits in (GUIDELINE_14, OWN)]
        rows.append(
            [
                quantity,
                len(members),
                *(f"{found[KEPT]} of {n}" if (n := found[KEPT] + found[MISSED]) else UNJUDGED for found in verdicts),
                float(np.median(values)) if values else None,
                max(values, default=None),
                "K" if kelvin else "%",
            ]
        )
    columns = (
        Column("Quantity"),
        Column("Points", COUNT),
        Column("Keep Guideline 14"),
        Column("Keep our own"),
        Column("Median error", NUMBER, unit_from="Unit"),
        Column("Largest error", NUMBER, unit_from="Unit"),
        Column("Unit", UNIT),
    )
    texts = [
        "ASHRAE Guideline 14, hourly: NMBE within ±10 % and CV(RMSE) within 30 %; it has none for temperatures.",
        f"Our own: NMBE within ±{OWN.nmbe_frac:.0%}, CV(RMSE) within {OWN.cv_rmse_frac:.0%}; temperatures within"
        f" {OWN.rmse_k:g} K RMSE and ±{OWN.mean_error_k:g} K mean. Errors are CV(RMSE), of temperatures RMSE.",
        verdict(counts),
    ]
    return Section("Limits", texts, tables=[Table("Limits", "By quantity", columns, rows)])


def _points_section(points: Sequence[Row]) -> Section:
    order = {MISSED: 0, KEPT: 1, UNJUDGED: 2}
    rows = []
    for row in sorted(points, key=lambda row: (row["input"], order[judged(row, OWN)], row["covered_frac"] or 0.0)):
        kelvin = "rmse_k" in row
        verdicts = [DRIVES if row["input"] else judged(row, limits) for limits in (GUIDELINE_14, OWN)]
        bias, error = ("mean_error_k", "rmse_k") if kelvin else ("nmbe_frac", "cv_rmse_frac")
        unit = "K" if kelvin else "%"
        rows.append(
            [
                row["object"],
                row["quantity"],
                *verdicts,
                row.get(bias),
                row.get(error),
                row["covered_frac"],
                row["n"],
                unit,
            ]
        )
    columns = (
        Column("Object"),
        Column("Quantity"),
        Column("Guideline 14"),
        Column("Our own"),
        Column("Bias", NUMBER, unit_from="Unit"),
        Column("Error", NUMBER, unit_from="Unit"),
        Column("Inside two sensor sigmas", NUMBER, "%"),
        Column("Intervals", COUNT),
        Column("Unit", UNIT),
    )
    table = Table("Points", "Every point, what misses first", columns, rows, _ERRORS, n_shown=N_SHOWN)
    return Section("Points", tables=[table])


def _figures_section(figures: Mapping[str, Row]) -> Section:
    units = {"output_tokens_per_s": "tok/s", "tokens_per_joule": "tok/J", "meter_power_w": "W"}
    rows = [
        [name, row["measured"], row["predicted"], row["low"], row["high"], units.get(name, "")]
        for name, row in figures.items()
    ]
    numbers = [Column(head, NUMBER, unit_from="Unit") for head in ("Measured", "Predicted", "80 % low", "80 % high")]
    columns = (Column("Figure"), *numbers, Column("Unit", UNIT))
    return Section("Figures", tables=[Table("Figures", "Measured beside predicted", columns, rows)])


def _coverage_section(coverage: Sequence[Row]) -> Section:
    words = {"closes": "closes", "open": "does not close", "cannot": "cannot be judged"}
    rows = [
        [
            row["sum_of"],
            row["meter"],
            words.get(row.get("state", ""), ""),
            row["ratio"],
            row["predicted_ratio"],
            row.get("tolerance_frac"),
            row.get("missing", []),
        ]
        for row in coverage
    ]
    columns = (
        Column("Sum of"),
        Column("Beside"),
        Column("Balance"),
        Column("Measured ratio", NUMBER, "%"),
        Column("Predicted ratio", NUMBER, "%"),
        Column("Sensors allow ±", NUMBER, "%"),
        Column("Not measured"),
    )
    table = Table("Coverage", "Balances", columns, rows, n_shown=N_SHOWN, empty="No balance of the layout is measured.")
    return Section("Sensor coverage", tables=[table])


def changes(now: Sequence[Row], earlier: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what each point's error was and is, the largest change of its bias over its limit first."""
    before = {(row["object"], row["quantity"]): row for row in earlier}
    found = []
    for row in now:
        was = before.get((row["object"], row["quantity"]))
        if row["input"] or was is None or was["input"]:
            continue
        kelvin = "rmse_k" in row
        bias, error = ("mean_error_k", "rmse_k") if kelvin else ("nmbe_frac", "cv_rmse_frac")
        if None in (row.get(bias), was.get(bias), row.get(error), was.get(error)):
            continue
        moved = row[bias] - was[bias]
        most = OWN.mean_error_k if kelvin else OWN.nmbe_frac
        found.append(
            {
                "object": row["object"],
                "quantity": row["quantity"],
                "bias_then": was[bias],
                "bias_now": row[bias],
                "moved": moved,
                "error_then": was[error],
                "error_now": row[error],
                "unit": "K" if kelvin else "%",
                "size": abs(moved) / most if most else 0.0,
            }
        )
    return sorted(found, key=lambda row: -row["size"])


def _changes_section(points: Sequence[Row], earlier: Mapping[str, Any] | None, name: str) -> Section:
    title = "What changed since commissioning"
    if earlier is None:
        return Section(title, ["There is no earlier comparison of this layout to set beside."])
    moved = changes(points, earlier["points"])
    there = {(row["object"], row["quantity"]) for row in points}
    was = {(row["object"], row["quantity"]) for row in earlier["points"]}
    large = [row for row in moved if row["size"] > 1]
    named = ", ".join(f"{row['object']} {row['quantity']}" for row in large[:3])
    texts = [
        f"Beside {name}. Of {len(moved):,} points in both, the bias of {len(large):,} moved by more than our own limit"
        + (f": {named}{' and others' if len(large) > 3 else ''}." if large else "."),
        f"{len(there - was):,} points are new, {len(was - there):,} are no longer measured.",
    ]
    columns = (
        Column("Object"),
        Column("Quantity"),
        Column("Bias then", NUMBER, unit_from="Unit"),
        Column("Bias now", NUMBER, unit_from="Unit"),
        Column("Moved by", NUMBER, unit_from="Unit"),
        Column("Error then", NUMBER, unit_from="Unit"),
        Column("Error now", NUMBER, unit_from="Unit"),
        Column("Over the limit", NUMBER),
        Column("Unit", UNIT),
    )
    names = ("object", "quantity", "bias_then", "bias_now", "moved", "error_then", "error_now", "size", "unit")
    rows = [[row[column] for column in names] for row in moved]
    table = Table("Changes", "Points, the largest change first", columns, rows, _ERRORS, n_shown=N_SHOWN)
    return Section(title, texts, tables=[table])
