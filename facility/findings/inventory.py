"""A layout read once, racks as arrays: what the rules work on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from facility.models import AirUnit, Cdu, CoolingPlant, FloorFeature, Hall, Layout, PowerFeed, Product, Rack, Site
from facility.weather import unpack

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RACK_COLUMNS = (
    "pk", "name", "hall_id", "x_m", "y_m", "width_m", "depth_m", "orientation_deg", "product_id", "n_systems",
    "other_power_w", "accelerator_power_limit_w", "coolant_flow_m3_per_s", "cdu_id", "feed_a_id", "feed_b_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class RackTable:
    """Racks of a layout. Every array has shape (n_racks,); -1 stands for none."""

    ids: list[int]
    names: list[str]
    product_id: IntArray
    hall: IntArray  # position in Inventory.halls
    cdu: IntArray  # position in Inventory.cdus
    feed_a: IntArray  # position in Inventory.feeds
    feed_b: IntArray
    x_m: FloatArray
    y_m: FloatArray
    width_m: FloatArray
    depth_m: FloatArray
    orientation_deg: IntArray
    power_w: FloatArray  # highest at the rack's input, caps applied
    typical_w: FloatArray
    liquid_w: FloatArray  # part of it that goes into the coolant
    coolant_flow_m3_per_s: FloatArray
    design_flow_m3_per_s: FloatArray
    air_flow_m3_per_s: FloatArray
    weight_kg: FloatArray

    @property
    def air_w(self) -> FloatArray:
        """The part of the power that goes into the hall's air."""
        return self.power_w - self.liquid_w


@dataclass(frozen=True, slots=True, eq=False)
class Inventory:
    """Everything in a layout, and the hottest and most humid hour of its weather."""

    site: Site
    halls: list[Hall]
    cdus: list[Cdu]
    feeds: list[PowerFeed]
    plants: list[CoolingPlant]
    air_units: list[AirUnit]
    features: list[FloorFeature]
    racks: RackTable
    products: dict[int, Product]
    max_dry_bulb_degc: float
    max_wet_bulb_degc: float

    def facts(self, product_id: int | None) -> dict[str, Any]:
        """Return the facts of a product; none for no product."""
        return self.products[product_id].facts if product_id in self.products else {}


def take_inventory(layout: Layout) -> Inventory:
    """Read a layout in nine queries."""
    site = Site.objects.select_related("weather").get(pk=layout.site_id)
    halls = list(layout.halls.order_by("pk"))
    cdus = list(layout.cdus.order_by("pk"))
    feeds = list(layout.power_feeds.order_by("pk"))
    plants = list(layout.cooling_plants.order_by("pk"))
    rows = list(Rack.objects.filter(hall__layout=layout).order_by("hall_id", "row", "name").values_list(*RACK_COLUMNS))
    wanted = {row[RACK_COLUMNS.index("product_id")] for row in rows} | {cdu.product_id for cdu in cdus}
    wanted |= {hall.air_unit_id for hall in halls} | {feed.product_id for feed in feeds}
    wanted |= {key for plant in plants for key in (plant.heat_rejection_id, plant.chiller_id, plant.pump_id)}
    products = Product.objects.filter(Q(pk__in=wanted - {None}) | Q(kind="accelerators")).defer("notes", "source")
    by_id = {product.pk: product for product in products}
    for feed in feeds:
        if feed.product_id:
            feed.product = by_id[feed.product_id]  # so that unit_rating_w asks no query
    dry_bulb, humidity, _ = unpack(site.weather.rows)
    return Inventory(
        site=site, halls=halls, cdus=cdus, feeds=feeds, plants=plants,
        air_units=list(layout.air_units.order_by("pk")), features=list(layout.floor_features.order_by("pk")),
        racks=_rack_table(rows, halls, cdus, feeds, by_id), products=by_id,
        max_dry_bulb_degc=float(dry_bulb.max()), max_wet_bulb_degc=float(wet_bulb_degc(dry_bulb, humidity).max()),
    )  # fmt: skip


