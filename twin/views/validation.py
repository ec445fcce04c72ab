"""The scoreboard: why a planner should trust the answers."""

import json
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from twin.celery import app
from twin.core.text.numbers import MISSING, is_number, significant

#: Where `manage.py validate` keeps its checks for this page.
STORED = "validation.json"
MAKE = "twin.tasks.scoreboard_make"  # by name: the module of tasks loads the solvers
SMALLEST = 1e-4  # below it a number is read by its power of ten
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@login_required
@require_http_methods(["GET", "POST"])
def scoreboard(request: HttpRequest) -> HttpResponse:
    """Show what `manage.py validate` stored; let administrators have a worker make it anew."""
    has_data = Path(settings.TWIN_DATA_DIR).is_dir()
    if request.method == "POST":
        if not request.user.is_staff:
            raise PermissionDenied("Only administrators may have the models measured: it keeps a worker busy.")
        if has_data:
            app.send_task(MAKE)
            messages.success(request, "A worker measures every model now; reload this page in two minutes.")
        return redirect("validation")
    path = Path(settings.TWIN_HOME) / STORED
    checks, made_at = stored_checks(path)
    groups: dict[str, list[dict]] = {}
    for check in checks:
        texts = {"found": score_text(check["value"]), "bound": bound_text(check["reach"])}
        groups.setdefault(check["group"], []).append(check | texts)
    misses = [check for rows in groups.values() for check in rows if check["status"] == "miss"]
    counts = {status: sum(check["status"] == status for check in checks) for status in ("pass", "miss", "skipped")}
    return render(
        request,
        "twin/validation.html",
        {
            "groups": groups,
            "counts": counts,
            "misses": misses,
            "made_at": made_at,
            "has_data": has_data,
            "data": settings.TWIN_DATA_DIR,
        },
    )


def stored_checks(path: Path) -> tuple[list[dict], datetime | None]:
    """Return the stored checks and when they were made; none where the file is absent or broken."""
    try:
        checks = json.loads(path.read_text(encoding="utf-8"))
        made_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError):
        return [], None
    return (checks, made_at) if isinstance(checks, list) else ([], None)


def bound_text(reach: float | list[float] | None) -> str:
    """Return what a check is held to: one bound or a range."""
    if reach is None:
        return "—"
    ends = reach if isinstance(reach, list) else [reach]
    return " to ".join(score_text(end) if abs(end) < SMALLEST else f"{end:g}" for end in ends)


def score_text(value: float | None) -> str:
    """Return a score with three digits; what only a computer's rounding leaves, as a power of ten."""
    if not is_number(value):
        return MISSING
    if value and abs(value) < SMALLEST:
        digits, _, power = f"{value:.0e}".partition("e")
        times = "" if digits == "1" else f"{digits} × "
        return f"{times}10{str(int(power)).translate(SUPERSCRIPTS)}"
    return significant(value) if abs(value) < 1000 else f"{value:,.0f}"
