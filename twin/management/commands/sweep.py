"""Change products, counts and set points of a layout over ranges, have workers solve every combination, and rank them.

sweep sterling/gb300-nvl72 --vary "plant/*.supply_degc=30:40:2" --vary "cdu/*.product=chx1500,chx2000"
"""

import json as json_text
import sys
import time
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.figures_of_merit import BY_NAME, RANKED_BY
from twin.exceptions import CannotSimulate
from twin.management.arguments import named_layout, named_scenario
from twin.models import Job, Sweep
from twin.operations import health
from twin.sweeps import asked
from twin.sweeps.solving import point_solve

POLL_S = 0.5
SHOWN = 20


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", metavar="SITE/LAYOUT")
        parser.add_argument("--scenario", metavar="SLUG", help="default: the site's own")
        parser.add_argument(
            "--vary",
            action="append",
            required=True,
            metavar="OBJECT.FIELD=VALUES",
            help="values a,b,c or START:STOP:STEP; object plant/P1, cdu/*, rack/HALL/*, workload/SLUG, scenario, site",
        )
        parser.add_argument("--figure", default=RANKED_BY, help=f"ranked by it (default {RANKED_BY})")
        parser.add_argument("--here", action="store_true", help="solve all of it in this process, without workers")
        parser.add_argument("--json", action="store_true", help="print the ranking in SI units")

    def handle(self, *args, layout: str, scenario: str | None, vary: list[str], figure: str, **options) -> None:
        chosen = named_layout(layout)
        try:
            axes = [read_vary(text) for text in vary]
            sweep = asked.sweep_ask(
                layout=chosen, scenario=named_scenario(chosen, scenario), axes=axes, figure=figure, user=None
            )
        except ValidationError as refusal:
            problems = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in refusal.message_dict.items())
            raise CommandError(problems) from refusal
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        try:
            self._solve(sweep, here=options["here"])
        except KeyboardInterrupt:
            asked.sweep_cancel(sweep, user=None)
            raise CommandError(f"{sweep} was cancelled; what is solved stays at {sweep.get_absolute_url()}") from None
        ranked = asked.ranking(sweep, list(sweep.points.all()))
        self.stdout.write(
            json_text.dumps(spelled(sweep, ranked), indent=1) if options["json"] else table(sweep, ranked)
        )
        if not any(row.value is not None for row in ranked):
            raise CommandError("no point came to a result")

    def _solve(self, sweep: Sweep, *, here: bool) -> None:
        if here:
            for point_id in list(sweep.points.order_by("index").values_list("id", flat=True)):
                point_solve(point_id)
                self._tell(asked.progress(sweep), sweep)
            return
        if not (worker := health.workers()).ok:
            asked.sweep_cancel(sweep, user=None)
            raise CommandError(f"no worker is there: {worker.detail}. {worker.remedy} Or say --here.")
        while not (progress := asked.progress(sweep)).ended:
            self._tell(progress, sweep)
            time.sleep(POLL_S)
        self._tell(progress, sweep)

    def _tell(self, progress: asked.Progress, sweep: Sweep) -> None:
        if sys.stderr.isatty():
            n_ended = sum(progress.n.get(state, 0) for state in Job.ENDED)
            self.stderr.write(f"\r{n_ended} of {sweep.n_points} points, {100 * progress.done_frac:.0f} %", ending="")


def read_vary(text: str) -> dict[str, Any]:
    """Return an axis as a request has it, out of OBJECT.FIELD=VALUES.

    Raises
    ------
    ValueError
        If it is not written so.
    """
    named, equals, values = text.partition("=")
    thing, point, field = named.strip().rpartition(".")
    if not (equals and point and values.strip()):
        raise ValueError(f"--vary is {text!r}; write OBJECT.FIELD=VALUES, such as plant/P1.supply_degc=30:40:2")
    axis: dict[str, Any] = {"object": thing, "field": field}
    parts = values.split(":")
    if len(parts) == 3:
        try:
            return axis | {"range": dict(zip(("start", "stop", "step"), map(float, parts), strict=True))}
        except ValueError as error:
            raise ValueError(f"--vary {named} is {values}; a range is START:STOP:STEP in numbers") from error
    return axis | {"values": [value.strip() for value in values.split(",") if value.strip()]}


def spelled(sweep: Sweep, ranked: list[asked.Ranked]) -> dict[str, Any]:
    """Return the ranking as JSON, SI."""
    rows = [
        {
            "rank": row.rank,
            "values": row.point.values,
            "value": row.value,
            "status": row.point.status,
            "message": row.point.message,
            "blocked": row.point.blocked,
            "figures": row.point.figures,
            "inputs_sha256": row.point.inputs_sha256,
        }
        for row in ranked
    ]
    run = asked.as_described(sweep)
    described = run.figures if run else None
    return {
        "id": str(sweep.id),
        "axes": sweep.axes,
        "figure": sweep.figure,
        "as_described": described,
        "points": rows,
    }


def table(sweep: Sweep, ranked: list[asked.Ranked]) -> str:
    """Return the best points as lines."""
    names = [f"{axis['object']}.{axis['field']}" for axis in sweep.axes]
    lines = [f"{'rank':>4}  {sweep.figure} [{BY_NAME[sweep.figure].unit}]  {'  '.join(names)}"]
    for row in ranked[:SHOWN]:
        value = "-" if row.value is None else f"{row.value:.6g}"
        why = row.point.message or "; ".join(row.point.blocked)
        values = "  ".join("none" if value is None else str(value) for value in row.point.values)
        lines.append(f"{row.rank or '-':>4}  {value:>12}  {values}{f'   {why}' if why else ''}")
    if len(ranked) > SHOWN:
        lines.append(f"{len(ranked) - SHOWN} more: {sweep.get_absolute_url()}, or --json")
    return "\n".join(lines)
