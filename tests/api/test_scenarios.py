"""/api/scenarios/: the questions put to a site's layouts."""

import pytest

from tests.small_site import climate, product
from twin.models import Scenario

ADDRESS = "/api/scenarios/"
ASKED = {"workload": "enterprise_assistants"}


@pytest.fixture
def body(asked) -> dict:
    product("models", "llama-3.1-70b")
    return {
        "site": "small",
        "slug": "night",
        "name": "Night",
        "engine": "vllm",
        "accelerator_power_limit_w": 900.0,
        "cache_tier_bytes": 240e9,
        "workloads": [{"workload": "enterprise_assistants", "model": "llama-3.1-70b", "accelerator_share_frac": 0.5}],
    }


def test_a_scenario_is_made_with_its_use_cases(asked, planner, body):
    answer = planner.post(ADDRESS, body)
    assert answer.status_code == 201
    made = Scenario.objects.get(slug="night")
    assert (made.site, made.accelerator_power_limit_w) == (asked.site, 900.0)
    assert made.cache_tier_bytes == 240e9
    assert made.workloads.get().model.slug == "llama-3.1-70b"
    shown = answer.json()
    assert shown["workloads"][0]["workload"] == "enterprise_assistants"
    assert shown["workloads"][0]["peak_load_frac"] == 0.9


def test_a_change_of_one_field_leaves_the_use_cases(asked, planner):
    answer = planner.patch(f"{ADDRESS}{asked.scenario.id}/", {"weight_precision": "fp8"})
    assert (answer.status_code, answer.json()["weight_precision"]) == (200, "fp8")
    assert asked.scenario.workloads.count() == 1


def test_given_use_cases_replace_the_old_ones(asked, planner):
    product("workloads", "manufacturing")
    answer = planner.patch(f"{ADDRESS}{asked.scenario.id}/", {"workloads": [{"workload": "manufacturing"}]})
    assert [w["workload"] for w in answer.json()["workloads"]] == ["manufacturing"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workloads": []}, "workloads: Name at least one use case; without demand there is nothing to solve."),
        ({"workloads": [{"workload": "gardening"}]}, "workloads.0.workload: gardening is no catalogue entry of kind"),
        ({"engine": "steam"}, 'engine: "steam" is not a valid choice.'),
        ({"cache_tier_bytes": -5}, "cache_tier_bytes: Ensure this value is greater than"),
        ({"accelerator_power_limit_w": -5}, "accelerator_power_limit_w: Ensure this value is greater than"),
        ({"accelerator_power_limit_w": 1e6}, "accelerator_power_limit_w: Ensure this value is less than"),
        ({"cache_tier_bytes": 1e300}, "cache_tier_bytes: Ensure this value is less than"),
        ({"electricity_usd_per_kwh": 1e9}, "electricity_usd_per_kwh: Ensure this value is less than"),
        ({"electricity_usd_per_kwh": "nan"}, "electricity_usd_per_kwh: A valid number is required."),
        ({"workloads": [ASKED | {"requests_per_s": 1e300}]}, "workloads.0.requests_per_s: Ensure this value is less"),
        ({"workloads": [ASKED | {"requests_per_s": "nan"}]}, "workloads.0.requests_per_s: A valid number is required."),
        ({"slug": "assistants"}, "The fields site, slug must make a unique set."),
        ({"site": "atlantis"}, "site: Object with slug=atlantis does not exist."),
        ({"name": ""}, "name: This field may not be blank."),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(asked, planner, body, changes, message):
    answer = planner.post(ADDRESS, body | changes)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)
    assert Scenario.objects.count() == 1


def test_shares_are_relative_and_may_add_up_to_more_than_one(asked, planner, body):
    product("workloads", "manufacturing")
    shares = [{"workload": w, "accelerator_share_frac": 0.7} for w in ("enterprise_assistants", "manufacturing")]
    assert planner.post(ADDRESS, body | {"workloads": shares}).status_code == 201
    scenario = Scenario.objects.get(slug="night")
    assert [share.share_of_layout_frac for share in scenario.workloads.all()] == [0.5, 0.5]


def test_the_same_use_case_twice_is_refused(asked, planner, body):
    shares = [{"workload": "enterprise_assistants", "accelerator_share_frac": 0.2}] * 2
    assert planner.post(ADDRESS, body | {"workloads": shares}).status_code == 400
    assert not Scenario.objects.filter(slug="night").exists()


def test_weather_of_another_site_is_refused(asked, planner, stranger, body):
    weather = climate("tampa-fl")
    weather.site = Scenario.objects.exclude(site=asked.site).get().site
    weather.save()
    answer = planner.post(ADDRESS, body | {"weather": "tampa-fl"})
    assert answer.status_code == 400
    assert "another site" in answer.json()["message"]


