"""What a token costs: capital, energy, demand charge, water, maintenance, staff and licences; and the same rented.

Capital follows what is drawn; see `capital`.
"""

from dataclasses import dataclass, replace
from typing import Any

from twin.core.inputs.layout import LayoutInputs
from twin.core.results import capital
from twin.core.results.details import CapitalLine, CostItem, Sensitivity

SYSTEMS_AND_NETWORK = "Systems, network and storage"
PLANT = "Power and cooling as drawn, installed"
BUILDING = "Building, site and engineering"
#: What the ends of the capital rest on: prices all low or all high.
PRICE_BOUNDS = ("systems_price_frac", "plant_price_frac", "facility_usd_per_w", "network_frac")
HOURS_PER_YEAR = 8760.0
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
    energy_j: float  # at the meter, per year
    peak_power_w: float
    water_m3: float  # per year
    n_accelerators: float
    rent_usd_per_h: float | None  # the same accelerators at the market's reserved price; None where it is not known
    network_capital_usd: float | None = None  # of the described networks; None: none is, a share of the systems'


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
    systems_price_frac: float  # of the catalogue's price
    plant_price_frac: float
    wacc_frac: float
    accelerator_years: float
    plant_years: float
    facility_years: float
    network_frac: float  # of the systems' price
    storage_frac: float
    hardware_maintenance_frac: float  # of IT capital, per year
    facility_maintenance_frac: float
    staff_fte_per_mw: float
    staff_usd_per_fte: float
    licence_usd_per_accelerator: float  # per year


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


def capital_usd(used: Quantities, prices: Prices) -> dict[str, float]:
    """Return what a layout costs to build, by the line of the yearly bill that pays it back [USD]."""
    systems = used.it_capital_usd * prices.systems_price_frac
    plant = used.plant_usd * prices.plant_price_frac
    described = used.network_capital_usd
    network = systems * prices.network_frac if described is None else described * prices.systems_price_frac
    return {
        SYSTEMS_AND_NETWORK: systems * (1 + prices.storage_frac) + network,
        PLANT: plant * prices.installation_factor * prices.region_factor,
        BUILDING: used.nameplate_power_w * prices.facility_usd_per_w * (1 - prices.plant_share_frac),
    }


def capital_lines(used: Quantities, prices: Prices, bounds: PriceBounds) -> list[CapitalLine]:
    """Return what a layout costs to build, line by line, with the ends of what its prices may be."""

    def at_end(low_or_high: int) -> dict[str, float]:
        ends: dict[str, Any] = {name: bounds[name][low_or_high] for name in PRICE_BOUNDS if name in bounds}
        return capital_usd(used, replace(prices, **ends))

    low, high = at_end(0), at_end(1)
    return [CapitalLine(item, usd, low[item], high[item]) for item, usd in capital_usd(used, prices).items()]


def yearly_costs(used: Quantities, prices: Prices) -> list[CostItem]:
    """Return the yearly bill of owning and running a layout, line by line [USD/yr]."""
    built = capital_usd(used, prices)
    it_capital = built[SYSTEMS_AND_NETWORK]
    facility_capital = built[PLANT] + built[BUILDING]
    years = {
        SYSTEMS_AND_NETWORK: prices.accelerator_years,
        PLANT: prices.plant_years,
        BUILDING: prices.facility_years,
    }
    return [
        *(CostItem(name, usd * capital_recovery_frac(prices.wacc_frac, years[name])) for name, usd in built.items()),
        CostItem("Energy", used.energy_j / J_PER_KWH * prices.electricity_usd_per_kwh),
        CostItem("Demand charge", used.peak_power_w / 1e3 * 12 * prices.demand_charge_usd_per_kw_month),
        CostItem("Water", used.water_m3 * prices.water_usd_per_m3),
        CostItem("Hardware maintenance", it_capital * prices.hardware_maintenance_frac),
        CostItem("Facility maintenance", facility_capital * prices.facility_maintenance_frac),
        CostItem("Staff", used.nameplate_power_w / 1e6 * prices.staff_fte_per_mw * prices.staff_usd_per_fte),
        CostItem("Software licences", used.n_accelerators * prices.licence_usd_per_accelerator),
    ]


def per_million_tokens_usd(usd_per_year: float, output_tokens: float) -> float | None:
    """Return USD per million output tokens, or None where no token was made."""
    return usd_per_year / (output_tokens / 1e6) if output_tokens > 0 else None


