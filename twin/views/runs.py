"""Runs: start, watch, stop, and read what came out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from facility.catalogue import entries
from facility.permissions import Right, check_change_site, may_change_site, visible_sites
from facility.views.lookup import visible_layout_or_404
from power_cooling.site_facts.confidence import WEAKEST_FIRST
from twin.core.charts import run as run_charts
from twin.core.comparison.tornado import FIGURES as FIGURES_OF_TORNADO
from twin.core.comparison.tornado import SensitivityRow, most_moving
from twin.core.figures_of_merit import BY_NAME, FIGURES, HEADLINES, SERIES, SERIES_BY_NAME
from twin.core.results.answers import answers
from twin.core.results.details import Assumption, FailureRow, LimitRow, run_details
from twin.core.results.findings import tightest_margins
from twin.core.results.object_quantities import OVER
from twin.core.results.token_prices import serving_costs, sold_for
from twin.core.text.numbers import date_text, quantity_text
from twin.exceptions import CannotSimulate, InvalidTransition
from twin.models import Run
from twin.page_parts import kept
from twin.runs import jobs, notices, sensitivity, services, tables
from twin.runs.found import everything_found, nothing_found
from twin.runs.last_run import last_run
from twin.runs.latest import recent_runs
from twin.views.jobs import job_act, job_progress

#: The hourly series behind each headline, for the line under its figure.
SPARKS = {
    "output_tokens_per_s": "output_tokens_per_s",
    "tokens_per_joule": "tokens_per_joule",
    "utilisation_frac": "load_frac",
}


def visible_run_or_404(request: HttpRequest, run: UUID, *deferred: str) -> Run:
    """Return a run on a site that the user may see."""
    runs = Run.objects.select_related("layout__site", "scenario", "created_by").defer("inputs", *deferred)
    return get_object_or_404(runs, pk=run, layout__site__in=visible_sites(request.user))


STOP_POLLING = 286  # htmx asks no more


@login_required
def run_list(request: HttpRequest) -> HttpResponse:
    """List the newest runs of all visible sites, to open or to compare."""
    runs = recent_runs(visible_sites(request.user))[:100]
    return render(request, "twin/run_list.html", {"runs": runs, "kept_days": settings.TWIN_RUNS_KEPT_DAYS})


@login_required
@require_POST
def run_create(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Queue a run of a layout under the posted scenario and show its progress."""
    layout = visible_layout_or_404(request.user, site, layout)
    check_change_site(request.user, layout.site, Right.RUN)
    scenario = get_object_or_404(layout.site.scenarios, slug=request.POST.get("scenario", ""))
    try:
        run = services.run_create(layout=layout, scenario=scenario, user=request.user)
    except CannotSimulate as refusal:
        messages.error(request, str(refusal))
        return redirect("layout-detail", site, layout.slug)
    notices.await_run(request, run)
    return redirect("run-detail", run.id)


@login_required
def run_notices(request: HttpRequest) -> HttpResponse:
    """Name the runs that this session started and that have ended; htmx asks again while others go on."""
    ended, others = notices.ended_runs(request)
    looked_at = request.htmx.current_url or ""
    told = [run for run in ended if str(run.pk) not in looked_at]  # its page shows it already
    answer = render(request, "twin/run/_notices.html", {"ended": told})
    if not others:
        answer.status_code = STOP_POLLING
    return answer


@login_required
@vary_on_headers("HX-Request")
def run_detail(request: HttpRequest, run: UUID) -> HttpResponse:
    """Show progress while a run is open, its results once it is done. htmx asks for the parts by themselves."""
    run = visible_run_or_404(request, run, "figures", "bands", "details", "series", "racks")
    context = {
        "run": run,
        "layout": run.layout,
        "site": run.layout.site,
        "may_change": may_change_site(request.user, run.layout.site, Right.RUN),
    }
    if request.htmx and "series" in request.GET:
        return render(request, "twin/run/_series.html", context | series_context(run, request.GET["series"]))
    if answer := job_progress(request, run, context, "twin/run/_progress.html"):
        return answer
    if run.status == Run.Status.DONE:
        context |= tornado_context(run) | result_parts(run, request.GET.get("series", ""))
    return render(request, "twin/run_detail.html", context)


