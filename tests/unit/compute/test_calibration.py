"""The fit on made-up measurements whose coefficients are known, and on bad rows."""

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from compute.accelerators import accelerator_from_entry
from compute.calibration import fitting
from compute.calibration.cases import case_release, case_table, case_vintage, deployment_attributes, parse_case
from compute.calibration.coefficients import (
    INDEX,
    LOG_INITIAL,
    PUBLISHED_LOG,
    coefficient_set,
    group_text,
    standing_release,
)
from compute.calibration.fitting import (
    coefficient_set_of,
    fit_layout,
    fit_unknowns,
    solve_both_ways,
    solve_cases,
    unknown_log_values,
)
from compute.calibration.power_coefficients import power_coefficients
from compute.calibration.run import KINDS, read_evidence
from compute.calibration.uncertainty import (
    GROUP_NAMES,
    LEAST_HALF_BAND,
    LONE_GROUP_WIDENING,
    PRIOR_NARROWING_UNITS,
    band_logs,
    case_band,
    group_path,
    half_bands,
    measured_kinds,
    mode_class,
    novelty,
    novelty_shares,
    reachable_groups,
    residual_quantiles,
    widening_that_covers,
)
from compute.model_shapes import model_shape_from_entry
from compute.prediction.rows import predict_rows
from compute.steps.roofline import Parallelism
from facility.catalogue import entries

ACCELERATORS = {name: accelerator_from_entry(entry) for name, entry in entries("accelerators").items()}
BEFORE_WARM_UPS = "2025-12-01"  # InferenceX's client warms engines up since 2026-01-21
MODELS = {name: model_shape_from_entry(entry) for name, entry in entries("models").items()}


def rows():
    """Return 72 deployments of two models on two accelerators."""
    return [
        {
            "case_id": f"ix-{accelerator}-{model}-{ranks}-{prompt}-{load}",
            "source": "InferenceX",
            "engine": "vllm",
            "engine_version": "0.12.0",
            "accelerator": accelerator,
            "n_accelerators": str(ranks),
            "model": model,
            "weight_precision": "fp8",
            "mode": "aggregated",
            "tensor_parallel": str(ranks),
            "input_tokens": str(prompt),
            "output_tokens": "1024",
            "concurrency": str(load),
        }
        for accelerator in ("h100-sxm", "h200-sxm")
        for model in ("llama-3.1-70b", "qwen3-32b")
        for ranks in (2, 4, 8)
        for prompt in (1024, 8192)
        for load in (4, 16, 64)
    ]


def table():
    return case_table([parse_case(row, ACCELERATORS, MODELS) for row in rows()])


def made_up(cases):
    """Return logarithms of latencies at coefficients that differ from the first values."""
    truth = np.tile(LOG_INITIAL, (len(cases.cases), 1))
    for name, factor in (("weight_bandwidth_frac", 0.85), ("gemm_frac", 0.7), ("layer_s", 1.3), ("wave", 2.0)):
        truth[:, INDEX[name]] += np.log(factor)
    return solve_cases(cases, truth).logs()


def test_the_fit_finds_its_way_back_to_made_up_measurements():
    cases = table()
    logs = made_up(cases)
    logs[2] = np.nan  # as in the public runs, throughput is no measurement of its own
    layout = fit_layout(cases)
    found = solve_cases(cases, unknown_log_values(layout, fit_unknowns(cases, logs, layout), len(cases.cases))).logs()
    # priors pull by a few percent towards the first values
    assert np.median(np.abs(found[:2] - logs[:2])) < 0.02
    assert np.max(np.abs(found[0] - logs[0])) < 0.08


def test_a_measured_generation_stays_near_what_was_published_of_it_where_no_run_says_otherwise():
    published = PUBLISHED_LOG["gemm_frac"]["generation"]["cdna3"]
    shipped = coefficient_set().deviation_log["gemm_frac"]["generation"]["cdna3"]
    assert shipped == pytest.approx(published, abs=0.2)  # the runs are of a mixture of experts: dense products are few
    on_hopper, on_cdna3 = (
        predict_rows(
            [{**rows()[0], "accelerator": name, "output_tokens": "1"}], ACCELERATORS, MODELS, coefficient_set()
        )
        for name in ("h100-sxm", "mi300x")
    )
    peaks = [ACCELERATORS[name].peak_fp8_flops_per_s for name in ("h100-sxm", "mi300x")]
    assert peaks[1] > 1.3 * peaks[0]  # by its sheet it reads prompts faster; in fact
    assert on_cdna3[0]["output_tokens_per_s"] < on_hopper[0]["output_tokens_per_s"]


