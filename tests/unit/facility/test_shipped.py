"""What tests load in place of the commands is what the commands load."""

import io

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from facility.models import AuditEvent, Cdu, Layout, PowerFeed, Product, Rack, Site, Weather
from tests import small_run
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from tests.small_site import product
from twin.models import Scenario, ScenarioWorkload

pytestmark = pytest.mark.django_db
STAMPS = ("created_at", "updated_at", "at")


def _described(model) -> list[dict]:
    rows = [row["fields"] for row in serializers.serialize("python", model.objects.all())]
    plain = ({name: str(v) for name, v in row.items() if name not in STAMPS} for row in rows)
    return sorted(plain, key=str)


def test_a_catalogue_beside_a_product_is_that_of_the_command():
    product("systems", "dgx-h200")
    load_shipped(CATALOGUE)
    found = [_described(model) for model in (Product, Weather)]
    call_command("load_catalogue", verbosity=0, stdout=(said := io.StringIO()))
    assert all("(0 new, " in line for line in said.getvalue().splitlines()[:-1])
    assert found == [_described(model) for model in (Product, Weather)]


@pytest.mark.slow
def test_samples_are_those_of_the_command():
    load_shipped(CATALOGUE, SAMPLES)
    sizes = {model: model.objects.count() for model in (Site, Layout, Rack, Scenario)}
    assert all(sizes.values())
    assert all(rack.product.kind == "systems" for rack in Rack.objects.exclude(product=None).select_related("product"))
    call_command("load_samples", replace=True, verbosity=0, stdout=io.StringIO())
    assert sizes == {model: model.objects.count() for model in sizes}


def test_a_small_site_put_in_again_is_the_one_that_was_described():
    small_run._small_rows.cache_clear()
    small_run._small_rows("small")  # recorded anew, with the keys that the next rows get here
    began = timezone.now()
    kinds = (Product, Weather, Site, Layout, Rack, Cdu, PowerFeed, Scenario, ScenarioWorkload, AuditEvent)
    with transaction.atomic():
        layout, scenario = small_run.small_scenario()
        assert (layout.site, scenario.site) == (Site.objects.get(), layout.site)
        assert layout.updated_at == Layout.objects.get().updated_at >= began
        put_in = [_described(model) for model in kinds]
        transaction.set_rollback(True)
    small_run.described_scenario("small")
    assert all(put_in)
    assert put_in == [_described(model) for model in kinds]
