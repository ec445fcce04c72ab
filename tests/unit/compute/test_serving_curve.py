"""Choice of configuration, curves over clock and load, frontier and drafts."""

from dataclasses import replace

import numpy as np
import pytest

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.calibration.uncertainty import half_bands
from compute.model_shapes import model_shape_from_entry
from compute.steady.frontier import serving_frontier
from compute.steady.instances import build_instances
from compute.steady.serving import Configuration, best_configuration, serving_curve
from compute.steps.roofline import Parallelism
from compute.steps.speculation import speculative_itl_s, tokens_per_step
from compute.workload import LatencyTargets, Workload, lognormal_variation, workload_from_entry
from facility.catalogue import entries

FITTED = coefficient_set()
CLOCKS, LOADS = np.linspace(0.4, 1.0, 4), np.linspace(0.0, 1.0, 11)


def part(name):
    return accelerator_from_entry(entries("accelerators")[name])


def shape(name):
    return model_shape_from_entry(entries("models")[name])


def chosen(model="llama-3.1-70b", accelerator="h200-sxm", use="enterprise_assistants", **options):
    workload, targets = workload_from_entry(entries("workloads")[use])
    return best_configuration(FITTED, part(accelerator), shape(model), workload, targets, **options), workload, targets


@pytest.mark.parametrize(("accelerator", "limit"), [("h200-sxm", 8), ("gb300", 72)])
def test_load_one_at_full_clock_is_where_a_target_is_just_kept(accelerator, limit):
    choice, workload, targets = chosen(accelerator=accelerator, max_accelerators=limit)
    curve = serving_curve(FITTED, choice.configuration, workload, targets, CLOCKS, LOADS)
    ttft = curve.ttft_p95_s[-1, -1] / targets.ttft_s
    itl = curve.itl_p95_s[-1, -1] / targets.itl_s
    assert max(ttft, itl) <= 1 + 1e-6
    # a jump of the last permille of load crosses one of them, or capacity itself binds
    over = serving_curve(FITTED, choice.configuration, workload, targets, CLOCKS, np.array([1.0, 1.02]))
    assert over.ttft_p95_s[-1, 1] > targets.ttft_s or over.itl_p95_s[-1, 1] > targets.itl_s
    assert curve.output_tokens_per_s[-1, -1] == pytest.approx(choice.output_tokens_per_s, rel=1e-4)  # bisection


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "engine", "use"),
    [("glm-4.5-air", "trtllm", "manufacturing"), ("llama-3.1-70b", "trtllm", "autonomous_systems")],
)
def test_no_load_that_outgrows_capacity_counts_as_sustained(model, engine, use):
    # a backlog of a permille stays within a target of seconds for a while
    choice, workload, targets = chosen(model, "gb200", use, max_accelerators=72, engine=engine, allow_drafts=True)
    curve = serving_curve(FITTED, choice.configuration, workload, targets, CLOCKS, np.array([0.5, 1.0]))
    assert curve.ttft_p95_s[-1, -1] <= targets.ttft_s * (1 + 1e-6)
    assert curve.itl_p95_s[-1, -1] <= targets.itl_s * (1 + 1e-6)


def test_a_lower_clock_costs_latency_and_capacity_and_never_helps():
    choice, workload, targets = chosen()
    curve = serving_curve(FITTED, choice.configuration, workload, targets, CLOCKS, LOADS)
    assert np.all(np.diff(curve.capacity_frac) >= -1e-6)
    assert np.all(np.diff(curve.ttft_p95_s, axis=0) <= 1e-9)
    assert np.all(np.diff(curve.slo_attainment_frac, axis=0) >= -1e-9)
    assert np.all(np.diff(curve.dynamic_power_w) >= -1e-9)
    assert curve.dynamic_power_w[0] == pytest.approx(0, abs=1e-6)
    assert np.all(curve.static_power_w + curve.dynamic_power_w <= part("h200-sxm").tdp_w)


def test_a_lower_clock_hurts_prompts_much_and_generation_little():
    llama = Configuration(part("h100-sxm"), shape("llama-3.1-70b"), "vllm", "fp8", Parallelism(4))
    workload = Workload(4000, 500)
    targets = LatencyTargets(60.0, 1.0)
    curve = serving_curve(FITTED, llama, workload, targets, np.array([0.5, 1.0]), np.array([1e-3]))
    assert curve.ttft_p50_s[0, 0] / curve.ttft_p50_s[1, 0] > 1.6
    assert curve.itl_p50_s[0, 0] / curve.itl_p50_s[1, 0] < 1.15


def test_what_does_not_fit_says_what_is_missing():
    choice, _, _ = chosen("deepseek-r1", "h100-sxm", max_accelerators=4)
    assert choice.configuration is None
    assert "weights need 67" in choice.reason
    assert "4 x 86 GB" in choice.reason


