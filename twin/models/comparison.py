"""Runs that somebody put side by side, at an address that can be shared."""

from django.conf import settings
from django.db import models

from twin.models.run import Run


class Comparison(models.Model):
    """Two to six runs. Seeing it needs permission on every site it touches."""

    name = models.CharField(max_length=160, blank=True)
    runs = models.ManyToManyField(Run, related_name="comparisons")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name or f"Comparison {self.pk}"
