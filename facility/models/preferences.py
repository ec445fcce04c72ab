"""What users chose for themselves: in which units pages speak, and what reaches them by e-mail."""

from django.conf import settings
from django.db import models

from power_cooling.site_facts.units import SI, SYSTEMS


class Preferences(models.Model):
    """One user's choices; who has none made has the defaults."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="preferences")
    units = models.CharField(
        max_length=8,
        choices=list(SYSTEMS.items()),
        default=SI,
        help_text="On pages, reports and spreadsheets. The API and site files stay SI; every field takes either.",
    )
    mail_runs = models.BooleanField(
        "e-mail when a run ends", default=False, help_text="Of runs that you started, done or failed."
    )

    address = models.URLField(
        max_length=300, blank=True, help_text="Where the twin stood when this was chosen: e-mails link there."
    )

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return f"preferences of user {self.user_id}"