def test_targets_that_nothing_keeps_are_named_with_the_best_there_is():
    choice = best_configuration(
        FITTED, part("h200-sxm"), shape("llama-3.1-405b"), Workload(8000, 300), LatencyTargets(0.01, 0.0001)
    )
    assert choice.configuration is None
    assert "TTFT p95 is" in choice.reason
    assert "target 0.01 s" in choice.reason
    assert "ITL p95 is" in choice.reason


def test_bursts_lower_what_can_be_sustained():
    targets = LatencyTargets(1.0, 0.05)
    # of one kind: two pools must gain more than their band over the kept kind, so that bursts may bring them in
    rates = [
        best_configuration(
            FITTED,
            part("h200-sxm"),
            shape("llama-3.1-70b"),
            Workload(2000, 300, dispersion=d),
            targets,
            allow_disaggregated=False,
        ).output_tokens_per_s
        for d in (1.0, 4.0, 16.0)
    ]
    assert rates[0] > rates[1] > rates[2] > 0


def test_disaggregation_is_written_as_its_pools():
    unit = Configuration(
        part("gb300"), shape("deepseek-r1"), "", "fp4", Parallelism(1, 1, 32, 32), Parallelism(4), 2, 1
    )
    assert unit.n_accelerators == 40
    assert unit.text() == "fp4, prefill 2 x TP 4 : decode 1 x DP 32 EP 32"
    workload, targets = Workload(8000, 1000), LatencyTargets(10.0, 0.05)
    curve = serving_curve(FITTED, unit, workload, targets, np.ones(1), LOADS)
    assert np.all(np.diff(curve.output_tokens_per_s[0]) > 0)


def test_the_frontier_trades_speed_per_user_for_throughput():
    frontier = serving_frontier(FITTED, part("gb300"), shape("deepseek-r1"), Workload(1024, 1024), max_accelerators=72)
    assert np.all(np.diff(frontier.user_tokens_per_s) > 0)
    assert np.all(np.diff(frontier.accelerator_tokens_per_s) < 0)
    assert len(frontier.configuration) == frontier.itl_s.size
    assert frontier.at_interactivity(1e9) is None
    slow, fast = frontier.at_interactivity(20.0), frontier.at_interactivity(100.0)
    assert frontier.joules_per_output_token[fast] > frontier.joules_per_output_token[slow]


def test_drafts_accepted_always_give_one_token_more_each():
    assert tokens_per_step(3, 1.0) == 4
    assert tokens_per_step(2, 0.5) == 1.75  # 1 + 1/2 + 1/4
    assert tokens_per_step(5, 0.0) == 1
    with pytest.raises(ValueError, match=r"acceptance must be in \[0, 1\]"):
        tokens_per_step(1, 1.5)


def test_drafts_that_are_never_accepted_only_cost():
    instances, _ = build_instances(
        FITTED, part("h200-sxm"), shape("deepseek-r1"), Workload(1000, 1000), [Parallelism(8)], ["fp8"]
    )
    loads = np.array([1.0, 16.0, 256.0])
    plain, drafted = (
        speculative_itl_s(instances.costs, sequences=loads, context_tokens=1000, draft_tokens=g, acceptance=0.0)
        for g in (0, 2)
    )
    assert np.all(drafted > plain)


def test_lognormal_spread_reproduces_the_ratio_it_came_from():
    variation = lognormal_variation({"mean": 1155.0, "p95": 4083.0})
    sigma = np.sqrt(np.log1p(variation**2))
    assert np.exp(1.6448536 * sigma - sigma**2 / 2) == pytest.approx(4083 / 1155, rel=1e-6)


def test_impossible_workloads_are_refused_by_name():
    with pytest.raises(ValueError, match="Workload.output_tokens is 0; must be 1 token or more"):
        Workload(100, 0)
    with pytest.raises(ValueError, match="Workload.input_tokens is nan"):
        Workload(float("nan"), 10)
    with pytest.raises(ValueError, match="LatencyTargets.itl_s is -1 s; must be greater than 0"):
        LatencyTargets(1.0, -1)


def test_a_cap_is_kept_and_slows_prompts_more_than_generation():
    choice, workload, targets = chosen(allow_disaggregated=False)
    names = ("ttft_p50_s", "itl_p50_s", "accelerator_power_w", "held_clock_frac")
    free, capped = (
        serving_curve(
            FITTED, choice.configuration, workload, targets, np.ones(1), np.array([0.1, 0.5]), power_cap_w=cap
        )
        for cap in (None, 300.0)
    )
    free, capped = ({name: getattr(curve, name)[0] for name in names} for curve in (free, capped))
    assert np.all(capped["accelerator_power_w"] <= 300.0 + 1e-6)
    assert np.all(capped["held_clock_frac"] < free["held_clock_frac"])
    assert capped["ttft_p50_s"][1] / free["ttft_p50_s"][1] > capped["itl_p50_s"][1] / free["itl_p50_s"][1] > 1.0
    with pytest.raises(ValueError, match="the power cap is 20 W; h200-sxm can be set to"):
        serving_curve(FITTED, choice.configuration, workload, targets, np.ones(1), np.ones(1), power_cap_w=20.0)


