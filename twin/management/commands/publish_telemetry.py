"""Write a layout's predicted points as if they had been measured, or send them to a broker, with noise and faults."""

import csv
import os
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.inputs.layout import LayoutInputs
from twin.core.telemetry import dsx_topology, publish
from twin.exceptions import CannotSimulate
from twin.management.arguments import named_layout, named_scenario, zoned_time
from twin.models import TelemetrySource
from twin.runs import snapshot
from twin.telemetry.source_kinds import address_of
from twin.telemetry.source_words import missing

MAX_YAML_BYTES = 1_000_000


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", metavar="SITE/LAYOUT")
        parser.add_argument("--scenario", metavar="SLUG", help="default: the site's own")
        parser.add_argument(
            "--start",
            required=True,
            metavar="TIME",
            help="ISO 8601 with zone; the typical year's hours are those of this zone's clock",
        )
        parser.add_argument("--hours", required=True, type=float, metavar="H")
        parser.add_argument("--step", required=True, type=float, metavar="SECONDS")
        parser.add_argument("--noise", metavar="SIGMAS or FILE.yaml", help="usual sensor sigmas, or a list by quantity")
        parser.add_argument("--truth", type=Path, metavar="FILE.yaml", help="parameters of the publishing plant only")
        parser.add_argument("--fault", action="append", default=[], metavar="kind=…,object=…,start=…,size=…")
        parser.add_argument("--seed", type=int, default=0)
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--out", type=Path, metavar="FILE", help="long CSV")
        where.add_argument(
            "--mqtt",
            metavar="URL",
            help="mqtts://host:port or mqtt://host:port, over DSX Exchange's topics; password in TWIN_MQTT_PASSWORD",
        )
        parser.add_argument("--username", default="", help="at the broker")
        parser.add_argument(
            "--speed", type=float, default=1.0, help="times real time (default 1); 0: as fast as the broker takes them"
        )
        parser.add_argument(
            "--repeat",
            type=float,
            default=60.0,
            metavar="SECONDS",
            help="what is sent again after a reconnection; doubles are told apart (default 60)",
        )

    def handle(self, *args: Any, layout: str, scenario: str | None, **options: Any) -> None:
        found = named_layout(layout)
        if not 0 <= options["speed"] <= 1e6 or not 0 <= options["repeat"] <= 3600:
            raise CommandError("--speed must be 0 to 1e6, --repeat 0 to 3600 s")
        if options["mqtt"]:
            _check_mqtt(options["mqtt"])
        if options["seed"] < 0:
            raise CommandError(f"--seed is {options['seed']}; must be 0 or more")
        try:
            start_s, offset_s = zoned_time("--start", options["start"])
            inputs = snapshot.inputs_now(found, named_scenario(found, scenario))
            published = publish.publish(
                inputs,
                start_s=start_s,
                offset_s=offset_s,
                hours=options["hours"],
                step_s=options["step"],
                noise=_noise(options["noise"]),
                truths=publish.truths_of(inputs, read_yaml(options["truth"])) if options["truth"] else (),
                faults=[publish.fault_of(inputs, text) for text in options["fault"]],
                seed=options["seed"],
            )
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        except (CannotSimulate, ValueError) as refusal:
            raise CommandError(str(refusal)) from refusal
        n = self._send(inputs, published, options) if options["mqtt"] else _write(published, options["out"])
        for fault in published.silent:
            self.stdout.write(f"{fault.kind} of {fault.object} changes no reading: what it limits is not reached then")
        empty = published.times.size * len(published.points) - n
        self.stdout.write(
            f"{n:,} readings of {len(published.points):,} points {'sent' if options['mqtt'] else 'in'}"
            f" {'to ' + options['mqtt'] if options['mqtt'] else options['out']}"
            + (f"; {empty:,} left out" if empty else "")
        )

    def _send(self, inputs: LayoutInputs, published: publish.Published, options: dict[str, Any]) -> int:
        from twin.telemetry import publish_mqtt as publishing  # needs paho-mqtt, an extra of the product

        try:
            with publishing.Publisher(
                options["mqtt"],
                username=options["username"],
                password=os.environ.get("TWIN_MQTT_PASSWORD", ""),
                repeat_s=options["repeat"],
            ) as publisher:
                return publishing.send_values(
                    publisher,
                    published,
                    dsx_topology.serves(inputs),
                    speed=options["speed"] or float("inf"),
                    tell=self.stdout.write,
                )
        except publishing.CannotPublish as error:
            raise CommandError(f"{options['mqtt']}: {error}") from error


def _check_mqtt(url: str) -> None:
    if lacking := missing(TelemetrySource.Kind.MQTT):
        raise CommandError(lacking)
    try:
        address_of(TelemetrySource.Kind.MQTT, url)
    except ValueError as error:
        raise CommandError(f"--mqtt: {error}") from error


def _write(published: publish.Published, out: Path) -> int:
    partial, n = out.with_name(out.name + ".part"), 0
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("time", "point", "value", "unit", "quality"))
            for row in published.rows():
                writer.writerow(row)
                n += 1
        partial.replace(out)
    except OSError as error:
        raise CommandError(f"{error.filename or out}: {error.strerror}") from error
    return n


def read_yaml(path: Path) -> Any:
    """Return what a small YAML file holds."""
    with path.open("rb") as file:
        content = file.read(MAX_YAML_BYTES + 1)
    if len(content) > MAX_YAML_BYTES:
        raise ValueError(f"{path.name} has more than {MAX_YAML_BYTES:,} bytes")
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path.name} is no YAML: {' '.join(str(error).split())[:200]}") from error


def _noise(text: str | None) -> dict[str, publish.Noise] | None:
    if text is None:
        return None
    try:
        sigmas = float(text)
    except ValueError:
        return publish.noise_of(read_yaml(Path(text)))
    return publish.usual_noise(sigmas)
