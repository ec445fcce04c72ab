"""The plan of a layout with its racks and CDUs, and what the rules find in it."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.vary import vary_on_headers

from facility.models import Cdu, Layout, Rack
from facility.permissions import Right, may_change_site, rights_on
from facility.views.lookup import visible_layout_or_404
from twin.core.figures_of_merit import HEADLINES
from twin.core.results.rack_quantities import QUANTITIES
from twin.core.rules.report import Finding
from twin.floor import plan
from twin.floor.colouring import MODES, Question, colouring, offered, read_question
from twin.floor.rows import read_floor
from twin.models import Run, Scenario
from twin.page_parts import kept, remembered, stamp
from twin.runs import services
from twin.runs.findings import layout_findings
from twin.runs.found import everything_found, nothing_found, tally, together, with_address
from twin.runs.last_run import LastRun, last_run
from twin.runs.latest import LatestRun, latest_runs
from twin.runs.standing import marked_runs, site_standing


@login_required
@vary_on_headers("HX-Request")
def layout_detail(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Show the plan of a layout, coloured by a chosen quantity of its last run, with findings and figures."""
    layout = visible_layout_or_404(request.user, site, layout)
    asked = asked_colour(request, layout)
    version = stamp(layout)
    drawn = plan_part(layout, version, asked, request.path)
    if request.htmx:
        return HttpResponse(drawn)
    last = last_run(layout)
    found = found_now(layout, last, version)
    shown = asked.question.run
    own = marked_runs(layout.site)
    if shown is not None:
        shown = next((run for run in own if run.id == shown.id), shown)
    rights = rights_on(request.user, layout.site)
    context = {
        "layout": layout,
        "site": layout.site,
        "run": shown,
        "scenarios": asked.scenarios,
        "scenario_slug": next((row.slug for row in asked.scenarios if shown and row.pk == shown.scenario_id), ""),
        "plan_part": drawn,
        "figures": HEADLINES,
        "findings": found[:N_SHORT],
        "n_findings": len(found),
        "nothing": "" if found else nothing_found(n_racks(layout), last),
        "may_run": Right.RUN in rights,
        "may_change": Right.PLAN in rights,
        "last_run": last,
        "stands": site_standing(own, layout.site.grid_limit_w, shown.scenario_id) if shown else None,
        "calibrated": layout.calibrated_parameters.all(),
    }
    return render(request, "twin/layout_detail.html", context)


class Asked(NamedTuple):
    """What the address asks to colour by, and of what."""

    runs: list[LatestRun]
    scenarios: list[Scenario]
    question: Question


def asked_colour(request: HttpRequest, layout: Layout) -> Asked:
    """Return the colouring that an address asks for, out of those there are."""
    runs = latest_runs([layout.id]).get(layout.id, [])
    scenarios = list(layout.site.scenarios.all())
    return Asked(runs, scenarios, read_question(request.GET, layout, runs=runs, scenarios=scenarios))


def plan_part(layout: Layout, version: tuple[Any, ...], asked: Asked, here: str) -> SafeString:
    """Return the coloured plan as the page holds it; that of a year is kept, one of an hour is solved each time."""
    question = asked.question

    def context() -> dict[str, Any]:
        return floor_context(layout, asked) | {"here": here}

    if question.when != "year":
        return render_to_string("twin/_plan.html", context())
    shown = (question.quantity.name, question.mode, question.n_hours, question.notes, here)
    solved_as = (question.scenario and question.scenario.pk, question.run and question.run.id)
    there = tuple((row.pk, row.slug, row.name) for row in asked.scenarios)
    return kept("twin/_plan.html", (*version, *shown, *solved_as, there, tuple(run.id for run in asked.runs)), context)


def findings_kept(layout: Layout, version: tuple[Any, ...]) -> list[Finding]:
    """Return what the rules find in a layout; they are asked once for each version of it."""
    return remembered(("findings", *version), lambda: layout_findings(layout))


def found_now(layout: Layout, last: LastRun | None, version: tuple[Any, ...] | None = None) -> list[dict[str, Any]]:
    """Return what the rules find in a layout now and what its last run found, most severe first."""
    return everything_found(layout, findings_kept(layout, version or stamp(layout)), last)


def n_racks(layout: Layout) -> int:
    """Return how many racks stand in a layout."""
    return Rack.objects.filter(hall__layout=layout).count()


