"""A site's telemetry sources: listed, named, changed, watched."""

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from facility.entry.number_entry import WholeNumberField
from facility.models import Site
from facility.permissions import Right, check_change_site, may_change_site
from facility.views.lookup import visible_site_or_404
from facility.views.parts import put_on_form
from twin.core.telemetry.dsx_bms import topology
from twin.core.telemetry.quantities import QUANTITIES, UNITS
from twin.models import SourceState, TelemetrySource
from twin.runs.tables import as_csv
from twin.telemetry import source_points, sources
from twin.telemetry.objects import known_objects
from twin.telemetry.source_kinds import KINDS, LOGINS, SECONDS, options_of
from twin.telemetry.source_words import missing, standing
from twin.views.uploads import asked_rows, ticked_entries

MOST_SHOWN = 50  # dead letters on a page; the API and the file have all that are kept


def _seconds(name: str, label: str, help_text: str) -> WholeNumberField:
    least, most, usual = SECONDS[name]
    return WholeNumberField(label=label, min_value=least, max_value=most, initial=usual, help_text=help_text)


def _lines(help_text: str) -> forms.CharField:
    return forms.CharField(required=False, widget=forms.Textarea({"rows": 3}), help_text=help_text)


def _step() -> WholeNumberField:
    return _seconds("step_s", "Every", "How often it is asked; readings of a step apart.")


#: The options of each kind, as its form asks for them.
ASKED: Mapping[str, Callable[[], dict[str, forms.Field]]] = {
    TelemetrySource.Kind.MQTT: lambda: {
        "topics": _lines("One filter a line. # stands for all that follows, + for one level.")
    },
    TelemetrySource.Kind.PROMETHEUS: lambda: {
        "queries": _lines(
            "PromQL, one a line; empty asks for what DCGM, vLLM, SGLang, TensorRT-LLM, Dynamo, IPMI and node exporters"
            " tell. Any other series is a point under its own name."
        ),
        "step_s": _step(),
        "back_s": _seconds("back_s", "Beginning", "How far back the first question reaches."),
    },
    TelemetrySource.Kind.REDFISH: lambda: {
        "step_s": _step(),
        "login": forms.ChoiceField(
            choices=[(name, name) for name in LOGINS],
            help_text="A session is begun once and ended; basic sends name and password each time.",
        ),
    },
    TelemetrySource.Kind.REMOTE_WRITE: lambda: {
        "step_s": _seconds("step_s", "Step", "What comes is added up and averaged by this step."),
        "by_name": forms.BooleanField(
            required=False, help_text="Series of no known exporter are points under their own name."
        ),
    },
}
NOTES: Mapping[str, str] = {
    TelemetrySource.Kind.MQTT: "A broker that readings come from. Let it keep what is not acknowledged yet: Mosquitto's"
    " max_queued_messages 0 and max_inflight_messages 0.",
    TelemetrySource.Kind.PROMETHEUS: "A server that is asked for range queries (/api/v1/query_range below the address),"
    " from the last step that was stored on. With a user name the password is sent with it, alone it is a token.",
    TelemetrySource.Kind.REDFISH: "The service of a CDU, a PDU, a power shelf or a rack: its cooling units, power"
    " distribution and chassis are looked for once an hour, and what they measure is read every step.",
    TelemetrySource.Kind.REMOTE_WRITE: "A Prometheus server that sends by itself (remote write 1.0). Once the source is"
    " saved, its page says what the server's configuration needs.",
}


