"""On-site sources: those that run all year, beside the utility or as an island, and batteries that shave peaks."""

from dataclasses import dataclass

from power_cooling.electrical.peak_shaving import PeakBattery
from power_cooling.electrical.sources import PrimeSource, idle_fuel_frac
from twin.core.inputs.feed_ratings import is_shaving, parallel_utilities, prime_feeds, rating_w
from twin.core.inputs.layout import LayoutInputs, ProductSheet

#: Efficiency at half load over that at rating where a sheet states none, by what turns the fuel: gas engines lose 8 to
#: 10 %, simple-cycle turbines a fifth to a quarter, fuel cells none (EPA, Catalog of CHP Technologies 2017, sections 2,
#: 3 and 6, own recollection).
ASSUMED_HALF_LOAD_FRAC = {"engine": 0.91, "turbine": 0.78, "fuel-cell": 1.0}
NATURAL_GAS = "natural-gas"


@dataclass(frozen=True, slots=True)
class PrimeMover:
    """One described source that runs all year."""

    feed_id: int
    name: str
    product: str
    utility: str | None  # that it runs beside; None: an island
    source: PrimeSource
    fuel: ProductSheet
    fuel_usd_per_kwh: float  # of fuel, lower heating value
    fuel_co2_kg_per_kwh: float
    maintenance_usd_per_kwh: float  # of electricity


def prime_movers(inputs: LayoutInputs) -> list[PrimeMover]:
    """Return the on-site sources that run all year, in the order of the description.

    Raises
    ------
    ValueError
        If one has no product that states its fuel, or its fuel is not in the catalogue.
    """
    beside = parallel_utilities(inputs.feeds)
    found = []
    for feed in prime_feeds(inputs.feeds):
        facts = inputs.facts(feed.product_id)
        fuel = inputs.products.fuels.get(str(facts.get("fuel")))
        if fuel is None:
            known = ", ".join(sorted(inputs.products.fuels)) or "none, so load it again (load_catalogue)"
            raise ValueError(
                f"Feed {feed.name} runs all year, but its product {inputs.product_name(feed.product_id) or '(none)'} "
                f"states fuel {facts.get('fuel')}; the catalogue has {known}"
            )
        full = float(facts["efficiency_full"])
        usual = ASSUMED_HALF_LOAD_FRAC[str(facts.get("prime_mover") or "engine")]
        half = float(facts.get("efficiency_at_50pct") or full * usual)
        utility = beside.get(feed.id)
        found.append(
            PrimeMover(
                feed_id=feed.id,
                name=feed.name,
                product=inputs.product_name(feed.product_id),
                utility=utility,
                source=PrimeSource(
                    rating_w=rating_w(inputs, feed),
                    units=feed.n_units,
                    full_efficiency_frac=full,
                    idle_fuel_frac=idle_fuel_frac(full, max(half, 0.51 * full)),
                    min_load_frac=float(facts.get("min_load_frac") or 0.0),
                    is_island=utility is None,
                    spinning_spare=int(utility is None and feed.redundancy == "N+1" and feed.n_units > 1),
                ),
                fuel=fuel,
                fuel_usd_per_kwh=fuel_price(inputs, fuel),
                fuel_co2_kg_per_kwh=float(fuel.facts["fuel_co2_kg_per_kwh"]),
                maintenance_usd_per_kwh=float(facts.get("maintenance_usd_per_kwh") or 0.0),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class ShavingBattery:
    """The described batteries that shave peaks, together."""

    names: tuple[str, ...]
    energy_j: float  # of all, with the reserve
    battery: PeakBattery  # what of them shaves


def shaving_battery(inputs: LayoutInputs) -> ShavingBattery | None:
    """Return the batteries that shave peaks as one, None where there is none.

    Their round-trip efficiency is the mean over what they hold beyond their reserves.
    """
    rows = [feed for feed in inputs.feeds if is_shaving(feed)]
    if not rows:
        return None
    sheets = [inputs.facts(feed.product_id) for feed in rows]
    energy_j = [float(facts["energy_j"]) * feed.n_units for facts, feed in zip(sheets, rows, strict=True)]
    free_j = [whole * (1.0 - feed.reserve_frac) for whole, feed in zip(energy_j, rows, strict=True)]
    efficiency = [float(facts.get("round_trip_efficiency") or 1.0) for facts in sheets]
    mean = sum(e * j for e, j in zip(efficiency, free_j, strict=True)) / sum(free_j) if sum(free_j) > 0 else 1.0
    power_w = sum(float(facts["power_w"]) * feed.n_units for facts, feed in zip(sheets, rows, strict=True))
    return ShavingBattery(tuple(feed.name for feed in rows), sum(energy_j), PeakBattery(power_w, sum(free_j), mean))


def fuel_price(inputs: LayoutInputs, fuel: ProductSheet) -> float:
    """Return what a kilowatt-hour of a fuel costs: the scenario's price, else the region's of gas, else the fuel's."""
    own = inputs.scenario.fuel_usd_per_kwh
    if own is not None:
        return float(own)
    regional = inputs.site.region.facts.get("gas_usd_per_kwh") if fuel.slug == NATURAL_GAS else None
    return float(fuel.facts["fuel_usd_per_kwh"] if regional is None else regional)
