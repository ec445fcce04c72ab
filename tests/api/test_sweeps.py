"""Sweeps over the API: asked once, watched as a whole, ranked, stopped; whoever may not is told so."""

import pytest

from tests.small_run import small_result
from twin.models import Sweep, SweepPoint
from twin.runs import jobs
from twin.sweeps import solving

ADDRESS = "/api/sweeps/"


@pytest.fixture
def bells(monkeypatch):
    rung = []
    monkeypatch.setattr(jobs.app, "send_task", lambda name, args, **_: rung.append((name, args[0])))
    return rung


@pytest.fixture
def question(asked) -> dict:
    plant = asked.layout.cooling_plants.first()
    return {
        "layout": asked.layout.path,
        "axes": [
            {"object": f"plant/{plant.name}", "field": "supply_degc", "range": {"start": 20, "stop": 22, "step": 1}},
            {"object": "scenario", "field": "accelerator_power_limit_w", "values": [None, 800]},
        ],
        "figure": "tokens_per_joule",
    }


@pytest.fixture
def solver(monkeypatch):
    def solve(inputs, progress):
        limit_w = inputs.scenario.accelerator_power_limit_w or 1000.0
        return small_result(tokens_per_joule=inputs.plants[0].supply_degc / limit_w)

    monkeypatch.setattr(solving.simulate, "simulate", solve)


def test_one_request_asks_for_all_points_and_one_answer_ranks_them(
    asked, planner, viewer, question, bells, solver, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        made = planner.post(ADDRESS, question, format="json")
    assert made.status_code == 202, made.json()
    told = made.json()
    assert (told["n_points"], told["status"], told["progress_frac"]) == (6, "queued", 0.0)
    assert [name for name, _ in bells] == [SweepPoint.TASK] * 6
    assert told["axes"][0]["values"] == [20.0, 21.0, 22.0]
    own = f"{ADDRESS}{told['id']}/"
    assert made["Location"].endswith(own)
    for _, point_id in bells:
        solving.next_solve(point_id)
    found = viewer.get(own).json()
    assert (found["status"], found["progress_frac"], found["points_by_status"]) == ("done", 1.0, {"done": 6})
    first = found["points"][0]
    assert (first["rank"], first["values"], first["over_first_frac"]) == (1, [22.0, 800.0], 0.0)
    assert first["value"] == first["figures"]["tokens_per_joule"]
    assert [point["rank"] for point in found["points"]] == [1, 2, 3, 4, 5, 6]
    assert len({point["inputs_sha256"] for point in found["points"]}) == 6
    assert found["as_described"] is None
    [listed] = viewer.get(ADDRESS, {"layout": asked.layout.slug}).json()["results"]
    assert listed == {name: value for name, value in found.items() if name not in ("points", "as_described")}


def test_whoever_may_not_change_the_site_reads_only_and_strangers_find_nothing(
    planner, viewer, stranger, nobody, reading_token, question, bells
):
    made = planner.post(ADDRESS, question, format="json").json()
    own = f"{ADDRESS}{made['id']}/"
    assert viewer.get(own).json()["id"] == made["id"]
    for client, status in ((viewer, 403), (reading_token, 403), (stranger, 400), (nobody, 401)):
        assert client.post(ADDRESS, question, format="json").status_code == status
    for client, status in ((viewer, 403), (reading_token, 403), (stranger, 404), (nobody, 401)):
        assert client.delete(own).status_code == status
        assert client.post(f"{own}retry/").status_code == status
    assert stranger.get(own).status_code == 404
    assert stranger.get(ADDRESS).json()["count"] == 0
    assert Sweep.objects.count() == 1


def test_a_sweep_is_stopped_and_continued_and_refuses_what_its_state_does_not_allow(planner, question, bells, solver):
    own = f"{ADDRESS}{planner.post(ADDRESS, question, format='json').json()['id']}/"
    assert planner.post(f"{own}retry/").status_code == 409
    stopped = planner.delete(own)
    assert (stopped.status_code, stopped.json()["points_by_status"]) == (202, {"cancelled": 6})
    assert planner.delete(own).status_code == 409
    assert planner.post(f"{own}retry/").json()["points_by_status"] == {"queued": 6}


@pytest.mark.parametrize(
    ("wrong", "where", "said"),
    [
        ({"axes": []}, "axes", "at least 1"),
        ({"axes": [{"object": "scenario", "field": "max_ranks"}]}, "axes", "either values or range"),
        ({"axes": [{"object": "scenario", "field": "max_ranks", "values": [[1]]}]}, "axes", "a number, a text"),
        (
            {"axes": [{"object": "plant/none", "field": "supply_degc", "values": [1]}]},
            "axes[0]",
            "There is no plant/none",
        ),
        ({"axes": [{"object": "site", "field": "name", "values": ["x"]}]}, "axes[0]", "site has no field name"),
        ({"figure": "beauty"}, "figure", "beauty"),
        ({"scenario": "none"}, "scenario", "has no scenario none"),
        ({"speed": 1}, "speed", "speed"),
    ],
)
def test_a_sweep_that_cannot_be_asked_is_refused_by_field(planner, question, bells, wrong, where, said):
    told = planner.post(ADDRESS, question | wrong, format="json")
    assert told.status_code == 400
    assert said in str(told.json()["extra"]["fields"][where])
    assert not Sweep.objects.exists()
    assert bells == []


def test_the_same_key_gives_the_same_sweep_and_never_another(planner, question, bells):
    key = {"HTTP_IDEMPOTENCY_KEY": "a"}
    first = planner.post(ADDRESS, question, format="json", **key)
    assert planner.post(ADDRESS, question, format="json", **key).json()["id"] == first.json()["id"]
    assert Sweep.objects.count() == 1
    other = planner.post(ADDRESS, question | {"figure": "pue"}, format="json", **key)
    assert other.status_code == 409
