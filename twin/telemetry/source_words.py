"""How a source stands, in words: the same on its page and in its list."""

import datetime as dt
from importlib.util import find_spec

from django.utils import timezone

from twin.models import TelemetrySource

SILENT = dt.timedelta(seconds=250)  # two and a half times the longest pause of a DSX Exchange value
NEEDED = {TelemetrySource.Kind.MQTT: ("paho", '.venv/bin/python -m pip install "paho-mqtt>=2.1,<3"')}


def missing(kind: str) -> str:
    """Return what has to be installed before sources of a kind can be read, or nothing."""
    module, command = NEEDED.get(kind, ("", ""))
    if not module or find_spec(module):
        return ""
    return f"This installation cannot speak to it yet. Install what it needs and start again: {command}"


def standing(source: TelemetrySource) -> tuple[str, str]:
    """Return a source's state as a word of the style sheet and as a phrase.

    Parameters
    ----------
    source : TelemetrySource
        With its state.
    """
    state = source.state
    held = state.held_until is not None and state.held_until > timezone.now()
    if not source.enabled:
        return "cancelled", "switched off"
    if not held:
        return "failed", "nothing reads it"
    if not state.connected:
        return "failed", "not connected"
    if state.last_seen_at is None:
        return "queued", "connected, nothing has arrived"
    asked_every = dt.timedelta(seconds=source.options.get("step_s", 0))
    if timezone.now() - state.last_seen_at > max(SILENT, 3 * asked_every):
        return "failed", "connected, silent"
    return "done", "arriving"
