"""Pages of who belongs to a site or an organisation; owners change them."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from facility import members
from facility.entry import forms
from facility.models import Membership, Organisation, Site
from facility.permissions import Right, check_manage, may_manage, organisations_where
from facility.views.lookup import visible_site_or_404
from facility.views.parts import put_on_form


@login_required
def site_members(request: HttpRequest, site: str) -> HttpResponse:
    """Show the members of a site, and take new ones."""
    return _members(request, visible_site_or_404(request.user, site))


@login_required
def organisation_members(request: HttpRequest, organisation: str) -> HttpResponse:
    """Show the members of an organisation and its sites, and take new members."""
    return _members(request, get_object_or_404(organisations_where(request.user, Right.SEE), slug=organisation))


@login_required
def organisation_list(request: HttpRequest) -> HttpResponse:
    """Show the organisations that the user belongs to; administrators found new ones."""
    form = forms.OrganisationForm(request.POST or None) if request.user.is_superuser else None
    if request.method == "POST":
        members.check_found_organisation(request.user)
        if form.is_valid():
            made = members.organisation_create(organisation=form.save(commit=False), user=request.user)
            messages.success(request, f"{made.name} is founded. Next: its owner.")
            return redirect("organisation-members", made.slug)
    context = {
        "organisations": organisations_where(request.user, Right.SEE).prefetch_related("sites"),
        "owned": set(organisations_where(request.user, Right.MANAGE).values_list("pk", flat=True)),
        "form": form,
    }
    return render(request, "facility/organisation_list.html", context)


@login_required
@require_POST
def member_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a member another role, or remove them."""
    rows = members.managed_memberships(request.user).select_related("site", "organisation", "user")
    membership = get_object_or_404(rows, pk=pk)
    try:
        if "remove" in request.POST:
            members.member_remove(membership=membership, user=request.user)
            messages.success(request, f"{membership.user} is no longer a member.")
        else:
            members.member_update(membership=membership, role=request.POST.get("role", ""), user=request.user)
            messages.success(request, f"{membership.user} has another role now.")
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    return redirect(_address(membership.place))


def _members(request: HttpRequest, place: Site | Organisation) -> HttpResponse:
    """Show and add the members of a place, for its owners."""
    check_manage(request.user, place)
    form = forms.MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        try:
            made = members.member_add(place=place, username=asked["user"], role=asked["role"], user=request.user)
        except ValidationError as refusal:
            put_on_form(form, refusal)
        else:
            messages.success(request, f"{made.user} is a member: {made.get_role_display()}.")
            return redirect(_address(place))
    organisation = place.organisation if isinstance(place, Site) else None
    context = {
        "place": place,
        "site": place if isinstance(place, Site) else None,
        "form": form,
        "members": place.memberships.select_related("user").order_by("user__username"),
        "roles": Membership.Role.choices,
        "organisation": organisation,
        "may_see_organisation": organisation is not None and may_manage(request.user, organisation),
        "sites": place.sites.order_by("name") if isinstance(place, Organisation) else [],
    }
    return render(request, "facility/members.html", context)


def _address(place: Site | Organisation) -> str:
    return reverse("site-members" if isinstance(place, Site) else "organisation-members", args=[place.slug])
