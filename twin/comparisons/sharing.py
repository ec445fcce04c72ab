"""Comparisons that are kept: who may open one, make one, close its address. An address grants nothing by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from facility.models import Site
from facility.models.text import check_text
from facility.permissions import changeable_sites, visible_sites
from twin.core.comparison.runs import ComparedRun
from twin.core.results.details import run_details
from twin.models import Comparison, Run
from twin.runs import snapshot


@dataclass(frozen=True, slots=True)
class Access:
    """How many of a comparison's sites a user may see. Counts only: names would reveal what is hidden."""

    n_sites: int
    n_visible: int

    @property
    def granted(self) -> bool:
        """Whether nothing of it is hidden."""
        return self.n_visible == self.n_sites

    @property
    def n_missing(self) -> int:
        """Sites that the user may not see."""
        return self.n_sites - self.n_visible


@transaction.atomic
def comparison_create(*, runs: Sequence[Run], user, name: str = "") -> Comparison:
    """Keep finished runs side by side under an address of their own, in the order given.

    Raises
    ------
    ValidationError
        If they are not two to six different finished runs, or the name is too long.
    PermissionDenied
        If the user may not see one of their sites.
    """
    ids = list(dict.fromkeys(run.id for run in runs))
    if not Comparison.MIN_RUNS <= len(ids) <= Comparison.MAX_RUNS:
        raise ValidationError({"runs": f"{len(ids)} runs given; a comparison takes two to six different ones."})
    if unfinished := [run for run in runs if run.status != Run.Status.DONE]:
        raise ValidationError({"runs": f"{unfinished[0]} is {unfinished[0].status}; only finished runs compare."})
    hidden = Run.objects.filter(id__in=ids).exclude(layout__site__in=visible_sites(user))
    if hidden.exists():
        raise PermissionDenied("You don't have permission to see every site of these runs.")
    comparison = Comparison(name=name.strip(), created_by=user, run_order=[str(run_id) for run_id in ids])
    check_text(comparison)
    comparison.full_clean(exclude=["created_by"])
    comparison.save()
    comparison.runs.set(ids)
    return comparison


def comparison_revoke(*, comparison: Comparison, user) -> Comparison:
    """Close the address of a comparison for everybody; done twice it stays closed since the first time.

    Raises
    ------
    PermissionDenied
        If the user neither made it nor plans a site in it.
    """
    if not may_revoke(user, comparison):
        raise PermissionDenied("Only its creator or a planner of a site in it can revoke a comparison's link.")
    if comparison.revoked_at is None:
        comparison.revoked_at = timezone.now()
        comparison.save(update_fields=["revoked_at"])
    return comparison


def may_revoke(user, comparison: Comparison) -> bool:
    """Return whether the user may close the address: its maker, an administrator, a planner of a site in it."""
    if user.is_superuser or (user.is_authenticated and comparison.created_by_id == user.id):
        return True
    return comparison.runs.filter(layout__site__in=changeable_sites(user)).exists()


def access(user, comparison: Comparison) -> Access:
    """Return how much of a comparison a user may see."""
    sites = Site.objects.filter(layouts__runs__comparisons=comparison).distinct()
    return Access(sites.count(), sites.filter(pk__in=visible_sites(user).values("pk")).count())


def visible_comparisons(user) -> QuerySet[Comparison]:
    """Return the open comparisons of which the user may see every site, newest first."""
    hidden = Run.objects.exclude(layout__site__in=visible_sites(user))
    rows = Comparison.objects.filter(revoked_at=None, runs__isnull=False).exclude(runs__in=hidden.values("pk"))
    return rows.distinct().select_related("created_by").order_by("-created_at", "id")


def in_order(comparison: Comparison, runs: Sequence[Run]) -> list[Run]:
    """Return its runs as their columns stand; those that it names no place for come last, oldest first."""
    place = {run_id: i for i, run_id in enumerate(comparison.run_order)}
    return sorted(runs, key=lambda run: (place.get(str(run.id), len(place)), run.created_at, str(run.id)))


def as_compared(run: Run) -> ComparedRun:
    """Return a run as `core.comparison.compare` reads it (its layout, site and scenario with it, its arrays not)."""
    return ComparedRun(
        id=str(run.id),
        name=f"{run.layout.name}, {run.scenario.name}",
        figures=run.figures,
        bands=run.bands or {},
        details=run_details(run.details),
        inputs=snapshot.inputs_stored(run.inputs),
    )