def test_a_fit_starts_at_published_values_and_moves_to_what_is_measured():
    cases = case_table([parse_case({**row, "accelerator": "mi300x"}, ACCELERATORS, MODELS) for row in rows()])
    layout = fit_layout(cases)
    unmeasured = fit_unknowns(cases, np.full((3, len(cases.cases)), np.nan), layout)
    assert unmeasured == pytest.approx(layout.centre)
    as_fast = solve_cases(cases, np.tile(LOG_INITIAL, (len(cases.cases), 1))).logs()  # as if nothing were published
    as_fast[2] = np.nan
    values = unknown_log_values(layout, fit_unknowns(cases, as_fast, layout), len(cases.cases))
    assert np.median(np.abs(solve_cases(cases, values).logs()[:2] - as_fast[:2])) < 0.03


def test_what_another_makers_stack_costs_holds_for_its_other_parts():
    def on(accelerator):
        return case_table([parse_case({**row, "accelerator": accelerator}, ACCELERATORS, MODELS) for row in rows()])

    both = case_table([*on("mi355x").cases, *on("h100-sxm").cases])
    n = len(both.cases) // 2
    truth = np.tile(LOG_INITIAL, (2 * n, 1))
    truth[:n, INDEX["layer_s"]] += np.log(2.0)  # every layer takes twice as long to launch on the one, not on the other
    logs = solve_cases(both, truth).logs()
    logs[2] = np.nan
    layout = fit_layout(both)
    fitted = coefficient_set_of(layout, fit_unknowns(both, logs, layout))
    unseen = {name: fitted.log_values([on(name).cases[0].attributes])[0] for name in ("mi300x", "b200-sxm")}
    launch = {name: np.exp(values[INDEX["layer_s"]]) for name, values in unseen.items()}
    assert launch["mi300x"] > 1.15 * launch["b200-sxm"]  # of a generation that no case had
    assert "" not in fitted.deviation_log["layer_s"]["stack"]  # CUDA is what first values describe


def at_once(*, slow_frac=0.0):
    """Return cases whose first prompts fill a chunk, and their logarithms where a share of the starts compile for 7 s.

    Of the slow ones too; as the public runs, without throughput.
    """
    fill = [row for row in rows() if float(row["concurrency"]) * float(row["input_tokens"]) > 2 * 16384]
    sent = [row | {"measured_on": BEFORE_WARM_UPS} for row in fill]
    cases = case_table([parse_case(row, ACCELERATORS, MODELS) for row in sent])
    truth = np.tile(LOG_INITIAL, (len(cases.cases), 1))
    truth[:, INDEX["chunk_compile_s"]] = np.log(7.0)
    warm, start = solve_both_ways(cases, truth)
    slow = np.random.default_rng(5).random(len(cases.cases)) < slow_frac
    logs = warm.logs()
    logs[1] = np.where(slow, np.log(start.ttft_s), logs[1])
    logs[2] = np.nan
    return cases, logs, slow


def test_prompts_that_fill_a_chunk_at_the_start_may_meet_kernels_compiled_for_one():
    loads = ("8", "16", "32", "saturated")
    sent = [rows()[0] | {"input_tokens": "1024", "concurrency": load} for load in loads]
    now = case_table([parse_case(row, ACCELERATORS, MODELS) for row in sent])
    cases = case_table([parse_case(row | {"measured_on": BEFORE_WARM_UPS}, ACCELERATORS, MODELS) for row in sent])
    values = np.tile(LOG_INITIAL, (4, 1))
    assert not solve_both_ways(now, values)[1].may_compile.any()  # today's client warms the engine up
    values[:, INDEX["compile_odds"]] = np.log(1e4)
    warm, start = solve_both_ways(cases, values)
    # 7,376 and 14,752 tokens fit a chunk of 16,384, 29,504 do not; where all queue there is no time to a first token
    np.testing.assert_array_equal(start.may_compile, [False, False, True, False])
    np.testing.assert_allclose((start.ttft_s - warm.ttft_s)[:3], [0.0, 0.0, 6.5])
    answer = solve_cases(cases, values)
    np.testing.assert_array_equal(answer.ttft_s[[0, 1]], warm.ttft_s[[0, 1]])
    assert answer.ttft_s[2] == pytest.approx(start.ttft_s[2], rel=0.05)  # all but certain
    assert answer.output_tokens_per_s[2] == pytest.approx(start.output_tokens_per_s[2], rel=0.01)


