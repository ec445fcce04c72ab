"""The page of who changed what."""

from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from facility.models import AuditEvent
from twin.operations import audit

PER_PAGE = 50


class SearchForm(forms.Form):
    """What is looked for."""

    site = forms.CharField(required=False, max_length=80, help_text="Its name in addresses.")
    username = forms.CharField(required=False, max_length=150, label="User")
    kind = forms.CharField(required=False, max_length=60, help_text="rack, layout, membership …")
    action = forms.ChoiceField(choices=[("", "any"), *AuditEvent.Action.choices], required=False)
    since = forms.DateField(required=False, help_text="2026-11-30")
    until = forms.DateField(required=False, help_text="Up to this day.")


@login_required
@require_safe
def audit_page(request: HttpRequest) -> HttpResponse:
    """Show administrators all changes, and owners those of what they own."""
    events = audit.readable_events(request.user)
    form = SearchForm(request.GET or None)
    asked = {}
    if form.is_bound and form.is_valid():
        asked = {name: value for name, value in form.cleaned_data.items() if value}
    times = {name: datetime.combine(asked[name], time(), UTC) for name in ("since", "until") if name in asked}
    if "until" in times:
        times["until"] += timedelta(days=1)  # all of that day
    page = Paginator(audit.searched(events, **asked | times), PER_PAGE).get_page(request.GET.get("page"))
    rows = [
        row | {"changes": [(name, row["before"].get(name), row["after"].get(name)) for name in _names(row)]}
        for row in audit.as_rows(list(page))
    ]
    context = {
        "form": form,
        "rows": rows,
        "page": page,
        "words": urlencode(asked),
        "words_of_file": urlencode(asked | {name: value.isoformat() for name, value in times.items()}),
    }
    return render(request, "twin/audit.html", context)


def _names(row: dict) -> list[str]:
    return list(dict.fromkeys([*row["before"], *row["after"]]))
