"""Runs and layouts side by side; kept comparisons open only for whoever may see every site in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from facility.models import Layout
from facility.permissions import Right, check_change_site, may_change_site, visible_sites
from twin import page_parts
from twin.comparisons import sharing
from twin.comparisons.choice import runs_of_layouts
from twin.comparisons.sharing import as_compared
from twin.comparisons.verdict import runs_verdict
from twin.core.charts import comparison as comparison_charts
from twin.core.charts import run as run_charts
from twin.core.charts.comparison import LETTERS
from twin.core.comparison import plan_difference
from twin.core.comparison.assumptions import DATA
from twin.core.comparison.basis import BASES, BASIS_LABELS, CAPACITY_SHARE
from twin.core.comparison.compare import ComparedRun, compare, falls_between, model_note
from twin.core.comparison.compare import Comparison as Compared
from twin.core.comparison.standing import LEVEL, likely_text, percent_text
from twin.core.figures_of_merit import BY_NAME
from twin.core.provenance import MODEL_VERSION
from twin.floor import plan_difference as plan_difference_drawing
from twin.models import Comparison, Run, Scenario
from twin.runs import sensitivity
from twin.runs.changed import is_changed
from twin.runs.latest import recent_runs
from twin.runs.tables import as_csv

MAX_RUNS = Comparison.MAX_RUNS
N_WIDE_COLUMNS = 3  # beside which the reasons have a column of their own; with more they stand below their row
N_OPEN_ROWS = 15  # of the table of differences; the rest unfolds


@login_required
def compare_runs(request: HttpRequest) -> HttpResponse:
    """Show the named runs side by side, or what can be picked while there are fewer than two."""
    if request.GET.getlist("layout"):
        return redirect(address(ids_of_layouts(request)))
    ids = asked_ids(request)
    if request.GET.getlist("run"):  # from ticked boxes to the one address of these runs
        return redirect(address(ids))
    runs = visible_runs_or_404(request, ids)
    if len(runs) > 1:
        return compared_page(request, runs)
    sites = visible_sites(request.user)
    layouts = Layout.objects.filter(site__in=sites).select_related("site").order_by("site__name", "name")
    context = {
        "runs": runs,
        "ids": joined(ids),
        "pickable": pickable(request, ids),
        "layouts": layouts,
        "scenarios": Scenario.objects.filter(site__in=sites).order_by("slug").values_list("slug", flat=True).distinct(),
        "n_shared": sharing.visible_comparisons(request.user).count(),
    }
    return render(request, "twin/compare.html", context)


@login_required
@require_POST
def comparison_share(request: HttpRequest) -> HttpResponse:
    """Keep the posted runs under an address of their own and show it."""
    ids = parsed(request.POST.get("runs", ""))
    runs = visible_runs_or_404(request, ids)
    try:
        kept = sharing.comparison_create(runs=runs, user=request.user, name=request.POST.get("name", ""))
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
        return redirect(address(ids))
    messages.success(request, "Comparison saved. Everyone who may see all of its sites can open its link.")
    return redirect("comparison-shared", kept.token)


@login_required
def comparison_shared(request: HttpRequest, token: str) -> HttpResponse:
    """Show a kept comparison, or what stands in the way without saying what it is about."""
    kept = get_object_or_404(Comparison.objects.select_related("created_by"), token=token)
    access = sharing.access(request.user, kept)
    if kept.revoked_at or not access.granted:
        context = {"revoked": kept.revoked_at is not None, "access": access}
        return render(request, "twin/comparison_refused.html", context, status=410 if kept.revoked_at else 403)
    runs = sharing.in_order(kept, list(readable_runs().filter(comparisons=kept)))
    if len(runs) < Comparison.MIN_RUNS:
        return render(request, "twin/comparison_refused.html", {"gone": True}, status=410)
    return compared_page(request, runs, kept)


@login_required
def shared_comparisons(request: HttpRequest) -> HttpResponse:
    """List the kept comparisons that the user may open, newest first."""
    rows = list(
        sharing.visible_comparisons(request.user).prefetch_related("runs__layout__site", "runs__scenario")[:200]
    )
    for kept in rows:
        kept.ordered = sharing.in_order(kept, list(kept.runs.all()))
        kept.address = request.build_absolute_uri(reverse("comparison-shared", args=[kept.token]))
        kept.may_revoke = sharing.may_revoke(request.user, kept)
    return render(request, "twin/shared_comparisons.html", {"comparisons": rows})


@login_required
@require_POST
def comparison_revoke(request: HttpRequest, token: str) -> HttpResponse:
    """Close the address of a kept comparison."""
    kept = get_object_or_404(sharing.visible_comparisons(request.user), token=token)
    try:
        sharing.comparison_revoke(comparison=kept, user=request.user)
    except PermissionDenied as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"The link to {kept} is revoked; nobody can open it any more.")
    return redirect("shared-comparisons")


@login_required
@require_POST
def compare_tornado(request: HttpRequest) -> HttpResponse:
    """Have workers compute what would change the order of the posted runs."""
    runs = visible_runs_or_404(request, parsed(request.POST.get("runs", "")))
    if not runs:
        raise Http404("Name the runs to compute it for.")
    for run in runs:
        check_change_site(request.user, run.layout.site, Right.RUN)
    for run in runs:
        sensitivity.sensitivity_ask(run=run, user=request.user)
    back = request.POST.get("back", "")
    is_here = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return redirect(back if is_here else reverse("compare"))


def compared_page(request: HttpRequest, runs: list[Run], kept: Comparison | None = None) -> HttpResponse:
    """Return the page of two or more runs; `kept` is the comparison that the address names, if it names one."""
    if request.GET.get("format") == "csv":
        return csv_answer(compare([as_compared(run) for run in runs]))
    ids = [run.id for run in runs]
    columns = [column(run, i, [other for other in ids if other != run.id]) for i, run in enumerate(runs)]
    pair, asked = chosen_pair(request, len(runs)), asked_basis(request)
    read = RunsRead(runs, columns)
    try:
        basis, facts = asked, read.facts(asked)
    except ValueError as error:  # solved anew, one of them cannot be
        messages.error(request, f"They cannot be compared at {BASIS_LABELS[asked]}: {error}.")
        basis, facts = CAPACITY_SHARE, read.facts(CAPACITY_SHARE)
    for run_column, served in zip(columns, facts.served, strict=True):
        run_column["served"] = served
    here = {"path": request.path, "kept": kept is not None, "ids": joined(ids), "basis": basis}
    context = here | {
        "verdict": facts.verdict,
        "bases": basis_links(request, basis),
        "ranking": ranking_rows(facts.verdict, columns),
        "differences": difference_rows(facts.verdict),
        "kept": kept,
        "columns": columns,
        "full": len(runs) >= MAX_RUNS,
        "without_tornado": [run for run in runs if not sensitivity.sensitivity_rows(run)],
        "may_ask": all(may_change_site(request.user, run.layout.site, Right.RUN) for run in runs),
        "tornado_pending": any(sensitivity.is_pending(run) for run in runs),
        "pickable": [] if kept else pickable(request, ids),
        "questions": facts.questions,
        "weather_cautions": facts.weather_cautions,
        "model_note": facts.model_note,
        "changed": [run_column for run_column in columns if run_column["changed"]],
        "older": older(request, runs, columns) if facts.model_note else [],
        "side_by_side": page_parts.kept(
            "twin/compare/_side_by_side.html",
            (*read.key, *pair, *here.values()),
            lambda: here | side_by_side(read, columns, *pair),
        ),
    }
    if kept:
        context |= {
            "address": request.build_absolute_uri(request.path),
            "may_revoke": sharing.may_revoke(request.user, kept),
        }
    return render(request, "twin/compare.html", context)


@dataclass(frozen=True, slots=True)
class ComparedFacts:
    """What a comparison shows above its tables, the same for everybody who may see its runs."""

    verdict: dict[str, Any]
    served: list[Any]  # of each run
    questions: list[str]
    weather_cautions: list[str]
    model_note: str


class RunsRead:
    """Finished runs, read only where their facts are not kept already: finished runs never change."""

    def __init__(self, runs: Sequence[Run], columns: Sequence[Mapping[str, Any]]) -> None:
        self.runs = runs
        self.labels, self.letters = [[each[name] for each in columns] for name in ("label", "letter")]
        named = ((run.layout.name, run.layout.path, run.layout.site.name, run.scenario.name) for run in runs)
        self.key = ("compared", *(run.id for run in runs), *named)

    @cached_property
    def compared(self) -> list[ComparedRun]:
        """The runs as a comparison reads them."""
        return [as_compared(run) for run in self.runs]

    @cached_property
    def comparison(self) -> Compared:
        """All of them side by side."""
        return compare(self.compared)

    def facts(self, basis: str) -> ComparedFacts:
        """Return what is said of the runs on a basis.

        Raises
        ------
        ValueError
            If one of them cannot be solved on that basis.
        """
        tornados = tuple(str(run.sensitivity) for run in self.runs)  # computed after the run
        return page_parts.remembered(
            (*self.key, *tornados, basis),
            lambda: ComparedFacts(
                verdict=runs_verdict(self.runs, self.labels, basis=basis),
                served=[run.details.per_workload for run in self.compared],
                questions=[row.name for row in self.comparison.questions],
                weather_cautions=sorted({run.details.weather_caution for run in self.compared} - {""}),
                model_note=model_note(self.comparison.model_versions, self.letters),
            ),
        )


def side_by_side(read: RunsRead, columns: list[dict], start: int, end: int) -> dict[str, Any]:
    """Return what the tables and charts below the verdict are written of; a pair is shown from `start` to `end`."""
    compared, pair = read.comparison, (read.compared[start], read.compared[end], columns[start], columns[end])
    return {
        "columns": columns,
        "many": len(columns) > N_WIDE_COLUMNS,
        "start": columns[start],
        "end": columns[end],
        "n_assumptions": len(compared.assumptions),
        "assumptions": assumption_groups(compared, columns),
        "rows": table_rows(compared, columns),
        "answers": answer_rows(compared, columns),
        "frontiers": frontiers(compared),
        "frontier_rows": frontier_rows(compared, columns),
        "falls": waterfalls(*pair),
        **difference_context(*pair),
    }


def asked_basis(request: HttpRequest) -> str:
    """Return at what the address compares: equal share of own capacity unless it says otherwise.

    Raises
    ------
    Http404
        If it names no basis.
    """
    asked = request.GET.get("equal", CAPACITY_SHARE)
    if asked not in BASES:
        raise Http404(f"equal is {asked!r}; must be one of {', '.join(BASES)}.")
    return asked


def basis_links(request: HttpRequest, basis: str) -> list[dict]:
    """Return the addresses that compare the same runs at something else."""
    links = []
    for name, label in BASIS_LABELS.items():
        asked = request.GET.copy()
        asked["equal"] = name
        links.append({"label": label, "address": f"?{asked.urlencode()}", "chosen": name == basis})
    return links


def ranking_rows(verdict: Mapping[str, Any], columns: list[dict]) -> list[dict]:
    """Return the layouts best first, each with its place, its column and by how much the first is ahead of it."""
    by_label = {run_column["label"]: run_column for run_column in columns}
    able = [row["layout"] for row in verdict["ranking"] if not row["blocked"]]
    tied = {name for group in verdict["ties"] for name in group}
    return [
        row
        | {
            "column": by_label[row["layout"]],
            "place": None if row["blocked"] else able.index(row["layout"]) + 1,
            "tied": row["layout"] in tied,
            "per_mw": None if (per_j := row["figures"]["good_tokens_per_joule"]) is None else per_j * 1e6,
            "ahead": ahead_of(row, verdict["by"]),
        }
        for row in verdict["ranking"]
    ]


def ahead_of(row: Mapping[str, Any], by: str) -> dict[str, Any] | None:
    """Return by which share of a layout's own figure the first of its ranking is ahead, as the sentence says it.

    With the band of the difference, and how likely the first is the better; None of the first itself.
    """
    to_first, own = row["to_first"], row["figures"][by]
    if to_first is None or not own:
        return None
    share = -to_first["value"] / own
    by_share = f"{percent_text(abs(share))} {'more' if share > 0 else 'less'}" if abs(share) >= LEVEL else "level"
    text = f"{by_share}, {likely_text(1 - to_first['probability'])}"
    return {"text": text, "low": -to_first["high"], "high": -to_first["low"]}


def difference_rows(verdict: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the first of the ranking against the second, figure by figure; None where there is no second."""
    able = [row for row in verdict["ranking"] if not row["blocked"]]
    if len(able) < 2:
        return None
    first, second = able[:2]
    rows = [
        {
            "figure": BY_NAME[name],
            "first": first["figures"][name],
            "second": second["figures"][name],
            "value": entry["value"],
            "ends": [entry["low"], entry["high"]] if entry["low"] != entry["high"] else None,
            "likely": likely_text(entry["probability"]),
        }
        for name, entry in verdict["difference"].items()
    ]
    return {"first": first["layout"], "second": second["layout"], "rows": rows}


