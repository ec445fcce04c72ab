"""Inputs with only what a test says; the rest has values that matter to none."""

from typing import Any

from power_cooling.site_facts.ratings import continuous_rating_w
from twin.core.inputs.layout import FORMATS, LayoutInputs, Products, RackColumns, column_names, layout_inputs

FEED = {
    "parent_id": None,
    "product_id": None,
    "rating_w": None,
    "n_units": 1,
    "length_m": 0.0,
    "redundancy_group": "",
    "redundancy": "N",
    "eco_mode": False,
    "hall_id": None,
}
CDU = {
    "product_id": 1,
    "plant_id": 1,
    "hall_id": 1,
    "group": "G",
    "redundant_units": 0,
    "supply_degc": 40.0,
    "coolant": "pg25",
    "x_m": 0.0,
    "y_m": 0.0,
    "orientation_deg": 0,
}
HALL = {
    "width_m": 20.0,
    "depth_m": 20.0,
    "height_m": 4.0,
    "containment": "hot_aisle",
    "supply_air_degc": 25.0,
    "air_unit_id": None,
    "n_air_units": 0,
    "n_air_units_spare": 0,
    "leakage_frac": 0.05,
    "recirculation_frac": 0.04,
    "lighting_w": 0.0,
    "plant_id": None,
}
PLANT = {
    "supply_degc": 36.0,
    "design_rise_k": 10.0,
    "coolant": "water",
    "economiser": "only",
    "heat_rejection_id": 3,
    "n_heat_rejection": 1,
    "n_heat_rejection_spare": 0,
    "chiller_id": None,
    "n_chillers": 0,
    "n_chillers_spare": 0,
    "pump_id": 4,
    "n_pumps": 1,
    "n_pumps_spare": 0,
    "tank_m3": 0.0,
}
TABLES = {"feeds": FEED, "cdus": CDU, "halls": HALL, "plants": PLANT}


def sheet(kind: str = "systems", slug: str = "", **more: Any) -> dict[str, Any]:
    """Return a catalogue entry as a snapshot has it."""
    own = {
        "kind": kind,
        "slug": slug,
        "name": slug,
        "vendor": "",
        "facts": {},
        "source": "",
        "confidence": "published",
        "field_confidence": {},
    }
    made = own | more
    return {"rating_w": continuous_rating_w(made["facts"])} | made


def stored_inputs(**parts: Any) -> dict[str, Any]:
    """Return a snapshot; `parts` are its parts, rows of its tables with only the fields that count."""
    site = {
        "slug": "site",
        "name": "Site",
        "latitude_deg": 0.0,
        "elevation_m": 0.0,
        "grid_limit_w": 5e6,
        "repair_crews": 0,
        "region": sheet("regions"),
    }
    scenario = {
        "slug": "s",
        "name": "Scenario",
        "engine": "vllm",
        "weight_precision": "auto",
        "accelerator_power_limit_w": None,
        "cache_tier_bytes": None,
        "electricity_usd_per_kwh": None,
        "workloads": [],
    }
    tables = {
        name: [defaults | {"id": i, "name": f"{name} {i}"} | row for i, row in enumerate(parts.get(name, ()), 1)]
        for name, defaults in TABLES.items()
    }
    return {
        "format": FORMATS[-1],
        "site": site | parts.get("site", {}),
        "layout": {"slug": "l", "name": "Layout", "version": 1} | parts.get("layout", {}),
        "scenario": scenario | parts.get("scenario", {}),
        "weather": {"slug": "w", "name": "Weather", "source": "", "n_hours": 1, "rows": ""} | parts.get("weather", {}),
        "racks": {name: [] for name in column_names(RackColumns)} | parts.get("racks", {}),
        "products": {name: {} for name in column_names(Products)} | parts.get("products", {}),
        **tables,
    }


def small_inputs(**parts: Any) -> LayoutInputs:
    """Return inputs; `parts` as of `stored_inputs`."""
    return layout_inputs(stored_inputs(**parts))