def test_an_answer_over_both_ways_of_a_start_has_the_least_squared_relative_error():
    cases, _, _ = at_once()
    gaps = cases.output_tokens - 1.0
    for odds in (0.02, 0.3, 1.0, 5.0):
        values = np.tile(LOG_INITIAL, (len(cases.cases), 1))
        values[:, INDEX["compile_odds"]] = np.log(odds)
        warm, start = solve_both_ways(cases, values)
        chance = start.odds / (1.0 + start.odds)

        def expected(answer, one=warm.ttft_s, other=start.ttft_s, chance=chance):
            return (1 - chance) * (answer / one - 1) ** 2 + chance * (answer / other - 1) ** 2

        found = solve_cases(cases, values)
        assert np.all(
            expected(found.ttft_s) <= np.minimum(expected(0.99 * found.ttft_s), expected(1.01 * found.ttft_s))
        )
        for way in (warm, found, replace(warm, ttft_s=start.ttft_s, output_tokens_per_s=start.output_tokens_per_s)):
            rate = way.output_tokens_per_s / cases.output_tokens  # Little's law, however the start went
            np.testing.assert_allclose(rate * (way.ttft_s + gaps * way.itl_s), cases.concurrency * cases.replicas)


def test_starts_that_compile_are_told_from_warm_ones_and_do_not_slow_the_others():
    cases, logs, slow = at_once(slow_frac=0.7)
    layout = fit_layout(cases)
    values = unknown_log_values(layout, fit_unknowns(cases, logs, layout), len(cases.cases))
    warm, start = solve_both_ways(cases, values)
    assert np.median(np.abs(np.log(warm.ttft_s) - logs[1])[~slow]) < 0.1
    assert np.median(np.abs(np.log(start.ttft_s) - logs[1])[slow]) < 0.1
    chance = start.odds / (1.0 + start.odds)
    assert np.mean(chance) == pytest.approx(np.mean(slow), abs=0.15)  # the prior pulls towards one in twenty
    cases, logs, _ = at_once()
    values = unknown_log_values(layout, fit_unknowns(cases, logs, layout), len(cases.cases))
    assert solve_both_ways(cases, values)[1].odds.max() < 1.0


def test_a_few_absurd_rows_hardly_move_the_fit():
    cases = table()
    logs = made_up(cases)
    logs[2] = np.nan
    layout = fit_layout(cases)
    spoiled = logs.copy()
    spoiled[0, ::18] += np.log(20.0)  # four rows off by a factor of twenty
    values = unknown_log_values(layout, fit_unknowns(cases, spoiled, layout), len(cases.cases))
    good = np.ones(len(cases.cases), dtype=bool)
    good[::18] = False
    error = solve_cases(cases, values).logs()[0] - logs[0]
    assert np.median(np.abs(error[good])) < 0.03


def test_the_same_cases_give_the_same_coefficients():
    cases = table()
    logs = made_up(cases)
    layout = fit_layout(cases)
    first, second = (coefficient_set_of(layout, fit_unknowns(cases, logs, layout, max_iterations=3)) for _ in range(2))
    assert first.as_json() == second.as_json()


def test_named_coefficients_predict_what_the_unknowns_did():
    cases = table()
    layout = fit_layout(cases)
    unknowns = fit_unknowns(cases, made_up(cases), layout, max_iterations=4)
    named = coefficient_set_of(layout, unknowns).log_values([c.attributes for c in cases.cases])
    direct = unknown_log_values(layout, unknowns, len(cases.cases))
    # deviations below 5e-4 are left out and the others rounded to 1e-4, over up to six levels
    np.testing.assert_allclose(named, direct, atol=3e-3)


