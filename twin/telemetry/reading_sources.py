"""Reads the enabled sources: a thread for each that no other process holds, begun again where it ends."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.utils.module_loading import import_string

from twin import credentials
from twin.models import SourceState, TelemetrySource
from twin.telemetry.source_lease import SourceLost, claim, let_go, new_holder, tell
from twin.telemetry.source_words import missing

LOOK_EVERY_S = 2.0
RETRY_S = 5.0
#: What reads a source of each kind, by name: it may need a package that this installation has not.
READERS: Mapping[str, str] = {
    TelemetrySource.Kind.MQTT: "twin.telemetry.ingest.mqtt.Reader",
    TelemetrySource.Kind.PROMETHEUS: "twin.telemetry.ingest.polling.Reader",
    TelemetrySource.Kind.REDFISH: "twin.telemetry.ingest.polling.Reader",
    TelemetrySource.Kind.REMOTE_WRITE: "twin.telemetry.ingest.polling.Reader",
}

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Reading:
    """A thread that reads a source as it was described when it began."""

    changed_at: Any
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


def read_sources(stop: threading.Event, only: Sequence[int] = ()) -> None:
    """Read sources until `stop` is set.

    Parameters
    ----------
    stop : Event
    only : sequence of int, optional
        Keys of the sources; all that are enabled otherwise.
    """
    holder = new_holder()
    running: dict[int, _Reading] = {}
    try:
        while not stop.is_set():
            try:
                _look(holder, running, only)
            except (OperationalError, InterfaceError) as error:
                logger.warning("sources cannot be looked up: %s", error)
                connection.close()
            stop.wait(LOOK_EVERY_S)
    finally:
        for reading in running.values():
            reading.stop.set()
        for reading in running.values():
            if reading.thread:
                reading.thread.join(timeout=10)


def _look(holder: str, running: dict[int, _Reading], only: Sequence[int]) -> None:
    """Begin what is to be read and end what is not, or was changed."""
    rows = TelemetrySource.objects.filter(enabled=True).select_related("site")
    wanted = {row.pk: row for row in (rows.filter(pk__in=only) if only else rows)}
    for key, reading in list(running.items()):
        if key not in wanted or wanted[key].updated_at != reading.changed_at:
            reading.stop.set()
        if reading.thread and not reading.thread.is_alive():
            del running[key]
    for key, source in wanted.items():
        if key in running or not claim(key, holder):
            continue
        if lacking := missing(source.kind):
            tell(source, holder, connected=False, problem=lacking)
            continue
        reading = running[key] = _Reading(source.updated_at)
        reading.thread = threading.Thread(
            target=_read, args=(source, holder, reading.stop), name=f"source {key}", daemon=True
        )
        reading.thread.start()


def _read(source: TelemetrySource, holder: str, stop: threading.Event) -> None:
    try:
        import_string(READERS[source.kind])(source, holder).run(stop)
    except SourceLost as error:
        logger.warning("%s", error)
    except (credentials.CannotOpen, ValueError) as error:
        tell(source, holder, connected=False, problem=f"{error}")
        stop.wait(RETRY_S)
    except SourceState.DoesNotExist:
        logger.warning("source %s was dropped", source.pk)
    except Exception:
        logger.exception("source %s of %s cannot be read", source.pk, source.site.slug)
        stop.wait(RETRY_S)
    finally:
        try:
            let_go(source.pk, holder)
        except (OperationalError, InterfaceError):
            logger.warning("source %s could not be given back; its lease ends by itself", source.pk)
        connection.close()
