"""What readings say of a layout and what set points it could have: asked for, watched, read, and accepted."""

import datetime as dt
from collections import Counter
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST
from django.views.decorators.vary import vary_on_headers

from facility.models import Site
from facility.permissions import Right, check_change_site, rights_on, visible_sites
from facility.views.lookup import visible_site_or_404
from twin.core.figures_of_merit import BY_NAME
from twin.core.inputs.parameters import APPLIED
from twin.core.telemetry.advised import GAINS, RAISED
from twin.core.telemetry.fitted import DEFAULT
from twin.core.telemetry.readings import zone_named
from twin.core.text.numbers import quantity_text
from twin.exceptions import CannotSimulate, InvalidTransition
from twin.models import Study
from twin.runs import jobs
from twin.telemetry import studies
from twin.telemetry.residual_map import point_addresses
from twin.telemetry.set_point_files import requests_file, set_points_file
from twin.telemetry.taken import taken_of
from twin.views.jobs import job_act, job_progress
from twin.views.take_form import TakeForm

MOST_SHOWN = 20  # studies on a site's page
FIGURE_UNITS = {"output_tokens_per_s": "tok/s", "tokens_per_joule": "tok/J", "meter_power_w": "W"}
SET_POINT_UNITS = {"degC": "°C", "1": "", "units": ""}  # as pages show them
STATE_WORDS = {"open": "not closing", "cannot": "not to be judged", "closes": "closing"}
STATES = (*STATE_WORDS, "")  # what needs a look first; blank: asked before balances were judged
MOST_BALANCES = 60
MOST_POINTS = 300  # of a comparison on its page; the API has all


