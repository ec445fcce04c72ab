"""Which of a site's layouts stands first by their last runs: the comparison's rule, for every list that names a best.

Runs of what has been changed since are left out: their figures are of no layout that there is.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from facility.models import Layout, Site
from twin.core.comparison.standing import Standing, blocking_reasons, missed_targets, sentence, served_pairs, standing
from twin.core.figures_of_merit import RANKED_BY
from twin.core.results.findings import BLOCKING
from twin.runs.changed import marked
from twin.runs.latest import LatestRun, grid_peak_w, latest_runs, shared_scenario


@dataclass(frozen=True, slots=True, eq=False)
class StandingRun:
    """A layout's last run as a ranking reads it."""

    run: LatestRun
    grid_limit_w: float

    @property
    def name(self) -> str:
        """The layout's."""
        return self.run.layout_name

    @property
    def figures(self) -> dict:
        """Of the run."""
        return self.run.figures

    @property
    def bands(self) -> dict:
        """Of the run."""
        return self.run.bands

    @property
    def blocked(self) -> tuple[str, ...]:
        """Why it cannot be built as drawn."""
        found = blocking_reasons(self.run.findings)
        if self.run.n_found.get(BLOCKING):
            found += ("its solved year has blocking findings",)
        if not found and (grid_peak_w(self.run) or 0.0) > self.grid_limit_w:
            found = ("its peak is above the grid limit",)
        return found

    @property
    def misses(self) -> tuple[str, ...]:
        """Latency targets that it misses."""
        return missed_targets(self.run.workloads)

    @property
    def served(self) -> frozenset[tuple[str, str]]:
        """Accelerators and models."""
        return served_pairs(self.run.workloads)


@dataclass(frozen=True, slots=True)
class SiteStanding:
    """How a site's layouts stand under one scenario."""

    scenario_name: str
    standing: Standing[StandingRun]
    left_out: LatestRun | None  # led when it was run, and has been changed since

    @property
    def first(self) -> LatestRun | None:
        """The run of the first that can be built."""
        able = self.standing.able
        return able[0].run if able else None

    @property
    def is_ahead(self) -> bool:
        """Whether the first is the one to build."""
        return self.standing.winner is not None

    @property
    def level(self) -> list[LatestRun]:
        """Those that cannot be told from the first, which comes first; empty where it is ahead."""
        return [one.run for one in self.standing.level]

    @property
    def misses(self) -> tuple[str, ...]:
        """Latency targets that the first misses."""
        able = self.standing.able
        return able[0].misses if able else ()

    @property
    def sentence(self) -> str:
        """What a comparison of these runs says; empty where fewer than two stand to be compared."""
        return sentence(self.standing) if len(self.standing.ranked) > 1 else ""

    def mark(self, run: LatestRun | None) -> str:
        """Return what a list writes beside a layout: best, tie, or nothing."""
        if run is None or len(self.standing.ranked) < 2:
            return ""
        if any(run.id == one.id for one in self.level):
            return "tie"
        return "best" if self.is_ahead and run.id == self.first.id else ""


def site_standing(
    runs: Iterable[LatestRun], grid_limit_w: float, scenario_id: int | None = None
) -> SiteStanding | None:
    """Return how layouts stand by their last runs under a scenario; None where none has run under it.

    Parameters
    ----------
    runs : iterable of LatestRun
        Of `changed.marked`.
    grid_limit_w : float
    scenario_id : int, optional
        The one that most of them share where none is given.
    """
    runs = list(runs)
    scenario_id = scenario_id or shared_scenario(runs)
    asked = [StandingRun(run, grid_limit_w) for run in runs if run.scenario_id == scenario_id]
    if not asked:
        return None
    led = standing(asked, RANKED_BY).able
    is_outdated = bool(led) and led[0].run.changed and led[0].figures.get(RANKED_BY) is not None
    left_out = led[0].run if is_outdated else None
    now = standing((one for one in asked if not one.run.changed), RANKED_BY)
    return SiteStanding(asked[0].run.scenario_name, now, left_out)


def standing_of(site: Site, scenario_id: int | None = None) -> SiteStanding | None:
    """Return how a site's layouts stand by their last runs, as `site_standing` does."""
    return site_standing(marked_runs(site), site.grid_limit_w, scenario_id)


def marked_runs(site: Site) -> list[LatestRun]:
    """Return the last runs of a site's layouts, each saying whether it is of the layout as it is now."""
    layouts = list(Layout.objects.filter(site=site).defer("notes"))
    for layout in layouts:
        layout.site = site
    own = marked(latest_runs(layout.pk for layout in layouts), layouts)
    return [run for found in own.values() for run in found]
