"""Who is acting, and through which door: set once per request, command or task, and read where something changes."""

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any

HANDED_ON = "TWIN_ACTING"  # to a process that works for a request
DOORS = ("page", "API", "admin", "command", "worker", "program")


@dataclass(slots=True)
class Acting:
    """Who acts. The user of a request is read only when something changes, because an API token is checked late."""

    door: str = "program"  # one of DOORS; this one: code that no door was opened for
    detail: str = ""  # method and address, command or task
    request_id: str = ""
    user_id: int | None = None
    username: str = ""
    token: str = ""  # first characters of the API token
    request: Any = None

    def without_request(self) -> "Acting":
        """Return the same with the request's user in place of the request."""
        user = getattr(self.request, "user", None)
        if user is None or not user.is_authenticated:
            return Acting(self.door, self.detail, self.request_id, self.user_id, self.username, self.token)
        token = getattr(user, "api_token", None)
        prefix = token.prefix if token is not None else ""
        return Acting(self.door, self.detail, self.request_id, user.pk, user.get_username(), prefix)


_now: ContextVar[Acting | None] = ContextVar("acting", default=None)


def door() -> str:
    """Return the door alone, which needs no query."""
    who = _now.get()
    return who.door if who else "program"


def now() -> Acting:
    """Return who acts at this moment."""
    return (_now.get() or Acting()).without_request()


@contextmanager
def acting(who: Acting) -> Iterator[None]:
    """Attribute what changes within the block to somebody."""
    before = _now.set(who)
    try:
        yield
    finally:
        _now.reset(before)


def act(who: Acting | None) -> Acting | None:
    """Attribute what this thread changes from now on to somebody; return to whom it was attributed before."""
    before = _now.get()
    _now.set(who)
    return before


def of_command(arguments: list[str]) -> Acting:
    """Return who runs a command: whoever handed it on, or the user of the system; its arguments are not kept."""
    if handed := os.environ.get(HANDED_ON):
        return Acting(**json.loads(handed))
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = str(os.getuid())
    return Acting(
        door="command", detail=f"{' '.join(arguments[:1])}"[:200], username=f"{name} (operating system)"[:150]
    )


def handed_on() -> dict[str, str]:
    """Return the environment variable that tells another process for whom it works."""
    fields = asdict(now())
    del fields["request"]
    return {HANDED_ON: json.dumps(fields)}
