"""Name the set points of a layout that would give more tokens per watt or per dollar inside its limits.

Nothing is set: the file that --dsx writes is for whoever runs the plant.
"""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.figures_of_merit import BY_NAME, RANKED_BY
from twin.core.inputs.layout import layout_inputs
from twin.core.telemetry.advise import advise
from twin.core.telemetry.advised import RAISED
from twin.exceptions import CannotSimulate
from twin.management.arguments import named_layout, named_scenario
from twin.runs import snapshot
from twin.telemetry.set_point_files import advice_lines, set_point_requests, set_points_csv


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", metavar="SITE/LAYOUT")
        parser.add_argument("--scenario", metavar="SLUG", help="default: the site's own")
        parser.add_argument("--figure", choices=RAISED, default=RANKED_BY, help="what is raised; default: %(default)s")
        parser.add_argument("--csv", type=Path, metavar="FILE", help="write the set points as CSV")
        parser.add_argument(
            "--dsx", type=Path, metavar="FILE", help="write those that DSX Exchange BMS can request, a line each"
        )
        parser.add_argument("--json", action="store_true", help="print the set points as JSON; the others go unsaid")

    def handle(self, *args: Any, layout: str, scenario: str | None, figure: str, **options: Any) -> None:
        found = named_layout(layout)
        try:
            inputs = layout_inputs(snapshot.snapshot(found, named_scenario(found, scenario)))
            advice = advise(inputs, figure).as_json()
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        unit = BY_NAME[figure].unit
        try:
            if options["csv"]:
                options["csv"].write_text(set_points_csv(advice, unit), encoding="utf-8")
            if options["dsx"]:
                requests, left_out = set_point_requests(found.site, advice)
                options["dsx"].write_text(requests, encoding="utf-8")
                for line in left_out:
                    self.stderr.write(f"left out: {line}")
        except OSError as error:
            raise CommandError(f"cannot write {error.filename}: {error.strerror}") from error
        if options["json"]:
            self.stdout.write(json.dumps(advice["advice"], indent=1, ensure_ascii=False))
            return
        for line in advice_lines(advice, unit):
            self.stdout.write(line)
