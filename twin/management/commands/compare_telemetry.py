"""Score a layout against the readings of its site: solved at the measured weather and load, point by point."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.telemetry.compare import compare
from twin.exceptions import CannotSimulate
from twin.management.commands.publish_telemetry import zoned_time
from twin.management.commands.simulate import named_layout, named_scenario
from twin.models import Run
from twin.runs import snapshot
from twin.telemetry import store


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", metavar="SITE/LAYOUT")
        parser.add_argument("--scenario", metavar="SLUG", help="default: the site's first by name")
        parser.add_argument(
            "--start", required=True, metavar="TIME",
            help="ISO 8601 with zone; what is not measured follows the typical year on this zone's clock",
        )  # fmt: skip
        parser.add_argument("--end", required=True, metavar="TIME", help="up to but not including it")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, layout: str, scenario: str | None, start: str, end: str, **options: Any) -> None:
        found = named_layout(layout)
        asked = named_scenario(found, scenario)
        try:
            (start_s, offset_s), (end_s, _) = zoned_time("--start", start), zoned_time("--end", end)
            measured = store.read(found.site, round(start_s * 1e3), round(end_s * 1e3))
            inputs = snapshot.snapshot(found, asked)
            told = compare(
                described(layout_inputs(inputs)), measured, start_s=start_s, end_s=end_s, offset_s=offset_s,
                figure_bands=_bands(snapshot.sha256(snapshot.canonical(inputs))),
            )  # fmt: skip
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(told.as_json(), indent=1, ensure_ascii=False))
            return
        self.stdout.write(
            f"{told.n_intervals} intervals of {told.step_s:g} s; load from {told.load_from}, weather"
            f" {told.weather_from}; inside: within two sigmas of a usual sensor"
        )
        for name, row in told.figures.items():
            self.stdout.write(f"{name:24} measured {_text(row['measured'])}, predicted {_text(row['predicted'])}")
        for row in told.coverage:
            self.stdout.write(
                f"{row['sum_of']} is {row['ratio']:.3f} of {row['meter']}; predicted {row['predicted_ratio']:.3f}"
            )
        for row in told.points:
            if "rmse_k" in row:
                scores = f"RMSE {_text(row['rmse_k'])} K"
            else:
                scores = f"NMBE {_share(row['nmbe_frac'])}, CV(RMSE) {_share(row['cv_rmse_frac'])}"
            driven = "  input" if row["input"] else ""
            point = f"{row['object']}|{row['quantity']}"
            self.stdout.write(f"{point:58} n {row['n']:6}  {scores}, inside {_share(row['covered_frac'])}{driven}")
        for point in told.not_predicted:
            self.stdout.write(f"{point:58} not predicted")


def _bands(inputs_sha256: str) -> dict[str, tuple[float, float]]:
    """Return low and high of each figure over its value, of the last run of just this description and scenario."""
    run = Run.objects.filter(inputs_sha256=inputs_sha256, status=Run.Status.DONE).order_by("-created_at").first()
    if run is None:
        return {}
    return {
        name: (band[0] / run.figures[name], band[1] / run.figures[name])
        for name, band in (run.bands or {}).items()
        if band and run.figures.get(name)
    }


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