def test_bad_rows_are_left_out_with_their_line_and_reason():
    good = rows()[0] | {"measured_itl_s": "0.01"}
    bad = [
        ({"model": "gpt-9"}, "model 'gpt-9'"),
        ({"measured_itl_s": "0"}, "measured_itl_s is 0; must be greater than 0 and finite, or blank"),
        ({"measured_ttft_s": "-1"}, "measured_ttft_s is -1; must be greater than 0"),
        ({"measured_accelerator_power_w": "hot"}, "measured_accelerator_power_w is 'hot'; must be a number or blank"),
        ({"measured_itl_s": ""}, "nothing is measured; give one of measured_itl_s, measured_ttft_s"),
    ]
    found = read_evidence([good, good, *(good | change for change, _ in bad)], ACCELERATORS, MODELS)
    assert len(found.table.cases) == 2
    for i, (said, (_, reason)) in enumerate(zip(found.rejected, bad, strict=True)):
        assert said.startswith(f"row {i + 4} (ix-h100-sxm-llama-3.1-70b-2-1024-4): {reason}")
    with pytest.raises(ValueError, match="no usable case; first: row 2"):
        read_evidence([{"model": "gpt-9"}], ACCELERATORS, MODELS)


def test_an_unknown_accelerator_falls_back_to_its_generation():
    fitted = coefficient_set()
    attributes = {
        "accelerator": "gb300x",
        "generation": "blackwell",
        "engine": "vllm",
        "protocol": "inferencex",
        "vintage": "",
        "model": "glm-4.6",
        "precision": "fp4",
    }
    unknown, other, martian = fitted.log_values(
        [attributes, attributes | {"accelerator": "gb999"}, attributes | {"generation": "martian"}]
    )
    assert unknown == pytest.approx(other)
    # what the generation's own deviations say, at each level that names no accelerator
    j = INDEX["weight_bandwidth_frac"]
    levels = fitted.deviation_log["weight_bandwidth_frac"]
    of_generation = sum(
        levels.get(level, {}).get(group_text(level, attributes), 0.0)
        for level in ("generation", "generation_precision", "system_precision")
    )
    assert unknown[j] - martian[j] == pytest.approx(of_generation)
    assert of_generation != 0.0


def test_shipped_coefficients_say_where_they_come_from():
    record = coefficient_set().record
    assert record["cases"] > 1000
    assert set(record["residuals"]) >= {"deployment", "model", "accelerator"}
    assert sum(record["cases_by_vintage"].values()) == record["cases"]


def test_an_incomplete_set_names_what_it_lacks(tmp_path):
    path = tmp_path / "set.json"
    path.write_text(json.dumps({"global_log": {}, "deviation_log": {}, "record": {}}))
    with pytest.raises(ValueError, match="set.json has no coefficient weight_bandwidth_frac"):
        coefficient_set(path)


def test_a_loose_step_goes_where_the_exact_one_goes(monkeypatch):
    chance = np.random.default_rng(2)
    jacobian = scipy.sparse.csr_matrix(chance.normal(size=(60, 20)) * (chance.random((60, 20)) < 0.3))
    gradient, damping = chance.normal(size=20), 0.01
    hessian = (jacobian.T @ jacobian).toarray() + np.eye(20)
    exact = -np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
    loose = fitting._damped_step(jacobian, gradient, damping)
    assert gradient @ loose < 0.0  # downhill
    assert np.linalg.norm(loose - exact) < 0.1 * np.linalg.norm(exact)
    monkeypatch.setattr(fitting, "STEP_TOLERANCE", 1e-9)
    np.testing.assert_allclose(fitting._damped_step(jacobian, gradient, damping), exact, rtol=1e-6)


def test_long_answers_are_told_apart_from_short_ones():
    row = rows()[0]
    classes = [
        parse_case(row | {"output_tokens": tokens}, ACCELERATORS, MODELS).attributes["answers"]
        for tokens in ("1024", "8192")
    ]
    assert classes == ["short", "long"]
    case = parse_case(row, ACCELERATORS, MODELS)
    of_no_length = deployment_attributes(
        case.accelerator, case.model, case.parallelism, case.weight_precision, case.attributes["engine"]
    )
    assert of_no_length["answers"] == ""


