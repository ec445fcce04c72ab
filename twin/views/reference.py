"""A new layout from a design and a wished power."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from facility.interchange.documents import SiteFileError
from facility.models import Layout
from facility.permissions import check_change_site, visible_sites
from facility.views.lookup import visible_site_or_404
from facility.views.parts import put_on_form
from twin.forms import ReferenceForm
from twin.onboarding.reference import layout_from_reference


@login_required
def layout_from_design(request: HttpRequest, site: str) -> HttpResponse:
    """Ask for a design and a power, make the layout, and go on to its counts."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site)
    designs = Layout.objects.filter(site__in=visible_sites(request.user), halls__racks__isnull=False).distinct()
    form = ReferenceForm(request.POST or None, designs=designs.select_related("site").order_by("site__name", "name"))
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        try:
            layout = layout_from_reference(
                design=asked["design"],
                site=site,
                name=asked["name"],
                it_power_w=asked["it_power_mw"] * 1e6,
                user=request.user,
            )
        except SiteFileError as error:
            form.add_error(None, str(error))
        except ValidationError as error:
            put_on_form(form, error)
        else:
            return redirect("layout-sizing", site.slug, layout.slug)
    return render(request, "twin/layout_from_design.html", {"form": form, "site": site})