def result_parts(run: Run, series: str) -> dict[str, SafeString]:
    """Return the results in two parts, around the tornado: a run that is done stays as it is, so they are kept."""
    layout, site = run.layout, run.layout.site
    shown = series if series in SERIES_BY_NAME else "meter_power_w"
    key = (run.id, run.attempt, run.finished_at, shown, layout.pk, layout.slug, layout.name, site.slug, site.name)

    @cache
    def context() -> dict[str, Any]:
        return {"run": run, "layout": layout, "site": site} | result_context(run) | series_context(run, shown)

    return {
        "first_part": kept("twin/run/_results_first.html", key, context),
        "second_part": kept("twin/run/_results_second.html", key, context),
    }


def result_context(run: Run) -> dict:
    """Return what the results page shows beside the chosen series."""
    details, series = run_details(run.details), services.run_series(run)
    last = last_run(run.layout, run.id)
    found = everything_found(run.layout, details.findings, last, linked=False)
    return {
        "details": details,
        "headlines": [(f, run_charts.weekly_means(series.get(SPARKS.get(f.name, "")))) for f in HEADLINES],
        "all_figures": FIGURES,
        "serving_costs": serving_costs(run.figures or {}),
        "sold_for": sold_for(entries, details.per_workload),
        "assumptions": by_confidence(details.assumptions),
        "cost_total": sum(cost.usd_per_year or 0.0 for cost in details.costs),
        "limits": folded(with_margin(details.limits, n_hours=len(series.get("meter_power_w", ())))),
        "groups": folded(details.availability.groups),
        "failures": costly_failures(details.failures),
        "tightest": tightest_margins(details),
        "answers": answers(details, run.figures or {}),
        "found": found,
        "nothing": "" if found else nothing_found(1, last),  # nothing runs without racks
        "economiser_hours": free_cooling_hours(details.economiser_hours),
        "power_table": run_charts.power_table(series),
        "took": run.finished_at - run.started_at if run.started_at else None,
        "charts": {
            "energy": run_charts.energy_flow(details.energy_flow),
            "power": run_charts.power_stack(series),
            "cost": run_charts.costs(details.costs),
        },
    }


def series_context(run: Run, name: str) -> dict:
    """Return the charts of one hourly series, falling back to the meter for an unknown name."""
    series = {name: values for name, values in services.run_series(run).items() if np.isfinite(values).any()}
    shown = SERIES_BY_NAME.get(name if name in series else "meter_power_w")
    values = series.get(shown.name)
    if values is None:
        return {"series": None}
    return {
        "series": shown,
        "series_choices": [s for s in SERIES if s.name in series],
        "series_summary": run_charts.summary(values),
        "series_charts": {"year": run_charts.year_map(shown, values), "duration": run_charts.duration(shown, values)},
        "series_months": run_charts.months(values),
    }


def folded(rows: Sequence[Any], n_open: int = 8) -> list[tuple[str, Sequence[Any]]]:
    """Return rows in two parts: those that are read first, and the rest under a heading to unfold."""
    rest = rows[n_open:]
    return [("", rows[:n_open])] + ([(f"{len(rest)} more", rest)] if rest else [])


def with_margin(limits: Sequence[LimitRow], n_hours: int) -> list[dict]:
    """Return limits, tightest first as they come: what is used of them or, for temperatures, what is left; and when."""
    rows = []
    for row in limits:
        if row.unit == "°C":
            margin = f"{quantity_text(row.limit - row.value, 'K')} left"
        else:
            margin = quantity_text(row.value / row.limit, "%") if row.limit else ""
        when = "" if row.hour is None else date_text(row.hour, n_hours)
        rows.append(asdict(row) | {"margin": margin, "over": row.value > row.limit * OVER, "when": when})
    return rows


