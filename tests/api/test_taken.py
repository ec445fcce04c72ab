"""/api/taken-advice/ and /api/gains/: advice marked as taken on, its gain asked for; every refusal."""

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from facility.models import AuditEvent, Layout
from tests.api.conftest import caller, member
from tests.shipped import CATALOGUE, load_shipped
from tests.small_run import small_scenario
from twin.models import Study, TakenAdvice
from twin.telemetry import making, taken

TAKEN, GAINS = "/api/taken-advice/", "/api/gains/"
SINCE = "2026-07-08T06:00:00-05:00"


def row(name: str) -> dict:
    gain = {"value": -1.0, "low": -2.0, "high": -0.5, "probability": 0.9}
    return {
        "object": f"feed/{name}",
        "parameter": "eco_mode",
        "from": 0.0,
        "to": 1.0,
        "unit": "1",
        "gain": {"mean_power_w": gain, "tokens_per_joule": gain},
        "objects": [f"feed/{name}"],
        "margins_after": [],
        "worst_failure": {"text": "", "served_lost_tokens_per_s": 0.0},
        "note": "",
    }


@pytest.fixture
def advice(asked) -> Study:
    """An advice of two set points, on a layout as it is operated."""
    Layout.objects.filter(pk=asked.layout.pk).update(status="as_operated")
    asked.layout.refresh_from_db()
    result = {"figure": "tokens_per_joule", "advice": [row("UPS-A"), row("UPS-B")], "refused": [], "calibrated": 1}
    return Study.objects.create(
        kind="advice",
        layout=asked.layout,
        scenario=asked.scenario,
        figure="tokens_per_joule",
        status="done",
        finished_at=timezone.now(),
        result=result,
    )


def test_advice_is_marked_by_row_and_told_in_the_same_breath(advice, planner, viewer):
    told = planner.post(TAKEN, {"advice": str(advice.id), "taken_at": SINCE, "orders": [2]}, format="json")
    assert told.status_code == 201, told.json()
    mark = told.json()
    assert (mark["orders"], mark["layout"], mark["advice"]) == ([2], advice.layout.path, str(advice.id))
    assert mark["created_by"] == "planner-of-small"
    event = AuditEvent.objects.get(kind="advice taken on")
    assert (event.action, event.username, event.site_number) == ("created", "planner-of-small", advice.layout.site_id)
    assert (event.after["orders"], event.after["taken_at"]) == ([2], "2026-07-08 06:00:00-05:00")
    rest = planner.post(TAKEN, {"advice": str(advice.id), "taken_at": "2026-07-09T00:00:00Z"}, format="json")
    assert rest.json()["orders"] == [1]
    assert planner.post(TAKEN, {"advice": str(advice.id), "taken_at": SINCE}, format="json").status_code == 409
    listed = viewer.get(TAKEN, {"advice": str(advice.id), "site": "small"}).json()
    assert [one["orders"] for one in listed["results"]] == [[1], [2]]
    assert viewer.get(f"{TAKEN}{mark['id']}/").json() == mark
    assert planner.delete(f"{TAKEN}{mark['id']}/").status_code == 204
    assert AuditEvent.objects.filter(kind="advice taken on", action="deleted").count() == 1
    assert TakenAdvice.objects.get().orders == [1]


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"orders": [3]}, "orders", "There is no set point 3; the advice has 1 to 2."),
        ({"orders": [0]}, "orders", "greater than or equal to 1"),
        ({"orders": "all"}, "orders", "Expected a list"),
        ({"orders": []}, "orders", "may not be empty"),
        ({"taken_at": "2026-07-08T06:00:00"}, "taken_at", "without a zone"),
        ({"taken_at": "1950-01-01T00:00:00Z"}, "taken_at", "must lie from 1990 to now"),
        ({"taken_at": "2090-01-01T00:00:00Z"}, "taken_at", "must lie from 1990 to now"),
        ({"layout": "nowhere/first"}, "layout", "There is no layout"),
        ({"advice": "00000000-0000-0000-0000-000000000000"}, "advice", "does not exist"),
        ({"since": SINCE}, "since", ""),
    ],
)
def test_an_odd_mark_is_refused_by_field(advice, planner, wrong, field, said):
    told = planner.post(TAKEN, {"advice": str(advice.id), "taken_at": SINCE} | wrong, format="json")
    assert told.status_code == 400
    assert said in str(told.json()["extra"]["fields"][field])
    assert not TakenAdvice.objects.exists()


def test_only_a_layout_that_stands_and_an_advice_that_is_done(advice, planner):
    question = {"advice": str(advice.id), "taken_at": SINCE}
    Layout.objects.filter(pk=advice.layout_id).update(status="proposed")
    told = planner.post(TAKEN, question, format="json")
    assert "is proposed; name a layout that is as built or as operated" in str(told.json()["extra"]["fields"]["layout"])
    Layout.objects.filter(pk=advice.layout_id).update(status="as_built")
    Study.objects.filter(pk=advice.pk).update(status="failed")
    assert planner.post(TAKEN, question, format="json").status_code == 409
    calibration = Study.objects.create(
        kind="calibration",
        layout=advice.layout,
        scenario=advice.scenario,
        start_at=SINCE,
        end_at="2026-07-09T00:00:00Z",
    )
    told = planner.post(TAKEN, question | {"advice": str(calibration.id)}, format="json")
    assert told.status_code == 400
    elsewhere, _ = small_scenario("elsewhere")
    Study.objects.filter(pk=advice.pk).update(status="done")
    with pytest.raises(taken.ValidationError, match="belongs to another site"):
        taken.advice_take(advice, taken_at=timezone.now(), layout=elsewhere, user=None)


