"""Which of some layouts to build, how sure that is, and what would change it."""

import json

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.comparisons.verdict import layouts_verdict
from twin.core.comparison.basis import BASES, CAPACITY_SHARE
from twin.core.figures_of_merit import BY_NAME, RANKED_BY
from twin.core.text.numbers import quantity_text
from twin.exceptions import CannotSimulate
from twin.management.arguments import named_layout, named_scenario


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layouts", nargs="+", metavar="SITE/LAYOUT")
        parser.add_argument("--scenario", metavar="SLUG", help="default: each site's own")
        parser.add_argument("--equal", choices=BASES, default=CAPACITY_SHARE, help=f"default: {CAPACITY_SHARE}")
        parser.add_argument(
            "--by", default=RANKED_BY, metavar="FIGURE", help=f"figure that ranks; default: {RANKED_BY}"
        )
        parser.add_argument("--json", action="store_true", help="print the verdict as JSON")

    def handle(self, *args, layouts: list[str], scenario: str | None, equal: str, by: str, json: bool, **_) -> None:
        found = [named_layout(path) for path in layouts]
        try:
            answer = layouts_verdict(
                [(layout, named_scenario(layout, scenario)) for layout in found], basis=equal, by=by
            )
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        if json:
            self.stdout.write(_spelled(answer))
            return
        self.stdout.write(answer["sentence"])
        self.stdout.write(f"Compared at {answer['basis']}.")
        for place, row in enumerate(answer["ranking"], 1):
            value = row["figures"][by]
            text = "-" if value is None else quantity_text(value, BY_NAME[by].unit)
            why = "; ".join(row["blocked"] or row["misses_targets"])
            self.stdout.write(f"{'-' if row['blocked'] else place:>2}  {row['layout']:40}{text:>16}  {why}".rstrip())
        for flip in answer["flips"]:
            self.stdout.write(
                f"    {flip['winner_then']} wins if {flip['input']} goes from {flip['from']} to {flip['to']}"
            )
        for line in answer["assumptions"]:
            self.stdout.write(f"    {line}")


def _spelled(answer: dict) -> str:
    return json.dumps(answer, indent=1, ensure_ascii=False)
