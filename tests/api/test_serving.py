"""/api/serving/: what a system can serve, and predictions for rows of cases."""

import pytest

from tests.small_site import product
from twin.api.serving import PredictionRowSerializer

ADDRESS = "/api/serving/"
PREDICT = "/api/serving/predict/"
QUESTION = {"system": "dgx-h100", "model": "llama-3.1-70b", "workload": "enterprise_assistants"}
LENGTHS = {
    "accelerator": "h100-sxm",
    "model": "llama-3.1-70b",
    "input_tokens": 1024,
    "output_tokens": 256,
    "target_ttft_s": 2,
    "target_itl_s": 0.05,
}
ROW = {
    "case_id": "a",
    "accelerator": "h100-sxm",
    "model": "llama-3.1-70b",
    "weight_precision": "fp8",
    "engine": "vllm",
    "tensor_parallel": 4,
    "input_tokens": 1024,
    "output_tokens": 256,
    "concurrency": 16,
}


@pytest.fixture(autouse=True)
def catalogue(db):
    for kind, slug in (
        ("systems", "dgx-h100"),
        ("models", "deepseek-r1"),
        ("models", "llama-3.1-70b"),
        ("workloads", "enterprise_assistants"),
        ("accelerators", "h100-sxm"),
    ):
        product(kind, slug)


def test_the_best_configuration_keeps_the_targets_and_has_a_reason(viewer):
    answer = viewer.post(ADDRESS, LENGTHS).json()
    point = answer["operating_point"]
    assert answer["feasible"] is True
    assert "Most output per accelerator of" in answer["reason"]
    # the highest load within the targets: one of them is met within the bracket's width, none is passed
    assert point["ttft_p95_s"] <= 2 * (1 + 1e-6)
    assert point["itl_p95_s"] <= 0.05 * (1 + 1e-6)
    assert max(point["ttft_p95_s"] / 2, point["itl_p95_s"] / 0.05) == pytest.approx(1, rel=1e-2)
    watts, rate = point["accelerator_power_w"], point["accelerator_tokens_per_s"]
    assert point["joules_per_output_token"] == pytest.approx(watts / rate)
    assert answer["configuration"]["n_accelerators"] <= 8
    assert answer["asked"]["max_accelerators"] == 8


def test_every_quantity_has_a_unit_and_lies_inside_its_band(viewer):
    answer = viewer.post(ADDRESS, LENGTHS).json()
    for point in (answer["operating_point"], *answer["frontier"]["points"]):
        for name in [name for name in point if f"{name}_low" in point]:
            assert point[f"{name}_low"] < point[name] < point[f"{name}_high"]
            assert answer["units"][name]


def test_the_frontier_is_the_one_of_the_page(viewer):
    from twin.floor.products import entry_of
    from twin.views.serving import explored

    answer = viewer.get(ADDRESS, QUESTION | {"engine": "vllm"}).json()
    system, model, use = (product(f"{kind}s", QUESTION[kind]) for kind in ("system", "model", "workload"))
    page = explored(system, model, use, "vllm")
    point = answer["frontier"]["points"][answer["frontier"]["at_target"]]
    assert {name: point[name] for name in page["point"]} == page["point"]
    assert answer["asked"]["target_itl_s"] == entry_of(use)["slo"]["tpot_p95_s"]
    rates = [p["accelerator_tokens_per_s"] for p in answer["frontier"]["points"]]
    assert rates == sorted(rates, reverse=True)


def test_sessions_cost_cache_hits_as_they_grow_in_number(viewer):
    answer = viewer.get(ADDRESS, QUESTION).json()
    found = answer["sessions"]
    points = found["points"]
    assert found["configuration"] == answer["configuration"]["text"]
    assert found["cacheable_frac"] == 0.45
    assert all(one["sessions"] < more["sessions"] for one, more in zip(points, points[1:], strict=False))
    assert all(one["cached_frac"] >= more["cached_frac"] for one, more in zip(points, points[1:], strict=False))
    assert 0.08 <= points[-1]["cached_frac"] < points[0]["cached_frac"] <= 0.45
    for point in points:
        pauses_s = (found["requests"] - 1) * found["mean_pause_s"]
        assert point["session_s"] == pytest.approx(found["requests"] * point["request_s"] + pauses_s)
        assert all(answer["units"][name] for name in point)
    rate = answer["operating_point"]["accelerator_tokens_per_s"]
    assert points[-1]["accelerator_tokens_per_s"] == pytest.approx(rate, rel=1e-6)
    assert viewer.post(ADDRESS, LENGTHS).json()["sessions"] is None  # requests of one's own lengths stand alone


