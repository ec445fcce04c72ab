"""What every assumed or estimated input does to cost, tokens per watt and availability of a layout."""

import json

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.comparison.sensitivity import sensitivity
from twin.core.comparison.tornado import FIGURES, N_SHOWN, as_json, most_moving
from twin.core.inputs.layout import layout_inputs
from twin.exceptions import CannotSimulate
from twin.management.arguments import named_layout, named_scenario
from twin.runs import snapshot


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", metavar="SITE/LAYOUT")
        parser.add_argument("--scenario", metavar="SLUG", help="default: the site's own")
        parser.add_argument("--json", action="store_true", help="print all rows as JSON")

    def handle(self, *args, layout: str, scenario: str | None, json: bool, **_) -> None:
        found = named_layout(layout)
        try:
            rows = sensitivity(layout_inputs(snapshot.snapshot(found, named_scenario(found, scenario))))
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        if json:
            self.stdout.write(_spelled(as_json(rows)))
            return
        for row in (row for figure in FIGURES for row in most_moving(rows, figure, N_SHOWN)):
            ends = " to ".join("-" if end is None else f"{end:.4g}" for end in (row.figure_low, row.figure_high))
            low, high = (f"{end:.4g}" if isinstance(end, float) else end for end in (row.low, row.high))
            unit = "" if row.unit == "1" else f" {row.unit}"
            self.stdout.write(f"{row.figure[:32]:33}{ends:24}{row.input[:60]:61}{low} to {high}{unit}")


def _spelled(rows: list[dict]) -> str:
    return json.dumps(rows, indent=1, ensure_ascii=False)
