"""Sign-ins that were refused, counted so that nobody can guess for long."""

from django.db import models


class RefusedSignIn(models.Model):
    """One refusal: of a password or of a token."""

    name_digest = models.CharField(max_length=64, help_text="Hash of the user name that was tried.")
    address = models.CharField(max_length=64, help_text="Network address of the attempt.")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["address", "at"]), models.Index(fields=["name_digest", "at"])]

    def __str__(self) -> str:
        return f"{self.address} at {self.at}"
