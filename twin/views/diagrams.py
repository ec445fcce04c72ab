"""The one-line diagram of power and the loop diagram of cooling, with what the solved hour says beside each symbol."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from facility.models import Layout
from facility.permissions import may_change_site
from facility.views.lookup import visible_layout_or_404
from twin.core.diagrams.readings import Readings
from twin.core.diagrams.schematic import Node, Reading, Schematic
from twin.core.diagrams.symbols import Symbol, symbol, unsolved, weather_text, wires
from twin.core.inputs.feed_ratings import is_shaving, prime_feeds
from twin.core.inputs.layout import LayoutInputs
from twin.core.solve.dispatch import supply_text
from twin.core.solve.object_states import object_tables, totals
from twin.core.solve.steady import hour_rows, solve_steady
from twin.core.text.numbers import quantity_text
from twin.exceptions import CannotSimulate
from twin.floor.drawings import draw_loop, draw_one_line
from twin.views import asked
from twin.views.asked import BadQuestion

PART_SLUGS = {"cdu": "cdus", "feed": "power-feeds", "plant": "cooling-plants", "hall": "halls"}
#: Where the power comes from: said where it is not all from the grid.
SUPPLY = {"grid_power_w": "From the grid", "onsite_power_w": "On site", "battery_power_w": "From batteries"}
#: Figures above a drawing: name of the total, label, unit.
FIGURES = (
    ("meter_power_w", "At the meter", "W"),
    *((name, label, "W") for name, label in SUPPLY.items()),
    ("it_power_w", "IT", "W"),
    ("cooling_power_w", "Cooling", "W"),
    ("pue", "PUE", ""),
    ("output_tokens_per_s", "Output tokens", "tok/s"),
    ("tokens_per_joule", "Tokens per watt", "tok/J"),
)


@dataclass(frozen=True, slots=True)
class DiagramKind:
    """One of the two diagrams: how it is drawn, what tables stand below it, what an empty one says next."""

    slug: str
    title: str
    draw: Callable[[Layout], Schematic]
    tables: tuple[str, ...]  # of the state
    empty: str
    first_part: str  # what to add first, as addresses of parts name it
    first_words: str


ONE_LINE = DiagramKind(
    "one-line",
    "One-line diagram",
    draw_one_line,
    ("feeds",),
    "No power feed is described yet. Start at the utility and go down to what the racks plug into.",
    "power-feeds",
    "Add the utility",
)
LOOP = DiagramKind(
    "loop",
    "Loop diagram",
    draw_loop,
    ("plants", "cdus", "halls"),
    "No cooling is described yet. Start with a plant that brings heat outdoors; CDUs and air units hang on it.",
    "cooling-plants",
    "Add a cooling plant",
)
PARTS = {"feeds": ("Feeds", "feed"), "plants": ("Plants", "plant"), "cdus": ("CDUs", "cdu"), "halls": ("Halls", "hall")}


@dataclass(frozen=True, slots=True)
class Answer:
    """A solved question, or why it cannot be answered."""

    steady: Any = None
    scenario: Any = None
    refusal: str = ""
    bad: bool = False  # the address is wrong, not the layout

    @property
    def status(self) -> int:
        """HTTP status of a page with this answer."""
        return 400 if self.bad else 200


def ask(request: HttpRequest, layout: Layout) -> Answer:
    """Return the layout solved at the hour that the address names."""
    scenario = None
    try:
        scenario = asked.asked_scenario(request.GET, layout)
        year = asked.described_year(layout, scenario)
        return Answer(solve_steady(year, [asked.asked_hour(request.GET, year)]), scenario)
    except BadQuestion as bad:
        return Answer(None, scenario, str(bad), bad=bool(bad.allowed))
    except (CannotSimulate, ValueError) as refusal:
        return Answer(None, scenario, str(refusal))


def readings_of(steady):
    """Return the solved hours as drawings read them."""
    return Readings(object_tables(steady), totals(steady))


@login_required
def diagram_page(request: HttpRequest, site: str, layout: str, *, kind: DiagramKind) -> HttpResponse:
    """Show a diagram at one hour; without a scenario to solve, the drawing alone."""
    layout = visible_layout_or_404(request.user, site, layout)
    drawing, may_change = kind.draw(layout), may_change_site(request.user, layout.site)
    answer = ask(request, layout)
    href = partial(object_address, layout, may_change)
    context = {
        "layout": layout,
        "site": layout.site,
        "kind": kind,
        "drawing": drawing,
        "answer": answer,
        "may_change": may_change,
        "scenarios": list(layout.site.scenarios.all()),
        "values_url": reverse(f"api-layout-{kind.slug}", args=[layout.pk]),
    } | shown_context(answer, drawing, kind, href)
    return render(request, "twin/diagram.html", context, status=answer.status)


def shown_context(answer: Answer, drawing: Schematic, kind: DiagramKind, href: Callable) -> dict[str, Any]:
    """Return what a page needs to write a drawing at the solved hour."""
    if answer.steady is None:
        symbols = [unsolved(node, href(node.kind, node.ids)) for node in drawing.nodes]
        return {"symbols": symbols, "wires": [(wire, "") for wire in drawing.wires], "hour": None}
    readings, [hour] = readings_of(answer.steady), hour_rows(answer.steady)[:1]
    symbols = [linked(node, readings.shown(node, 0), href) for node in drawing.nodes]
    return {
        "symbols": symbols,
        "wires": wires(drawing, symbols),
        "hour": hour | {"text": weather_text(hour)},
        "n_hours": answer.steady.inputs.weather.n_hours,
        "figures": figures(readings, 0, answer.steady.inputs),
        "supply": supply_text(answer.steady),
        "tables": [table(readings, name, href) for name in kind.tables],
    }


def linked(node: Node, shown, href: Callable) -> Symbol:
    """Return a symbol that leads to its object; the squares of CDUs lead to each of them."""
    squares = [
        (square, out, href("cdu", (int(square.token.partition(":")[2]),)) if node.kind == "cdu" else "", square.name)
        for square, out in zip(node.squares, shown.out, strict=True)
    ]
    return symbol(node, shown, href(node.kind, node.ids), squares)


def object_address(layout: Layout, may_change: bool, kind: str, ids: tuple[int, ...]) -> str:
    """Return the page of what a symbol stands for: the object itself, or the list or plan that holds several."""
    here = [layout.site.slug, layout.slug]
    if kind == "cdu":
        return (
            reverse("cdu-detail", args=[*here, ids[0]]) if len(ids) == 1 else reverse("part-list", args=[*here, "cdus"])
        )
    if kind in PART_SLUGS:
        slug = PART_SLUGS[kind]
        if len(ids) == 1 and may_change:
            return reverse("part-edit", args=[*here, slug, ids[0]])
        return reverse("part-list", args=[*here, slug])
    if kind == "racks" and len(ids) == 1:
        return reverse("rack-detail", args=[*here, ids[0]])
    return reverse("layout-detail", args=here) if kind == "racks" else ""


def figures(readings, hour: int, inputs: LayoutInputs) -> list[tuple[str, str, str]]:
    """Return the site's figures at an hour as (name, label, text)."""
    named = supply_figures(inputs)
    return [
        (name, label, quantity_text(readings.value(Reading("totals", (), name, unit), hour), unit))
        for name, label, unit in FIGURES
        if name in named or name not in SUPPLY
    ]


def supply_figures(inputs: LayoutInputs) -> set[str]:
    """Return which figures of `SUPPLY` a layout has: none where all its power is from the grid."""
    has = {
        "onsite_power_w": bool(prime_feeds(inputs.feeds)),
        "battery_power_w": any(is_shaving(feed) for feed in inputs.feeds),
    }
    described = {name for name, is_there in has.items() if is_there}
    return {"grid_power_w", *described} if described else described


def table(readings, name: str, href: Callable) -> dict[str, Any]:
    """Return a table of all objects of one kind at the solved hour."""
    label, kind = PARTS[name]
    heads, cells = readings.rows(name, 0)
    named = readings.names(name)
    rows = [
        (pk, named[pk], href(kind, (pk,)), texts[0], list(zip(heads, texts[1:], strict=True)))
        for pk, texts in cells.items()
    ]
    return {"name": name, "label": label, "heads": heads, "rows": rows}
