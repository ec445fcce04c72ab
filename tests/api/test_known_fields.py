"""A field that a body may not hold is refused by name, whatever the resource: nothing sent is left out in silence."""

import pytest
from drf_spectacular.generators import SchemaGenerator

from facility.models import Layout, Rack, Site


@pytest.fixture
def bodies(asked) -> list[tuple[str, str]]:
    """Return method and address of all that takes a JSON body, numbers filled in from the small site."""
    rack = Rack.objects.filter(hall__layout=asked.layout).first()
    of_layout = {
        name: getattr(asked.layout, name).first() for name in ("halls", "cdus", "power_feeds", "cooling_plants")
    }
    numbers = {name.replace("_", "-"): part.pk for name, part in of_layout.items()}
    numbers |= {"racks": rack.pk, "layouts": asked.layout.pk, "scenarios": asked.scenario.pk, "sites": asked.site.slug}
    found = []
    for path, methods in SchemaGenerator().get_schema(request=None, public=True)["paths"].items():
        resource = path.split("/")[2]
        if "{" in path and (resource not in numbers or path.count("{") > 1):
            continue
        address = path.replace("{id}", str(numbers.get(resource))).replace("{slug}", str(numbers.get(resource)))
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            shape = content.get("application/json", {}).get("schema", {})
            if shape.get("$ref", "").endswith("Request") and "{" not in address:
                found.append((method, address))
    return found


def test_every_body_refuses_a_field_it_does_not_have(bodies, planner, asked):
    assert len(bodies) >= 25
    before = Layout.objects.get(pk=asked.layout.pk).version, Site.objects.count()
    for method, address in bodies:
        answer = getattr(planner, method)(address, {"supply_degc_": 1}, format="json")
        if answer.status_code == 403:  # adding products, or making sites, is not a planner's
            continue
        assert answer.status_code == 400, f"{method} {address}: {answer.status_code} {answer.content[:200]}"
        assert "supply_degc_ is no field here; there are " in answer.json()["message"], f"{method} {address}"
    assert (Layout.objects.get(pk=asked.layout.pk).version, Site.objects.count()) == before


def test_a_field_within_a_list_is_refused_too(planner, asked):
    workload = {"workload": "chat", "accelerator_share": 0.5}
    answer = planner.patch(f"/api/scenarios/{asked.scenario.pk}/", {"workloads": [workload]}, format="json")
    assert answer.status_code == 400
    assert "accelerator_share is no field here" in str(answer.json())


def test_what_was_given_out_may_come_back_whole(planner, asked):
    cdu = asked.layout.cdus.first()
    given = planner.get(f"/api/cdus/{cdu.pk}/").json()
    assert planner.put(f"/api/cdus/{cdu.pk}/", given, format="json").status_code == 200
