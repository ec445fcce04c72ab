"""The floor in a failure drill: racks by state, CDUs and air units to fail, in metres, y mirrored for SVG."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString

from twin.floor.rows import Floor, footprint

BESIDE_WALL_M = 1.0  # a square for an air unit that stands nowhere yet, outside the hall's left wall
MARGIN_M = 0.5
WORDS = {"dead": "off", "over": "overloaded", "throttled": "throttled"}


@dataclass(frozen=True, slots=True)
class Place:
    """One thing on the floor."""

    id: int
    name: str
    x_m: float
    y_m: float
    width_m: float
    depth_m: float

    @property
    def box(self) -> SafeString:
        """Its place as attributes of an SVG rectangle."""
        x, y, width, depth = (f"{value:.2f}" for value in (self.x_m, self.y_m, self.width_m, self.depth_m))
        return SafeString(f'x="{x}" y="{y}" width="{width}" height="{depth}"')


@dataclass(frozen=True, slots=True)
class HallDrawing:
    """One hall: what stands where."""

    id: int
    name: str
    width_m: float
    depth_m: float
    racks: list[Place]
    cdus: list[Place]
    air_units: list[Place]

    @property
    def view_box(self) -> str:
        """What of the plane is shown: the floor, a margin, and air units left of it."""
        left = BESIDE_WALL_M + 2 * MARGIN_M
        return f"{-left:g} {-MARGIN_M:g} {self.width_m + left + MARGIN_M:g} {self.depth_m + 2 * MARGIN_M:g}"

    def rack_markup(self, states: Iterable[str]) -> SafeString:
        """Return the racks as SVG. Joined here: a template's loop over a thousand racks takes longer than all else."""
        return SafeString(
            "".join(
                f'<rect class="rack {state}" {rack.box}><title>{escape(rack.name)}</title></rect>'
                for rack, state in zip(self.racks, states, strict=True)
            )
        )


def hall_drawings(floor: Floor) -> list[HallDrawing]:
    """Return the halls of a floor."""
    return [
        HallDrawing(
            hall.id,
            hall.name,
            hall.width_m,
            hall.depth_m,
            [_placed(hall, r, r["width_m"], r["depth_m"]) for r in floor.racks if r["hall_id"] == hall.id],
            [_placed(hall, cdu, *floor.cdu_size_m(cdu)) for cdu in floor.cdus if cdu["hall_id"] == hall.id],
            _air_units(hall, [unit for unit in floor.air_units if unit["hall_id"] == hall.id]),
        )
        for hall in floor.halls
    ]


def _placed(hall, row: dict, width_m: float, depth_m: float) -> Place:
    width, depth = footprint(row["orientation_deg"], width_m, depth_m)
    return Place(row["id"], row["name"], row["x_m"], hall.depth_m - row["y_m"] - depth, width, depth)


def _air_units(hall, standing: list[dict]) -> list[Place]:
    """Return the hall's air units: where they stand if all have a place, else in a column outside the left wall."""
    n = hall.n_air_units
    if len(standing) == n:
        return [_placed(hall, unit, unit["width_m"], unit["depth_m"]) for unit in standing]
    side = min(BESIDE_WALL_M, 0.8 * hall.depth_m / max(n, 1))
    pitch = hall.depth_m / max(n, 1)
    x = -side - MARGIN_M
    return [Place(hall.id, f"Air unit {i + 1} of {n}", x, pitch * (i + 0.5) - side / 2, side, side) for i in range(n)]


def count_text(states: Iterable[str]) -> str:
    """Return how many racks are in which state, "all 96 racks run" where nothing is wrong."""
    found = Counter(states)
    n = sum(found.values())
    wrong = [f"{found[state]} {word}" for state, word in WORDS.items() if found[state]]
    return f"{', '.join(wrong)}; {n} racks in all" if wrong else f"all {n} racks run"
