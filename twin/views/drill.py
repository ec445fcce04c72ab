"""The failure drill: what fails, what moves, what it costs. Its address holds the whole state."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from facility import kinds
from facility.models import Layout
from facility.permissions import may_change_site
from facility.views.lookup import visible_layout_or_404
from twin.core.drill.drill import drill, ranking
from twin.core.drill.outages import choice
from twin.core.drill.repairs import suggestions
from twin.core.solve.steady import outages
from twin.exceptions import CannotSimulate
from twin.floor.drawings import draw_loop, draw_one_line
from twin.floor.drill_plan import hall_drawings
from twin.floor.rows import read_floor
from twin.views import asked
from twin.views.asked import BadQuestion
from twin.views.drill_context import ShownDrill, drawing_shown, hall_shown, result

N_RANKED = 12  # shown at once; the others unfold


@login_required
def drill_page(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Show the drill of an address, or why there is none."""
    layout = visible_layout_or_404(request.user, site, layout)
    context = {"layout": layout, "site": layout.site, "scenarios": list(layout.site.scenarios.all())}
    try:
        shown, scenario = run_drill(request, layout)
    except BadQuestion as bad:
        wrong = bool(context["scenarios"])  # else the address is right and the site lacks a scenario
        return render(
            request, "twin/drill.html", context | {"refusal": str(bad), "bad": wrong}, status=400 if wrong else 200
        )
    except (CannotSimulate, ValueError) as refusal:
        return render(request, "twin/drill.html", context | {"refusal": str(refusal)})
    if "add" in request.GET:
        return redirect(request.path + shown.address(shown.choice))
    context |= {"answer": {"scenario": scenario}} | result(shown) | drawings(shown, layout)
    return render(request, "twin/drill.html", context)


def run_drill(request: HttpRequest, layout: Layout) -> tuple[Any, Any]:
    """Return the drill that an address asks for and its scenario.

    Raises
    ------
    BadQuestion
        If a parameter cannot be followed.
    CannotSimulate, ValueError
        If the layout cannot be solved.
    """
    scenario = asked.asked_scenario(request.GET, layout)
    year = asked.described_year(layout, scenario)
    hour = asked.asked_hour(request.GET, year)
    chosen = choice(year, asked.asked_outages(request.GET, year))
    if added := request.GET.get("add"):
        chosen = with_added(chosen, added, request.GET.get("units", ""))
    return ShownDrill(drill(year, hour, outages(year, chosen.text())), chosen, scenario.slug), scenario


def with_added(chosen, added: str, units: str):
    """Return the choice with what the page's form adds to it."""
    kind, _, pk = added.partition(":")
    part = chosen.parts.get((kind, int(pk))) if pk.isdecimal() and len(pk) < 19 else None
    if part is None:
        raise BadQuestion(f"add is {added}: the layout has no such part that can fail", "add", [])
    if units and not (units.isdecimal() and len(units) < 19 and 1 <= int(units) <= part.n):
        raise BadQuestion(f"units is {units}; {part.name} has {part.n}, so 1 to {part.n}", "units", [1, part.n])
    return chosen.with_units(part.key, int(units or part.n))


def drawings(shown, layout: Layout) -> dict[str, Any]:
    """Return floor, one-line and loop diagram of a drill."""
    return {
        "halls": [hall_shown(shown, hall) for hall in hall_drawings(read_floor(layout))],
        "power": drawing_shown(shown, draw_one_line(layout)),
        "cooling": drawing_shown(shown, draw_loop(layout)),
    }


@login_required
def drill_list(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Rank every single failure and suggest repairs; the drill's page loads it after the drawings."""
    layout = visible_layout_or_404(request.user, site, layout)
    context: dict[str, Any] = {"layout": layout, "site": layout.site}
    try:
        scenario = asked.asked_scenario(request.GET, layout)
        year = asked.described_year(layout, scenario)
        ranked = ranking(year)
    except (BadQuestion, CannotSimulate, ValueError) as refusal:
        context["refusal"] = str(refusal)
    else:
        may_change = may_change_site(request.user, layout.site)
        context |= {
            "scenario": scenario,
            "message": ranked.text,
            "converged": ranked.converged,
            "first": ranked.failures[:N_RANKED],
            "rest": ranked.failures[N_RANKED:],
            "suggestions": [
                (component, change_address(layout, component.change.edit) if may_change else "")
                for component in suggestions(year, ranked.failures)
            ],
        }
    return render(request, "twin/_drill_ranking.html" if request.htmx else "twin/drill_ranking.html", context)


def change_address(layout: Layout, edit: dict[str, Any]) -> str:
    """Return the page on which a suggested change is made."""
    here = [layout.site.slug, layout.slug]
    if edit["op"] == "update":
        return reverse("part-edit", args=[*here, kinds.BY_NAME[edit["kind"]].slug, edit["id"]])
    return reverse("layout-draw", args=here)
