"""The page of one finding's remedy: what it changes, what then comes out, taken by one button and taken back by one."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from facility.permissions import check_change_site, may_change_site
from facility.services import StaleLayout
from facility.views.lookup import visible_layout_or_404
from facility.views.parts import version_of
from twin.core.rules.remedies import REMEDIES
from twin.core.solve.estimate import APPROXIMATION
from twin.remedies.trying import Key, NoRemedy, preview, preview_all, take, take_all, take_back
from twin.runs.found import with_address
from twin.views.asked import BadQuestion, asked_scenario


def asked_key(request: HttpRequest) -> Key:
    """Return the finding that an address or form names."""
    given = request.POST if request.method == "POST" else request.GET
    number = given.get("id", "")
    pk = int(number) if number.isascii() and number.isdigit() and len(number) < 12 else None
    return given.get("kind", "")[:40], pk, given.get("rule", "")[:80]


@login_required
def remedy_page(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Show what removes a finding and what that does to the figures, or take it."""
    layout = visible_layout_or_404(request.user, site, layout)
    key = asked_key(request)
    is_all = (request.POST if request.method == "POST" else request.GET).get("all") == "on"
    if request.method == "POST":
        check_change_site(request.user, layout.site)
        try:
            by = {"layout": layout, "version": version_of(request), "user": request.user}
            taken = take_all(rule=key[2], **by) if is_all else take(key=key, **by)
        except (StaleLayout, ValidationError, NoRemedy) as refusal:
            messages.error(request, _words(refusal))
            return redirect("layout-findings", site, layout.slug)
        left = [with_address(layout, finding) for finding in taken.left]
        context = {"layout": layout, "site": layout.site, "taken": taken, "left": left}
        return render(request, "twin/remedy_taken.html", context)
    context: dict[str, Any] = {
        "layout": layout,
        "site": layout.site,
        "key": key,
        "is_all": is_all,
        "may_change": may_change_site(request.user, layout.site) and not layout.is_frozen,
        "approximation": APPROXIMATION,
        "text": REMEDIES[key[2]].text if key[2] in REMEDIES else "",
    }
    try:
        scenario = asked_scenario(request.GET, layout)
    except BadQuestion:
        scenario = None
    try:
        shown = preview_all(layout, key[2], scenario) if is_all else preview(layout, key, scenario)
    except NoRemedy as none:
        return render(request, "twin/remedy.html", context | {"none": str(none)})
    context |= {
        "shown": shown,
        "scenario": scenario,
        "finding": with_address(layout, shown.finding),
        "fresh": [with_address(layout, finding) for finding in shown.fresh],
        "gone": [with_address(layout, finding) for finding in shown.gone],
        "left": [with_address(layout, finding) for finding in shown.left],
    }
    return render(request, "twin/remedy.html", context)


@login_required
@require_POST
def remedy_undo(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Take a remedy back."""
    layout = visible_layout_or_404(request.user, site, layout)
    check_change_site(request.user, layout.site)
    undo = request.POST.get("undo", "")
    if (version := request.POST.get("version", "")).isdecimal() and len(version) < 10:
        undo = layout.edit_records.filter(version=version).values_list("undo", flat=True).first() or ""
    try:
        take_back(layout=layout, undo=undo, user=request.user)
    except (StaleLayout, ValidationError) as refusal:
        messages.error(request, _words(refusal))
    else:
        messages.success(request, "The remedy was taken back.")
    return redirect("layout-findings", site, layout.slug)


def _words(refusal: Exception) -> str:
    return " ".join(refusal.messages) if isinstance(refusal, ValidationError) else str(refusal)
