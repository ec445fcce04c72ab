"""The page of a layout's counts: as they stand, as they should be, and why; taken by one button."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from facility.permissions import check_change_site, may_change_site
from facility.services import StaleLayout
from facility.views.lookup import visible_layout_or_404
from facility.views.parts import version_of
from twin.core.sizing.counts import CDU, FEED, HALL
from twin.onboarding.sizing import layout_sizing, sizing_take
from twin.runs.found import with_address

FIELD_LABELS = {
    "n_cdus": "CDUs",
    "n_air_units": "air units",
    "n_heat_rejection": "coolers or towers",
    "n_chillers": "chillers",
    "n_pumps": "pumps",
    "n_units": "units",
}
PART_LISTS = {CDU: "cdus", HALL: "halls", FEED: "power-feeds"}


@login_required
def sizing_page(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Show the smallest counts that carry the design hour, or take them."""
    layout = visible_layout_or_404(request.user, site, layout)
    if request.method == "POST":
        check_change_site(request.user, layout.site)
        try:
            changed = sizing_take(layout=layout, version=version_of(request), user=request.user)
        except (StaleLayout, ValidationError) as refusal:
            words = refusal.messages if isinstance(refusal, ValidationError) else [str(refusal)]
            messages.error(request, " ".join(words))
        else:
            messages.success(request, f"{len(changed)} counts were changed.")
        return redirect("layout-sizing", site, layout.slug)
    sizing = layout_sizing(layout)
    context = {
        "layout": layout,
        "site": layout.site,
        "counts": [
            {"count": count, "label": FIELD_LABELS[count.counted.field], "changes": count.before != count.after}
            for count in sizing.counts
        ],
        "n_changes": len(sizing.changes),
        "left": [with_address(layout, finding) for finding in sizing.left],
        "may_change": may_change_site(request.user, layout.site) and not layout.is_frozen,
    }
    return render(request, "twin/layout_sizing.html", context)
