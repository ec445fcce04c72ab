"""What diagrams are drawn from: the described objects with the names of their products, as the drawings say them."""

from dataclasses import dataclass

from twin.core.inputs.feed_ratings import rating_w
from twin.core.inputs.layout import LayoutInputs

COOLANTS = {"water": "water", "pg25": "PG25", "pg30": "PG30", "eg30": "EG30"}


@dataclass(frozen=True, slots=True)
class DrawnRack:
    """What cools and feeds a rack."""

    id: int
    row: str
    hall_id: int
    cdu_id: int | None
    feed_a_id: int | None
    feed_b_id: int | None


@dataclass(frozen=True, slots=True)
class DrawnFeed:
    """A feed with the rating of one of its units."""

    id: int
    name: str
    kind: str
    parent_id: int | None
    n_units: int
    redundancy_group: str
    redundancy: str
    rating_w: float | None
    product: str
    operation: str = "standby"


@dataclass(frozen=True, slots=True)
class DrawnPlant:
    """A cooling plant."""

    id: int
    name: str
    supply_degc: float
    economiser: str
    tank_m3: float
    n_heat_rejection: int
    n_heat_rejection_spare: int
    n_chillers: int
    n_chillers_spare: int
    n_pumps: int
    n_pumps_spare: int
    coolant: str
    rejection_kind: str
    rejection: str
    chiller: str
    pump: str


@dataclass(frozen=True, slots=True)
class DrawnCdu:
    """A CDU."""

    id: int
    name: str
    group: str
    redundant_units: int
    plant_id: int
    hall_id: int
    supply_degc: float
    product: str


@dataclass(frozen=True, slots=True)
class DrawnHall:
    """A hall with its air units."""

    id: int
    name: str
    plant_id: int | None
    n_air_units: int
    n_air_units_spare: int
    supply_air_degc: float
    air_unit: str


def rack_rows(inputs: LayoutInputs) -> list[DrawnRack]:
    """Return every rack with what cools and feeds it."""
    racks = inputs.racks
    columns = (racks.id, racks.row, racks.hall_id, racks.cdu_id, racks.feed_a_id, racks.feed_b_id)
    return [DrawnRack(*values) for values in zip(*columns, strict=True)]


def feed_rows(inputs: LayoutInputs) -> list[DrawnFeed]:
    """Return every feed with the rating of one of its units and the name of its product."""
    return [
        DrawnFeed(
            feed.id,
            feed.name,
            feed.kind,
            feed.parent_id,
            feed.n_units,
            feed.redundancy_group,
            feed.redundancy,
            rating_w=rating_w(inputs, feed),
            product=inputs.product_name(feed.product_id),
            operation=feed.operation,
        )
        for feed in inputs.feeds
    ]


def plant_rows(inputs: LayoutInputs) -> list[DrawnPlant]:
    """Return every cooling plant with the names of its products."""
    return [
        DrawnPlant(
            plant.id,
            plant.name,
            plant.supply_degc,
            plant.economiser,
            plant.tank_m3,
            plant.n_heat_rejection,
            plant.n_heat_rejection_spare,
            plant.n_chillers,
            plant.n_chillers_spare,
            plant.n_pumps,
            plant.n_pumps_spare,
            coolant=COOLANTS.get(plant.coolant, plant.coolant),
            rejection_kind=inputs.products.by_id[plant.heat_rejection_id].kind,
            rejection=inputs.product_name(plant.heat_rejection_id),
            chiller=inputs.product_name(plant.chiller_id),
            pump=inputs.product_name(plant.pump_id),
        )
        for plant in inputs.plants
    ]


def cdu_rows(inputs: LayoutInputs) -> list[DrawnCdu]:
    """Return every CDU with the name of its product."""
    return [
        DrawnCdu(
            cdu.id,
            cdu.name,
            cdu.group,
            cdu.redundant_units,
            cdu.plant_id,
            cdu.hall_id,
            cdu.supply_degc,
            product=inputs.product_name(cdu.product_id),
        )
        for cdu in inputs.cdus
    ]


def hall_rows(inputs: LayoutInputs) -> list[DrawnHall]:
    """Return every hall with the name of its air units' product."""
    return [
        DrawnHall(
            hall.id,
            hall.name,
            hall.plant_id,
            hall.n_air_units,
            hall.n_air_units_spare,
            hall.supply_air_degc,
            air_unit=inputs.product_name(hall.air_unit_id),
        )
        for hall in inputs.halls
    ]
