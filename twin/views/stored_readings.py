"""What a site keeps of its readings: a day of the whole fleet, and for how long they are kept."""

import datetime as dt
from typing import Any

import numpy as np
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from facility.permissions import Right, check_change_site, may_change_site
from facility.views.lookup import visible_site_or_404
from twin.core.charts.day_map import day_map_chart
from twin.core.telemetry.quantities import shown_unit
from twin.models import TelemetryRetention
from twin.telemetry import store
from twin.telemetry.retention import stored_facts

MOST_POINTS = 2_000  # of a heat map
MOST_ROWS = 200  # of the table below it


class DayForm(forms.Form):
    """A quantity and a day."""

    quantity = forms.ChoiceField()
    day = forms.DateField(label="Day (UTC)", widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))

    def __init__(self, data: dict[str, str], quantities: list[str]) -> None:
        super().__init__(data)
        self.fields["quantity"].choices = [(name, name) for name in quantities]


@login_required
def readings_day(request: HttpRequest, site: str) -> HttpResponse:
    """Show a day of every point of a quantity, side by side; without a question, the newest day of watts."""
    site = visible_site_or_404(request.user, site)
    quantities = sorted(set(site.telemetry_points.values_list("quantity", flat=True)))
    span = store.span(site)
    context: dict[str, Any] = {"site": site, "chart": None}
    if not quantities or span is None:
        return render(request, "twin/telemetry/day.html", context)
    asked = {
        "quantity": "power_w" if "power_w" in quantities else quantities[0],
        "day": f"{store.utc(span[1] - 1):%Y-%m-%d}",
    } | {name: request.GET[name] for name in ("quantity", "day") if name in request.GET}
    context["form"] = form = DayForm(asked, quantities)
    if not form.is_valid():
        return render(request, "twin/telemetry/day.html", context, status=400)
    quantity, day = form.cleaned_data["quantity"], form.cleaned_data["day"]
    found = store.day_map(site, quantity, day, MOST_POINTS)
    unit = shown_unit(quantity)
    there = np.isfinite(found.means)
    context |= {
        "chart": day_map_chart(found.objects, found.means, quantity, unit) if there.any() else None,
        "day": day,
        "before": day - dt.timedelta(days=1),
        "after": day + dt.timedelta(days=1),
        "quantity": quantity,
        "unit": unit,
        "n_points": len(found.objects),
        "n_all": found.n_points,
        "rows": _rows(found, there),
    }
    return render(request, "twin/telemetry/day.html", context)


def _rows(found: store.DayMap, there: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "object": name,
            "id": pk,
            "least": float(np.nanmin(row)) if known.any() else None,
            "mean": float(np.nanmean(row)) if known.any() else None,
            "most": float(np.nanmax(row)) if known.any() else None,
            "empty_frac": float(np.mean(~known)),
        }
        for name, pk, row, known in zip(found.objects[:MOST_ROWS], found.ids, found.means, there, strict=False)
    ]


class RetentionForm(forms.ModelForm):
    """How long readings are kept, and their quarters of an hour."""

    class Meta:
        model = TelemetryRetention
        fields = ["readings_days", "rollups_days"]


@login_required
def readings_kept(request: HttpRequest, site: str) -> HttpResponse:
    """Show what is stored of a site's readings and its rule on how long; change the rule."""
    site = visible_site_or_404(request.user, site)
    rule = TelemetryRetention.objects.filter(site=site).first() or TelemetryRetention(site=site)
    may_change = may_change_site(request.user, site, Right.OPERATE)
    form = RetentionForm(request.POST or None, instance=rule)
    if request.method == "POST":
        check_change_site(request.user, site, Right.OPERATE)
        if form.is_valid():
            form.save()
            messages.success(request, "The rule is stored; it is held at the next compaction.")
            return redirect("readings-kept", site.slug)
    context = {"site": site, "form": form, "facts": stored_facts(site), "may_change": may_change}
    return render(request, "twin/telemetry/kept.html", context, status=400 if form.errors else 200)
