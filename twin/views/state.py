"""The layout as it is described now, solved while one waits: states of all objects at chosen hours, as JSON."""

import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from facility.findings import Finding, findings
from facility.models import Layout
from facility.views.lookup import visible_layout_or_404
from twin.core.text.numbers import quantity_text
from twin.exceptions import CannotSimulate
from twin.models import Run, Scenario
from twin.runs import snapshot
from twin.views.sites import address, with_address

MAX_HOURS = 24
N_MARGINS_OF_KIND = 3  # tightest ones that an answer carries
N_FINDINGS = 100  # gravest ones


class BadQuestion(Exception):
    """A parameter that cannot be answered: which one, what was given and what is allowed."""

    def __init__(self, message: str, field: str, allowed: Any = None) -> None:
        super().__init__(message)
        self.extra = {"field": field, "allowed": allowed}


def answers_json(view: Callable) -> Callable:
    """Let a page's script read refusals: 400 for a parameter, 422 for a layout that cannot be solved."""

    @wraps(view)
    def answered(request: HttpRequest, *args, **kwargs) -> JsonResponse:
        try:
            return view(request, *args, **kwargs)
        except BadQuestion as bad:
            return JsonResponse({"message": str(bad), "extra": bad.extra}, status=400)
        except (CannotSimulate, ValueError) as refusal:
            return JsonResponse({"message": str(refusal), "extra": {"field": "layout"}}, status=422)

    return login_required(require_GET(never_cache(answered)))


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


@answers_json
def layout_state(request: HttpRequest, site: str, layout: str) -> JsonResponse:
    """Return every object's state at the asked hours with the asked units out of service."""
    from twin.core.solve.object_states import object_tables, totals
    from twin.core.solve.steady import solve_steady

    watch = Watch()
    layout = visible_layout_or_404(request.user, site, layout)
    scenario = asked_scenario(request, layout)
    year = read(layout, scenario)
    hours, out = asked_hours(request, year), asked_outages(request, year)
    wanted = asked_quantities(request)
    watch.lap("read")
    steady = solve_steady(year, hours, [out] * len(hours))
    watch.lap("solve")
    body = head(layout, scenario, steady) | {"totals": nested_plain(totals(steady))}
    body |= objects_json(object_tables(steady), wanted)
    watch.lap("write")
    return JsonResponse(body | {"ms": watch.ms()})


@answers_json
def layout_answer(request: HttpRequest, site: str, layout: str) -> JsonResponse:
    """Return the headline figures, margins and findings of the layout as it is described now, estimated at once."""
    from twin.core.solve.estimate import APPROXIMATION, instant_answer

    watch = Watch()
    layout = visible_layout_or_404(request.user, site, layout)
    scenario = asked_scenario(request, layout)
    year = read(layout, scenario)
    watch.lap("read")
    found = findings(layout)
    watch.lap("findings")
    answer = instant_answer(year)
    watch.lap("solve")
    body = {
        "layout_version": layout.version, "scenario": scenario.slug, "converged": answer.converged,
        "message": answer.message, "approximation": APPROXIMATION, "figures": nested_plain(answer.shown()),
        "margins": [margin_json(layout, year, row) for row in tightest(answer.margins)],
        "n_margins": len(answer.margins),
        "findings": [finding_json(layout, finding) for finding in found[:N_FINDINGS]], "n_findings": len(found),
        "n_by_severity": dict(Counter(finding.severity for finding in found)),
    }  # fmt: skip
    watch.lap("write")
    return JsonResponse(body | {"ms": watch.ms()})


