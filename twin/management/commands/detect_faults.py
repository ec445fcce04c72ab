"""Raise alarms on a plain table of signals, row by row, and name the kinds of fault."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.telemetry.detect import detect_faults
from twin.core.telemetry.tables import read_table
from twin.core.telemetry.times import parse_time


class Command(BaseCommand):
    requires_system_checks = ()  # reads a file only; needs no database
    help = (
        "Raise alarms on a table of signals (CSV or TSV, .gz or not). Normal running is learned from the training rows;"
        " columns anomaly, changepoint, fault and fault_kind are never read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--group", metavar="COLUMN", help="tells experiments or machines apart")
        trained = parser.add_mutually_exclusive_group()
        trained.add_argument("--train-rows", type=int, metavar="N", help="the first so many rows of each group")
        trained.add_argument("--train-until", metavar="TIME", help="rows before it")
        trained.add_argument("--train-groups", metavar="A,B", help="whole groups")
        parser.add_argument("--json", action="store_true", help="print every row")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        if options["train_rows"] is not None and options["train_rows"] < 1:
            raise CommandError(f"--train-rows is {options['train_rows']}; must be 1 or more")
        try:
            found = detect_faults(
                read_table(file),
                group=options["group"],
                train_rows=options["train_rows"],
                train_until=parse_time(options["train_until"]) if options["train_until"] else None,
                train_groups=[name.strip() for name in (options["train_groups"] or "").split(",") if name.strip()],
            )
        except (OSError, ValueError) as error:
            raise CommandError(" ".join(str(error).split())) from error
        if options["json"]:
            rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in found.as_rows())
            self.stdout.write('{"rows": [\n' + rows + "\n]}")
            return
        watched = ", ".join(f"{name} ({role})" for name, role in found.signals.items())
        self.stdout.write(f"watched: {watched}")
        for group in dict.fromkeys(found.group):
            in_group = [i for i, name in enumerate(found.group) if name == group]
            alarms = [i for i in in_group if found.alarm[i]]
            kinds = ", ".join(f"{kind} {n}" for kind, n in Counter(found.kind[i] for i in alarms).most_common())
            since = f", first at {found.time[alarms[0]]}: {kinds}" if alarms else ""
            self.stdout.write(f"{group or 'all rows'}: {len(alarms)} of {len(in_group)} rows raise an alarm{since}")
