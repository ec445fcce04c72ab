"""The guided start: eight steps, each judged from the description as it is now."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from twin.core.figures_of_merit import BY_NAME, HEADLINES
from twin.onboarding import guide

SKIPPED = "guide_skipped"  # in the session


@login_required
def guide_page(request: HttpRequest) -> HttpResponse:
    """Show where the user stands, what is wrong next and where to fix it; before the start, what it is."""
    site = guide.guide_site(request.user)
    state = guide.guide_state(site, request.session.get(SKIPPED, [])) if site else None
    context = {"site": site, "guide": state, "steps": guide.STEPS}
    if state and (state.is_done or state.current is None):
        outcome = guide.outcome(site)
        context["outcome"] = outcome
        if outcome and outcome.is_complete:
            before, after = guide.troubles(outcome.before), guide.troubles(outcome.after)
            context |= {
                "figures": [*HEADLINES, *(BY_NAME[name] for name in ("goodput_tokens_per_s", "slo_attainment_frac"))],
                "compare": compare_address(outcome),
                "troubles": [(label, count, after[label]) for label, count in before.items()],
            }
    return render(request, "twin/guide.html", context)


def compare_address(outcome: guide.Outcome) -> str:
    """Return the address that shows the hall as found beside the fixed one."""
    return reverse("compare") + f"?runs={outcome.before.id},{outcome.after.id}"


@login_required
@require_POST
def guide_start(request: HttpRequest) -> HttpResponse:
    """Make the user's own hall, or bring it back to how it was found."""
    again = guide.guide_site(request.user) is not None
    guide.guide_start(user=request.user)
    request.session.pop(SKIPPED, None)
    messages.success(request, "The hall is back as it was found." if again else "Your hall is ready. It has 8 faults.")
    return redirect("guide")


@login_required
@require_POST
def guide_skip(request: HttpRequest) -> HttpResponse:
    """Leave a step for later, or take it up again."""
    slug = request.POST.get("step", "")
    if slug not in guide.BY_SLUG:
        raise Http404(f"The guided start has no step {slug}; it has {', '.join(guide.BY_SLUG)}.")
    skipped = set(request.session.get(SKIPPED, []))
    request.session[SKIPPED] = sorted(skipped ^ {slug})
    return redirect("guide")