def test_quantiles_of_few_deployments_lean_on_the_larger_group():
    residuals = np.r_[np.linspace(-0.2, 0.2, 200), np.full(50, 3.0)]
    paths = [("all", "common")] * 200 + [("all", "rare")] * 50
    units = np.r_[np.arange(200), np.full(50, 200)]
    found = residual_quantiles(paths, residuals, units)
    assert (found["all"][0], found["rare"][0]) == (250, 50)
    assert found["common"][2] == pytest.approx(0.17, abs=0.01)  # 90 % of a uniform law on ±0.2, 7 units at 3.0 in all
    assert found["rare"][2] < 0.3  # fifty odd rows of one deployment count for a fortieth
    assert residual_quantiles(paths, residuals)["rare"][2] > 1.0  # which fifty deployments would not


def test_bands_are_never_narrower_than_repeated_runs_scatter():
    found = residual_quantiles([("all",)] * 5, np.full(5, 0.1))
    assert found["all"][1:] == pytest.approx([0.1 - LEAST_HALF_BAND, 0.1 + LEAST_HALF_BAND])


def test_power_falls_back_where_a_group_is_unknown_and_unpacking_costs_memory_power():
    fitted = {
        "global_log": [0.0, 1.0, 2.0],
        "unpacked_log": [0.5],
        "accelerator_log": {"h100-sxm": [0.1, 0.2, 0.3]},
        "spread_log": {"hopper|one": [0.25], "hopper|several": [-0.25]},
        "model_log": {"m": [0.05]},
    }
    known = {
        "accelerator": "h100-sxm",
        "generation": "hopper",
        "model": "m",
        "precision": "fp4",
        "arithmetic": "fp8",
        "ranks": "1.1.1.1",
    }
    cases = [
        known,
        known | {"ranks": "2.1.1.1"},
        {"accelerator": "rtx-4090", "model": "n", "precision": "fp4", "arithmetic": "fp4"},
    ]
    found = power_coefficients(fitted, cases)
    np.testing.assert_allclose(np.log(found.running), [0.4, -0.1, 0.0])
    np.testing.assert_allclose(np.log(found.compute), [1.5, 1.0, 1.0])
    np.testing.assert_allclose(np.log(found.memory), [3.1, 2.6, 2.0])  # the first two unpack their weights


@pytest.mark.slow
def test_widened_bands_cover_groups_that_they_have_not_seen():
    chance = np.random.default_rng(7)

    def groups(n):
        """Return residuals of n groups of 8 cases: what a group has in common spreads as much as its cases do."""
        return (chance.normal(size=(n, 1)) + chance.normal(size=(n, 8))).ravel()

    paths, units = [("all", f"group {i // 8}") for i in range(8 * 8)], np.arange(64) // 8
    covered = []
    for _ in range(40):
        seen, unseen = groups(8), groups(500)
        bands = residual_quantiles(paths, seen, units, widening_that_covers(paths, seen, units, units))
        low, high = band_logs(bands, ("all", "another group"))
        covered.append(np.mean((low <= unseen) & (unseen <= high)))
    # eight groups place a band's ends so that coverage scatters by some 10 points; the mean of 40 draws by 1.6
    assert np.mean(covered) == pytest.approx(0.8, abs=0.04)


def test_a_mode_that_is_predicted_worse_gets_a_stretch_of_its_own():
    chance = np.random.default_rng(11)
    paths = [("all", "wild" if i % 2 else "tame") for i in range(400)]
    residuals = chance.normal(size=400) * np.where(np.arange(400) % 2, 0.4, 0.1)
    units = np.arange(400) // 2 % 40 * 2 + np.arange(400) % 2  # 40 deployments of either mode
    widening = widening_that_covers(paths, residuals, units % 10, units)
    bands = residual_quantiles(paths, residuals, units, widening)
    for mode in ("tame", "wild"):
        low, high = band_logs(bands, ("all", mode))
        here = np.array([path[1] == mode for path in paths])
        assert np.mean((low <= residuals[here]) & (residuals[here] <= high)) == pytest.approx(0.8, abs=0.06)


