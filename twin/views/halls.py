"""A layout's halls in three dimensions."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.vary import vary_on_headers

from facility.views.lookup import visible_layout_or_404
from twin.floor import hall_3d
from twin.views.layouts import coloured_floor

VIEWS = (("corner", "From the corner"), ("top", "From above"), ("aisle", "In an aisle"))


@login_required
@vary_on_headers("HX-Request")
def layout_3d(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Show the halls as boxes, coloured as the plan, with the plan itself where WebGL or JavaScript is missing."""
    layout = visible_layout_or_404(request.user, site, layout)
    context = coloured_floor(request, layout) | {"here": request.path}
    figure = hall_3d.figure(context["floor"], context["plan"])
    cameras = figure["layout"]["scene"]["meta"]["cameras"]
    context |= {
        "figure": figure,
        "views": [view for view in VIEWS if view[0] in cameras],
        "assumed": hall_3d.assumed_text(context["floor"]),
    }
    return render(request, "twin/_hall_3d.html" if request.htmx else "twin/hall_3d.html", context)
