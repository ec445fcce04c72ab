"""/api/comparisons/: finished runs side by side."""

import pytest

from facility import services
from facility.models import Rack
from tests.api.conftest import caller, member
from tests.small_run import done_run, small_scenario
from twin.models import Comparison, Run
from twin.runs import snapshot

ADDRESS = "/api/comparisons/"


@pytest.fixture
def runs(asked) -> list[Run]:
    made = [done_run(asked.layout, asked.scenario) for _ in range(2)]
    spelled = snapshot.canonical(snapshot.snapshot(asked.layout, asked.scenario))
    Run.objects.update(inputs=snapshot.packed(spelled))
    better = made[1].figures | {"tokens_per_joule": 5.0}
    Run.objects.filter(id=made[1].id).update(figures=better, bands={"tokens_per_joule": [4.9, 5.1]})
    return made


def body(runs) -> dict:
    return {"name": "Which?", "runs": [str(run.id) for run in runs]}


def test_a_comparison_names_the_winner_of_each_figure(planner, runs):
    made = planner.post(ADDRESS, body(runs))
    assert made.status_code == 201
    answer = planner.get(f"{ADDRESS}{made.json()['id']}/").json()
    rows = {row["name"]: row for row in answer["compared"]["rows"]}
    assert answer["runs"] == [str(run.id) for run in runs]
    assert rows["tokens_per_joule"]["values"] == [4.0, 5.0]
    assert rows["tokens_per_joule"]["winner"] == 1
    assert rows["tokens_per_joule"]["deltas"] == [0.0, 1.0]
    assert answer["created_by"] == "planner-of-small"


def test_a_comparison_says_which_version_of_the_model_solved_which_run(planner, runs):
    compared = planner.get(f"{ADDRESS}{planner.post(ADDRESS, body(runs)).json()['id']}/").json()["compared"]
    assert compared["model_versions"] == ["test", "test"]
    assert compared["model_note"] == ""


def test_the_verdict_names_the_layout_to_build_and_refuses_a_figure_to_rank_by(planner, runs):
    place = f"{ADDRESS}{planner.post(ADDRESS, body(runs)).json()['id']}/verdict/"
    found = planner.get(place, {"by": "tokens_per_joule"}).json()
    assert [row["figures"]["tokens_per_joule"] for row in found["ranking"]] == [5.0, 4.0]
    assert found["difference"]["tokens_per_joule"]["probability"] > 0.5
    first, second = found["ranking"]
    assert first["to_first"] is None
    assert second["to_first"]["value"] == -1.0
    assert found["changed_since"] == []
    services.part_delete(part=Rack.objects.filter(hall__layout=runs[0].layout).first())
    assert planner.get(place).json()["changed_since"] == [row["layout"] for row in found["ranking"]]
    for field, value in (("by", "mean_power"), ("equal", "money")):
        refused = planner.get(place, {field: value})
        assert refused.status_code == 400
        assert field in refused.json()["message"]


def test_at_equal_grid_power_what_grows_with_a_layout_is_scaled_to_the_least_peak(planner, runs):
    for run, peak_w in zip(runs, (1e6, 2e6), strict=True):
        stored = Run.objects.get(pk=run.pk)
        stored.figures |= {"peak_power_w": peak_w, "output_tokens_per_s": 600.0}
        stored.save(update_fields=["figures"])
    place = f"{ADDRESS}{planner.post(ADDRESS, body(runs)).json()['id']}/verdict/"
    found = planner.get(place, {"equal": "grid-power", "by": "tokens_per_joule"}).json()
    assert "equal grid power" in found["basis"]
    assert [row["figures"]["output_tokens_per_s"] for row in found["ranking"]] == [300.0, 600.0]
    assert [row["figures"]["peak_power_w"] for row in found["ranking"]] == [1e6, 1e6]
    assert [row["figures"]["tokens_per_joule"] for row in found["ranking"]] == [5.0, 4.0]


def test_one_run_is_no_comparison(planner, runs):
    for chosen in (runs[:1], [runs[0], runs[0]], []):
        assert planner.post(ADDRESS, body(chosen)).status_code == 400
    assert not Comparison.objects.exists()


def test_a_run_that_is_not_done_or_not_visible_is_refused_as_unknown(asked, planner, runs):
    unfinished = Run.objects.create(layout=asked.layout, scenario=asked.scenario)
    hidden = done_run(*small_scenario("hidden"))
    for run in (unfinished, hidden):
        answer = planner.post(ADDRESS, body([runs[0], run]))
        assert answer.status_code == 400
        assert "does not exist" in answer.json()["message"]


