"""Where a layout and its readings part: plan, one-line and loop coloured by residual, with a time line."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from facility.models import Layout
from twin.core.diagrams.schematic import STATE, Node
from twin.core.diagrams.symbols import Symbol, unsolved, wires
from twin.core.telemetry.quantities import QUANTITIES
from twin.floor.drawings import draw_loop, draw_one_line
from twin.floor.drill_plan import hall_drawings
from twin.floor.rows import read_floor
from twin.models import Study
from twin.telemetry.residual_map import LEVELS, NOT_MEASURED, ResidualMap, level_word, node_objects, residual_map
from twin.views.studies import visible_study_or_404

VIEWS = {"plan": "Plan", "one-line": "One-line", "loop": "Loop"}


@login_required
def study_residuals(request: HttpRequest, study: UUID) -> HttpResponse:
    """Colour a drawing of the layout by what a comparison found, over its whole span and part by part."""
    study = visible_study_or_404(request, study)
    if study.kind != Study.Kind.COMPARISON or study.status != Study.Status.DONE:
        raise Http404("only a comparison that is done has residuals")
    layout = study.layout
    view = request.GET.get("view", "plan")
    quantity = request.GET.get("quantity", "")
    there = sorted({row["quantity"] for row in (study.result or {})["points"] if not row["input"]})
    bad = view not in VIEWS or (quantity and quantity not in QUANTITIES)
    view, quantity = (view if view in VIEWS else "plan"), ("" if bad else quantity)
    found = residual_map(study, quantity)
    drawn = _plan(layout, found) if view == "plan" else _diagram(layout, view, found)
    context = {
        "study": study,
        "layout": layout,
        "site": layout.site,
        "view": view,
        "views": VIEWS,
        "quantity": quantity,
        "quantities": there,
        "bad": bad,
        "kept": bool(found.frames.worst),
        "components": found.components(),
        "first_worst": found.worst()[0] if found.frames.worst else [],
        "n_frames": len(found.labels),
        "legend": [(code, level_word(code)) for code in (*LEVELS, NOT_MEASURED)],
        "frames": {
            "labels": found.labels,
            "codes": drawn.pop("codes"),
            "worst": found.worst(),
            "words": {code: level_word(code) for code in (*LEVELS, NOT_MEASURED)},
        },
    } | drawn
    return render(request, "twin/telemetry/residuals.html", context, status=400 if bad else 200)


def _plan(layout: Layout, found: ResidualMap) -> dict[str, Any]:
    """Return the halls with racks, CDUs and air units, each with its level over the whole span."""
    halls, codes = [], {}

    def item(name: str, place, objects: tuple[str, ...]) -> dict[str, Any]:
        codes[name] = found.codes(objects)
        code = codes[name][:1] or NOT_MEASURED
        return {"object": name, "place": place, "code": code, "word": level_word(code)}

    for drawing in hall_drawings(read_floor(layout)):
        racks = [f"rack/{drawing.name}/{place.name}" for place in drawing.racks]
        halls.append(
            {
                "drawing": drawing,
                "items": [
                    item(name, place, (name, f"{name}/accelerators"))
                    for name, place in zip(racks, drawing.racks, strict=True)
                ],
                "parts": [
                    *(item(f"cdu/{place.name}", place, (f"cdu/{place.name}",)) for place in drawing.cdus),
                    *(
                        item(f"air-unit/{place.name}", place, (f"air-unit/{place.name}",))
                        for place in drawing.air_units
                    ),
                ],
            }
        )
    return {"halls": halls, "codes": codes}


def _diagram(layout: Layout, view: str, found: ResidualMap) -> dict[str, Any]:
    """Return a diagram's symbols, each with its level over the whole span."""
    drawing = draw_one_line(layout) if view == "one-line" else draw_loop(layout)
    objects = node_objects(layout, drawing.nodes)
    codes = {key: found.codes(names) for key, names in objects.items() if names}
    symbols = [_coloured(node, codes.get(node.key, "")[:1]) for node in drawing.nodes]
    return {"drawing": drawing, "symbols": symbols, "wires": wires(drawing, symbols), "codes": codes}


def _coloured(node: Node, code: str) -> Symbol:
    bare = unsolved(node, "")
    if not code:
        return bare
    lines = [(slot, level_word(code) if slot.kind == STATE else text) for slot, text in bare.lines]
    return replace(bare, state=f"lv-{code if code != NOT_MEASURED else 'none'}", lines=lines)
