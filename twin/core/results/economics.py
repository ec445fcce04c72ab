"""What a token costs: capital, energy, demand charge, water, maintenance, staff and licences; colocated and rented too.

Capital follows what is drawn; see `capital`. All prices are those of the catalogue's year: capital is paid back at the
rate that inflation leaves of the cost of capital, less what its residual value is worth at the end of its life.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from compute.token_mix import blended_usd
from power_cooling.site_facts.calendar import HOURS_PER_YEAR
from twin.core.inputs.layout import LayoutInputs
from twin.core.results import capital
from twin.core.results.details import CapitalLine, CostItem, CostOption, Sensitivity

SYSTEMS_AND_NETWORK = "Systems, network and storage"
PLANT = "Power and cooling as drawn, installed"
BUILDING = "Building, site and engineering"
#: What the ends of the capital rest on: prices all low or all high.
PRICE_BOUNDS = ("systems_price_frac", "plant_price_frac", "facility_usd_per_w", "network_frac")
OWN, COLOCATE, RENT = "Built and owned", "Own systems, colocated", "Accelerators rented"
RESIDUAL_YEARS = 3.0  # after which the catalogue states what systems are still worth
PriceBounds = dict[str, tuple[float, float, str]]  # low, high and unit, by the name of a field of `Prices`
J_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Quantities:
    """What a year of a layout uses and makes."""

    output_tokens: float  # per year
    input_tokens: float
    good_tokens: float  # output tokens of requests inside all targets
    prompt_frac: float  # of the accelerators' serving time that reading prompts takes
    it_capital_usd: float  # systems at catalogue price
    plant_usd: float  # drawn power and cooling at catalogue prices, before installation
    nameplate_power_w: float
    energy_j: float  # from the grid, per year
    peak_power_w: float  # from the grid
    water_m3: float  # per year
    carbon_kg: float  # of the grid's energy and of fuel, per year
    liquid_frac: float  # of the nameplate power, in racks on CDUs
    n_accelerators: float
    rent_usd_per_h: float | None  # the same accelerators at the market's reserved price; None where it is not known
    network_capital_usd: float | None = None  # of the described networks; None: none is, a share of the systems'
    storage_capital_usd: float | None = None  # of described shared storage, likewise
    cache_capital_usd: float = 0.0  # of the described cache tier, beside it
    cpu_capital_usd: float = 0.0  # of described CPU servers
    fuel_usd: float = 0.0  # of on-site generation, per year at the prices reckoned with
    generation_usd: float = 0.0  # its operation and maintenance beside fuel, per year


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices and financing assumptions, USD of the catalogue's year."""

    electricity_usd_per_kwh: float
    demand_charge_usd_per_kw_month: float
    water_usd_per_m3: float
    facility_usd_per_w: float  # of rated IT power, published: land, shell, plant, engineering, commissioning
    plant_share_frac: float  # of that, plant as it is usually installed: taken out, since the plant is drawn
    installation_factor: float  # installed over the price of the piece: labour, pipes, cables, controls, contractor
    region_factor: float  # of installing and building, over the United States
    liquid_premium_frac: float  # of a building for liquid cooling, over one for air
    systems_price_frac: float  # of the catalogue's price
    plant_price_frac: float
    wacc_frac: float
    inflation_frac: float  # per year
    accelerator_years: float
    plant_years: float
    facility_years: float
    systems_residual_frac: float  # of the price, after `RESIDUAL_YEARS`
    plant_residual_frac: float  # at the end of its life
    facility_residual_frac: float
    network_frac: float  # of the systems' price
    storage_frac: float
    hardware_maintenance_frac: float  # of IT capital, per year
    facility_maintenance_frac: float
    staff_fte_per_mw: float
    staff_usd_per_fte: float
    staff_it_share_frac: float  # that a landlord's or provider's price does not hold
    carbon_usd_per_t: float  # paid beside the electricity price
    colocation_usd_per_kw_month: float  # electricity passed on at cost
    rent_frac: float  # of the market's reserved price
    licence_usd_per_accelerator: float  # per year
    fuel_price_frac: float = 1.0  # of the prices of fuel reckoned with


