"""Questions about a layout as it is described now, answered: states, instant answers, drills, rankings and repairs.

`twin.api.states` documents them; the questions are read by `twin.views.asked`.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response

from facility.models import Layout
from facility.permissions import visible_sites
from twin.api import states
from twin.api.state_shapes import AnswerFindingSerializer
from twin.core.drill.drill import AFTER, BEFORE, drill, ranking
from twin.core.drill.repairs import suggestions
from twin.core.results.details import MarginRow
from twin.core.results.margins import tightest
from twin.core.results.object_quantities import QUANTITIES, STATES
from twin.core.solve.estimate import APPROXIMATION, instant_answer
from twin.core.solve.object_states import object_tables, totals
from twin.core.solve.steady import hour_rows, solve_steady
from twin.core.text.json_numbers import plain, plain_json
from twin.core.text.numbers import quantity_text
from twin.exceptions import CannotSimulate
from twin.models import Run
from twin.runs.findings import layout_findings
from twin.runs.found import ORDER, address, everything_found, nothing_found
from twin.runs.last_run import last_run
from twin.views import asked, diagrams

N_FINDINGS = 100  # most severe ones
FINDING = {name: field.source for name, field in AnswerFindingSerializer().fields.items()}


class Unsolvable(exceptions.APIException):
    """The question is right, but the layout lacks what it takes to be solved."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "unsolvable"


class Watch:
    """Milliseconds by stage of one answer."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._ms: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Note the time since the last lap under a stage."""
        now = time.perf_counter()
        self._ms[stage] = round((now - self._last) * 1e3, 1)
        self._last = now

    def ms(self) -> dict[str, float]:
        """Return the stages and all."""
        return self._ms | {"all": round((time.perf_counter() - self._start) * 1e3, 1)}


class Answered:
    """What a question of `twin.api.states` does where it is solved."""

    parameters: tuple[str, ...]
    kwargs: dict[str, Any]

    def answer(self, query: Mapping[str, str], layout: Layout, year: Any, watch: Watch) -> dict[str, Any]:
        """Return the body of the answer, JSON but for what was solved and how long it took."""
        raise NotImplementedError

    def respond(self, request: Request) -> Response:
        """Return the answer to a question, or its refusal in the API's shape."""
        watch = Watch()
        layouts = Layout.objects.filter(site__in=visible_sites(request.user)).select_related("site")
        layout = get_object_or_404(layouts, pk=self.kwargs["pk"])
        try:
            if unknown := sorted(set(request.query_params) - {*self.parameters, "format"}):
                message = f"{unknown[0]} is no parameter here; there are {', '.join(self.parameters)}"
                raise asked.BadQuestion(message, unknown[0])
            scenario = asked.asked_scenario(request.query_params, layout)
            year = asked.described_year(layout, scenario)
            body = self.answer(request.query_params, layout, year, watch)
        except asked.BadQuestion as bad:
            raise exceptions.ValidationError({bad.field: [f"{bad}."]}) from bad
        except (CannotSimulate, ValueError) as refusal:
            raise Unsolvable(str(refusal)) from refusal
        return Response({"layout_version": layout.version, "scenario": scenario.slug} | body | {"ms": watch.ms()})


class State(Answered, states.StateView):
    """States of all objects of a layout."""

    def answer(self, query: Mapping[str, str], layout: Layout, year: Any, watch: Watch) -> dict[str, Any]:
        hours, out = asked.asked_hours(query, year), asked.asked_outages(query, year)
        wanted = asked.asked_quantities(query)
        watch.lap("read")
        steady = solve_steady(year, hours, [out] * len(hours))
        watch.lap("solve")
        body = head(steady) | {"totals": plain_json(totals(steady))} | objects_json(object_tables(steady), wanted)
        watch.lap("write")
        return body