def test_a_cache_tier_keeps_what_paused_sessions_had_cached(viewer):
    bare, tiered = (viewer.get(ADDRESS, QUESTION | {"cache_tier_bytes": size}).json() for size in (0, 1e12))
    assert tiered["asked"]["cache_tier_bytes"] == 1e12
    assert tiered["sessions"]["points"][-1]["cached_frac"] > bare["sessions"]["points"][-1]["cached_frac"]
    points = [answer["operating_point"] for answer in (bare, tiered)]
    # what is not read again saves time and energy; more is served only where reading is what limits
    assert points[1]["accelerator_tokens_per_s"] >= points[0]["accelerator_tokens_per_s"]
    assert points[1]["joules_per_output_token"] < points[0]["joules_per_output_token"]
    assert points[1]["ttft_p50_s"] < points[0]["ttft_p50_s"]
    refused = viewer.get(ADDRESS, QUESTION | {"cache_tier_bytes": -1})
    assert refused.status_code == 400
    assert "must be a number, 0 or more and below 1e15" in refused.content.decode()


def test_get_and_post_give_the_same_answer_and_a_read_only_token_may_ask(viewer, reading_token):
    assert viewer.get(ADDRESS, LENGTHS).json() == reading_token.post(ADDRESS, LENGTHS).json()


def test_what_does_not_fit_or_is_too_slow_says_why(viewer):
    answer = viewer.post(ADDRESS, QUESTION | {"model": "deepseek-r1"}).json()
    assert answer["feasible"] is False
    assert answer["operating_point"] is None
    assert "GB" in answer["reason"]
    assert "GB" in answer["frontier"]["reason"]
    slow = viewer.post(ADDRESS, LENGTHS | {"target_itl_s": 1e-5}).json()
    assert slow["feasible"] is False
    assert "ITL p95" in slow["reason"]
    assert slow["frontier"]["points"]
    assert slow["frontier"]["at_target"] is None


def test_chosen_precision_and_size_are_kept(viewer):
    answer = viewer.post(ADDRESS, LENGTHS | {"precision": "bf16", "max_accelerators": 4}).json()
    assert answer["configuration"]["weight_precision"] == "bf16"
    assert answer["configuration"]["n_accelerators"] <= 4
    assert {p["configuration"].split(",")[0] for p in answer["frontier"]["points"]} == {"bf16"}


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("accelerator", "nonsense", "/api/catalogue/?kind=accelerators"),
        ("model", "nonsense", "/api/catalogue/?kind=models"),
        ("engine", "nonsense", "trtllm, vllm, sglang"),
        ("precision", "fp2", "bf16, fp8, fp4"),
        ("input_tokens", 0, "1 or more"),
        ("output_tokens", -5, "1 or more"),
        ("input_tokens", "nan", "1 or more"),
        ("output_tokens", "inf", "1 or more"),
        ("input_tokens", True, "1 or more"),
        ("input_tokens", [1], "1 or more"),
        ("target_itl_s", 0, "greater than 0"),
        ("target_ttft_s", "-1", "greater than 0"),
        ("max_accelerators", 0, "1 to 144"),
        ("max_accelerators", 1e9, "1 to 144"),
        ("max_accelerators", "many", "It is many; must be a whole number, 1 to 144"),
        ("max_accelerators", 2.5, "It is 2.5"),
    ],
)
def test_a_refusal_names_the_field_and_what_is_allowed(viewer, field, value, allowed):
    answer = viewer.post(ADDRESS, LENGTHS | {field: value})
    assert answer.status_code == 400
    refusal = answer.json()
    assert {"message", "extra", "status", "instance"} < set(refusal)
    assert refusal["message"].startswith(f"{field}: ")
    assert allowed in refusal["message"]
    assert field in refusal["extra"]["fields"]


def test_a_number_that_json_does_not_have_is_refused(viewer):
    answer = viewer.post(ADDRESS, '{"input_tokens": NaN}', content_type="application/json")
    assert answer.status_code == 400
    assert "NaN" in answer.json()["message"]


def test_what_is_missing_or_said_twice_is_refused(viewer):
    for question, field in (
        ({}, "model"),
        (QUESTION | {"accelerator": "h100-sxm"}, "accelerator"),
        (QUESTION | {"input_tokens": 10}, "input_tokens"),
        ({name: LENGTHS[name] for name in LENGTHS if name != "output_tokens"}, "output_tokens"),
        ({name: LENGTHS[name] for name in LENGTHS if name != "target_itl_s"}, "target_itl_s"),
    ):
        answer = viewer.post(ADDRESS, question)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith(f"{field}: ")
    assert viewer.post(ADDRESS, [LENGTHS]).status_code == 400