def owned_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of a million output tokens of an owned layout [USD], or None where no token was made."""
    return per_million_tokens_usd(sum(line.usd_per_year for line in yearly_costs(used, prices)), used.output_tokens)


def good_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of a million good tokens of an owned layout [USD], or None where none was made."""
    return per_million_tokens_usd(sum(line.usd_per_year for line in yearly_costs(used, prices)), used.good_tokens)


def input_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of reading a million input tokens [USD]: the share of the bill that prompts take of the time."""
    bill = sum(line.usd_per_year for line in yearly_costs(used, prices))
    return per_million_tokens_usd(bill * used.prompt_frac, used.input_tokens)


def blended_cost_usd(used: Quantities, prices: Prices) -> float | None:
    """Return the cost of a million tokens, three read to one written, each at what it costs to serve [USD]."""
    bill = sum(line.usd_per_year for line in yearly_costs(used, prices))
    read = per_million_tokens_usd(bill * used.prompt_frac, used.input_tokens)
    written = per_million_tokens_usd(bill * (1 - used.prompt_frac), used.output_tokens)
    return None if read is None or written is None else (3 * read + written) / 4


def rented_cost_usd(used: Quantities) -> float | None:
    """Return the cost of a million output tokens with the same accelerators rented all year [USD], or None."""
    if used.rent_usd_per_h is None:
        return None
    return per_million_tokens_usd(used.rent_usd_per_h * HOURS_PER_YEAR, used.output_tokens)


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
    finance = {slug: entry.facts for slug, entry in inputs.products.finance.items()}
    region = inputs.site.region.facts
    row, usual = capital.cost_row(inputs).facts, inputs.products.facility_capex[capital.US_ROW].facts
    own_price = inputs.scenario.electricity_usd_per_kwh

    def value(slug: str) -> float:
        if slug not in finance:
            raise ValueError(f"The catalogue has no financial assumption {slug}; load it again (load_catalogue)")
        return float(finance[slug]["value"])

    prices = Prices(
        electricity_usd_per_kwh=region["electricity_usd_per_kwh"] if own_price is None else own_price,
        demand_charge_usd_per_kw_month=value("demand-charge-usd-per-kw-month"),
        water_usd_per_m3=region["water_usd_per_m3"],
        facility_usd_per_w=row["usd_per_w"],
        plant_share_frac=value("plant-share-of-facility-cost"),
        installation_factor=value("plant-installation-factor"),
        region_factor=row["usd_per_w"] / usual["usd_per_w"],
        systems_price_frac=value("systems-price-frac"),
        plant_price_frac=value("plant-price-frac"),
        wacc_frac=value("wacc"),
        accelerator_years=value("gpu-depreciation-years"),
        plant_years=value("mep-depreciation-years"),
        facility_years=value("facility-depreciation-years"),
        network_frac=value("network-frac-of-gpu-capex"),
        storage_frac=value("storage-frac-of-gpu-capex"),
        hardware_maintenance_frac=value("hardware-maintenance-frac-of-capex"),
        facility_maintenance_frac=value("facility-maintenance-frac-of-capex"),
        staff_fte_per_mw=value("staff-fte-per-mw"),
        staff_usd_per_fte=value("staff-cost-usd-per-fte-year"),
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
        ("accelerator_years", "gpu-depreciation-years", "yr"),
        ("facility_years", "facility-depreciation-years", "yr"),
        ("systems_price_frac", "systems-price-frac", "of the catalogue's price"),
        ("plant_price_frac", "plant-price-frac", "of the catalogue's price"),
        ("plant_share_frac", "plant-share-of-facility-cost", "of the published cost"),
        ("installation_factor", "plant-installation-factor", "of the price"),
        ("network_frac", "network-frac-of-gpu-capex", "of systems"),
        ("demand_charge_usd_per_kw_month", "demand-charge-usd-per-kw-month", "$/kW month"),
        ("staff_fte_per_mw", "staff-fte-per-mw", "FTE/MW"),
        ("hardware_maintenance_frac", "hardware-maintenance-frac-of-capex", "1/yr"),
    ):
        if "low" in finance[slug]:
            bounds[name] = (float(finance[slug]["low"]), float(finance[slug]["high"]), unit)
    return prices, bounds
