"""Name the faults that the readings of a site show against its layout: sensors that err, machines that fail."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.telemetry.layout_faults import diagnose_layout
from twin.exceptions import CannotSimulate
from twin.management.readings import add_readings_arguments, named_readings


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        add_readings_arguments(parser)

    def handle(self, *args: Any, layout: str, scenario: str | None, start: str, end: str, **options: Any) -> None:
        try:
            asked = named_readings(layout, scenario, start, end)
            faults = [fault.row for fault in diagnose_layout(asked.year, asked.measured, **asked.span)]
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