def capital_recovery_frac(rate_frac: float, years: float) -> float:
    """Return the yearly payment per unit of capital over `years` at interest `rate_frac` [1/yr].

    Raises
    ------
    ValueError
        If the years are not positive or the rate is negative.
    """
    if years <= 0 or rate_frac < 0:
        raise ValueError(f"rate {rate_frac:g} over {years:g} years; the rate must be 0 or more and the years above 0")
    if rate_frac == 0:
        return 1.0 / years
    return rate_frac / (1.0 - (1.0 + rate_frac) ** -years)


def real_rate_frac(prices: Prices) -> float:
    """Return the cost of capital in constant prices [1/yr]: what inflation leaves of it, 0 at least."""
    return max((1.0 + prices.wacc_frac) / (1.0 + prices.inflation_frac) - 1.0, 0.0)


def capital_payments_usd(used: Quantities, prices: Prices) -> dict[str, float]:
    """Return what each part of the capital costs a year, less what its residual value is worth [USD/yr]."""
    rate = real_rate_frac(prices)
    # Systems lose the same part of what they are worth each year.
    systems_left = prices.systems_residual_frac ** (prices.accelerator_years / RESIDUAL_YEARS)
    lives = {
        SYSTEMS_AND_NETWORK: (prices.accelerator_years, systems_left),
        PLANT: (prices.plant_years, prices.plant_residual_frac),
        BUILDING: (prices.facility_years, prices.facility_residual_frac),
    }
    built = capital_usd(used, prices)
    return {
        name: built[name] * (1.0 - left * (1.0 + rate) ** -years) * capital_recovery_frac(rate, years)
        for name, (years, left) in lives.items()
    }


def plant_payment_frac(prices: Prices) -> float:
    """Return the yearly payment over what drawn plant cost to install [1/yr], less its residual value."""
    rate, years = real_rate_frac(prices), prices.plant_years
    return (1.0 - prices.plant_residual_frac * (1.0 + rate) ** -years) * capital_recovery_frac(rate, years)


def capital_usd(used: Quantities, prices: Prices) -> dict[str, float]:
    """Return what a layout costs to build, by the line of the yearly bill that pays it back [USD]."""
    systems = used.it_capital_usd * prices.systems_price_frac
    plant = used.plant_usd * prices.plant_price_frac
    described = used.network_capital_usd
    network = systems * prices.network_frac if described is None else described * prices.systems_price_frac
    return {
        SYSTEMS_AND_NETWORK: systems + storage_usd(used, prices) + cpu_usd(used, prices) + network,
        PLANT: plant * prices.installation_factor * prices.region_factor,
        BUILDING: used.nameplate_power_w
        * prices.facility_usd_per_w
        * (1 - prices.plant_share_frac)
        * (1 + prices.liquid_premium_frac * used.liquid_frac),
    }


def storage_usd(used: Quantities, prices: Prices) -> float:
    """Return what storage costs to buy [USD]: as described, else a share of the systems', and the cache tier."""
    described = used.storage_capital_usd
    shared = used.it_capital_usd * prices.storage_frac if described is None else described
    return (shared + used.cache_capital_usd) * prices.systems_price_frac


def cpu_usd(used: Quantities, prices: Prices) -> float:
    """Return what the described CPU servers cost to buy [USD]."""
    return used.cpu_capital_usd * prices.systems_price_frac


def capital_lines(used: Quantities, prices: Prices, bounds: PriceBounds) -> list[CapitalLine]:
    """Return what a layout costs to build, line by line, with the ends of what its prices may be."""

    def at_end(low_or_high: int) -> dict[str, float]:
        ends: dict[str, Any] = {name: bounds[name][low_or_high] for name in PRICE_BOUNDS if name in bounds}
        return capital_usd(used, replace(prices, **ends))

    low, high = at_end(0), at_end(1)
    return [CapitalLine(item, usd, low[item], high[item]) for item, usd in capital_usd(used, prices).items()]


