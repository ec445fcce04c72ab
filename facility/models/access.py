"""Who may see and change a site, through the browser or by a token."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import signals
from django.utils import timezone

from facility.models.audited import Audited
from facility.models.site import Organisation, Site


class Membership(Audited):
    """A user's role on a site, or on every site of an organisation. Superusers need none.

    What each role may do stands in `facility.permissions`.
    """

    class Role(models.TextChoices):
        VIEWER = "viewer", "viewer: reads"
        PROCUREMENT = "procurement", "procurement: reads, runs, adds to the catalogue"
        OPERATOR = "operator", "operator: reads, runs, handles readings"
        PLANNER = "planner", "planner: changes all but the status of layouts"
        ENGINEER = "engineer", "engineer: changes all, decides on layouts"
        OWNER = "owner", "owner: changes all, names members"

    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.CASCADE, related_name="memberships")
    organisation = models.ForeignKey(
        Organisation, null=True, blank=True, on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role, default=Role.VIEWER)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "user"], name="membership_site_user_unique"),
            models.UniqueConstraint(fields=["organisation", "user"], name="membership_organisation_user_unique"),
            models.CheckConstraint(
                condition=models.Q(site=None) ^ models.Q(organisation=None),
                name="membership_of_one_place",
                violation_error_message="A membership is of a site or of an organisation.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} on {self.place}: {self.role}"

    @property
    def place(self) -> Site | Organisation:
        """The site or organisation that it is of."""
        return self.site or self.organisation


class ApiToken(Audited):
    """A secret for programs. Only its hash is kept; the secret is shown once."""

    AUDIT_WITHOUT = ("digest", "last_used_at")

    LIFE = timedelta(days=90)  # unless it is made for longer or shorter

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80, help_text="Program that uses the token.")
    prefix = models.CharField(max_length=8, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    read_only = models.BooleanField(default=True)
    sites = models.ManyToManyField(
        Site,
        blank=True,
        related_name="+",
        help_text="Sites that the token may reach; empty: all that its user may see.",
    )
    require_if_match = models.BooleanField(
        default=False, help_text="Refuse changes that name no version they are based on (If-Match or version)."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def digest_of(secret: str) -> str:
        """Return the hash that is kept of a secret. SHA-256 without salt: the secret has 256 random bits."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def issue(cls, **fields) -> tuple["ApiToken", str]:
        """Make a token and return it with its secret, which cannot be read again."""
        fields.setdefault("expires_at", timezone.now() + cls.LIFE)
        prefix, rest = secrets.token_hex(4), secrets.token_urlsafe(32)
        secret = f"{prefix}.{rest}"
        return cls.objects.create(prefix=prefix, digest=cls.digest_of(secret), **fields), secret


def _tokens_of_site(sender, instance: Site, using: str, **_) -> None:
    instance.its_tokens = list(ApiToken.objects.using(using).filter(sites=instance.pk).values_list("pk", flat=True))


def _revoke_without_site(sender, instance: Site, using: str, **_) -> None:
    """Revoke tokens whose last site has gone: without sites they would count for all that their users may see."""
    for token in ApiToken.objects.using(using).filter(pk__in=instance.its_tokens, sites=None):
        token.delete()


signals.pre_delete.connect(_tokens_of_site, sender=Site)
signals.post_delete.connect(_revoke_without_site, sender=Site)
