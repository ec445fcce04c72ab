"""Runs side by side, at an address that can be shared and needs permission on every site it touches."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from facility.permissions import visible_sites
from twin import figures, snapshot
from twin.comparison import Comparison, compare
from twin.latest import recent_runs
from twin.merit import BY_NAME
from twin.models import Run
from twin.number_text import indistinct
from twin.tables import as_csv

MAX_RUNS = 6


def asked_ids(request: HttpRequest) -> list[UUID]:
    """Return the runs that the address names, in its order, each once.

    Raises
    ------
    Http404
        If a name is no run's.
    """
    names = [name for name in request.GET.get("runs", "").split(",") if name] + request.GET.getlist("run")
    try:
        return list(dict.fromkeys(UUID(name) for name in names))[:MAX_RUNS]
    except ValueError as error:
        raise Http404("The address names something that is no run.") from error


@login_required
def compare_runs(request: HttpRequest) -> HttpResponse:
    """Show the named runs side by side, or what can be picked while there are fewer than two."""
    ids = asked_ids(request)
    if request.GET.getlist("run"):  # from ticked boxes to the one address that is shared
        return redirect(address(ids))
    runs = visible_runs_or_404(request, ids)
    compared = compare([as_compared(run) for run in runs]) if len(runs) > 1 else None
    if compared and request.GET.get("format") == "csv":
        return csv_answer(compared)
    pickable = recent_runs(visible_sites(request.user)).filter(status=Run.Status.DONE).exclude(pk__in=ids)[:50]
    context = {
        "runs": runs, "compared": compared, "pickable": pickable, "full": len(runs) >= MAX_RUNS, "ids": joined(ids),
        "without": [(run, address([i for i in ids if i != run.id])) for run in runs],
        "assumptions": [
            {"name": row.name, "cells": list(zip(compared.names, row.values, strict=True))}
            for row in (compared.assumptions if compared else [])
        ],
        "rows": table_rows(compared) if compared else [], "waterfalls": waterfalls(compared, runs) if compared else [],
    }  # fmt: skip
    return render(request, "twin/compare.html", context)


def joined(ids: Sequence[UUID]) -> str:
    """Return runs as the address names them."""
    return ",".join(map(str, ids))


def address(ids: Sequence[UUID]) -> str:
    """Return the address that shows these runs."""
    return reverse("compare") + (f"?runs={joined(ids)}" if ids else "")


def visible_runs_or_404(request: HttpRequest, ids: Sequence[UUID]) -> list[Run]:
    """Return the runs in the order asked for; one that is not visible or not done hides the whole page."""
    found = (
        Run.objects.filter(pk__in=ids, status=Run.Status.DONE, layout__site__in=visible_sites(request.user))
        .select_related("layout__site", "scenario")
        .defer("series", "racks")
        .in_bulk()
    )
    if len(found) < len(ids):
        raise Http404("One of these runs does not exist, is not finished, or is on a site that you may not see.")
    return [found[i] for i in ids]


def as_compared(run: Run) -> dict:
    """Return a run as `twin.comparison` reads it."""
    return {"id": str(run.id), "name": run_name(run), "figures": run.figures, "bands": run.bands,
            "details": run.details, "inputs": snapshot.unpacked(run.inputs)}  # fmt: skip


def run_name(run: Run) -> str:
    """Return what tells runs apart in a table head."""
    return f"{run.layout.name}, {run.scenario.name}"


def table_rows(compared: Comparison) -> list[dict]:
    """Return the figures as rows of cells for the table; rows that no run has a value for are left out."""
    rows = []
    for row in compared.rows:
        if all(value is None for value in row.values):
            continue
        figure = BY_NAME[row.name]
        cells = [
            {"name": name, "value": value, "ends": ends, "wins": i == row.winner and stands_out(row.values, i)}
            for i, (name, value, ends) in enumerate(zip(compared.names, row.values, row.bands, strict=True))
        ]
        rows.append({"label": row.label, "unit": row.unit, "why": row.why, "reference": row.values[0], "cells": cells,
                     "better": figure.better, "meaning": figure.meaning})  # fmt: skip
    return rows


def stands_out(values: Sequence[float | None], i: int) -> bool:
    """Return whether one value differs from all others by more than the page would call the same."""
    return not any(v is not None and indistinct(v, values[i]) for j, v in enumerate(values) if j != i)


def waterfalls(compared: Comparison, runs: Sequence[Run]) -> list[dict]:
    """Return the charts from the first run to each other one, with the table behind each."""
    first = runs[0].layout.name
    drawn = []
    for title, unit, steps in (
        ("Energy per token", "J/tok", compared.waterfall_j_per_token),
        ("Cost per million tokens", "$/M tok", compared.waterfall_usd),
        ("Mean power", "W", compared.waterfall_w),
    ):
        for run, fall in zip(runs[1:], steps, strict=False):
            name = f"fall-{len(drawn)}"
            drawn.append({
                "title": f"{title}: {first} → {run.layout.name}", "name": name, "id": f"figure-{name}", "fall": fall,
                "figure": figures.waterfall(fall, first, run.layout.name), "unit": unit,
            })  # fmt: skip
    return drawn


def csv_answer(compared: Comparison) -> HttpResponse:
    """Return the figures side by side as CSV."""
    body = [[row.name, row.label, row.unit, *row.values] for row in compared.rows]
    text = as_csv(["name", "label", "unit", *compared.names], body)
    return HttpResponse(text, content_type="text/csv; charset=utf-8",
                        headers={"Content-Disposition": 'attachment; filename="comparison.csv"'})  # fmt: skip
