"""The coupled steady state of a whole site: chips, racks, feeds, CDUs, halls and plants solved together per element.

An element is one hour or one scenario. `solve_coupled` takes the site (`site_arrays`), each pool's load, the weather
and what has failed, and returns watts, temperatures, clocks and water for every element, with a report.

Unknowns of an element are the supply temperature and flow of each CDU group, supply and hot-aisle temperature of each
hall, and the facility-water temperature of each plant. A pass evaluates every rack at these unknowns, with the exact
slopes of its heat, and then solves CDUs, air units and plants for that linearised heat: Newton's method with the racks'
side differentiated and the plant side exact. Elements stop being updated once a pass moves nothing by more than the
tolerance; what they report was evaluated at the temperatures they report.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from power_cooling.cooling.plant import air_states
from power_cooling.coupled import columns
from power_cooling.coupled.kernel import solve_elements
from power_cooling.coupled.kernel_arrays import Elements, Feeds, Output, Rows, scratch
from power_cooling.coupled.load_shedding import hottest_first
from power_cooling.coupled.result import CoupledResult, RackChannels, RackSummary, Reason, SolveReport
from power_cooling.electrical.feed_tree import FeedTree, feed_losses, link_shares, live_nodes, running_w, stand_ins
from power_cooling.first_use import FirstCall
from power_cooling.fluids.psychrometrics import dew_point_degc
from power_cooling.site_arrays import (
    UNITS_THAT_FAIL,
    BoolArray,
    CduBank,
    Failures,
    FloatArray,
    IntArray,
    OwnLoad,
    SiteArrays,
    SiteFeeds,
    Weather,
    installed_units,
    records,
)


def solve_coupled(
    site: SiteArrays,
    pool_load_frac: FloatArray,
    weather: Weather,
    *,
    feeds: SiteFeeds | None = None,
    failures: Failures | None = None,
    keep_rack_channels: bool = False,
    tolerance_k: float = 1e-10,
    max_passes: int = 60,
    n_threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> CoupledResult:
    """Solve every element of a site.

    Parameters
    ----------
    site : SiteArrays
        Racks, pools, CDUs, halls and plants.
    pool_load_frac : ndarray, shape (n_elements, n_pools)
        Load of each pool over what its accelerators serve at full clock; a rack's share of it is held to 0..1.
    weather : Weather
        Arrays of shape (n_elements,).
    feeds : SiteFeeds, optional
        The feed tree; without one the meter reads what racks and plant draw and no loss warms a hall.
    failures : Failures, optional
        What is out, per element.
    keep_rack_channels : bool
        Keep every rack in every element (20 bytes each).
    tolerance_k : float
        Largest move of any temperature [K] (and a tenth of it of any relative flow) that counts as solved.
    max_passes : int
        Passes over the racks before an element is given up.
    n_threads : int
        1 or 2; the result does not depend on it.
    progress : callable, optional
        Called with elements done and all elements; an exception from it abandons the solve.

    Returns
    -------
    CoupledResult
        Elements without a solution are NaN, with the reason in `report.reasons`.

    Raises
    ------
    ValueError
        If a shape does not fit or a load is not a number.

    Notes
    -----
    Where a CDU group, hall or feed is too small for its racks their accelerators are held back and racks go off until
    the rest fits (`load_shedding`). Elements are solved in blocks of fixed size, each starting cold, so that results do
    not depend on threads.
    """
    tables = _inputs(site, pool_load_frac, weather, feeds, failures)
    n = tables.load.shape[0]
    out = _Tables.empty(site, tables.n_nodes, n, keep_rack_channels)
    racks = np.zeros((-(-n // BLOCK), site.racks.n_racks, columns.N_RACK_OUT))
    racks[:, :, columns.R_MIN_CLOCK] = np.inf
    for column in (columns.R_MAX_JUNCTION, columns.R_MAX_INLET, columns.R_MAX_COOLANT):
        racks[:, :, column] = -np.inf

    def solve_block(block: int) -> int:
        rows = slice(block * BLOCK, min((block + 1) * BLOCK, n))
        tables.solve(rows, out, racks[block], tolerance_k, max_passes)
        return rows.stop

    blocks = range(racks.shape[0])
    if n_threads > 1 and len(blocks) > 1:
        with ThreadPoolExecutor(max_workers=min(n_threads, 2)) as pool:
            for done in pool.map(solve_block, blocks):
                if progress is not None:
                    progress(done, n)
    else:
        for block in blocks:
            done = solve_block(block)
            if progress is not None:
                progress(done, n)
    return _result(site, tables, out, racks, tolerance_k)


_IN_ROOMS = ("ups", "switchboard", "sts", "pdu", "rpp")  # feeds that stand indoors where no hall is named
BLOCK = 256  # elements that warm-start each other
_FIRST_CALL = FirstCall()


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """Output tables of the kernel, filled block by block; columns are named in `columns`."""

    series: FloatArray
    pools: FloatArray
    groups: FloatArray
    halls: FloatArray
    plants: FloatArray
    nodes: FloatArray
    channels: NDArray[np.float32]

    @classmethod
    def empty(cls, site: SiteArrays, n_nodes: int, n: int, keep_rack_channels: bool) -> _Tables:
        n_groups = 0 if site.cdus is None else site.cdus.n_groups
        n_pools = site.pools.static_power_w.shape[0]
        return cls(
            series=np.empty((n, columns.N_SERIES)),
            pools=np.empty((n, n_pools, 3)),
            groups=np.empty((n, n_groups, columns.N_GROUP_OUT)),
            halls=np.empty((n, site.halls.n_halls, columns.N_HALL_OUT)),
            plants=np.empty((n, site.plants.n_plants, columns.N_PLANT_OUT)),
            nodes=np.empty((n, n_nodes)),
            channels=np.empty(
                (n, site.racks.n_racks, columns.N_CHANNELS) if keep_rack_channels else (0, 0, 0), dtype=np.float32
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Inputs:
    """What the kernel reads, for all elements."""

    rows: Rows
    load: FloatArray  # (n_elements, n_pools)
    air: FloatArray  # (n_elements, 5)
    dew_point: FloatArray
    own: OwnLoad
    powered: FloatArray  # (n_elements or 1, n_racks)
    runs_g: FloatArray  # (n_elements or 1, n_groups), and so on
    runs_h: FloatArray
    runs_p: FloatArray  # (n_elements or 1, n_plants, 4): coolers, towers, chillers, pumps
    feeds: SiteFeeds | None
    units_failed: IntArray | None  # (n_elements or 1, n_nodes)

    @property
    def n_nodes(self) -> int:
        return 0 if self.feeds is None else self.feeds.tree.n_nodes

    def solve(self, block: slice, out: _Tables, racks: FloatArray, tolerance_k: float, max_passes: int) -> None:
        """Solve the elements `block` into the output tables."""
        n = block.stop - block.start
        feed_state, feeds = self._feeds(block)
        elements = Elements(
            pool_load=self.load[block],
            air=self.air[block],
            dew_point=self.dew_point[block],
            own=self.own.power_w(self.air[block, 0]),
            powered=_rows(self.powered, block, n),
            groups=_rows(self.runs_g, block, n),
            halls=_rows(self.runs_h, block, n),
            plants=_rows(self.runs_p, block, n),
            feed_state=feed_state,
        )
        output = Output(
            series=out.series[block],
            pools=out.pools[block],
            groups=out.groups[block],
            halls=out.halls[block],
            plants=out.plants[block],
            nodes=out.nodes[block],
            racks=racks,
            channels=out.channels[block],
        )
        work = scratch(self.rows, self.n_nodes)
        with _FIRST_CALL.alone():
            solve_elements(self.rows, elements, feeds, work, tolerance_k, max_passes, output)

    def _feeds(self, block: slice) -> tuple[IntArray, Feeds]:
        """Return the distinct failure states of a block: which one each element is in, and the feed tree in each."""
        n, n_racks = block.stop - block.start, self.rows.racks.shape[0]
        if self.feeds is None:
            none, empty = np.zeros(0, dtype=np.int64), np.zeros(0)
            hangs = [
                np.full((1, bank.shape[0]), -1, dtype=np.int64)
                for bank in (self.rows.groups, self.rows.halls, self.rows.plants)
            ]
            return np.zeros(n, dtype=np.int64), Feeds(
                link_start=np.zeros(n_racks + 1, dtype=np.int64),
                link_node=none,
                share=np.zeros((1, 0)),
                dark=np.zeros((1, n_racks), dtype=np.bool_),
                parent=np.zeros((1, 0), dtype=np.int64),
                rating=np.zeros((1, 0)),
                no_load_frac=empty,
                proportional_frac=empty,
                square_frac=empty,
                hall=none,
                of_group=hangs[0],
                of_hall=hangs[1],
                of_plant=hangs[2],
                of_own=np.full((1, 1), -1, dtype=np.int64),
                room_power_frac=empty,
            )
        tree, links = self.feeds.tree, self.feeds.links
        if self.units_failed is None:
            states, of_element = np.zeros((1, tree.n_nodes), dtype=np.int64), np.zeros(n, dtype=np.int64)
        else:
            states, of_element = np.unique(_rows(self.units_failed, block, n), axis=0, return_inverse=True)
        live = live_nodes(tree, states)
        shares, dark = link_shares(links, live)
        # A node hangs on its own parent while that lives, else on the standby; a dead one hands nothing up.
        on_parent = (tree.parent >= 0) & live[:, tree.parent]
        carries = _carriers(tree, live)
        hangs = [
            np.where(node >= 0, carries[:, node], -1)
            for node in (self.feeds.group_node, self.feeds.hall_node, self.feeds.plant_node, _own_node(tree))
        ]
        return of_element.reshape(-1).astype(np.int64), Feeds(
            link_start=_whole(np.searchsorted(links.rack_index, np.arange(n_racks + 1))),
            link_node=_whole(links.node_index),
            share=_real(shares),
            dark=np.array(dark, dtype=np.bool_, order="C"),
            parent=_whole(np.where(live, np.where(on_parent, tree.parent, tree.standby_parent), -1)),
            rating=_real(running_w(tree, states) * live),
            no_load_frac=_real(tree.no_load_loss_frac),
            proportional_frac=_real(tree.proportional_loss_frac),
            square_frac=_real(tree.square_loss_frac),
            hall=_whole(tree.hall_index),
            of_group=_whole(hangs[0]),
            of_hall=_whole(hangs[1]),
            of_plant=_whole(hangs[2]),
            of_own=_whole(hangs[3]),
            room_power_frac=_real(_in_rooms(tree) / self.own.room_cop),
        )


# An array of another type, in another order or read-only is another signature: the kernel would be compiled once more.
def _real(values: NDArray[Any]) -> FloatArray:
    """Return a copy that the kernel takes: floats in C order."""
    return np.array(values, dtype=np.float64, order="C")


def _own_node(tree: FeedTree) -> IntArray:
    """Return the node that the site draws its own load from, the first utility, else the first source: shape (1,)."""
    return np.append(tree.metered, tree.roots)[:1]


def _carriers(tree: FeedTree, live: BoolArray) -> IntArray:
    """Return the node that carries what hangs on each: itself, or once dead the one that stands in for it."""
    behind = stand_ins(tree)
    return np.where(live | (behind < 0), np.arange(tree.n_nodes), behind)


def _in_rooms(tree: FeedTree) -> BoolArray:
    """Return which feeds stand indoors and in no hall."""
    return np.isin(tree.kinds, _IN_ROOMS) & (tree.hall_index < 0)


def own_load_on_feeds(
    tree: FeedTree,
    own: OwnLoad,
    dry_bulb_degc: FloatArray,
    node_power_w: FloatArray,
    node_loss_w: FloatArray,
    units_failed: ArrayLike | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what a site draws for itself, and what each feed then carries: the solver's answer and the rules' alike.

    It hangs on the first utility, or on what stands in for it, else on the first source: its boards and cables are not
    drawn.

    Parameters
    ----------
    tree : FeedTree
    own : OwnLoad
    dry_bulb_degc : ndarray, shape (n,)
    node_power_w, node_loss_w : ndarray, shape (n, n_nodes)
        What feeds carry and lose without it, as `electrical.feed_losses` gives it [W].
    units_failed : array_like of int, shape (n_nodes,) or (n, n_nodes), optional
        Units out of service.

    Returns
    -------
    own_w : ndarray, shape (n,)
    room_cooling_w : ndarray, shape (n,)
        The part of it that takes the losses out of the feeds' rooms.
    node_power_w : ndarray, shape (n, n_nodes)
    """
    room_cooling_w = node_loss_w[:, _in_rooms(tree)].sum(axis=1) / own.room_cop
    own_w = own.power_w(dry_bulb_degc) + room_cooling_w
    carried_w = node_power_w.copy()
    failed = np.zeros((1, tree.n_nodes), dtype=np.int64) if units_failed is None else np.atleast_2d(units_failed)
    carrier = _carriers(tree, live_nodes(tree, failed))[:, _own_node(tree)[0]]
    carried_w[np.arange(own_w.size), carrier] += own_w
    return own_w, room_cooling_w, carried_w


