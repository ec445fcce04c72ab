"""Show telemetry's whole way on this machine: a plant publishes, a broker carries, the twin reads and names a fault.

A day of a sample layout is published over MQTT in about two minutes, with the noise of usual sensors; half-way a CDU's
heat exchanger fouls. What is stored is diagnosed, and the answer is held against what was put in.
"""

import datetime as dt
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from facility.models import Layout, Site
from twin.benchmarks.services import MOSQUITTO, Broker
from twin.models import SourceState, TelemetrySource
from twin.telemetry import sources
from twin.telemetry.source_words import missing

LAYOUT = "sterling/gb200-nvl72"
NAME = "Demonstration"
KIND, OBJECT, SIZE = "fouling", "cdu/CDU-1a", 0.6
HOURS, STEP_S = 24, 3600
PATIENCE_S = 240.0


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()  # they load every page and resource: a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--seconds", type=float, default=120.0, help="in which the day is published (default 120, at most 3600)"
        )
        parser.add_argument("--seed", type=int, default=0, help="of the sensors' noise")

    def handle(self, *args: Any, seconds: float, seed: int, **options: Any) -> None:
        if not 1 <= seconds <= 3600 or seed < 0:
            raise CommandError("--seconds must be 1 to 3600, --seed 0 or more")
        if lacking := missing(TelemetrySource.Kind.MQTT):
            raise CommandError(lacking)
        if MOSQUITTO is None:
            raise CommandError("Mosquitto, the broker, is missing (Debian: apt-get install mosquitto)")
        if not any(name.startswith("127.") for name in settings.TWIN_ALLOWED_NETWORKS):
            raise CommandError(
                "this machine may not call itself: TWIN_ALLOWED_NETWORKS=127.0.0.0/8, as the Makefile has"
            )
        layout = self._layout()
        end = timezone.now().replace(minute=0, second=0, microsecond=0)
        start, began = end - dt.timedelta(hours=HOURS), end - dt.timedelta(hours=HOURS / 2)
        with tempfile.TemporaryDirectory() as folder:
            broker = Broker(Path(folder)).start()
            self._say(f"A broker listens at {broker.address}.")
            source = self._source(layout.site, broker.address)
            command = [sys.executable, "manage.py", "read_sources", "--source", f"{layout.site.slug}/{NAME}"]
            reader = subprocess.Popen(command, cwd=settings.BASE_DIR)
            try:
                self._wait(source, lambda state: state.connected, "the reader does not connect")
                self._say("The twin reads from it; its page: make run, then Sterling, Telemetry, Demonstration.")
                fault = f"kind={KIND},object={OBJECT},start={began.isoformat()},size={SIZE}"
                self._say(f"{layout.name} publishes {HOURS} hours in {seconds:.0f} s; half-way {OBJECT} fouls.")
                before = self._state(source)
                call_command(
                    "publish_telemetry",
                    layout.path,
                    start=start.isoformat(),
                    hours=HOURS,
                    step=STEP_S,
                    noise="1",
                    seed=seed,
                    fault=[fault],
                    mqtt=broker.address,
                    speed=HOURS * 3600 / seconds,
                    stdout=self.stdout,
                )
                self._wait_for_all(source, before)
            finally:
                reader.terminate()
                reader.wait()
                broker.kill()
        TelemetrySource.objects.filter(pk=source.pk).update(enabled=False)
        self._diagnose(layout, start, end, began)

    def _layout(self) -> Layout:
        call_command("migrate", interactive=False, verbosity=0)
        site, slug = LAYOUT.split("/")
        if not Layout.objects.filter(site__slug=site, slug=slug).exists():
            self._say("Loading the catalogue and the sample sites ...")
            call_command("load_catalogue", verbosity=0)
            call_command("load_samples", verbosity=0)
        return Layout.objects.select_related("site").get(site__slug=site, slug=slug)

    def _source(self, site: Site, address: str) -> TelemetrySource:
        source = site.telemetry_sources.filter(name=NAME).first() or TelemetrySource(site=site, name=NAME)
        source.address, source.enabled = address, True
        return sources.source_save(user=None, source=source)

    def _wait_for_all(self, source: TelemetrySource, before: SourceState) -> None:
        """Wait until nothing more arrives and all of it is sorted into days."""
        last, since_s = -1, time.monotonic()
        while time.monotonic() - since_s < 4 or source.arrivals.exists():
            state = self._state(source)
            if state.received != last:
                last, since_s = state.received, time.monotonic()
            if time.monotonic() - since_s > PATIENCE_S:
                raise CommandError("what was published does not come to rest; the reader's messages say why")
            time.sleep(0.5)
        state = self._state(source)
        self._say(
            f"Received {state.received - before.received:,} readings, stored {state.accepted - before.accepted:,},"
            f" there already {state.duplicate - before.duplicate:,}, refused"
            f" {sum(state.refused.values()) - sum(before.refused.values()):,}."
        )

    def _diagnose(self, layout: Layout, start: dt.datetime, end: dt.datetime, began: dt.datetime) -> None:
        self._say("The twin holds them against what it predicts ...")
        out = io.StringIO()
        call_command(
            "diagnose_telemetry", layout.path, start=start.isoformat(), end=end.isoformat(), json=True, stdout=out
        )
        found = json.loads(out.getvalue())
        for fault in found:
            self._say(f"  {fault['kind']} of {fault['object']} since {fault['since']}: {fault['evidence']}")
        if not found or (found[0]["kind"], found[0]["object"]) != (KIND, OBJECT):
            raise CommandError(f"the twin does not name {KIND} of {OBJECT} first")
        late_h = (dt.datetime.fromisoformat(found[0]["since"]) - began).total_seconds() / 3600
        self._say(f"It names what was put in, {late_h:+.0f} h from when it began.")

    def _wait(self, source: TelemetrySource, is_so: Any, what: str) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while not is_so(self._state(source)):
            if time.monotonic() > until_s:
                raise CommandError(f"{what}: {self._state(source).problem or 'its messages say why'}")
            time.sleep(0.3)

    def _state(self, source: TelemetrySource) -> SourceState:
        return SourceState.objects.get(source=source)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