class StudyForm(forms.Form):
    """A layout, a scenario, a span of time, and what is to be fitted."""

    layout = forms.ChoiceField()
    scenario = forms.ChoiceField(help_text="Says what is not measured.")
    start = forms.DateTimeField(label="From", widget=forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M"))
    end = forms.DateTimeField(
        label="Up to",
        widget=forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M"),
        help_text="Not included.",
    )
    time_zone = forms.CharField(
        max_length=60,
        label="Time zone",
        help_text="Of both times, such as America/Chicago; what is not measured follows the typical year on its clock.",
    )
    parameters = forms.MultipleChoiceField(
        required=False,
        choices=[(name, name) for name in APPLIED],
        initial=DEFAULT,
        widget=forms.CheckboxSelectMultiple,
        label="Calibrated",
    )

    def __init__(self, site: Site, *args: Any) -> None:
        super().__init__(*args)
        self.site = site
        self.fields["layout"].choices = list(site.layouts.order_by("name", "id").values_list("slug", "name"))
        self.fields["scenario"].choices = list(site.scenarios.values_list("slug", "name"))
        self.fields["time_zone"].initial = "UTC"
        if span := studies.span_of_readings(site):
            self.fields["start"].initial, self.fields["end"].initial = (when.replace(tzinfo=None) for when in span)

    def clean_time_zone(self) -> ZoneInfo:
        """Return the zone."""
        try:
            return zone_named(self.cleaned_data["time_zone"])
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error

    def asked(self) -> dict[str, Any]:
        """Return what `study_ask` takes."""
        cleaned = self.cleaned_data
        start, end = (cleaned[name].replace(tzinfo=cleaned["time_zone"]) for name in ("start", "end"))
        return {
            "layout": self.site.layouts.select_related("site").get(slug=cleaned["layout"]),
            "scenario": self.site.scenarios.get(slug=cleaned["scenario"]),
            "start_at": start,
            "end_at": end,
            "offset_s": (start.utcoffset() or dt.timedelta()).total_seconds(),
            "parameters": cleaned["parameters"],
        }


class AdviceForm(forms.Form):
    """A layout, a scenario, and what its set points are to raise."""

    layout = forms.ChoiceField()
    scenario = forms.ChoiceField(help_text="Says what is served, and when.")
    figure = forms.ChoiceField(
        choices=[(name, f"{BY_NAME[name].label}, {BY_NAME[name].unit}") for name in RAISED],
        label="Better",
        help_text="Solved at many set points inside the layout's limits; nothing is set.",
    )

    def __init__(self, site: Site, *args: Any) -> None:
        super().__init__(*args, auto_id="advice_%s")
        self.site = site
        self.fields["layout"].choices = list(site.layouts.order_by("name", "id").values_list("slug", "name"))
        self.fields["scenario"].choices = list(site.scenarios.values_list("slug", "name"))

    def asked(self) -> dict[str, Any]:
        """Return what `advice_ask` takes."""
        cleaned = self.cleaned_data
        return {
            "layout": self.site.layouts.select_related("site").get(slug=cleaned["layout"]),
            "scenario": self.site.scenarios.get(slug=cleaned["scenario"]),
            "figure": cleaned["figure"],
        }


def newest_studies(site: Site) -> list[Study]:
    """Return the newest studies of a site."""
    rows = Study.objects.filter(layout__site=site).select_related("layout", "scenario").defer(*Study.HEAVY)
    return list(rows[:MOST_SHOWN])


def newest_comparisons(site: Site) -> list[Study]:
    """Return the newest comparisons of a site that are done, for what is laid beside its readings."""
    done = Study.objects.filter(layout__site=site, kind=Study.Kind.COMPARISON, status=Study.Status.DONE)
    return list(done.select_related("layout").defer(*Study.HEAVY)[:MOST_SHOWN])


@login_required
@require_POST
def study_create(request: HttpRequest, site: str) -> HttpResponse:
    """Queue what was asked about a layout's readings, and show its progress."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site, Right.OPERATE)
    form = StudyForm(site, request.POST)
    kind = request.POST.get("kind", "")
    if kind not in Study.OF_READINGS:
        form.add_error(None, "Choose to compare, diagnose or calibrate.")
    if form.is_valid():
        try:
            study = studies.study_ask(kind=Study.Kind(kind), user=request.user, **form.asked())
            return redirect("study-detail", study.id)
        except CannotSimulate as refusal:
            form.add_error(None, str(refusal))
        except ValidationError as refusal:
            form.add_error(None, " ".join(refusal.messages))
    return render(request, "twin/telemetry/ask.html", {"site": site, "form": form})


@login_required
@require_POST
def advice_create(request: HttpRequest, site: str) -> HttpResponse:
    """Queue the question which set points are better, and show its progress."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site, Right.OPERATE)
    form = AdviceForm(site, request.POST)
    if form.is_valid():
        try:
            return redirect("study-detail", studies.advice_ask(user=request.user, **form.asked()).id)
        except CannotSimulate as refusal:
            form.add_error(None, str(refusal))
    return render(request, "twin/telemetry/ask.html", {"site": site, "advice_form": form})


@login_required
def advice_file(request: HttpRequest, study: UUID, form: str) -> HttpResponse:
    """Give an advice's set points as a file: CSV, or the requests of DSX Exchange BMS."""
    study = visible_study_or_404(request, study)
    if study.kind != Study.Kind.ADVICE or study.status != Study.Status.DONE:
        raise Http404("only an advice that is done has set points")
    return set_points_file(study) if form == "csv" else requests_file(study)


def visible_study_or_404(request: HttpRequest, study: UUID, *deferred: str) -> Study:
    """Return a study of a site that the user may see."""
    rows = Study.objects.select_related("layout__site", "scenario", "created_by", "accepted_as__site").defer(*deferred)
    return get_object_or_404(rows, pk=study, layout__site__in=visible_sites(request.user))


@login_required
@vary_on_headers("HX-Request")
def study_detail(request: HttpRequest, study: UUID) -> HttpResponse:
    """Show progress while a study is open, and what it found once it is done."""
    study = visible_study_or_404(request, study)
    rights = rights_on(request.user, study.layout.site)
    context: dict[str, Any] = {
        "study": study,
        "layout": study.layout,
        "site": study.layout.site,
        "may_change": Right.RUN in rights,
        "may_accept": Right.APPROVE in rights,
        "may_operate": Right.OPERATE in rights,
    }
    if answer := job_progress(request, study, context, "twin/telemetry/_progress.html"):
        return answer
    if study.status == Study.Status.DONE:
        context |= shown(study)
        if study.kind == Study.Kind.ADVICE:
            context |= {"marks": taken_of(study), "take_form": TakeForm(study)}
    return render(request, "twin/telemetry/study.html", context)


def shown(study: Study) -> dict[str, Any]:
    """Return what a page shows of a study that is done."""
    result = study.result or {}
    if study.kind == Study.Kind.COMPARISON:
        points = sorted(result["points"], key=_error_first)
        addresses = point_addresses(study.layout.site, study)
        balances = sorted(result["coverage"], key=lambda row: STATES.index(row.get("state", "")))
        counted = Counter(row.get("state", "") for row in balances)
        return {
            "result": result,
            "points": [row | {"href": addresses.get(_key(row))} for row in points[:MOST_POINTS]],
            "n_points": len(points),
            "balances": balances[:MOST_BALANCES],
            "n_balances": len(balances),
            "balance_counts": ", ".join(
                f"{counted[name]} {STATE_WORDS[name]}" for name in STATE_WORDS if counted[name]
            ),
            "figure_units": [(name, FIGURE_UNITS.get(name, "")) for name in result["figures"]],
        }
    if study.kind == Study.Kind.GAIN:
        figures = [(BY_NAME[name], row) for name, row in result["figures"].items()]
        return {"result": result, "figures": figures}
    if study.kind == Study.Kind.ADVICE:
        changes = [(BY_NAME[name], result["before"][name], result["after"][name]) for name in GAINS]
        return {
            "result": result,
            "figure": BY_NAME[study.figure],
            "changes": changes,
            "advised": [
                _as_shown(row) | {"gain_frac": row["gain"][study.figure]["value"] / result["before"][study.figure]}
                for row in result["advice"]
            ],
            "not_advised": [_as_shown(row) for row in result["refused"]],
        }
    if study.kind == Study.Kind.CALIBRATION:
        identified = [row for row in result["parameters"] if row["identifiable"]]
        scores = result["scores"]
        return {
            "result": result,
            "identified": identified,
            "not_identified": [row for row in result["parameters"] if not row["identifiable"]],
            "scores": [
                (quantity, *(_score(table[quantity]) for table in _tables(scores))) for quantity in scores["before"]
            ],
            "name": f"{study.layout.name} as operated",
        }
    return {"result": result}


def _as_shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of an advice with its values in words."""
    unit = SET_POINT_UNITS.get(row["unit"], row["unit"])
    switched = row["parameter"] == "eco_mode"
    ends = {end: ("on" if row[end] else "off") if switched else quantity_text(row[end], unit) for end in ("from", "to")}
    return row | {"shown_from": ends["from"], "shown_to": ends["to"]}


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["object"], row["quantity"]


def _tables(scores: dict[str, Any]) -> list[dict[str, Any]]:
    return [scores["before"], scores["after"], scores["held_out"]["before"], scores["held_out"]["after"]]


def _score(row: dict[str, float | None]) -> tuple[float | None, str]:
    return (row["rmse_k"], "K") if "rmse_k" in row else (row.get("cv_rmse_frac"), "%")


def _error_first(row: dict[str, Any]) -> tuple[bool, float]:
    covered = row["covered_frac"]
    return row["input"], 2.0 if covered is None else covered


@login_required
@require_POST
def study_cancel(request: HttpRequest, study: UUID) -> HttpResponse:
    """Ask a study to stop."""
    return job_act(request, visible_study_or_404(request, study, *Study.HEAVY), jobs.cancel)


@login_required
@require_POST
def study_retry(request: HttpRequest, study: UUID) -> HttpResponse:
    """Queue a failed or cancelled study again."""
    return job_act(request, visible_study_or_404(request, study, *Study.HEAVY), studies.study_retry)


@login_required
@require_POST
def study_accept(request: HttpRequest, study: UUID) -> HttpResponse:
    """Copy the layout with what a calibration found, and show the copy."""
    study = visible_study_or_404(request, study, *Study.HEAVY)
    check_change_site(request.user, study.layout.site, Right.APPROVE)
    try:
        made = studies.study_accept(study, name=request.POST.get("name", "").strip()[:120], user=request.user)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    except (InvalidTransition, ValueError) as refusal:
        messages.error(request, f"{refusal}")
    else:
        messages.success(
            request, f"{made.name} holds the calibrated parameters; runs, drills and comparisons can use it."
        )
        return redirect("layout-detail", made.site.slug, made.slug)
    return redirect("study-detail", study.id)
