"""Sweeps on pages: asked for, watched as a whole, stopped, and read as a ranking."""

import operator
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from facility.entry.number_entry import limit_text, limits_of, number_read, spelled
from facility.entry.units import measure_of, step_of
from facility.models import Layout
from facility.permissions import Right, check_change_site, may_change_site, visible_sites
from facility.views.lookup import visible_layout_or_404
from twin.core.figures_of_merit import BY_NAME, RANKED_BY
from twin.core.text.field_names import field_words, suffix_of
from twin.exceptions import CannotSimulate, InvalidTransition
from twin.models import Scenario, Sweep, SweepPoint
from twin.runs import ring, snapshot
from twin.sweeps import asked
from twin.sweeps.axes import MOST_POINTS, choices, swept_fields

N_AXES = 3  # on the form; programs may ask for more
MOST_SHOWN = 20  # earlier sweeps of a layout
TIGHT_COMMA = re.compile(r"\d,\d")  # 1,5 is one number or two
TIGHT_GROUP = re.compile(r"\d,\d{3}(?!\d)")  # 1,500 likewise, where only whole numbers are meant
RANGE = re.compile(r"\s*(?P<start>\S.*?)\s+to\s+(?P<stop>\S.*?)\s+by\s+(?P<step>\S.*?)\s*", re.IGNORECASE)
HOW = (
    "28, 30, 32 or 28 to 36 by 2, with a unit or in the one printed; with decimal commas 1,5; 2,5. "
    "Products by their short catalogue names."
)
SHOWN_FIGURES = (
    "good_tokens_per_s",
    "good_tokens_per_joule",
    "cost_per_million_good_tokens_usd",
    "pue",
    "peak_power_w",
)


class SweepForm(forms.Form):
    """What is changed over which values, and what the points are ranked by."""

    figure = forms.ChoiceField(
        label="Rank by", choices=[(name, BY_NAME[name].label) for name in asked.RANKING_FIGURES], initial=RANKED_BY
    )

    def __init__(self, layout: Layout, scenario: Scenario, *args: Any) -> None:
        super().__init__(*args)
        there = choices(snapshot.snapshot(layout, scenario))
        groups = [
            (named, [(f"{named}|{field}", f"{named} · {_words(field)}") for field in fields]) for named, fields in there
        ]
        for place in range(N_AXES):
            what = forms.ChoiceField(label="Change", required=not place, choices=[("", "—"), *groups])
            values = forms.CharField(
                label="over",
                required=not place,
                max_length=2000,
                help_text=HOW if not place else "",
            )
            self.fields |= {f"what_{place}": what, f"values_{place}": values}
        self.order_fields([*(f"{name}_{place}" for place in range(N_AXES) for name in ("what", "values")), "figure"])

    def axes(self) -> list[dict[str, Any]]:
        """Return the axes as a request has them.

        Raises
        ------
        ValidationError
            If a value of a number cannot be read, by the field of its row.
        """
        found = []
        for place in self.places():
            named, field = self._changed(place)
            try:
                values = _values(self.cleaned_data[f"values_{place}"], swept_fields(named.partition("/")[0])[field])
            except ValidationError as error:
                raise ValidationError({f"values_{place}": error.messages}) from error
            found.append({"object": named, "field": field} | values)
        return found

    def places(self) -> list[int]:
        """Return the rows that change something: the axes in their order."""
        return [place for place in range(N_AXES) if self.cleaned_data.get(f"what_{place}")]

    def refuse(self, refusal: ValidationError) -> None:
        """Put what is wrong with axes beside their rows, fields by the words that their row names them by."""
        for name, problems in refusal.message_dict.items():
            axis = re.fullmatch(r"axes\[(\d)\]", name)
            place = self.places()[int(axis[1])] if axis else None
            if place is not None:
                named, field = self._changed(place)
                problems = [text.replace(f"{named} {field}", f"{named} · {_words(field)}") for text in problems]
            self.add_error(name if name in self.fields else None if place is None else f"values_{place}", problems)

    def _changed(self, place: int) -> tuple[str, str]:
        named, _, field = self.cleaned_data[f"what_{place}"].partition("|")
        return named, field


def _words(field: str) -> str:
    """Return a field as words with the unit that its values have."""
    measure = measure_of(field)
    unit, words = measure.shown if measure else suffix_of(field)[1], field_words(field.removeprefix("n_"))
    if field.startswith("n_"):
        return f"{words}, number"
    return f"{words} [{unit}]" if unit else words


def _shown(field: str, value: Any) -> Any:
    """Return a stored value in the unit beside its field's name."""
    measure = measure_of(field)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return spelled(measure.number(value)) if measure is not None and is_number else value


def _values(text: str, field: models.Field) -> dict[str, Any]:
    """Return what a field of values says: a list, or "28 to 36 by 2", numbers with a unit or in the one printed.

    Raises
    ------
    ValidationError
        If a value of a number cannot be read, or could be two; it begins with the value.
    """
    parts = [part.strip() for part in text.split(";" if ";" in text else ",") if part.strip()]
    if not isinstance(field, models.FloatField | models.IntegerField):
        return {"values": parts}
    low, high = limits_of(field)
    allowed = {"low": low, "high": high, "measure": measure_of(field.name)}
    if found := RANGE.fullmatch(text):
        by_end = {"start": allowed, "stop": allowed, "step": {"measure": step_of(field.name)}}
        return {"range": {end: _number(found[end], field, allowed_there) for end, allowed_there in by_end.items()}}
    inside = TIGHT_GROUP if isinstance(field, models.IntegerField) else TIGHT_COMMA
    if ";" not in text and inside.search(text):
        raise ValidationError(f"{text}: one number or several. Put a space behind each comma, or semicolons between.")
    return {"values": [part if part == "none" else _number(part, field, allowed) for part in parts]}


