"""The page of one measured point: its readings by interval, beside what a comparison predicted."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from facility.views.lookup import visible_site_or_404
from twin.core.charts.point import point_chart
from twin.core.telemetry.quantities import shown_unit
from twin.core.telemetry.readings import FIRST_MS, LAST_MS
from twin.models import Study, TelemetryPoint
from twin.telemetry.point_series import STEPS_S, PointSeries, fitting_step_s, point_series
from twin.telemetry.points import span_of_point, usual_step_s
from twin.views.studies import newest_comparisons

MONTH = dt.timedelta(days=31)
SPANS = {"Day": dt.timedelta(days=1), "Week": dt.timedelta(days=7), "Month": MONTH, "Year": dt.timedelta(days=366)}
MOST_ROWS = 62  # of the table below the chart
TIME = "%Y-%m-%dT%H:%M"


class SpanForm(forms.Form):
    """A span of time in UTC, the length of its intervals, and the comparison to lay beside."""

    start = forms.DateTimeField(label="From (UTC)", widget=forms.DateTimeInput({"type": "datetime-local"}, TIME))
    end = forms.DateTimeField(label="Up to (UTC)", widget=forms.DateTimeInput({"type": "datetime-local"}, TIME))
    step = forms.ChoiceField(required=False, label="Interval")
    study = forms.ChoiceField(required=False, label="Beside")

    def __init__(self, data: Mapping[str, Any], comparisons: list[Study]) -> None:
        super().__init__(data)
        self.fields["step"].choices = [("", "as fits"), *((str(s), name) for name, s in STEPS_S.items())]
        self.fields["study"].choices = [("", "no prediction")] + [
            (str(study.id), f"{study.layout.name}, {study.start_at:%Y-%m-%d} to {study.end_at:%Y-%m-%d}")
            for study in comparisons
        ]

    def clean(self) -> dict[str, Any]:
        """Refuse a span that is none."""
        cleaned = super().clean()
        for name in ("start", "end"):
            if when := cleaned.get(name):
                cleaned[name] = when.replace(tzinfo=dt.UTC)
                if not FIRST_MS <= cleaned[name].timestamp() * 1e3 <= LAST_MS:
                    self.add_error(name, "It must lie from 1990 to 2100.")
        if "start" in cleaned and "end" in cleaned and cleaned["start"] >= cleaned["end"]:
            self.add_error("end", "It must come after the start.")
        return cleaned


@login_required
def measured_point(request: HttpRequest, site: str, point: int) -> HttpResponse:
    """Show a point's readings of a span; without one, the newest month, or the span of a comparison that is named."""
    site = visible_site_or_404(request.user, site)
    point = get_object_or_404(TelemetryPoint, pk=point, site=site)
    comparisons = newest_comparisons(site)
    asked = _asked(request, point, comparisons)
    form = SpanForm(asked, comparisons)
    context = {
        "site": site,
        "point": point,
        "form": form,
        "unit": shown_unit(point.quantity),
        "residual_unit": shown_unit(point.quantity, difference=True),
    }
    status = 200
    if form.is_valid():
        try:
            context |= _shown(point, form.cleaned_data, comparisons)
        except ValueError as refusal:
            form.add_error(None, f"{str(refusal)[:1].upper()}{str(refusal)[1:]}.")
            status = 400
    else:
        status = 400
    return render(request, "twin/telemetry/point.html", context, status=status)


def _asked(request: HttpRequest, point: TelemetryPoint, comparisons: list[Study]) -> dict[str, str]:
    """Return what the address says, and the rest as it fits."""
    span_fields = {name: request.GET[name] for name in ("start", "end", "step", "study") if name in request.GET}
    study = next((study for study in comparisons if str(study.id) == span_fields.get("study")), None)
    first, last = span_of_point(point)
    span = (study.start_at, study.end_at) if study else (max(first, last - MONTH), last)
    if "study" not in span_fields:
        over = [study for study in comparisons if study.start_at < span[1] and study.end_at > span[0]]
        span_fields["study"] = str(over[0].id) if over else ""
    return {"start": span[0].strftime(TIME), "end": span[1].strftime(TIME)} | span_fields


