"""The difference of two plans as SVG: what only one of them has, what moved, what changed, what stays.

Every state has its own sign beside its colour. Lengths inside the drawing are metres, y upwards turned to y downwards.
"""

from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString

from twin.core.comparison.plan_difference import (
    CHANGED,
    MOVED,
    ONLY_A,
    ONLY_B,
    SAME,
    Box,
    Difference,
    HallDifference,
    PlanDifference,
)

#: Class, sign and words of a state, in the order of the legend.
SIGNS = {
    ONLY_A: ("gone", "−", "only in {a}"),
    ONLY_B: ("new", "+", "only in {b}"),
    MOVED: ("moved", "→", "moved, from its place in {a}"),
    CHANGED: ("changed", "≠", "changed: product, feeds, CDU or others"),
    SAME: ("same", "", "unchanged"),
}
MARGIN_M = 0.4


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One state of the legend, with how many things have it."""

    css: str
    sign: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class HallDrawing:
    """One hall, ready for the template."""

    name: str
    view_box: str
    text_m: float
    floor: tuple[float, float]
    markup: SafeString
    summary: str


def drawings(difference: PlanDifference) -> list[HallDrawing]:
    """Return the halls in which something stands on the floor."""
    return [drawn(hall) for hall in difference.halls if hall.things]


def legend(difference: PlanDifference, a: str, b: str) -> list[LegendEntry]:
    """Return the legend; `a` and `b` are what the two layouts are called on the page."""
    return [
        LegendEntry(css, sign, words.format(a=a, b=b), difference.counts.get(state, 0))
        for state, (css, sign, words) in SIGNS.items()
    ]


def drawn(hall: HallDifference) -> HallDrawing:
    """Return one hall with everything that stands in it, what stays below what differs."""
    order = {SAME: 0, CHANGED: 1, MOVED: 2, ONLY_A: 3, ONLY_B: 4}
    # aisles and walls lie under what stands on the floor
    things = sorted(hall.things, key=lambda thing: (thing.thing.kind != "floor feature", order[thing.state]))
    markup = "".join(_thing(thing, hall.depth_m) for thing in things)
    differing = sum(thing.state != SAME for thing in things)
    view = f"{-MARGIN_M} {-MARGIN_M} {_m(hall.width_m + 2 * MARGIN_M)} {_m(hall.depth_m + 2 * MARGIN_M)}"
    return HallDrawing(
        hall.name,
        view,
        max(min(hall.width_m, hall.depth_m) / 60, 0.22),
        (hall.width_m, hall.depth_m),
        SafeString(markup),
        f"{differing} of {len(things)} things on the floor differ",
    )


def _thing(difference: Difference, depth_m: float) -> str:
    css, sign, _ = SIGNS[difference.state]
    thing, before, after = difference.thing, difference.before, difference.after
    title = ": ".join([f"{thing.kind} {thing.name}, {difference.state}", "; ".join(difference.said)]).removesuffix(": ")
    moved = before is not None and after is not None and any(difference.moved_m)
    parts = [_ghost(before.box, after.box, depth_m)] if moved and before.box and after.box else []
    kind = {"CDU": " cdu", "floor feature": " feature"}.get(thing.kind, "")
    parts.append(_rect(thing.box, depth_m, f"{css}{kind}"))
    if sign:
        x, y = thing.box.centre_m
        parts.append(f'<text x="{_m(x)}" y="{_m(depth_m - y)}">{sign}</text>')
    return f"<g><title>{escape(title)}</title>{''.join(parts)}</g>"


def _ghost(before: Box, after: Box, depth_m: float) -> str:
    """Return where something stood, with a line to where it stands now."""
    (x, y), (to_x, to_y) = before.centre_m, after.centre_m
    line = f"M{_m(x)} {_m(depth_m - y)}L{_m(to_x)} {_m(depth_m - to_y)}"
    return f'{_rect(before, depth_m, "ghost")}<path class="way" d="{line}"/>'


def _rect(box: Box, depth_m: float, css: str) -> str:
    top = depth_m - box.y_m - box.depth_m
    return f'<rect class="{css}" x="{_m(box.x_m)}" y="{_m(top)}" width="{_m(box.width_m)}" height="{_m(box.depth_m)}"/>'


def _m(metres: float) -> str:
    return f"{metres:.3f}".rstrip("0").rstrip(".")
