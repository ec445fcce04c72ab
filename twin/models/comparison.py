"""Runs kept side by side under an address that can be shared and needs permission to open."""

import secrets

from django.conf import settings
from django.db import models

from facility.models.audited import Audited
from twin.models.run import Run


def new_token() -> str:
    """Return a short address that cannot be guessed: 72 random bits."""
    return secrets.token_urlsafe(9)


class Comparison(Audited):
    """Two to six runs. Seeing it needs permission on every site it touches."""

    AUDIT_WITHOUT = ("token",)

    MIN_RUNS, MAX_RUNS = 2, 6

    name = models.CharField(max_length=160, blank=True)
    runs = models.ManyToManyField(Run, related_name="comparisons")
    run_order = models.JSONField(default=list, blank=True, help_text="Ids of the runs in the order of their columns.")
    token = models.CharField(
        max_length=24, unique=True, default=new_token, editable=False, help_text="Secret part of the shared link."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(
        null=True, blank=True, help_text="When the shared link was revoked; empty: it is valid."
    )

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name or f"Comparison {self.pk}"