def yearly_costs(used: Quantities, prices: Prices) -> list[CostItem]:
    """Return the yearly bill of owning and running a layout, line by line [USD/yr]."""
    payments = capital_payments_usd(used, prices)
    return [*(CostItem(name, usd) for name, usd in payments.items()), *running_costs(used, prices)]


def running_costs(used: Quantities, prices: Prices) -> list[CostItem]:
    """Return what an owned layout costs a year beside its capital, line by line [USD/yr]."""
    built = capital_usd(used, prices)
    facility_capital = built[PLANT] + built[BUILDING]
    return [
        *_metered(used, prices),
        CostItem("Water", used.water_m3 * prices.water_usd_per_m3),
        CostItem("Hardware maintenance", built[SYSTEMS_AND_NETWORK] * prices.hardware_maintenance_frac),
        CostItem("Facility maintenance", facility_capital * prices.facility_maintenance_frac),
        CostItem("Staff", _staff_usd(used, prices)),
        CostItem("Software licences", used.n_accelerators * prices.licence_usd_per_accelerator),
    ]


def _metered(used: Quantities, prices: Prices) -> list[CostItem]:
    return [
        CostItem("Energy", used.energy_j / J_PER_KWH * prices.electricity_usd_per_kwh),
        CostItem("Demand charge", used.peak_power_w / 1e3 * 12 * prices.demand_charge_usd_per_kw_month),
        CostItem("Carbon", used.carbon_kg / 1e3 * prices.carbon_usd_per_t),
        *(
            CostItem(name, usd)
            for name, usd in (
                ("Fuel", used.fuel_usd * prices.fuel_price_frac),
                ("On-site generation", used.generation_usd),
            )
            if usd > 0
        ),
    ]


def _staff_usd(used: Quantities, prices: Prices) -> float:
    return used.nameplate_power_w / 1e6 * prices.staff_fte_per_mw * prices.staff_usd_per_fte


def colocated_costs(used: Quantities, prices: Prices) -> list[CostItem]:
    """Return the yearly bill of own systems in a landlord's hall, line by line [USD/yr].

    The landlord's price holds plant, building, water and the staff that runs them; electricity is passed on.
    """
    systems = SYSTEMS_AND_NETWORK
    maintenance = capital_usd(used, prices)[systems] * prices.hardware_maintenance_frac
    return [
        CostItem(systems, capital_payments_usd(used, prices)[systems]),
        CostItem("Colocation", used.nameplate_power_w / 1e3 * 12 * prices.colocation_usd_per_kw_month),
        *_metered(used, prices),
        CostItem("Hardware maintenance", maintenance),
        CostItem("Staff", _staff_usd(used, prices) * prices.staff_it_share_frac),
        CostItem("Software licences", used.n_accelerators * prices.licence_usd_per_accelerator),
    ]


def rented_costs(used: Quantities, prices: Prices) -> list[CostItem] | None:
    """Return the yearly bill of the same accelerators rented all year [USD/yr], or None where no rent is known.

    The provider's price holds systems, their network, plant, building, energy and repairs. Storage, licences and the
    staff that runs the service, and CPU servers that are described, are paid beside it, as the owner pays them.
    """
    if used.rent_usd_per_h is None:
        return None
    whole = capital_usd(used, prices)[SYSTEMS_AND_NETWORK]
    per_usd = capital_payments_usd(used, prices)[SYSTEMS_AND_NETWORK] / whole if whole > 0 else 0.0
    yearly = per_usd + prices.hardware_maintenance_frac
    cpus = [CostItem("CPU servers", cpu_usd(used, prices) * yearly)] if used.cpu_capital_usd else []
    return [
        CostItem("Rent", used.rent_usd_per_h * prices.rent_frac * HOURS_PER_YEAR),
        CostItem("Storage", storage_usd(used, prices) * yearly),
        *cpus,
        CostItem("Staff", _staff_usd(used, prices) * prices.staff_it_share_frac),
        CostItem("Software licences", used.n_accelerators * prices.licence_usd_per_accelerator),
    ]


