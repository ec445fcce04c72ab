"""Measure what advice that was taken on has gained: the site's readings beside the twin at the old set points.

The file is what `advise --json` has printed. Weather and load are those that were measured.
"""

import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.inputs.layout import layout_inputs
from twin.core.telemetry.gain import QUANTITIES, measured_gain
from twin.exceptions import CannotSimulate
from twin.management.arguments import named_layout, named_scenario, zoned_time
from twin.runs import snapshot
from twin.telemetry import store
from twin.telemetry.set_point_files import gain_csv, gain_lines
from twin.telemetry.taken import BEFORE

NEEDED = {"object": str, "parameter": str, "from": (int, float), "to": (int, float), "gain": dict}


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", metavar="SITE/LAYOUT", help="as it stood before the change")
        parser.add_argument("--scenario", metavar="SLUG", help="default: the site's own")
        parser.add_argument("--advice", type=Path, required=True, metavar="FILE", help="of `advise --json`")
        parser.add_argument("--orders", metavar="1,2", help="which of its set points; default: all")
        parser.add_argument("--taken-at", required=True, metavar="TIME", help="ISO 8601 with zone")
        parser.add_argument("--end", metavar="TIME", help="up to but not including it; default: now")
        parser.add_argument("--csv", type=Path, metavar="FILE", help="write the days as CSV")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, layout: str, scenario: str | None, **options: Any) -> None:
        found = named_layout(layout)
        try:
            taken_s, offset_s = zoned_time("--taken-at", options["taken_at"])
            end_s = zoned_time("--end", options["end"])[0] if options["end"] else time.time()
            if not taken_s < end_s:
                raise ValueError("--end must be after --taken-at")
            gain = measured_gain(
                layout_inputs(snapshot.snapshot(found, named_scenario(found, scenario))),
                chosen(advised(options["advice"]), options["orders"]),
                store.read(
                    found.site,
                    round((taken_s - BEFORE / dt.timedelta(seconds=1)) * 1e3),
                    round(end_s * 1e3),
                    quantities=QUANTITIES,
                ),
                taken_s=taken_s,
                end_s=end_s,
                offset_s=offset_s,
            ).as_json()
            if options["csv"]:
                options["csv"].write_text(gain_csv(gain), encoding="utf-8")
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        except OSError as error:
            raise CommandError(f"cannot open {error.filename}: {error.strerror}") from error
        if options["json"]:
            self.stdout.write(json.dumps(gain, indent=1, ensure_ascii=False))
            return
        for line in gain_lines(gain):
            self.stdout.write(line)


def advised(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an advice's file.

    Raises
    ------
    ValueError
        If it is not what `advise --json` prints.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path} must be a list of set points, as `advise --json` prints it, with one at least")
    for i, row in enumerate(rows, 1):
        for name, kind in NEEDED.items():
            if not isinstance(row, dict) or not isinstance(row.get(name), kind):
                raise ValueError(f"{path}: set point {i} has no {name}; write the file by `advise --json`")
    return rows


def chosen(rows: list[dict[str, Any]], orders: str | None) -> list[dict[str, Any]]:
    """Return the set points that `--orders` names, from 1."""
    if not orders:
        return rows
    wanted = []
    for text in orders.split(","):
        if not text.strip().isdigit() or not 1 <= int(text) <= len(rows):
            raise ValueError(f"--orders has {text.strip() or 'nothing'}; the advice has set points 1 to {len(rows)}")
        wanted.append(int(text) - 1)
    return [rows[i] for i in sorted(set(wanted))]
