"""/api/layouts/{id}/: states, answers, drills, rankings, repairs and diagram texts of a layout as it is described.

Who may ask, what is refused, that answers have the documented shapes, and how many queries they take.
"""

import json

import jsonschema
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from facility.models import Layout
from tests.shipped import CATALOGUE, load_shipped
from tests.small_site import new_rack
from twin.core.figures_of_merit import HEADLINES
from twin.core.text.json_numbers import plain
from twin.core.text.numbers import band_text
from twin.models import Scenario

NAMES = ("state", "answer", "drill", "rankings", "repairs", "one-line", "loop")
MOST_QUERIES = 21  # token, layout, scenarios and the snapshot's own; diagrams and findings read the layout again
READ_AGAIN = {"answer": 10, "one-line": 10, "loop": 10}

PROBLEM = {"type", "title", "status", "detail", "instance", "message", "extra"}


@pytest.fixture
def layout(asked) -> Layout:
    """Return a layout that can be solved: with the whole catalogue."""
    load_shipped(CATALOGUE)
    return asked.layout


def address(layout: Layout, name: str) -> str:
    return f"/api/layouts/{layout.pk}/{name}/"


def test_only_who_may_see_the_site_gets_an_answer(asked, viewer, stranger, nobody):
    for name in NAMES:
        assert nobody.get(address(asked.layout, name)).status_code == 401
        for answer in (stranger.get(address(asked.layout, name)), viewer.get(f"/api/layouts/999999/{name}/")):
            assert answer.status_code == 404
            assert set(answer.json()) == PROBLEM


def test_nothing_is_written_through_them(asked, planner):
    for name in NAMES:
        answer = planner.post(address(asked.layout, name), {})
        assert answer.status_code == 405
        assert set(answer.json()) == PROBLEM


def test_the_old_addresses_are_gone(client, asked):
    here = f"/sites/{asked.site.slug}/{asked.layout.slug}"
    for old in (
        "state",
        "answer",
        "drill/result",
        "drill/ranking",
        "drill/shown",
        "one-line/values",
        "loop/values",
        "edits",
    ):
        assert client.get(f"{here}/{old}/").status_code == 404


@pytest.mark.compiled
def test_every_answer_has_the_documented_shape(layout, viewer, reading_token):
    layout.cdus.order_by("pk").last().delete()  # without a spare there is something to repair
    cdu = layout.cdus.get()
    schema = viewer.get("/api/schema/", HTTP_ACCEPT="application/json").json()
    asks = {"state": {"hours": "design,12", "out": f"cdu:{cdu.pk}"}, "drill": {"hour": 12, "out": f"cdu:{cdu.pk}:1"}}
    for name in NAMES:
        answer = reading_token.get(address(layout, name), asks.get(name, {}))
        assert answer.status_code == 200, answer.json()
        operation = schema["paths"][f"/api/layouts/{{id}}/{name}/"]["get"]
        assert {"400", "401", "404", "422"} <= set(operation["responses"])
        shape = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(json.loads(answer.content), json_schema(shape, schema))
    assert answer.headers["Cache-Control"].startswith("max-age=0")


def json_schema(shape: dict, document: dict) -> dict:
    """Return a shape of the OpenAPI document as JSON schema: references resolved, nothing beside what is named."""
    if "$ref" in shape:
        return json_schema(document["components"]["schemas"][shape["$ref"].rpartition("/")[2]], document)
    if len(shape.get("allOf", ())) == 1:
        return json_schema(shape["allOf"][0], document)
    found = {name: value for name, value in shape.items() if name not in ("nullable", "readOnly")}
    if "properties" in shape:
        found["properties"] = {name: json_schema(of, document) for name, of in shape["properties"].items()}
        found["additionalProperties"] = False
    elif isinstance(shape.get("additionalProperties"), dict) and shape["additionalProperties"]:
        found["additionalProperties"] = json_schema(shape["additionalProperties"], document)
    if "items" in shape:
        found["items"] = json_schema(shape["items"], document)
    return {"anyOf": [found, {"type": "null"}]} if shape.get("nullable") else found


def test_the_document_names_the_parameters(viewer):
    paths = viewer.get("/api/schema/", HTTP_ACCEPT="application/json").json()["paths"]
    taken = {
        name: {one["name"] for one in paths[f"/api/layouts/{{id}}/{name}/"]["get"]["parameters"]} for name in NAMES
    }
    assert taken["state"] == {"id", "scenario", "hours", "out", "quantities"}
    assert taken["drill"] == {"id", "scenario", "hour", "out", "quantities"}
    assert taken["answer"] == taken["rankings"] == taken["repairs"] == {"id", "scenario"}
    assert taken["one-line"] == taken["loop"] == {"id", "scenario", "hours"}


