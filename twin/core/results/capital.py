"""What a layout costs to build: what is drawn at catalogue prices, and what is not by published cost per watt.

Published costs per watt of rated IT power hold everything but the IT: land, shell, site works, electrical and
mechanical plant, engineering and commissioning. Of these the plant is taken out and put back as it is drawn: every
piece at its price, with what installing it adds. So nothing counts twice, and a design with more spares, other cooling
or another voltage has another cost.
"""

from dataclasses import dataclass

from power_cooling.site_facts.networks import PARTS
from power_cooling.site_facts.prices import price_field, unit_price_usd
from twin.core.inputs.layout import LayoutInputs, ProductSheet

SYSTEMS, NETWORK, STORAGE, CPU = "Systems", "Network", "Storage", "CPU servers"
POWER, COOLING = "Power", "Cooling"
GROUPS = {
    "systems": SYSTEMS,
    "network_switches": SYSTEMS,
    "network_cables": NETWORK,
    "storage": STORAGE,
    "cpu_servers": CPU,
    "ups": POWER,
    "transformers": POWER,
    "busways": POWER,
    "distribution": POWER,
    "generators": POWER,
    "bess": POWER,
    "cdus": COOLING,
    "air_units": COOLING,
    "dry_coolers": COOLING,
    "cooling_towers": COOLING,
    "chillers": COOLING,
    "warm_water_chillers": COOLING,
    "pumps": COOLING,
}
PRICE_YEAR = 2026  # of the catalogue's files: all are as of November 2026
US_ROW = "us_range"  # the published cost that regions without one of their own take


@dataclass(frozen=True, slots=True)
class CapitalItem:
    """One product that is drawn. Prices are those of the catalogue, before installation."""

    group: str
    product: str
    vendor: str
    used_for: str
    quantity: float
    unit: str  # what it is counted in
    unit_price_usd: float | None  # None where the catalogue has no price
    usd: float | None
    low_usd: float | None
    high_usd: float | None
    year: int
    confidence: str
    source: str


def used_products(inputs: LayoutInputs) -> list[tuple[int, float, str]]:
    """Return (product, quantity, what for) of everything that is drawn; busways by the metre."""
    racks = inputs.racks
    used: list[tuple[int | None, float, str]] = [
        (product_id, n, "racks")
        for product_id, n in zip(racks.product_id, racks.n_systems, strict=True)
        if not (inputs.fabrics and _is_switch(inputs, product_id))  # counted by the networks below
    ]
    for row, network in zip(inputs.fabrics, inputs.networks(), strict=True):
        used += [(getattr(row, f"{part}_id"), n, row.name) for part, n in zip(PARTS, network.counts, strict=True)]
    used += [(row.product_id, row.n_units, row.name) for row in inputs.storages]
    used += [(row.product_id, row.n_units, row.name) for row in inputs.cpu_servers]
    used += [(cdu.product_id, 1, "CDUs") for cdu in inputs.cdus]
    used += [(hall.air_unit_id, hall.n_air_units, "air units") for hall in inputs.halls]
    for feed in inputs.feeds:
        sheet = inputs.product(feed.product_id)
        length_m = feed.length_m if sheet is not None and sheet.kind == "busways" else 1
        used.append((feed.product_id, feed.n_units * length_m, "power"))
    for plant in inputs.plants:
        used.append((plant.heat_rejection_id, plant.n_heat_rejection, plant.name))
        used.append((plant.pump_id, plant.n_pumps, plant.name))
        used.append((plant.chiller_id, plant.n_chillers, plant.name))
    return [(product_id, n, use) for product_id, n, use in used if product_id is not None and n]


def _is_switch(inputs: LayoutInputs, product_id: int | None) -> bool:
    sheet = inputs.product(product_id)
    return sheet is not None and sheet.kind == "network_switches"


def capital_items(inputs: LayoutInputs) -> list[CapitalItem]:
    """Return what is drawn, each product once, most expensive first."""
    counts: dict[int, float] = {}
    uses: dict[int, set[str]] = {}
    for product_id, quantity, use in used_products(inputs):
        counts[product_id] = counts.get(product_id, 0) + quantity
        uses.setdefault(product_id, set()).add(use)
    spread = {SYSTEMS: _spread(inputs, "systems-price-frac"), POWER: _spread(inputs, "plant-price-frac")}
    items = []
    for product_id, quantity in counts.items():
        sheet = inputs.products.by_id[product_id]
        group = NETWORK if inputs.fabrics and sheet.kind == "network_switches" else GROUPS.get(sheet.kind, SYSTEMS)
        price, field = unit_price_usd(sheet.kind, sheet.facts), price_field(sheet.kind, sheet.facts)
        usd = None if price is None else price * quantity
        low, high = spread[SYSTEMS if group in (SYSTEMS, NETWORK, STORAGE, CPU) else POWER]
        items.append(
            CapitalItem(
                group=group,
                product=sheet.name,
                vendor=sheet.vendor,
                used_for=", ".join(sorted(uses[product_id])),
                quantity=quantity,
                unit="m" if sheet.kind == "busways" else "pieces",
                unit_price_usd=price,
                usd=usd,
                low_usd=None if usd is None else usd * low,
                high_usd=None if usd is None else usd * high,
                year=PRICE_YEAR,
                confidence=sheet.field_confidence.get(field, sheet.confidence),
                source=sheet.source,
            )
        )
    return sorted(items, key=lambda item: (-(item.usd or 0.0), item.product))


def _spread(inputs: LayoutInputs, slug: str) -> tuple[float, float]:
    """Return the low and high of prices over the catalogue's; snapshots of older versions have none."""
    entry = inputs.products.finance.get(slug)
    return (1.0, 1.0) if entry is None else (float(entry.facts["low"]), float(entry.facts["high"]))


def group_usd(items: list[CapitalItem], *groups: str) -> float:
    """Return the sum of some groups at catalogue prices."""
    return sum(item.usd or 0.0 for item in items if item.group in groups)


def cost_row(inputs: LayoutInputs) -> ProductSheet:
    """Return the published cost per watt of the site's region, that of the United States where it has none."""
    rows = inputs.products.facility_capex
    return rows.get(str(inputs.site.region.facts.get("facility_capex") or US_ROW), rows[US_ROW])
