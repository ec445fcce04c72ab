"""Propose what the points of a file mean on a layout, or check a mapping of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.telemetry import dsx_file, prometheus
from twin.core.telemetry import readings as reader
from twin.core.telemetry.quantities import FAULTS, PARAMETERS, QUANTITIES, UNITS
from twin.core.telemetry.tables import read_table
from twin.management.arguments import named_layout
from twin.management.commands.ingest_telemetry import FORMATS
from twin.management.commands.publish_telemetry import read_yaml
from twin.telemetry.ingest import redfish_snapshot
from twin.telemetry.objects import known_objects


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", nargs="?", metavar="SITE/LAYOUT")
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE")
        parser.add_argument("--format", default="", choices=FORMATS)
        parser.add_argument("--mapping", type=Path, metavar="MAP.yaml", help="check it instead of proposing one")
        parser.add_argument("--out", type=Path, metavar="MAP.yaml", help="write the mapping there")
        parser.add_argument("--list", action="store_true", help="print quantities, units, fault kinds and parameters")

    def handle(self, *args: Any, layout: str | None, file: Path | None, **options: Any) -> None:
        if options["list"]:
            self._list()
            return
        if not layout or not file:
            raise CommandError("name a SITE/LAYOUT and a FILE, or --list")
        objects = known_objects([named_layout(layout)])
        try:
            mapping = reader.mapping_of(read_yaml(options["mapping"]), objects) if options["mapping"] else {}
            points, found = _proposed(file, options["format"], mapping, objects)
            if options["out"]:
                mapped = [*(mapping[name] for name in points if name in mapping)]
                mapped += [
                    entry.mapped for entry in found if entry.mapped and entry.confidence >= reader.LEAST_CONFIDENCE
                ]
                _write(options["out"], mapped)
        except OSError as error:
            raise CommandError(f"{error.filename or file}: {error.strerror}") from error
        except ValueError as error:
            raise CommandError(" ".join(str(error).split())) from error
        for name in points:
            if name in mapping:
                self.stdout.write(f"mapped  {name[:60]:61}{mapping[name].object}|{mapping[name].quantity}")
        for entry in found:
            meant = f"{entry.mapped.object}|{entry.mapped.quantity}" if entry.mapped else "-"
            self.stdout.write(f"{entry.confidence:6.0%}  {entry.point[:60]:61}{meant}  ({entry.reason})")
        left = sum(entry.mapped is None for entry in found)
        self.stdout.write(f"{len(points) - left} of {len(points)} points have a meaning")

    def _list(self) -> None:
        for quantity in QUANTITIES.values():
            others = ", ".join(
                name for name, unit in UNITS.items() if unit.si == quantity.unit and name != quantity.unit
            )
            sigma = (
                f"{quantity.sigma:.1%} of the reading" if quantity.relative else f"{quantity.sigma:g} {quantity.unit}"
            )
            self.stdout.write(
                f"quantity   {quantity.name:34}{quantity.unit:6}{quantity.low:g} to {quantity.high:g}, usual sensor"
                f" {sigma}; also in {others or 'no other unit'}"
            )
        for title, table in (("fault", FAULTS), ("parameter", PARAMETERS)):
            for name, entry in table.items():
                self.stdout.write(f"{title:11}{name:34}{entry.unit}: {entry.low:g} to {entry.high:g}, {entry.about}")


def _proposed(
    file: Path, wanted: str, mapping: Mapping[str, reader.MappedPoint], objects: tuple[str, ...]
) -> tuple[list[str], list[reader.Proposal]]:
    """Return the points of a file, and what those that the mapping does not have seem to be."""
    if wanted == dsx_file.FORMAT:
        metadata = dsx_file.file_metadata(file)
        return list(metadata), dsx_file.meant(metadata, mapping, objects)[1]
    if wanted == prometheus.FORMAT:
        found = prometheus.file_points(file)
        unknown = {name: about for name, about in prometheus.metadata_of(found).items() if name not in mapping}
        return list(found.points), prometheus.propose(unknown, objects)
    if wanted == redfish_snapshot.FORMAT:
        said = redfish_snapshot.snapshot_points(file)
        return list(said), redfish_snapshot.meant(said, mapping, objects)
    points = reader.file_points(read_table(file), reader.Reading(format=wanted))
    return list(points), reader.propose({name: unit for name, unit in points.items() if name not in mapping}, objects)


def _write(path: Path, mapped: list[reader.MappedPoint]) -> None:
    document: Mapping[str, Any] = {"version": 1, "points": [entry.as_json() for entry in mapped]}
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