def older(request: HttpRequest, runs: list[Run], columns: list[dict]) -> list[dict]:
    """Return the columns of runs of other versions of the model that the user may run again."""
    return [
        run_column
        for run, run_column in zip(runs, columns, strict=True)
        if run.solver.version != MODEL_VERSION and may_change_site(request.user, run.layout.site, Right.RUN)
    ]


def parsed(text: str) -> list[UUID]:
    """Return run ids that stand in a text with commas, each once.

    Raises
    ------
    Http404
        If a name is no run's.
    """
    try:
        return list(dict.fromkeys(UUID(name) for name in text.split(",") if name))[:MAX_RUNS]
    except ValueError as error:
        raise Http404("The address names something that is no run.") from error


def asked_ids(request: HttpRequest) -> list[UUID]:
    """Return the runs that the address names, in its order, each once."""
    return parsed(",".join([request.GET.get("runs", ""), *request.GET.getlist("run")]))


def ids_of_layouts(request: HttpRequest) -> list[UUID]:
    """Return the runs of the layouts that were ticked; say which have none, and what they have in common."""
    wanted = [pk for pk in request.GET.getlist("layout") if pk.isdecimal() and len(pk) < 19]
    visible = Layout.objects.select_related("site").filter(site__in=visible_sites(request.user))
    layouts = list(visible.filter(pk__in=wanted).order_by("site__name", "name"))
    if len(layouts) > MAX_RUNS:
        messages.warning(request, f"{len(layouts)} layouts were selected; the first {MAX_RUNS} are shown.")
    choice = runs_of_layouts(layouts[:MAX_RUNS], request.GET.get("scenario", ""))
    for layout in choice.without_run:
        messages.warning(request, f"{layout.name} has no finished run; open it and press “Run year”.")
    if len(choice.runs) < Comparison.MIN_RUNS:
        messages.warning(request, "A comparison needs two layouts with a finished run.")
    return [run.id for run in choice.runs]


