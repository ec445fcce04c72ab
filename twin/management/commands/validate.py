"""Print the public scoreboard: each model against each data set, error, target, pass or miss."""

import json
import logging
import math
import os
import pkgutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

import twin.validation
from twin.validation.check import Check

logger = logging.getLogger(__name__)

# What a line says, and sites that checks are tried on.
NOT_CHECKS = frozenset({"check", "random_sites", "synthetic_halls", "synthetic_sites", "unbalanced_load_flow"})


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", type=Path, default=settings.TWIN_DATA_DIR, metavar="DIR")
        parser.add_argument("--json", action="store_true", help="print a list of checks instead of a table")

    def handle(self, *args, data: Path, json: bool, **_) -> None:
        if not data.is_dir():
            raise CommandError(f"there is no folder {data}; name one with --data or TWIN_DATA_DIR")
        rows = [as_row(check) for check in all_checks(data)]
        stored(rows, settings.TWIN_HOME / "validation.json")
        if json:
            self.stdout.write(spelled(rows))
        else:
            self._table(rows)

    def _table(self, rows: list[dict]) -> None:
        for row in rows:
            reach = row["reach"]
            bound = (
                "-"
                if reach is None
                else " to ".join(f"{end:g}" for end in reach)
                if isinstance(reach, list)
                else f"{reach:g}"
            )
            value = "-" if row["value"] is None else f"{row['value']:.4g}"
            self.stdout.write(
                f"{row['status']:8}{row['group'][:22]:23}{row['check'][:58]:59}n={row['n']:<7}{value:>10} / {bound:<14}"
                f"{row['unit']:8}{row['note']}".rstrip()
            )
        counts = {status: sum(row["status"] == status for row in rows) for status in ("pass", "miss", "skipped")}
        self.stdout.write(", ".join(f"{n} {status}" for status, n in counts.items()))


def all_checks(data: Path) -> Iterator[Check]:
    """Yield the checks of every module; one that breaks is a miss and never stops the others."""
    for module in sorted(pkgutil.iter_modules(twin.validation.__path__), key=lambda module: module.name):
        if module.name in NOT_CHECKS:
            continue
        try:
            yield from import_module(f"twin.validation.{module.name}").checks(data)
        except Exception as error:
            logger.exception("the checks of %s failed", module.name)
            note = f"broke with {type(error).__name__}: {error}"
            yield Check(f"checks of {module.name} run to the end", module.name, 0, None, None, "", "miss", note)


def as_row(check: Check) -> dict:
    """Return a check as JSON holds it: a value that is not a finite number becomes null, with a note."""
    if check.value is not None and not math.isfinite(check.value):
        check = replace(check, value=None, note=f"value is {check.value}. {check.note}".strip())
    row = asdict(check)
    return row | {"reach": list(check.reach) if isinstance(check.reach, tuple) else check.reach}


def spelled(rows: list[dict]) -> str:
    """Return the rows as JSON, one a line."""
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False, default=float) for row in rows) + "\n]"


def stored(rows: list[dict], path: Path) -> None:
    """Keep the rows for the validation page; a reader never sees half of them."""
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(spelled(rows), encoding="utf-8")
    fresh.replace(path)
