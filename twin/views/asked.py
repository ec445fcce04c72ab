"""What an address asks of a layout: under which scenario, at which hours, with what out of service.

Pages and API read their questions here, so that both take and refuse the same.
"""

from collections.abc import Mapping
from typing import Any

from facility.models import Layout
from twin.core.failures.kinds import BY_ADDRESS
from twin.core.results.object_quantities import MAX_HOURS, QUANTITIES
from twin.core.solve.simulate import described
from twin.core.solve.steady import DESIGN, outages
from twin.models import Run, Scenario
from twin.runs import snapshot


class BadQuestion(Exception):
    """A parameter that cannot be answered: which one, what was given and what is allowed."""

    def __init__(self, message: str, field: str, allowed: Any = None) -> None:
        super().__init__(message)
        self.field, self.allowed = field, allowed


def described_year(layout: Layout, scenario: Scenario):
    """Return the description as the solvers read it.

    Raises
    ------
    CannotSimulate, ValueError
        If it cannot be solved; says what is missing.
    """
    return described(snapshot.inputs_now(layout, scenario))


def asked_scenario(query: Mapping[str, str], layout: Layout) -> Scenario:
    """Return the scenario that is asked for, else that of the layout's last finished run, else the site's default."""
    scenarios = list(layout.site.scenarios.select_related("weather"))
    slug = query.get("scenario", "") or last_scenario(layout)
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


def asked_hours(query: Mapping[str, str], year) -> list[int]:
    """Return the hours that are asked for; the design hour where none is."""
    text, last = query.get("hours") or "design", year.weather.n_elements - 1
    allowed = f"design or 0 to {last}, at most {MAX_HOURS}, separated by commas"
    parts = [part.strip() for part in text.split(",")]
    hours = [_hour(part, last) for part in parts]
    if None in hours:
        wrong = parts[hours.index(None)] or "an empty entry"
        raise BadQuestion(f"hours has {wrong}; must be {allowed}", "hours", allowed)
    if len(hours) > MAX_HOURS:
        raise BadQuestion(f"hours has {len(hours)} entries; at most {MAX_HOURS} are answered at once", "hours", allowed)
    return hours


def asked_hour(query: Mapping[str, str], year) -> int:
    """Return the one hour that is asked for; the design hour where none is."""
    text, last = (query.get("hour") or "design").strip(), year.weather.n_elements - 1
    hour = _hour(text, last)
    if hour is None:
        raise BadQuestion(f"hour is {text}; must be design or 0 to {last}", "hour", f"design or 0 to {last}")
    return hour


def _hour(text: str, last: int) -> int | None:
    """Return an hour as the solvers count it, None where there is no such hour."""
    if text == "design":
        return DESIGN
    is_hour = text.isdecimal() and len(text) <= 6 and int(text) <= last  # longer ones are no hour of any year
    return int(text) if is_hour else None


def asked_outages(query: Mapping[str, str], year) -> tuple:
    """Return what is asked to be out of service."""
    try:
        return outages(year, query.get("out", ""))
    except ValueError as refusal:
        raise BadQuestion(str(refusal), "out", list(BY_ADDRESS)) from refusal


def asked_quantities(query: Mapping[str, str]) -> set[str] | None:
    """Return the names of the quantities that are asked for; None for all."""
    asked = {name for name in query.get("quantities", "").split(",") if name}
    known = {quantity.name for of_kind in QUANTITIES.values() for quantity in of_kind}
    if unknown := sorted(asked - known):
        raise BadQuestion(
            f"quantities has {', '.join(unknown)}; there are {', '.join(sorted(known))}", "quantities", sorted(known)
        )
    return asked or None