def test_who_may_not_change_the_site_cannot_write(asked, nobody, stranger, viewer, reading_token, body):
    one = f"{ADDRESS}{asked.scenario.id}/"
    for client, post, change in (
        (nobody, 401, 401),
        (stranger, 400, 404),
        (viewer, 403, 403),
        (reading_token, 403, 403),
    ):
        assert client.post(ADDRESS, body).status_code == post
        assert client.patch(one, {"name": "Mine"}).status_code == change
        assert client.delete(one).status_code == change
    asked.scenario.refresh_from_db()
    assert asked.scenario.name == "Assistants"
    assert Scenario.objects.filter(site=asked.site).count() == 1


def test_a_scenario_cannot_be_moved_to_a_site_that_the_caller_may_not_change(asked, planner, stranger):
    answer = planner.patch(f"{ADDRESS}{asked.scenario.id}/", {"site": "elsewhere"})
    assert answer.status_code == 400
    asked.scenario.refresh_from_db()
    assert asked.scenario.site.slug == "small"


def test_readers_see_their_sites_only(asked, viewer, stranger, reading_token):
    assert viewer.get(ADDRESS).json()["count"] == 1
    assert reading_token.get(f"{ADDRESS}{asked.scenario.id}/").status_code == 200
    assert stranger.get(f"{ADDRESS}{asked.scenario.id}/").status_code == 404
    assert [s["site"] for s in stranger.get(ADDRESS).json()["results"]] == ["elsewhere"]


def test_the_list_takes_a_fixed_number_of_queries(asked, planner, body, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    planner.post(ADDRESS, body)  # which also writes the token's time of use
    with CaptureQueriesContext(connection) as one:
        planner.get(ADDRESS)
    n_queries = len(one)  # before the next request forgets them
    for i in range(3):
        planner.post(ADDRESS, body | {"slug": f"night-{i}"})
    with django_assert_num_queries(n_queries):
        assert planner.get(ADDRESS).json()["count"] == 5


def test_delete_removes_a_scenario(asked, planner):
    assert planner.delete(f"{ADDRESS}{asked.scenario.id}/").status_code == 204
    assert not Scenario.objects.exists()


def test_a_new_default_takes_the_place_of_the_one_before(asked, planner, body):
    standing = f"{ADDRESS}{asked.scenario.id}/"
    assert planner.patch(standing, {"is_default": True}).json()["is_default"] is True
    assert planner.post(ADDRESS, body | {"is_default": True}).status_code == 201
    assert planner.get(standing).json()["is_default"] is False
    assert planner.patch(standing, {"notes": "of old"}).status_code == 200
    assert [s.slug for s in asked.scenario.site.scenarios.all()] == ["night", "assistants"]


def test_a_configuration_is_pinned_and_the_search_restricted(planner, body):
    body["workloads"][0]["configuration"] = "fp8, TP 4, batch 64"
    answer = planner.post(ADDRESS, body | {"serving_mode": "aggregated", "max_ranks": 8, "allow_pipelines": False})
    assert answer.status_code == 201, answer.json()
    shown = answer.json()
    assert shown["workloads"][0]["configuration"] == "fp8, TP 4, batch 64"
    assert (shown["serving_mode"], shown["max_ranks"], shown["allow_pipelines"]) == ("aggregated", 8, False)
    body |= {"allow_drafts": True, "draft_tokens": 2, "draft_acceptance_frac": 0.7, "engine_version": "0.5.9"}
    shown = planner.post(ADDRESS, body | {"slug": "drafting"}).json()
    assert (shown["draft_tokens"], shown["draft_acceptance_frac"], shown["engine_version"]) == (2, 0.7, "0.5.9")
    stored = body | {"slug": "stored", "kv_precision": "bf16", "workloads": [dict(body["workloads"][0])]}
    stored["workloads"][0] |= {"checkpoint": "attention-bf16"}
    shown = planner.post(ADDRESS, stored).json()
    assert "id" in shown, shown
    assert (shown["kv_precision"], shown["workloads"][0]["checkpoint"]) == ("bf16", "attention-bf16")
    for change, words in (
        ({"checkpoint": "mine"}, "checkpoint 'mine' is unknown; known of llama-3.1-70b are"),
        ({"model": None}, "Say whose checkpoint it is"),
        ({"configuration": "TP 8, checkpoint other"}, "and the configuration says"),
    ):
        wrong = stored | {"slug": "wrong", "workloads": [stored["workloads"][0] | change]}
        refused = planner.post(ADDRESS, wrong)
        assert refused.status_code == 400
        assert words in str(refused.json())
    refused = planner.post(ADDRESS, body | {"slug": "another", "allow_drafts": False})
    assert refused.status_code == 400
    assert "Nothing may be drafted here" in refused.json()["message"]
    body["workloads"][0]["configuration"] = "TP many"
    refused = planner.post(ADDRESS, body | {"slug": "other"})
    assert refused.status_code == 400
    assert "'TP many' cannot be read" in refused.json()["message"]
