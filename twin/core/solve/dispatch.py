"""Where the power of single hours comes from: the dispatch that a year has, with what is known to be out of service.

On-site sources give what their running units can, batteries hold the grid to the peak that the demand charge counts
(`twin.core.results.generation`), and the grid has the rest. What a battery has in store when an hour begins follows
from the hours before it: they are estimated (`year_estimate`), with everything in service.
"""

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from power_cooling.electrical.feed_tree import live_nodes
from power_cooling.electrical.peak_shaving import follow_peak
from power_cooling.site_arrays import FloatArray
from twin.core.inputs.feed_ratings import is_shaving
from twin.core.inputs.generation import ShavingBattery, prime_movers, shaving_battery
from twin.core.results.generation import InService, given_by, in_service, left_w, step_s
from twin.core.solve.estimate import N_BUSIEST, estimated_power
from twin.core.solve.steady import DESIGN, Steady
from twin.core.solve.year_estimate import N_SOLVED
from twin.core.solved import Described
from twin.core.text.numbers import quantity_text

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Dispatch:
    """Sources of some hours; grid, on-site and battery sum to the meter. Arrays have shape (n_hours, …)."""

    grid_w: FloatArray  # (n_hours,)
    onsite_w: FloatArray  # (n_hours,): sources that run all year, and standby ones that have the load
    battery_w: FloatArray  # (n_hours,): what batteries that shave peaks give, below zero while they charge
    gives: BoolArray  # (n_feeds,): sources and batteries that shave peaks
    feed_w: FloatArray  # (n_hours, n_feeds): what each of these gives, NaN of all other feeds and where nobody knows
    charge_frac: FloatArray  # (n_hours, n_feeds): of such a battery when the hour ends, with its reserve; else NaN


def dispatch(steady: Steady, year: InService | None = None) -> Dispatch:
    """Return where the power of solved hours comes from.

    Parameters
    ----------
    steady : Steady
    year : InService, optional
        Of the year that the hours are of, where it is solved; else it is estimated where batteries shave peaks.
    """
    inputs, tree, c = steady.inputs, steady.feeds.tree, steady.coupled
    failed = units_failed(steady)
    live = live_nodes(tree, failed)
    movers = prime_movers(inputs)
    source_w = np.nan_to_num(c.source_power_w) * live[:, tree.roots]  # of a dead one rounding is left
    units_out = [failed[:, tree.index(mover.name)] for mover in movers]
    chances = [
        (out[:, None] == np.arange(mover.source.units + 1)).astype(float)
        for mover, out in zip(movers, units_out, strict=True)
    ]
    given = given_by(steady, movers, source_w, chances)
    column = {feed.name: i for i, feed in enumerate(inputs.feeds)}
    root_of = {tree.names[node]: k for k, node in enumerate(tree.roots)}
    feed_w = np.full((len(steady.hours), len(inputs.feeds)), np.nan)
    for name, k in root_of.items():
        feed_w[:, column[name]] = source_w[:, k]
    beside: dict[str, list[FloatArray]] = {}
    for source in given:
        feed_w[:, column[source.mover.name]] = source.power_w
        if source.mover.utility is not None:
            own_w = source_w[:, root_of[source.mover.name]]
            beside.setdefault(source.mover.utility, []).append(source.power_w - own_w)
    for name, parts in beside.items():
        feed_w[:, column[name]] = left_w(feed_w[:, column[name]], parts)
    utilities = [column[tree.names[node]] for node in tree.metered]
    meter_w, grid_w = np.nan_to_num(c.meter_power_w), feed_w[:, utilities].sum(axis=1)
    onsite_w = meter_w - grid_w
    gives = np.array([feed.name in root_of or is_shaving(feed) for feed in inputs.feeds])
    charge_frac = np.full(feed_w.shape, np.nan)
    battery_w = np.zeros(grid_w.shape)
    battery = shaving_battery(inputs)
    if battery is not None and utilities:
        battery_w = _shave(steady, battery, year, grid_w, live, failed, feed_w, charge_frac)
        _off_the_grid(feed_w, utilities, live[:, tree.metered], battery_w)
    solved = np.where(np.isnan(c.meter_power_w), np.nan, 1.0)
    feed_w, charge_frac = feed_w * solved[:, None], charge_frac * solved[:, None]
    return Dispatch((grid_w - battery_w) * solved, onsite_w * solved, battery_w * solved, gives, feed_w, charge_frac)


