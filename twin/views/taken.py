"""Advice that was taken on: said on the advice's page, its gain measured and shown beside the promise."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from facility.permissions import Right, check_change_site, visible_sites
from twin.exceptions import InvalidTransition
from twin.models import Study, TakenAdvice
from twin.telemetry import taken
from twin.telemetry.set_point_files import gain_file
from twin.views.studies import visible_study_or_404
from twin.views.take_form import TakeForm


@login_required
@require_POST
def advice_take(request: HttpRequest, study: UUID) -> HttpResponse:
    """Write down that set points of an advice were taken on."""
    study = visible_study_or_404(request, study)
    check_change_site(request.user, study.layout.site, Right.OPERATE)
    form = TakeForm(study, request.POST)
    if form.is_valid():
        try:
            taken.advice_take(study, user=request.user, **form.asked())
            messages.success(request, "Taken on: its gain can be measured once there are readings after the change.")
            return redirect("study-detail", study.id)
        except ValidationError as refusal:
            form.add_error(None, refusal)
        except InvalidTransition as refusal:
            form.add_error(None, str(refusal))
    context = {"study": study, "layout": study.layout, "site": study.layout.site, "take_form": form}
    return render(request, "twin/telemetry/take.html", context)


def visible_taken_or_404(request: HttpRequest, mark: int) -> TakenAdvice:
    """Return what was taken on of an advice of a site that the user may see."""
    rows = TakenAdvice.objects.select_related("study__scenario", "layout__site")
    return get_object_or_404(rows, pk=mark, layout__site__in=visible_sites(request.user))


@login_required
@require_POST
def taken_remove(request: HttpRequest, mark: int) -> HttpResponse:
    """Take back that set points were taken on."""
    found = visible_taken_or_404(request, mark)
    check_change_site(request.user, found.layout.site, Right.OPERATE)
    taken.taken_remove(found, user=request.user)
    messages.success(request, "The advice is no longer marked as taken on; what was measured of it is gone too.")
    return redirect("study-detail", found.study_id)


@login_required
@require_POST
def gain_create(request: HttpRequest, mark: int) -> HttpResponse:
    """Queue the question what set points have gained, and show its progress."""
    found = visible_taken_or_404(request, mark)
    check_change_site(request.user, found.layout.site, Right.OPERATE)
    try:
        asked = taken.gain_ask(found, user=request.user)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
        return redirect("study-detail", found.study_id)
    return redirect("study-detail", asked.id)


@login_required
def gain_csv(request: HttpRequest, study: UUID) -> HttpResponse:
    """Give a measured gain as a CSV file, a line for each day and one for the whole."""
    found = visible_study_or_404(request, study)
    if found.kind != Study.Kind.GAIN or found.status != Study.Status.DONE:
        raise Http404("only a measured gain that is done has days")
    return gain_file(found)