def test_a_lone_group_says_as_little_as_students_t_allows():
    paths, residuals = [("all",)] * 6, np.array([0.1, -0.1, 0.0, 0.2, np.nan, np.nan])
    groups = np.array([3, 3, 3, 3, 3, 4])  # the other group was not measured
    widening = widening_that_covers(paths, residuals, groups, groups)
    assert widening == {"all": LONE_GROUP_WIDENING}
    assert widening["all"] == pytest.approx(
        3.078 / 1.2816 * np.sqrt(1.5), rel=1e-3
    )  # t table: 90 %, one degree of freedom


def test_groups_that_are_not_kept_are_never_looked_up():
    measured = table().cases
    chance = np.random.default_rng(3)
    record = {
        "deployments": [case.deployment for case in measured],
        "models": ["llama-3.1-70b", "qwen3-32b"],
        "systems": ["h100-sxm|vllm", "h200-sxm|vllm"],
        "modes": ["aggregated|no drafts|other makers"],
    }
    paths = [group_path(case, queued, "itl") for case in measured for queued in (False, True)]
    every = {kind: {"itl": residual_quantiles(paths, chance.normal(size=len(paths)))} for kind in KINDS}
    kept = {
        kind: {"itl": {g: row for g, row in every[kind]["itl"].items() if g in reachable_groups(paths, KINDS[kind])}}
        for kind in KINDS
    }
    # all, 1 mode, 2 models; then each under 3 loads, on 2 accelerators
    counts = {kind: len(kept[kind]["itl"]) for kind in KINDS}
    assert counts["known"] == counts["new_deployment"] == 1 + 1 + 2 + 2 * 3 + 2 * 3 * 2
    assert (counts["new_accelerator"], counts["new_model"], counts["other_mode"]) == (1 + 1 + 2 + 2 * 3, 1 + 1, 1)
    row = rows()[0]
    seen = set()
    for change in (
        {},
        {"tensor_parallel": "1", "n_accelerators": "1"},
        {"model": "llama-3.1-8b"},
        {"accelerator": "b200-sxm"},
        {"engine": "sglang"},
        {"accelerator": "mi300x", "model": "llama-3.1-8b"},
    ):
        case = parse_case(row | change, ACCELERATORS, MODELS)
        seen |= set(kinds := novelty(case, record))
        for queued in (False, True):
            ends = [case_band(bands, "itl", case, queued, kinds, measured_kinds(measured)) for bands in (kept, every)]
            assert ends[0] == ends[1]
    assert seen == set(KINDS)


def test_how_a_new_model_is_run_counts_less_the_more_models_ran_so():
    mode, other = "aggregated|no drafts|amd", "disaggregated|drafts|amd"
    measured = [f"{mode} | {model} | mi355x" for model in ("a", "b", "c")] + [f"{mode} | a | mi300x"]
    of_a_model = novelty_shares(measured, mode, "new", "mi355x", ["new_model"])
    assert of_a_model == {"new_model": 1.0, "other_mode": 1 / 4, "new_accelerator": 1 / 4}
    assert novelty_shares(measured, mode, "new", "mi300x", ["new_model"])["new_accelerator"] == 1 / 2
    assert novelty_shares(measured, other, "new", "mi355x", ["new_model"])["other_mode"] == 1.0
    of_a_part = novelty_shares(measured, mode, "a", "mi400", ["new_accelerator"])
    assert of_a_part == {"new_accelerator": 1.0, "other_mode": 1 / 3, "new_model": 1 / 3}
    both = novelty_shares(measured, mode, "new", "mi400", ["new_model", "new_accelerator"])
    assert both == {"new_model": 1.0, "new_accelerator": 1.0, "other_mode": 1 / 3}
    for known in (["known"], ["new_deployment"], ["other_mode"]):
        assert novelty_shares(measured, mode, "a", "mi355x", known) == {known[0]: 1.0}