def supply_text(steady: Steady) -> str:
    """Return what is assumed of sources and batteries at the solved hours, empty where all power is from the grid."""
    said = []
    if prime_movers(steady.inputs):
        said.append(
            "Every unit of on-site generation runs that is not out of service here; a run's costs and carbon count, on "
            "average, how often units are."
        )
    battery = shaving_battery(steady.inputs)
    if battery is not None and steady.feeds.tree.metered.size:
        held_w = _year_in_service(steady.of).held_peak_w
        out = " with one unit of each source out" if prime_movers(steady.inputs) else ""
        said.append(
            f"Batteries hold the grid to {quantity_text(held_w, 'W')}, the lowest peak that they can hold over the "
            f"year{out}, as demand charge and connection count it, estimated from {N_SOLVED + N_BUSIEST} solved "
            "hours. They begin the design hour full, every other with what the hours before it leave them."
        )
    return " ".join(said)


def units_failed(steady: Steady) -> NDArray[np.int64]:
    """Return how many units of each feed are out in each hour, shape (n_hours, n_nodes)."""
    if steady.failures is not None and steady.failures.feed_units_failed is not None:
        return np.asarray(steady.failures.feed_units_failed)
    return np.zeros((len(steady.hours), steady.feeds.tree.n_nodes), dtype=np.int64)


#: By year: tables, totals and text of one question ask for the same one.
_estimated: WeakKeyDictionary[Described, InService] = WeakKeyDictionary()


def _year_in_service(year: Described) -> InService:
    if year not in _estimated:
        _estimated[year] = in_service(year, estimated_power(year))
    return _estimated[year]


def _shave(
    steady: Steady,
    battery: ShavingBattery,
    year: InService | None,
    grid_w: FloatArray,
    live: BoolArray,
    failed: NDArray[np.int64],
    feed_w: FloatArray,
    charge_frac: FloatArray,
) -> FloatArray:
    """Return what batteries give in each hour [W], and write it into the feeds' columns.

    Batteries of which units are out give by as much less; without the grid they keep what they have. The design hour
    begins with full ones. Where the hours are not those of a year nobody knows their charge: they stand still.
    """
    inputs, tree = steady.inputs, steady.feeds.tree
    rows = [i for i, feed in enumerate(inputs.feeds) if is_shaving(feed)]
    nodes = [tree.index(inputs.feeds[i].name) for i in rows]
    sheets = [inputs.facts(inputs.feeds[i].product_id) for i in rows]
    units = np.array([inputs.feeds[i].n_units for i in rows])
    runs = (units - failed[:, nodes]) / units * live[:, nodes]
    power_w = np.array([float(sheet["power_w"]) for sheet in sheets]) * units
    given_w = np.zeros(len(steady.hours))
    if steady.of.weather.n_elements != inputs.weather.n_hours:
        return given_w
    year = year or _year_in_service(steady.of)
    stored_at_j, peak_w = year.stored_j(battery), year.held_peak_w
    whole_j, reserve_j, of_year_s = battery.energy_j, battery.energy_j - battery.battery.energy_j, step_s(steady.of)
    for row, hour in enumerate(steady.hours):
        share = float(runs[row] @ power_w / power_w.sum())
        free_j = battery.battery.energy_j
        left = replace(battery.battery, power_w=battery.battery.power_w * share, energy_j=free_j * share)
        stored_j = share * (free_j if hour == DESIGN else float(stored_at_j[hour]))
        if live[row, tree.metered].any():
            from_grid_w, stored_j, _ = follow_peak(float(grid_w[row]), peak_w, stored_j, left, of_year_s)
            given_w[row] = float(grid_w[row]) - from_grid_w
        by_power = runs[row] * power_w
        feed_w[row, rows] = given_w[row] * by_power / max(by_power.sum(), 1e-12)
        charge_frac[row, rows] = (reserve_j + stored_j / share) / whole_j if share > 0 else np.nan
    return given_w


def _off_the_grid(feed_w: FloatArray, utilities: list[int], live: BoolArray, battery_w: FloatArray) -> None:
    """Take what batteries give off the utilities, by what each has: alike where none has anything."""
    has_w = feed_w[:, utilities]
    total_w, alike = has_w.sum(axis=1, keepdims=True), live / np.maximum(live.sum(axis=1, keepdims=True), 1)
    share = np.divide(has_w, total_w, out=alike, where=total_w > 0)
    feed_w[:, utilities] = has_w - share * battery_w[:, None]
