"""Rules of the floor: places, aisles, weight, and racks that are too small for what is in them."""

from collections.abc import Iterator

import numpy as np

from facility.findings.inventory import Inventory
from facility.findings.report import BLOCKING, RISK, Finding
from facility.floor_plan import TOUCH_M, clearances, overlapping_pairs


def floor_findings(inventory: Inventory) -> list[Finding]:
    """Return what is wrong on the floors."""
    found: list[Finding] = []
    for h, hall in enumerate(inventory.halls):
        found += _hall(inventory, h, hall)
    return found + list(_too_small(inventory))


def _hall(inventory: Inventory, h: int, hall) -> Iterator[Finding]:
    racks = inventory.racks
    mine = np.flatnonzero(racks.hall == h)
    cdus = [
        cdu for cdu in inventory.cdus
        if cdu.hall_id == hall.pk and inventory.facts(cdu.product_id)["type"] != "liquid_to_liquid_in_rack"
    ]  # fmt: skip
    objects = [("rack", racks.ids[i], racks.names[i]) for i in mine] + [("cdu", cdu.pk, cdu.name) for cdu in cdus]
    sheets = [inventory.facts(cdu.product_id) for cdu in cdus]
    width = np.append(racks.width_m[mine], [sheet["width_m"] for sheet in sheets])
    depth = np.append(racks.depth_m[mine], [sheet["depth_m"] for sheet in sheets])
    front = np.append(racks.orientation_deg[mine], [cdu.orientation_deg for cdu in cdus]).astype(np.int64)
    x, y = np.append(racks.x_m[mine], [c.x_m for c in cdus]), np.append(racks.y_m[mine], [c.y_m for c in cdus])
    turned = front % 180 == 90
    corners = np.stack([x, y, x + np.where(turned, depth, width), y + np.where(turned, width, depth)], axis=1)
    for i in np.flatnonzero((corners[:, 2] > hall.width_m + TOUCH_M) | (corners[:, 3] > hall.depth_m + TOUCH_M)):
        beyond_m = float(max(corners[i, 2] - hall.width_m, corners[i, 3] - hall.depth_m))
        yield Finding(
            *objects[i], "inside the hall", BLOCKING, beyond_m, 0.0, "m",
            f"Reaches ({corners[i, 2]:.2f}, {corners[i, 3]:.2f}) m; hall {hall.name} ends at "
            f"({hall.width_m:g}, {hall.depth_m:g}) m.",
        )  # fmt: skip
    for i, j in overlapping_pairs(corners):
        yield Finding(
            *objects[j], "overlap", BLOCKING, None, None, "m", f"Stands on the same floor as {_called(objects[i])}."
        )
    yield from _aisles(hall, objects, corners, front)
    yield from _floor_load(inventory, hall, mine)


def _aisles(hall, objects: list[tuple], corners: np.ndarray, front: np.ndarray) -> Iterator[Finding]:
    """Report each aisle that is too narrow once, at the first object beside it."""
    clear_m, nearest = clearances(corners, front)
    reported: set[frozenset[int]] = set()
    for side, word in ((0, "in front of"), (1, "behind")):
        for i in np.flatnonzero(clear_m[side] < hall.min_aisle_m - TOUCH_M):
            pair = frozenset((int(i), int(nearest[side, i])))
            if pair in reported:
                continue
            reported.add(pair)
            yield Finding(
                *objects[i], "aisle width", RISK, float(clear_m[side, i]), hall.min_aisle_m, "m",
                f"{clear_m[side, i]:.2f} m are clear {word} it, up to {_called(objects[nearest[side, i]])}; hall "
                f"{hall.name} asks for {hall.min_aisle_m:g} m.",
            )  # fmt: skip


def _floor_load(inventory: Inventory, hall, mine: np.ndarray) -> Iterator[Finding]:
    """Compare weight over the rack's own floor and half an aisle before and behind it with the hall's limit."""
    racks = inventory.racks
    area_m2 = racks.width_m[mine] * (racks.depth_m[mine] + hall.min_aisle_m)
    load = racks.weight_kg[mine] / area_m2
    for i, value in zip(mine, load, strict=True):
        if value > hall.floor_load_limit_kg_per_m2:
            yield Finding(
                "rack", racks.ids[i], racks.names[i], "floor load", BLOCKING, float(value),
                hall.floor_load_limit_kg_per_m2, "kg/m²",
                f"Weighs {racks.weight_kg[i]:,.0f} kg: {value:,.0f} kg/m² over its floor and half the aisles; hall "
                f"{hall.name} carries {hall.floor_load_limit_kg_per_m2:,.0f} kg/m².",
            )  # fmt: skip


def _too_small(inventory: Inventory) -> Iterator[Finding]:
    racks = inventory.racks
    for product_id in np.unique(racks.product_id):
        facts = inventory.facts(int(product_id))
        for name, size in (("width_m", racks.width_m), ("depth_m", racks.depth_m)):
            least = facts.get(name)
            if least is None:
                continue
            for i in np.flatnonzero((racks.product_id == product_id) & (size < least - TOUCH_M)):
                yield Finding(
                    "rack", racks.ids[i], racks.names[i], "rack size", RISK, float(size[i]), least, "m",
                    f"Is {size[i]:g} m in {name[:-2]}; {inventory.products[int(product_id)].name} needs {least:g} m.",
                )  # fmt: skip


def _called(thing: tuple) -> str:
    return f"CDU {thing[2]}" if thing[0] == "cdu" else f"{thing[0]} {thing[2]}"