def options(used: Quantities, prices: Prices) -> list[CostOption]:
    """Return owning, colocating and renting side by side, like for like: the same tokens, staff, licences and storage.

    `owning_wins_month` is the month from which what has been spent on owning, capital first, is less than what has been
    spent on the other, both discounted; None where that does not happen within the life of the accelerators.
    """
    built = capital_usd(used, prices)
    paid_once = {OWN: sum(built.values()), COLOCATE: built[SYSTEMS_AND_NETWORK], RENT: 0.0}
    found = []
    for name, items in (
        (OWN, yearly_costs(used, prices)),
        (COLOCATE, colocated_costs(used, prices)),
        (RENT, rented_costs(used, prices)),
    ):
        if items is None:
            continue
        usd = sum(item.usd_per_year for item in items)
        running = sum(item.usd_per_year for item in items if item.item not in built)
        month = None if name == OWN else _owning_wins_month(used, prices, paid_once[name], running)
        found.append(
            CostOption(
                name=name,
                usd_at_start=paid_once[name],
                usd_per_year=usd,
                cost_per_million_output_tokens_usd=per_million_tokens_usd(usd, used.output_tokens),
                owning_wins_month=month,
                items=tuple(items),
            )
        )
    return found


def _owning_wins_month(used: Quantities, prices: Prices, at_start_usd: float, running_usd: float) -> int | None:
    """Return the first month with less spent on owning than on an option of this first and yearly cost."""
    months = np.arange(1, int(round(12 * prices.accelerator_years)) + 1)
    worth = np.cumsum((1.0 + real_rate_frac(prices)) ** (-months / 12.0)) / 12.0  # of one dollar a year
    owned = sum(capital_usd(used, prices).values()) + _total(running_costs(used, prices)) * worth
    cheaper = np.flatnonzero(owned < at_start_usd + running_usd * worth)
    return int(months[cheaper[0]]) if cheaper.size else None


def per_million_tokens_usd(usd_per_year: float, output_tokens: float) -> float | None:
    """Return USD per million output tokens, or None where no token was made."""
    return usd_per_year / (output_tokens / 1e6) if output_tokens > 0 else None


@lru_cache(maxsize=256)  # a band asks for it at every bound of every price, and four costs divide the same bills
def owned_bill_usd(used: Quantities, prices: Prices) -> float:
    """Return the yearly bill of owning and running a layout [USD/yr]."""
    return _total(yearly_costs(used, prices))


def owned_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of a million output tokens of an owned layout [USD], or None where no token was made."""
    return per_million_tokens_usd(owned_bill_usd(used, prices), used.output_tokens)


def good_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of a million good tokens of an owned layout [USD], or None where none was made."""
    return per_million_tokens_usd(owned_bill_usd(used, prices), used.good_tokens)


def input_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of reading a million input tokens [USD]: the share of the bill that prompts take of the time."""
    bill = owned_bill_usd(used, prices)
    return per_million_tokens_usd(bill * used.prompt_frac, used.input_tokens)


def blended_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of a million tokens, three read to one written, each at what it costs to serve [USD]."""
    bill = owned_bill_usd(used, prices)
    read = per_million_tokens_usd(bill * used.prompt_frac, used.input_tokens)
    written = per_million_tokens_usd(bill * (1 - used.prompt_frac), used.output_tokens)
    return None if read is None or written is None else blended_usd(read, written)


def rented_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of a million output tokens with the same accelerators rented all year [USD], or None."""
    items = rented_costs(used, prices)
    return None if items is None else per_million_tokens_usd(_total(items), used.output_tokens)


def colocated_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of a million output tokens of own systems in a landlord's hall [USD], or None."""
    return per_million_tokens_usd(_total(colocated_costs(used, prices)), used.output_tokens)