def _number(text: str, field: models.Field, allowed: Mapping[str, Any]) -> float:
    """Return a number as it is stored; never the text, which would be read in the unit of what is stored."""
    try:
        number = number_read(text, whole=isinstance(field, models.IntegerField), **allowed)
    except ValidationError as error:
        raise ValidationError(f"{text}: {' '.join(error.messages)}") from error
    for end, is_beyond, words in (
        (allowed.get("low"), operator.lt, "at least"),
        (allowed.get("high"), operator.gt, "at most"),
    ):
        if end is not None and is_beyond(number, end):
            raise ValidationError(f"{text}: must be {words} {limit_text(end, allowed.get('measure'))}.")
    return number


def visible_sweep_or_404(request: HttpRequest, sweep: UUID) -> Sweep:
    """Return a sweep on a site that the user may see."""
    return get_object_or_404(asked.visible_sweeps(visible_sites(request.user)), pk=sweep)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sweep_new(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Ask for a sweep over a layout; list those that there are."""
    layout = visible_layout_or_404(request.user, site, layout)
    may_change = may_change_site(request.user, layout.site, Right.RUN)
    if request.method == "POST":
        check_change_site(request.user, layout.site, Right.RUN)
    scenarios = list(layout.site.scenarios.all())
    slug = request.POST.get("scenario") or request.GET.get("scenario") or ""
    scenario = next((row for row in scenarios if row.slug == slug), scenarios[0] if scenarios else None)
    form, why_not = None, "" if scenario else "The site has no scenario yet; it says what is served to whom."
    if scenario:
        try:
            form = SweepForm(layout, scenario, request.POST or None)
        except CannotSimulate as refusal:
            why_not = str(refusal)
    if form and request.method == "POST" and form.is_valid():
        try:
            sweep = asked.sweep_ask(
                layout=layout,
                scenario=scenario,
                axes=form.axes(),
                figure=form.cleaned_data["figure"],
                user=request.user,
            )
        except ValidationError as refusal:
            form.refuse(refusal)
        else:
            return redirect("sweep-detail", sweep.id)
    sweeps = list(asked.visible_sweeps(visible_sites(request.user)).filter(layout=layout)[:MOST_SHOWN])
    progresses = asked.progresses(sweeps)
    context = {
        "layout": layout,
        "site": layout.site,
        "form": form,
        "why_not": why_not,
        "scenarios": scenarios,
        "scenario": scenario,
        "may_change": may_change,
        "most_points": MOST_POINTS,
        "sweeps": [
            (sweep, progresses[sweep.pk], [f"{axis['object']} · {_words(axis['field'])}" for axis in sweep.axes])
            for sweep in sweeps
        ],
    }
    return render(request, "twin/sweep_new.html", context)


@login_required
@vary_on_headers("HX-Request")
def sweep_detail(request: HttpRequest, sweep: UUID) -> HttpResponse:
    """Show how far a sweep has come, and its points, best first."""
    sweep = visible_sweep_or_404(request, sweep)
    progress = asked.progress(sweep)
    context = {
        "sweep": sweep,
        "progress": progress,
        "layout": sweep.layout,
        "site": sweep.layout.site,
        "may_change": may_change_site(request.user, sweep.layout.site, Right.RUN),
    }
    if not progress.ended:
        first = sweep.points.filter(status=SweepPoint.Status.QUEUED).defer(*SweepPoint.HEAVY).first()
        context["waiting"] = ring.waiting_reason(first) if first else ""
    figure = BY_NAME[sweep.figure]
    shown = [figure, *(BY_NAME[name] for name in SHOWN_FIGURES if name != sweep.figure)]
    ranked = asked.ranking(sweep, list(sweep.points.all()))
    run = asked.as_described(sweep)
    axes = [(axis["object"], _words(axis["field"])) for axis in sweep.axes]

    def figures(known: dict[str, float | None] | None) -> list[tuple[str, float | None, str]]:
        return [(f.label, (known or {}).get(f.name), f.unit) for f in shown]

    context |= {
        "figure": figure,
        "shown": shown,
        "axes": axes,
        "rows": [
            (
                row,
                [(_words(axis["field"]), _shown(axis["field"], v)) for axis, v in zip(sweep.axes, values, strict=True)],
                figures(row.point.figures),
            )
            for row in ranked
            for values in (row.point.values,)
        ],
        "described": run,
        "described_figures": figures(run.figures) if run else [],
    }
    part = "twin/sweep/_points.html" if request.htmx else "twin/sweep.html"
    return render(request, part, context)


@login_required
@require_POST
def sweep_cancel(request: HttpRequest, sweep: UUID) -> HttpResponse:
    """Stop what has not ended."""
    return _acted(request, sweep, asked.sweep_cancel)


@login_required
@require_POST
def sweep_retry(request: HttpRequest, sweep: UUID) -> HttpResponse:
    """Queue failed and cancelled points again."""
    return _acted(request, sweep, asked.sweep_retry)


def _acted(request: HttpRequest, sweep: UUID, service) -> HttpResponse:
    found = visible_sweep_or_404(request, sweep)
    check_change_site(request.user, found.layout.site, Right.RUN)
    try:
        service(found, user=request.user)
    except InvalidTransition as refusal:
        messages.error(request, str(refusal))
    return redirect("sweep-detail", found.id)
