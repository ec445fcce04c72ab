"""Sites with their layouts and scenarios."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from facility.models import Layout
from facility.permissions import Right, rights_on, visible_sites
from facility.views.lookup import visible_site_or_404
from twin.core.figures_of_merit import HEADLINES
from twin.interchange.site_file import site_export
from twin.page_parts import with_stamp
from twin.runs.changed import marked
from twin.runs.found import tally_kept
from twin.runs.latest import (
    LatestRun,
    grid_peak_w,
    latest_runs,
    recent_runs,
    shared_scenario,
)
from twin.runs.standing import site_standing

PAGE_SITES = 50


@login_required
def site_list(request: HttpRequest) -> HttpResponse:
    """Answer which site needs attention: its best layout's figures, power against the grid limit, findings."""
    found = (
        visible_sites(request.user).annotate(n_layouts=Count("layouts")).select_related("region").order_by("name", "id")
    )
    first = list(found[: PAGE_SITES + 1])  # a short list needs no count
    page = Paginator(first if len(first) <= PAGE_SITES else found, PAGE_SITES).get_page(request.GET.get("page"))
    sites = list(page)
    layouts = with_stamp(Layout.objects.filter(site__in=sites).defer("notes")).in_bulk()
    by_id = {site.pk: site for site in sites}
    for layout in layouts.values():
        layout.site = by_id[layout.site_id]
    runs = marked(latest_runs(layouts), layouts.values())
    for site in sites:
        own = [run for layout in layouts.values() if layout.site_id == site.id for run in runs.get(layout.id, [])]
        stands = site.stands = site_standing(own, site.grid_limit_w)
        site.best = stands.first if stands else None
        site.last_run = max(own, key=lambda run: run.finished_at, default=None)
        site.shown_layout = layouts[(site.best or site.last_run).layout_id] if own else None
        if site.shown_layout:
            site.tally = tally_kept(site.shown_layout, runs[site.shown_layout.id][0])
        site.grid_share_frac = grid_share_frac(site.best, site.grid_limit_w)
    return render(request, "twin/site_list.html", {"sites": sites, "page": page})


def grid_share_frac(run: LatestRun | None, grid_limit_w: float) -> float | None:
    """Return a run's peak power from the grid over the grid limit."""
    peak_w = grid_peak_w(run) if run else None
    return None if peak_w is None else peak_w / grid_limit_w


@login_required
def site_detail(request: HttpRequest, site: str) -> HttpResponse:
    """Show a site's layouts side by side under the scenario that most of them share, and its scenarios."""
    site = visible_site_or_404(request.user, site)
    layouts = list(with_stamp(site.layouts.annotate(n_racks=Count("halls__racks"))))
    scenarios = list(site.scenarios.prefetch_related("workloads__workload", "workloads__model"))
    for layout in layouts:
        layout.site = site
    runs = marked(latest_runs(layout.id for layout in layouts), layouts)
    everything = [run for own in runs.values() for run in own]
    asked = request.GET.get("scenario", "")
    chosen = next((s for s in scenarios if s.slug == asked), None)
    chosen_id = chosen.id if chosen else shared_scenario(everything) or (scenarios[0].id if scenarios else None)
    stands = site_standing(everything, site.grid_limit_w, chosen_id)
    for layout in layouts:
        own = runs.get(layout.id, [])
        layout.run = next((run for run in own if run.scenario_id == chosen_id), None)
        layout.mark = stands.mark(layout.run) if stands else ""
        layout.tally = tally_kept(layout, own[0] if own else None)
        layout.grid_share_frac = grid_share_frac(layout.run, site.grid_limit_w)
    rights = rights_on(request.user, site)
    context = {
        "site": site,
        "layouts": layouts,
        "stands": stands,
        "scenarios": scenarios,
        "chosen_id": chosen_id,
        "is_any_run": any(layout.run for layout in layouts),
        "chosen_slug": next((s.slug for s in scenarios if s.id == chosen_id), ""),
        "figures": HEADLINES,
        "may_change": Right.PLAN in rights,
        "may_run": Right.RUN in rights,
        "may_manage": Right.MANAGE in rights,
        "runs": recent_runs([site])[:8],
    }
    return render(request, "twin/site_detail.html", context)


@login_required
def site_file(request: HttpRequest, site: str) -> HttpResponse:
    """Return the site with its layouts and scenarios as a YAML site file."""
    site = visible_site_or_404(request.user, site)
    return HttpResponse(
        site_export(site=site),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{site.slug}.yaml"'},
    )
