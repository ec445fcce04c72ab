"""What the page of a failure drill shows: symbols that fail on a click, figures before and after, and words for both.

Everything that can be clicked carries the address of the state that it leads to, so that page and script follow links.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from twin.core.diagrams.readings import Readings, moved
from twin.core.diagrams.schematic import Node, Reading, Schematic, Square
from twin.core.diagrams.symbols import Symbol, symbol, weather_text, wires
from twin.core.drill.drill import AFTER, BEFORE, Drill
from twin.core.drill.outages import Choice, Key
from twin.core.solve.dispatch import supply_text
from twin.core.solve.object_states import object_tables, totals
from twin.core.solve.steady import hour_rows
from twin.core.text.numbers import delta_kind, delta_text, quantity_text
from twin.floor.drill_plan import HallDrawing, Place, count_text
from twin.views.diagrams import SUPPLY, supply_figures

#: Name of the total, label, unit, which way is better.
FIGURES = (
    ("output_tokens_per_s", "Output tokens", "tok/s", "higher"),
    ("ttft_p95_s", "TTFT, p95", "s", "lower"),
    ("meter_power_w", "At the meter", "W", ""),
    *((name, label, "W", "") for name, label in SUPPLY.items()),
    ("it_power_w", "IT power", "W", ""),
    ("cooling_power_w", "Cooling power", "W", "lower"),
    ("pue", "PUE", "", "lower"),
    ("tokens_per_joule", "Tokens per watt", "tok/J", "higher"),
)
N_NAMED = 3  # names in a sentence


class ShownDrill:
    """A solved drill with the choice that led to it, and the addresses of all others at its hour."""

    def __init__(self, drill: Drill, choice: Choice, scenario_slug: str) -> None:
        self.drill, self.choice, self.scenario_slug = drill, choice, scenario_slug
        self.readings = Readings(object_tables(drill.steady), totals(drill.steady))
        row = hour_rows(drill.steady)[AFTER]
        self.hour = {"index": row["index"], "label": row["label"], "text": weather_text(row)}

    def address(self, choice: Choice) -> str:
        """Return the query that shows another choice at the same hour."""
        out = {"out": choice.text()} if choice.out else {}
        return "?" + urlencode(out | {"hour": self.hour["index"], "scenario": self.scenario_slug}, safe=":,")

    @property
    def here(self) -> str:
        """The query that shows this drill."""
        return self.address(self.choice)

    def toggle(self, keys: list[Key], name: str) -> tuple[bool, str, str]:
        """Return whether parts are wholly out, the address that turns that round, and what its link says."""
        out = all(self.choice.units(key) == self.choice.parts[key].n for key in keys)
        return out, self.address(self.choice.with_all(keys)), f"{'Restore' if out else 'Fail'} {name}"

    def unit_toggle(self, key: Key, out: bool, name: str) -> tuple[str, str]:
        """Return the address that takes out or restores one of alike units, and what its link says."""
        return self.address(self.choice.with_one(key, restore=out)), f"{'Restore' if out else 'Fail'} {name}"

    def total(self, name: str, when: int) -> float | None:
        """Return one of the site's figures before or after."""
        return self.readings.value(Reading("totals", (), name, ""), when)

    def rack_states(self, ids: Iterable[int]) -> list[str]:
        """Return the state of each rack after the failures."""
        return self.readings.each_state("racks", ids, AFTER)


@dataclass(frozen=True, slots=True)
class HallShown:
    """A hall with the state of each rack. CDUs and air units are (place, is out, address, what the link says)."""

    drawing: HallDrawing
    states: list[str]
    text: str
    parts: list[tuple[str, Place, bool, str, str]]  # with the kind before them

    @property
    def rack_markup(self) -> str:
        """The racks as SVG."""
        return self.drawing.rack_markup(self.states)


def hall_shown(shown: ShownDrill, hall: HallDrawing) -> HallShown:
    """Return a hall's floor with an address at every CDU and air unit."""
    states = shown.rack_states(rack.id for rack in hall.racks)
    parts = [("cdu", place, *shown.toggle([("cdu", place.id)], place.name)) for place in hall.cdus]
    key = ("air_unit", hall.id)
    n_out = shown.choice.units(key)
    parts += [
        ("air", place, i < n_out, *shown.unit_toggle(key, i < n_out, f"{place.name}, {hall.name}"))
        for i, place in enumerate(hall.air_units)
        if key in shown.choice.parts
    ]
    return HallShown(hall, states, f"{hall.name}: {count_text(states)}", parts)


def drawing_shown(shown: ShownDrill, drawing: Schematic) -> dict[str, Any]:
    """Return a diagram with an address at everything that can fail."""
    symbols = [_symbol(shown, node) for node in drawing.nodes]
    return {"drawing": drawing, "symbols": symbols, "wires": wires(drawing, symbols)}


