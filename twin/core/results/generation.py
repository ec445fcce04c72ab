"""What on-site sources generate in an hour and over a year: energy, fuel, cost and carbon, and what the grid is left.

`given_by` dispatches any hours: those of a year, on average over what is out of service, and single ones, with what is
known to be out (`twin.core.solve.dispatch`). Batteries hold the grid, whatever runs, to one peak: the lowest that they
can hold over the year with one unit of each source out, which the demand charge and the connection are held to.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from power_cooling.electrical.peak_shaving import Shaved, hold_peak, shave_peaks
from power_cooling.electrical.sources import prime_power_w
from power_cooling.site_arrays import FloatArray
from power_cooling.site_facts.calendar import HOURS_PER_YEAR
from power_cooling.site_facts.prices import unit_price_usd
from twin.core.failures.components import Component, components
from twin.core.inputs.generation import PrimeMover, ShavingBattery, prime_movers, shaving_battery
from twin.core.results.details import GenerationRow, ShavingRow
from twin.core.solved import Described, HourlyPower, Year

NOTHING_FRAC = 1e-9  # of the site's power: what rounding leaves of an island's
NEGLIGIBLE = 1e-6  # of a year, 30 s, that so many units are out


@dataclass(frozen=True, slots=True, eq=False)
class Generated:
    """One source over the hours, on average over what is out of service. Arrays have shape (n_hours,)."""

    mover: PrimeMover
    power_w: FloatArray
    fuel_w: FloatArray
    one_out_w: FloatArray  # what it gives with one unit out: what the grid must stand ready for


def given_by(
    year: Described, movers: Sequence[PrimeMover], source_power_w: FloatArray, chances: Sequence[FloatArray]
) -> list[Generated]:
    """Return what each source that runs all year gives in some hours, in the order of the description.

    Beside a utility units that are out leave their part to the grid; an island has no one to leave it to: what it
    cannot serve is shed by the solver, and the fuel is that of the whole load. A source that runs beside a utility
    carries all that is transferred to it when the utility is lost.

    Parameters
    ----------
    year : Described
    movers : sequence of PrimeMover
    source_power_w : ndarray, shape (n_hours, n_sources)
        Of the solved hours, in the order of `FeedTree.roots`; what runs beside a utility is in the utility's.
    chances : sequence of ndarray
        Of each mover, the probability of 0, 1 … units out: shape (n,) for all hours or (n_hours, n) for each.
    """
    tree = year.feeds.tree
    root_of = {tree.names[node]: k for k, node in enumerate(tree.roots)}
    left_w = source_power_w.copy()  # of each source, what is not yet given
    left_one_out_w = left_w.copy()  # likewise with one unit of each out
    found = []
    for mover, chance in zip(movers, chances, strict=True):
        k = root_of[mover.utility or mover.name]
        transferred_w = np.zeros(left_w.shape[0]) if mover.utility is None else source_power_w[:, root_of[mover.name]]
        alone = replace(mover.source, is_island=True)
        power_w, fuel_w = np.zeros(left_w.shape[0]), np.zeros(left_w.shape[0])
        for n_out in np.flatnonzero(chance.reshape(-1, chance.shape[-1]).max(axis=0) > NEGLIGIBLE):
            given, burnt = prime_power_w(left_w[:, k], mover.source, int(n_out))
            power_w += chance[..., n_out] * given
            fuel_w += chance[..., n_out] * burnt
            if np.any(transferred_w > 0):
                given, burnt = prime_power_w(transferred_w, alone, int(n_out))
                power_w += chance[..., n_out] * given
                fuel_w += chance[..., n_out] * burnt
        one_out_w, _ = prime_power_w(left_one_out_w[:, k], mover.source, 0 if mover.source.is_island else 1)
        left_w[:, k] = np.maximum(left_w[:, k] - power_w, 0.0)
        left_one_out_w[:, k] = np.maximum(left_one_out_w[:, k] - one_out_w, 0.0)
        found.append(Generated(mover, power_w, fuel_w, one_out_w))
    return found


def generated(year: Year) -> list[Generated]:
    """Return what each source that runs all year gives in each hour of it, on average over what is out of service."""
    movers = prime_movers(year.inputs)
    if not movers:
        return []
    out_of = {component.name: component for component in _prime_components(year)}
    chances = [np.ones(1) if m.source.is_island else out_of[m.name].units_out_pmf() for m in movers]
    return given_by(year, movers, year.power.source_power_w, chances)


def _prime_components(year: Described) -> list[Component]:
    return [c for c in components(year.inputs, year.site, year.feeds) if c.kind == "feed"]


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """Where a year's power comes from. Arrays have shape (n_hours,)."""

    sources: list[Generated]
    grid_w: FloatArray  # from the grid, on average over what is out of service
    held_w: FloatArray  # with one unit of each source out: what the demand charge and the connection are held to
    battery: ShavingBattery | None = None
    shaved: Shaved | None = None
    peak_before_w: float = 0.0  # of `held_w`, were there no battery
    battery_loss_w: float = 0.0  # mean


