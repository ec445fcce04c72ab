"""Cost of accelerators as we build and run them, beside published costs of ownership and rents."""

from collections.abc import Iterator
from pathlib import Path

from facility.catalogue import entries
from twin.core.results import capital, economics
from twin.validation.check import Check, set_beside, within

GROUP = "money"

# Published of one accelerator, all in: dollars to build it with network and facility, and dollars an hour to own it
# without software licences. H100: 5 bn USD per 100,000 (2025) and SemiAnalysis 2025, 1.4 to 1.5; GB200 NVL72: 5 M USD a
# rack with external network and SemiAnalysis 2025, 2.2 to 2.4.
PUBLISHED = {"dgx-h100": (50_000.0, (1.4, 1.5)), "dgx-gb200-nvl72": (70_000.0, (2.2, 2.4))}
RENTED = ("dgx-h200", "dgx-b200", "dgx-gb300-nvl72")  # set beside market rents alone
# Published to build a facility, USD per W of IT power: publisher, year, low and high, by region. Cushman & Wakefield,
# Data Center Development Cost Guide 2025 (19 markets of the United States with San Francisco, San Antonio to Reno, mean
# 11.7, without land, design and owner-furnished equipment) and Asia Pacific Data Centre Construction Cost Guide 2025
# (Tokyo and Osaka, mid 13.24). Turner & Townsend, Data Centre Construction Cost Index 2025-26 (air-cooled; 7 to 10 %
# more for liquid).
COST_GUIDES = {
    "us-average": ("Cushman & Wakefield, 2025", 9.3, 15.0),
    "us-virginia-pjm": ("Cushman & Wakefield, 2025", 9.3, 15.0),
    "us-texas-ercot": ("Cushman & Wakefield, 2025", 9.3, 15.0),
    "us-california": ("Cushman & Wakefield, 2025", 9.3, 15.0),
    "germany": ("Turner & Townsend, Frankfurt, 2025-26", 11.6, 11.6),
    "united-kingdom": ("Turner & Townsend, London, 2025-26", 12.0, 12.0),
    "japan": ("Cushman & Wakefield, Tokyo and Osaka, 2025", 10.45, 16.02),
    "singapore": ("Turner & Townsend, Singapore, 2025-26", 14.5, 14.5),
}
SURVEY = "Turner & Townsend"  # our own regional costs come from it where it has the region's city
JLL_USD_PER_W = 11.3  # JLL, 2026 Global Data Center Outlook: forecast mean of the world's markets in 2026
GUIDE_REACH = 0.1  # of what one publisher says of one city: the liquid premium of 7 to 10 % lies in ours
PUE = 1.25  # of fleets in the published cases
USED_FRAC = 0.8  # of nameplate power, mean
REACH = 0.3  # as far as published figures of one system lie from each other
RACKS = 100.0


def checks(data: Path) -> Iterator[Check]:  # noqa: ARG001 published figures are retyped here
    """Yield our cost over the published one, by system."""
    finance, rents = entries("finance"), entries("gpu_rental")
    usual = entries("facility_capex")[capital.US_ROW]
    prices, _ = economics.prices_by_facts(finance, entries("regions")["us-average"], usual, usual)
    for slug, (to_build, an_hour) in PUBLISHED.items():
        system = entries("systems")[slug]
        n = RACKS * float(system["accelerators_per_system"])
        used = _usual_hall(system, prices)
        built = sum(economics.capital_usd(used, prices).values()) / n
        note = f"{built:,.0f} against {to_build:,.0f} USD with network and facility"
        yield within(
            f"{slug}, cost to build", GROUP, 1, built / to_build, (1 - REACH, 1 + REACH), "of the published", note
        )
        licences = used.n_accelerators * prices.licence_usd_per_accelerator
        owned = (sum(item.usd_per_year for item in economics.yearly_costs(used, prices)) - licences) / n / 8760.0
        low, high = an_hour
        note = f"{owned:.2f} USD/h, published {low:g} to {high:g} for a hyperscaler, without licences"
        yield within(f"{slug}, cost of owning", GROUP, 1, owned, (low * (1 - REACH), high * (1 + REACH)), "USD/h", note)
        market = rents[str(system["accelerator"])]
        bounds = (0.3, 1.0)  # a provider that rents out below what owning costs does not last
        share = owned / float(market["reserved_1y_usd_per_gpu_h"])
        yield within(f"{slug}, owning over rent", GROUP, 1, share, bounds, "of the reserved price", market["source"])

    yield from _facilities()
    for slug in RENTED:
        system = entries("systems")[slug]
        n = RACKS * float(system["accelerators_per_system"])
        used = _usual_hall(system, prices)
        owned = sum(item.usd_per_year for item in economics.yearly_costs(used, prices)) / n / 8760.0
        market = rents[str(system["accelerator"])]
        rent = float(market["reserved_1y_usd_per_gpu_h"])
        note = f"{owned:.2f} USD/h with licences against {rent:g} reserved; {market['source']}"
        yield within(f"{slug}, owning over rent", GROUP, 1, owned / rent, (0.3, 1.0), "of the reserved price", note)


