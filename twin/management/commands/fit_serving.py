"""Fit the serving coefficients to measured cases, cross-validate them and write the set."""

import csv
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from compute.accelerators import accelerator_from_entry
from compute.bounded_text import bounded_lines
from compute.calibration.coefficients import SHIPPED
from compute.calibration.run import band_coverage, calibrate, cross_validate, read_evidence
from compute.calibration.uncertainty import QUANTITIES
from compute.model_shapes import model_shape_from_entry
from facility.catalogue import entries


class Command(BaseCommand):
    """Same cases, same coefficients: nothing here draws chance or reads a clock."""

    requires_system_checks = ()  # reads and writes files only; needs no database
    help = "Fit serving coefficients to CASES.csv ...; writes them with vintages, counts, residuals and bands."

    def add_arguments(self, parser):
        parser.add_argument("cases", type=Path, nargs="+", help="CSV in the columns of the measured serving cases")
        parser.add_argument("--out", type=Path, default=SHIPPED, help="JSON to write (default: the shipped set)")
        parser.add_argument("--source", default="", help="where the cases come from (default: the file's name)")

    def handle(self, *args, cases: list[Path], out: Path, source: str, **options):
        names = ", ".join(path.name for path in cases)
        try:
            rows = []
            for path in cases:
                with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
                    rows += csv.DictReader(bounded_lines(file, most_lines=200_000))
            evidence = read_evidence(
                rows,
                {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()},
                {name: model_shape_from_entry(entry) for name, entry in entries("models").items()},
            )
        except (OSError, ValueError, csv.Error) as error:
            raise CommandError(f"cannot read {names}: {error}") from error
        for reason in evidence.rejected:
            self.stderr.write(f"left out: {reason}")
        validation = cross_validate(evidence)
        fitted = calibrate(evidence, validation, fitted_from=source or names)
        for kind, quantities in fitted.record["residuals"].items():
            for quantity, (n, median, mean) in quantities.items():
                self.stdout.write(f"by {kind:12s} {quantity:11s} n {n:5d}  median {median:7.1%}  mean {mean:7.1%}")
        for unseen in ("case", "deployment", "model", "accelerator", "mode"):
            scores = band_coverage(evidence, validation, unseen)
            for quantity, row, score in zip(QUANTITIES, scores.covered, scores.interval_score, strict=True):
                measured = row == row
                if measured.any():
                    self.stdout.write(
                        f"80 % band by {unseen:12s} {quantity:11s} n {measured.sum():5d}  covers "
                        f"{row[measured].mean():.1%}  interval score {score[measured].mean():.3f}"
                    )
        try:
            out.write_text(fitted.as_json(), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"cannot write {out}: {error}") from error
        self.stdout.write(f"wrote {out.name}: {len(evidence.table.cases)} cases, {len(evidence.rejected)} left out")
