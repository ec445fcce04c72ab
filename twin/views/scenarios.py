"""The form of a scenario with the use cases that it serves."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from facility.permissions import check_change_site
from facility.views.lookup import visible_site_or_404
from facility.views.parts import put_on_form
from twin.forms import WORKLOAD_FIELDS, ScenarioForm, ScenarioWorkloads
from twin.models import ScenarioWorkload
from twin.runs import services


@login_required
def scenario_edit(request: HttpRequest, site: str, scenario: str | None = None) -> HttpResponse:
    """Show and take a scenario, new or standing; it and its use cases are saved together or not at all."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site)
    standing = get_object_or_404(site.scenarios, slug=scenario) if scenario else None
    form = ScenarioForm(request.POST or None, instance=standing, site=site)
    workloads = ScenarioWorkloads(request.POST or None, instance=form.instance)
    if request.method == "POST" and form.is_valid() and workloads.is_valid():
        try:
            services.scenario_save(scenario=form.save(commit=False), workloads=asked(workloads), user=request.user)
        except ValidationError as error:
            put_on_form(form, error)
        else:
            messages.success(request, f"Scenario {form.instance.name} saved.")
            return redirect("site-detail", site.slug)
    context = {"site": site, "scenario": standing, "form": form, "workloads": workloads}
    return render(request, "twin/scenario_form.html", context)


def asked(workloads) -> list[ScenarioWorkload]:
    """Return the use cases that the form names, without empty rows and those ticked for deletion."""
    return [
        ScenarioWorkload(**{name: row.cleaned_data[name] for name in WORKLOAD_FIELDS})
        for row in workloads.forms
        if row.cleaned_data.get("workload") and not row.cleaned_data.get("DELETE")
    ]
