"""Rows to inputs: the only place that reads the description for the solvers.

A snapshot is plain JSON: what a run stores, what its hash is taken over, and all that the simulation ever sees. Racks
come as columns, one list per field, so that a thousand of them stay cheap.
"""

import base64
import hashlib
import json
import zlib
from typing import Any

from facility.catalogue import assumed
from facility.catalogue.schema import unit_of
from facility.models import Layout, Product, Rack
from twin.exceptions import CannotSimulate
from twin.models import Scenario

FORMAT = 2  # 1 had neither the units of facts nor what a description leaves to its default

RACK_FIELDS = (
    "id", "name", "row", "role", "hall_id", "x_m", "y_m", "orientation_deg", "width_m", "depth_m", "product_id",
    "n_systems", "other_power_w", "accelerator_power_limit_w", "load_share", "coolant_flow_m3_per_s", "cdu_id",
    "feed_a_id", "feed_b_id",
)  # fmt: skip
HALL_FIELDS = (
    "id", "name", "width_m", "depth_m", "height_m", "containment", "supply_air_degc", "air_unit_id", "n_air_units",
    "n_air_units_spare", "leakage_frac", "recirculation_frac", "lighting_w", "plant_id",
)  # fmt: skip
CDU_FIELDS = (
    "id", "name", "product_id", "plant_id", "hall_id", "group", "redundant_units", "supply_degc", "coolant", "x_m",
    "y_m", "orientation_deg",
)  # fmt: skip
# What is drawn but not solved, so that a comparison shows the floor as it was.
AIR_UNIT_FIELDS = ("id", "name", "hall_id", "x_m", "y_m", "orientation_deg", "width_m", "depth_m")
FEATURE_FIELDS = ("id", "name", "type", "hall_id", "x_m", "y_m", "width_m", "depth_m")
FEED_FIELDS = (
    "id", "name", "kind", "parent_id", "product_id", "rating_w", "n_units", "length_m", "redundancy_group",
    "redundancy", "eco_mode", "hall_id",
)  # fmt: skip
PLANT_FIELDS = (
    "id", "name", "supply_degc", "design_rise_k", "coolant", "economiser", "heat_rejection_id", "n_heat_rejection",
    "n_heat_rejection_spare", "chiller_id", "n_chillers", "n_chillers_spare", "pump_id", "n_pumps", "n_pumps_spare",
    "tank_m3",
)  # fmt: skip
# Kinds that every run reads whole: they are short and belong to no single row of the layout.
WHOLE_KINDS = (
    "accelerators", "accelerator_reliability", "diurnal_shapes", "facility_capex", "finance", "gpu_rental", "models",
    "rack_power_shelves", "recovery_times", "reliability",
)  # fmt: skip


