"""Messages of DSX Exchange's BMS topics in a file, a line each: the topic and then the message, as subscribers print.

A line may be a JSON object with `topic` and `payload` as well. What is retained about a point may come before or after
its values.
"""

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from twin.core.telemetry import dsx_bms
from twin.core.telemetry.readings import FORMATS, MappedPoint, Proposal, Readings, Taken
from twin.core.telemetry.tables import whole_gzip

FORMAT = "dsx-bms"
CHOICES = ("", *FORMATS, FORMAT)  # of commands that read files of readings
MOST_LINES = 20_000_000
MOST_POINTS = 100_000
MOST_LINE = dsx_bms.MOST_BYTES + 1_000


def file_metadata(path: Path) -> dict[str, dict[str, Any]]:
    """Return what a file says of each of its points; nothing of one that has values only.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read at all, or has no message of a BMS.
    """
    found: dict[str, dict[str, Any]] = {}
    n = 0
    for topic_text, payload in _lines(path):
        topic = dsx_bms.topic_of(topic_text)
        if topic is None or not payload:
            continue
        n += 1
        known = found.setdefault(topic.point, {})
        if topic.what == dsx_bms.METADATA:
            try:
                known.update(dsx_bms.checked_metadata(topic, payload))
            except ValueError:  # counted where its readings are taken
                continue
        if len(found) > MOST_POINTS:
            raise ValueError(f"{path.name} has more than {MOST_POINTS:,} points")
    if not n:
        raise ValueError(f"{path.name} has no message of {dsx_bms.ROOT}/…; a line is a topic, a space and JSON")
    return found


def meant(
    metadata: Mapping[str, Mapping[str, Any]], mapping: Mapping[str, MappedPoint], objects: Iterable[str]
) -> tuple[dict[str, tuple[MappedPoint, str]], list[Proposal]]:
    """Return what points mean, each with its unit, and what is proposed of those that a mapping does not have.

    Only a mapping, or a tag path that carries its own, gives a meaning; the rest is for somebody to agree with.
    """
    units = {point: dsx_bms.unit_of(known) for point, known in metadata.items()}
    found = {name: (entry, "" if entry.unit else units.get(name, "")) for name, entry in mapping.items()}
    asked = dsx_bms.propose({name: known for name, known in metadata.items() if name not in mapping}, objects)
    found |= {
        entry.point: (entry.mapped, entry.mapped.unit) for entry in asked if entry.mapped and entry.confidence == 1.0
    }
    return found, asked


def read_readings(path: Path, mapping: Mapping[str, MappedPoint], objects: Iterable[str]) -> Readings:
    """Read a file's readings; those that cannot be read are counted under their reason.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read at all.
    """
    objects = tuple(objects)
    meanings, asked = meant(file_metadata(path), mapping, objects)
    why = {entry.point: f"point not mapped: {entry.reason}" for entry in asked if entry.point not in meanings}
    taken = Taken()
    for row, (topic_text, payload) in enumerate(_lines(path), 1):
        topic = dsx_bms.topic_of(topic_text)
        shown = payload[:80].decode(errors="replace")
        try:
            if topic is None:
                raise ValueError("its topic is none of a building's: BMS/v1/PUB/Value/type/point/path")
            if topic.what == dsx_bms.METADATA:
                if payload:
                    dsx_bms.checked_metadata(topic, payload)
                continue
            time_ms, value, quality = dsx_bms.value_of(payload)
            if topic.point not in meanings:
                raise ValueError(why.get(topic.point, "point not mapped"))
            entry, unit = meanings[topic.point]
            if reason := taken.take_number(entry, unit, time_ms, value, quality):
                raise ValueError(reason)
        except ValueError as error:
            taken.refuse(row, "", topic_text, shown, str(error))
    return taken.readings()


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Return topic and message of each line."""
    with whole_gzip(path.name), _opened(path) as file:
        n = 0
        while line := file.readline(MOST_LINE):
            n += 1
            if n > MOST_LINES:
                raise ValueError(f"{path.name} has more than {MOST_LINES:,} lines")
            if not line.endswith(b"\n") and len(line) == MOST_LINE:
                raise ValueError(f"{path.name}: line {n} has more than {MOST_LINE:,} bytes")
            line = line.strip()
            if line.startswith(b"{"):
                yield _of_object(line)
            elif line:
                topic, _, payload = line.partition(b" {")
                yield topic.decode(errors="replace"), b"{" + payload if payload else b""


def _of_object(line: bytes) -> tuple[str, bytes]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "", line
    if not isinstance(found, dict) or not isinstance(found.get("topic"), str):
        return "", line
    payload = found.get("payload")
    return found["topic"], payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    return io.BufferedReader(gzip.open(path)) if is_packed else path.open("rb")
