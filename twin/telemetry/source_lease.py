"""Which process reads a source: exactly one, for as long as it is heard of."""

import datetime as dt
import hashlib
import os
import secrets
import socket
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from twin.exceptions import TwinError
from twin.models import SourceState, TelemetrySource

LEASE = dt.timedelta(seconds=20)  # a reader that is silent for longer counts as dead


class SourceLost(TwinError):
    """The source is read by another process, was switched off, or is gone; what was not stored is not acknowledged."""


def new_holder() -> str:
    """Return a name for a process that reads sources: its machine, its number there, and what nobody else has."""
    return f"{socket.gethostname()[:60]}:{_here()}:{os.getpid()}:{secrets.token_hex(4)}"


def _here() -> str:
    """Return what tells this start of this machine, and this container on it, from any other; nothing if unknown."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return hashlib.sha256(start.encode()).hexdigest()[:12]


def _is_dead(holder: str) -> bool:
    """Return whether a reader was a process of this machine that is no more: its lease need not be waited for."""
    _, here, pid, _ = holder.rsplit(":", 3) if holder.count(":") >= 3 else ("", "", "", "")
    if not here or here != _here() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def claim(source_id: int, holder: str) -> bool:
    """Take or keep a source for a reader; return whether it is the one."""
    now = timezone.now()
    free = Q(held_until=None) | Q(held_until__lt=now) | Q(holder=holder)
    before = SourceState.objects.filter(source_id=source_id).values_list("holder", flat=True).first() or ""
    if _is_dead(before):
        free |= Q(holder=before)
    rows = SourceState.objects.filter(free, source_id=source_id, source__enabled=True)
    return bool(rows.update(holder=holder, held_until=now + LEASE))


def let_go(source_id: int, holder: str) -> None:
    """Give a source back, so that another reader need not wait."""
    SourceState.objects.filter(source_id=source_id, holder=holder).update(held_until=None, connected=False)


def tell(source: TelemetrySource, holder: str, *, connected: bool, problem: str = "") -> None:
    """Write down whether a source can be reached."""
    said = {"connected": connected}
    if problem:
        said |= {"problem": problem[:2000], "problem_at": timezone.now()}
    elif connected:
        said |= {"problem": "", "problem_at": None}
    SourceState.objects.filter(source=source, holder=holder).update(**said)
