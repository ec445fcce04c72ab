"""How long stored energy and stored heat cover the loss of a component before it costs tokens.

Batteries cover what stands above them on the way to the racks; coolant, tanks and hall air cover pumps, CDUs and the
plant, until the first racks behind would throttle after a whole loss of that kind at the busiest load in hot weather.
Whatever loses cooling and power lasts as long as the shorter of both; what neither covers, such as air units, lasts
no time.
"""

from collections.abc import Mapping

import numpy as np

from power_cooling.fluids.psychrometrics import wet_bulb_degc
from power_cooling.site_arrays import FloatArray, SiteArrays, SiteFeeds, Weather
from power_cooling.transients.loss_drills import LossDrill, loss_drills
from twin.core.failures.components import Component
from twin.core.failures.kinds import BY_UNITS
from twin.core.inputs.feed_ratings import standby_generators
from twin.core.inputs.feeds import battery_s
from twin.core.inputs.layout import LayoutInputs

PlantDrills = Mapping[int, Mapping[str, LossDrill]]  # by plant and name of the loss

# After a loss: longer than a start of generators, chillers or a switch-over takes; what lasts longer counts as this.
FOLLOWED_S = 3600.0


def ride_through_s(
    inputs: LayoutInputs,
    site: SiteArrays,
    feeds: SiteFeeds,
    drills: PlantDrills,
    feed_load_w: FloatArray,
    found: list[Component],
) -> FloatArray:
    """Return how long storage covers the loss of each component, shape (n_components,) [s].

    Parameters
    ----------
    inputs : LayoutInputs
        A snapshot.
    site, feeds
        What the coupled solver solves.
    drills : mapping
        Of `plant_drills`.
    feed_load_w : ndarray, shape (n_nodes,)
        What each feed then carries [W]; batteries last their energy over it.
    found : list of Component
    """
    cooled = {plant: _seconds(by_name, BY_UNITS["feed"].storage) for plant, by_name in drills.items()}
    powered = powered_s(inputs, feeds, feed_load_w, cooled)
    covered = np.zeros(len(found))
    for i, component in enumerate(found):
        if component.kind == "feed":
            covered[i] = powered[component.index]
        elif BY_UNITS[component.kind].storage:
            plant = component.index
            if component.kind == "cdus":
                plant = int(site.cdu_groups.plant_index[component.index])
            covered[i] = _seconds(drills.get(plant, {}), BY_UNITS[component.kind].storage)
    return covered


def plant_drills(site: SiteArrays, hot: Weather, load_frac: FloatArray) -> PlantDrills:
    """Return the losses of each plant whose CDUs carry racks, at the busiest load and in hot weather.

    Parameters
    ----------
    site : SiteArrays
    hot : Weather
        One element.
    load_frac : ndarray, shape (n_pools,)
        The busiest load.
    """
    if site.cdus is None or not load_frac.size:
        return {}
    dry = float(hot.dry_bulb_degc[0])
    wet = min(dry, float(wet_bulb_degc(dry, float(hot.humidity_ratio[0]), float(hot.pressure_pa[0]))))
    pool = site.racks.pool_index
    load = np.where(pool >= 0, load_frac[pool], 0.0)
    carries = (site.racks.cdu_index >= 0) & (site.racks.count > 0)
    plants = np.unique(site.cdus.plant_index[site.racks.cdu_index[carries]])
    return {
        int(plant): {
            drill.name: drill
            for drill in loss_drills(
                site,
                int(plant),
                load,
                dry_bulb_degc=dry,
                wet_bulb_degc=wet,
                duration_s=FOLLOWED_S,
            )
        }
        for plant in plants
    }


def _seconds(drills: Mapping[str, LossDrill], name: str) -> float:
    """Return when a loss first throttles a rack or overheats the air; nothing is known of plants without CDUs."""
    if name not in drills:
        return 0.0
    return min(drills[name].first_throttle_s, drills[name].air_limit_s, FOLLOWED_S)


def powered_s(inputs: LayoutInputs, feeds: SiteFeeds, load_w: FloatArray, cooled_s: Mapping[int, float]) -> FloatArray:
    """Return how long what hangs on each feed goes on without it, shape (n_nodes,) [s]."""
    tree, links = feeds.tree, feeds.links
    lasts_s = battery_s(inputs, tree, load_w)
    covered = np.full(tree.n_nodes, np.inf)
    for node in np.unique(links.node_index):
        best, at = 0.0, int(node)
        while at >= 0:
            covered[at] = min(covered[at], best)
            best, at = max(best, lasts_s[at]), int(tree.parent[at])
    for plant, node in enumerate(feeds.plant_node):
        at = int(node)
        while at >= 0:
            covered[at] = min(covered[at], cooled_s.get(plant, 0.0))
            at = int(tree.parent[at])
    by_id: dict[int | None, str] = {feed.id: feed.name for feed in inputs.feeds}
    for utility, generator in standby_generators(inputs.feeds).items():
        covered[tree.index(generator)] = covered[tree.index(by_id[utility])]
    return np.where(np.isfinite(covered), covered, 0.0)
