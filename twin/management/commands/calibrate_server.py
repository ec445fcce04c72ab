"""Calibrate one server's accelerators on its own monitoring export: watts from utilisation, temperature from watts."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from facility.catalogue import entry_named
from twin.core.telemetry import server, tables
from twin.core.text.json_numbers import plain_json


class Command(BaseCommand):
    requires_system_checks = ()  # reads a file only; needs no database
    help = (
        "Calibrate a server on its monitoring export (nvidia-smi, DCGM, Prometheus or cluster statistics; CSV or TSV,"
        " .gz or not): the earlier rows are fitted, the later ones predicted and scored."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--accelerator", help="catalogue id or name, for priors of idle power, limit and throttle")
        parser.add_argument(
            "--columns", metavar="NAME=COLUMN,…", help="time, power_w, temperature_degc, utilisation_pct"
        )
        parser.add_argument("--holdout", default="last-third", help="last-third, last-half, last-quarter or a time")
        parser.add_argument("--json", action="store_true", help="print the whole answer")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            entry = entry_named("accelerators", options["accelerator"]) if options["accelerator"] else None
            named = tables.named_columns(options["columns"], server.NAMES)
            answer = server.calibrate_server(tables.read_table(file), named, options["holdout"], entry)
        except (OSError, ValueError) as error:
            raise CommandError(" ".join(str(error).split())) from error
        if options["json"]:
            self.stdout.write(json.dumps(plain_json(answer), indent=1, ensure_ascii=False))
            return
        self._print(answer)

    def _print(self, answer: dict) -> None:
        self.stdout.write(f"{answer['n_train']:,} rows fitted, {answer['n_held_out']:,} later rows held out")
        for quantity, by_way in answer["scores"].items():
            for way, by_rows in by_way.items():
                scores = ", ".join(
                    f"{rows} rows " + (f"{value:.2f} K" if quantity.endswith("degc") else f"CV(RMSE) {value:.1%}")
                    for rows, value in by_rows.items()
                )
                self.stdout.write(f"{quantity:18}{way.replace('_', ' '):19}{scores}")
        for p in answer["parameters"]:
            note = f"  {p['reason']}" if p["reason"] else ""
            self.stdout.write(
                f"{p['parameter']:24}{p['value']:10.4g} {p['unit']:6}({p['low']:.4g} to {p['high']:.4g}){note}"
            )
        for finding in answer["date_findings"]:
            self.stdout.write(f"times: {finding['finding']}: {finding['n']} rows; {finding['detail']}")