class Answer(Answered, states.AnswerView):
    """Instant answers."""

    def answer(self, query: Mapping[str, str], layout: Layout, year: Any, watch: Watch) -> dict[str, Any]:
        watch.lap("read")
        last = last_run(layout)
        found = everything_found(layout, layout_findings(layout, year.inputs), last)
        watch.lap("findings")
        done = instant_answer(year)
        watch.lap("solve")
        counts = Counter(finding["severity"] for finding in found)
        return {
            "converged": done.converged,
            "message": done.message,
            "approximation": APPROXIMATION,
            "figures": plain_json(done.shown()),
            "margins": [
                margin_json(row) | {"href": margin_address(layout, year, row)} for row in tightest(done.margins)
            ],
            "n_margins": len(done.margins),
            "findings": [finding_json(row) for row in found[:N_FINDINGS]],
            "n_findings": len(found),
            "n_by_severity": {severity: counts[severity] for severity in ORDER},
            "nothing_found": "" if found else nothing_found(len(year.inputs.racks.id), last),
        }


class Drill(Answered, states.DrillView):
    """Failure drills."""

    def answer(self, query: Mapping[str, str], layout: Layout, year: Any, watch: Watch) -> dict[str, Any]:
        hour, out = asked.asked_hour(query, year), asked.asked_outages(query, year)
        wanted = asked.asked_quantities(query)
        watch.lap("read")
        done = drill(year, hour, out)
        watch.lap("solve")
        body = drill_json(done, wanted)
        watch.lap("write")
        return body


class Rankings(Answered, states.RankingsView):
    """Single failures ranked."""

    def answer(self, query: Mapping[str, str], layout: Layout, year: Any, watch: Watch) -> dict[str, Any]:
        watch.lap("read")
        ranked = ranking(year)
        watch.lap("solve")
        return {
            "converged": ranked.converged,
            "message": ranked.text,
            "n_costly": ranked.n_costly,
            "failures": plain_json([failure.as_json() for failure in ranked.failures]),
            "margins": [margin_json(margin) for margin in tightest(ranked.margins)],
        }


class Sensitivity(states.SensitivityView):
    """What each assumed or estimated input does to the figures."""

    def respond(self, request: Request) -> Response:
        """Return what a worker found."""
        layouts = Layout.objects.filter(site__in=visible_sites(request.user)).select_related("site")
        layout = get_object_or_404(layouts, pk=self.kwargs["pk"])
        if unknown := sorted(set(request.query_params) - {"scenario", "format"}):
            raise exceptions.ValidationError({unknown[0]: [f"{unknown[0]} is no parameter here; there are scenario."]})
        try:
            scenario = asked.asked_scenario(request.query_params, layout)
        except asked.BadQuestion as bad:
            raise exceptions.ValidationError({bad.field: [f"{bad}."]}) from bad
        done = layout.runs.filter(status=Run.Status.DONE, scenario=scenario).select_related("scenario")
        run = done.defer(*{*Run.HEAVY} - {"sensitivity"}).order_by("-finished_at").first()
        if run is None:
            raise Unsolvable(f"{layout.path} has no finished run under {scenario.slug}; run it first.")
        return Response(states.sensitivity_body(run))


class Repairs(Answered, states.RepairsView):
    """Repairs of the worst single failures."""

    def answer(self, query: Mapping[str, str], layout: Layout, year: Any, watch: Watch) -> dict[str, Any]:
        watch.lap("read")
        ranked = ranking(year)
        found = suggestions(year, ranked.failures)
        watch.lap("solve")
        return {"converged": ranked.converged, "repairs": plain_json([repair.as_json() for repair in found])}