def tightest(margins: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tightest margins of each kind, in the order they come."""
    seen: Counter[str] = Counter()
    found = []
    for margin in margins:
        seen[margin["kind"]] += 1
        if seen[margin["kind"]] <= N_MARGINS_OF_KIND:
            found.append(margin)
    return found


def finding_json(layout: Layout, finding: Finding) -> dict[str, Any]:
    """Return a finding with the name and address of its object."""
    return {"object": finding.object_name} | with_address(layout, finding)


def margin_json(layout: Layout, year, margin: dict[str, Any]) -> dict[str, Any]:
    """Return a margin with its text and the address of its object."""
    unit = margin["unit"]
    return {
        "object": margin["object"], "kind": margin["kind"], "value": nested_plain(margin["value"]),
        "text": quantity_text(margin["value"], unit), "unit": unit, "href": margin_address(layout, year, margin),
    }  # fmt: skip


def margin_address(layout: Layout, year, margin: dict[str, Any]) -> str:
    """Return the page of the object that a margin is of, or of the list that it stands in."""
    here = [layout.site.slug, layout.slug]
    for kind, table, key in (
        ("power-feeds", "feeds", "name"), ("cdus", "cdus", "group"), ("halls", "halls", "name"),
        ("cooling-plants", "plants", "name"),
    ):  # fmt: skip
        if any(row[key] == margin["object"] for row in year.inputs[table]):
            return address("part-list", *here, kind)
    return address("layout-detail", *here)


def read(layout: Layout, scenario: Scenario):
    """Return the description as the solvers read it."""
    from twin.core.solve.simulate import described

    return described(snapshot.snapshot(layout, scenario))


def asked_scenario(request: HttpRequest, layout: Layout) -> Scenario:
    """Return the scenario that is asked for, else that of the layout's last finished run, else the site's first."""
    scenarios = list(layout.site.scenarios.select_related("weather"))
    slug = request.GET.get("scenario", "") or last_scenario(layout)
    found = next((s for s in scenarios if s.slug == slug or not slug), None)
    if found is None:
        known = [s.slug for s in scenarios]
        if not known:
            raise BadQuestion(f"{layout.site.name} has no scenario; add one before asking for a state", "scenario", [])
        raise BadQuestion(f"scenario is {slug}; {layout.site.name} has {', '.join(known)}", "scenario", known)
    return found


def last_scenario(layout: Layout) -> str:
    """Return the scenario of a layout's last finished run, as the plan shows it; empty where there is none."""
    done = layout.runs.filter(status=Run.Status.DONE, scenario__site_id=layout.site_id).order_by("-finished_at")
    return done.values_list("scenario__slug", flat=True).first() or ""


def asked_hours(request: HttpRequest, year) -> list[int]:
    """Return the hours that are asked for; the design hour where none is."""
    from twin.core.solve.steady import DESIGN

    last = year.weather.n_elements - 1
    allowed = f"design or 0 to {last}, at most {MAX_HOURS}, separated by commas"
    text = request.GET.get("hours") or request.GET.get("hour") or "design"
    hours = []
    for part in text.split(","):
        if part.strip() == "design":
            hours.append(DESIGN)
        elif part.strip().isdecimal() and int(part) <= last:
            hours.append(int(part))
        else:
            raise BadQuestion(f"hours has {part.strip() or 'an empty entry'}; must be {allowed}", "hours", allowed)
    if len(hours) > MAX_HOURS:
        raise BadQuestion(f"hours has {len(hours)} entries; at most {MAX_HOURS} are answered at once", "hours", allowed)
    return hours


def asked_outages(request: HttpRequest, year) -> tuple:
    """Return what is asked to be out of service."""
    from twin.core.solve.steady import OUTAGE_KINDS, outages

    try:
        return outages(year, request.GET.get("out", ""))
    except ValueError as refusal:
        raise BadQuestion(str(refusal), "out", list(OUTAGE_KINDS)) from refusal


def asked_quantities(request: HttpRequest) -> set[str] | None:
    """Return the names of the quantities that are asked for; None for all."""
    from twin.core.results.object_quantities import QUANTITIES

    asked = {name for name in request.GET.get("quantities", "").split(",") if name}
    known = {quantity.name for of_kind in QUANTITIES.values() for quantity in of_kind}
    if unknown := sorted(asked - known):
        raise BadQuestion(
            f"quantities has {', '.join(unknown)}; there are {', '.join(sorted(known))}", "quantities", sorted(known)
        )
    return asked or None


def head(layout: Layout, scenario: Scenario, steady) -> dict[str, Any]:
    """Return what was solved and how it went."""
    from twin.core.solve.steady import hour_rows

    report = steady.coupled.report
    return {
        "layout_version": layout.version, "scenario": scenario.slug, "converged": report.converged,
        "message": report.message, "hours": nested_plain(hour_rows(steady)),
        "out": [str(outage) for outage in steady.out[-1]],
    }  # fmt: skip


def objects_json(tables: dict, wanted: set[str] | None) -> dict[str, Any]:
    """Return the objects' columns by kind, beside what the columns mean."""
    from twin.core.results.object_quantities import QUANTITIES, STATES
    from twin.core.text.json_numbers import plain

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


def nested_plain(value: Any) -> Any:
    """Return arrays and floats inside lists and mappings as JSON writes them."""
    from twin.core.text.json_numbers import plain

    if isinstance(value, dict):
        return {name: nested_plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [nested_plain(inner) for inner in value]
    return plain(value) if not isinstance(value, (str, int, bool, type(None))) else value
