"""What a command is asked about the readings of a layout's site: which layout, which scenario, which span of time."""

from django.core.management.base import CommandParser

from twin.management.arguments import named_layout, named_scenario, zoned_time
from twin.telemetry.asked import AskedReadings, asked_readings


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


def named_readings(layout: str, scenario: str | None, start: str, end: str) -> AskedReadings:
    """Return what `add_readings_arguments` asks for.

    Raises
    ------
    CannotSimulate
        If there is nothing to solve.
    ValueError
        If a time is odd, the layout cannot be solved, or there are more readings than are read at once.
    """
    found = named_layout(layout)
    (start_s, offset_s), (end_s, _) = zoned_time("--start", start), zoned_time("--end", end)
    return asked_readings(found, named_scenario(found, scenario), start_s=start_s, end_s=end_s, offset_s=offset_s)
