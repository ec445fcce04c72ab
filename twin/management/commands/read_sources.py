"""Read the telemetry sources: each by one process, however many run this; `serve` does it for itself."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from twin.models import TelemetrySource
from twin.telemetry.reading_sources import read_sources


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a hundred megabytes that stay

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--source",
            action="append",
            default=[],
            metavar="SITE/NAME",
            help="of these only; a large one deserves a process of its own (default: all that are switched on)",
        )

    def handle(self, *args: Any, source: list[str], **options: Any) -> None:
        only = []
        for text in source:
            site, _, name = text.partition("/")
            row = TelemetrySource.objects.filter(site__slug=site, name=name).first()
            if row is None:
                raise CommandError(f"there is no source {text}; write SITE/NAME")
            only.append(row.pk)
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: stop.set())
        read_sources(stop, only)
