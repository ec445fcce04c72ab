"""PUE and WUE of halls by cooling and climate, beside what operators and surveys publish of like cooling.

One hall of 130 kW liquid-cooled racks, or of 40 kW air-cooled ones, at six tenths of its load, with transformer, UPS
and the facility's own load, every sixth hour of each shipped climate.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from facility.weather import CLIMATES, read_climate
from power_cooling.coupled.solve import solve_coupled
from power_cooling.electrical.feed_tree import feed_tree, rack_links
from power_cooling.fluids.psychrometrics import humidity_ratio_from_relative_humidity
from power_cooling.site_arrays import OwnLoad, SiteArrays, SiteFeeds, Weather
from twin.core.inputs.own_load import (
    ASSUMED_HEATER_FRAC,
    ASSUMED_ROOM_COP,
    ASSUMED_SERVICES_FRAC,
    ENGINE_WATER_DEGC,
    HEATER_FULL_DEGC,
)
from twin.core.results.pue import PUBLISHED
from twin.validation.check import Check, within
from twin.validation.synthetic_halls import air_site, liquid_site

GROUP = "pue"
LOAD_FRAC = 0.6
EVERY_H = 6
BY_NAME = {row.name: row for row in PUBLISHED}
#: What published figures bracket ours, by cooling: names of the lower and the upper one.
BETWEEN = {
    "liquid, dry coolers": ("NREL ESIF, Golden, Colorado", "AWS, fleet"),
    "liquid, towers": ("NREL ESIF, Golden, Colorado", "AWS, fleet"),
    "air, chillers on towers": ("AWS, best site, Asia Pacific", "Uptime Institute, survey"),
}
# Evaporating all heat takes 1.47 l/kWh; with blow-down and dry hours towers of whole years took 1.4 to 1.7 in
# EnergyPlus. NREL published 1.08, where part of the heat warms the building.
TOWER_WUE_L_PER_KWH = (1.08, 2.2)


def checks(data: Path) -> Iterator[Check]:  # noqa: ARG001 published figures are retyped here
    """Yield PUE over climates by cooling, and the water of towers."""
    for cooling, (low, high) in BETWEEN.items():
        found = {path.name.removesuffix(".csv.gz"): yearly(cooling, path) for path in sorted(CLIMATES.glob("*.csv.gz"))}
        least, most = BY_NAME[low], BY_NAME[high]
        for climate, (pue, wue) in found.items():
            note = f"between {least.name} ({least.year}) and {most.name} ({most.year}); WUE {wue:.2f} l/kWh"
            yield within(
                f"{cooling}, {climate}", GROUP, 1, pue, (float(least.pue or 1), float(most.pue or 2)), "", note
            )
        if "towers" in cooling:
            wettest = max(found, key=lambda climate: found[climate][1])
            note = f"highest: {wettest}; NREL ESIF published 1.08 in 2016, EnergyPlus towers take 1.4 to 1.7"
            yield within(f"{cooling}, water", GROUP, 1, found[wettest][1], TOWER_WUE_L_PER_KWH, "l/kWh", note)


def yearly(cooling: str, path: Path) -> tuple[float, float]:
    """Return PUE and WUE [l/kWh] of a hall in a shipped climate."""
    year = read_climate(path)
    dry, humidity, pressure = (
        np.asarray(values[::EVERY_H], dtype=float)
        for values in (year.dry_bulb_degc, year.relative_humidity, year.pressure_pa)
    )
    return solved(cooling, Weather(dry, humidity_ratio_from_relative_humidity(dry, humidity, pressure), pressure))


def solved(cooling: str, weather: Weather) -> tuple[float, float]:
    """Return PUE and WUE [l/kWh] of a hall over hours of weather."""
    site = hall(cooling)
    c = solve_coupled(site, np.full((weather.n_elements, 1), LOAD_FRAC), weather, feeds=feeds(site))
    return float(c.meter_power_w.sum() / c.it_power_w.sum()), float(c.water_kg_s.sum() * 3.6e6 / c.it_power_w.sum())


def hall(cooling: str) -> SiteArrays:
    """Return a hall of one kind of cooling."""
    site = air_site(50) if cooling.startswith("air") else liquid_site(4, 4.0, 2, 0.0)
    if cooling == "liquid, towers":
        heat_w = 2.1e6
        plants = replace(
            site.plants,
            n_coolers=0.0,
            n_chillers=[0.0, 2.0],
            n_towers=2.0,
            tower_ua_w_per_k=heat_w / 25,
            tower_air_m3_per_s=heat_w / 6e4,
            tower_water_kg_s=heat_w / 4180 / 10,
            tower_fan_w=0.006 * heat_w,
            tower_pump_w=0.006 * heat_w,
            economiser_ua_w_per_k=heat_w / 2.0,
        )
        site = replace(site, plants=plants)
    nameplate_w = float(site.racks.count @ site.racks.max_power_w)
    own = OwnLoad(
        services_w=ASSUMED_SERVICES_FRAC * nameplate_w,
        heater_w=ASSUMED_HEATER_FRAC * 1.5 * nameplate_w,
        heater_hold_degc=ENGINE_WATER_DEGC,
        heater_full_degc=HEATER_FULL_DEGC,
        room_cop=ASSUMED_ROOM_COP,
    )
    return replace(site, own=own)


def feeds(site: SiteArrays) -> SiteFeeds:
    """Return utility, transformer and UPS sized for the hall, with losses of common sheets."""
    rated = 1.4 * float(site.racks.count @ site.racks.max_power_w)
    tree = feed_tree(
        names=["utility", "transformer", "ups", "board"],
        kinds=["utility", "transformer", "ups", "switchboard"],
        parents=[None, "utility", "transformer", "transformer"],
        rating_w=[2 * rated, 2 * rated, rated, rated],
        no_load_loss_frac=[0, 0.0015, 0.008, 0],
        proportional_loss_frac=[0, 0, 0.012, 0.001],
        square_loss_frac=[0, 0.008, 0.015, 0],
    )
    racks = np.arange(site.racks.n_racks)
    links = rack_links(tree, rack_index=racks, node_names=["ups"] * racks.size, n_racks=racks.size)
    board = tree.index("board")
    n_groups = 0 if site.cdus is None else site.cdus.n_groups
    return SiteFeeds(
        tree,
        links,
        np.full(n_groups, board),
        np.full(site.halls.n_halls, board),
        np.full(site.plants.n_plants, board),
    )
