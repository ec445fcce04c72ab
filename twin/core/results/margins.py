"""What is left before something gives: margins over the year, and seconds after a loss until racks throttle or trip."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from power_cooling.coupled.result import CoupledResult
from power_cooling.site_arrays import FloatArray, SiteArrays, SiteFeeds
from twin.core.failures.ride_through import FOLLOWED_S
from twin.core.inputs import equipment
from twin.core.inputs.layout import LayoutInputs
from twin.core.results.details import DrillRow, MarginRow
from twin.core.solved import Solved

N_OF_KIND = 3  # margins of one kind that an answer carries


class SolvedHours(Protocol):
    """Hours of a layout that were solved: a year, or a few for an answer."""

    @property
    def inputs(self) -> LayoutInputs: ...
    @property
    def site(self) -> SiteArrays: ...
    @property
    def feeds(self) -> SiteFeeds: ...
    @property
    def coupled(self) -> CoupledResult: ...


def margins(solved: SolvedHours) -> list[MarginRow]:
    """Return how much is left, worst hour each, beside what `results.limits` lists, scarcest first within a unit."""
    c, names = solved.coupled, equipment.names(solved.inputs)
    site, tree = solved.site, solved.feeds.tree
    found: list[MarginRow] = []

    def add(
        labels: list[str], kind: str, values: FloatArray, unit: str, left: Callable[[FloatArray], FloatArray]
    ) -> None:
        for i, label in enumerate(labels[: values.shape[1]]):
            here = left(values[:, i])
            if np.any(np.isfinite(here)):
                found.append(MarginRow(label, kind, float(np.nanmin(here)), unit))

    def spare(used: FloatArray) -> FloatArray:
        return 1 - used

    rating = np.maximum(tree.installed_w, 1e-9)
    add(list(tree.names), "feed rating", tree.carried_w(c.feed_load_w) / rating, "%", spare)
    if site.cdus is not None:
        add(names.cdu_groups, "CDU heat rating", c.cdu_load_frac, "%", spare)
        add(names.cdu_groups, "CDU valve travel", c.cdu_valve_frac, "%", spare)
        add(names.cdu_groups, "supply above dew point", c.dew_point_margin_k, "K", lambda kelvins: kelvins)
    cooled = np.where(site.halls.n_units > 0, 1.0, np.nan)
    add(names.halls, "air-unit heat rating", c.hall_load_frac * cooled, "%", spare)
    add(names.halls, "air-unit flow", c.hall_air_frac * cooled, "%", spare)
    chilled = np.where(site.plants.n_chillers > 0, 1.0, np.nan)
    add(names.plants, "chiller capacity", c.chiller_load_frac * chilled, "%", spare)
    add(names.plants, "facility pumps' rating", c.pump_load_frac, "%", spare)
    add(names.plants, "coolers' or towers' rating", c.outdoor_load_frac, "%", spare)
    room = np.where(site.racks.n_accelerators > 0, site.racks.throttle_degc - c.racks.max_junction_degc, np.nan)
    if np.any(np.isfinite(room)):
        found.append(MarginRow("Accelerators", "junction below throttling", float(np.nanmin(room)), "K"))
    return sorted(found, key=lambda row: (row.unit != "K", row.value))


def tightest(found: Sequence[MarginRow], n_of_kind: int = N_OF_KIND) -> list[MarginRow]:
    """Return the first margins of each kind, in the order they come."""
    seen: Counter[str] = Counter()
    kept = []
    for margin in found:
        seen[margin.kind] += 1
        if seen[margin.kind] <= n_of_kind:
            kept.append(margin)
    return kept


def drills(solved: Solved) -> list[DrillRow]:
    """Return what each kind of loss does to each plant with CDUs, at the busiest load and in hot weather.

    Stored heat is that of `loss_drills.Volumes`, assumed. Seconds count from the loss to the first CDU group that
    throttles or trips, or to hot air, and to the last group that recovers; None where that does not happen within
    `followed_s`. Hot air is told of plants that serve air units.
    """
    names, rows = equipment.names(solved.inputs).plants, []
    for plant, by_name in solved.drills.items():
        for drill in by_name.values():
            serves_air_units = np.any(solved.site.halls.plant_index == plant)
            rows.append(
                DrillRow(
                    plant=names[plant],
                    loss=drill.name,
                    is_loss=drill.is_loss,
                    seconds_to_throttle=_within(drill.first_throttle_s),
                    seconds_to_trip=_within(drill.first_trip_s),
                    seconds_to_hot_air=_within(drill.air_limit_s) if serves_air_units else None,
                    # a burst of load stays
                    recovers_s=_within(float(np.max(drill.recovered_s))) if drill.is_loss else None,
                    hottest_degc=float(np.max(drill.hottest_degc)),
                    followed_s=FOLLOWED_S,
                )
            )
    return rows


def _within(seconds: float) -> float | None:
    return seconds if np.isfinite(seconds) else None
