"""Find what an address names, among what the user may see; the rest does not exist for them."""

from django.shortcuts import get_object_or_404

from facility.models import Layout, Site
from facility.permissions import visible_sites


def visible_site_or_404(user, site: str) -> Site:
    """Return the site of that slug, with its weather, region and organisation."""
    return get_object_or_404(
        visible_sites(user).select_related("weather", "region", "organisation").defer("weather__rows"), slug=site
    )


def visible_layout_or_404(user, site: str, layout: str) -> Layout:
    """Return the layout at SITE/LAYOUT, with its site."""
    layouts = Layout.objects.select_related("site").filter(site__in=visible_sites(user))
    return get_object_or_404(layouts, site__slug=site, slug=layout)
