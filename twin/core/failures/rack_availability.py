"""How much of a year the equipment that serves a rack is there for it: power, coolant, air and the plant behind them.

Series over what a rack needs, parallel where it has two: feed A beside feed B above the nodes they share, a generator
behind its utility, spare units within a node, a CDU group or a plant. Rates and repair times are the catalogue's, as
`failures.components` takes them; so is the common cause, which takes units of one node, and feeds of one redundancy
group, together. The rack's own accelerators do not count, nor what a degraded but running part takes from the clock:
that is the availability of token capacity, which the run computes with planned outages, crews and storage. Units count
as needed all year, chillers also in winter.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from power_cooling.site_arrays import FloatArray
from twin.core.failures.components import ASSUMED_COMMON_CAUSE_FRAC, Component
from twin.core.failures.kinds import feed_reliability
from twin.core.inputs.feed_ratings import PRIME, standby_generators
from twin.core.inputs.layout import CduRow, FeedRow, HallRow, PlantRow, ProductSheet

RackSupply = tuple[int, int | None, int | None, int | None]  # ids of a rack's hall, CDU, feed A and feed B


def rack_availability_frac(
    racks: Sequence[RackSupply],
    *,
    feeds: Sequence[FeedRow],
    cdus: Sequence[CduRow],
    halls: Sequence[HallRow],
    plants: Sequence[PlantRow],
    products: Mapping[int, ProductSheet],
    reliability: Mapping[str, Mapping[str, Any]],
) -> FloatArray:
    """Return the share of a year that each rack is served.

    Parameters
    ----------
    racks : sequence of RackSupply
    feeds, cdus, halls, plants
        Of the layout.
    products : mapping
        At least the plants' heat rejection and chillers, by id.
    reliability : mapping
        Facts of the catalogue's reliability entries by slug: failures_per_unit_year, mttr_h and, for generators,
        start_failure_probability.

    Returns
    -------
    ndarray, shape (n_racks,)
        Availability [-]; 0 for a rack on no feed.

    Raises
    ------
    ValueError
        If `reliability` lacks an entry that a described part needs.
    """
    paths = _Paths(feeds, cdus, halls, plants, products, reliability)
    served = {key: 1 - _any_of(paths.unavailable(*key)) for key in set(racks)}
    return np.array([served[key] for key in racks], dtype=float)


def _any_of(chances: Iterator[float]) -> float:
    """Return the chance that at least one of independent events holds, without losing small ones."""
    return float(-np.expm1(sum(np.log1p(-min(chance, 1.0)) if chance < 1 else -np.inf for chance in chances)))


class _Paths:
    """The described equipment by id, with the unavailability of each part of it."""

    def __init__(
        self,
        feeds: Sequence[FeedRow],
        cdus: Sequence[CduRow],
        halls: Sequence[HallRow],
        plants: Sequence[PlantRow],
        products: Mapping[int, ProductSheet],
        reliability: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.products = products
        self.reliability = reliability
        self.feeds = {feed.id: feed for feed in feeds}
        self.halls = {hall.id: hall for hall in halls}
        self.plants = {plant.id: plant for plant in plants}
        self.cdus = {cdu.id: cdu for cdu in cdus}
        self.groups: dict[str, list[CduRow]] = {}
        for cdu in cdus:
            self.groups.setdefault(cdu.group, []).append(cdu)
        by_name = {feed.name: feed for feed in feeds}
        self.generator_of = {key: by_name[name] for key, name in standby_generators(feeds).items()}

    def unavailable(self, hall_id: int, cdu_id: int | None, *feed_ids: int | None) -> Iterator[float]:
        """Yield the unavailabilities of all that a rack needs: power, its CDU group, its hall's air, their plants."""
        yield self.power_lost(*(feed_id for feed_id in feed_ids if feed_id is not None))
        hall = self.halls[hall_id]
        plants = {hall.plant_id}
        if cdu_id is not None:
            units = self.groups[self.cdus[cdu_id].group]
            yield self.lost("cdu", len(units), min(unit.redundant_units for unit in units))
            plants |= {unit.plant_id for unit in units}
        yield self.lost("crah", hall.n_air_units if hall.air_unit_id is not None else 0, hall.n_air_units_spare)
        for plant_id in sorted(plant_id for plant_id in plants if plant_id is not None):
            yield from self.plant_lost(self.plants[plant_id])

    def plant_lost(self, plant: PlantRow) -> Iterator[float]:
        """Yield the unavailabilities of a plant's pumps, heat rejection and chillers."""
        yield self.lost("pump-centrifugal", plant.n_pumps, plant.n_pumps_spare)
        tower = self.products[plant.heat_rejection_id].kind == "cooling_towers"
        rejection = "cooling-tower" if tower else "dry-cooler"
        yield self.lost(rejection, plant.n_heat_rejection, plant.n_heat_rejection_spare)
        if plant.economiser != "only":
            chiller = "chiller-centrifugal" if self.water_cooled(plant.chiller_id) else "chiller-screw-air"
            yield self.lost(chiller, plant.n_chillers, plant.n_chillers_spare)

    def water_cooled(self, chiller_id: int | None) -> bool:
        return chiller_id is not None and str(self.products[chiller_id].facts.get("type")).startswith("water_cooled")

    def power_lost(self, *feed_ids: int) -> float:
        """Return the chance that none of a rack's feeds carries power."""
        paths = [self.path(feed_id) for feed_id in feed_ids]
        if not paths:
            return 1.0
        shared = set.intersection(*map(set, paths))
        own = [[node for node in path if node not in shared] for path in paths]
        apart = float(np.prod([_any_of(self.node_lost(node) for node in path) for path in own]))
        together = self.common_cause(own) if len(own) > 1 and all(own) else 0.0
        return _any_of(iter([*(self.node_lost(node) for node in shared), apart + together]))

    def common_cause(self, own: list[list[int]]) -> float:
        """Return the chance of one cause that takes a redundancy group with members on every side."""
        sides = [{self.group(node): node for node in path} for path in own]
        shared = set.intersection(*map(set, sides))
        least = [min(self.unit_lost(self.feeds[side[group]]) for side in sides) for group in shared]
        return ASSUMED_COMMON_CAUSE_FRAC * sum(least)

    def group(self, node: int) -> tuple[str, str]:
        feed = self.feeds[node]
        return feed.kind, feed.redundancy_group or feed.name

    def path(self, feed_id: int | None) -> list[int]:
        """Return the nodes from a feed up to its source."""
        path: list[int] = []
        while feed_id in self.feeds and feed_id not in path:
            path.append(feed_id)
            feed_id = self.feeds[feed_id].parent_id
        return path

    def node_lost(self, node: int) -> float:
        """Return the chance that a feed node is out; behind a utility its generator has to be out too."""
        feed = self.feeds[node]
        spare = 1 if feed.redundancy == "N+1" and feed.n_units > 1 else 0
        out_frac = self.lost(self.reliability_of(feed), feed.n_units, spare)
        generator = self.generator_of.get(node)
        return out_frac * self.node_lost(generator.id) if generator else out_frac

    def unit_lost(self, feed: FeedRow) -> float:
        return self.component(self.reliability_of(feed), 1).unavailability_frac

    def reliability_of(self, feed: FeedRow) -> str:
        sheet = None if feed.product_id is None else self.products.get(feed.product_id)
        mover = None if sheet is None else sheet.facts.get("prime_mover")
        return feed_reliability(feed.kind, feed.operation == PRIME, mover)

    def lost(self, slug: str, n: int, spare: int) -> float:
        """Return the chance that more than the spare units of `n` are out at once; none needed is never lost."""
        if n < 1:
            return 0.0
        return float(self.component(slug, n).failed_units_pmf()[min(spare, n - 1) + 1 :].sum())

    def component(self, slug: str, n: int) -> Component:
        sheet = self.reliability.get(slug)
        if sheet is None:
            raise ValueError(f"the catalogue has no reliability figures for {slug}")
        return Component(
            slug,
            slug,
            "",
            0,
            n,
            float(sheet["failures_per_unit_year"]),
            float(sheet["mttr_h"]),
            float(sheet.get("start_failure_probability") or 0.0),
        )
