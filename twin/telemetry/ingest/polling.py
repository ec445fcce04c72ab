"""Sources that are asked every so often: what they answer is stored, and the next question begins where it ended."""

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from twin.models import SourceState, TelemetrySource
from twin.outgoing import CallRefused
from twin.telemetry.ingest import prometheus, pushed, redfish
from twin.telemetry.ingest.asked import Asked
from twin.telemetry.ingest.held import HeldSource

CHECK_EVERY_S = 5.0  # that the source is still this reader's
MOST_SAID = 5  # values of a refused point that its dead letter shows


class Asker(Protocol):
    """Speaks to a source of one kind."""

    def parts(self, read_to: dt.datetime | None) -> Iterator[Asked]:
        """Ask, and return what is answered part by part, one call to the source each.

        Raises
        ------
        CallRefused, ValueError
            If the source cannot be called, or answers with what cannot be read; parts before stay.
        """

    def close(self) -> None:
        """Leave the source as it was found."""


ASKERS: Mapping[str, Callable[[TelemetrySource], Asker]] = {
    TelemetrySource.Kind.PROMETHEUS: prometheus.Server,
    TelemetrySource.Kind.REDFISH: redfish.Service,
    TelemetrySource.Kind.REMOTE_WRITE: pushed.Buffer,
}


class Reader:
    """Asks one source until it is told to stop or loses it."""

    def __init__(self, source: TelemetrySource, holder: str) -> None:
        self._held = HeldSource(source, holder, late_s=float("inf"))
        self._asker = ASKERS[source.kind](source)
        self._every_s = source.options["step_s"]
        self._read_to = SourceState.objects.get(source=source).read_to
        self._checked_s = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Ask until `stop` is set.

        Raises
        ------
        SourceLost
            If the source is read by another process, or was switched off.
        CannotOpen
            If its password was sealed with a key that is not here.
        """
        self._held.stop = stop
        self._held.learn()
        try:
            self._go_on(stop)
        finally:
            with contextlib.suppress(CallRefused):
                self._asker.close()

    def _go_on(self, stop: threading.Event) -> None:
        while not stop.is_set():
            again_s = time.monotonic() + self._every_s
            problem = self._ask()
            self._held.patiently(lambda: self._held.tell(connected=not problem, problem=problem))  # noqa: B023
            self._held.patiently(self._held.settle)
            while not stop.wait(min(max(again_s - time.monotonic(), 0.0), CHECK_EVERY_S)):
                self._held.patiently(self._held.keep)
                if time.monotonic() >= again_s:
                    break

    def _ask(self) -> str:
        """Ask once; return why it went no further, or nothing."""
        try:
            for part in self._asker.parts(self._read_to):
                self._take(part)
                if part.read_to and not self._stored(part.read_to):
                    break
                if time.monotonic() - self._checked_s > CHECK_EVERY_S:
                    self._held.patiently(self._held.keep)
                    self._checked_s = time.monotonic()
                if self._held.stop.is_set():
                    break
        except (CallRefused, ValueError) as error:
            return str(error)[:500]
        finally:
            self._stored(None)
        return ""

    def _stored(self, read_to: dt.datetime | None) -> bool:
        """Write what was taken, with what the source said of it; return whether it was."""
        if self._held.metadata_changed and not self._held.patiently(self._held.keep_metadata):
            return False
        if self._held.intake.is_empty and read_to is None:
            return True
        if not self._held.patiently(lambda: self._held.intake.write(read_to)):
            return False
        self._read_to, self._checked_s = read_to or self._read_to, time.monotonic()
        return True

    def _take(self, part: Asked) -> None:
        for place, reason, n in part.left_out:
            if n:
                self._held.intake.refuse(reason, place, "", n)
        for point, said in part.said.items():
            self._held.says(point, said)
        for point, (unit, (times, values, quality)) in part.points.items():
            meant, refused = self._held.meaning(point), {}
            for time_ms, value, good in zip(times.tolist(), values.tolist(), quality.tolist(), strict=True):
                reason = meant
                if not isinstance(meant, str):
                    reason = self._held.intake.take(meant[0], unit or meant[1], time_ms, value, good)
                if reason:
                    refused.setdefault(reason, []).append(f"{time_ms / 1e3:.3f} {value:.9g}")
            for reason, sent in refused.items():
                self._held.intake.refuse(reason, point, "; ".join(sent[:MOST_SAID]), len(sent))