@pytest.mark.compiled
def test_a_state_has_every_object_at_every_hour(layout, viewer):
    cdu = layout.cdus.first()
    answer = viewer.get(
        address(layout, "state"), {"hours": "design,12", "out": f"cdu:{cdu.pk}", "scenario": "assistants"}
    )
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["layout_version"] == layout.version
    assert body["converged"] is True
    assert [hour["label"] for hour in body["hours"]] == ["Design hour", "1 Jan 12:00"]
    assert [hour["index"] for hour in body["hours"]] == ["design", 12]
    assert [len(row) for row in body["racks"]["power_w"]] == [2, 2]
    assert len(body["totals"]["meter_power_w"]) == 2
    at = body["cdus"]["id"].index(cdu.pk)
    assert [row[at] for row in body["cdus"]["state"]] == ["dead", "dead"]
    assert body["racks"]["power_limit_w"] == [132000.0, 132000.0]


@pytest.mark.compiled
def test_only_asked_quantities_are_sent(layout, viewer):
    body = viewer.get(address(layout, "state"), {"quantities": "power_w,heat_w"}).json()
    assert [q["name"] for q in body["quantities"]["racks"]] == ["power_w"]
    assert "junction_degc" not in body["racks"]


def test_what_cannot_be_answered_is_said(layout, viewer, stranger):
    foreign = Scenario.objects.exclude(site=layout.site).get()
    foreign.slug = "theirs"
    foreign.save()
    feed = layout.power_feeds.get(name="UPS-A").pk
    for name, field, value, said in (
        ("state", "scenario", "none", "scenario is none; Small has assistants."),
        ("rankings", "scenario", "theirs", "scenario is theirs; Small has assistants."),
        ("answer", "scenario", "theirs", "scenario is theirs; Small has assistants."),
        ("repairs", "scenario", "theirs", "scenario is theirs; Small has assistants."),
        ("state", "hours", "noon", "hours has noon; must be design or 0 to 8759"),
        ("state", "hours", "-1", "hours has -1"),
        ("state", "hours", "8760", "hours has 8760"),
        ("state", "hours", "9" * 5000, "hours has 999"),
        ("state", "hours", "1,,2", "hours has an empty entry"),
        ("loop", "hours", ",".join(map(str, range(25))), "hours has 25 entries; at most 24"),
        ("one-line", "hours", "1.5", "hours has 1.5"),
        ("drill", "hour", "1,2", "hour is 1,2; must be design or 0 to 8759."),
        ("drill", "hour", "8760", "hour is 8760"),
        ("state", "out", "cdu:0", "no cdu of id 0"),
        ("drill", "out", "boiler:1", "boiler cannot fail here"),
        ("drill", "out", "feed", "write feed:id"),
        ("drill", "out", "feed:" + "9" * 5000, "write feed:id"),
        ("drill", "out", f"feed:{feed}:2", "2 units of UPS-A out in all; there are 1"),
        ("state", "quantities", "colour", "quantities has colour; there are"),
        ("drill", "hours", "1", "hours is no parameter here; there are hour, out, quantities, scenario."),
        ("answer", "out", "cdu:1", "out is no parameter here; there are scenario."),
    ):
        answer = viewer.get(address(layout, name), {field: value})
        body = answer.json()
        assert (answer.status_code, set(body)) == (400, PROBLEM), (name, value)
        assert said in body["message"]
        assert body["message"] == body["extra"]["fields"][field][0]


def test_a_layout_that_cannot_be_solved_says_what_it_lacks(layout, viewer):
    layout.halls.get().racks.all().delete()
    for name in NAMES:
        answer = viewer.get(address(layout, name))
        assert answer.status_code == 422
        assert "has no racks" in answer.json()["message"]
    layout.site.scenarios.all().delete()
    answer = viewer.get(address(layout, "state"))
    assert answer.status_code == 400
    assert "Small has no scenario" in answer.json()["message"]


@pytest.mark.compiled
def test_pages_ask_with_their_session(layout):
    browser = Client()
    browser.force_login(layout.site.memberships.create(user=_user("reader"), role="viewer").user)
    assert browser.get(address(layout, "answer")).status_code == 200


def _user(name: str):
    from django.contrib.auth import get_user_model

    return get_user_model().objects.create_user(name)


@pytest.mark.compiled
def test_queries_do_not_grow_with_racks(layout, viewer):
    def counted() -> dict[str, int]:
        counts = {}
        for name in NAMES:
            with CaptureQueriesContext(connection) as queries:
                assert viewer.get(address(layout, name)).status_code == 200
            counts[name] = len(queries)
        return counts

    counted()  # notes that the token was used
    few = counted()
    for i in range(6):
        new_rack(layout, name=f"B-{i:02}", row="B", x_m=2.0 + 0.6 * i, y_m=8.0).save()
    assert counted() == few
    assert all(few[name] <= MOST_QUERIES + READ_AGAIN.get(name, 0) for name in NAMES), few


