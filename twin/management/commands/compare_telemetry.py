"""Score a layout against the readings of its site: solved at the measured weather and load, point by point."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.telemetry.compare import compare
from twin.exceptions import CannotSimulate
from twin.management.readings import add_readings_arguments, named_readings
from twin.telemetry.asked import figure_bands

COVERAGE_WORDS = {"closes": "closes", "open": "does not close", "cannot": "cannot be judged: points are missing"}


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        add_readings_arguments(parser)

    def handle(self, *args: Any, layout: str, scenario: str | None, start: str, end: str, **options: Any) -> None:
        try:
            asked = named_readings(layout, scenario, start, end)
            bands = figure_bands(asked.inputs_sha256)
            comparison = compare(asked.year, asked.measured, **asked.span, figure_bands=bands)
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(comparison.as_json(), indent=1, ensure_ascii=False))
            return
        self.stdout.write(
            f"{comparison.n_intervals} intervals of {comparison.step_s:g} s; load from {comparison.load_from}, weather"
            f" {comparison.weather_from}; inside: within two sigmas of a usual sensor"
        )
        for name, row in comparison.figures.items():
            self.stdout.write(f"{name:24} measured {_text(row['measured'])}, predicted {_text(row['predicted'])}")
        for row in comparison.coverage:
            if row["ratio"] is None:
                self.stdout.write(
                    f"{row['sum_of']} beside {row['meter']}: cannot be judged, {row['n_missing']} not measured"
                )
                continue
            self.stdout.write(
                f"{row['sum_of']} is {row['ratio']:.3f} of {row['meter']}; predicted {row['predicted_ratio']:.3f}"
                f" ± {row['tolerance_frac']:.1%}, {COVERAGE_WORDS[row['state']]}"
            )
        for row in comparison.points:
            if "rmse_k" in row:
                scores = f"RMSE {_text(row['rmse_k'])} K"
            else:
                scores = f"NMBE {_share(row['nmbe_frac'])}, CV(RMSE) {_share(row['cv_rmse_frac'])}"
            driven = "  input" if row["input"] else ""
            point = f"{row['object']}|{row['quantity']}"
            self.stdout.write(f"{point:58} n {row['n']:6}  {scores}, inside {_share(row['covered_frac'])}{driven}")
        for point in comparison.not_predicted:
            self.stdout.write(f"{point:58} not predicted")


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
