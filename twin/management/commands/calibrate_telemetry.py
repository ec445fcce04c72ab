"""Fit a layout's parameters to the readings of its site, with intervals, and judge the fit on held-out times."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.telemetry.layout_fit import DEFAULT, fit_layout
from twin.core.telemetry.publish import APPLIED
from twin.exceptions import CannotSimulate
from twin.management.commands.publish_telemetry import zoned_time
from twin.management.commands.simulate import named_layout, named_scenario
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
        parser.add_argument(
            "--parameters", default=",".join(DEFAULT), metavar="NAME,…",
            help=f"out of {', '.join(APPLIED)}; default {', '.join(DEFAULT)}",
        )  # fmt: skip
        parser.add_argument("--accept", metavar="NAME", help="not there yet")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, layout: str, scenario: str | None, start: str, end: str, **options: Any) -> None:
        if options["accept"] is not None:
            raise CommandError("--accept is not there yet: the fit is only reported; nothing was changed")
        found = named_layout(layout)
        asked = named_scenario(found, scenario)
        try:
            (start_s, offset_s), (end_s, _) = zoned_time("--start", start), zoned_time("--end", end)
            measured = store.read(found.site, round(start_s * 1e3), round(end_s * 1e3))
            inputs = layout_inputs(snapshot.snapshot(found, asked))
            fit = fit_layout(
                described(inputs), measured, start_s=start_s, end_s=end_s, offset_s=offset_s,
                parameters=[name.strip() for name in options["parameters"].split(",") if name.strip()],
            )  # fmt: skip
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(fit.as_json(), indent=1, ensure_ascii=False))
            return
        self.stdout.write(
            f"{fit.n_times} times, {fit.n_held_out} of them held out; load from {fit.load_from};"
            f" {'accepted' if fit.accepted else 'not accepted'}: {fit.reason}"
        )
        for row in fit.parameters:
            self.stdout.write(
                f"{row['object'] + ' ' + row['parameter']:58} {row['before']:.4g} to {row['after']:.4g} {row['unit']},"
                f" {row['low']:.4g} to {row['high']:.4g}{'  ' + row['reason'] if row['reason'] else ''}"
            )
