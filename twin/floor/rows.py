"""What stands on a layout's floors, read once for every drawing of it, by a fixed number of queries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facility.models import AirUnit, FloorFeature, Hall, Layout, Product, Rack
from power_cooling.site_facts.ratings import nameplate_w

FloatArray = NDArray[np.float64]

RACK_COLUMNS = (
    "id",
    "hall_id",
    "name",
    "row",
    "role",
    "x_m",
    "y_m",
    "orientation_deg",
    "width_m",
    "depth_m",
    "product_id",
    "n_systems",
    "other_power_w",
    "cdu_id",
    "feed_a_id",
    "feed_b_id",
)
CDU_COLUMNS = ("id", "name", "hall_id", "product_id", "x_m", "y_m", "orientation_deg", "group")
AIR_UNIT_COLUMNS = ("id", "name", "hall_id", "x_m", "y_m", "orientation_deg", "width_m", "depth_m")
FEATURE_COLUMNS = ("id", "name", "hall_id", "type", "x_m", "y_m", "width_m", "depth_m")
UNSTATED_CDU_M = (0.6, 1.2)  # floor of a CDU whose sheet gives no size: one rack's place


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """A layout's halls and what is in them. Rows are dictionaries, racks in the order of hall, row and name."""

    layout: Layout
    halls: list[Hall]
    racks: list[dict]
    cdus: list[dict]
    air_units: list[dict]
    features: list[dict]
    facts: dict[int, dict]  # of the products that stand on the floor, by id

    def fact(self, row: dict, name: str) -> object:
        """Return one fact of a row's product, None where it has no product or its sheet is silent."""
        return self.facts.get(row["product_id"], {}).get(name)

    def rated_power_w(self) -> FloatArray:
        """Return each rack's nameplate power [W]: its systems at their rated input and what else is in it."""
        rated = [
            nameplate_w(self.facts.get(r["product_id"], {}), r["n_systems"], r["other_power_w"]) for r in self.racks
        ]
        return np.array(rated, dtype=float)

    def weight_kg(self) -> FloatArray:
        """Return what each rack's systems weigh [kg]; NaN where no sheet says."""
        return np.array([(self.fact(r, "weight_kg") or np.nan) * r["n_systems"] for r in self.racks], dtype=float)

    def weight_limit_kg(self) -> FloatArray:
        """Return what the floor carries under each rack and half the aisles beside it [kg]."""
        halls = {hall.id: (hall.floor_load_limit_kg_per_m2, hall.min_aisle_m) for hall in self.halls}
        return np.array(
            [halls[r["hall_id"]][0] * r["width_m"] * (r["depth_m"] + halls[r["hall_id"]][1]) for r in self.racks],
            dtype=float,
        )

    def cdu_size_m(self, cdu: dict) -> tuple[float, float]:
        """Return width and depth of a CDU [m]."""
        stated = self.fact(cdu, "width_m"), self.fact(cdu, "depth_m")
        return tuple(size or unstated for size, unstated in zip(stated, UNSTATED_CDU_M, strict=True))


def footprint(orientation_deg: int, width_m: float, depth_m: float) -> tuple[float, float]:
    """Return the extent along x and y; a quarter turn swaps width and depth."""
    return (depth_m, width_m) if orientation_deg in (90, 270) else (width_m, depth_m)


def read_floor(layout: Layout) -> Floor:
    """Return what stands on a layout's floors, by seven queries whatever the number of racks."""
    racks = list(Rack.objects.filter(hall__layout=layout).order_by("hall", "row", "name").values(*RACK_COLUMNS))
    cdus = list(layout.cdus.values(*CDU_COLUMNS))
    return Floor(
        layout=layout,
        halls=list(layout.halls.all()),
        racks=racks,
        cdus=cdus,
        air_units=list(AirUnit.objects.filter(layout=layout).values(*AIR_UNIT_COLUMNS)),
        features=list(FloorFeature.objects.filter(layout=layout).values(*FEATURE_COLUMNS)),
        facts=product_facts({row["product_id"] for row in (*racks, *cdus)} - {None}),
    )


def product_facts(ids: set[int]) -> dict[int, dict]:
    """Return the facts of products, with the throttling temperature of their accelerator beside them."""
    facts = {p.id: {**p.facts, "name": p.name} for p in Product.objects.filter(id__in=ids).only("id", "name", "facts")}
    accelerators = dict(
        Product.objects.filter(
            kind="accelerators", slug__in={f.get("accelerator") for f in facts.values()} - {None}
        ).values_list("slug", "facts")
    )
    for sheet in facts.values():
        sheet["throttle_degc"] = accelerators.get(sheet.get("accelerator"), {}).get("throttle_degc")
    return facts
