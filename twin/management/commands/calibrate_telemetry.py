"""Fit a layout's parameters to the readings of its site, with intervals, and judge the fit on held-out times."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.inputs.parameters import APPLIED
from twin.core.telemetry.diagnosed_fit import fit_diagnosed
from twin.core.telemetry.fitted import DEFAULT
from twin.exceptions import CannotSimulate
from twin.management.readings import add_readings_arguments, named_readings
from twin.telemetry.accept import accept, free_slug


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        add_readings_arguments(parser)
        parser.add_argument(
            "--parameters",
            default=",".join(DEFAULT),
            metavar="NAME,…",
            help=f"out of {', '.join(APPLIED)}; default {', '.join(DEFAULT)}",
        )
        parser.add_argument(
            "--accept",
            metavar="NAME",
            help="copy the layout under this name with the parameters that could be identified; the copy is frozen",
        )

    def handle(self, *args: Any, layout: str, scenario: str | None, start: str, end: str, **options: Any) -> None:
        made = None
        try:
            asked = named_readings(layout, scenario, start, end)
            names = [name.strip() for name in options["parameters"].split(",") if name.strip()]
            if options["accept"] is not None:
                free_slug(asked.layout)
            fit = fit_diagnosed(asked.year, asked.measured, **asked.span, parameters=names)
            if options["accept"] is not None:
                made = accept(
                    layout=asked.layout,
                    fit=fit,
                    name=options["accept"],
                    start_s=asked.span["start_s"],
                    end_s=asked.span["end_s"],
                )
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from refusal
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        if options["json"]:
            answer = fit.as_json() | {"layout": made.path if made else None}
            self.stdout.write(json.dumps(answer, indent=1, ensure_ascii=False))
            return
        self.stdout.write(
            f"{fit.n_times} times, {fit.n_held_out} of them held out; load from {fit.load_from};"
            f" {'accepted' if fit.accepted else 'not accepted'}: {fit.reason}"
        )
        for row in fit.faults:
            self.stdout.write(f"fault: {row['kind']} of {row['object']} since {row['since']}: {row['evidence']}")
        for row in fit.parameters:
            unit = "" if row["unit"] == "1" else f" {row['unit']}"
            self.stdout.write(
                f"{row['object'] + ' ' + row['parameter']:58} {row['before']:.4g} to {row['after']:.4g}{unit},"
                f" {row['low']:.4g} to {row['high']:.4g}{'  ' + row['reason'] if row['reason'] else ''}"
            )
        if made:
            self.stdout.write(f"{made.path} holds the calibrated parameters; runs, drills and comparisons can use it")
