"""Rules of the floor: places, aisles, weight, and racks that are too small for what is in them."""

from collections.abc import Iterator

import numpy as np

from facility.findings.inventory import Inventory
from facility.findings.report import BLOCKING, HINT, RISK, Finding
from facility.floor_plan import TOUCH_M, clearances, overlapping_pairs
from facility.models import FloorFeature

REACH_M = 0.1  # an aisle that begins within this of a rack's front is the one it draws from
CALLED = {"cdu": "CDU", "air_unit": "air unit", "floor_feature": "wall or keep-out"}


def floor_findings(inventory: Inventory) -> list[Finding]:
    """Return what is wrong on the floors."""
    found: list[Finding] = []
    for h, hall in enumerate(inventory.halls):
        found += _hall(inventory, h, hall)
    return found + list(_too_small(inventory))


def _hall(inventory: Inventory, h: int, hall) -> Iterator[Finding]:
    racks = inventory.racks
    in_hall = np.flatnonzero(racks.hall == h)
    cdus = [
        cdu
        for cdu in inventory.cdus
        if cdu.hall_id == hall.pk and inventory.facts(cdu.product_id)["type"] != "liquid_to_liquid_in_rack"
    ]
    units = [unit for unit in inventory.air_units if unit.hall_id == hall.pk]
    objects = [("rack", racks.ids[i], racks.names[i]) for i in in_hall] + [("cdu", cdu.pk, cdu.name) for cdu in cdus]
    n_fronts = len(objects)  # what has a front that people work at
    objects += [("air_unit", unit.pk, unit.name) for unit in units]
    sheets = [inventory.facts(cdu.product_id) for cdu in cdus]
    others = [*cdus, *units]
    width = np.append(racks.width_m[in_hall], [s["width_m"] for s in sheets] + [unit.width_m for unit in units])
    depth = np.append(racks.depth_m[in_hall], [s["depth_m"] for s in sheets] + [unit.depth_m for unit in units])
    front = np.append(racks.orientation_deg[in_hall], [thing.orientation_deg for thing in others]).astype(np.int64)
    x = np.append(racks.x_m[in_hall], [thing.x_m for thing in others])
    y = np.append(racks.y_m[in_hall], [thing.y_m for thing in others])
    turned = front % 180 == 90
    corners = np.stack([x, y, x + np.where(turned, depth, width), y + np.where(turned, width, depth)], axis=1)
    for i in np.flatnonzero((corners[:, 2] > hall.width_m + TOUCH_M) | (corners[:, 3] > hall.depth_m + TOUCH_M)):
        beyond_m = float(max(corners[i, 2] - hall.width_m, corners[i, 3] - hall.depth_m))
        yield Finding(
            *objects[i],
            "inside the hall",
            BLOCKING,
            beyond_m,
            0.0,
            "m",
            f"Reaches ({corners[i, 2]:.2f}, {corners[i, 3]:.2f}) m; hall {hall.name} ends at "
            f"({hall.width_m:g}, {hall.depth_m:g}) m.",
        )
    features = [feature for feature in inventory.features if feature.hall_id == hall.pk]
    solid = [feature for feature in features if feature.is_solid]
    objects += [("floor_feature", feature.pk, feature.name) for feature in solid]
    corners = np.concatenate([corners, _corners(solid)])
    n_standing = len(objects) - len(solid)
    for i, j in overlapping_pairs(corners, n_first=n_standing):  # walls may meet walls
        yield Finding(
            *objects[j], "overlap", BLOCKING, None, None, "m", f"Stands on the same floor as {_called(objects[i])}."
        )
    yield from _aisles(hall, objects, corners, np.append(front, np.zeros(len(solid), np.int64)), n_fronts)
    yield from _drawn_aisles(features, objects[:n_fronts], corners[:n_fronts], front[:n_fronts], len(in_hall))
    yield from _placed_air_units(hall, units)
    yield from _floor_load(inventory, hall, in_hall)


def _corners(features: list[FloorFeature]) -> np.ndarray:
    """Return x0, y0, x1, y1 of each feature [m], shape (n, 4)."""
    boxes = [(f.x_m, f.y_m, f.x_m + f.width_m, f.y_m + f.depth_m) for f in features]
    return np.array(boxes, dtype=float).reshape(-1, 4)