def _facilities() -> Iterator[Check]:
    """Yield what building a liquid-cooled facility costs by region beside cost guides, and the mean over regions."""
    finance, rows = entries("finance"), entries("facility_capex")
    usual, system = rows[capital.US_ROW], entries("systems")["dgx-gb200-nvl72"]
    found = {}
    for slug, region in entries("regions").items():
        row = rows[str(region.get("facility_capex") or capital.US_ROW)]
        prices, _ = economics.prices_by_facts(finance, region, row, usual)
        used = _usual_hall(system, prices)
        built = economics.capital_usd(used, prices)
        found[slug] = (built[economics.PLANT] + built[economics.BUILDING]) / used.nameplate_power_w
    for slug, (publisher, low, high) in COST_GUIDES.items():
        reach = (low * (1 - GUIDE_REACH), high * (1 + GUIDE_REACH))
        note = f"{publisher}: {low:g} to {high:g}" if low < high else f"{publisher}: {low:g}"
        row = rows[str(entries("regions")[slug].get("facility_capex") or capital.US_ROW)]
        if publisher.startswith(SURVEY) and row["source"].startswith(SURVEY):
            beside = f"{note}; ours begins with the same survey, so that only plant and liquid cooling differ"
            yield set_beside(f"facility in {slug}", GROUP, 1, found[slug], reach, "USD/W", beside)
        else:
            yield within(f"facility in {slug}", GROUP, 1, found[slug], reach, "USD/W", note)
    mean = sum(found.values()) / len(found)
    reach = (JLL_USD_PER_W * (1 - REACH / 2), JLL_USD_PER_W * (1 + REACH / 2))
    note = f"mean of {len(found)} regions; JLL, 2026 Global Data Center Outlook: {JLL_USD_PER_W:g} in 2026"
    yield within("facility, mean of regions", GROUP, len(found), mean, reach, "USD/W", note)


def _usual_hall(system: dict, prices: economics.Prices) -> economics.Quantities:
    """Return a hall of one system whose plant costs what the published cost of a facility holds for it."""
    nameplate_w = RACKS * float(system["max_power_w"])
    plant = nameplate_w * prices.facility_usd_per_w * prices.plant_share_frac
    meter_w = nameplate_w * USED_FRAC * PUE
    return economics.Quantities(
        output_tokens=0.0,
        input_tokens=0.0,
        good_tokens=0.0,
        prompt_frac=0.0,
        it_capital_usd=RACKS * float(system["price_estimate_usd"]),
        plant_usd=plant / (prices.installation_factor * prices.region_factor),
        nameplate_power_w=nameplate_w,
        energy_j=meter_w * 8760 * 3600,
        peak_power_w=nameplate_w * PUE,
        water_m3=0.0,
        carbon_kg=0.0,
        liquid_frac=1.0 if float(system.get("liquid_heat_frac") or 0.0) > 0 else 0.0,
        n_accelerators=RACKS * float(system["accelerators_per_system"]),
        rent_usd_per_h=None,
    )