def wet_bulb_degc(dry_bulb_degc: FloatArray, relative_humidity: FloatArray) -> FloatArray:
    """Return the wet bulb at sea level [degC], 0.65 K high to 1 K low, 0.3 K on average [1]_.

    References
    ----------
    .. [1] R. Stull, *Wet-Bulb Temperature from Relative Humidity and Air Temperature*, J. Appl. Meteorol. Climatol.
       50 (2011), eq. 1.
    """
    percent = 100 * np.asarray(relative_humidity, dtype=float)
    t = np.asarray(dry_bulb_degc, dtype=float)
    return (
        t * np.arctan(0.151977 * np.sqrt(percent + 8.313659)) + np.arctan(t + percent) - np.arctan(percent - 1.676331)
        + 0.00391838 * percent**1.5 * np.arctan(0.023101 * percent) - 4.686035
    )  # fmt: skip


def _rack_table(rows: list[tuple], halls: list, cdus: list, feeds: list, products: dict[int, Product]) -> RackTable:
    column = {name: [row[i] for row in rows] for i, name in enumerate(RACK_COLUMNS)}

    def floats(name: str) -> FloatArray:
        return np.array([np.nan if value is None else value for value in column[name]], dtype=float)

    def positions(name: str, objects: list) -> IntArray:
        at = {thing.pk: i for i, thing in enumerate(objects)}
        return np.array([at.get(key, -1) for key in column[name]], dtype=np.int64)

    product_id = np.array([key or -1 for key in column["product_id"]], dtype=np.int64)
    n_systems, other_w = floats("n_systems"), floats("other_power_w")
    unique, which = np.unique(product_id, return_inverse=True)
    facts = [products[key].facts if key in products else {} for key in unique.tolist()]

    def fact(name: str) -> FloatArray:
        return np.array([float(entry.get(name) or 0) for entry in facts], dtype=float).reshape(-1)[which]

    power_w = n_systems * fact("max_power_w")
    liquid_frac = fact("liquid_heat_frac")
    saved_w = _saved_by_caps(facts, which, floats("accelerator_power_limit_w"), products) * n_systems
    design_m3_per_s = n_systems * fact("liquid_design_flow_m3_per_s")
    own_m3_per_s = floats("coolant_flow_m3_per_s")
    return RackTable(
        ids=column["pk"], names=column["name"], product_id=product_id, hall=positions("hall_id", halls),
        cdu=positions("cdu_id", cdus), feed_a=positions("feed_a_id", feeds), feed_b=positions("feed_b_id", feeds),
        x_m=floats("x_m"), y_m=floats("y_m"), width_m=floats("width_m"), depth_m=floats("depth_m"),
        orientation_deg=np.array(column["orientation_deg"], dtype=np.int64),
        power_w=power_w - saved_w + other_w,
        typical_w=np.minimum(n_systems * fact("typical_power_w"), power_w - saved_w) + other_w,
        liquid_w=(power_w - saved_w) * liquid_frac,
        coolant_flow_m3_per_s=np.where(np.isnan(own_m3_per_s), design_m3_per_s, own_m3_per_s),
        design_flow_m3_per_s=design_m3_per_s, air_flow_m3_per_s=n_systems * fact("air_flow_m3_per_s"),
        weight_kg=n_systems * fact("weight_kg"),
    )  # fmt: skip


def _saved_by_caps(facts: list[dict], which: IntArray, cap_w: FloatArray, products: dict[int, Product]) -> FloatArray:
    """Return what each rack's cap takes off the highest power of one system [W]."""
    tdp_of = {product.slug: product.facts["tdp_w"] for product in products.values() if product.kind == "accelerators"}
    tdp_w = np.array([float(tdp_of.get(entry.get("accelerator"), 0)) for entry in facts], dtype=float)[which]
    n = np.array([float(entry.get("accelerators_per_system") or 0) for entry in facts], dtype=float)[which]
    return np.where(np.isnan(cap_w), 0, np.maximum(tdp_w - cap_w, 0)) * n