def _whole(values: NDArray[Any]) -> IntArray:
    """Return a copy that the kernel takes: integers in C order."""
    return np.array(values, dtype=np.int64, order="C")


def _rows(table: NDArray[Any], rows: slice, n: int) -> NDArray[Any]:
    """Return the rows of a per-element table, or its only row n times over."""
    if table.shape[0] == 1:
        return np.broadcast_to(table, (n, *table.shape[1:])).copy()
    return table[rows]


def _running(name: str, given: FloatArray | None, default: FloatArray, n: int) -> FloatArray:
    """Return how many run, (n or 1, k), checked against what there is."""
    if given is None:
        return default[None, :].copy()
    values = np.atleast_2d(np.asarray(given, dtype=np.float64))
    if values.ndim != 2 or values.shape[0] not in (1, n) or values.shape[1] != default.shape[0]:
        raise ValueError(f"Failures.{name} has shape {np.shape(given)}; ({n}, {default.shape[0]}) is needed")
    wrong = ~((values >= 0) & (values <= default))
    if np.any(wrong):
        e, k = np.argwhere(wrong)[0]
        raise ValueError(f"Failures.{name}[{e}, {k}] is {values[e, k]:g}; must be 0 to {default[k]:g}")
    return _real(values)


def _inputs(
    site: SiteArrays,
    pool_load_frac: FloatArray,
    weather: Weather,
    feeds: SiteFeeds | None,
    failures: Failures | None,
) -> _Inputs:
    """Check what was given and lay it out for the kernel."""
    n, n_pools = weather.n_elements, site.pools.static_power_w.shape[0]
    load = _real(pool_load_frac)
    if load.shape != (n, n_pools):
        raise ValueError(f"pool_load_frac has shape {load.shape}; ({n}, {n_pools}) is needed")
    if np.any(np.isnan(load)):
        e, k = np.argwhere(np.isnan(load))[0]
        raise ValueError(f"pool_load_frac[{e}, {k}] is not a number")
    if feeds is not None:
        n_groups = 0 if site.cdus is None else site.cdus.n_groups
        for name, has, needs in (
            ("links.n_racks", feeds.links.n_racks, site.racks.n_racks),
            ("group_node", feeds.group_node.size, n_groups),
            ("hall_node", feeds.hall_node.size, site.halls.n_halls),
            ("plant_node", feeds.plant_node.size, site.plants.n_plants),
        ):
            if has != needs:
                raise ValueError(f"SiteFeeds.{name} counts {has}; the site has {needs}")
        outside = (feeds.tree.hall_index >= site.halls.n_halls) & (feeds.tree.hall_index >= 0)
        if np.any(outside):
            at = int(np.argmax(outside))
            raise ValueError(
                f"feed {feeds.tree.names[at]!r} is in hall {feeds.tree.hall_index[at]}; there are {site.halls.n_halls}"
            )
    fails = failures or Failures()
    plants, halls = site.plants, site.halls
    running = {
        name: _running(f"{name}_running", getattr(fails, f"{name}_running"), installed, n)
        for name, installed in installed_units(site).items()
    }
    # the kernel's columns, in the order that they are declared in
    parts = [running[name] for name, (bank, _) in UNITS_THAT_FAIL.items() if bank == "plants"]
    most = max(part.shape[0] for part in parts)
    runs_p = np.stack([np.broadcast_to(part, (most, plants.n_plants)) for part in parts], axis=2)
    units_failed = fails.feed_units_failed
    if units_failed is not None:
        if feeds is None:
            raise ValueError("Failures.feed_units_failed is given but there are no feeds")
        units_failed = np.atleast_2d(np.asarray(units_failed, dtype=np.int64))
        if units_failed.shape[0] not in (1, n) or units_failed.shape[1] != feeds.tree.n_nodes:
            raise ValueError(
                f"Failures.feed_units_failed has shape {units_failed.shape}; ({n}, {feeds.tree.n_nodes}) is needed"
            )
    no_groups = np.zeros(0, dtype=records(_ONE_GROUP).dtype)
    return _Inputs(
        rows=Rows(
            racks=records(site.racks),
            groups=no_groups if site.cdus is None else records(site.cdus),
            halls=records(halls),
            plants=records(plants),
            static_w=_real(site.pools.static_power_w),
            dynamic_w=_real(site.pools.dynamic_power_w),
            hottest_first=_whole(hottest_first(site.racks)),
        ),
        load=load,
        air=_real(air_states(weather)),
        dew_point=_real(dew_point_degc(weather.humidity_ratio, weather.pressure_pa)),
        own=site.own,
        powered=_running("racks_powered", fails.racks_powered, np.ones(site.racks.n_racks), n),
        runs_g=running["cdus"],
        runs_h=running["air_units"],
        runs_p=_real(runs_p),
        feeds=feeds,
        units_failed=units_failed,
    )