def _symbol(shown: ShownDrill, node: Node) -> Symbol:
    """Return a symbol whose link fails or restores all of it, and whose squares do so one by one."""
    reading = shown.readings.shown(node, AFTER, shown.readings)
    units = list(zip(node.squares, reading.out, strict=True))
    keys = [key for key in _keys(node) if key in shown.choice.parts]
    if not keys:
        return symbol(node, reading, "", [(square, out, "", square.name) for square, out in units])
    _, href, label = shown.toggle(keys, node.title)
    return symbol(node, reading, href, [_square(shown, node, *unit) for unit in units], label)


def _square(shown: ShownDrill, node: Node, square: Square, out: bool) -> tuple[Square, bool, str, str]:
    key = _key(square.token)
    out = bool(shown.choice.units(key)) if node.kind == "cdu" else out
    return square, out, *shown.unit_toggle(key, out, square.name)


def _keys(node: Node) -> list[Key]:
    """Return what fails when a whole symbol fails."""
    if node.kind == "cdu":
        return [("cdu", pk) for pk in node.ids]
    return [_key(node.token)] if node.token else []


def _key(token: str) -> Key:
    kind, _, pk = token.partition(":")
    return kind, int(pk)


def result(shown: ShownDrill) -> dict[str, Any]:
    """Return what the failures cost: figures before and after, what happens when, what is out and how to undo it."""
    choice, drill = shown.choice, shown.drill
    return {
        "shown": shown,
        "hour": shown.hour,
        "out": choice.text(),
        "summary": summary(shown),
        "events": drill.events,
        "affected": drill.affected,
        "n_affected": drill.n_affected,
        "chosen": chosen(shown),
        "n_hours": drill.steady.inputs.weather.n_hours,
        "parts": list(choice.parts.values()),
        "none": shown.address(Choice(choice.parts)),
        "figures": [figure(shown, *columns) for columns in FIGURES if is_shown(shown, columns[0])],
        "supply": supply_text(drill.steady),
        "converged": drill.steady.coupled.report.converged,
        "message": drill.steady.coupled.report.message,
    }


def chosen(shown: ShownDrill) -> list[dict[str, Any]]:
    """Return each part that is out, with the addresses that change how many of its units are."""
    choice = shown.choice
    return [
        {
            "part": choice.parts[key],
            "units": units,
            "restore": shown.address(choice.with_units(key, 0)),
            "fewer": shown.address(choice.with_units(key, units - 1)),
            "more": shown.address(choice.with_units(key, units + 1)) if units < choice.parts[key].n else "",
        }
        for key, units in choice.out.items()
    ]


def is_shown(shown: ShownDrill, name: str) -> bool:
    """Return whether a figure is worth a line: where power comes from is, unless it is the grid before and after."""
    shown_supply = supply_figures(shown.drill.steady.inputs)
    if any(shown.total("onsite_power_w", when) for when in (BEFORE, AFTER)):
        shown_supply |= {"grid_power_w", "onsite_power_w"}
    return name in shown_supply or name not in SUPPLY


def figure(shown: ShownDrill, name: str, label: str, unit: str, better: str) -> dict[str, str]:
    """Return one of the site's figures before and after, with the difference in words."""
    before, after = shown.total(name, BEFORE), shown.total(name, AFTER)
    if not moved(before, after):  # as the drawings say it: less is not seen in the figures beside it
        after = before
    return {
        "label": label,
        "before": quantity_text(before, unit),
        "after": quantity_text(after, unit),
        "delta": delta_text(after, before, unit, better),
        "kind": delta_kind(after, before, better),
    }


def summary(shown: ShownDrill) -> str:
    """Return the result in a sentence."""
    choice = shown.choice
    if not choice.out:
        return "Nothing is out of service. Click a symbol to fail all of it, a square to fail one unit."
    names = [
        f"{units} of {part.n} units of {part.name}" if part.n > 1 else part.name
        for part, units in ((choice.parts[key], units) for key, units in choice.out.items())
    ]
    listed = ", ".join(names[:N_NAMED]) + (f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else "")
    states = shown.rack_states(int(pk) for pk in shown.drill.steady.inputs.racks.id)
    first = f" {shown.drill.events[0]['text']}" if shown.drill.events else ""
    return f"Out of service: {listed}. {tokens_text(shown)}; {count_text(states)}.{first}"


def tokens_text(shown: ShownDrill) -> str:
    """Return what the failures cost in tokens."""
    before, lost = shown.total("output_tokens_per_s", BEFORE) or 0.0, shown.drill.lost_output_tokens_per_s
    if lost <= 1e-4 * before:
        return "No tokens are lost"
    return (
        f"{quantity_text(lost, 'tok/s')} lost, {quantity_text(lost / before, '%')} of {quantity_text(before, 'tok/s')}"
    )
