"""What a command is asked about the readings of a layout's site: which layout, which scenario, which span of time."""

from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandParser

from facility.models import Layout
from twin.core.inputs.layout import layout_inputs
from twin.core.solve.simulate import described
from twin.core.solved import Described
from twin.management.arguments import named_layout, named_scenario, zoned_time
from twin.runs import snapshot
from twin.telemetry import store


@dataclass(frozen=True, slots=True, eq=False)
class AskedReadings:
    """A layout under a scenario, and the readings of its site in a span of time."""

    layout: Layout
    inputs: dict[str, Any]  # the snapshot
    year: Described
    measured: dict[tuple[str, str], store.Columns]  # by object and quantity
    span: dict[str, float]  # start_s, end_s since 1970 and offset_s of the zone from UTC [s]


def add_readings_arguments(parser: CommandParser) -> None:
    """Let a command be asked about the readings of a layout's site in a span of time."""
    parser.add_argument("layout", metavar="SITE/LAYOUT")
    parser.add_argument("--scenario", metavar="SLUG", help="default: the site's own")
    parser.add_argument(
        "--start",
        required=True,
        metavar="TIME",
        help="ISO 8601 with zone; what is not measured follows the typical year on this zone's clock",
    )
    parser.add_argument("--end", required=True, metavar="TIME", help="up to but not including it")
    parser.add_argument("--json", action="store_true")


def asked_readings(layout: str, scenario: str | None, start: str, end: str) -> AskedReadings:
    """Return what `add_readings_arguments` asks for.

    Raises
    ------
    CannotSimulate
        If there is nothing to solve.
    ValueError
        If a time is odd or the layout cannot be solved.
    """
    found = named_layout(layout)
    inputs = snapshot.snapshot(found, named_scenario(found, scenario))
    (start_s, offset_s), (end_s, _) = zoned_time("--start", start), zoned_time("--end", end)
    return AskedReadings(
        layout=found,
        inputs=inputs,
        year=described(layout_inputs(inputs)),
        measured=store.read(found.site, round(start_s * 1e3), round(end_s * 1e3)),
        span={"start_s": start_s, "end_s": end_s, "offset_s": offset_s},
    )