# What the site draws, less the losses of its feeds.
_DRAWN = (
    columns.S_IT,
    columns.S_CDU_PUMP,
    columns.S_PLANT_PUMP,
    columns.S_TOWER_PUMP,
    columns.S_AIR_FAN,
    columns.S_COOLER_FAN,
    columns.S_TOWER_FAN,
    columns.S_CHILLER,
    columns.S_LIGHTING,
)

# A row whose layout stands for a site without CDUs.
_ONE, _FIRST = np.ones(1), np.zeros(1, dtype=np.int64)
_ONE_GROUP = CduBank(_ONE, _ONE, _ONE, _ONE, _ONE, 20.0 * _ONE, _FIRST, _FIRST)


def _report(series: FloatArray, tolerance_k: float) -> SolveReport:
    reasons = series[:, columns.S_REASON].astype(np.int8)
    passes = series[:, columns.S_PASSES].astype(np.int16)
    solved = reasons == Reason.CONVERGED
    failed = int(np.sum(~solved))
    residual = float(np.max(series[solved, columns.S_RESIDUAL], initial=0.0))
    message = f"{reasons.size} elements solved to {residual:.1e} K in at most {passes.max(initial=0)} passes"
    if failed:
        first = int(np.argmax(~solved))
        message = (
            f"{failed} of {reasons.size} elements have no solution; the first is element {first}: "
            f"{Reason(int(reasons[first])).name.lower().replace('_', ' ')}, still moving "
            f"{series[first, columns.S_RESIDUAL]:.3g} K after {passes[first]} passes"
        )
    return SolveReport(
        converged=failed == 0,
        n_failed=failed,
        iterations=passes,
        iterations_p99=float(np.percentile(passes, 99)) if passes.size else 0.0,
        iterations_max=int(passes.max(initial=0)),
        reasons=reasons,
        residual_k=residual,
        tolerance_k=tolerance_k,
        message=message,
    )


