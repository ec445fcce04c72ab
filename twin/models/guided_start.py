"""Whose guided start a site is. Only the row decides that, not the site's name."""

from django.conf import settings
from django.db import models

from facility.models import Site


class GuidedStart(models.Model):
    """A user's own hall to practise on."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="guided_start")
    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="guided_start")
    started_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Guided start of {self.user}"
