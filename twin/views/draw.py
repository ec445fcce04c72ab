"""The drawing board's page. What stands on it, edits of it and its answers go through the API."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from facility.entry.field_help import HELP, plain_texts
from facility.entry.units import for_scripts
from facility.models import AirUnit, Cdu, FloorFeature, Rack
from facility.models.floor import ORIENTATIONS
from facility.permissions import may_change_site
from facility.views.lookup import visible_layout_or_404
from twin.runs.latest import latest_runs

DRAWN_NUMBERS = ("x_m", "y_m", "width_m", "depth_m", "pitch_m", "other_power_w", "supply_degc")  # typed on the board


@login_required
@require_safe
def layout_draw(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Show the drawing board of a layout, to draw on or only to read."""
    layout = visible_layout_or_404(request.user, site, layout)
    scenarios = list(layout.site.scenarios.all())
    runs = latest_runs([layout.id]).get(layout.id, [])
    chosen = request.GET.get("scenario") or next(
        (s.slug for s in scenarios if runs and s.id == runs[0].scenario_id), scenarios[0].slug if scenarios else ""
    )
    context = {
        "field_units": for_scripts(DRAWN_NUMBERS),
        "layout": layout,
        "site": layout.site,
        "may_change": may_change_site(request.user, layout.site),
        "halls": layout.halls.order_by("name"),
        "roles": Rack.Role.choices,
        "types": FloorFeature.Type.choices,
        "orientations": ORIENTATIONS,
        "scenarios": scenarios,
        "chosen": chosen,
        "field_texts": plain_texts([Rack, Cdu, AirUnit, FloorFeature])
        | {f"rack_row.{n}": f"Usual: {HELP[f'rack_row.{n}'].typical}." for n in ("n_racks", "pitch_m")},
    }
    return render(request, "twin/draw.html", context)