def test_a_comparison_is_visible_only_to_who_sees_every_site_in_it(asked, planner, viewer, stranger, runs):
    layout, scenario = small_scenario("second")
    both = Comparison.objects.create(name="both")
    both.runs.set([runs[0], done_run(layout, scenario)])
    Run.objects.update(inputs=Run.objects.filter(id=runs[0].id).get().inputs)
    for client in (planner, viewer, stranger):
        assert client.get(f"{ADDRESS}{both.id}/").status_code == 404
        assert client.get(ADDRESS).json()["count"] == 0
    seer = member(layout.site, "viewer")
    seer.memberships.create(site=asked.site, role="viewer")
    assert caller(seer).get(f"{ADDRESS}{both.id}/").status_code == 200


def test_only_its_maker_deletes_it(planner, viewer, reading_token, nobody, runs):
    address = f"{ADDRESS}{planner.post(ADDRESS, body(runs)).json()['id']}/"
    for client, status in ((nobody, 401), (viewer, 403), (reading_token, 403), (planner, 204)):
        assert client.delete(address).status_code == status


def test_a_read_only_token_cannot_make_one(reading_token, nobody, runs):
    assert reading_token.post(ADDRESS, body(runs)).status_code == 403
    assert nobody.post(ADDRESS, body(runs)).status_code == 401


def test_the_list_takes_a_fixed_number_of_queries(planner, runs, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    planner.post(ADDRESS, body(runs))
    with CaptureQueriesContext(connection) as one:
        planner.get(ADDRESS)
    n_queries = len(one)  # before the next request forgets them
    for _ in range(3):
        planner.post(ADDRESS, body(runs))
    with django_assert_num_queries(n_queries):
        assert planner.get(ADDRESS).json()["count"] == 4


def test_columns_stand_in_the_order_asked_for(planner, runs):
    made = planner.post(ADDRESS, body(runs[::-1])).json()
    assert made["runs"] == [str(run.id) for run in runs[::-1]]
    answer = planner.get(f"{ADDRESS}{made['id']}/").json()
    rows = {row["name"]: row for row in answer["compared"]["rows"]}
    assert rows["tokens_per_joule"]["values"] == [5.0, 4.0]
    assert rows["tokens_per_joule"]["winners"] == [0]


def test_the_reference_of_deltas_can_be_chosen(planner, runs):
    address = f"{ADDRESS}{planner.post(ADDRESS, body(runs)).json()['id']}/"
    rows = {row["name"]: row for row in planner.get(address, {"reference": 1}).json()["compared"]["rows"]}
    assert rows["tokens_per_joule"]["deltas"] == [-1.0, 0.0]
    refused = planner.get(address, {"reference": 2})
    assert refused.status_code == 400
    assert refused.json()["message"] == "reference: It is 2; this comparison has places 0 to 1."


def test_frontiers_answers_and_assumptions_come_with_it(planner, runs):
    compared = planner.get(f"{ADDRESS}{planner.post(ADDRESS, body(runs)).json()['id']}/").json()["compared"]
    assert {"frontiers", "answers", "assumptions", "questions", "waterfall_usd_per_year"} <= set(compared)
    assert compared["frontiers"][0]["points"][0]["efficient"] is True


def test_the_difference_of_plans_is_told(asked, planner, runs):
    spelled = snapshot.snapshot(asked.layout, asked.scenario)
    spelled["racks"]["x_m"][0] += 1.2
    Run.objects.filter(id=runs[1].id).update(inputs=snapshot.packed(snapshot.canonical(spelled)))
    address = f"{ADDRESS}{planner.post(ADDRESS, body(runs)).json()['id']}/plan-difference/"
    answer = planner.get(address).json()
    assert answer["counts"]["moved"] == 1
    assert answer["rows"][0]["said"] == ["moved by 1.20 m to the right"]
    assert planner.get(address, {"start": 1, "end": 1}).json()["rows"] == []
    assert planner.get(address, {"end": 5}).status_code == 400


def test_a_revoked_comparison_is_gone(planner, viewer, runs):
    made = planner.post(ADDRESS, body(runs)).json()
    assert "/compare/shared/" in made["address"]
    assert viewer.post(f"{ADDRESS}{made['id']}/revoke/").status_code == 403
    assert planner.post(f"{ADDRESS}{made['id']}/revoke/").status_code == 204
    assert planner.get(f"{ADDRESS}{made['id']}/").status_code == 404
    assert planner.get(ADDRESS).json()["count"] == 0


def test_a_comparison_that_lost_its_runs_says_so(planner, runs):
    made = planner.post(ADDRESS, body(runs)).json()
    runs[0].delete()
    answer = planner.get(f"{ADDRESS}{made['id']}/")
    assert answer.status_code == 409
    assert "deleted" in answer.json()["message"]