def _rack_summary(racks: FloatArray, site: SiteArrays) -> RackSummary:
    """Join the blocks' sums and extremes, in order."""
    highest, lowest = racks.max(axis=0), racks.min(axis=0)
    total = racks.sum(axis=0)
    elements, running = total[:, columns.R_ELEMENTS], total[:, columns.R_RUNNING]
    junction, inlet, coolant = (
        np.where(np.isfinite(highest[:, c]), highest[:, c], np.nan)
        for c in (columns.R_MAX_JUNCTION, columns.R_MAX_INLET, columns.R_MAX_COOLANT)
    )
    none = np.full(elements.shape, np.nan)
    return RackSummary(
        mean_power_w=np.divide(total[:, columns.R_POWER], elements, out=none.copy(), where=elements > 0),
        max_power_w=highest[:, columns.R_MAX_POWER],
        max_junction_degc=junction,
        max_inlet_degc=inlet,
        max_coolant_degc=np.where(site.racks.cdu_index >= 0, coolant, np.nan),
        min_clock_frac=np.where(np.isfinite(lowest[:, columns.R_MIN_CLOCK]), lowest[:, columns.R_MIN_CLOCK], 1.0),
        mean_clock_frac=np.divide(total[:, columns.R_CLOCK], running, out=none, where=running > 0),
        throttled_elements=total[:, columns.R_THROTTLED],
        capped_elements=total[:, columns.R_CAPPED],
        tripped_elements=total[:, columns.R_TRIPPED],
    )


