"""The way back to the guided start, on every page of the user's own hall."""

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from twin.models import GuidedStart

register = template.Library()


@register.simple_tag(takes_context=True)
def guide_banner(context: template.Context) -> SafeString:
    """`{% guide_banner %}`: a link back to the steps where the page is of the user's guided start."""
    request, site = context.get("request"), context.get("site")
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or site is None or request.path == reverse("guide"):
        return SafeString("")
    if not str(getattr(site, "slug", "")).startswith("guided-start-"):  # spares all other pages the question
        return SafeString("")
    if not GuidedStart.objects.filter(user=user, site=getattr(site, "pk", None)).exists():
        return SafeString("")
    return format_html(
        '<p class="guide-banner">This is the hall of your guided start. <a href="{}">Back to the steps</a></p>',
        reverse("guide"),
    )