def _aisles(hall, objects: list[tuple], corners: np.ndarray, front: np.ndarray, n_fronts: int) -> Iterator[Finding]:
    """Report each aisle that is too narrow once, at the first object beside it; the first `n_fronts` have fronts."""
    clear_m, nearest = clearances(corners, front)
    reported: set[frozenset[int]] = set()
    for side, word in ((0, "in front of"), (1, "behind")):
        for i in np.flatnonzero(clear_m[side, :n_fronts] < hall.min_aisle_m - TOUCH_M):
            pair = frozenset((int(i), int(nearest[side, i])))
            if pair in reported:
                continue
            reported.add(pair)
            yield Finding(
                *objects[i],
                "aisle width",
                RISK,
                float(clear_m[side, i]),
                hall.min_aisle_m,
                "m",
                f"{clear_m[side, i]:.2f} m are clear {word} it, up to {_called(objects[nearest[side, i]])}; hall "
                f"{hall.name} asks for {hall.min_aisle_m:g} m.",
            )


def _drawn_aisles(
    features: list[FloorFeature], objects: list[tuple], corners: np.ndarray, front: np.ndarray, n_racks: int
) -> Iterator[Finding]:
    """Report what stands in a drawn aisle, and racks that draw their air from a drawn hot aisle."""
    # What lies within a hand's breadth before each front, in the order of 0°, 90°, 180°, 270°.
    x0, y0, x1, y1 = corners.T
    before = np.stack(
        [
            np.stack([x0, y0 - REACH_M, x1, y0], axis=1),
            np.stack([x1, y0, x1 + REACH_M, y1], axis=1),
            np.stack([x0, y1, x1, y1 + REACH_M], axis=1),
            np.stack([x0 - REACH_M, y0, x0, y1], axis=1),
        ]
    )[front // 90, np.arange(len(front))]
    for feature in features:
        if feature.is_solid:
            continue
        aisle = _corners([feature])[0]
        called = f"{feature.get_type_display()} {feature.name}"
        for i in np.flatnonzero(_covers(corners, aisle)):
            yield Finding(*objects[i], "clear aisle", RISK, None, None, "", f"Stands in {called}.")
        if feature.type == FloorFeature.Type.HOT_AISLE:
            for i in np.flatnonzero(_covers(before[:n_racks], aisle)):
                yield Finding(
                    *objects[i],
                    "front in hot aisle",
                    RISK,
                    None,
                    None,
                    "",
                    f"Faces {called} and would draw in exhaust air; turn it round.",
                )


def _covers(rectangles: np.ndarray, rectangle: np.ndarray) -> np.ndarray:
    """Return which rectangles overlap one other by more than a millimetre."""
    x_m = np.minimum(rectangles[:, 2], rectangle[2]) - np.maximum(rectangles[:, 0], rectangle[0])
    y_m = np.minimum(rectangles[:, 3], rectangle[3]) - np.maximum(rectangles[:, 1], rectangle[1])
    return (x_m > TOUCH_M) & (y_m > TOUCH_M)


def _placed_air_units(hall, units: list) -> Iterator[Finding]:
    """Report where the drawing and the hall's number of air units differ; a hall that draws none says nothing."""
    if units and len(units) != hall.n_air_units:
        severity = RISK if len(units) > hall.n_air_units else HINT
        yield Finding(
            "hall",
            hall.pk,
            hall.name,
            "placed air units",
            severity,
            float(len(units)),
            float(hall.n_air_units),
            "units",
            f"{len(units)} air units are drawn, but the hall has {hall.n_air_units}; only those of the hall "
            "are solved and bought.",
        )


def _floor_load(inventory: Inventory, hall, in_hall: np.ndarray) -> Iterator[Finding]:
    """Compare weight over the rack's own floor and half an aisle before and behind it with the hall's limit."""
    racks = inventory.racks
    area_m2 = racks.width_m[in_hall] * (racks.depth_m[in_hall] + hall.min_aisle_m)
    load = racks.weight_kg[in_hall] / area_m2
    for i, value in zip(in_hall, load, strict=True):
        if value > hall.floor_load_limit_kg_per_m2:
            yield Finding(
                "rack",
                racks.ids[i],
                racks.names[i],
                "floor load",
                BLOCKING,
                float(value),
                hall.floor_load_limit_kg_per_m2,
                "kg/m²",
                f"Weighs {racks.weight_kg[i]:,.0f} kg: {value:,.0f} kg/m² over its floor and half the aisles; hall "
                f"{hall.name} carries {hall.floor_load_limit_kg_per_m2:,.0f} kg/m².",
            )


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
                    "rack",
                    racks.ids[i],
                    racks.names[i],
                    "rack size",
                    RISK,
                    float(size[i]),
                    least,
                    "m",
                    f"Is {size[i]:g} m in {name[:-2]}; {inventory.products[int(product_id)].name} needs {least:g} m.",
                )


def _called(thing: tuple) -> str:
    return f"{CALLED.get(thing[0], thing[0])} {thing[2]}"
