"""The scoreboard: why a planner should trust the answers."""

import json
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

#: Where `manage.py validate --json` output is kept for this page: the operator writes it there, see the page's text.
STORED = "validation.json"


@login_required
def scoreboard(request: HttpRequest) -> HttpResponse:
    """Show the stored output of `manage.py validate --json`, or say how to make it."""
    path = Path(settings.TWIN_HOME) / STORED
    checks, made_at = stored_checks(path)
    groups: dict[str, list[dict]] = {}
    for check in checks:
        groups.setdefault(check["group"], []).append(check | {"bound": bound_text(check["reach"])})
    counts = {status: sum(check["status"] == status for check in checks) for status in ("pass", "miss", "skipped")}
    return render(request, "twin/validation.html", {"groups": groups, "counts": counts, "made_at": made_at,
                                                    "file": f"$TWIN_HOME/{STORED}"})  # fmt: skip


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
    return " to ".join(f"{end:g}" for end in reach) if isinstance(reach, list) else f"{reach:g}"
