"""What the pages of a run and of a study share: progress while it is open, and what their buttons ask."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from facility.permissions import Right, check_change_site
from twin.exceptions import InvalidTransition
from twin.models.job import Job
from twin.runs import ring


def job_progress(request: HttpRequest, job: Job, context: dict[str, Any], template: str) -> HttpResponse | None:
    """Answer a page that asks again: progress, or a reload of it all once the job has ended. None for a whole page."""
    if not job.ended:
        context["waiting"] = ring.waiting_reason(job)
    if not request.htmx:
        return None
    if job.ended:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, template, context)


def job_act(request: HttpRequest, job: Job, service: Callable[..., Any]) -> HttpResponse:
    """Call a service on a job that the user may change, say why where it refuses, and show the job."""
    check_change_site(request.user, job.layout.site, Right.RUN)
    try:
        service(job, user=request.user)
    except (InvalidTransition, PermissionDenied) as refusal:
        messages.error(request, str(refusal))
    return redirect(f"{job._meta.model_name}-detail", job.id)
