"""Asks a Redfish service: what has readings is looked for once an hour, and read every step.

Only addresses below the service's own root are followed, so many of them and no more; a resource that fails is counted
and named, the others are read.
"""

import base64
import datetime as dt
import json
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin import outgoing
from twin.core.telemetry import redfish
from twin.models import TelemetrySource
from twin.telemetry import sources
from twin.telemetry.ingest.asked import Asked

LOOK_EVERY_S = 3600.0
MOST_RESOURCES = 2_000  # with readings
MOST_MEMBERS = 1_000  # of a collection
MOST_PAGES = 1_000  # of a collection
MOST_CALLS = 20_000  # to find what has readings
MOST_BYTES = 2 * 2**20  # of an answer
TIMEOUT_S = 10.0
SESSIONS = f"{redfish.ROOT}/SessionService/Sessions"


@dataclass(frozen=True, slots=True)
class _Resource:
    """Something that has readings."""

    path: str
    owner: redfish.Owner
    what: str
    referred: str


class Missing(ValueError):
    """A resource answers with something else than itself."""


class Walk:
    """Resources that refer to each other: what of them has readings, and what these are."""

    def __init__(self) -> None:
        self._resources: list[_Resource] = []
        self._looked_s = -LOOK_EVERY_S
        self._n_calls = 0  # of the look that is under way

    def parts(self, read_to: dt.datetime | None, at_s: int | None = None) -> Iterator[Asked]:
        """Read all that has readings, a call a part; the last part says up to when.

        Readings without a time of their own are of `at_s` [s since 1970]; default: of now.

        Raises
        ------
        CallRefused, ValueError
            If the service cannot be called, or refuses the credential.
        """
        if time.monotonic() - self._looked_s > LOOK_EVERY_S or not self._resources:
            yield from self._look()
        at_s = int(time.time()) if at_s is None else at_s
        for resource in list(self._resources):
            yield self._read(resource, 1000 * at_s)
        yield Asked(read_to=dt.datetime.fromtimestamp(at_s, dt.UTC))

    def _read(self, resource: _Resource, at_ms: int) -> Asked:
        found = Asked()
        try:
            readings = redfish.found_in(resource.owner, resource.what, resource.referred, self._got(resource.path))
        except ValueError as error:
            if not isinstance(error, Missing) and "Reading is" not in str(error):
                raise
            found.left_out.append((resource.path, f"cannot be read: {error}", 1))
            return found
        for reading in readings:
            found.said[reading.point] = dict(reading.said)
            if reading.value is None:
                found.left_out.append((reading.point, "no value", 1))
                continue
            column = (
                np.array([reading.time_ms or at_ms], np.int64),
                np.array([reading.value]),
                np.array([reading.quality], np.uint8),
            )
            found.points[reading.point] = (reading.unit, column)
        return found

    def _look(self) -> Iterator[Asked]:
        """Find what has readings, a call a part."""
        found: list[_Resource] = []
        self._n_calls = 0
        root = self._got(redfish.ROOT + "/")
        yield Asked()
        for name, collections in redfish.EQUIPMENT.items():
            path = _path(root.get(name))
            if not path:
                continue
            part = (yield from self._optional(path)) if "" not in collections else {"": root[name]}
            for collection, kind in collections.items():
                inner = _path(part.get(collection))
                for member in (yield from self._members(inner)) if inner else ():
                    equipment = yield from self._optional(member)
                    if equipment and redfish.is_there(equipment):
                        found += yield from self._of(redfish.owner_of(collection, kind, equipment), equipment)
        if len(found) > MOST_RESOURCES:
            raise ValueError(
                f"The service has {len(found):,} resources with readings; at most {MOST_RESOURCES:,} are read."
            )
        if not found:
            raise ValueError("The service has no cooling unit, power distribution or chassis with readings.")
        self._resources, self._looked_s = found, time.monotonic()

    def _of(self, owner: redfish.Owner, equipment: Mapping[str, Any]) -> Generator[Asked, None, list[_Resource]]:
        """Return what a piece of equipment refers to that has readings."""
        found: list[_Resource] = []
        for referred, what in redfish.REFERRED.items():
            path = _path(equipment.get(referred))
            if not path:
                continue
            if referred in ("EnvironmentMetrics", "Metrics"):
                found.append(_Resource(path, owner, what, referred))
                continue
            for member in (yield from self._members(path)):
                inner = member
                if referred == "PowerSupplies":
                    inner = _path((yield from self._optional(member)).get("Metrics"))
                if inner:
                    found.append(_Resource(inner, owner, what, referred))
        return found

    def _optional(self, path: str) -> Generator[Asked, None, dict[str, Any]]:
        """Return a resource, or nothing where it is not there after all."""
        self._n_calls += 1
        if self._n_calls > MOST_CALLS:
            raise ValueError(f"The service refers to more than {MOST_CALLS:,} resources; {path} is not read any more.")
        try:
            found = self._got(path)
        except Missing:
            found = {}
        yield Asked()
        return found

    def _members(self, path: str) -> Generator[Asked, None, list[str]]:
        """Return the addresses of a collection's members, page by page."""
        found: list[str] = []
        collection, pages = path, set[str]()
        while path:
            pages.add(path)
            page = yield from self._optional(path)
            members = page.get("Members")
            found += [inner for member in members if (inner := _path(member))] if isinstance(members, list) else []
            if len(found) > MOST_MEMBERS:
                raise ValueError(f"{path} has more than {MOST_MEMBERS:,} members.")
            following = page.get("Members@odata.nextLink")
            path = _path({"@odata.id": following}) if following and members else ""
            told = f"{collection}: Members@odata.nextLink is {path}"
            if path in pages:
                raise ValueError(f"{told}, a page that was read before; pages must end.")
            if path and len(pages) >= MOST_PAGES:
                raise ValueError(f"{told} after {MOST_PAGES:,} pages; at most so many are read.")
        return found

    def _got(self, path: str) -> dict[str, Any]:
        """Return a resource.

        Raises
        ------
        Missing
            If there is none at this address.
        """
        raise NotImplementedError


