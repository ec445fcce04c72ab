"""How often a password or a token may be wrong before sign-ins from that address have to wait.

Counted in the database, so that it holds over all web processes; every refusal leaves a line in the log.
"""

import hashlib
import logging
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from facility.models import RefusedSignIn

WINDOW = timedelta(minutes=15)
MOST_PER_NAME_AND_ADDRESS, MOST_PER_NAME, MOST_PER_ADDRESS = 10, 50, 100

logger = logging.getLogger("twin.sign_in")


def address_of(request: HttpRequest) -> str:
    """Return where a request comes from: the last hop that our own proxy saw, or the peer itself."""
    hops = request.headers.get("X-Forwarded-For", "").split(",") if settings.BEHIND_PROXY else []
    return (hops[-1].strip() if hops and hops[-1].strip() else request.META.get("REMOTE_ADDR", ""))[:64]


def wait_s(request: HttpRequest, name: str) -> int:
    """Return how long a sign-in under this name from this address has to wait [s]; 0: not at all."""
    recent = RefusedSignIn.objects.filter(at__gt=timezone.now() - WINDOW)
    of_name, address = recent.filter(name_digest=_digest(name)), address_of(request)
    for refused, most in (
        (of_name.filter(address=address), MOST_PER_NAME_AND_ADDRESS),
        (of_name, MOST_PER_NAME),
        (recent.filter(address=address), MOST_PER_ADDRESS),
    ):
        times = list(refused.order_by("-at").values_list("at", flat=True)[:most])
        if len(times) == most:  # the oldest of these has to fall out of the window
            return max(1, int((times[-1] + WINDOW - timezone.now()).total_seconds()))
    return 0


def refused(request: HttpRequest, name: str, what: str) -> None:
    """Note a refusal and say so in the log."""
    RefusedSignIn.objects.create(name_digest=_digest(name), address=address_of(request))
    RefusedSignIn.objects.filter(at__lt=timezone.now() - 2 * WINDOW).delete()
    logger.warning("%s refused from %s for %r", what, address_of(request), name[:80])


def accepted(request: HttpRequest, name: str) -> None:
    """Forget the refusals under a name from where it has now signed in."""
    RefusedSignIn.objects.filter(name_digest=_digest(name), address=address_of(request)).delete()


def _digest(name: str) -> str:
    return hashlib.sha256(name.casefold().encode(errors="replace")).hexdigest()
