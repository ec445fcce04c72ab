"""PUE line by line: what stands between the meter and IT, beside published PUE and WUE of like cooling."""

from collections.abc import Mapping

from twin.core.inputs.layout import LayoutInputs
from twin.core.results.details import PublishedPue, PueLine

#: Parts of `figures.power_by_part_w`, by where they belong.
RACKS = ("Accelerators", "CPU, network and storage", "Server fans", "Power shelves")
ELECTRICAL = ("UPS", "Transformers", "Electrical distribution")
COOLING = ("CDU pumps", "Plant pumps", "Tower pumps", "Chillers", "Heat-rejection fans", "Air units")
OWN = ("Lighting", "Offices and services", "Engine heaters", "Feed-room cooling")
IT = "IT"
WHAT = {
    IT: "racks at their inputs, with their fans and power shelves",
    "UPS": "losses, standing and under load",
    "Transformers": "losses, standing and under load",
    "Electrical distribution": "losses of switchboards, panels, busways and cables",
    "CDU pumps": "rack coolant",
    "Plant pumps": "facility water",
    "Tower pumps": "condenser water",
    "Chillers": "compressors",
    "Heat-rejection fans": "dry coolers and towers",
    "Air units": "fans",
    "Lighting": "of the halls",
    "Offices and services": "support areas, controls, fire, security, leak detection, water treatment",
    "Engine heaters": "standby engines kept warm",
    "Feed-room cooling": "air units of UPS and switch rooms",
}


LIQUID_TOWER, FLEET, SURVEY = "liquid, evaporative, no chillers", "hyperscale fleet, mixed", "all sites, mostly air"
PUBLISHED = (
    PublishedPue(
        "NREL ESIF, Golden, Colorado",
        LIQUID_TOWER,
        1.036,
        1.08,
        2016,
        "nrel.gov, measuring-efficiency-pue; water before the thermosyphon, 2.5 million gallons at 1 MW, nrel.gov 2018",
    ),
    PublishedPue(
        "NREL ESIF, with a dry thermosyphon before the towers",
        LIQUID_TOWER,
        1.04,
        0.58,
        2017,
        "NREL/PR-2C00-70433 (March 2018); 1.16 million gallons saved, nrel.gov 2018",
    ),
    PublishedPue("AWS, best site, Europe", FLEET, 1.04, None, 2024, "aws.amazon.com, sustainability"),
    PublishedPue("AWS, best site, Asia Pacific", FLEET, 1.07, None, 2024, "aws.amazon.com, sustainability"),
    PublishedPue("AWS, fleet", FLEET, 1.15, 0.15, 2024, "aws.amazon.com; WUE by computerweekly.com"),
    PublishedPue("Google, fleet", FLEET, 1.10, None, 2021, "Google, by cnbc.com of April 2022"),
    PublishedPue("Google, central Ohio", FLEET, 1.05, None, 2025, "1.04 to 1.06, Data Centre Magazine, February 2026"),
    PublishedPue("Meta, fleet", FLEET, 1.08, None, 2024, "datacenterdynamics.com, December 2024"),
    PublishedPue("Microsoft, fully owned", FLEET, 1.17, 0.27, 2025, "fiscal year 2025, by computerweekly.com"),
    PublishedPue("Equinix, fleet", SURVEY, 1.42, None, 2023, "Equinix, by statista.com"),
    PublishedPue("Uptime Institute, survey", SURVEY, 1.56, None, 2024, "largest site of each answer"),
)


def pue_lines(parts_w: Mapping[str, float]) -> list[PueLine]:
    """Return PUE part by part, IT first; nothing where IT drew nothing.

    Parameters
    ----------
    parts_w : mapping of str to float
        Mean power by part [W], as a run stores it; parts that it does not name are left out.
    """
    it_w = sum(parts_w.get(name, 0.0) for name in RACKS)
    if not it_w > 0:
        return []
    rest = [(name, watts) for name, watts in parts_w.items() if name not in RACKS]
    return [PueLine(name, WHAT.get(name, ""), watts, watts / it_w) for name, watts in [(IT, it_w), *rest]]


def cooling_text(inputs: LayoutInputs) -> str:
    """Return in words how a layout's heat leaves, to be read beside the published ones."""
    liquid = "liquid" if inputs.cdus else "air"
    kinds = {entry.kind for plant in inputs.plants if (entry := inputs.product(plant.heat_rejection_id)) is not None}
    outdoors = " and ".join(kind.replace("_", " ") for kind in sorted(kinds)) or "no heat rejection"
    chillers = any(plant.chiller_id is not None and plant.economiser != "only" for plant in inputs.plants)
    return f"{liquid}, {outdoors}, {'chillers behind them' if chillers else 'no chillers'}"
