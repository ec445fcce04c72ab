"""/api/telemetry/comparisons/, diagnoses/ and calibrations/: asked, made by a worker, read, accepted; every refusal."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from facility.models import Layout, Rack
from tests.api.conftest import caller, member
from tests.shipped import CATALOGUE, SAMPLES, load_shipped
from tests.small_run import small_scenario
from twin.models import Study
from twin.telemetry import making, studies

ADVICE = "/api/advice/"
COMPARISONS, DIAGNOSES, CALIBRATIONS = "/api/telemetry/comparisons/", "/api/diagnoses/", "/api/calibrations/"
ADDRESSES = {COMPARISONS: "comparison", DIAGNOSES: "diagnosis", CALIBRATIONS: "calibration"}
LAYOUT = "sterling/gb200-nvl72"
START, END = "2026-07-01T06:00:00-05:00", "2026-07-02T06:00:00-05:00"


@pytest.fixture
def question(asked) -> dict:
    return {"layout": asked.layout.path, "scenario": asked.scenario.slug, "start": START, "end": END}


def ended(asked, kind: str = "calibration", status: str = "failed", **fields) -> Study:
    return Study.objects.create(
        kind=kind,
        layout=asked.layout,
        scenario=asked.scenario,
        start_at=START,
        end_at=END,
        status=status,
        finished_at=timezone.now(),
        **fields,
    )


@pytest.mark.compiled
def test_readings_are_compared_diagnosed_calibrated_and_the_fit_accepted(db, tmp_path, bells):
    load_shipped(CATALOGUE, SAMPLES)
    out = tmp_path / "points.csv"
    truth = tmp_path / "truth.yaml"
    truth.write_text("[{object: 'cdu/CDU-1a|secondary_return_degc', parameter: sensor_bias, value: 0.8}]")
    call_command("publish_telemetry", LAYOUT, start=START, hours=24, step=3600, noise="1", truth=truth, out=out)
    layout = Layout.objects.get(site__slug="sterling", slug="gb200-nvl72")
    planner = caller(member(layout.site, "engineer"))
    sent = planner.post("/api/telemetry/batches/?site=sterling", out.read_bytes(), content_type="text/csv")
    assert sent.json()["accepted"] == len(list(csv.DictReader(io.StringIO(out.read_text()))))
    found = {}
    for address in ADDRESSES:
        asked = planner.post(address, {"layout": LAYOUT, "start": START, "end": END}, format="json")
        assert asked.status_code == 202, asked.json()
        assert asked.json()["status"] == "queued"
        making.study_make(asked.json()["id"])
        found[address] = planner.get(asked["Location"]).json()
        assert found[address]["status"] == "done", found[address]["message"]
    points = {(row["object"], row["quantity"]): row for row in found[COMPARISONS]["result"]["points"]}
    assert 0.6 < points["cdu/CDU-1a", "secondary_return_degc"]["rmse_k"] < 1.0
    assert points["cdu/CDU-1b", "secondary_return_degc"]["rmse_k"] < 0.3
    faults = found[DIAGNOSES]["result"]["faults"]
    assert (faults[0]["object"], faults[0]["kind"]) == ("cdu/CDU-1a|secondary_return_degc", "sensor_bias")
    calibration = found[CALIBRATIONS]
    assert calibration["result"]["accepted"], calibration["result"]["reason"]
    assert calibration["accepted_as"] is None
    assert calibration["result"]["faults"][0]["object"] == "cdu/CDU-1a|secondary_return_degc"
    accept = f"{CALIBRATIONS}{calibration['id']}/accept/"
    assert planner.post(accept, {"name": ""}, format="json").status_code == 400
    told = planner.post(accept, {"name": "As of July"}, format="json")
    assert told.status_code == 201, told.json()
    made = Layout.objects.get(site__slug="sterling", slug=told.json()["layout"].partition("/")[2])
    assert (made.name, made.status) == ("As of July", "as_operated")
    assert planner.get(f"{CALIBRATIONS}{calibration['id']}/").json()["accepted_as"] == made.path
    again = planner.post(accept, {"name": "Again"}, format="json")
    assert again.status_code == 409
    assert "already" in again.json()["message"]
    made.delete()
    Rack.objects.filter(hall__layout=layout).first().delete()
    changed = planner.post(accept, {"name": "Again"}, format="json")
    assert changed.status_code == 409
    assert "has changed since" in changed.json()["message"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_whoever_may_not_change_the_site_reads_only_and_strangers_find_nothing(
    asked,
    planner,
    viewer,
    stranger,
    nobody,
    reading_token,
    question,
    bells,
    address,
    django_capture_on_commit_callbacks,
):
    with django_capture_on_commit_callbacks(execute=True):
        made = planner.post(address, question, format="json").json()
    assert bells == [made["id"]]
    own = f"{address}{made['id']}/"
    assert viewer.get(address).json()["results"] == [made]
    assert viewer.get(own).json()["result"] is None
    assert viewer.get(address, {"status": "done"}).json()["count"] == 0
    for client, status in ((viewer, 403), (reading_token, 403), (stranger, 400), (nobody, 401)):
        assert client.post(address, question, format="json").status_code == status
    for client, status in ((viewer, 403), (reading_token, 403), (stranger, 404), (nobody, 401)):
        assert client.delete(own).status_code == status
        assert client.post(f"{own}retry/").status_code == status
    assert stranger.get(own).status_code == 404
    assert stranger.get(address).json()["count"] == 0
    for other in set(ADDRESSES) - {address}:
        assert viewer.get(f"{other}{made['id']}/").status_code == 404
    assert Study.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"layout": "nowhere/first"}, "layout", "There is no layout"),
        ({"scenario": "nothing"}, "scenario", "has no scenario nothing"),
        ({"start": "2026-07-01T00:00:00"}, "start", "without a zone"),
        ({"start": "yesterday"}, "start", "must be a time"),
        ({"start": "1950-01-01T00:00:00Z"}, "start", "must lie from 1990"),
        ({"end": START}, "end", "must come after start"),
        ({"end": "2029-07-01T00:00:00Z"}, "end", "longer than 400 days"),
        ({"parameters": ["mood"]}, "parameters", "mood"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_by_field(planner, question, bells, wrong, field, said):
    told = planner.post(CALIBRATIONS, question | wrong, format="json")
    assert told.status_code == 400
    assert said in str(told.json()["extra"]["fields"][field])
    assert not Study.objects.exists()


def test_the_same_key_gives_the_same_study_and_never_another_question(asked, planner, question, bells):
    key = {"HTTP_IDEMPOTENCY_KEY": "a"}
    first = planner.post(DIAGNOSES, question, format="json", **key).json()
    assert planner.post(DIAGNOSES, question, format="json", **key).json()["id"] == first["id"]
    assert planner.post(DIAGNOSES, question | {"end": "2026-07-03T00:00:00Z"}, format="json", **key).status_code == 409
    assert planner.post(CALIBRATIONS, question, format="json", **key).status_code == 409
    long = planner.post(DIAGNOSES, question, format="json", HTTP_IDEMPOTENCY_KEY="k" * 121)
    assert long.status_code == 400
    assert Study.objects.count() == 1


def test_a_study_is_cancelled_and_queued_again(asked, planner, question, bells):
    made = planner.post(COMPARISONS, question, format="json").json()
    own = f"{COMPARISONS}{made['id']}/"
    assert planner.post(f"{own}retry/").status_code == 409
    assert planner.delete(own).json()["status"] == "cancelled"
    assert planner.delete(own).status_code == 409
    assert planner.post(f"{own}retry/").json()["status"] == "queued"


def test_what_the_readings_do_not_hold_is_said_in_the_study(asked, planner, question, bells):
    made = planner.post(DIAGNOSES, question, format="json").json()
    making.study_make(made["id"])
    told = planner.get(f"{DIAGNOSES}{made['id']}/").json()
    assert told["status"] == "failed"
    assert told["message"]
    assert "fault of this program" not in told["message"]


def test_only_a_calibration_that_holds_can_be_accepted(asked, planner, viewer, bells):
    failed = ended(asked)
    address = f"{CALIBRATIONS}{failed.id}/accept/"
    for may_not in (viewer, planner):
        assert may_not.post(address, {"name": "A"}, format="json").status_code == 403
    engineer = caller(member(asked.site, "engineer"))
    assert engineer.post(address, {"name": "A"}, format="json").status_code == 409
    result = {
        "parameters": [],
        "scores": {"before": {}, "after": {}, "held_out": {}},
        "accepted": False,
        "reason": "refused: worse",
        "times": 24,
        "times_held_out": 6,
        "load_from": "described",
    }
    refused = ended(asked, status="done", result=result)
    told = engineer.post(f"{CALIBRATIONS}{refused.id}/accept/", {"name": "A"}, format="json")
    assert told.status_code == 409
    assert Layout.objects.filter(site=asked.site).count() == 1


def test_a_study_names_a_layout_and_scenario_of_one_site(asked, bells):
    _, elsewhere = small_scenario("elsewhere")
    with pytest.raises(studies.CannotSimulate, match="another site"):
        studies.study_ask(
            kind=Study.Kind.COMPARISON,
            layout=asked.layout,
            scenario=elsewhere,
            start_at=timezone.now(),
            end_at=timezone.now() + timedelta(days=1),
        )


@pytest.mark.compiled
def test_set_points_are_advised_and_saved_as_files(asked, planner, viewer, stranger, bells):
    load_shipped(CATALOGUE)
    question = {"layout": asked.layout.path, "figure": "tokens_per_joule"}
    key = {"HTTP_IDEMPOTENCY_KEY": "a"}
    made = planner.post(ADVICE, question, format="json", **key)
    assert made.status_code == 202, made.json()
    assert (made.json()["start"], made.json()["status"]) == (None, "queued")
    assert planner.post(ADVICE, question, format="json", **key).json()["id"] == made.json()["id"]
    other = question | {"figure": "cost_per_million_good_tokens_usd"}
    assert planner.post(ADVICE, other, format="json", **key).status_code == 409
    own = made["Location"]
    assert viewer.get(f"{own}set-points/").status_code == 409
    making.study_make(made.json()["id"])
    told = viewer.get(own).json()
    assert told["status"] == "done", told["message"]
    found = told["result"]
    assert (told["figure"], found["figure"]) == ("tokens_per_joule", "tokens_per_joule")
    assert found["advice"]
    assert found["after"]["tokens_per_joule"] > found["before"]["tokens_per_joule"]
    saved = viewer.get(f"{own}set-points/")
    assert saved["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(saved.content.decode())))
    assert [row["object"] for row in rows] == [name for row in found["advice"] for name in row["objects"]]
    assert viewer.get(f"{own}set-point-requests/").status_code == 200
    assert stranger.get(f"{own}set-points/").status_code == 404
    assert asked.layout.cdus.first().supply_degc == Layout.objects.get(pk=asked.layout.pk).cdus.first().supply_degc


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"figure": "pue"}, "figure"), ({"layout": "nowhere/first"}, "layout"), ({"start": START}, "start")],
)
def test_an_advice_that_cannot_be_asked_is_refused_by_field(asked, planner, bells, wrong, field):
    told = planner.post(ADVICE, {"layout": asked.layout.path} | wrong, format="json")
    assert told.status_code == 400
    assert field in told.json()["extra"]["fields"]
    assert not Study.objects.exists()


def test_who_may_not_change_the_site_asks_for_no_advice(asked, viewer, reading_token, stranger, nobody, bells):
    for client, status in ((viewer, 403), (reading_token, 403), (stranger, 400), (nobody, 401)):
        assert client.post(ADVICE, {"layout": asked.layout.path}, format="json").status_code == status