class Diagram(Answered, states.DiagramView):
    """Texts of the one-line or the loop diagram."""

    def answer(self, query: Mapping[str, str], layout: Layout, year: Any, watch: Watch) -> dict[str, Any]:
        hours = asked.asked_hours(query, year)
        watch.lap("read")
        steady = solve_steady(year, hours)
        watch.lap("solve")
        drawing, readings, report = self.kind.draw(layout), diagrams.readings_of(steady), steady.coupled.report
        body = {
            "converged": report.converged,
            "message": report.message,
            "hours": [
                {"index": row["index"], "label": row["label"], "text": diagrams.weather_text(row)}
                for row in hour_rows(steady)
            ],
            "figures": [
                [
                    {"name": name, "label": label, "text": text}
                    for name, label, text in diagrams.figures(readings, hour, steady.inputs)
                ]
                for hour in range(len(hours))
            ],
            "nodes": [
                {node.key: readings.shown(node, hour).as_json() for node in drawing.nodes} for hour in range(len(hours))
            ],
            "rows": [
                {
                    f"{table}-{pk}": cells
                    for table in self.kind.tables
                    for pk, cells in readings.rows(table, hour)[1].items()
                }
                for hour in range(len(hours))
            ],
        }
        watch.lap("write")
        return body


def head(steady) -> dict[str, Any]:
    """Return what was solved and how it went."""
    report = steady.coupled.report
    return {
        "converged": report.converged,
        "message": report.message,
        "hours": plain_json(hour_rows(steady)),
        "out": [str(outage) for outage in steady.out[-1]],
    }


def objects_json(tables: dict, wanted: set[str] | None) -> dict[str, Any]:
    """Return the objects' columns by kind, beside what the columns mean."""
    body: dict[str, Any] = {"quantities": {}}
    for kind, table in tables.items():
        shown = [q for q in QUANTITIES[kind] if wanted is None or q.name in wanted]
        body["quantities"][kind] = [quantity.as_json() for quantity in shown]
        columns: dict[str, Any] = {"id": table.ids, "name": table.names, "state": STATES[table.state].tolist()}
        for quantity in shown:
            columns[quantity.name] = plain(table.values[quantity.name])
            if quantity.limit:
                columns[quantity.limit] = plain(table.limits[quantity.limit])
        body[kind] = columns | table.beside
    return body


def drill_json(done, wanted: set[str] | None = None) -> dict[str, Any]:
    """Return a drill as the state is written, with what was before, what it costs and when what happens."""
    whole, every = head(done.steady), plain_json(totals(done.steady))
    body = whole | {
        "hours": whole["hours"][AFTER:],
        "totals": at(every, AFTER),
        "before": at(every, BEFORE),
        "lost_output_tokens_per_s": plain_json(done.lost_output_tokens_per_s),
        "lost_capacity_tokens_per_s": plain_json(done.lost_capacity_tokens_per_s),
        "events": plain_json(done.events),
        "affected": done.affected,
        "n_affected": done.n_affected,
    }
    objects = objects_json(object_tables(done.steady), wanted)
    body["quantities"] = objects.pop("quantities")
    for kind, columns in objects.items():
        hourly = {q["name"] for q in body["quantities"][kind]} | {"state"}
        hourly |= {name for name in columns if name.endswith("_out")}
        body[kind] = {name: values[AFTER:] if name in hourly else values for name, values in columns.items()}
    return body


def at(every: dict[str, Any], which: int) -> dict[str, Any]:
    """Return the totals of one element, as lists of one hour."""
    return {name: at(v, which) if isinstance(v, dict) else v[which : which + 1] for name, v in every.items()}


def finding_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finding as the answer shows it; a serializer takes longer for a hundred than the rules for a layout."""
    return {name: row.get(source, "") for name, source in FINDING.items()}


def margin_json(margin: MarginRow) -> dict[str, Any]:
    """Return a margin with its text."""
    return {
        "object": margin.object,
        "kind": margin.kind,
        "value": plain_json(margin.value),
        "text": quantity_text(margin.value, margin.unit),
        "unit": margin.unit,
    }


def margin_address(layout: Layout, year, margin: MarginRow) -> str:
    """Return the page of the object that a margin is of, or of the list that it stands in."""
    here = [layout.site.slug, layout.slug]
    for kind, table, key in (
        ("power-feeds", "feeds", "name"),
        ("cdus", "cdus", "group"),
        ("halls", "halls", "name"),
        ("cooling-plants", "plants", "name"),
    ):
        if any(getattr(row, key) == margin.object for row in getattr(year.inputs, table)):
            return address("part-list", *here, kind)
    return address("layout-detail", *here)
