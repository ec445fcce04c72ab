"""/api/runs/: create and queue, watch, read, cancel, retry."""

import json

import pytest
from django.utils import timezone

from tests.small_run import done_run, small_scenario
from twin.models import Run

ADDRESS = "/api/runs/"

PROBLEM = {"type", "title", "status", "detail", "instance", "message", "extra"}


def body(asked, **changes) -> dict:
    return {"layout": "small/first", "scenario": "assistants"} | changes


@pytest.fixture
def done(asked) -> Run:
    return done_run(asked.layout, asked.scenario)


def test_post_queues_a_run_and_says_where_to_watch_it(asked, planner, bells, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = planner.post(ADDRESS, body(asked))
    run = Run.objects.get()
    assert answer.status_code == 202
    assert answer["Location"] == f"http://testserver/api/runs/{run.id}/"
    assert answer.json()["status"] == "queued"
    assert (answer.json()["layout"], answer.json()["scenario"]) == ("small/first", "assistants")
    assert bells == [str(run.id)]
    assert planner.get(answer["Location"]).json()["progress_frac"] == 0


def test_the_same_idempotency_key_answers_with_the_same_run(asked, planner):
    first, again = (planner.post(ADDRESS, body(asked), headers={"Idempotency-Key": "k-1"}) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert Run.objects.count() == 1


def test_an_idempotency_key_is_refused_for_another_request(asked, planner):
    planner.post(ADDRESS, body(asked), headers={"Idempotency-Key": "k-1"})
    asked.scenario.pk, asked.scenario.slug = None, "other"
    asked.scenario.save()
    answer = planner.post(ADDRESS, body(asked, scenario="other"), headers={"Idempotency-Key": "k-1"})
    assert answer.status_code == 409
    assert "k-1 was used for another" in answer.json()["message"]
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "small/second"}, "layout: There is no layout small/second; write SITE/LAYOUT."),
        ({"layout": "small"}, "layout: There is no layout small; write SITE/LAYOUT."),
        ({"layout": None}, "layout: This field may not be null."),
        ({"scenario": "nightly"}, "scenario: Site small has no scenario nightly; there are: assistants."),
        ({"scenario": "no such slug!"}, "scenario: Enter a valid"),
    ],
)
def test_a_wrong_name_is_refused_with_what_there_is(asked, planner, changes, message):
    answer = planner.post(ADDRESS, body(asked, **changes))
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)
    assert set(answer.json()) == PROBLEM
    assert not Run.objects.exists()


def test_who_may_not_change_the_site_cannot_run_it(asked, nobody, stranger, viewer, reading_token):
    for client, status in ((nobody, 401), (stranger, 400), (viewer, 403), (reading_token, 403)):
        answer = client.post(ADDRESS, body(asked))
        assert answer.status_code == status
        assert answer.json()["message"]
    assert not Run.objects.exists()


def test_another_sites_layout_looks_as_if_it_were_not_there(asked, stranger):
    answer = stranger.post(ADDRESS, body(asked))
    assert answer.json()["message"] == "layout: There is no layout small/first; write SITE/LAYOUT."


def test_a_run_of_an_invisible_site_is_not_found(done, stranger, nobody):
    for path in ("", "series/", "racks/", "inputs/"):
        assert stranger.get(f"{ADDRESS}{done.id}/{path}").status_code == 404
        assert nobody.get(f"{ADDRESS}{done.id}/{path}").status_code == 401
    assert stranger.delete(f"{ADDRESS}{done.id}/").status_code == 404
    assert stranger.post(f"{ADDRESS}{done.id}/retry/").status_code == 404
    assert stranger.get(ADDRESS).json()["count"] == 0


def test_a_finished_run_has_figures_bands_and_details(done, viewer):
    run = viewer.get(f"{ADDRESS}{done.id}/").json()
    assert (run["status"], run["progress_frac"]) == ("done", 1.0)
    assert run["figures"]["tokens_per_joule"] == 4.0
    assert run["bands"]["output_tokens_per_s"] == [900.0, 1100.0]
    assert run["details"]["solver"]["converged"] is True


def test_a_run_names_its_solver_and_older_ones_have_an_unknown_one(done, viewer):
    run = viewer.get(f"{ADDRESS}{done.id}/").json()
    assert (run["solver_version"], run["solver_digest"]) == ("test", "ab" * 32)
    done.solver_version, done.solver_digest = "0.1.0", ""
    done.save()
    run = viewer.get(f"{ADDRESS}{done.id}/").json()
    assert (run["solver_version"], run["solver_digest"]) == ("unknown", "unknown")


def test_series_are_plain_lists_with_names_and_units(done, viewer):
    answer = viewer.get(f"{ADDRESS}{done.id}/series/", {"names": "pue"}).json()
    assert answer["n_hours"] == 8760
    assert [(s["name"], s["unit"], len(s["values"])) for s in answer["series"]] == [("pue", "", 8760)]
    assert answer["series"][0]["values"][0] == pytest.approx(1.1, abs=1e-6)  # stored as float32
    everything = viewer.get(f"{ADDRESS}{done.id}/series/").json()["series"]
    assert [s["unit"] for s in everything] == ["W", ""]


