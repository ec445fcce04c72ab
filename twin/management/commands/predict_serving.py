"""Predict latency, throughput and power of serving cases in a CSV file."""

import csv
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from compute.accelerators import accelerator_from_entry
from compute.bounded_text import bounded_lines
from compute.calibration.case_fields import INPUT_COLUMNS
from compute.calibration.coefficients import SHIPPED, coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.prediction.measured import measured_runs
from compute.prediction.rows import COLUMNS, predict_rows
from facility.catalogue.names import with_ids
from twin.core.serving.measured import read_result
from twin.interchange.own_products import known_entries

MOST_BYTES, MOST_CASES = 64 * 2**20, 200_000


class Command(BaseCommand):
    """Read cases, write one answer per row."""

    requires_system_checks = ()  # reads and writes files; a database, where there is one, adds own models
    help = "Predict TTFT, ITL, tokens/s, watts and J/token of the cases in CASES.csv, with 80 % bands."

    def add_arguments(self, parser):
        parser.add_argument(
            "cases",
            type=Path,
            help="CSV with a header, or JSON of InferenceX result rows. Columns that are read: "
            + "; ".join(f"{column} ({meaning})" for column, meaning in INPUT_COLUMNS.items()),
        )
        parser.add_argument("out", type=Path, help="CSV to write, one row per case")
        parser.add_argument("--coefficients", type=Path, default=SHIPPED, help="a set that fit_serving wrote")

    def handle(self, *args, cases: Path, out: Path, coefficients: Path, **options):
        try:
            rows = _rows(cases)
            fitted = coefficient_set(coefficients)
        except (OSError, ValueError, csv.Error) as error:
            raise CommandError(f"cannot read: {error}") from error
        accelerators, models = (
            known_entries(f"{column}s", {str(row.get(column) or "").strip() for row in rows})
            for column in ("accelerator", "model")
        )
        named, refused = with_ids(rows, {"accelerator": accelerators, "model": models})
        answers = predict_rows(
            named,
            {name: accelerator_from_entry(entry) for name, entry in accelerators.items()},
            {name: model_shape_from_entry(entry) for name, entry in models.items()},
            fitted,
        )
        for i, reason in refused.items():
            answers[i]["reason"] = reason
        try:
            with out.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(answers)
        except OSError as error:
            raise CommandError(f"cannot write: {error}") from error
        feasible = sum(bool(answer["feasible"]) for answer in answers)
        self.stdout.write(f"{feasible} of {len(answers)} cases answered")


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, or those of InferenceX results in JSON."""
    with path.open("rb") as file:
        first = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first in (b"{", b"["):
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read")
        rows = [run.row for run in measured_runs(read_result(path.read_bytes()), {})]
        return [{"case_id": str(number)} | row for number, row in enumerate(rows, 1)]
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return list(csv.DictReader(bounded_lines(file, most_lines=MOST_CASES)))
