"""Forms of sites and layouts, weather uploads, copies, and the site file for download."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify

from facility import places, services
from facility.bill_of_materials import bill_of_materials
from facility.entry import forms
from facility.models import Weather
from facility.permissions import check_change_site, may_change_site
from facility.views.lookup import visible_layout_or_404, visible_site_or_404
from facility.views.parts import put_on_form, version_of


@login_required
def site_new(request: HttpRequest) -> HttpResponse:
    """Describe a new site; whoever does becomes its owner."""
    place = places.places().get(request.GET.get("place", "").strip().upper())
    near = places.nearest_weather(place.latitude_deg, place.longitude_deg) if place else []
    form = forms.SiteForm(
        request.POST or None,
        request.FILES or None,
        user=request.user,
        near=place and (place.latitude_deg, place.longitude_deg),
        initial=_of_place(place, near[0][0] if near else None) if place else None,
    )
    if request.method == "POST" and form.is_valid():
        site, year = form.save(commit=False), form.cleaned_data.get("year")
        try:
            if year is None:
                site = services.site_create(site=site, user=request.user)
            else:
                site = services.site_create_with_weather(site=site, year=year, user=request.user)
        except ValidationError as error:
            put_on_form(form, error)
        else:
            messages.success(request, f"Site {site.name} saved. Next: a layout.")
            for note in year.notes if year else ():
                messages.info(request, note)
            return redirect("site-detail", site.slug)
    return render(request, "facility/site_form.html", {"form": form} | _found(request, place, near))


def _of_place(place: places.Place, weather: Weather | None) -> dict[str, object]:
    """Return what a new site's form begins with once a town is chosen."""
    return {
        "name": place.name,
        "slug": slugify(place.name),
        "place": place.place,
        "latitude_deg": place.latitude_deg,
        "longitude_deg": place.longitude_deg,
        "elevation_m": place.elevation_m,
        "weather": weather,
        "region": places.region_of(place),
    }


def _found(request: HttpRequest, place: places.Place | None, near: list[tuple[Weather, float]]) -> dict[str, object]:
    """Return the towns that were searched for, or the one that was chosen with what is near it."""
    asked = request.GET.get("search", "")
    try:
        found, refused = (places.search(asked) if asked else []), ""
    except places.PlaceError as error:
        found, refused = [], str(error)
    chosen = {"place": place, "near": near[: places.NEAREST], "region": place and places.region_of(place)}
    return {"asked": asked, "found": found, "refused": refused} | chosen


@login_required
def site_edit(request: HttpRequest, site: str) -> HttpResponse:
    """Change a site."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site)
    form = forms.SiteForm(request.POST or None, instance=site, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            site = services.site_update(site=form.save(commit=False), user=request.user)
        except ValidationError as refusal:
            put_on_form(form, refusal)
        else:
            messages.success(request, f"Site {site.name} saved.")
            return redirect("site-detail", site.slug)
    return render(request, "facility/site_form.html", {"form": form, "site": site})


@login_required
def weather_upload(request: HttpRequest, site: str) -> HttpResponse:
    """Take an EPW file as a year of weather of this site."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site)
    form = forms.WeatherUploadForm(request.POST or None, request.FILES or None, site=site)
    if request.method == "POST" and form.is_valid():
        try:
            weather = services.weather_create(
                site=site, year=form.cleaned_data["year"], name=form.cleaned_data["name"], user=request.user
            )
        except ValidationError as error:
            put_on_form(form, error)
        else:
            messages.success(
                request, f"{weather.name}: {weather.n_hours:,} hours read. Choose it below as the site's weather."
            )
            for note in weather.notes.splitlines():
                messages.info(request, note)
            return redirect("site-edit", site.slug)
    return render(request, "facility/weather_form.html", {"form": form, "site": site})


@login_required
def layout_new(request: HttpRequest, site: str) -> HttpResponse:
    """Start an empty layout on a site."""
    site = visible_site_or_404(request.user, site)
    check_change_site(request.user, site)
    form = forms.LayoutForm(request.POST or None, site=site)
    if request.method == "POST" and form.is_valid():
        layout = services.layout_create(layout=form.save(commit=False), user=request.user)
        messages.success(request, f"Layout {layout.name} saved. Next: its halls.")
        return redirect("layout-detail", site.slug, layout.slug)
    return render(request, "facility/layout_form.html", {"form": form, "site": site})


@login_required
def layout_edit(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Change a layout's name, status and notes; copy and download stand on the same page."""
    layout = visible_layout_or_404(request.user, site, layout)
    may_change = may_change_site(request.user, layout.site)
    form = forms.LayoutForm(request.POST or None, instance=layout, site=layout.site)
    if request.method == "POST":
        check_change_site(request.user, layout.site)
        if form.is_valid():
            try:
                services.layout_update(
                    layout=form.save(commit=False),
                    version=version_of(request),
                    user=request.user,
                )
            except services.StaleLayout as stale:
                form.add_error(None, str(stale))
            except ValidationError as error:
                put_on_form(form, error)
            else:
                messages.success(request, f"Layout {layout.name} saved.")
                return redirect("layout-edit", site, layout.slug)
    copy_form = forms.LayoutCloneForm(initial={"name": f"{layout.name} copy"}, prefix="copy")
    return render(
        request,
        "facility/layout_form.html",
        {"form": form, "site": layout.site, "layout": layout, "copy_form": copy_form, "may_change": may_change},
    )


@login_required
def layout_clone(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Copy a layout with everything in it."""
    layout = visible_layout_or_404(request.user, site, layout)
    check_change_site(request.user, layout.site)
    form = forms.LayoutCloneForm(request.POST or None, prefix="copy")
    if request.method == "POST" and form.is_valid():
        try:
            copy = services.layout_clone(layout=layout, **form.cleaned_data, user=request.user)
        except ValidationError as error:
            put_on_form(form, error)
        else:
            messages.success(request, f"{copy.name} is a copy of {layout.name}; change it freely.")
            return redirect("layout-detail", site, copy.slug)
    return render(request, "facility/layout_clone.html", {"form": form, "site": layout.site, "layout": layout})


@login_required
def layout_bill(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """List what a layout is made of, with counts, prices and how far they can be trusted."""
    layout = visible_layout_or_404(request.user, site, layout)
    context = {"layout": layout, "site": layout.site, "bill": bill_of_materials(layout)}
    return render(request, "facility/bill_of_materials.html", context)