def pickable(request: HttpRequest, without: Sequence[UUID]) -> list[Run]:
    """Return the newest finished runs that the user may add."""
    found = recent_runs(visible_sites(request.user)).filter(status=Run.Status.DONE).exclude(pk__in=without)
    return list(found[:50])


def joined(ids: Sequence[UUID]) -> str:
    """Return runs as the address names them."""
    return ",".join(map(str, ids))


def address(ids: Sequence[UUID]) -> str:
    """Return the address that shows these runs."""
    return reverse("compare") + (f"?runs={joined(ids)}" if ids else "")


def readable_runs():
    """Return finished runs with what a comparison reads, without their arrays."""
    done = Run.objects.filter(status=Run.Status.DONE)
    return done.select_related("layout__site", "scenario").defer("series", "racks")


def visible_runs_or_404(request: HttpRequest, ids: Sequence[UUID]) -> list[Run]:
    """Return the runs in the order asked for; one that is not visible or not done hides the whole page."""
    found = readable_runs().filter(pk__in=ids, layout__site__in=visible_sites(request.user)).in_bulk()
    if len(found) < len(ids):
        raise Http404("One of these runs does not exist, is not finished, or is on a site that you may not see.")
    return [found[i] for i in ids]


def column(run: Run, i: int, others: Sequence[UUID]) -> dict:
    """Return the head of one column: a letter that charts and tables share, and the run behind it."""
    return {
        "letter": LETTERS[i],
        "run": run,
        "name": run.layout.name,
        "label": f"{LETTERS[i]} {run.layout.name}",
        "changed": is_changed(run),
        "without": address(others),
    }


