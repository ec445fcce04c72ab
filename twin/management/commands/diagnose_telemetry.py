"""Name the faults that the readings of a site show against its layout: sensors that err, and fouled CDUs."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.telemetry.layout_faults import diagnose_layout
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
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, layout: str, scenario: str | None, start: str, end: str, **options: Any) -> None:
        found = named_layout(layout)
        asked = named_scenario(found, scenario)
        try:
            (start_s, offset_s), (end_s, _) = zoned_time("--start", start), zoned_time("--end", end)
            measured = store.read(found.site, round(start_s * 1e3), round(end_s * 1e3))
            inputs = layout_inputs(snapshot.snapshot(found, asked))
            faults = diagnose_layout(described(inputs), measured, start_s=start_s, end_s=end_s, offset_s=offset_s)
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(faults, indent=1, ensure_ascii=False))
            return
        for row in faults:
            self.stdout.write(
                f"{row['score']:8.1f}  {row['kind']:13} {row['object']} since {row['since']}: {row['evidence']}"
            )
        if not faults:
            self.stdout.write("no fault found")