def test_requests_longer_than_the_context_are_refused(viewer):
    answer = viewer.post(ADDRESS, LENGTHS | {"input_tokens": 10_000_000})
    assert answer.status_code == 400
    assert "input_tokens + output_tokens is 10000256" in answer.json()["message"]


def test_both_ask_for_a_token(nobody):
    assert nobody.get(ADDRESS, LENGTHS).status_code == 401
    assert nobody.post(ADDRESS, LENGTHS).status_code == 401
    assert nobody.post(PREDICT, {"rows": [ROW]}).status_code == 401


def test_rows_are_answered_in_order_and_bad_ones_say_why(viewer):
    rows = [
        ROW,
        ROW | {"case_id": "b", "input_tokens": 0},
        ROW | {"accelerator": "nonsense"},
        {},
        ROW | {"concurrency": "nan"},
        ROW | {"concurrency": -1},
        ROW | {"output_tokens": [1]},
        ROW | {"concurrency": "saturated"},
    ]
    answer = viewer.post(PREDICT, {"rows": rows})
    assert answer.status_code == 200
    found = answer.json()["rows"]
    assert [row["feasible"] for row in found] == [True, *(False,) * 6, True]
    assert [row["case_id"] for row in found[:2]] == ["a", "b"]
    for row, reason in zip(
        found[1:7],
        (
            "input_tokens is 0",
            "'nonsense' is not in the catalogue; it has h100-sxm",
            "accelerator is blank",
            "concurrency is nan",
            "concurrency is -1",
            "output_tokens is '[1]'",
        ),
        strict=True,
    ):
        assert reason in row["reason"]
        assert row["itl_s"] is None
    assert found[0]["itl_s_low"] < found[0]["itl_s"] < found[0]["itl_s_high"]
    assert answer.json()["units"]["itl_s"] == "s"
    assert found[7]["ttft_s"] is None
    assert found[7]["output_tokens_per_s"] > found[0]["output_tokens_per_s"]


def test_an_entry_without_the_facts_that_are_needed_says_which(viewer):
    broken = product("accelerators", "h100-sxm")
    broken.facts = broken.facts | {"hbm_bytes": None}
    broken.save()
    (row,) = viewer.post(PREDICT, {"rows": [ROW]}).json()["rows"]
    assert row["feasible"] is False
    assert "hbm_bytes is None" in row["reason"]
    answer = viewer.post(ADDRESS, LENGTHS)
    assert answer.status_code == 400
    assert "hbm_bytes is None" in answer.json()["message"]


def test_no_more_than_a_thousand_rows_and_at_least_one(viewer):
    for body in ({"rows": [ROW] * 1001}, {"rows": []}, {}, {"rows": [1]}, {"rows": "a"}):
        answer = viewer.post(PREDICT, body)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("rows")


def test_the_limits_are_those_of_the_solver():
    from compute.accelerators import WEIGHT_PRECISIONS
    from compute.steady.pins import MODES
    from twin.api import serving
    from twin.core.serving.explore import MOST_ACCELERATORS

    assert serving.MOST_ACCELERATORS == MOST_ACCELERATORS
    assert set(serving.PRECISIONS) == set(WEIGHT_PRECISIONS)
    assert serving.MODES == MODES


def test_a_power_cap_is_kept_and_costs_output(viewer):
    free, capped = (viewer.post(ADDRESS, LENGTHS | extra).json() for extra in ({}, {"power_cap_w": 400}))
    assert capped["asked"]["power_cap_w"] == 400
    assert capped["operating_point"]["accelerator_power_w"] <= 400 + 1e-6
    assert capped["operating_point"]["clock_frac"] < free["operating_point"]["clock_frac"] == 1
    rates = [answer["operating_point"]["accelerator_tokens_per_s"] for answer in (capped, free)]
    assert rates[0] < rates[1]
    assert max(point["accelerator_power_w"] for point in capped["frontier"]["points"]) <= 400 + 1e-6
    refused = viewer.post(ADDRESS, LENGTHS | {"power_cap_w": 20})
    assert refused.status_code == 400
    assert "the power cap is 20 W; h100-sxm can be set to" in refused.content.decode()


def test_arrivals_may_be_asked_for_in_place_of_requests_in_flight(viewer):
    row = {name: value for name, value in ROW.items() if name != "concurrency"} | {"request_rate_per_s": 2}
    (answer,) = viewer.post(PREDICT, {"rows": [row]}, format="json").json()["rows"]
    assert answer["feasible"]
    assert answer["output_tokens_per_s"] == pytest.approx(512)


