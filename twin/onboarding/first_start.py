"""What a new database gets: the catalogue, sample sites with runs in the queue, and a first user."""

import io
import secrets

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import transaction

from facility.models import Layout, Product, Site
from twin.models import Scenario
from twin.runs import services

FIRST_USER = "planner"


@transaction.atomic
def database_fill() -> int:
    """Load the catalogue and the sample sites into a database that has neither; return how many runs it queued.

    Only ever on an empty database: what a user deleted or changed stays as it is.
    """
    if Product.objects.exists() or Site.objects.exists():
        return 0
    call_command("load_catalogue", stdout=io.StringIO())
    call_command("load_samples", stdout=io.StringIO())
    # One per layout: a user's own first run must not wait behind many.
    scenarios = {scenario.site_id: scenario for scenario in Scenario.objects.filter(is_default=True)}
    layouts = Layout.objects.filter(site__in=scenarios).select_related("site")
    asked = [(layout, scenarios[layout.site_id]) for layout in layouts]
    for layout, scenario in asked:
        services.run_create(layout=layout, scenario=scenario)
    return len(asked)


def first_user_create() -> tuple[str, str] | None:
    """Make the first user where there is none, and return name and password; only its hash is kept.

    The first user is a superuser, who can grant rights to the others.
    """
    user_model = get_user_model()
    if user_model.objects.exists():
        return None
    password = secrets.token_urlsafe(9)
    user_model.objects.create_superuser(FIRST_USER, password=password)
    return FIRST_USER, password