def _total(items: list[CostItem]) -> float:
    return sum(item.usd_per_year for item in items)


def price_ends(prices: Prices, bounds: PriceBounds) -> list[tuple[Prices, Prices]]:
    """Return the prices with each bounded input at its low and at its high end, the others as they are."""
    return [
        (replace(prices, **{name: low}), replace(prices, **{name: high})) for name, (low, high, _) in bounds.items()
    ]


def price_band_log(
    cost: Callable[[Quantities, Prices], float | None],
    used: Quantities,
    prices: Prices,
    price_ends: Sequence[tuple[Prices, Prices]],
) -> tuple[float, float]:
    """Return how far a cost may lie below and above for its prices, lives and licences, in logarithms.

    Each input moves between its bounds alone; what they do is independent and adds in quadrature.
    """
    base = cost(used, prices)
    if base is None or not base > 0:
        return 0.0, 0.0
    below = above = 0.0
    for low_and_high in price_ends:
        ends = [cost(used, moved) or base for moved in low_and_high]
        below = np.hypot(below, np.log(min(base, *ends) / base))
        above = np.hypot(above, np.log(max(base, *ends) / base))
    return -float(below), float(above)


def sensitivities(used: Quantities, prices: Prices, bounds: PriceBounds) -> list[Sensitivity]:
    """Return the cost at both ends of each input in `bounds` (name of a `Prices` field: low, high, unit)."""
    lines = []
    for name, (low, high, unit) in bounds.items():
        at_low = owned_cost_usd(used, replace(prices, **{name: low}))
        at_high = owned_cost_usd(used, replace(prices, **{name: high}))
        lines.append(Sensitivity(name, low, high, unit, at_low, at_high))
    return sorted(lines, key=lambda line: -abs((line.cost_high_usd or 0.0) - (line.cost_low_usd or 0.0)))


def prices_of(inputs: LayoutInputs) -> tuple[Prices, PriceBounds]:
    """Return a snapshot's prices, and the low and high of those that the catalogue gives a range for."""
    return prices_by_facts(
        {slug: entry.facts for slug, entry in inputs.products.finance.items()},
        inputs.site.region.facts,
        capital.cost_row(inputs).facts,
        inputs.products.facility_capex[capital.US_ROW].facts,
        inputs.scenario.electricity_usd_per_kwh,
    )


