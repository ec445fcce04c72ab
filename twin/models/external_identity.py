"""Who of an identity provider is which user here."""

from django.conf import settings
from django.db import models

from facility.models.audited import Audited


class ExternalIdentity(Audited):
    """A subject of an identity provider. Only this pair identifies a user; a name or an e-mail address does not."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="external_identities")
    issuer = models.CharField(max_length=300, help_text="Address of the identity provider.")
    subject = models.CharField(max_length=255, help_text="Its name for the user (`sub`), which never changes.")

    class Meta:
        verbose_name_plural = "external identities"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="external_identity_unique")]

    def __str__(self) -> str:
        return f"{self.user} as {self.subject}"
