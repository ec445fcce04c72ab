"""A source while one process reads it: what its points mean, what it sent, and writes that wait for the database."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from twin.models import TelemetrySource
from twin.telemetry import store
from twin.telemetry.intake import Intake, trim_dead_letters
from twin.telemetry.objects import known_objects
from twin.telemetry.source_lease import SourceLost, claim, tell
from twin.telemetry.source_points import Meaning, meanings

MOST_POINTS = 100_000  # of a source
RETRY_S = 1.0
NO_MEANING = "point not mapped: no metadata says what it is"

logger = logging.getLogger(__name__)


class HeldSource:
    """What readers of every kind do with a source that is theirs."""

    def __init__(self, source: TelemetrySource, holder: str, *, late_s: float | None = None) -> None:
        self.source, self.holder = source, holder
        self.stop = threading.Event()
        self.intake = Intake(source, holder) if late_s is None else Intake(source, holder, late_s=late_s)
        self.metadata: dict[str, Any] = dict(source.metadata)
        self.metadata_changed = self._unlearnt = False
        self._meant: dict[str, Meaning] = {}

    def says(self, point: str, said: dict[str, Any]) -> None:
        """Keep what the source says of a point.

        Raises
        ------
        ValueError
            If it has more points than are kept.
        """
        if self.metadata.get(point) == said:
            return
        if len(self.metadata) >= MOST_POINTS and point not in self.metadata:
            raise ValueError(f"metadata: the source has more than {MOST_POINTS:,} points")
        self.metadata[point] = said
        self.metadata_changed = self._unlearnt = True

    def takes_back(self, point: str) -> None:
        """Forget what the source said of a point."""
        if self.metadata.pop(point, None) is not None:
            self.metadata_changed = self._unlearnt = True

    def learn(self) -> None:
        """Find out what each point means: as mapped for this source or the site, or as its own name says."""
        objects = known_objects(self.source.site.layouts.all())
        self._meant = meanings(self.source, self.metadata, objects)
        self._unlearnt = False

    def meaning(self, point: str) -> Meaning:
        """Return what a point means and the unit that it is written in, or why it has no meaning."""
        if self._unlearnt:
            self.learn()
        return self._meant.get(point, NO_MEANING)

    def keep_metadata(self) -> None:
        """Write down what the source says of its points."""
        TelemetrySource.objects.filter(pk=self.source.pk).update(metadata=self.metadata)
        self.metadata_changed = False

    def keep(self) -> None:
        """Keep the source for this reader.

        Raises
        ------
        SourceLost
            If it is read by another process, or was switched off.
        """
        if not claim(self.source.pk, self.holder):
            raise SourceLost(f"{self.source} is read by another process, or switched off")

    def tell(self, *, connected: bool, problem: str) -> None:
        """Write down whether the source can be reached."""
        tell(self.source, self.holder, connected=connected, problem=problem)

    def settle(self) -> None:
        """Append what was sent to the site's readings, and count it."""
        store.settle(self.source)
        trim_dead_letters(self.source)

    def patiently(self, write: Callable[[], object]) -> bool:
        """Do a write, again on a new connection while the database cannot be reached; False where it was not done."""
        while True:
            try:
                write()
                return True
            except (OperationalError, InterfaceError) as error:
                logger.warning("readings of %s wait for the database: %s", self.source, error)
                connection.close()
                if self.stop.wait(RETRY_S):
                    return False