def supply(year: Year) -> Supply:
    """Return what on-site sources give in each hour, what batteries shave off, and what is left for the grid."""
    sources, battery = generated(year), shaving_battery(year.inputs)
    meter_w = year.power.meter_power_w
    grid_w = left_w(meter_w, [source.power_w for source in sources])
    held_w = left_w(meter_w, [source.one_out_w for source in sources])
    if battery is None:
        return Supply(sources, grid_w, held_w, peak_before_w=float(held_w.max()))
    held = shave_peaks(held_w, battery.battery, step_s(year))
    shaved = hold_peak(grid_w, held.peak_w, battery.battery, step_s(year))
    loss_w = float(shaved.loss_w.mean())
    return Supply(sources, shaved.grid_w, held.grid_w, battery, shaved, float(held_w.max()), loss_w)


@dataclass(frozen=True, slots=True, eq=False)
class InService:
    """Where a year's power comes from in hours in which nothing is out of service. Arrays have shape (n_hours,)."""

    onsite_w: FloatArray
    fuel_w: FloatArray
    grid_w: FloatArray
    shaved: Shaved | None  # None without batteries that shave peaks
    held_peak_w: float = 0.0  # that these hold the grid to

    def stored_j(self, battery: ShavingBattery) -> FloatArray:
        """Return what batteries have beyond their reserve when each hour begins [J]; they begin the year full."""
        after_j = np.zeros(0) if self.shaved is None else self.shaved.stored_j[:-1]
        return np.concatenate([[battery.battery.energy_j], after_j])


def in_service(year: Described, power: HourlyPower) -> InService:
    """Return where a year's power comes from in hours in which nothing is out of service, as a drawing shows them."""
    movers, battery = prime_movers(year.inputs), shaving_battery(year.inputs)
    given = given_by(year, movers, power.source_power_w, [np.ones(1)] * len(movers))
    grid_w = left_w(power.meter_power_w, [source.power_w for source in given])
    shaved, held_peak_w = None, 0.0
    if battery is not None:
        held_w = left_w(power.meter_power_w, [source.one_out_w for source in given])
        held_peak_w = shave_peaks(held_w, battery.battery, step_s(year)).peak_w
        shaved = hold_peak(grid_w, held_peak_w, battery.battery, step_s(year))
    none = np.zeros(grid_w.shape)
    return InService(
        onsite_w=sum((source.power_w for source in given), none),
        fuel_w=sum((source.fuel_w for source in given), none),
        grid_w=grid_w if shaved is None else shaved.grid_w,
        shaved=shaved,
        held_peak_w=held_peak_w,
    )


def step_s(year: Described) -> float:
    """Return how long each hour of a year stands for [s]."""
    return HOURS_PER_YEAR / year.weather.n_elements * 3600.0


def left_w(meter_w: FloatArray, given_w: Sequence[FloatArray]) -> FloatArray:
    """Return what sources leave to the grid in each hour [W]."""
    left = meter_w - sum(given_w)
    return np.where(left > NOTHING_FRAC * meter_w, left, 0.0)


def carbon_kg_per_kwh(year: Year, supplied: Supply) -> FloatArray:
    """Return the carbon of each hour's energy, from grid and fuel together, shape (n_hours,)."""
    grid = float(year.inputs.site.region.facts["grid_carbon_kg_per_kwh"])
    meter, sources = year.power.meter_power_w, supplied.sources
    if not sources and supplied.battery is None:
        return np.full(meter.shape, grid)
    emitted = grid * supplied.grid_w + sum(s.mover.fuel_co2_kg_per_kwh * s.fuel_w for s in sources)
    return np.divide(emitted, meter, out=np.full(meter.shape, grid), where=meter > 0)


def fuel_usd(sources: list[Generated]) -> float:
    """Return what a year's fuel costs [USD]."""
    return sum(_kwh(source.fuel_w) * source.mover.fuel_usd_per_kwh for source in sources)


def maintenance_usd(sources: list[Generated]) -> float:
    """Return what a year of running the sources costs beside fuel [USD]."""
    return sum(_kwh(source.power_w) * source.mover.maintenance_usd_per_kwh for source in sources)


