"""Which processes use this installation's data now: replacing or copying all of it requires that none does."""

import fcntl

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from twin.models import Worker
from twin.runs.ring import SIGN_LIFE


def serves_here() -> bool:
    """Return whether `manage.py serve` holds this TWIN_HOME."""
    try:
        with (settings.TWIN_HOME / "serve.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def users() -> list[str]:
    """Return what has to be stopped first, in words; empty where nothing is known to run."""
    found = ["manage.py serve"] if serves_here() else []
    try:
        living = Worker.objects.filter(seen_at__gt=timezone.now() - SIGN_LIFE).values_list("name", flat=True)
        found += [f"worker {name}" for name in living]
    except DatabaseError:
        return found  # no tables yet, or none any more
    return found
