"""The drawing as data, and the batches of edits that the drawing board sends."""

from dataclasses import asdict

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_http_methods

from facility.editing.drawing import drawing
from facility.editing.edits import EditConflict, EditRefused, edits_apply
from facility.interchange.documents import read_json
from facility.models import Layout
from facility.permissions import check_change_site
from facility.views.lookup import visible_layout_or_404


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
        batch = read_json(body)
    except ValueError as error:
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
