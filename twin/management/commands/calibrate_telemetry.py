"""Fit a layout's parameters to the readings of its site, with intervals, and judge the fit on held-out times."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.telemetry.layout_fit import DEFAULT, fit_layout
from twin.core.telemetry.publish import APPLIED
from twin.exceptions import CannotSimulate
from twin.management.readings import add_readings_arguments, asked_readings


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        add_readings_arguments(parser)
        parser.add_argument(
            "--parameters", default=",".join(DEFAULT), metavar="NAME,…",
            help=f"out of {', '.join(APPLIED)}; default {', '.join(DEFAULT)}",
        )  # fmt: skip
        parser.add_argument("--accept", metavar="NAME", help="not there yet")

    def handle(self, *args: Any, layout: str, scenario: str | None, start: str, end: str, **options: Any) -> None:
        if options["accept"] is not None:
            raise CommandError("--accept is not there yet: the fit is only reported; nothing was changed")
        try:
            asked = asked_readings(layout, scenario, start, end)
            names = [name.strip() for name in options["parameters"].split(",") if name.strip()]
            fit = fit_layout(asked.year, asked.measured, **asked.span, parameters=names)
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
