"""The engineer's console: every list and form opens, edits are checked, secrets are shown once."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from facility import services
from facility.models import ApiToken, CoolingPlant, Layout, Product, Rack
from tests.small_site import new_rack, product, small_layout

pytestmark = pytest.mark.django_db
MODELS = [model for model in admin.site._registry if model._meta.app_label == "facility"]


@pytest.fixture
def console():
    client = Client()
    client.force_login(User.objects.create_superuser("engineer"))
    return client


@pytest.fixture
def layout():
    layout = small_layout()
    services.part_save(part=new_rack(layout))
    return layout


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_lists_and_forms_open(console, layout, model):
    name = f"admin:facility_{model._meta.model_name}"
    assert console.get(reverse(f"{name}_changelist") + "?q=a").status_code == 200
    row = model.objects.first()
    if row is not None:
        assert console.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200


def test_a_list_of_racks_takes_the_same_queries_however_long(console, layout, django_assert_max_num_queries):
    services.racks_create_row(hall=layout.halls.get(), row="B", n_racks=20, x_m=2, y_m=8, pitch_m=0.6)
    with django_assert_max_num_queries(16):
        console.get(reverse("admin:facility_rack_changelist"))


def form_values(page) -> dict:
    """Return what the form on a page would send unchanged."""
    form = page.context["adminform"].form
    return {name: "" if (value := form[name].value()) is None else value for name in form.fields}


def test_an_edit_goes_through_the_service_and_a_bad_one_is_refused(console, layout):
    rack = Rack.objects.get()
    address = reverse("admin:facility_rack_change", args=[rack.pk])
    values = form_values(console.get(address))
    assert console.post(address, values | {"x_m": 5}).status_code == 302
    assert Layout.objects.get().version == 3
    refused = console.post(address, values | {"x_m": 19.9})
    assert b"reaches x = 20.5 m, but hall Hall is 20 m wide" in refused.content
    plant = CoolingPlant.objects.get()
    address = reverse("admin:facility_coolingplant_change", args=[plant.pk])
    refused = console.post(address, form_values(console.get(address)) | {"supply_degc": 42})
    assert "CDU CDU-1 supplies 41 °C" in refused.content.decode()
    assert (Rack.objects.get().x_m, CoolingPlant.objects.get().supply_degc) == (5, 36)


def test_a_part_cannot_be_moved_to_another_layout(console, layout):
    other = services.layout_clone(layout=layout, name="Second")
    hall = layout.halls.get()
    address = reverse("admin:facility_hall_change", args=[hall.pk])
    refused = console.post(address, form_values(console.get(address)) | {"layout": other.pk})
    assert b"belongs to another layout and cannot be moved" in refused.content


def test_a_catalogue_entry_is_checked_by_its_schema(console, layout):
    cdu = product("cdus", "vertiv-xdu1350")
    address = reverse("admin:facility_product_change", args=[cdu.pk])
    values = form_values(console.get(address)) | {"field_confidence": "{}"}
    refused = console.post(address, values | {"facts": '{"type": "liquid_to_air", "capacity_w": -1}'})
    assert b"capacity_w is -1 W; must be from 1 to 1e+09 W." in refused.content
    assert Product.objects.get(pk=cdu.pk).fact("capacity_w") == 1_368_000


def test_a_secret_is_shown_once_and_works(console):
    user = User.objects.get()
    made = console.post(reverse("admin:facility_apitoken_add"), {"user": user.pk, "name": "ci"}, follow=True)
    secret = re.search(r"The secret of ci is (\S+) —", made.content.decode())[1]
    token = ApiToken.objects.get()
    assert token.digest == ApiToken.digest_of(secret)
    assert not token.read_only
    page = console.get(reverse("admin:facility_apitoken_change", args=[token.pk]))
    assert secret not in page.content.decode()
    assert Client().get("/api/sites/", headers={"authorization": f"Token {secret}"}).status_code == 200


def test_layouts_are_cloned_and_checked_from_the_list(console, layout):
    address = reverse("admin:facility_layout_changelist")
    console.post(address, {"action": "clone", "_selected_action": [layout.pk]})
    assert Layout.objects.filter(cloned_from=layout).count() == 1
    page = reverse("layout-findings", args=["small", "first"])
    assert f'href="{page}"' in console.get(address).content.decode()
    assert "Supply air of 25" in console.get(page).content.decode()


def test_deleting_a_plant_in_use_is_refused(console, layout):
    plant = CoolingPlant.objects.get()
    address = reverse("admin:facility_coolingplant_delete", args=[plant.pk])
    refused = console.post(address, {"post": "yes"})
    assert refused.status_code in (200, 403)
    assert CoolingPlant.objects.exists()


def test_the_console_says_beside_each_number_in_which_unit_it_is_stored(console, layout):
    plant = CoolingPlant.objects.first() or layout.cooling_plants.create(name="P")
    form = console.get(reverse("admin:facility_coolingplant_change", args=[plant.pk])).context["adminform"].form
    labels = {name: field.label for name, field in form.fields.items()}
    assert labels["supply_degc"] == "Supply [°C]"
    assert labels["design_rise_k"] == "Design rise [K]"
    assert labels["tank_m3"] == "Tank [m³]"
    feed = console.get(reverse("admin:facility_powerfeed_add")).context["adminform"].form
    assert feed.fields["rating_w"].label == "Rating [W]"