@pytest.mark.parametrize("drafts", [False, True])
@pytest.mark.parametrize("mode", ["aggregated", "disaggregated"])
def test_a_band_is_never_narrower_for_what_was_not_measured(mode, drafts):
    """Of a layout, where a model, an accelerator, or both are taken out of what was measured."""
    record = coefficient_set().record
    for model in ("deepseek-r1", "gpt-oss-120b", "llama-3.1-70b"):
        for accelerator in ("b200-sxm", "h200-sxm", "mi355x"):
            no_model = {"models": [name for name in record["models"] if name != model]}
            no_part = {"systems": [name for name in record["systems"] if not name.startswith(f"{accelerator}|")]}
            known, other_model, other_part, neither = (
                half_bands(record | forgotten, accelerator, model, mode=mode, drafts=drafts)
                for forgotten in ({}, no_model, no_part, no_model | no_part)
            )
            for quantity, half in known.items():
                assert half <= min(other_model[quantity], other_part[quantity])
                assert max(other_model[quantity], other_part[quantity]) <= neither[quantity] * (1 + 1e-9)


def test_the_band_of_a_row_holds_that_of_what_is_less_new():
    record = coefficient_set().record
    for change in ({}, {"model": "llama-3.1-8b"}, {"concurrency": "512"}, {"source": ""}):
        case = parse_case(rows()[0] | change, ACCELERATORS, MODELS)
        for quantity in ("itl", "ttft", "throughput", "power", "joules"):

            def ends(*kinds, measured=record["measured"], case=case, quantity=quantity):
                return case_band(record["bands"], quantity, case, False, kinds, measured)

            less = [ends("known"), ends("new_deployment")]
            unlike = [text for text in record["measured"] if not text.startswith(mode_class(case))]
            for kinds in (("new_model",), ("new_accelerator",), ("other_mode",), ("new_model", "new_accelerator")):
                low, high = ends(*kinds)
                assert low <= min(e[0] for e in less)
                assert high >= max(e[1] for e in less)
                fewer = ends(*kinds, measured=unlike)  # nothing ran in its mode
                assert fewer[0] <= low
                assert fewer[1] >= high


def test_few_groups_widen_a_band_at_once_and_narrow_it_slowly():
    chance = np.random.default_rng(4)
    paths = [("all", "few" if i < 60 else "many") for i in range(660)]
    units = np.arange(660) // 20
    for factor, narrower in ((0.1, True), (4.0, False)):
        residuals = chance.normal(size=660) * np.where(np.arange(660) < 60, factor, 1.0)
        quick = widening_that_covers(paths, residuals, units % 5, units)
        slow = widening_that_covers(paths, residuals, units % 5, units, PRIOR_NARROWING_UNITS)
        assert slow["all"] == quick["all"]
        if narrower:
            assert quick["few"] < slow["few"] < slow["all"]
        else:
            assert slow["few"] == quick["few"] > quick["all"]
    assert max(slow.values()) <= LONE_GROUP_WIDENING


def test_the_shipped_set_keeps_only_groups_that_can_be_looked_up():
    record = coefficient_set().record
    names = {
        "new_model": set(record["models"]),
        "new_accelerator": {system.split("|")[0] for system in record["systems"]},
    }
    assert all(list(groups) == ["all"] for groups in record["bands"]["other_mode"].values())
    for kind, known in names.items():
        for quantity, groups in record["bands"][kind].items():
            named = {group for group in groups if known & set(group.split("|"))}
            assert not named, f"{kind} {quantity} keeps {sorted(named)[0]}; write the set by `manage.py fit_serving`"
            assert "all" in groups


def test_every_group_of_a_path_says_what_it_names():
    case = table().cases[0]
    path = group_path(case, False)
    texts = {"mode": "aggregated|no drafts", "model": "llama-3.1-70b", "accelerator": "h100-sxm"}
    for group, names in zip(path, GROUP_NAMES, strict=True):
        assert {name for name, text in texts.items() if text in group} == set(names)


@pytest.mark.parametrize(
    ("asked", "stands"),
    [
        ("0.5.9", "0.5.9"),
        ("0.5.10", "0.5.9"),  # newer than 0.5.9, whatever its text says
        ("0.5.12rc1", "0.5.9"),  # a candidate comes before its release
        ("0.6.0", "0.5.12"),
        ("0.4.1", "0.5.5.post3"),  # older than all: the oldest
        ("2026-03", "0.5.9"),  # no release was named: the last that had come out by then
        ("2026-01", "2026-01"),
        ("2025-01", "2025-12"),
        ("", ""),
        ("unknown", ""),
    ],
)
def test_a_release_that_was_not_measured_is_taken_as_the_one_before_it(asked, stands):
    measured = {"2025-12": "2025-12", "0.5.5.post3": "2026-01", "2026-01": "2026-01", "0.5.9": "2026-02"}
    measured["0.5.12"] = "2026-05"
    assert standing_release(measured, asked) == stands
    assert standing_release({}, asked) == ""