def _result(
    site: SiteArrays,
    tables: _Inputs,
    out: _Tables,
    racks: FloatArray,
    tolerance_k: float,
) -> CoupledResult:
    series, groups, halls, plants = out.series, out.groups, out.halls, out.plants
    drawn = series[:, _DRAWN].sum(axis=1)
    ups_loss = transformer_loss = room_cooling = np.zeros(drawn.shape)
    solved = np.where(np.isnan(drawn), np.nan, 1.0)
    building = (site.own.building_w + site.own.services_w) * solved
    heaters = site.own.heaters_w(tables.air[:, 0]) * solved
    if tables.feeds is None:
        loss, meter, node_w = np.zeros(drawn.shape), drawn + building + heaters, out.nodes
        source_w = meter[:, None]
        power_closure = np.zeros(drawn.shape)
    else:
        feeds = feed_losses(tables.feeds.tree, np.nan_to_num(out.nodes), tables.units_failed)
        tree, by_node = tables.feeds.tree, feeds.node_loss_w * solved[:, None]
        loss = by_node.sum(axis=1)
        kinds = np.array(tree.kinds)
        ups_loss, transformer_loss = (by_node[:, kinds == kind].sum(axis=1) for kind in ("ups", "transformer"))
        own, room_cooling, node_w = own_load_on_feeds(
            tree, site.own, tables.air[:, 0], feeds.node_power_w, feeds.node_loss_w, tables.units_failed
        )
        beside = drawn - out.nodes.sum(axis=1)  # drawn straight from the meter
        meter = (feeds.source_w.sum(axis=1) + beside + own) * solved
        source_w = feeds.source_w + (node_w - feeds.node_power_w)[:, tree.roots]
        first = int(np.searchsorted(tree.roots, _own_node(tree)[0]))
        source_w[:, first] += meter - source_w.sum(axis=1)  # what is drawn straight from the meter
        source_w *= solved[:, None]
        node_w = node_w * solved[:, None]
        power_closure = np.abs(meter + feeds.unserved_w - drawn - own - loss) / np.maximum(np.abs(meter), 1.0)
    channels = None
    if out.channels.size:
        channels = RackChannels(*(out.channels[:, :, k] for k in range(columns.N_CHANNELS)))
    return CoupledResult(
        report=_report(series, tolerance_k),
        it_power_w=series[:, columns.S_IT],
        accelerator_power_w=series[:, columns.S_ACCELERATORS],
        other_it_power_w=series[:, columns.S_OTHER],
        server_fan_power_w=series[:, columns.S_SERVER_FAN],
        shelf_loss_w=series[:, columns.S_SHELF],
        cdu_pump_power_w=series[:, columns.S_CDU_PUMP],
        plant_pump_power_w=series[:, columns.S_PLANT_PUMP],
        tower_pump_power_w=series[:, columns.S_TOWER_PUMP],
        air_unit_fan_power_w=series[:, columns.S_AIR_FAN],
        cooler_fan_power_w=series[:, columns.S_COOLER_FAN],
        tower_fan_power_w=series[:, columns.S_TOWER_FAN],
        chiller_power_w=series[:, columns.S_CHILLER],
        lighting_power_w=series[:, columns.S_LIGHTING],
        feed_loss_w=loss,
        ups_loss_w=ups_loss * solved,
        transformer_loss_w=transformer_loss * solved,
        building_power_w=building,
        heater_power_w=heaters,
        room_cooling_power_w=room_cooling * solved,
        meter_power_w=meter,
        liquid_heat_w=series[:, columns.S_LIQUID],
        air_heat_w=series[:, columns.S_AIR],
        water_kg_s=series[:, columns.S_WATER],
        evaporation_kg_s=series[:, columns.S_EVAPORATION],
        throttled_frac=series[:, columns.S_THROTTLED],
        capped_frac=series[:, columns.S_CAPPED],
        tripped_frac=series[:, columns.S_TRIPPED],
        hottest_junction_degc=series[:, columns.S_JUNCTION],
        feed_level=series[:, columns.S_FEED_LEVEL],
        short_feed=np.nan_to_num(series[:, columns.S_SHORT_FEED], nan=-1).astype(np.int64),
        pool_clock_frac=out.pools[:, :, 0],
        pool_available_frac=out.pools[:, :, 1],
        cdu_supply_degc=groups[:, :, columns.OG_SUPPLY],
        cdu_return_degc=groups[:, :, columns.OG_RETURN],
        cdu_heat_w=groups[:, :, columns.OG_HEAT],
        cdu_flow_frac=groups[:, :, columns.OG_FLOW],
        cdu_valve_frac=groups[:, :, columns.OG_VALVE],
        cdu_load_frac=groups[:, :, columns.OG_LOAD],
        dew_point_margin_k=groups[:, :, columns.OG_DEW],
        cdu_level=groups[:, :, columns.OG_LEVEL],
        cdu_pump_w=groups[:, :, columns.OG_PUMP],
        cdu_primary_kg_s=groups[:, :, columns.OG_PRIMARY],
        hall_supply_degc=halls[:, :, columns.OH_SUPPLY],
        hall_hot_degc=halls[:, :, columns.OH_HOT],
        hall_return_degc=halls[:, :, columns.OH_RETURN],
        hall_inlet_max_degc=halls[:, :, columns.OH_INLET],
        hall_inlet_mean_degc=halls[:, :, columns.OH_MEAN_INLET],
        hall_heat_w=halls[:, :, columns.OH_HEAT],
        hall_air_frac=halls[:, :, columns.OH_AIR],
        hall_server_air_kg_s=halls[:, :, columns.OH_SERVER_AIR],
        hall_unit_air_kg_s=halls[:, :, columns.OH_UNIT_AIR],
        hall_load_frac=halls[:, :, columns.OH_LOAD],
        hall_level=halls[:, :, columns.OH_LEVEL],
        hall_fan_w=halls[:, :, columns.OH_FAN],
        facility_supply_degc=plants[:, :, columns.OP_SUPPLY],
        facility_return_degc=plants[:, :, columns.OP_RETURN],
        facility_heat_w=plants[:, :, columns.OP_HEAT],
        economiser_mode=np.nan_to_num(plants[:, :, columns.OP_MODE], nan=-1).astype(np.int8),
        economiser_heat_w=plants[:, :, columns.OP_FREE],
        chiller_load_frac=plants[:, :, columns.OP_LOAD],
        curve_clamped=plants[:, :, columns.OP_CLAMPED] > 0,
        facility_flow_kg_s=plants[:, :, columns.OP_FLOW],
        facility_pump_w=plants[:, :, columns.OP_PUMP],
        cooler_fan_w=plants[:, :, columns.OP_COOLER],
        tower_fan_w=plants[:, :, columns.OP_TOWER],
        tower_pump_w=plants[:, :, columns.OP_TOWER_PUMP],
        chiller_w=plants[:, :, columns.OP_CHILLER],
        pump_load_frac=plants[:, :, columns.OP_PUMPED],
        outdoor_load_frac=plants[:, :, columns.OP_OUTDOORS],
        plant_level=plants[:, :, columns.OP_LEVEL],
        facility_water_kg_s=plants[:, :, columns.OP_WATER],
        feed_load_w=node_w,
        source_power_w=source_w,
        heat_closure_rel=series[:, columns.S_CLOSURE],
        power_closure_rel=power_closure,
        racks=_rack_summary(racks, site),
        rack_channels=channels,
    )
