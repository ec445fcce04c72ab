"""Calibrate one machine or room on a plain table of its readings, and name what went wrong with it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.telemetry import air_handler, cdu, chiller, pod
from twin.core.telemetry.component import Answer
from twin.core.telemetry.tables import Table, listed, named_columns, read_table
from twin.core.telemetry.times import parse_time
from twin.core.text.json_numbers import plain_json

# What each component is called, what its columns may be named for, and who calibrates it.
COMPONENTS: Mapping[str, tuple[tuple[str, ...], Callable[..., Answer]]] = {
    "air-handler": (air_handler.QUANTITIES, air_handler.calibrate_air_handler),
    "cdu": (cdu.QUANTITIES, cdu.calibrate_cdu),
    "chiller": (chiller.QUANTITIES, chiller.calibrate_chiller),
    "pod": (pod.QUANTITIES, pod.calibrate_pod),
}


class Command(BaseCommand):
    requires_system_checks = ()  # reads files only; needs no database
    help = (
        "Calibrate a chiller, pod, CDU or air handler on a plain table of its readings (CSV or TSV, .gz or not): scores"
        " on later rows, parameters with intervals, faults, drifts, how meters cover each other, odd dates."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--component", required=True, choices=sorted(COMPONENTS))
        parser.add_argument(
            "--design", type=Path, metavar="FILE.csv", help="what the operator knows; the row named like FILE is taken"
        )
        parser.add_argument("--columns", metavar="NAME=COLUMN,…", help="where columns are called otherwise")
        until = parser.add_mutually_exclusive_group()
        until.add_argument("--train-until", metavar="TIME", help="rows before it are fitted and taken for healthy")
        until.add_argument("--train-frac", type=float, metavar="F", help="that share of the rows, in time order")
        parser.add_argument("--json", action="store_true", help="print the whole answer")

    def handle(self, *args: Any, file: Path, component: str, **options: Any) -> None:
        quantities, calibrate = COMPONENTS[component]
        try:
            named = named_columns(options["columns"], ("time", *quantities))
            until = parse_time(options["train_until"]) if options["train_until"] else None
            design = design_row(read_table(options["design"]), stem_of(file)) if options["design"] else None
            answer = calibrate(
                read_table(file), named, design, train_until=until, train_frac=options["train_frac"]
            ).as_json()
        except (OSError, ValueError) as error:
            raise CommandError(" ".join(str(error).split())) from error
        if options["json"]:
            self.stdout.write(json.dumps(plain_json(answer), indent=1, ensure_ascii=False))
            return
        self._print(answer)

    def _print(self, answer: dict) -> None:
        for quantity, score in answer["scores"].items():
            measure = (
                f"RMSE {number(score.get('rmse_k'), '.2f')} K"
                if "rmse_k" in score
                else f"CV(RMSE) {number(score['cv_rmse_frac'], '.1%')}, NMBE {number(score['nmbe_frac'], '+.1%')}"
            )
            self.stdout.write(
                f"{quantity:28}{measure} on {score['n_held_out']:,} held-out rows ({score['n_train']:,} fitted)"
            )
        for p in answer["parameters"]:
            note = f"  {p['reason']}" if p["reason"] else ""
            ends = f"({number(p['low'])} to {number(p['high'])})"
            self.stdout.write(f"{p['object']} {p['parameter']:26}{number(p['value'])} {p['unit']} {ends}{note}")
        for drift in answer["drifts"]:
            ends = f"({number(drift['low'], '+.3g')} to {number(drift['high'], '+.3g')})"
            self.stdout.write(f"drift of {drift['parameter']}: {number(drift['per_year'], '+.3g')} a year {ends}")
        for fault in answer["faults"]:
            self.stdout.write(
                f"fault: {fault['kind']} of {fault['object']} since {fault['since']},"
                f" size {number(fault['size'], '.3g')} {fault.get('unit', '')}; {fault.get('evidence', '')}"
            )
        if not answer["faults"]:
            self.stdout.write("no fault found")
        for row in answer["coverage"]:
            gap = f"; {row['gap']}" if row.get("gap") else ""
            self.stdout.write(f"{row['sum_of']} is {number(row['ratio'], '.3f')} of {row['meter']}{gap}")
        for finding in answer["date_findings"]:
            self.stdout.write(f"times: {finding['finding']}: {finding['n']} rows; {finding['detail']}")


def number(value: float | None, spelled: str = ".4g") -> str:
    """Return a number for people, a dash where there is none."""
    return "-" if value is None else format(value, spelled)


def stem_of(path: Path) -> str:
    """Return a file's name without its endings: `plant_01.csv.gz` is `plant_01`."""
    return path.name.split(".")[0]


def design_row(table: Table, stem: str) -> dict[str, str]:
    """Return the row of a design table whose first column is `stem`.

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    names = list(table.columns)
    first = table.cells(names[0])
    rows = [i for i, cell in enumerate(first) if cell == stem]
    if len(rows) != 1:
        raise ValueError(
            f"{table.name}: {len(rows)} rows have {names[0]} = {stem}; one is needed (it has {listed(first)})"
        )
    return {name: table.cells(name)[rows[0]] for name in names}
