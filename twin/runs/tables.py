"""The tables of a run as rows and as CSV: full precision, SI, one unit per column, for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from twin.core.figures_of_merit import FIGURES, Figure
from twin.core.results.details import RunDetails, run_details
from twin.core.results.findings import run_findings
from twin.models import Run
from twin.runs import services

#: Name of the table in its address, and what it is called.
NAMES = {
    "figures": "Figures of merit",
    "series": "Hourly series",
    "racks": "Racks",
    "energy-flow": "Energy flow",
    "pue": "PUE line by line",
    "workloads": "Workloads",
    "limits": "Limits",
    "findings": "Findings",
    "assumptions": "Assumptions",
    "costs": "Costs",
    "capital": "Cost to build",
    "margins": "Margins",
    "throttling": "Margin to throttling",
    "drills": "Seconds after a loss",
    "hall-air": "Air of the halls",
    "failures": "Single failures",
    "availability": "Availability by group",
    "run-findings": "Findings of the run",
}
#: Tables that are rows in the run's details.
DETAILS = {
    "energy-flow": "energy_flow",
    "pue": "pue_lines",
    "workloads": "per_workload",
    "limits": "limits",
    "findings": "findings",
    "assumptions": "assumptions",
    "costs": "costs",
    "capital": "capital",
    "margins": "margins",
    "throttling": "throttle_margins",
    "drills": "drills",
    "hall-air": "hall_air",
    "failures": "failures",
}


def rows(run: Run, name: str) -> tuple[list[str], Iterable[list]]:
    """Return the header and the rows of one table of a finished run."""
    if name == "figures":
        header = ["name", "label", "unit", "value", "low", "high"]
        return header, (figure_row(run, figure) for figure in FIGURES)
    if name == "series":
        return columns(services.run_series(run), index="hour")
    if name == "racks":
        return columns(services.run_racks(run))
    found = objects(run_details(run.details), name)
    header = [entry.name for entry in fields(found[0])] if found else []
    return header, ([getattr(row, key) for key in header] for row in found)


def objects(details: RunDetails, name: str) -> Sequence[Any]:
    """Return a table of the run's details."""
    if name == "availability":
        return details.availability.groups
    if name == "run-findings":
        return run_findings(details)
    return getattr(details, DETAILS[name])


def figure_row(run: Run, figure: Figure) -> list:
    """Return one figure of merit with its band. Fractions stay fractions, as the unit column shows."""
    low, high = (run.bands or {}).get(figure.name) or (None, None)
    unit = "fraction" if figure.unit == "%" else figure.unit
    return [figure.name, figure.label, unit, run.figures.get(figure.name), low, high]


def columns(arrays: dict[str, np.ndarray], index: str = "") -> tuple[list[str], Iterable[list]]:
    """Return arrays of one length as a table, with a running number before them where `index` names one."""
    arrays = {name: values for name, values in arrays.items() if np.ndim(values) == 1}
    numbers = [np.char.mod("%.7g", v).tolist() if v.dtype.kind == "f" else v.tolist() for v in arrays.values()]
    if not index:
        return list(arrays), (list(row) for row in zip(*numbers, strict=True))
    return [index, *arrays], ([i, *row] for i, row in enumerate(zip(*numbers, strict=True)))


def as_csv(header: list[str], body: Iterable[list]) -> str:
    """Return a table as CSV. Text that a spreadsheet would run as a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([safe_cell(cell) for cell in header])
    writer.writerows([safe_cell(cell) for cell in row] for row in body)
    return text.getvalue()


def safe_cell(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; numbers, also negative ones, stay numbers."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t") and not is_number(cell):
        return "'" + cell
    return cell


def is_number(text: str) -> bool:
    """Return whether the text is a plain number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
