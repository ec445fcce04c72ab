"""What made the versions of a layout, newest first, and remedies that can still be taken back."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import capfirst

from facility import kinds
from facility.edit_records import KEPT_VERSIONS
from facility.permissions import may_change_site
from facility.views.lookup import visible_layout_or_404
from twin.core.text.field_names import fact_text, field_unit, field_words
from twin.core.text.numbers import MISSING
from twin.remedies.undo import parts_taken_back

PAGE_VERSIONS = 25
N_CHANGES = 12  # of a version that are named; the rest is counted


@login_required
def layout_history(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """List the changes of a layout with who made them and when."""
    layout = visible_layout_or_404(request.user, site, layout)
    records = layout.edit_records.select_related("user").order_by("-version")
    page = Paginator(records, PAGE_VERSIONS).get_page(request.GET.get("page"))
    versions = [
        {
            "record": record,
            "changes": [change_words(change) for change in record.changes[:N_CHANGES]],
            "more": max(len(record.changes) - N_CHANGES, 0),
            "n_back": parts_taken_back(record.undo) if record.undo else 0,
        }
        for record in page
    ]
    context = {
        "layout": layout,
        "site": layout.site,
        "versions": versions,
        "page": page,
        "kept": KEPT_VERSIONS,
        "may_change": may_change_site(request.user, layout.site) and not layout.is_frozen,
    }
    return render(request, "twin/layout_history.html", context)


def change_words(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return one change as the page writes it: of what, what happened, and the fields that differ."""
    kind = kinds.BY_NAME.get(change["kind"])
    words = str(kind.model._meta.verbose_name if kind else change["kind"].replace("_", " "))
    return {
        "object": f"{capfirst(words)} {change['name']}",
        "action": change["action"],
        "fields": list(_fields(change)),
    }


def _fields(change: Mapping[str, Any]) -> Iterator[str]:
    for name, (old, new) in change["fields"].items():
        unit = field_unit(name)
        before, after = (MISSING if value in (None, "") else fact_text(value, unit) for value in (old, new))
        yield f"{field_words(name.removeprefix('n_'))}: {before} → {after}"
