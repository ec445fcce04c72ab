"""/api/layouts/…/remedies/: what removes a finding, what that would do, taking it and taking it back."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from facility import services
from facility.models import Cdu, Membership
from tests.shipped import CATALOGUE, load_shipped
from twin.core.rules.remedies import REMEDIES

pytestmark = pytest.mark.compiled
FINDING = {"object_kind": "cdu", "rule": "coolant temperature"}


@pytest.fixture
def layout(asked):
    load_shipped(CATALOGUE)
    Cdu.objects.filter(layout=asked.layout).update(supply_degc=46)
    return asked.layout


@pytest.fixture
def address(layout) -> str:
    return f"/api/layouts/{layout.pk}/remedies/"


@pytest.fixture
def finding(layout) -> dict:
    return FINDING | {"object_id": layout.cdus.order_by("pk").first().pk}


def degc() -> set[float]:
    return set(Cdu.objects.values_list("supply_degc", flat=True))


def test_every_finding_of_the_rules_has_a_remedy_in_words(viewer, address):
    rows = viewer.get(address).json()
    assert rows
    assert all(row["remedy"] == REMEDIES[row["rule"]].text for row in rows)
    assert any(row["computed"] for row in rows)


def test_a_preview_shows_changes_findings_and_six_figures_and_changes_nothing(viewer, address, finding):
    body = viewer.get(f"{address}preview/", finding).json()
    assert {(change["field"], change["before"], change["after"]) for change in body["changes"]} == {
        ("supply", "46.0\u202f°C", "45.0\u202f°C")
    }
    assert "coolant temperature" in {row["rule"] for row in body["gone"]}
    assert body["n_after"] == body["n_before"] - len(body["gone"]) + len(body["fresh"])
    assert len(body["figures"]) == 8
    assert all(row["before"] is not None and row["change_text"] for row in body["figures"])
    assert degc() == {46}


def test_a_remedy_is_taken_and_taken_back(planner, address, finding, layout):
    version = planner.get(f"{address}preview/", finding).json()["version"]
    taken = planner.post(address, finding | {"version": version}, format="json")
    assert taken.status_code == 200, taken.json()
    assert degc() == {45}
    again = planner.post(address, finding | {"version": version}, format="json")
    assert again.status_code == 409
    gone = planner.post(address, finding | {"version": taken.json()["version"]}, format="json")
    assert gone.status_code == 422
    assert "finds nothing" in gone.json()["message"]
    undone = planner.post(f"{address}undo/", {"undo": taken.json()["undo"]}, format="json")
    assert undone.json()["version"] > taken.json()["version"]
    assert degc() == {46}


def test_undo_is_refused_where_somebody_changed_what_the_remedy_changed(planner, client, address, finding, layout):
    taken = planner.post(address, finding | {"version": layout.version}, format="json").json()
    cdu = Cdu.objects.get(pk=finding["object_id"])
    cdu.name = "Ours"
    services.part_save(part=cdu, fields={"name"})
    refused = planner.post(f"{address}undo/", {"undo": taken["undo"]}, format="json")
    assert refused.status_code == 409
    assert "Somebody has changed" in refused.json()["message"]
    here = [layout.site.slug, layout.slug]
    page = browser(client, layout, "planner").post(
        reverse("layout-remedy-undo", args=here), {"undo": taken["undo"]}, follow=True
    )
    assert "Somebody has changed" in page.content.decode()
    assert degc() == {45}


def test_bad_questions_name_field_and_value(planner, address, finding, layout):
    assert planner.get(f"{address}preview/", {"object_kind": "cdu"}).status_code == 400
    unknown = planner.get(f"{address}preview/", finding | {"scenario": "nobody"})
    assert "nobody" in unknown.json()["message"]
    words = planner.get(f"{address}preview/", FINDING | {"rule": "no such rule"})
    assert words.status_code == 422
    undo = planner.post(f"{address}undo/", {"undo": "made up"}, format="json")
    assert undo.status_code == 400


def test_all_findings_of_a_rule_are_previewed_taken_and_taken_back_together(planner, client, address, layout):
    asked = {"rule": "coolant temperature", "all": True}
    shown = planner.get(f"{address}preview/", asked).json()
    assert shown["left"] == []
    assert {change["kind"] for change in shown["changes"]} == {"cdu"}
    taken = planner.post(address, asked | {"version": shown["version"]}, format="json").json()
    assert taken["changes"] == shown["changes"]
    assert degc() == {45}
    planner.post(f"{address}undo/", {"undo": taken["undo"]}, format="json")
    assert degc() == {46}
    refused = planner.post(address, {"rule": "coolant temperature", "version": 1}, format="json")
    assert refused.status_code == 400
    assert "name the finding's object, or set all" in str(refused.json())
    none = planner.get(f"{address}preview/", {"rule": "overlap", "all": True})
    assert none.status_code == 422
    here = [layout.site.slug, layout.slug]
    page = browser(client, layout, "planner")
    told = {"rule": "coolant temperature", "all": "on"}
    assert "Apply to all" in page.get(reverse("layout-remedy", args=here), told).content.decode()
    layout.refresh_from_db()
    page.post(reverse("layout-remedy", args=here), told | {"version": layout.version})
    assert degc() == {45}


def test_only_who_may_change_the_site_takes_it(viewer, stranger, address, finding):
    body = finding | {"version": 1}
    assert viewer.post(address, body, format="json").status_code == 403
    assert stranger.get(f"{address}preview/", finding).status_code == 404
    assert 45 not in degc()


def browser(client, layout, role: str):
    user = get_user_model().objects.create_user("somebody")
    Membership.objects.create(site=layout.site, user=user, role=role)
    client.force_login(user)
    return client


def test_the_page_previews_takes_and_undoes(client, layout, finding):
    planner = browser(client, layout, "planner")
    here = [layout.site.slug, layout.slug]
    page = planner.get(reverse("layout-findings", args=here)).content.decode()
    assert REMEDIES["coolant temperature"].text in page
    asked = {"kind": "cdu", "id": finding["object_id"], "rule": "coolant temperature"}
    shown = planner.get(reverse("layout-remedy", args=here), asked)
    assert "Apply the remedy" in shown.content.decode()
    assert len(shown.context["shown"].figures) == 8
    taken = planner.post(reverse("layout-remedy", args=here), asked | {"version": layout.version})
    assert degc() == {45}
    planner.post(reverse("layout-remedy-undo", args=here), {"undo": taken.context["taken"].undo})
    assert degc() == {46}


def test_the_page_of_a_finding_without_a_computed_remedy_says_what_to_do(client, layout):
    viewer = browser(client, layout, "viewer")
    here = [layout.site.slug, layout.slug]
    page = viewer.get(reverse("layout-remedy", args=here), {"kind": "rack", "id": "7", "rule": "floor load"})
    assert "finds nothing" in page.content.decode()