def test_a_cap_above_what_is_drawn_changes_nothing():
    choice, workload, targets = chosen()
    free, capped = (
        serving_curve(FITTED, choice.configuration, workload, targets, CLOCKS, LOADS, power_cap_w=cap)
        for cap in (None, part("h200-sxm").tdp_w)
    )
    np.testing.assert_allclose(capped.itl_p95_s, free.itl_p95_s, rtol=1e-9)
    np.testing.assert_allclose(capped.held_clock_frac, free.held_clock_frac)


def test_more_ways_to_serve_never_lower_the_frontier():
    workload = Workload(8192, 1024)
    plain, apart, drafting = (
        serving_frontier(FITTED, part("gb300"), shape("deepseek-r1"), workload, max_accelerators=72, **options)
        for options in ({}, {"allow_disaggregated": True}, {"allow_disaggregated": True, "allow_drafts": True})
    )
    for speed in (20.0, 50.0, 100.0):
        rates = [f.accelerator_tokens_per_s[f.at_interactivity(speed)] for f in (plain, apart, drafting)]
        assert rates == sorted(rates)
    assert any("prefill" in text for text in apart.configuration)
    assert any("MTP" in text for text in drafting.configuration)
    assert not any("MTP" in text for text in apart.configuration)


def test_the_frontier_keeps_a_cap():
    options = {"max_accelerators": 72, "allow_disaggregated": True}
    free, capped = (
        serving_frontier(FITTED, part("gb300"), shape("deepseek-r1"), Workload(8192, 1024), power_cap_w=cap, **options)
        for cap in (None, 800.0)
    )
    assert capped.accelerator_power_w.max() <= 800.0 + 1e-6 < free.accelerator_power_w.max()
    rates = [f.accelerator_tokens_per_s[f.at_interactivity(50.0)] for f in (capped, free)]
    assert rates[0] < rates[1]


def test_drafts_are_tried_only_where_asked_for_and_built_in():
    workload, targets = Workload(500, 4000), LatencyTargets(ttft_s=2.0, itl_s=0.015)  # fast answers, long ones
    plain, drafting = (
        best_configuration(
            FITTED, part("gb300"), shape("deepseek-r1"), workload, targets, max_accelerators=72, allow_drafts=may
        )
        for may in (False, True)
    )
    assert plain.configuration.draft_tokens == 0
    assert drafting.configuration.draft_tokens > 0
    assert drafting.output_tokens_per_s > plain.output_tokens_per_s
    curve = serving_curve(FITTED, drafting.configuration, workload, targets, np.ones(1), np.ones(1))
    assert curve.output_tokens_per_s[0, 0] == pytest.approx(drafting.output_tokens_per_s, rel=1e-4)
    llama, _, _ = chosen(allow_drafts=True)
    assert llama.configuration.draft_tokens == 0  # no prediction module


def test_where_no_kind_was_measured_the_choice_turns_at_equal_low_ends_of_bands_and_says_that_it_is_close():
    workload, targets = workload_from_entry(entries("workloads")["enterprise_assistants"])
    rubin, model = part("rubin-r200"), shape("deepseek-r1")

    def at(cached_frac):
        """Return the choice, and the low end of the band of its tokens per second."""
        asked = replace(workload, cached_frac=cached_frac)
        found = best_configuration(FITTED, rubin, model, asked, targets, max_accelerators=72)
        mode = "disaggregated" if found.configuration.is_disaggregated else "aggregated"
        half = half_bands(FITTED.record, "rubin-r200", "deepseek-r1", mode=mode)["throughput"]
        return found, found.output_tokens_per_s * np.exp(-half)

    apart, alone = 0.3, 0.97
    assert at(apart)[0].configuration.is_disaggregated
    assert not at(alone)[0].configuration.is_disaggregated
    for _ in range(9):
        middle = 0.5 * (apart + alone)
        apart, alone = (middle, alone) if at(middle)[0].configuration.is_disaggregated else (apart, middle)
    (before, low_before), (after, low_after) = at(apart), at(alone)
    assert low_after == pytest.approx(low_before, rel=0.03)  # units are whole: tokens per second move in small steps
    assert all("close choice" in found.note for found in (before, after))
    assert "close choice" not in at(0.3)[0].note