def test_who_does_not_operate_the_site_marks_and_measures_nothing(
    advice, viewer, reading_token, stranger, nobody, bells
):
    question = {"advice": str(advice.id), "taken_at": SINCE}
    for client, status in ((viewer, 403), (reading_token, 403), (stranger, 400), (nobody, 401)):
        assert client.post(TAKEN, question, format="json").status_code == status
    mark = taken.advice_take(advice, taken_at=timezone.now(), user=None)
    for client, status in ((viewer, 403), (reading_token, 403), (stranger, 404), (nobody, 401)):
        assert client.delete(f"{TAKEN}{mark.id}/").status_code == status
    for client, status in ((viewer, 403), (reading_token, 403), (stranger, 400), (nobody, 401)):
        assert client.post(GAINS, {"taken": mark.id}, format="json").status_code == status
    operator = caller(member(advice.layout.site, "operator"))
    assert operator.post(GAINS, {"taken": mark.id}, format="json").status_code == 202
    assert stranger.get(TAKEN).json()["count"] == 0


def test_a_gain_spans_what_lies_between_two_changes(advice, planner, bells):
    first = planner.post(TAKEN, {"advice": str(advice.id), "taken_at": SINCE, "orders": [1]}, format="json").json()
    then = "2026-07-20T00:00:00Z"
    second = planner.post(TAKEN, {"advice": str(advice.id), "taken_at": then}, format="json").json()
    asked = [planner.post(GAINS, {"taken": one["id"]}, format="json").json() for one in (first, second)]
    assert (asked[0]["start"], asked[0]["end"]) == ("2026-06-08T11:00:00Z", then)
    assert asked[1]["start"] == "2026-07-08T11:00:00Z"
    late = planner.post(GAINS, {"taken": first["id"], "end": "2026-07-21T00:00:00Z"}, format="json")
    assert late.status_code == 400
    assert "not after 2026-07-20 00:00 UTC" in str(late.json()["extra"]["fields"]["end"])
    early = planner.post(GAINS, {"taken": first["id"], "end": SINCE}, format="json")
    assert "end must come after 2026-07-08 11:00" in str(early.json()["extra"]["fields"]["end"])
    key = {"HTTP_IDEMPOTENCY_KEY": "a"}
    again = [planner.post(GAINS, {"taken": second["id"]}, format="json", **key).json()["id"] for _ in range(2)]
    assert again[0] == again[1] != asked[1]["id"]
    other = planner.post(GAINS, {"taken": first["id"]}, format="json", **key)
    assert other.status_code == 409
    assert planner.get(f"{TAKEN}{second['id']}/").json()["gains"] == [again[0], asked[1]["id"]]


def test_set_points_taken_on_at_one_time_in_two_marks_have_no_gain_each(advice, planner, client, bells):
    marks = [taken.advice_take(advice, taken_at=parse_datetime(SINCE), orders=[n], user=None) for n in (1, 2)]
    told = planner.post(GAINS, {"taken": marks[0].id}, format="json")
    assert told.status_code == 400
    assert "no reading tells their gains apart" in str(told.json()["extra"]["fields"]["taken"])
    client.force_login(advice.layout.site.memberships.get(user__username="planner-of-small").user)
    answer = client.post(reverse("gain-create", args=[marks[1].pk]))
    assert (answer.status_code, answer["Location"]) == (302, reverse("study-detail", args=[advice.pk]))
    assert not Study.objects.filter(kind="gain").exists()
    marks[1].delete()
    assert planner.post(GAINS, {"taken": marks[0].id}, format="json").status_code == 202


@pytest.mark.compiled
def test_a_gain_without_readings_says_so_plainly(advice, planner, viewer, bells):
    load_shipped(CATALOGUE)
    since = timezone.now() - timedelta(days=2)
    alone = taken.advice_take(advice, taken_at=since, orders=[2], user=None)
    made = planner.post(GAINS, {"taken": alone.id}, format="json")
    own = made["Location"]
    assert viewer.get(f"{own}days/").status_code == 409
    making.study_make(made.json()["id"])
    failed = planner.get(own).json()
    assert failed["status"] == "failed"  # both are moved together, by the first one's name
    assert "has no set point eco_mode of feed/UPS-B" in failed["message"]
    alone.delete()
    mark = taken.advice_take(advice, taken_at=since, orders=[1], user=None)
    made = planner.post(GAINS, {"taken": mark.id}, format="json")
    own = made["Location"]
    making.study_make(made.json()["id"])
    found = viewer.get(own).json()
    assert found["status"] == "done", found["message"]
    assert (found["result"]["state"], found["taken"]) == ("not enough readings yet", mark.id)
    assert "site|power_w" in found["result"]["reason"]
    saved = viewer.get(f"{own}days/")
    assert saved["Content-Type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(saved.content.decode())))
    assert table[-1]["verdict"].startswith("not enough readings yet: the site's meter")