def chosen_pair(request: HttpRequest, n: int) -> tuple[int, int]:
    """Return from which run to which the waterfalls and the drawing lead; from the first to the second by default."""
    asked = [LETTERS[:n].find(request.GET.get(name) or "?") for name in ("from", "to")]
    start = asked[0] if asked[0] >= 0 else 0
    end = asked[1] if asked[1] >= 0 else (1 if start == 0 else 0)
    return start, end


def assumption_groups(compared: Compared, columns: list[dict]) -> list[dict]:
    """Return the assumptions that differ, by subject; data of products come folded."""
    groups: dict[str, list[dict]] = {}
    for row in compared.assumptions:
        cells = [(run_column["letter"], value) for run_column, value in zip(columns, row.values, strict=True)]
        groups.setdefault(row.group, []).append({"name": row.name, "cells": cells})
    return [{"name": name, "rows": rows, "folded": name == DATA and len(rows) > 6} for name, rows in groups.items()]


def table_rows(compared: Compared, columns: list[dict]) -> list[dict]:
    """Return the figures as rows of cells for the table; rows that no run has a value for are left out."""
    rows = []
    for row in compared.rows:
        if all(value is None for value in row.values):
            continue
        cells = [
            {"letter": run_column["letter"], "value": value, "ends": ends, "wins": i in row.winners}
            for i, (run_column, value, ends) in enumerate(zip(columns, row.values, row.bands, strict=True))
        ]
        figure = BY_NAME[row.name]
        rows.append(
            {
                "label": row.label,
                "unit": row.unit,
                "why": row.why,
                "reference": row.values[0],
                "cells": cells,
                "better": figure.better,
                "meaning": figure.meaning,
            }
        )
    return rows


