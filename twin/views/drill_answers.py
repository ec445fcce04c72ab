"""The failure drill as JSON: what a loss does at an hour, which single failures hurt most and what repairs them."""

from typing import Any

from django.http import HttpRequest, JsonResponse

from facility.models import Layout
from facility.views.lookup import visible_layout_or_404
from twin.views import state
from twin.views.state import Watch, answers_json


@answers_json
def drill_result(request: HttpRequest, site: str, layout: str) -> JsonResponse:
    """Return the layout's state with the asked units out, beside what it was before."""
    from twin.core.drill.drill import drill

    watch = Watch()
    layout = visible_layout_or_404(request.user, site, layout)
    scenario = state.asked_scenario(request, layout)
    year = state.read(layout, scenario)
    hour, out = state.asked_hours(request, year)[0], state.asked_outages(request, year)
    wanted = state.asked_quantities(request)
    watch.lap("read")
    done = drill(year, hour, out)
    watch.lap("solve")
    body = result_json(layout, scenario, done, wanted)
    watch.lap("write")
    return JsonResponse(body | {"ms": watch.ms()})


def result_json(layout: Layout, scenario, done, wanted: set[str] | None = None) -> dict[str, Any]:
    """Return a drill as the state is written, with what was before, what it costs and when what happens."""
    from twin.core.drill.drill import AFTER, BEFORE
    from twin.core.solve.object_states import object_tables, totals

    whole = state.head(layout, scenario, done.steady)
    every = state.nested_plain(totals(done.steady))
    body = whole | {
        "hours": whole["hours"][AFTER:], "totals": at(every, AFTER), "before": at(every, BEFORE),
        "lost_output_tokens_per_s": state.nested_plain(done.lost_output_tokens_per_s),
        "lost_capacity_tokens_per_s": state.nested_plain(done.lost_capacity_tokens_per_s),
        "events": state.nested_plain(done.events), "affected": done.affected, "n_affected": done.n_affected,
    }  # fmt: skip
    for kind, columns in state.objects_json(object_tables(done.steady), wanted).items():
        if kind == "quantities":
            body[kind] = columns
            continue
        names = {q["name"] for q in body.get("quantities", {}).get(kind, [])} | {"state"}
        names |= {name for name in columns if name.endswith("_out")}
        body[kind] = {name: values[AFTER:] if name in names else values for name, values in columns.items()}
    return body


def at(every: dict[str, Any], which: int) -> dict[str, Any]:
    """Return the totals of one element, as lists of one hour."""
    return {name: at(v, which) if isinstance(v, dict) else v[which : which + 1] for name, v in every.items()}


@answers_json
def drill_ranking(request: HttpRequest, site: str, layout: str) -> JsonResponse:
    """Return every single failure, worst first, and changes that repair the worst."""
    watch = Watch()
    layout = visible_layout_or_404(request.user, site, layout)
    scenario = state.asked_scenario(request, layout)
    year = state.read(layout, scenario)
    watch.lap("read")
    body = ranking_json(year)
    watch.lap("solve")
    return JsonResponse({"layout_version": layout.version, "scenario": scenario.slug} | body | {"ms": watch.ms()})


def ranking_json(year) -> dict[str, Any]:
    """Return the ranking of a layout as JSON takes it."""
    from twin.core.drill.drill import ranking
    from twin.core.drill.repairs import suggestions

    ranked = ranking(year)
    costly = sum(failure.lost_tokens_per_s > 0 for failure in ranked.failures)
    return {
        "converged": ranked.converged,
        "failures": state.nested_plain([failure.as_json() for failure in ranked.failures]),
        "n_costly": costly,
        "message": ranking_text(ranked, costly),
        "margins": state.nested_plain([margin | {"text": state.quantity_text(margin["value"], margin["unit"])}
                                       for margin in state.tightest(ranked.margins)]),
        "suggestions": state.nested_plain([one.as_json() for one in suggestions(year, ranked.failures)]),
    }  # fmt: skip


def ranking_text(ranked, costly: int) -> str:
    """Return what the ranking says, in a sentence."""
    n = len(ranked.failures)
    if costly:
        return f"{costly} of {n} single failures cost token capacity at the design hour. {ranked.failures[0].text}"
    tight = next((margin for margin in ranked.margins if margin["unit"] == "%"), None)
    nearest = f" Tightest while one lasts: {tight['kind']} of {tight['object']}, " if tight else ""
    left = f"{state.quantity_text(tight['value'], '%')} left." if tight else ""
    return f"None of {n} single failures costs token capacity at the design hour.{nearest}{left}"