def _shown(point: TelemetryPoint, asked: Mapping[str, Any], comparisons: list[Study]) -> dict[str, Any]:
    start_ms, end_ms = (round(asked[name].timestamp() * 1e3) for name in ("start", "end"))
    step_s = int(asked["step"] or 0) or fitting_step_s(
        start_ms, end_ms, usual_step_s(point, asked["start"], asked["end"])
    )
    study = next((study for study in comparisons if str(study.id) == asked["study"]), None)
    series = point_series(point, study, start_ms, end_ms, step_s)
    table = series
    if series.begins_ms.size > MOST_ROWS:
        coarse_s = next((s for s in STEPS_S.values() if end_ms - start_ms <= MOST_ROWS * s * 1000), None)
        # beyond two months of days, as many equal parts of whole days
        coarse_s = coarse_s or -(-(end_ms - start_ms) // (MOST_ROWS * 86_400_000)) * 86_400
        table = point_series(point, study, start_ms, end_ms, coarse_s)
    measured = series.measured
    has_readings = bool(measured.count.any() or measured.not_good.any())
    chart = point_chart(
        series.begins_ms,
        measured.low,
        measured.mean,
        measured.high,
        series.predicted,
        series.half_width,
        label=point.quantity,
        unit=shown_unit(point.quantity),
        residual_unit=shown_unit(point.quantity, difference=True),
    )
    return {
        "chart": chart if has_readings or np.isfinite(series.predicted).any() else None,
        "compared": bool(np.isfinite(series.predicted).any()),
        "study": study,
        "score": _score(study, point) if study else None,
        "rows": _rows(table),
        "step": _step_text(series.step_s),
        "table_step": _step_text(table.step_s),
        "facts": _facts(series),
        "spans": _spans(asked),
        "missing": study is not None and not np.isfinite(series.predicted).any(),
    }


def _rows(series: PointSeries) -> list[dict[str, Any]]:
    measured, residual = series.measured, series.residual
    return [
        {
            "time": dt.datetime.fromtimestamp(float(series.begins_ms[i]) / 1e3, dt.UTC),
            "low": _number(measured.low[i]),
            "mean": _number(measured.mean[i]),
            "high": _number(measured.high[i]),
            "count": int(measured.count[i]),
            "not_good": int(measured.not_good[i]),
            "predicted": _number(series.predicted[i]),
            "residual": _number(residual[i]),
        }
        for i in range(series.begins_ms.size)
    ]


def _facts(series: PointSeries) -> dict[str, Any]:
    """Return what the span says as a whole: readings, gaps, and how much of it lies inside the band."""
    measured, residual = series.measured, series.residual
    both = np.isfinite(residual)
    total = int(measured.count.sum())
    return {
        "count": total,
        "not_good": int(measured.not_good.sum()),
        "empty_frac": float(np.mean(measured.count == 0)),
        "mean": float(np.nansum(measured.mean * measured.count) / total) if total else None,
        "residual": float(np.mean(residual[both])) if both.any() else None,
        "inside_frac": float(np.mean(np.abs(residual[both]) <= series.half_width[both])) if both.any() else None,
    }


def _score(study: Study, point: TelemetryPoint) -> dict[str, Any] | None:
    rows = (study.result or {}).get("points", [])
    return next((row for row in rows if (row["object"], row["quantity"]) == (point.object, point.quantity)), None)


def _spans(asked: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return addresses of the spans beside this one, and of the usual lengths that end where it ends."""
    start, end, step = asked["start"], asked["end"], asked["step"]
    length = end - start
    found = [("Earlier", start - length, start, step), ("Later", end, end + length, step)]
    found += [(name, end - width, end, "") for name, width in SPANS.items()]
    return [
        (
            name,
            "?" + urlencode({"start": a.strftime(TIME), "end": b.strftime(TIME), "step": s, "study": asked["study"]}),
        )
        for name, a, b, s in found
    ]


def _step_text(step_s: int) -> str:
    named = {seconds: name for name, seconds in STEPS_S.items()}
    return named.get(step_s, f"{step_s // 86_400} days" if step_s % 86_400 == 0 else f"{step_s} s")


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
