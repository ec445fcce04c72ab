"""Whoever planned a site first described it: they own it now, so that somebody can name its members."""

from django.db import migrations


def first_planners_own(apps, schema_editor) -> None:
    """Make the first planner of each site its owner, where it has none."""
    Membership = apps.get_model("facility", "Membership")
    owned = set(Membership.objects.filter(role="owner").values_list("site", flat=True))
    for membership in Membership.objects.filter(role="planner").exclude(site=None).order_by("pk"):
        if membership.site_id not in owned:
            owned.add(membership.site_id)
            Membership.objects.filter(pk=membership.pk).update(role="owner")


class Migration(migrations.Migration):

    dependencies = [
        ("facility", "0017_organisations_and_roles"),
    ]

    operations = [
        migrations.RunPython(first_planners_own, migrations.RunPython.noop),
    ]