def test_an_unknown_series_is_refused_with_what_there_is(done, viewer):
    answer = viewer.get(f"{ADDRESS}{done.id}/series/", {"names": "pue,noise_db"})
    assert answer.status_code == 400
    assert "noise_db: this run has no such series; there are: meter_power_w, pue." in answer.json()["message"]


def test_racks_are_columns(done, viewer):
    answer = viewer.get(f"{ADDRESS}{done.id}/racks/").json()
    assert answer["n_racks"] == 2
    assert answer["racks"] == {"rack_id": [0, 1], "mean_power_w": [1.2e5, 1.2e5]}


def test_what_is_no_number_is_null_in_json(asked, viewer):
    import numpy as np

    from twin.runs import services

    run = done_run(asked.layout, asked.scenario)
    run.racks = services.arrays_packed({"rack_id": np.arange(1), "mean_inlet_air_degc": np.array([np.nan])})
    run.save()
    answer = viewer.get(f"{ADDRESS}{run.id}/racks/")
    assert json.loads(answer.content)["racks"]["mean_inlet_air_degc"] == [None]


def test_a_run_that_is_not_done_has_no_results_yet(asked, viewer):
    run = Run.objects.create(layout=asked.layout, scenario=asked.scenario)
    for path in ("series/", "racks/", "inputs/"):
        answer = viewer.get(f"{ADDRESS}{run.id}/{path}")
        assert answer.status_code == 409
        assert "is queued" in answer.json()["message"]


def test_delete_cancels_and_keeps_the_row(asked, planner):
    run = Run.objects.create(layout=asked.layout, scenario=asked.scenario)
    answer = planner.delete(f"{ADDRESS}{run.id}/")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert Run.objects.get().message.startswith("cancelled by planner-of-small")
    again = planner.delete(f"{ADDRESS}{run.id}/")
    assert again.status_code == 409
    assert "only a queued or running one can be cancelled" in again.json()["message"]


def test_only_a_planner_cancels_and_retries(asked, viewer, reading_token, nobody):
    run = Run.objects.create(layout=asked.layout, scenario=asked.scenario)
    for client, status in ((viewer, 403), (reading_token, 403), (nobody, 401)):
        assert client.delete(f"{ADDRESS}{run.id}/").status_code == status
        assert client.post(f"{ADDRESS}{run.id}/retry/").status_code == status
    run.refresh_from_db()
    assert run.status == "queued"


def test_retry_queues_a_failed_run_again(asked, planner):
    run = Run.objects.create(
        layout=asked.layout, scenario=asked.scenario, status="failed", finished_at=timezone.now(), message="why"
    )
    answer = planner.post(f"{ADDRESS}{run.id}/retry/")
    assert (answer.status_code, answer.json()["status"], answer.json()["message"]) == (202, "queued", "")


def test_a_finished_run_cannot_be_retried(done, planner):
    answer = planner.post(f"{ADDRESS}{done.id}/retry/")
    assert answer.status_code == 409


def test_a_failed_run_says_why(asked, viewer):
    run = Run.objects.create(
        layout=asked.layout, scenario=asked.scenario, status="failed", finished_at=timezone.now(), message="No racks."
    )
    assert viewer.get(f"{ADDRESS}{run.id}/").json()["message"] == "No racks."


def test_runs_are_filtered_by_site_layout_scenario_and_status(asked, viewer, done):
    Run.objects.create(layout=asked.layout, scenario=asked.scenario)
    for query, n in (
        ({}, 2),
        ({"status": "done"}, 1),
        ({"site": "small", "layout": "first", "scenario": "assistants"}, 2),
        ({"layout": "second"}, 0),
    ):
        assert viewer.get(ADDRESS, query).json()["count"] == n
    assert viewer.get(ADDRESS, {"status": "lost"}).status_code == 400


def test_the_list_takes_the_same_queries_for_one_run_and_for_many(
    asked, viewer, done, django_assert_num_queries, django_assert_max_num_queries
):
    viewer.get(ADDRESS)  # the token's time of use is written once a minute
    with django_assert_max_num_queries(4) as one:  # token, its sites, count, page
        viewer.get(ADDRESS)
    for _ in range(5):
        done_run(asked.layout, asked.scenario)
    with django_assert_num_queries(len(one.captured_queries)):
        assert viewer.get(ADDRESS).json()["count"] == 6


def test_a_list_leaves_the_heavy_columns_in_the_database(viewer, done, django_assert_max_num_queries):
    with django_assert_max_num_queries(5) as seen:  # the token is marked as used, too
        viewer.get(ADDRESS)
    text = " ".join(query["sql"] for query in seen.captured_queries)
    assert not any(f'"{column}"' in text for column in Run.HEAVY)


def test_the_inputs_are_what_was_solved(asked, viewer, done):
    from twin.runs import snapshot

    spelled = snapshot.canonical({"site": {"slug": "small"}})
    Run.objects.filter(id=done.id).update(inputs=snapshot.packed(spelled), inputs_sha256=snapshot.sha256(spelled))
    assert viewer.get(f"{ADDRESS}{done.id}/inputs/").json() == {"site": {"slug": "small"}}


def test_runs_of_two_sites_are_kept_apart(asked, viewer, done):
    layout, scenario = small_scenario("other")
    done_run(layout, scenario)
    assert [run["layout"] for run in viewer.get(ADDRESS).json()["results"]] == ["small/first"]
