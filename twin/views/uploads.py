"""A file of readings: sent, its points given a meaning, stored."""

from collections.abc import Sequence
from typing import Any

import yaml
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from facility.permissions import Right, check_change_site
from facility.views.lookup import visible_site_or_404
from twin.core.telemetry import readings as reader
from twin.core.telemetry.parquet import is_parquet
from twin.core.telemetry.quantities import QUANTITIES, UNITS
from twin.core.telemetry.tables import parquet_table, table_text
from twin.telemetry import uploads
from twin.telemetry.objects import known_objects

MOST_MAPPING_BYTES = 1_000_000


class UploadForm(forms.Form):
    """A table of readings and how it is to be read."""

    file = forms.FileField(
        label="File",
        help_text="CSV or Parquet: long (time, point, value, unit, quality) or wide (time, one column a point), 16 MB.",
    )
    mapping = forms.FileField(
        label="Mapping file", required=False, help_text="YAML, as map_telemetry writes it; else points are asked next."
    )
    dates = forms.ChoiceField(
        choices=[(name, name.replace("-", " ")) for name in reader.DATES],
        label="Dates with slashes",
        help_text="03/07/2026 reads two ways; iso refuses it.",
    )
    decimal = forms.ChoiceField(choices=[("point", "point"), ("comma", "comma")], label="Decimal mark")
    time_zone = forms.CharField(
        required=False, max_length=60, label="Time zone", help_text="Of times without one, such as America/Chicago."
    )

    def clean_time_zone(self) -> str:
        """Refuse a zone that is unknown."""
        name = self.cleaned_data["time_zone"]
        try:
            if name:
                reader.zone_named(name)
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error
        return name

    def clean_file(self) -> str:
        """Return the text of the table."""
        upload = self.cleaned_data["file"]
        self.name = upload.name
        if upload.size > uploads.MOST_BYTES:
            raise forms.ValidationError(
                f"The file has {upload.size:,} bytes; at most {uploads.MOST_BYTES:,} are read here, larger ones by"
                " ingest_telemetry."
            )
        raw = upload.read()
        if is_parquet(raw):
            try:
                return table_text(parquet_table(raw, self.name, uploads.MOST_CELLS))
            except ValueError as error:
                raise forms.ValidationError(f"{error}.") from error
        if b"\0" in raw:
            raise forms.ValidationError("The file is not a text table.")
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    def clean_mapping(self) -> object:
        """Return the document of the mapping file, if there is one."""
        upload = self.cleaned_data["mapping"]
        if upload is None:
            return None
        if upload.size > MOST_MAPPING_BYTES:
            raise forms.ValidationError(f"It has {upload.size:,} bytes; at most {MOST_MAPPING_BYTES:,} are read.")
        try:
            return yaml.safe_load(upload.read())
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            raise forms.ValidationError("The file is no YAML.") from error


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def readings_upload(request: HttpRequest, site: str) -> HttpResponse:
    """Take a file of readings; what its points mean is asked next."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site, Right.OPERATE)
    form = UploadForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
    if request.method == "POST" and form.is_valid():
        cleaned = form.cleaned_data
        reading = reader.Reading("", cleaned["dates"], cleaned["decimal"], cleaned["time_zone"])
        try:
            kept = uploads.upload_keep(
                user=request.user,
                site=site,
                name=form.name,
                text=cleaned["file"],
                reading=reading,
                mapping=cleaned["mapping"],
            )
            return redirect("telemetry-mapping", site.slug, kept.id)
        except ValueError as refusal:
            form.add_error("file", f"{refusal}.")
    return render(request, "twin/telemetry/upload.html", {"site": site, "form": form})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def readings_mapping(request: HttpRequest, site: str, upload: int) -> HttpResponse:
    """Ask what the points of a file mean, and store its readings."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site, Right.OPERATE)
    upload = get_object_or_404(site.telemetry_uploads, pk=upload)
    known, asked = uploads.proposals(upload)
    rows = asked_rows(asked)
    refusal = ""
    if request.method == "POST":
        entries = ticked_entries(request, rows)
        try:
            answer = uploads.upload_store(user=request.user, upload=upload, entries=entries)
        except ValueError as error:
            refusal = f"{error}."
        else:
            _tell(request, answer)
            return redirect("site-telemetry", site.slug)
    context = {
        "site": site,
        "upload": upload,
        "known": known,
        "rows": rows,
        "n_left": len(asked) - len(rows),
        "refusal": refusal,
        "objects": known_objects(site.layouts.all()),
        "quantities": QUANTITIES.values(),
        "units": UNITS,
    }
    return render(request, "twin/telemetry/mapping.html", context, status=200)


def asked_rows(asked: Sequence[reader.Proposal]) -> list[dict[str, Any]]:
    """Return the rows of a page that asks what points mean, filled in as they are proposed."""
    return [
        {
            "point": entry.point,
            "confidence": entry.confidence,
            "reason": entry.reason,
            "taken": entry.mapped is not None and entry.confidence >= reader.LEAST_CONFIDENCE,
            "object": entry.mapped.object if entry.mapped else "",
            "quantity": entry.mapped.quantity if entry.mapped else "",
            "unit": entry.mapped.unit if entry.mapped else "",
        }
        for entry in asked[: uploads.MOST_POINTS]
    ]


def ticked_entries(request: HttpRequest, rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the form's ticked rows as entries of a mapping; the rows keep what was typed."""
    for i, row in enumerate(rows):
        row["taken"] = request.POST.get(f"taken-{i}") == "on"
        row |= {name: request.POST.get(f"{name}-{i}", "").strip()[:200] for name in ("object", "quantity", "unit")}
    return [{name: row[name] for name in ("point", "object", "quantity", "unit")} for row in rows if row["taken"]]


@login_required
@require_POST
def readings_forget(request: HttpRequest, site: str, upload: int) -> HttpResponse:
    """Forget a file without storing its readings."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site, Right.OPERATE)
    get_object_or_404(site.telemetry_uploads, pk=upload).delete()
    messages.success(request, "The file was discarded; nothing of it is stored.")
    return redirect("site-telemetry", site.slug)


def _tell(request: HttpRequest, answer: dict) -> None:
    refused = sum(answer["refused"].values())
    text = f"{answer['accepted']:,} readings stored, {answer['duplicate']:,} were there already, {refused:,} refused."
    (messages.success if answer["accepted"] or answer["duplicate"] else messages.error)(request, text)
    for reason, n in answer["refused"].items():
        messages.warning(request, f"{n:,} refused: {reason}.")