def _kwh(power_w: FloatArray) -> float:
    """Return the energy of a year at the mean power [kWh]."""
    return float(power_w.mean()) / 1e3 * HOURS_PER_YEAR


def fuel_price_frac(year: Described, sources: list[Generated]) -> tuple[float, float] | None:
    """Return low and high of what fuel costs over what is reckoned with; None where none is burnt or a price is given.

    A region's own price of gas is as uncertain as that of the United States.
    """
    whole = fuel_usd(sources)
    if whole <= 0 or year.inputs.scenario.fuel_usd_per_kwh is not None:
        return None
    ends = []
    for name in ("fuel_low_usd_per_kwh", "fuel_high_usd_per_kwh"):
        at_end = [float(s.mover.fuel.facts[name]) / float(s.mover.fuel.facts["fuel_usd_per_kwh"]) for s in sources]
        ends.append(sum(e * fuel_usd([s]) for e, s in zip(at_end, sources, strict=True)) / whole)
    return ends[0], ends[1]


def generation_rows(
    year: Year, sources: list[Generated], plant_usd_per_usd: float, plant_payment_frac: float
) -> list[GenerationRow]:
    """Return what a page shows of each source.

    Parameters
    ----------
    year : Year
    sources : list of Generated
    plant_usd_per_usd : float
        Installed over the catalogue's price.
    plant_payment_frac : float
        Yearly payment over what was installed [1/yr].
    """
    whole_kwh = _kwh(year.power.meter_power_w)
    rows = []
    for source in sources:
        mover = source.mover
        kwh, fuel_kwh = _kwh(source.power_w), _kwh(source.fuel_w)
        feed = next(feed for feed in year.inputs.feeds if feed.id == mover.feed_id)
        sheet = year.inputs.products.by_id[feed.product_id or 0]
        price = unit_price_usd(sheet.kind, sheet.facts)
        capital_usd = None if price is None else price * feed.n_units * plant_usd_per_usd
        fuel, upkeep = kwh and fuel_usd([source]) / kwh, kwh and maintenance_usd([source]) / kwh
        paid = None if capital_usd is None or not kwh else capital_usd * plant_payment_frac / kwh
        rows.append(
            GenerationRow(
                name=mover.name,
                product=mover.product,
                beside=mover.utility or "",
                n_units=mover.source.units,
                unit_rating_w=mover.source.rating_w,
                fuel=mover.fuel.name,
                fuel_usd_per_kwh=mover.fuel_usd_per_kwh,
                mean_power_w=float(source.power_w.mean()),
                share_frac=kwh / whole_kwh if whole_kwh > 0 else 0.0,
                capacity_factor_frac=float(source.power_w.mean()) / (mover.source.rating_w * mover.source.units),
                efficiency_frac=kwh / fuel_kwh if fuel_kwh > 0 else None,
                fuel_kwh_per_year=fuel_kwh,
                fuel_usd_per_year=fuel_usd([source]),
                maintenance_usd_per_year=maintenance_usd([source]),
                carbon_kg_per_year=fuel_kwh * mover.fuel_co2_kg_per_kwh,
                capital_usd=capital_usd,
                usd_per_kwh=None if paid is None else fuel + upkeep + paid,
                carbon_kg_per_kwh=fuel_kwh * mover.fuel_co2_kg_per_kwh / kwh if kwh > 0 else None,
            )
        )
    return rows


def shaving_row(supplied: Supply, demand_charge_usd_per_kw_month: float) -> ShavingRow | None:
    """Return what batteries shaved off the peak, None where none does.

    Cycles are of what is beyond the reserve. The reserve lasts as long as said at the highest power before shaving.
    """
    battery, shaved = supplied.battery, supplied.shaved
    if battery is None or shaved is None:
        return None
    peak_w, free_j = float(supplied.held_w.max()), battery.battery.energy_j
    fallen_j = float(np.maximum(-np.diff(shaved.stored_j, prepend=free_j), 0.0).sum())
    reserve_j = battery.energy_j - free_j
    return ShavingRow(
        names=battery.names,
        power_w=battery.battery.power_w,
        energy_j=battery.energy_j,
        reserve_j=reserve_j,
        reserve_s=reserve_j / supplied.peak_before_w if supplied.peak_before_w > 0 else None,
        peak_before_w=supplied.peak_before_w,
        peak_after_w=peak_w,
        saved_usd_per_year=(supplied.peak_before_w - peak_w) / 1e3 * 12 * demand_charge_usd_per_kw_month,
        loss_w=supplied.battery_loss_w,
        cycles_per_year=fallen_j / free_j if free_j > 0 else 0.0,
        lowest_charge_frac=(reserve_j + float(shaved.stored_j.min())) / battery.energy_j,
    )
