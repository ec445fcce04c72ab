"""The JSON that drawing pages live on: who may read it, what it refuses and how many queries it takes."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.small_site import new_rack
from twin.core.figures_of_merit import HEADLINES
from twin.core.text.json_numbers import plain
from twin.core.text.numbers import band_text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue")]

MOST_QUERIES = {  # session, user, layout, scenarios and the snapshot's own; the answer's findings read the layout again
    "layout-state": 18, "layout-drill-result": 18, "layout-drill-ranking": 18, "layout-answer": 28,
}  # fmt: skip


def address(layout, name: str = "layout-state") -> str:
    return reverse(name, args=[layout.site.slug, layout.slug])


NAMES = ("layout-state", "layout-answer", "layout-drill-result", "layout-drill-ranking")


def test_a_stranger_finds_nothing(client, layout):
    client.force_login(get_user_model().objects.create_user("stranger", password="stranger"))
    assert {client.get(address(layout, name)).status_code for name in NAMES} == {404}


def test_nobody_is_sent_to_sign_in(client, layout):
    assert {client.get(address(layout, name)).status_code for name in NAMES} == {302}


def test_nothing_is_written_through_them(viewer, layout):
    assert {viewer.post(address(layout, name)).status_code for name in NAMES} == {405}


def test_a_state_has_every_object_at_every_hour(viewer, layout):
    cdu = layout.cdus.first()
    answer = viewer.get(address(layout), {"hours": "design,12", "out": f"cdu:{cdu.pk}", "scenario": "assistants"})
    body = json.loads(answer.content)
    assert answer.status_code == 200, body
    assert body["layout_version"] == layout.version
    assert body["converged"] is True
    assert [hour["label"] for hour in body["hours"]] == ["Design hour", "1 Jan 12:00"]
    assert [len(row) for row in body["racks"]["power_w"]] == [2, 2]
    assert len(body["totals"]["meter_power_w"]) == 2
    at = body["cdus"]["id"].index(cdu.pk)
    assert [row[at] for row in body["cdus"]["state"]] == ["dead", "dead"]
    assert body["racks"]["power_limit_w"] == [132000.0, 132000.0]


def test_only_asked_quantities_are_sent(viewer, layout):
    body = json.loads(viewer.get(address(layout), {"quantities": "power_w,heat_w"}).content)
    assert [q["name"] for q in body["quantities"]["racks"]] == ["power_w"]
    assert "junction_degc" not in body["racks"]


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({"scenario": "none"}, "scenario", "scenario is none; Small has assistants"),
        ({"hours": "noon"}, "hours", "hours has noon; must be design or 0 to 8759"),
        ({"hours": "8760"}, "hours", "hours has 8760"),
        ({"hours": ",".join(map(str, range(25)))}, "hours", "hours has 25 entries"),
        ({"out": "cdu:0"}, "out", "no cdu of id 0"),
        ({"quantities": "colour"}, "quantities", "quantities has colour"),
    ],
)
def test_what_cannot_be_answered_is_said(viewer, layout, asked, field, said):
    answer = viewer.get(address(layout), asked)
    body = json.loads(answer.content)
    assert answer.status_code == 400
    assert said in body["message"]
    assert body["extra"]["field"] == field


def test_a_layout_without_racks_says_so(viewer, layout):
    layout.halls.get().racks.all().delete()
    answer = viewer.get(address(layout))
    assert answer.status_code == 422
    assert "has no racks" in json.loads(answer.content)["message"]


def test_queries_do_not_grow_with_racks(viewer, layout):
    def counted() -> dict[str, int]:
        counts = {}
        for name in NAMES:
            with CaptureQueriesContext(connection) as queries:
                assert viewer.get(address(layout, name)).status_code == 200
            counts[name] = len(queries)
        return counts

    few = counted()
    for i in range(6):
        new_rack(layout, name=f"B-{i:02}", row="B", x_m=2.0 + 0.6 * i, y_m=8.0).save()
    assert counted() == few
    assert all(few[name] <= most for name, most in MOST_QUERIES.items())


def test_an_answer_has_figures_margins_and_findings(viewer, layout):
    answer = viewer.get(address(layout, "layout-answer"), {"scenario": "assistants"})
    body = json.loads(answer.content)
    assert answer.status_code == 200, body
    names = [row["name"] for row in body["figures"]]
    assert names == [figure.name for figure in HEADLINES] + ["peak_power_w", "pue"]
    assert all(row["text"] and row["low"] <= row["value"] <= row["high"] for row in body["figures"] if row["low"])
    for row in body["figures"]:
        assert row["band"] == band_text((row["low"], row["high"]) if row["low"] else None, row["value"])
    assert {row["unit"] for row in body["margins"]} == {"K", "%"}
    assert all(row["href"].startswith("/sites/small/") for row in (*body["margins"], *body["findings"]))
    assert body["n_findings"] == len(body["findings"]) == sum(body["n_by_severity"].values())
    assert "solved hours instead of 8,760" in body["approximation"]


def test_an_answer_follows_the_drawing(viewer, layout):
    before = json.loads(viewer.get(address(layout, "layout-answer")).content)
    new_rack(layout, name="B-01", row="B", x_m=2.0, y_m=8.0).save()
    after = json.loads(viewer.get(address(layout, "layout-answer")).content)
    tokens = [
        next(row["value"] for row in b["figures"] if row["name"] == "output_tokens_per_s") for b in (before, after)
    ]
    assert tokens[1] == pytest.approx(1.5 * tokens[0], rel=1e-5)  # three racks for two, as busy


def test_a_drill_shows_before_and_after(viewer, layout):
    cdu = layout.cdus.first()
    answer = viewer.get(address(layout, "layout-drill-result"), {"hour": "4711", "out": f"cdu:{cdu.pk}:2"})
    body = json.loads(answer.content)
    assert answer.status_code == 200, body
    assert [hour["index"] for hour in body["hours"]] == [4711]
    assert body["out"] == [f"cdu:{cdu.pk}:2"]
    assert body["lost_output_tokens_per_s"] > 0
    assert body["totals"]["output_tokens_per_s"] == [0.0]
    assert body["before"]["output_tokens_per_s"][0] == pytest.approx(body["lost_output_tokens_per_s"], rel=1e-5)
    assert body["racks"]["state"] == [["dead", "dead"]]
    assert len(body["racks"]["power_w"]) == 1
    assert [event["at_s"] for event in body["events"]] == sorted(event["at_s"] for event in body["events"])
    assert body["n_affected"] == len(body["affected"]) >= 4


def test_a_ranking_has_every_single_failure(viewer, layout):
    answer = viewer.get(address(layout, "layout-drill-ranking"))
    body = json.loads(answer.content)
    assert answer.status_code == 200, body
    assert {row["kind"] for row in body["failures"]} == {"feed", "cdu", "air_unit", "cooler", "plant_pump"}
    assert body["n_costly"] == sum(row["lost_tokens_per_s"] > 0 for row in body["failures"])
    assert body["message"]
    asked = viewer.get(address(layout, "layout-drill-result"), {"out": body["failures"][0]["out"]})
    assert asked.status_code == 200


def test_numbers_are_short_and_nothing_is_null():
    assert plain([1.23456789, 123456789.0, float("nan"), 0.0, -2.5e-7]) == [1.23457, 123457000.0, None, 0.0, -2.5e-7]
    assert json.dumps(plain([0.1 + 0.2, 1e6 / 3])) == "[0.3, 333333.0]"
