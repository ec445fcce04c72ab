"""Arguments that several commands share: the layout and scenario they name, and times."""

import datetime as dt

from django.core.management.base import CommandError

from facility.models import Layout
from twin.models import Scenario


def named_layout(path: str) -> Layout:
    """Return the layout that SITE/LAYOUT names, or end the command with a reason."""
    site, _, slug = path.partition("/")
    try:
        return Layout.objects.select_related("site__region", "site__weather").get(site__slug=site, slug=slug)
    except Layout.DoesNotExist as error:
        raise CommandError(f"there is no layout {path}; `manage.py simulate --list` prints those there are") from error


def named_scenario(layout: Layout, slug: str | None) -> Scenario:
    """Return a scenario of the layout's site, its default where none is named."""
    scenarios = layout.site.scenarios.all()
    found = scenarios.filter(slug=slug).first() if slug else scenarios.first()
    if found is None:
        there = ", ".join(scenarios.values_list("slug", flat=True)) or "none"
        raise CommandError(f"site {layout.site.slug} has no scenario {slug or 'yet'}; there are: {there}")
    return found


def zoned_time(option: str, text: str) -> tuple[float, float]:
    """Return an ISO 8601 time with zone as seconds since 1970, and its zone's distance from UTC [s]."""
    try:
        when = dt.datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{option} is {text!r}; write 2026-07-01T00:00:00-05:00") from error
    if (offset := when.utcoffset()) is None:
        raise ValueError(f"{option} {text} has no zone; write {text}Z or {text}-05:00")
    return when.timestamp(), offset.total_seconds()
