"""A user's choices, kept with the account; pages read the units from the session, which knows them from sign-in on."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from facility.models import Preferences
from power_cooling.site_facts.units import SI

UNITS = "units"  # key of the session


def preferences_of(user: Any) -> Preferences:
    """Return a user's choices; the defaults where none were made."""
    return Preferences.objects.filter(user=user).first() or Preferences(user=user)


def preferences_save(request: HttpRequest, preferences: Preferences) -> None:
    """Keep choices, for this session at once and for others from their next sign-in on."""
    preferences.save()
    request.session[UNITS] = preferences.units


def units_of(request: HttpRequest) -> str:
    """Return in which units a request's pages speak."""
    return request.session.get(UNITS, SI)


@receiver(user_logged_in, dispatch_uid="units of the session")
def units_at_sign_in(request: HttpRequest | None, user: Any, **_: Any) -> None:
    """Take the user's units into the session."""
    if request is not None and hasattr(request, "session"):
        request.session[UNITS] = preferences_of(user).units
