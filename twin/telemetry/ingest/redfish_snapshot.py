"""A Redfish service as it was saved: a folder or ZIP file with an `index.json` a resource, as DMTF's mock-ups are.

The folder is the service's root (`redfish/v1/`), or has it in it. Only files that the resources refer to are read.
"""

import lzma
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from twin.core.telemetry import redfish
from twin.core.telemetry.readings import MappedPoint, Proposal, Readings, Taken
from twin.telemetry.ingest.asked import Asked
from twin.telemetry.ingest.redfish import MOST_BYTES, Missing, Walk, resource_of

FORMAT = "redfish"
INDEX = "index.json"
#: What a member of a ZIP file raises that is absent, locked, packed in another way, or broken.
UNREADABLE = (
    KeyError,
    RuntimeError,
    NotImplementedError,
    EOFError,
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class Snapshot(Walk):
    """A saved service. It is a folder, or a ZIP file that nothing is unpacked from.

    Raises
    ------
    ValueError, OSError
        If it is neither, or has no service root.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._zip = None if path.is_dir() else _zip(path)
        folders = (
            {name.partition("/")[0] for name in self._zip.namelist()}
            if self._zip
            else {child.name for child in path.iterdir() if child.is_dir()}
        )
        for top in ("", *sorted(folders)):
            for below in (redfish.ROOT.strip("/"), "."):  # a folder above the root may have an index too
                self._root = PurePosixPath(top) / below
                if self._content(self._root / INDEX) is not None:
                    return
        raise ValueError(f"{path.name} has no {redfish.ROOT.strip('/')}/{INDEX}: it is no saved Redfish service")

    def _got(self, path: str) -> dict[str, Any]:
        below = PurePosixPath(path).relative_to(redfish.ROOT)
        if ".." in below.parts:
            raise Missing(f"{path} leads out of the service")
        content = self._content(self._root / below / INDEX)
        if content is None:
            raise Missing(f"{path} is not saved")
        if len(content) > MOST_BYTES:
            raise Missing(f"{path} has more than {MOST_BYTES:,} bytes")
        return resource_of(path, content)

    def _content(self, name: PurePosixPath) -> bytes | None:
        """Return what a file holds, one byte more than is read at most; None where there is none."""
        if self._zip is not None:
            try:
                with self._zip.open(str(name)) as file:
                    return file.read(MOST_BYTES + 1)
            except UNREADABLE:
                return None
        here = self._path / name
        try:
            if not here.is_file() or not here.resolve().is_relative_to(self._path.resolve()):
                return None
            with here.open("rb") as file:
                return file.read(MOST_BYTES + 1)
        except OSError:  # a name that no file can have, or one that may not be read
            return None


def _zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path.name} is neither a folder nor a ZIP file of a saved Redfish service") from error


def snapshot_points(path: Path) -> dict[str, dict[str, str]]:
    """Return the points of a saved service, each with what is said of it.

    Raises
    ------
    ValueError, OSError
        If it cannot be read, or has nothing with readings.
    """
    found: dict[str, dict[str, str]] = {}
    for part in Snapshot(path).parts(None, 0):
        found |= part.said
    return found


def meant(
    points: Mapping[str, Mapping[str, str]], mapping: Mapping[str, MappedPoint], objects: Iterable[str]
) -> list[Proposal]:
    """Return what the points seem to be that a mapping does not have."""
    return redfish.propose({name: said for name, said in points.items() if name not in mapping}, objects)


def read_readings(path: Path, mapping: Mapping[str, MappedPoint], at_s: float) -> Readings:
    """Read the readings of a saved service; those that cannot be taken are counted under their reason.

    Parameters
    ----------
    path : Path
    mapping : mapping of MappedPoint
        By point.
    at_s : float
        When it was saved [s since 1970]: the time of readings without one of their own.

    Raises
    ------
    ValueError, OSError
        If it cannot be read, or has nothing with readings.
    """
    taken, n_rows = Taken(), 0
    for part in Snapshot(path).parts(None, round(at_s)):
        for place, reason, _ in part.left_out:
            taken.refuse(n_rows, "", place, "", reason)
        for point, reading in _each(part):
            n_rows, entry = n_rows + 1, mapping.get(point)
            reason = "point not mapped" if entry is None else taken.take_number(entry, *reading)
            if reason:
                taken.refuse(n_rows, str(reading[1]), point, f"{reading[2]:.6g}", reason)
    return taken.readings()


def _each(part: Asked) -> Iterable[tuple[str, tuple[str, int, float, int]]]:
    for point, (unit, (times, values, quality)) in part.points.items():
        for reading in zip(times.tolist(), values.tolist(), quality.tolist(), strict=True):
            yield point, (unit, *reading)
