"""What several tests of the coupled twin start from: the shipped samples as the solvers read them."""

import json
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import transaction

from facility.models import Layout
from twin import snapshot
from twin.models import Scenario


@pytest.fixture(scope="session")
def sample_inputs(django_db_setup, django_db_blocker) -> Callable[..., dict]:
    """Return a function that gives the snapshot of a sample layout under a scenario, to be changed by a test."""
    with django_db_blocker.unblock(), transaction.atomic():
        call_command("load_catalogue", verbosity=0)
        call_command("load_samples", verbosity=0)
        taken = {}
        for layout in Layout.objects.select_related("site"):
            for scenario in Scenario.objects.filter(site=layout.site):
                taken[layout.path, scenario.slug] = snapshot.canonical(snapshot.snapshot(layout, scenario))
        transaction.set_rollback(True)
    return lambda path, scenario="assistants": json.loads(taken[path, scenario])