def costly_failures(failures: Sequence[FailureRow], n: int = 8) -> list[FailureRow]:
    """Return the single failures that cost tokens, worst first."""
    costly = [row for row in failures if row.lost_tokens_per_s > 0]
    return sorted(costly, key=lambda row: -row.lost_tokens_per_s)[:n]


def by_confidence(assumptions: Sequence[Assumption]) -> list[Assumption]:
    """Return assumptions with the weakest first: those are the ones to firm up."""
    return sorted(assumptions, key=lambda row: WEAKEST_FIRST.index(row.confidence))


def free_cooling_hours(hours: Mapping[str, float]) -> list[tuple[str, float | None]]:
    """Return the hours without chillers by plant."""
    return list(hours.items()) or [("", None)]


@login_required
@require_POST
def run_cancel(request: HttpRequest, run: UUID) -> HttpResponse:
    """Ask a run to stop."""
    return job_act(request, visible_run_or_404(request, run, *Run.HEAVY), jobs.cancel)


@login_required
@require_POST
def run_retry(request: HttpRequest, run: UUID) -> HttpResponse:
    """Queue a failed or cancelled run again."""
    found = visible_run_or_404(request, run, *Run.HEAVY)
    notices.await_run(request, found)
    return job_act(request, found, services.run_retry)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
def run_tornado(request: HttpRequest, run: UUID) -> HttpResponse:
    """Have a worker compute what every uncertain input does to the figures; htmx asks whether it is there."""
    run = visible_run_or_404(request, run, "series", "racks")
    if request.method == "POST":
        check_change_site(request.user, run.layout.site, Right.RUN)
        try:
            sensitivity.sensitivity_ask(run=run, user=request.user)
        except InvalidTransition as refusal:
            messages.error(request, str(refusal))
    if not request.htmx:
        return redirect(reverse("run-detail", args=[run.id]) + "#tornado")
    may_change = may_change_site(request.user, run.layout.site, Right.RUN)
    return render(request, "twin/run/_tornado.html", {"run": run, "may_change": may_change, **tornado_context(run)})


def tornado_context(run: Run) -> dict:
    """Return the inputs that move each figure most, with where their bars begin and end, or how far it has come."""
    rows = sensitivity.sensitivity_rows(run)
    groups = []
    for name in FIGURES_OF_TORNADO:
        shown = most_moving(rows, name)
        if shown:
            ends = [end for row in shown for end in (row.figure_low, row.figure_high) if end is not None]
            groups.append((BY_NAME[name], [(row, bar(row, min(ends), max(ends))) for row in shown]))
    return {
        "tornado": groups,
        "n_inputs": len({row.input for row in rows}),
        "tornado_pending": sensitivity.is_pending(run),
        "tornado_message": (run.sensitivity or {}).get("message", ""),
    }


def bar(row: SensitivityRow, least: float, most: float) -> tuple[float, float]:
    """Return start and width of a row's bar, of 100; an end without a figure reaches to the edge."""
    width = (most - least) or 1.0
    ends = [100.0 if end is None else 100.0 * (end - least) / width for end in (row.figure_low, row.figure_high)]
    return min(ends), max(max(ends) - min(ends), 0.5)


@login_required
def run_table(request: HttpRequest, run: UUID, name: str) -> HttpResponse:
    """Return one of the run's tables as CSV."""
    run = visible_run_or_404(request, run)
    if run.status != Run.Status.DONE or name not in tables.NAMES:
        raise Http404(f"{run} has no table {name}; finished runs have {', '.join(tables.NAMES)}")
    filename = f"{run.layout.slug}-{str(run.id)[:8]}-{name}.csv"
    return HttpResponse(
        tables.as_csv(*tables.rows(run, name)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
