"""What is asked of whoever says that set points of an advice were taken on."""

from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from twin.core.telemetry.readings import zone_named
from twin.core.text.field_names import field_words
from twin.models import Study
from twin.telemetry import taken


class TakeForm(forms.Form):
    """Which set points of an advice were taken on, since when, and on which layout."""

    orders = forms.TypedMultipleChoiceField(
        coerce=int, widget=forms.CheckboxSelectMultiple, label="Taken on", error_messages={"required": "Choose one."}
    )
    taken_at = forms.DateTimeField(
        label="Since",
        widget=forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M"),
        help_text="When the plant ran at them first.",
    )
    time_zone = forms.CharField(
        max_length=60, label="Time zone", initial="UTC", help_text="Of that time, such as America/Chicago."
    )
    layout = forms.ChoiceField(help_text="As it stood before the change: as built or as operated.")

    def __init__(self, study: Study, *args: Any) -> None:
        super().__init__(*args, auto_id="take_%s")
        self.site = study.layout.site
        there = {order for mark in study.taken_rows.all() for order in mark.orders}
        rows = enumerate((study.result or {}).get("advice", ()), 1)
        left = [
            (order, f"{order}: {row['object']} · {field_words(row['parameter'])}")
            for order, row in rows
            if order not in there
        ]
        standing = self.site.layouts.filter(status__in=taken.STANDING).order_by("name", "id")
        layouts = list(standing.values_list("slug", "name"))
        self.fields["orders"].choices, self.fields["layout"].choices = left, layouts
        self.fields["orders"].initial = [order for order, _ in left]
        self.fields["layout"].initial = study.layout.slug
        self.nothing_left, self.nowhere = not left, not layouts

    def clean_time_zone(self) -> ZoneInfo:
        """Return the zone."""
        try:
            return zone_named(self.cleaned_data["time_zone"])
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error

    def asked(self) -> dict[str, Any]:
        """Return what `advice_take` takes."""
        said = self.cleaned_data
        return {
            "taken_at": said["taken_at"].replace(tzinfo=said["time_zone"]),
            "orders": said["orders"],
            "layout": self.site.layouts.select_related("site").get(slug=said["layout"]),
        }
