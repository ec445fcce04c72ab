"""Sum up by kind of run how far the shipped coefficients agree with measured runs, for the page of claims."""

import csv
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.calibration.run import band_coverage, cross_validate, read_evidence
from compute.model_shapes import model_shape_from_entry
from compute.prediction.kind_summaries import STORED, kind_summaries, written
from facility.catalogue import entries
from twin.core.serving.evidence import MODELS
from twin.validation.serving import FILES


class Command(BaseCommand):
    """Takes minutes: every run is predicted by a fit that has not seen its deployment."""

    requires_system_checks = ()  # reads and writes files only; needs no database
    help = "Write the summary errors and coverage of measured runs by kind, which the page of claims shows (a release)."

    def add_arguments(self, parser):
        parser.add_argument("--data", type=Path, default=settings.TWIN_DATA_DIR, metavar="DIR")
        parser.add_argument("--out", type=Path, default=STORED, help="JSON to write (default: the shipped summaries)")

    def handle(self, *args, data: Path, out: Path, **options):
        rows: list[dict[str, str]] = []
        try:
            for name in FILES:
                with (data / "serving" / name).open(newline="", encoding="utf-8-sig") as file:
                    rows += csv.DictReader(file)
        except OSError as error:
            raise CommandError(f"cannot read the measured runs: {error}") from error
        evidence = read_evidence(
            rows,
            {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()},
            {name: model_shape_from_entry(entry) for name, entry in entries("models").items()},
        )
        validation = cross_validate(evidence)
        scores = band_coverage(evidence, validation)
        summaries = kind_summaries(evidence, coefficient_set(), MODELS, validation, scores)
        out.write_text(written(summaries, f"{datetime.now(UTC):%Y-%m-%d}", FILES), encoding="utf-8")
        self.stdout.write(f"wrote {out.name}: {len(summaries)} kinds of {sum(one.runs for one in summaries)} runs")