def answer_rows(compared: Compared, columns: list[dict]) -> list[dict]:
    """Return the answers of power and cooling as rows of cells."""
    return [
        {
            "label": row.label,
            "unit": row.unit,
            "cells": [
                {"letter": run_column["letter"], "value": value, "about": about, "wins": i in row.winners}
                for i, (run_column, value, about) in enumerate(zip(columns, row.values, row.about, strict=True))
            ],
        }
        for row in compared.answers
    ]


def frontiers(compared: Compared) -> list[dict]:
    """Return the frontier charts."""
    return [
        {
            "frontier": frontier,
            "name": f"frontier-{i}",
            "id": f"figure-frontier-{i}",
            "title": f"Tokens per second over {frontier.label[:1].lower()}{frontier.label[1:]}",
            "figure": comparison_charts.token_frontier(frontier),
        }
        for i, frontier in enumerate(compared.frontiers)
    ]


def frontier_rows(compared: Compared, columns: list[dict]) -> list[dict]:
    """Return the table behind the frontier charts, one row per run."""
    points = [{point.run: point for point in frontier.points} for frontier in compared.frontiers]
    return [
        {
            "column": run_column,
            "places": [(frontier, by_run.get(i)) for frontier, by_run in zip(compared.frontiers, points, strict=True)],
        }
        for i, run_column in enumerate(columns)
    ]


def waterfalls(start: dict, end: dict, a: dict, b: dict) -> list[dict]:
    """Return the charts from one run to another, with the table behind each."""
    return [
        {
            "title": title,
            "name": f"fall-{i}",
            "id": f"figure-fall-{i}",
            "fall": fall,
            "figure": run_charts.waterfall(fall, a["label"], b["label"]),
        }
        for i, (title, fall) in enumerate(falls_between(start, end))
    ]


def difference_context(start: dict, end: dict, a: dict, b: dict) -> dict:
    """Return the drawing of what differs between two layouts, its legend and its table."""
    difference = plan_difference.plan_difference(start.inputs, end.inputs)
    rows = difference.rows
    return {
        "halls": plan_difference_drawing.drawings(difference),
        "difference_rows": rows[:N_OPEN_ROWS],
        "more_difference_rows": rows[N_OPEN_ROWS:],
        "difference_legend": plan_difference_drawing.legend(difference, a["letter"], b["letter"]),
    }


def csv_answer(compared: Compared) -> HttpResponse:
    """Return the figures and answers side by side as CSV."""
    body = [[row.name, row.label, row.unit, *row.values] for row in (*compared.rows, *compared.answers)]
    text = as_csv(["name", "label", "unit", *compared.names], body)
    return HttpResponse(
        text,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="comparison.csv"'},
    )
