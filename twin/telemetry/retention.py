"""How long a site keeps its readings, for pages and programs. `twin.telemetry.compaction` holds the rule."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Length

from facility.models import Site
from facility.permissions import Right, check_write
from twin.models import TelemetryDay, TelemetryHot, TelemetryRetention


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """How much is stored of a site."""

    n_readings: int  # compacted, those whose rollups alone are kept with them
    n_bytes: int
    n_hot: int

    @property
    def bytes_per_reading(self) -> float | None:
        """Rollups with it; None where nothing is compacted."""
        return self.n_bytes / self.n_readings if self.n_readings else None


def stored_facts(site: Site) -> StoredFacts:
    """Return how much is stored of a site's readings."""
    days = TelemetryDay.objects.filter(point__site=site).aggregate(
        n=Sum("n_readings", default=0),
        columns=Sum(Length("columns"), default=0),
        rollups=Sum(Length("rollups"), default=0),
        minutes=Sum(Length("minutes"), default=0),
    )
    n_hot = TelemetryHot.objects.filter(site=site).aggregate(n=Sum("n_readings", default=0))["n"]
    return StoredFacts(days["n"], days["columns"] + days["rollups"] + days["minutes"], n_hot)


@transaction.atomic
def retention_set(*, user, site: Site, readings_days: int | None, rollups_days: int | None) -> TelemetryRetention:
    """Set a site's rule.

    Raises
    ------
    PermissionDenied
        If the user may not change the site.
    ValidationError
        If a number is out of its range, or rollups would go before readings.
    """
    check_write(user, site, Right.OPERATE)
    rule = TelemetryRetention.objects.filter(site=site).first() or TelemetryRetention(site=site)
    rule.readings_days, rule.rollups_days = readings_days, rollups_days
    rule.full_clean()
    rule.save()
    return rule
