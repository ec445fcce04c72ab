"""Requests that a program may send twice."""

from django.conf import settings
from django.db import models

from twin.models.run import Run


class IdempotencyKey(models.Model):
    """The run that a user's `Idempotency-Key` made; the same key answers with the same run."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=120)
    request_sha256 = models.CharField(
        max_length=64, help_text="SHA-256 of layout and scenario; another request with the same key is refused."
    )
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_user_unique")]

    def __str__(self) -> str:
        return self.key