def test_the_engines_release_moves_a_prediction_and_that_of_a_sibling():
    row = {"accelerator": "mi300x", "model": "deepseek-r1", "weight_precision": "fp8", "engine": "sglang"}
    row |= {"n_accelerators": "8", "tensor_parallel": "8", "source": "InferenceX"}
    row |= {"input_tokens": "1024", "output_tokens": "1024", "concurrency": "4"}

    def gap_s(version, accelerator="mi300x"):
        asked = row | {"engine_version": version, "accelerator": accelerator}
        return float(predict_rows([asked], ACCELERATORS, MODELS, coefficient_set())[0]["itl_s"])

    # measured: 24.6 ms on 0.5.9, 14.9 ms on 0.5.12
    assert gap_s("0.5.9") > 1.3 * gap_s("0.5.12")
    assert gap_s("0.5.10") == gap_s("0.5.9")
    assert gap_s("0.6.1") == gap_s("0.5.12")
    assert gap_s("0.5.12") < gap_s("") < gap_s("0.5.9")  # none in particular
    # its sibling, of which nothing was measured, runs the same kernels
    assert gap_s("0.5.9", "mi325x") > 1.3 * gap_s("0.5.12", "mi325x")


def test_what_narrow_experts_reach_says_little_of_wide_ones():
    def group(model):
        case = deployment_attributes(
            ACCELERATORS["h200-sxm"], MODELS[model], Parallelism(tensor_parallel=8), "fp8", "trtllm"
        )
        return group_text("system_experts", case)

    assert group("deepseek-r1") == group("qwen3-30b-a3b") != group("mixtral-8x7b-v0.1") != ""
    assert group("mixtral-8x7b-v0.1") == group("llama-4-maverick-17b-128e-instruct")
    assert group("llama-3.1-70b") == ""  # without experts
    # what DeepSeek-R1's experts lack on this system is not taken off Mixtral's
    fitted = coefficient_set()
    deviations = fitted.deviation_log["expert_gemm_frac"]["system_experts"]
    assert deviations[group("deepseek-r1")] < 0.0
    assert group("mixtral-8x7b-v0.1") not in deviations


def test_a_post_release_is_a_vintage_of_its_own():
    assert case_vintage("1.2.0rc6.post3", "2026-02-06") != case_vintage("1.2.0rc6.post2", "2026-02-03")
    assert case_vintage("", "2025-11-02") == "2025-11"


@pytest.mark.parametrize(
    ("written", "release"),
    [
        ("rocm7.1.1-ubuntu24.04-pytorch2.9-atom0.1.1-MI350x", "0.1.1"),
        ("rocm7.2.0-ubuntu24.04-pytorch2.9-atom0.1.1", "0.1.1"),
        ("rocm7.2.1-ubuntu24.04-pytorch2.9.1-atom0.1.2", "0.1.2"),
        ("rocm7.2.4_ubuntu24.04_py3.12_pytorch_release_2.10.0_atom0.1.3", "0.1.3"),
        ("rocm7.2.3_ubuntu24.04_py3.12_pytorch_release_2.10.0_atom20260511", "2026-05"),
        ("rocm/vllm:rocm6.4.1_vllm_0.9.1_20250715", "0.9.1"),
        ("lmsysorg/sglang:v0.5.12-rocm720-mi35x-20260519", "0.5.12"),
        ("0.5.10.post1-cu130", "0.5.10.post1"),
        ("jwillthomson/dynamo-trtllm-1.2.0rc2-min-tokens-fix-v2", "1.2.0rc2"),
        ("nightly-20260821", "2026-08"),
        ("rocm7.2.3", "2026-09"),  # of the platform alone
        ("nightly-7c5dc57", "2026-09"),
    ],
)
def test_an_images_release_is_its_engines_not_its_platforms(written, release):
    assert case_release(written, "2026-09-01") == release
