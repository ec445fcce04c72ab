"""Store the readings of files for a layout's site, each refused row counted under its reason."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.core.telemetry import dsx_file, prometheus
from twin.core.telemetry import readings as reader
from twin.management.arguments import named_layout, zoned_time
from twin.management.commands.publish_telemetry import read_yaml
from twin.telemetry import store
from twin.telemetry.ingest import redfish_snapshot
from twin.telemetry.objects import known_objects

FORMATS = (*dsx_file.CHOICES, prometheus.FORMAT, redfish_snapshot.FORMAT)


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", metavar="SITE/LAYOUT")
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--mapping", type=Path, metavar="MAP.yaml", help="of points that do not carry their own")
        parser.add_argument("--format", default="", choices=FORMATS)
        parser.add_argument("--time", metavar="TIME", help="ISO 8601 with zone: when a Redfish snapshot was saved")
        parser.add_argument("--dates", default="iso", choices=reader.DATES, help="order of dates with slashes")
        parser.add_argument("--decimal", default="point", choices=("point", "comma"))
        parser.add_argument("--time-zone", default="", metavar="NAME", help="of times that are written without one")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, layout: str, files: list[Path], mapping: Path | None, **options: Any) -> None:
        found = named_layout(layout)
        objects = known_objects([found])
        counts: dict[str, Any] = {"accepted": 0, "duplicate": 0, "refused": Counter()}
        wanted = reader.Reading(options["format"], options["dates"], options["decimal"], options["time_zone"])
        try:
            if wanted.time_zone:
                reader.zone_named(wanted.time_zone)
            mapped = reader.mapping_of(read_yaml(mapping), objects) if mapping else {}
            known, saved_s = {}, 0.0
            if wanted.format == redfish_snapshot.FORMAT:
                if not options["time"]:
                    raise ValueError("say --time TIME, when the snapshot was saved: most of its readings have no time")
                known, (saved_s, _) = store.mapping(found.site), zoned_time("--time", options["time"])
        except OSError as error:
            raise CommandError(f"{error.filename or mapping}: {error.strerror}") from error
        except ValueError as error:
            raise CommandError(" ".join(str(error).split())) from error
        unreadable = []
        for file in files:
            try:
                if wanted.format == dsx_file.FORMAT:
                    readings = dsx_file.read_readings(file, mapped, objects)
                elif wanted.format == prometheus.FORMAT:
                    readings = prometheus.read_readings(file, mapped, objects)
                elif wanted.format == redfish_snapshot.FORMAT:
                    readings = redfish_snapshot.read_readings(file, known | mapped, saved_s)
                else:
                    readings = reader.read_readings(file, mapped, objects, wanted)
            except OSError as error:
                unreadable.append(f"{file}: {error.strerror or error}")
                continue
            except ValueError as error:
                unreadable.append(" ".join(str(error).split()))
                continue
            accepted, duplicate = store.append(found.site, readings)
            counts["accepted"] += accepted
            counts["duplicate"] += duplicate
            counts["refused"].update(readings.refused)
        if options["json"]:
            self.stdout.write(json.dumps(counts, indent=1, ensure_ascii=False))
        else:
            self.stdout.write(f"accepted {counts['accepted']:,}, duplicate {counts['duplicate']:,}")
            for reason, n in counts["refused"].most_common():
                self.stdout.write(f"refused {n:,}: {reason}")
        if unreadable:
            raise CommandError("not read, nothing of it stored: " + "; ".join(unreadable))
        if not counts["accepted"] and not counts["duplicate"]:
            raise CommandError("no reading was stored")