def snapshot(layout: Layout, scenario: Scenario) -> dict[str, Any]:
    """Return everything a simulation of `layout` under `scenario` depends on, as JSON.

    Takes a fixed number of queries, whatever the number of racks.

    Raises
    ------
    CannotSimulate
        If there is nothing to solve: no racks, no halls, no workloads, or a scenario of another site.
    """
    site = layout.site
    if scenario.site_id != site.id:
        raise CannotSimulate(f"Scenario {scenario.name} belongs to {scenario.site.name}; {layout} is on {site.name}.")
    halls = _rows(layout.halls.order_by("id"), HALL_FIELDS)
    racks = _columns(Rack.objects.filter(hall__layout=layout), RACK_FIELDS)
    if not racks["id"]:
        raise CannotSimulate(f"{layout} has no racks; add a row of racks before running it.")
    workloads = list(scenario.workloads.select_related("workload", "model").order_by("id"))
    if not workloads:
        raise CannotSimulate(f"Scenario {scenario.name} serves no workload; add at least one use case.")
    weather = scenario.weather or site.weather
    cdus = _rows(layout.cdus.order_by("id"), CDU_FIELDS)
    feeds = _rows(layout.power_feeds.order_by("id"), FEED_FIELDS)
    plants = _rows(layout.cooling_plants.order_by("id"), PLANT_FIELDS)
    inputs = {
        "format": FORMAT,
        "site": {
            "slug": site.slug, "name": site.name, "latitude_deg": site.latitude_deg, "elevation_m": site.elevation_m,
            "grid_limit_w": site.grid_limit_w, "repair_crews": site.repair_crews, "region": _product(site.region),
            "assumed": ["repair_crews"] if site.repair_crews == assumed.REPAIR_CREWS else [],
        },
        "layout": {"slug": layout.slug, "name": layout.name, "version": layout.version},
        "scenario": {
            "slug": scenario.slug, "name": scenario.name, "engine": scenario.engine,
            "weight_precision": scenario.weight_precision,
            "accelerator_power_limit_w": scenario.accelerator_power_limit_w,
            "cache_tier_bytes": scenario.cache_tier_bytes,
            "electricity_usd_per_kwh": scenario.electricity_usd_per_kwh,
            "workloads": [
                {
                    "workload": _product(share.workload),
                    "model": share.model.slug if share.model else None,
                    "accelerator_share_frac": share.accelerator_share_frac,
                    "requests_per_s": share.requests_per_s,
                    "peak_load_frac": share.peak_load_frac,
                }
                for share in workloads
            ],
        },
        "weather": {
            "slug": weather.slug, "name": weather.name, "source": weather.source, "n_hours": weather.n_hours,
            "rows": base64.b64encode(bytes(weather.rows)).decode(),
        },
        "halls": halls,
        "racks": racks,
        "cdus": cdus,
        "feeds": feeds,
        "plants": plants,
        "air_units": _rows(layout.air_units.order_by("id"), AIR_UNIT_FIELDS),
        "features": _rows(layout.floor_features.order_by("id"), FEATURE_FIELDS),
        "products": _products(racks, halls, cdus, feeds, plants),
    }  # fmt: skip
    return inputs | {"units": _units(inputs)}


def canonical(inputs: dict[str, Any]) -> bytes:
    """Return the one spelling of a snapshot that its hash is taken over."""
    return json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(spelled: bytes) -> str:
    """Return the hash that names a snapshot."""
    return hashlib.sha256(spelled).hexdigest()


def packed(spelled: bytes) -> bytes:
    """Return a canonical snapshot as a run stores it."""
    return zlib.compress(spelled, level=3)


def unpacked(stored: bytes) -> dict[str, Any]:
    """Return the snapshot that a run stored."""
    return json.loads(zlib.decompress(bytes(stored)))


def _rows(queryset, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return list(queryset.values(*names))


def _columns(queryset, names: tuple[str, ...]) -> dict[str, list]:
    table = list(queryset.order_by("hall_id", "row", "name", "id").values_list(*names))
    return {name: [row[i] for row in table] for i, name in enumerate(names)}


def _product(product: Product) -> dict[str, Any]:
    return {
        "kind": product.kind, "slug": product.slug, "name": product.name, "vendor": product.vendor,
        "facts": product.facts, "source": product.source, "confidence": product.confidence,
        "field_confidence": product.field_confidence,
    }  # fmt: skip


def _products(racks: dict[str, list], *tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the products that rows name, by row id under "by_id", and the whole kinds by slug under their name."""
    references = {row[name] for rows in tables for row in rows for name in row if name in PRODUCT_REFERENCES}
    wanted = (references | set(racks["product_id"])) - {None}
    found: dict[str, Any] = {kind: {} for kind in WHOLE_KINDS} | {"by_id": {}}
    for product in Product.objects.filter(kind__in=WHOLE_KINDS).order_by("kind", "slug"):
        found[product.kind][product.slug] = _product(product)
    for product in Product.objects.filter(id__in=wanted).order_by("id"):
        found["by_id"][str(product.id)] = _product(product)
    return found


def _units(inputs: dict[str, Any]) -> dict[str, str]:
    """Return the unit of each fact that the products of a snapshot have."""
    entries = [entry for of_kind in inputs["products"].values() for entry in of_kind.values()]
    entries += [inputs["site"]["region"], *(share["workload"] for share in inputs["scenario"]["workloads"])]
    return {field: unit_of(field)[0] for field in sorted({field for entry in entries for field in entry["facts"]})}


PRODUCT_REFERENCES = frozenset({"product_id", "air_unit_id", "heat_rejection_id", "chiller_id", "pump_id"})