class SourceForm(forms.ModelForm):
    """Another machine, what is asked of it, and with which credential."""

    password = forms.CharField(
        required=False,
        strip=False,
        max_length=sources.MOST_SECRET,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text="Kept encrypted and never shown.",
    )
    forget = forms.BooleanField(
        required=False, label="Forget the password", help_text="No password is sent from then on."
    )

    class Meta:
        model = TelemetrySource
        fields = ["name", "address", "username", "password", "forget", "enabled"]

    def __init__(self, *args: Any, site: Site, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.site = site
        self.options = ASKED[self.instance.kind]()
        self.fields |= self.options
        if not KINDS[self.instance.kind].schemes:  # nobody is called
            for name in ("address", "username", "password"):
                del self.fields[name]
        else:
            self.fields["address"].required = True
        self.order_fields(["name", "address", *self.options])
        options = self.instance.options or options_of(self.instance.kind, {})
        for name, field in self.options.items():
            value = options.get(name, field.initial)
            field.initial = "\n".join(value) if isinstance(value, list) else value
        if not self.instance.secret:
            del self.fields["forget"]
        elif "password" in self.fields:
            self.fields["password"].help_text = "One is kept, encrypted; empty leaves it as it is."

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"site"}  # a site has each name once

    def _said(self, name: str, field: forms.Field) -> Any:
        value = self.cleaned_data[name]
        if isinstance(field.widget, forms.Textarea):
            return [line.strip() for line in value.splitlines() if line.strip()]
        return value

    def asked(self) -> tuple[TelemetrySource, str | None]:
        """Return the source as it is to be saved, and its password: None where it stays."""
        source: TelemetrySource = self.save(commit=False)
        source.options = {name: self._said(name, field) for name, field in self.options.items()}
        password = self.cleaned_data.get("password") or None
        return source, "" if self.cleaned_data.get("forget") else password


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def source_edit(request: HttpRequest, site: str, source: int | None = None) -> HttpResponse:
    """Show and take a source, new or standing."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site, Right.OPERATE)
    sources.check_call_out(request.user, site)
    standing_one = get_object_or_404(site.telemetry_sources, pk=source) if source else None
    kind = request.GET.get("kind", TelemetrySource.Kind.MQTT)
    if kind not in TelemetrySource.Kind.values:
        raise Http404(f"There is no kind of source {kind[:40]}.")
    form = SourceForm(request.POST or None, instance=standing_one or TelemetrySource(kind=kind), site=site)
    if request.method == "POST" and form.is_valid():
        asked, password = form.asked()
        try:
            saved = sources.source_save(user=request.user, source=asked, password=password)
        except ValidationError as error:
            options = error.message_dict.pop("options", None) if hasattr(error, "error_dict") else None
            first = next(
                (name for name in form.options if options and options[0].startswith(name)), next(iter(form.options))
            )
            put_on_form(form, ValidationError({first: options, **error.message_dict}) if options else error)
        else:
            messages.success(request, f"Source {saved.name} saved.")
            return redirect("telemetry-source", site.slug, saved.pk)
    context = {
        "site": site,
        "source": standing_one,
        "form": form,
        "kinds": [] if standing_one else TelemetrySource.Kind.choices,
        "kind": form.instance.kind,
        "note": NOTES[form.instance.kind],
    }
    return render(request, "twin/telemetry/source_form.html", context)


@login_required
@vary_on_headers("HX-Request")
def source_detail(request: HttpRequest, site: str, source: int) -> HttpResponse:
    """Show how a source stands and what it sent that was refused; the state alone where a page polls."""
    site = visible_site_or_404(request.user, site)
    rows = site.telemetry_sources.select_related("state").defer(*TelemetrySource.HEAVY)
    found = get_object_or_404(rows, pk=source)
    context = {"site": site, "source": found, **shown(found)}
    if request.htmx:
        return render(request, "twin/telemetry/_source_state.html", context)
    return render(
        request,
        "twin/telemetry/source.html",
        context
        | {
            "may_change": may_change_site(request.user, site, Right.OPERATE),
            "may_call_out": sources.may_call_out(request.user, site),
            "push_address": request.build_absolute_uri(reverse("api-telemetry-source-remote-write", args=[found.pk]))
            if found.kind == TelemetrySource.Kind.REMOTE_WRITE
            else "",
            "plain_password": bool(found.secret) and found.address.startswith(("mqtt://", "http://")),
        },
    )


def shown(source: TelemetrySource) -> dict[str, Any]:
    """Return what the state of a source shows."""
    state: SourceState = source.state
    mark, words = standing(source)
    return {
        "state": state,
        "mark": mark,
        "words": words,
        "missing": missing(source.kind),
        "refused": sorted(state.refused.items(), key=lambda entry: -entry[1]),
        "n_refused": sum(state.refused.values()),
        "noticed": sorted(state.noticed.items(), key=lambda entry: -entry[1]),
        "letters": source.dead_letters.all()[:MOST_SHOWN],
    }


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def source_mapping(request: HttpRequest, site: str, source: int) -> HttpResponse:
    """Show what the points of a source seem to be, and take what is agreed with."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site, Right.OPERATE)
    found = get_object_or_404(site.telemetry_sources, pk=source)
    try:
        known, asked = source_points.proposals(found)
    except ValueError as error:  # an object that the mapping names is gone
        known, asked = [], []
        messages.error(request, f"{error}.")
    rows = asked_rows(asked)
    refusal = ""
    if request.method == "POST":
        try:
            n = source_points.accept(user=request.user, source=found, entries=ticked_entries(request, rows))
        except ValueError as error:
            refusal = f"{error}."
        else:
            messages.success(request, f"{n:,} points of {found.name} are mapped; readings from now on are taken.")
            return redirect("telemetry-source", site.slug, found.pk)
    context = {
        "site": site,
        "source": found,
        "known": known,
        "rows": rows,
        "n_left": len(asked) - len(rows),
        "refusal": refusal,
        "topology": list(topology(found.metadata))[:MOST_SHOWN] if found.kind == TelemetrySource.Kind.MQTT else [],
        "objects": known_objects(site.layouts.all()),
        "quantities": QUANTITIES.values(),
        "units": UNITS,
    }
    return render(request, "twin/telemetry/source_mapping.html", context)


@login_required
@require_POST
def source_delete(request: HttpRequest, site: str, source: int) -> HttpResponse:
    """Drop a source; its readings stay."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site, Right.OPERATE)
    sources.check_call_out(request.user, site)
    found = get_object_or_404(site.telemetry_sources, pk=source)
    sources.source_delete(user=request.user, source=found)
    messages.success(request, f"Source {found.name} was dropped; the readings that it sent stay.")
    return redirect("site-telemetry", site.slug)


@login_required
def source_dead_letters(request: HttpRequest, site: str, source: int) -> HttpResponse:
    """Give out the messages that were refused, as a table."""
    site = visible_site_or_404(request.user, site)
    found = get_object_or_404(site.telemetry_sources, pk=source)
    rows = ([row.arrived_at.isoformat(), row.place, row.content, row.reason] for row in found.dead_letters.iterator())
    text = as_csv(["arrived_at", "place", "content", "reason"], rows)
    answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="dead-letters-{found.pk}.csv"'
    return answer
