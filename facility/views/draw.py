"""The drawing board: its page, the drawing as data, and the batches of edits that it sends."""

import json
from dataclasses import asdict

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from facility.drawing import drawing
from facility.edits import EditConflict, EditRefused, edits_apply
from facility.models import FloorFeature, Layout, Rack
from facility.permissions import check_change_site, may_change_site
from facility.views.lookup import visible_layout_or_404


@login_required
@require_safe
def layout_draw(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Show the drawing board; what stands on it comes as data from `layout_edits`."""
    layout = visible_layout_or_404(request.user, site, layout)
    context = {
        "layout": layout, "site": layout.site, "may_change": may_change_site(request.user, layout.site),
        "halls": layout.halls.order_by("name"), "roles": Rack.Role.choices, "types": FloorFeature.Type.choices,
        "scenarios": layout.site.scenarios.order_by("name"),
    }  # fmt: skip
    return render(request, "facility/draw.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def layout_edits(request: HttpRequest, site: str, layout: str) -> JsonResponse:
    """Return the drawing, or apply a batch of edits to it."""
    layout = visible_layout_or_404(request.user, site, layout)
    if request.method != "POST":
        return JsonResponse(drawing(layout))
    try:
        check_change_site(request.user, layout.site)
    except PermissionDenied as denied:
        return JsonResponse({"message": str(denied)}, status=403)
    try:
        version, operations = _batch(request.body)
    except ValueError as error:
        return _refusal(str(error), [])
    return _apply(layout, operations, version, request.user)


def _batch(body: bytes) -> tuple[int, list]:
    """Return the version and the operations of a request.

    Raises
    ------
    ValueError
        If the body is no JSON object with both; says what is wrong.
    """
    try:
        batch = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The body is no JSON: {error}.") from error
    if not isinstance(batch, dict):
        raise ValueError(f"The body is a {type(batch).__name__}; must be an object with version and operations.")
    version, operations = batch.get("version"), batch.get("operations")
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 2**31:
        raise ValueError(f"version is {version!r}; must be the version of the layout that you edited.")
    if not isinstance(operations, list):
        raise ValueError(f"operations is {operations!r:.60}; must be a list.")
    return version, operations


def _apply(layout: Layout, operations: list, version: int, user) -> JsonResponse:
    try:
        applied = edits_apply(layout=layout, operations=operations, version=version, user=user)
    except EditConflict as conflict:
        both = {"yours": conflict.yours, "theirs": conflict.theirs, "version": conflict.version}
        return JsonResponse({"message": str(conflict)} | both, status=409)
    except EditRefused as refused:
        return _refusal(str(refused), [asdict(problem) for problem in refused.problems])
    return JsonResponse(asdict(applied))


def _refusal(message: str, errors: list[dict]) -> JsonResponse:
    return JsonResponse({"message": message, "errors": errors}, status=422)
