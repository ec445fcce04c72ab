"""How what serves in a run is started."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from facility.permissions import visible_sites
from twin.core.results.details import run_details
from twin.core.serving.launch import launches_of_run
from twin.models import Run
from twin.runs.snapshot import inputs_stored


@login_required
def run_launch(request: HttpRequest, run: UUID) -> HttpResponse:
    """Show how what a run chose is started: settings for every engine, by use case."""
    found = get_object_or_404(
        Run.objects.select_related("layout__site", "scenario"), pk=run, layout__site__in=visible_sites(request.user)
    )
    if found.status != Run.Status.DONE or found.inputs is None:
        raise Http404(f"{found} is {found.status}; only a run that is done has launch settings")
    rows = launches_of_run(run_details(found.details).per_workload, inputs_stored(found.inputs))
    return render(request, "twin/run_launch.html", {"run": found, "rows": rows})