def test_a_pinned_configuration_is_answered_beside_what_a_free_search_finds(viewer):
    answer = viewer.post(ADDRESS, LENGTHS | {"configuration": "fp8, TP 8, batch 32", "engine": "vllm"}).json()
    assert answer["configuration"]["text"] == "fp8, TP 8, batch 32"
    assert (answer["choice"], answer["asked"]["configuration"]) == ("pinned", "fp8, TP 8, batch 32")
    assert answer["best_gain_frac"] >= 0
    asked = LENGTHS | {"configuration": "fp8, TP 8", "engine": "vllm", "engine_version": "99.1"}
    assert "no measured runs of vllm 99.1" in viewer.post(ADDRESS, asked).json()["note"]
    assert {point["configuration"] for point in answer["frontier"]["points"]} == {"fp8, TP 8"}
    held = viewer.post(ADDRESS, LENGTHS | {"mode": "aggregated", "max_ranks": 2, "pipelines": False}).json()
    assert held["choice"].startswith("searched, aggregated only, no pipeline")
    assert held["configuration"]["n_accelerators"] <= 2


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"configuration": "TP many"}, "'TP many' cannot be read"),
        ({"mode": "sideways"}, "must be one of any, aggregated, disaggregated"),
        ({"draft_tokens": 2}, "Nothing may be drafted"),
        ({"kv_precision": "fp2"}, "must be one of bf16, fp8"),
        ({"checkpoint": "mine"}, "checkpoint 'mine' is unknown"),
        ({"configuration": "fp8, TP 8, KV fp8", "kv_precision": "bf16"}, "and the configuration says 'fp8'"),
        ({"drafts": True, "draft_tokens": 17}, "must be a whole number, 1 to 16"),
        ({"drafts": True, "draft_acceptance": 1.5}, "It is 1.5; must be a number, 0 to 1"),
        ({"drafts": True, "speculative": "none"}, "must be one of mtp, nextn, eagle"),
        ({"engine_version": "1 / 2"}, "engine_version"),
        ({"engine_version": "1" * 5000 + ".0"}, "engine_version"),
        ({"configuration": f"TP {'1' * 150}"}, "with a number of 1 to"),
        ({"configuration": "TP ²"}, "with a number of 1 to"),
        ({"configuration": "TP 4, acceptance 0.7"}, "nothing is drafted"),
        ({"configuration": "TP 4, MTP 2, acceptance much"}, "must be a number in [0, 1]"),
        ({"max_ranks": 0}, "must be a whole number, 1 to 4096"),
    ],
)
def test_a_pin_that_cannot_be_read_is_refused(viewer, held, words):
    refused = viewer.post(ADDRESS, LENGTHS | held)
    assert refused.status_code == 400
    assert words in refused.json()["message"]


def test_the_chosen_configuration_comes_with_launch_settings(viewer):
    answer = viewer.post(ADDRESS, LENGTHS | {"configuration": "fp8, TP 4, batch 32"}).json()
    launch = {one["engine"]: one for one in answer["launch"]}
    assert set(launch) == {"vllm", "sglang", "trtllm"}
    assert launch["vllm"]["parts"][0]["settings"]["--tensor-parallel-size"] == 4
    assert launch["trtllm"]["status"].startswith("not checked")
    assert "DynamoGraphDeployment" in launch["sglang"]["graph"]


def test_a_predicted_row_says_what_was_assumed_and_that_a_release_has_no_runs(viewer):
    (answer,) = viewer.post(PREDICT, {"rows": [ROW | {"engine_version": "99.1"}]}, format="json").json()["rows"]
    assert "latencies are means" in answer["assumed"]
    assert "no measured runs of vllm 99.1 on hopper" in answer["reason"]
    assert set(answer) == set(PredictionRowSerializer().fields)  # every key is documented
    refused = viewer.post(PREDICT, {"rows": [ROW] * 1001}, format="json")
    assert "no more than 1000" in refused.json()["message"]


def test_a_release_of_thousands_of_digits_is_refused_by_name_and_spares_the_other_rows(viewer):
    rows = [ROW | {"engine_version": "1" * 5000 + ".0"}, ROW, ROW | {"engine_version": "1" * 126 + ".0"}]
    answer = viewer.post(PREDICT, {"rows": rows}, format="json")
    assert answer.status_code == 200
    long, usual, longest = answer.json()["rows"]
    assert not long["feasible"]
    assert "engine_version has 5,002 characters" in long["reason"]
    assert usual["feasible"]
    assert longest["feasible"]