@pytest.mark.compiled
def test_an_answer_has_figures_margins_and_findings(layout, viewer):
    body = viewer.get(address(layout, "answer"), {"scenario": "assistants"}).json()
    names = [row["name"] for row in body["figures"]]
    assert names == [figure.name for figure in HEADLINES] + ["peak_power_w", "pue"]
    assert all(row["text"] and row["low"] <= row["value"] <= row["high"] for row in body["figures"] if row["low"])
    for row in body["figures"]:
        assert row["band"] == band_text((row["low"], row["high"]) if row["low"] else None, row["value"])
    assert {row["unit"] for row in body["margins"]} == {"K", "%"}
    assert all(row["href"].startswith("/sites/small/") for row in (*body["margins"], *body["findings"]))
    assert body["n_findings"] == len(body["findings"]) == sum(body["n_by_severity"].values())
    assert "solved hours instead of 8,760" in body["approximation"]


@pytest.mark.compiled
def test_an_answer_follows_the_drawing(layout, viewer):
    before = viewer.get(address(layout, "answer")).json()
    new_rack(layout, name="B-01", row="B", x_m=2.0, y_m=8.0).save()
    after = viewer.get(address(layout, "answer")).json()
    tokens = [
        next(row["value"] for row in b["figures"] if row["name"] == "output_tokens_per_s") for b in (before, after)
    ]
    assert tokens[1] == pytest.approx(1.5 * tokens[0], rel=1e-5)  # three racks for two, as busy


@pytest.mark.compiled
def test_a_drill_shows_before_and_after(layout, viewer):
    cdu = layout.cdus.first()
    body = viewer.get(address(layout, "drill"), {"hour": "4711", "out": f"cdu:{cdu.pk}:2"}).json()
    assert [hour["index"] for hour in body["hours"]] == [4711]
    assert body["out"] == [f"cdu:{cdu.pk}:2"]
    assert body["lost_output_tokens_per_s"] > 0
    assert body["totals"]["output_tokens_per_s"] == [0.0]
    assert body["before"]["output_tokens_per_s"][0] == pytest.approx(body["lost_output_tokens_per_s"], rel=1e-5)
    assert body["racks"]["state"] == [["dead", "dead"]]
    assert len(body["racks"]["power_w"]) == 1
    assert [event["at_s"] for event in body["events"]] == sorted(event["at_s"] for event in body["events"])
    assert body["n_affected"] == len(body["affected"]) >= 4


@pytest.mark.compiled
def test_single_failures_are_ranked_drilled_and_repaired(layout, viewer):
    layout.cdus.order_by("pk").last().delete()  # leaves one CDU without a spare
    body = viewer.get(address(layout, "rankings")).json()
    assert {row["kind"] for row in body["failures"]} == {"feed", "cdu", "air_unit", "cooler", "plant_pump"}
    assert body["n_costly"] == sum(row["lost_tokens_per_s"] > 0 for row in body["failures"]) > 0
    assert "cost token capacity" in body["message"]
    worst = next(row for row in body["failures"] if row["kind"] == "cdu")
    drilled = viewer.get(address(layout, "drill"), {"out": worst["out"]}).json()
    assert drilled["lost_capacity_tokens_per_s"] == pytest.approx(worst["lost_tokens_per_s"], rel=1e-5)
    tried = viewer.get(address(layout, "repairs")).json()["repairs"]
    repairs = [row for row in tried if row["failure"] == worst["out"]]
    assert repairs[0]["text"].startswith("One more CDU in A")
    assert repairs[0]["recovers_tokens_per_s"] == pytest.approx(worst["lost_tokens_per_s"], rel=0.01)


@pytest.mark.compiled
def test_a_diagram_says_what_its_page_shows(layout, viewer):
    browser = Client()
    browser.force_login(layout.site.memberships.first().user)
    html = browser.get(f"/sites/small/{layout.slug}/one-line/?hour=12").content.decode()
    body = viewer.get(address(layout, "one-line"), {"hours": "11,12"}).json()
    assert [hour["label"] for hour in body["hours"]] == ["1 Jan 11:00", "1 Jan 12:00"]
    for node in body["nodes"][1].values():
        assert node["state"] in ("ok", "throttled", "over", "partly", "dead")
        assert all(f">{escape(text)}</text>" in html for text in node["texts"])
    assert all(figure["text"] in html for figure in body["figures"][1])
    assert body["nodes"][0] != body["nodes"][1]
    assert set(body["rows"][1]) == {f"feeds-{feed.id}" for feed in layout.power_feeds.all()}
    assert any(key.startswith("plants-") for key in viewer.get(address(layout, "loop")).json()["rows"][0])


def test_numbers_are_short_and_nothing_is_null():
    assert plain([1.23456789, 123456789.0, float("nan"), 0.0, -2.5e-7]) == [1.23457, 123457000.0, None, 0.0, -2.5e-7]
    assert json.dumps(plain([0.1 + 0.2, 1e6 / 3])) == "[0.3, 333333.0]"