def prices_by_facts(
    finance: Mapping[str, Mapping[str, Any]],
    region: Mapping[str, Any],
    row: Mapping[str, Any],
    usual: Mapping[str, Any],
    own_price: float | None = None,
) -> tuple[Prices, PriceBounds]:
    """Return prices and their bounds from catalogue facts.

    Parameters
    ----------
    finance : mapping
        Facts of the financial assumptions, by slug.
    region, row, usual : mapping
        Facts of the region, of the published cost of a facility there, and of that in the United States.
    own_price : float, optional
        Electricity [USD/kWh]; None takes the region's.

    Raises
    ------
    ValueError
        If the catalogue lacks a financial assumption.
    """

    def value(slug: str) -> float:
        if slug not in finance:
            raise ValueError(f"The catalogue has no financial assumption {slug}; load it again (load_catalogue)")
        return float(finance[slug]["value"])

    prices = Prices(
        electricity_usd_per_kwh=region["electricity_usd_per_kwh"] if own_price is None else own_price,
        demand_charge_usd_per_kw_month=value("demand-charge-usd-per-kw-month"),
        water_usd_per_m3=region["water_usd_per_m3"],
        facility_usd_per_w=row["usd_per_w"],
        liquid_premium_frac=value("liquid-cooling-premium-frac"),
        plant_share_frac=value("plant-share-of-facility-cost"),
        installation_factor=value("plant-installation-factor"),
        region_factor=row["usd_per_w"] / usual["usd_per_w"],
        systems_price_frac=value("systems-price-frac"),
        plant_price_frac=value("plant-price-frac"),
        wacc_frac=value("wacc"),
        inflation_frac=value("inflation"),
        accelerator_years=value("gpu-depreciation-years"),
        plant_years=value("mep-depreciation-years"),
        facility_years=value("facility-depreciation-years"),
        systems_residual_frac=value("residual-value-frac-after-3y"),
        plant_residual_frac=value("plant-residual-value-frac"),
        facility_residual_frac=value("facility-residual-value-frac"),
        network_frac=value("network-frac-of-gpu-capex"),
        storage_frac=value("storage-frac-of-gpu-capex"),
        hardware_maintenance_frac=value("hardware-maintenance-frac-of-capex"),
        facility_maintenance_frac=value("facility-maintenance-frac-of-capex"),
        staff_fte_per_mw=value("staff-fte-per-mw"),
        staff_usd_per_fte=value("staff-cost-usd-per-fte-year"),
        staff_it_share_frac=value("staff-it-share"),
        carbon_usd_per_t=value("carbon-price-usd-per-t"),
        colocation_usd_per_kw_month=value("colocation-usd-per-kw-month"),
        rent_frac=1.0,
        licence_usd_per_accelerator=value("software-licence-usd-per-gpu-year"),
    )

    def facility_end(name: str) -> float:
        return row.get(name) or row["usd_per_w"] * usual[name] / usual["usd_per_w"]

    bounds: PriceBounds = {
        "electricity_usd_per_kwh": (
            region["electricity_low_usd_per_kwh"],
            region["electricity_high_usd_per_kwh"],
            "$/kWh",
        ),
        # Rows without a range of their own spread as that of the United States does.
        "facility_usd_per_w": (facility_end("usd_per_w_low"), facility_end("usd_per_w_high"), "$/W"),
    }
    for name, slug, unit in (
        ("wacc_frac", "wacc", "1/yr"),
        ("inflation_frac", "inflation", "1/yr"),
        ("accelerator_years", "gpu-depreciation-years", "yr"),
        ("plant_years", "mep-depreciation-years", "yr"),
        ("facility_years", "facility-depreciation-years", "yr"),
        ("systems_residual_frac", "residual-value-frac-after-3y", "of the price after 3 years"),
        ("plant_residual_frac", "plant-residual-value-frac", "of the price"),
        ("facility_residual_frac", "facility-residual-value-frac", "of the price"),
        ("liquid_premium_frac", "liquid-cooling-premium-frac", "of the building"),
        ("systems_price_frac", "systems-price-frac", "of the catalogue's price"),
        ("plant_price_frac", "plant-price-frac", "of the catalogue's price"),
        ("plant_share_frac", "plant-share-of-facility-cost", "of the published cost"),
        ("installation_factor", "plant-installation-factor", "of the price"),
        ("network_frac", "network-frac-of-gpu-capex", "of systems"),
        ("demand_charge_usd_per_kw_month", "demand-charge-usd-per-kw-month", "$/kW month"),
        ("staff_fte_per_mw", "staff-fte-per-mw", "FTE/MW"),
        ("staff_usd_per_fte", "staff-cost-usd-per-fte-year", "$"),
        ("staff_it_share_frac", "staff-it-share", "of staff"),
        ("licence_usd_per_accelerator", "software-licence-usd-per-gpu-year", "$"),
        ("carbon_usd_per_t", "carbon-price-usd-per-t", "$/t"),
        ("colocation_usd_per_kw_month", "colocation-usd-per-kw-month", "$/kW month"),
        ("hardware_maintenance_frac", "hardware-maintenance-frac-of-capex", "1/yr"),
        ("facility_maintenance_frac", "facility-maintenance-frac-of-capex", "1/yr"),
    ):
        if "low" in finance[slug]:
            bounds[name] = (float(finance[slug]["low"]), float(finance[slug]["high"]), unit)
    return prices, bounds
