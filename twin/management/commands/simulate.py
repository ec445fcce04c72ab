"""Run a layout under a scenario now, in this process, and print its figures of merit."""

import json
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from facility.models import Layout
from power_cooling.first_use import COMPILING, is_compiled
from twin.core.figures_of_merit import FIGURES
from twin.core.results.details import run_details
from twin.core.text.json_rows import as_json
from twin.core.text.numbers import quantity_text
from twin.management.arguments import named_layout, named_scenario
from twin.models import Run
from twin.runs import execution


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", nargs="?", metavar="SITE/LAYOUT")
        parser.add_argument("--scenario", metavar="SLUG", help="default: the site's own")
        parser.add_argument("--json", metavar="FILE", type=Path, help="write the whole result there")
        parser.add_argument("--list", action="store_true", help="print every SITE/LAYOUT, one a line")

    def handle(self, *args, layout: str | None, scenario: str | None, json: Path | None, list: bool, **_) -> None:
        if list:
            for found in Layout.objects.select_related("site").order_by("site__slug", "slug"):
                self.stdout.write(found.path)
            return
        if not layout:
            raise CommandError("name a SITE/LAYOUT, or --list")
        if not is_compiled():
            self.stderr.write(f"{COMPILING.capitalize()}: half a minute to a minute more ...")
        run = execution.run_now(layout=(found := named_layout(layout)), scenario=named_scenario(found, scenario))
        if run.status != Run.Status.DONE:
            raise CommandError(run.message)
        if json:
            _write(json, run_as_json(run))
        self.stdout.write(
            f"{found.path} under {run.scenario.slug}: {run_details(run.details).solver.message or 'solved'}"
        )
        for row in run_details(run.details).per_workload:
            self.stdout.write(row.served_text)
        for figure in FIGURES:
            value, band = run.figures.get(figure.name), (run.bands or {}).get(figure.name)
            low_high = f"{quantity_text(band[0], figure.unit)} to {quantity_text(band[1], figure.unit)}" if band else ""
            self.stdout.write(f"{figure.name:44}{quantity_text(value, figure.unit):>18}  {low_high}".rstrip())


def run_as_json(run: Run) -> dict:
    """Return what `--json` writes: the shape is a contract with other programs."""
    details = as_json(run_details(run.details))
    return {
        "site": run.layout.site.slug,
        "layout": run.layout.slug,
        "scenario": run.scenario.slug,
        "figures": run.figures,
        "bands": run.bands,
        "per_workload": details["per_workload"],
        "limits": details["limits"],
        "balance": details["balance"],
        "solver": details["solver"],
        "inputs_sha256": run.inputs_sha256,
        "details": details,
    }


def _write(path: Path, result: dict) -> None:
    try:
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error
