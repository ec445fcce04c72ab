"""What no plant can be: refused alike by form, API, site file and command, with nothing half-written."""

from pathlib import Path

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from facility.entry.forms import CduForm, CoolingPlantForm, PowerFeedForm, RackForm
from facility.models import Layout, Membership, Rack
from tests.small_run import small_scenario
from tests.small_site import product
from twin.interchange.site_file import site_export

pytestmark = pytest.mark.django_db


@pytest.fixture
def layout() -> Layout:
    return small_scenario()[0]


@pytest.fixture
def planner(layout) -> APIClient:
    user = User.objects.create_user("planner")
    Membership.objects.create(site=layout.site, user=user, role="planner")
    client = APIClient()
    client.force_authenticate(user)
    return client


# kind of object, its name, field, bad value, the same in a site file (old line, new line), what is said
CASES = {
    "loop of feeds": (PowerFeedForm, "power-feeds", "T-A", "parent", "Busway-A", "circle"),
    "zero flow": (RackForm, "racks", "A-00", "coolant_flow_m3_per_s", 0, "leave it empty"),
    "coolant colder than its water": (CduForm, "cdus", "CDU-1", "supply_degc", 30, "cannot supply 30"),
    "water warmer than its CDUs": (CoolingPlantForm, "cooling-plants", "Plant", "supply_degc", 45, "CDU-1 supplies 41"),
    "no temperature rise": (CoolingPlantForm, "cooling-plants", "Plant", "design_rise_k", 0, "greater than or equal"),
    "set point beyond water": (CoolingPlantForm, "cooling-plants", "Plant", "supply_degc", 400, "less than or equal"),
}


def found(form_class, layout: Layout, name: str):
    model = form_class._meta.model
    rows = model.objects.filter(hall__layout=layout) if model is Rack else model.objects.filter(layout=layout)
    return rows.get(name=name)


@pytest.mark.parametrize("case", CASES)
def test_forms_refuse_it_beside_its_field(layout, case):
    form_class, _, name, field, value, said = CASES[case]
    thing = found(form_class, layout, name)
    before = form_class(instance=thing, layout=layout)
    data = {key: before.get_initial_for_field(bound, key) for key, bound in before.fields.items()}
    data = {key: getattr(given, "pk", given) for key, given in data.items() if given is not None}
    given = layout.power_feeds.get(name=value).pk if field == "parent" else value
    form = form_class(data | {field: given}, instance=thing, layout=layout)
    assert not form.is_valid()
    assert said in str(form.errors)


@pytest.mark.parametrize("case", CASES)
def test_the_api_refuses_it_and_writes_nothing(layout, planner, case):
    form_class, path, name, field, value, said = CASES[case]
    thing = found(form_class, layout, name)
    before = getattr(thing, field)
    given = layout.power_feeds.get(name=value).pk if field == "parent" else value
    refused = planner.patch(f"/api/{path}/{thing.pk}/", {field: given}, format="json")
    assert refused.status_code == 400
    assert said in str(refused.data)
    thing.refresh_from_db()
    assert getattr(thing, field) == before


@pytest.mark.parametrize("case", CASES)
def test_a_site_file_with_it_is_refused_by_api_and_command(layout, planner, case, tmp_path: Path):
    form_class, _, name, field, value, said = CASES[case]
    good = site_export(site=layout.site)
    bad = file_with(good, name, field, value)
    # A file is read from parents to children and names the CDU's side of a set point.
    said = {"CDU-1 supplies 41": "cannot supply 41", "circle": "list parents first"}.get(said, said)
    refused = planner.generic("POST", "/api/sites/import/?replace=true", bad.encode(), content_type="application/yaml")
    assert refused.status_code == 400
    assert said in refused.data["message"]
    file = tmp_path / "site.yaml"
    file.write_text(bad)
    with pytest.raises(CommandError, match=said):
        call_command("import_site", str(file), replace=True)
    assert site_export(site=layout.site) == good


def file_with(content: str, name: str, field: str, value: object) -> str:
    """Return a site file with one field of the first object of that name changed."""
    document = yaml.safe_load(content)
    pending = [document]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if node.get("name") == name:
                node[field] = value
                return yaml.safe_dump(document, sort_keys=False)
            node = list(node.values())
        pending += node if isinstance(node, list) else []
    raise AssertionError(f"no {name} in the file")


def test_a_rack_without_cdu_is_told_by_the_run(layout):
    product("accelerators", "gb200")
    Rack.objects.filter(hall__layout=layout, name="A-01").update(cdu=None)
    with pytest.raises(CommandError, match="Rack A-01 is liquid-cooled but not assigned to a CDU"):
        call_command("simulate", layout.path)
