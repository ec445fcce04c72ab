"""The smallest numbers of units that carry a layout's design hour; --take brings the layout to them."""

import json as json_text

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.management.arguments import named_layout
from twin.onboarding.sizing import count_row, layout_sizing, sizing_take


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", metavar="SITE/LAYOUT")
        parser.add_argument("--take", action="store_true", help="change the layout")
        parser.add_argument("--json", action="store_true", help="print counts and what more units do not fix as JSON")

    def handle(self, *args, layout: str, take: bool, json: bool, **_) -> None:
        found = named_layout(layout)
        sizing = layout_sizing(found)
        if take:
            try:
                sizing_take(layout=found)
            except ValidationError as refusal:
                raise CommandError(" ".join(refusal.messages)) from refusal
        if json:
            left = [{"object": f.object_name, "rule": f.rule, "message": f.message} for f in sizing.left]
            rows = {"counts": [count_row(count) for count in sizing.counts], "left": left, "taken": take}
            self.stdout.write(json_text.dumps(rows, indent=1, ensure_ascii=False))
            return
        for count in sizing.counts:
            changed = f"{count.before} -> {count.after}" if count.before != count.after else str(count.after)
            self.stdout.write(f"{count.counted.name[:32]:33}{count.counted.field:18}{changed:10}{count.reason}")
        for finding in sizing.left:
            self.stdout.write(f"More units do not fix: {finding.object_name}: {finding.message}")
