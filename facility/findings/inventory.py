"""The floors of a layout read once, racks as arrays: what the rules of the floor work on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facility.models import AirUnit, Cdu, FloorFeature, Hall, Layout, Product, Rack

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RACK_COLUMNS = (
    "id",
    "name",
    "hall_id",
    "x_m",
    "y_m",
    "width_m",
    "depth_m",
    "orientation_deg",
    "product_id",
    "n_systems",
)


@dataclass(frozen=True, slots=True, eq=False)
class RackTable:
    """Racks of a layout. Every array has shape (n_racks,); -1 stands for none."""

    ids: Sequence[int]
    names: Sequence[str]
    product_id: IntArray
    hall: IntArray  # position in Inventory.halls
    x_m: FloatArray
    y_m: FloatArray
    width_m: FloatArray
    depth_m: FloatArray
    orientation_deg: IntArray
    weight_kg: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Inventory:
    """What stands on the floors of a layout."""

    halls: list[Hall]
    cdus: list[Cdu]
    air_units: list[AirUnit]
    features: list[FloorFeature]
    racks: RackTable
    products: Mapping[int, Any]  # whatever has a name and facts

    def facts(self, product_id: int | None) -> dict[str, Any]:
        """Return the facts of a product; none for no product."""
        return self.products[product_id].facts if product_id in self.products else {}


def take_inventory(
    layout: Layout, racks: Mapping[str, Sequence] | None = None, products: Mapping[int, Any] | None = None
) -> Inventory:
    """Read the floors of a layout in six queries; in four where racks and products have been read already.

    Parameters
    ----------
    layout : Layout
    racks : mapping of str to sequence, optional
        Columns of the racks, those of `RACK_COLUMNS`.
    products : mapping of int to product, optional
        What racks and CDUs refer to, by id: whatever has a name and facts.
    """
    halls = list(layout.halls.order_by("pk"))
    cdus = list(layout.cdus.order_by("pk"))
    if racks is None:
        in_order = Rack.objects.filter(hall__layout=layout).order_by("hall_id", "row", "name")
        rows = list(in_order.values_list(*RACK_COLUMNS))
        racks = {name: [row[i] for row in rows] for i, name in enumerate(RACK_COLUMNS)}
    if products is None:
        wanted = {*racks["product_id"], *(cdu.product_id for cdu in cdus)} - {None}
        products = Product.objects.filter(pk__in=wanted).only("name", "facts").in_bulk()
    return Inventory(
        halls=halls,
        cdus=cdus,
        air_units=list(layout.air_units.order_by("pk")),
        features=list(layout.floor_features.order_by("pk")),
        racks=_rack_table(racks, halls, products),
        products=products,
    )


def _rack_table(racks: Mapping[str, Sequence], halls: list[Hall], products: Mapping[int, Any]) -> RackTable:
    at = {hall.pk: i for i, hall in enumerate(halls)}
    product_id = np.array([key or -1 for key in racks["product_id"]], dtype=np.int64)
    unique, which = np.unique(product_id, return_inverse=True)
    weights = [float(products[key].facts.get("weight_kg") or 0) if key in products else 0.0 for key in unique.tolist()]
    return RackTable(
        ids=racks["id"],
        names=racks["name"],
        product_id=product_id,
        hall=np.array([at[key] for key in racks["hall_id"]], dtype=np.int64),
        x_m=np.array(racks["x_m"], dtype=float),
        y_m=np.array(racks["y_m"], dtype=float),
        width_m=np.array(racks["width_m"], dtype=float),
        depth_m=np.array(racks["depth_m"], dtype=float),
        orientation_deg=np.array(racks["orientation_deg"], dtype=np.int64),
        weight_kg=np.array(racks["n_systems"], dtype=float) * np.array(weights, dtype=float).reshape(-1)[which],
    )
