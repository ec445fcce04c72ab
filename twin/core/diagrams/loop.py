"""The loop diagram of cooling: heat rejection at the left, racks at the right, one frame per facility-water loop.

Each loop has its coolers or towers, chillers and pumps in line, then a supply and a return header from which branches
lead to groups of CDUs and to the air units of halls, and from these to racks. Rows are plain values.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twin.core.diagrams.rows import DrawnCdu, DrawnHall, DrawnPlant, DrawnRack
from twin.core.diagrams.schematic import BLOCK_HEIGHT, BLOCK_WIDTH, Box, Node, Reading, Schematic, Slot, Wire, block
from twin.core.text.numbers import quantity_text

MARGIN, INSET = 14.0, 16.0  # of the drawing, and of a loop's frame
TITLE = 30.0  # of a loop's frame
PITCH = BLOCK_HEIGHT + 34  # of branches, with room for the label of a box
BLOCK_GAP, MAIN_GAP, BRANCH_GAP, RACK_GAP = 30.0, 104.0, 116.0, 98.0
HALF_PIPES = 13.0  # supply above the middle, return below
HEADERS = 16.0  # between the two headers
MOST_BRANCHES = 40  # beyond, the CDU groups of one hall on one loop share a symbol
SHORT = "above set point"  # a plant whose state is over: it cannot make the water as cold as wanted
REJECTION = {"cooling_towers": ("tower", "tower", "cooling tower"), "dry_coolers": ("dry-cooler", "cooler", "cooler")}


@dataclass(slots=True)
class _Branch:
    """What hangs on the headers: CDUs that share a manifold, or the air units of a hall."""

    name: str
    cdus: list[DrawnCdu] = field(default_factory=list)  # none: `hall` has the air units
    hall: DrawnHall | None = None
    racks: list[DrawnRack] = field(default_factory=list)


def loop_diagram(
    plants: Sequence[DrawnPlant], cdus: Sequence[DrawnCdu], halls: Sequence[DrawnHall], racks: Sequence[DrawnRack]
) -> Schematic:
    """Return the drawing of a layout's cooling loops.

    Parameters
    ----------
    plants : sequence of DrawnPlant
    cdus : sequence of DrawnCdu
    halls : sequence of DrawnHall
    racks : sequence of DrawnRack

    Returns
    -------
    Schematic
        Without nodes if there is neither a plant nor an air unit.
    """
    of_plant = _branches(cdus, halls, racks)
    drawing, top = Schematic(), MARGIN
    for plant in plants:
        top = _draw_loop(drawing, plant, of_plant.pop(plant.id, []), top) + MARGIN
    for branches in of_plant.values():  # air units that no plant cools
        top = _draw_unplanted(drawing, branches, top) + MARGIN
    drawing.width = max((box.x + box.width for box in drawing.boxes), default=0.0) + MARGIN
    drawing.height = top if drawing.nodes else 0.0
    return drawing


def _branches(
    cdus: Sequence[DrawnCdu], halls: Sequence[DrawnHall], racks: Sequence[DrawnRack]
) -> dict[int | None, list[_Branch]]:
    """Return what hangs on each plant, with the racks behind it."""
    groups: dict[tuple[Any, ...], list[DrawnCdu]] = defaultdict(list)
    n_groups = len({(cdu.plant_id, cdu.group) for cdu in cdus})
    for cdu in cdus:
        groups[(cdu.plant_id, cdu.hall_id if n_groups > MOST_BRANCHES else cdu.group)].append(cdu)
    hall_name = {hall.id: hall.name for hall in halls}
    found: dict[int | None, list[_Branch]] = defaultdict(list)
    branch_of: dict[int, _Branch] = {}
    for (plant, key), members in groups.items():
        own = {cdu.group for cdu in members}
        name = next(iter(own)) if len(own) == 1 else f"{len(own)} groups of {hall_name.get(key, key)}"
        found[plant].append(_Branch(name, cdus=members))
        branch_of |= {cdu.id: found[plant][-1] for cdu in members}
    for hall in halls:
        if hall.n_air_units:
            found[hall.plant_id].append(_Branch(hall.name, hall=hall))
            found[hall.plant_id][-1].racks = [rack for rack in racks if rack.hall_id == hall.id]
    for rack in racks:
        if rack.cdu_id in branch_of:
            branch_of[rack.cdu_id].racks.append(rack)
    return found


def _draw_loop(drawing: Schematic, plant: DrawnPlant, branches: list[_Branch], top: float) -> float:
    """Draw one plant with all that hangs on it; return the bottom of its frame."""
    height = TITLE + PITCH * max(len(branches), 1) + INSET / 2
    middle = top + TITLE + PITCH * max(len(branches), 1) / 2 + 8
    x = MARGIN + INSET
    blocks = [_rejection(plant, x, middle)]
    if plant.n_chillers:
        blocks.append(_chillers(plant, blocks[-1].x + BLOCK_WIDTH + BLOCK_GAP, middle))
    blocks.append(_pumps(plant, blocks[-1].x + BLOCK_WIDTH + BLOCK_GAP, middle))
    drawing.nodes += blocks
    for node, spare in zip(blocks, _spares(plant), strict=True):
        _box(drawing, node, spare)
    supply_x = blocks[-1].x + BLOCK_WIDTH + MAIN_GAP
    _main_pipes(drawing, plant, blocks, supply_x, middle)
    for i, branch in enumerate(branches):
        _draw_branch(drawing, branch, supply_x, middle, top + TITLE + PITCH * (i + 0.5) + 8)
    right = supply_x + HEADERS + BRANCH_GAP + BLOCK_WIDTH + RACK_GAP + BLOCK_WIDTH + INSET
    economiser = {
        "none": "no free cooling",
        "integrated": "free cooling first, chillers take the rest",
        "only": "outside air only",
    }[plant.economiser]
    label = f"{plant.name} · {quantity_text(plant.supply_degc, '°C')} supply · {plant.coolant} · {economiser}"
    if plant.tank_m3:
        label += f" · buffer {quantity_text(plant.tank_m3, 'm³')}"
    drawing.boxes.insert(0, Box(MARGIN, top, right - MARGIN, height, label, "loop"))
    return top + height


def _draw_unplanted(drawing: Schematic, branches: list[_Branch], top: float) -> float:
    """Draw air units without a plant, which reject to the outdoors themselves; return the bottom of their frame."""
    height = TITLE + PITCH * len(branches) + INSET / 2
    x = MARGIN + INSET
    for i, branch in enumerate(branches):
        _draw_branch(drawing, branch, None, 0.0, top + TITLE + PITCH * (i + 0.5) + 8, x)
    width = 2 * BLOCK_WIDTH + RACK_GAP + 2 * INSET
    drawing.boxes.insert(0, Box(MARGIN, top, width, height, "Air units on no facility-water loop", "loop"))
    return top + height


def _spares(plant: DrawnPlant) -> list[int]:
    spares = [plant.n_heat_rejection_spare, plant.n_pumps_spare]
    return [spares[0], plant.n_chillers_spare, spares[1]] if plant.n_chillers else spares


def _box(drawing: Schematic, node: Node, spare: int, noun: str = "") -> None:
    """Draw the frame that says how many units there are and how many of them may fail."""
    scheme = f"N+{spare}" if spare else "no spare"
    label = f"{_counted(node.n_units, noun)} · {scheme}" if noun else scheme
    drawing.boxes.append(Box(node.x - 6, node.y - 18, node.width + 12, node.height + 24, label))


def _units(noun: str, kind: str, pk: int, n: int) -> list[tuple[str, str]]:
    return [(f"{noun} {i + 1} of {n}", f"{kind}:{pk}") for i in range(n)]


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _plant_reading(plant: DrawnPlant, quantity: str, unit: str) -> tuple[Reading, ...]:
    return (Reading("plants", (plant.id,), quantity, unit),)


def _rejection(plant: DrawnPlant, x: float, middle: float) -> Node:
    symbol, kind, noun = REJECTION[plant.rejection_kind]
    n, pk = plant.n_heat_rejection, plant.id
    lines = [
        ("heat {}", _plant_reading(plant, "heat_w", "W")),
        ("fans {}", _plant_reading(plant, "fan_power_w", "W")),
        ("water {}", _plant_reading(plant, "water_kg_s", "kg/s")),
    ]
    return block(
        f"{kind}-{pk}",
        symbol,
        x,
        middle - BLOCK_HEIGHT / 2,
        _counted(n, noun),
        lines,
        kind="plant",
        ids=(pk,),
        table="plants",
        over_word="" if plant.n_chillers else SHORT,
        out_column=f"{kind}s_out",
        token=f"{kind}:{pk}",
        n_units=n,
        units=_units(noun.capitalize(), kind, pk, n),
        note=f"{n} × {plant.rejection}, {plant.n_heat_rejection_spare} spare",
    )


def _chillers(plant: DrawnPlant, x: float, middle: float) -> Node:
    n, pk = plant.n_chillers, plant.id
    load = Reading("plants", (pk,), "chiller_load_frac", "%", "max")
    lines = [
        ("{}", _plant_reading(plant, "chiller_power_w", "W")),
        ("load {}", (load,)),
        ("free cooling {}", (Reading("plants", (pk,), "economiser_frac", "%", "mean"),)),
    ]
    return block(
        f"chiller-{pk}",
        "chiller",
        x,
        middle - BLOCK_HEIGHT / 2,
        _counted(n, "chiller"),
        lines,
        kind="plant",
        ids=(pk,),
        table="plants",
        over_word=SHORT,
        out_column="chillers_out",
        token=f"chiller:{pk}",
        n_units=n,
        units=_units("Chiller", "chiller", pk, n),
        note=f"{n} × {plant.chiller}, {plant.n_chillers_spare} spare",
        load=load,
    )


def _pumps(plant: DrawnPlant, x: float, middle: float) -> Node:
    n, pk = plant.n_pumps, plant.id
    lines = [
        ("flow {}", _plant_reading(plant, "flow_kg_s", "kg/s")),
        ("{}", _plant_reading(plant, "pump_power_w", "W")),
    ]
    on_main = x + BLOCK_WIDTH + 8
    beside = (
        _degrees(on_main, middle - HALF_PIPES - 5, Reading("plants", (pk,), "supply_degc", "°C", "mean"), "supply"),
        _degrees(on_main, middle + HALF_PIPES + 13, Reading("plants", (pk,), "return_degc", "°C", "mean"), "return"),
    )
    return block(
        f"plant_pump-{pk}",
        "pump",
        x,
        middle - BLOCK_HEIGHT / 2,
        _counted(n, "pump"),
        lines,
        kind="plant",
        ids=(pk,),
        table="plants",
        over_word="",
        out_column="pumps_out",
        token=f"plant_pump:{pk}",
        n_units=n,
        units=_units("Pump", "plant_pump", pk, n),
        note=f"{n} × {plant.pump}, {plant.n_pumps_spare} spare",
        beside=beside,
    )


def _degrees(x: float, y: float, reading: Reading, kind: str) -> Slot:
    return Slot(x, y, "{}", (reading,), kind=f"value {kind}")


def _main_pipes(drawing: Schematic, plant: DrawnPlant, blocks: list[Node], supply_x: float, middle: float) -> None:
    """Draw supply and return between the blocks and to the headers."""
    for node, following in zip(blocks, [*blocks[1:], None], strict=True):
        start = node.x + node.width
        for kind, y, header in (
            ("supply", middle - HALF_PIPES, supply_x),
            ("return", middle + HALF_PIPES, supply_x + HEADERS),
        ):
            end = header if following is None else following.x
            drawing.wires.append(Wire(((start, y), (end, y)), blocks[-1].key, kind))


def _draw_branch(
    drawing: Schematic, branch: _Branch, supply_x: float | None, main: float, y: float, x: float = 0.0
) -> None:
    """Draw what hangs on the headers at one height, the racks behind it and the pipes to both."""
    if supply_x is not None:
        x = supply_x + HEADERS + BRANCH_GAP
    if branch.hall is None:
        exchanger = _cdus(branch, x, y)
        spare, noun, medium = min(cdu.redundant_units for cdu in branch.cdus), "CDU", ""
    else:
        exchanger = _air_units(branch.hall, x, y)
        spare, noun, medium = branch.hall.n_air_units_spare, "air unit", "air-"
    racks = _racks(branch, x + BLOCK_WIDTH + RACK_GAP, y)
    drawing.nodes += [exchanger, racks]
    _box(drawing, exchanger, spare, noun)
    if supply_x is not None:
        for kind, header, offset in (("supply", supply_x, -HALF_PIPES), ("return", supply_x + HEADERS, HALF_PIPES)):
            points = ((header, main + offset), (header, y + offset), (x, y + offset))
            drawing.wires.append(Wire(points, exchanger.key, kind))
    for kind, offset in (("supply", -HALF_PIPES), ("return", HALF_PIPES)):
        to_racks = ((x + BLOCK_WIDTH, y + offset), (racks.x, y + offset))
        drawing.wires.append(Wire(to_racks, exchanger.key, medium + kind))


def _cdus(branch: _Branch, x: float, y: float) -> Node:
    """Return the CDUs of a group, with the temperatures on both their sides."""
    ids = tuple(cdu.id for cdu in branch.cdus)
    n, first = len(ids), branch.cdus[0]
    load = Reading("cdus", ids, "load_frac", "%", "max")
    lines = [
        ("heat {}", (Reading("cdus", ids, "heat_w", "W"),)),
        ("load {}", (load,)),
        ("pumps {}", (Reading("cdus", ids, "pump_power_w", "W"),)),
    ]
    left, right = x - BRANCH_GAP + 6, x + BLOCK_WIDTH + 10
    beside = (
        Slot(
            left, y - HALF_PIPES - 5, "{}", (Reading("cdus", ids, "facility_flow_kg_s", "kg/s"),), kind="value supply"
        ),
        _degrees(left, y + HALF_PIPES + 13, Reading("cdus", ids, "facility_return_degc", "°C", "mean"), "return"),
        _degrees(right, y - HALF_PIPES - 5, Reading("cdus", ids, "supply_degc", "°C", "max"), "supply"),
        Slot(right, y + 4, "{}", (Reading("cdus", ids, "flow_kg_s", "kg/s"),), kind="value flow"),
        _degrees(right, y + HALF_PIPES + 13, Reading("cdus", ids, "return_degc", "°C", "max"), "return"),
    )
    return block(
        f"cdu-{first.id}",
        "exchanger",
        x,
        y - BLOCK_HEIGHT / 2,
        branch.name,
        lines,
        kind="cdu",
        ids=ids,
        table="cdus",
        n_units=n,
        units=[(cdu.name, f"cdu:{cdu.id}") for cdu in branch.cdus],
        load=load,
        beside=beside,
        note=f"{n} × {first.product}, {first.redundant_units} spare",
    )


def _air_units(hall: DrawnHall, x: float, y: float) -> Node:
    """Return the air units of a hall, with the temperatures of the air they move."""
    n, ids = hall.n_air_units, (hall.id,)
    load = Reading("halls", ids, "load_frac", "%", "max")
    lines = [
        ("heat {}", (Reading("halls", ids, "air_heat_w", "W"),)),
        ("load {}", (load,)),
        ("fans {}", (Reading("halls", ids, "fan_power_w", "W"),)),
    ]
    right = x + BLOCK_WIDTH + 10
    beside = (
        _degrees(right, y - HALF_PIPES - 5, Reading("halls", ids, "supply_degc", "°C", "mean"), "supply"),
        Slot(right, y + 4, "{}", (Reading("halls", ids, "air_flow_kg_s", "kg/s"),), kind="value flow"),
        _degrees(right, y + HALF_PIPES + 13, Reading("halls", ids, "return_degc", "°C", "mean"), "return"),
    )
    return block(
        f"air_unit-{hall.id}",
        "coil",
        x,
        y - BLOCK_HEIGHT / 2,
        hall.name,
        lines,
        kind="hall",
        ids=ids,
        table="halls",
        out_column="units_out",
        token=f"air_unit:{hall.id}",
        n_units=n,
        units=_units("Air unit", "air_unit", hall.id, n),
        note=f"{n} × {hall.air_unit}, {hall.n_air_units_spare} spare",
        load=load,
        beside=beside,
    )


def _racks(branch: _Branch, x: float, y: float) -> Node:
    """Return the racks behind CDUs or air units."""
    ids = tuple(rack.id for rack in branch.racks)
    by_air = branch.hall is not None
    title = f"Air of {_counted(len(ids), 'rack')}" if by_air else _counted(len(ids), "rack")
    inlet, power = Reading("racks", ids, "inlet_air_degc", "°C", "max"), Reading("racks", ids, "power_w", "W")
    lines = [
        ("inlet ≤ {}", (inlet,)) if by_air else ("{}", (power,)),
        ("chips ≤ {}", (Reading("racks", ids, "junction_degc", "°C", "max"),)),
        ("{}", (Reading("racks", ids, "tokens_per_s", "tok/s"),)),
    ]
    return block(
        f"racks-hall-{branch.hall.id}" if branch.hall is not None else f"racks-cdu-{branch.cdus[0].id}",
        "racks",
        x,
        y - BLOCK_HEIGHT / 2,
        title,
        lines if ids else (),
        kind="racks",
        ids=ids,
        table="racks",
        n_units=1,
        note=f"{_counted(len(ids), 'rack')} {'in the air of' if by_air else 'on'} {branch.name}",
    )