class Service(Walk):
    """One Redfish service: that of a CDU, a PDU, a power shelf or a whole rack."""

    def __init__(self, source: TelemetrySource) -> None:
        super().__init__()
        self._host = source.address.rstrip("/")
        self._username, self._password = source.username, sources.password_of(source)
        self._by_session = source.options["login"] == "session"
        self._session: dict[str, str] = {}
        self._session_path = ""

    def close(self) -> None:
        """Give the session back: a service has few of them."""
        if self._session_path:
            outgoing.call("DELETE", self._host + self._session_path, headers=self._session, timeout_s=TIMEOUT_S)
            self._session, self._session_path = {}, ""

    def _got(self, path: str) -> dict[str, Any]:
        answer = self._called(path)
        if answer.status == 401 and self._session:  # it has ended, as sessions do
            self._session = {}
            answer = self._called(path)
        if answer.status in (401, 403):
            raise ValueError(f"The service refuses the credential (status {answer.status} of {path}).")
        if answer.status != 200:
            raise Missing(f"{path} answers {answer.status}")
        return resource_of(path, answer.body)

    def _called(self, path: str) -> outgoing.Answer:
        headers = {"Accept": "application/json", "OData-Version": "4.0", **self._credential()}
        return outgoing.call("GET", self._host + path, headers=headers, timeout_s=TIMEOUT_S, max_bytes=MOST_BYTES)

    def _credential(self) -> dict[str, str]:
        """Return the header that says who asks; begins a session where that is wanted."""
        if not self._username:
            return {"Authorization": f"Bearer {self._password}"} if self._password else {}
        if not self._by_session:
            pair = base64.b64encode(f"{self._username}:{self._password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        if not self._session:
            body = json.dumps({"UserName": self._username, "Password": self._password}).encode()
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            answer = outgoing.call(
                "POST", self._host + SESSIONS, body=body, headers=headers, timeout_s=TIMEOUT_S, max_redirects=0
            )
            token = answer.headers.get("x-auth-token", "")
            if answer.status not in (200, 201) or not token:
                raise ValueError(f"The service begins no session (status {answer.status}): check name and password.")
            self._session = {"X-Auth-Token": token}
            self._session_path = _path({"@odata.id": answer.headers.get("location", "").removeprefix(self._host)})
        return self._session


def resource_of(path: str, content: bytes) -> dict[str, Any]:
    """Return the resource that an answer or a file holds.

    Raises
    ------
    Missing
        If it is none.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Missing(f"{path} is no JSON") from error
    if not isinstance(found, dict):
        raise Missing(f"{path} is no object")
    return found


def _path(reference: Any) -> str:
    """Return what a reference refers to, where it is below the service's root; blank otherwise."""
    path = reference.get("@odata.id") if isinstance(reference, Mapping) else None
    below = isinstance(path, str) and path.isascii() and path.isprintable() and path.startswith(f"{redfish.ROOT}/")
    return path if below and len(path) < 500 and " " not in path else ""
