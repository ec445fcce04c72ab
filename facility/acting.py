"""Who is acting, and through which door: said once per request, command or task, and read where something changes."""

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
    """Who acts. By a request the user is asked for when something changes: an API token is read late."""

    door: str = "program"  # one of DOORS; this one: code that no door was opened for
    detail: str = ""  # method and address, command or task
    request_id: str = ""
    user_id: int | None = None
    username: str = ""
    token: str = ""  # first characters of the API token
    request: Any = None

    def without_request(self) -> "Acting":
        """Return the same without its request, with its user."""
        user = getattr(self.request, "user", None)
        if user is None or not user.is_authenticated:
            return Acting(self.door, self.detail, self.request_id, self.user_id, self.username, self.token)
        token = getattr(user, "api_token", None)
        prefix = token.prefix if token is not None else ""
        return Acting(self.door, self.detail, self.request_id, user.pk, user.get_username(), prefix)


_now: ContextVar[Acting | None] = ContextVar("acting", default=None)


def door() -> str:
    """Return the door alone, which costs nothing."""
    who = _now.get()
    return who.door if who else "program"


def now() -> Acting:
    """Return who acts at this moment."""
    return (_now.get() or Acting()).without_request()


@contextmanager
def acting(who: Acting) -> Iterator[None]:
    """Let what changes within be the act of somebody."""
    before = _now.set(who)
    try:
        yield
    finally:
        _now.reset(before)


def act(who: Acting | None) -> Acting | None:
    """Let what this thread changes from now on be the act of somebody; return whose act it was before."""
    before = _now.get()
    _now.set(who)
    return before


def of_command(arguments: list[str]) -> Acting:
    """Return who runs a command: whoever handed it on, or the user of the operating system; arguments stay unsaid."""
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
    """Return the variable by which another process learns for whom it works."""
    fields = asdict(now())
    del fields["request"]
    return {HANDED_ON: json.dumps(fields)}