def coloured_floor(request: HttpRequest, layout: Layout) -> dict[str, Any]:
    """Return what every drawing of a layout's floors shows: the plan in the asked colouring, and what may be asked."""
    return floor_context(layout, asked_colour(request, layout))


def floor_context(layout: Layout, asked: Asked) -> dict[str, Any]:
    """Return what the drawings' templates read."""
    runs, scenarios, question = asked
    floor = read_floor(layout)
    drawn = plan.draw(floor, colouring(floor, question))
    return {
        "layout": layout,
        "site": layout.site,
        "runs": runs,
        "run": question.run,
        "scenarios": scenarios,
        "floor": floor,
        "plan": drawn,
        "modes": MODES,
        "offered": offered(question),
        "query": urlencode(question.query),
        "slider_hour": question.hour if question.when == "hour" else question.n_hours // 2,
        "when_text": f"the last run's {question.n_hours:,} hours" if question.when == "year" else "",
    }


N_SHORT = 12  # findings on the page of the plan
PAGE_FINDINGS = 50  # of the list: a thousand racks have more than anybody reads at once


def findings_of(layout: Layout, kind: str, pk: int) -> list[dict]:
    """Return the findings that name one object."""
    return [with_address(layout, f) for f in layout_findings(layout) if f.object_kind == kind and f.object_id == pk]


@login_required
def findings_page(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """List everything that the rules find in a layout and that its last run found, most severe first."""
    layout = visible_layout_or_404(request.user, site, layout)
    last = last_run(layout)
    found = found_now(layout, last)
    page = Paginator(found, PAGE_FINDINGS).get_page(request.GET.get("page"))
    context = {
        "layout": layout,
        "site": layout.site,
        "page": page,
        "findings": list(page),
        "n_findings": len(found),
        "together": together(layout, found),
        "nothing": "" if found else nothing_found(n_racks(layout), last),
        "last_run": last,
    }
    return render(request, "twin/layout_findings.html", context)


@login_required
def layout_tally(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Return how many findings a layout has now, for a list that has no count of it as it is described."""
    layout = visible_layout_or_404(request.user, site, layout)
    return render(request, "twin/_tally.html", {"tally": tally(found_now(layout, last_run(layout)))})


@login_required
@vary_on_headers("HX-Request")
def rack_detail(request: HttpRequest, site: str, layout: str, pk: int) -> HttpResponse:
    """Show one rack: its content, cooling and feeds, its results in the last run, and the findings that name it."""
    layout = visible_layout_or_404(request.user, site, layout)
    racks = Rack.objects.select_related("hall", "product", "cdu__product", "feed_a", "feed_b")
    rack = get_object_or_404(racks, hall__layout=layout, pk=pk)
    run = Run.objects.filter(layout=layout, status=Run.Status.DONE).only("id", "racks", "finished_at").first()
    context = {
        "layout": layout,
        "site": layout.site,
        "rack": rack,
        "run": run,
        "results": rack_results(rack, run) if run else [],
        "may_change": may_change_site(request.user, layout.site),
        "findings": findings_of(layout, "rack", pk),
    }
    return render(request, "twin/_rack.html" if request.htmx else "twin/rack_detail.html", context)


def rack_results(rack: Rack, run: Run) -> list[tuple[str, float, str]]:
    """Return label, value and unit of a run's results for one rack; empty where it stood elsewhere or not yet."""
    arrays = services.run_racks(run)
    at = (arrays["rack_id"] == rack.id).nonzero()[0]
    if not at.size:
        return []
    known = [q for q in QUANTITIES if q.year in arrays]
    return [(q.label_at("year"), float(arrays[q.year][at[0]]), q.unit) for q in known]


@login_required
@vary_on_headers("HX-Request")
def cdu_detail(request: HttpRequest, site: str, layout: str, pk: int) -> HttpResponse:
    """Show one CDU: its product, group, set points, the racks it cools and the findings that name it."""
    layout = visible_layout_or_404(request.user, site, layout)
    cdus = Cdu.objects.select_related("hall", "product", "plant").annotate(n_racks=Count("racks"))
    cdu = get_object_or_404(cdus, layout=layout, pk=pk)
    context = {
        "layout": layout,
        "site": layout.site,
        "cdu": cdu,
        "may_change": may_change_site(request.user, layout.site),
        "findings": findings_of(layout, "cdu", pk),
    }
    return render(request, "twin/_cdu.html" if request.htmx else "twin/cdu_detail.html", context)
