"""Every input of a deployment reaches the answer through every door, and every door refuses the same.

`INPUTS` is the table of inputs and doors: a column of `predict_serving` and /api/serving/predict/, a field of
/api/serving/, a name of the explorer's form, a field of a scenario or of its use cases (form, API and site file), an
option of `replay_trace`; `PAGES` adds a field of the trace page and of the page of measured runs. `PIN` stands where a
configuration that is written out says it: in the explorer, in /api/serving/ and in a scenario's use cases.
"""

import argparse
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import compute.calibration
from compute.accelerators import accelerator_from_entry
from compute.calibration.case_fields import INPUT_COLUMNS
from compute.calibration.cases import parse_case
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.prediction.rows import predict_rows
from compute.steady.instances import build_instances
from compute.steady.pins import pin_from_text
from compute.steady.serving import pinned_configuration
from compute.steps.roofline import Parallelism
from compute.steps.speculation import generation_gap_s
from compute.workload import LatencyTargets, Workload, workload_from_entry
from facility.catalogue import entries
from tests.small_inputs import sheet, small_inputs
from twin.api.serializers import ScenarioSerializer, ScenarioWorkloadSerializer
from twin.api.serving import ServingQuestionSerializer
from twin.core.inputs.layout import WorkloadShare
from twin.core.inputs.pools import _service
from twin.core.serving.explore import Question, chosen_configuration, explored, frontier_of
from twin.core.serving.replicas import ReplicaOptions, replica_pool_for, replica_warnings
from twin.forms import WORKLOAD_FIELDS, ScenarioForm
from twin.interchange import site_file
from twin.management.commands.replay_trace import Command
from twin.views.measured import COUNTS, MeasuredRunForm
from twin.views.traces import TraceForm

PIN = "a pinned configuration"
ALL_STATISTICS = "answers with mean or median and with percentiles, so none is asked for"
# input: column, field of /api/serving/, name on the explorer's page, field of a scenario, option of the replay
INPUTS = {
    "accelerator": ("accelerator", "accelerator", "system", "the layout's racks", "--accelerator"),
    "model": ("model", "model", "model", "workloads.model", "--model"),
    "weight precision": ("weight_precision", "precision", PIN, "weight_precision", "--precision"),
    "checkpoint": ("checkpoint", "checkpoint", "checkpoint", "workloads.checkpoint", "--checkpoint"),
    "precision of the cache": ("kv_precision",) * 4 + ("--kv-precision",),
    "engine": ("engine", "engine", "engine", "engine", "--engine"),
    "release of the engine": ("engine_version",) * 4 + ("--engine-version",),
    "statistic": ("statistic", *(ALL_STATISTICS,) * 4),
    "mode": ("mode", "mode", "mode", "serving_mode", "--decode-replicas"),
    "tensor parallelism": ("tensor_parallel", PIN, PIN, PIN, "--tensor-parallel"),
    "pipeline stages": ("pipeline_parallel", PIN, PIN, PIN, "--pipeline-parallel"),
    "attention data parallelism": ("data_parallel", PIN, PIN, PIN, "--data-parallel"),
    "expert parallelism": ("expert_parallel", PIN, PIN, PIN, "--expert-parallel"),
    "prefill workers": ("prefill_workers", PIN, PIN, PIN, "--replicas"),
    "decode workers": ("decode_workers", PIN, PIN, PIN, "--decode-replicas"),
    "tensor parallelism of prefill": ("prefill_tp", PIN, PIN, PIN, "--tensor-parallel"),
    "tensor parallelism of decode": ("decode_tp", PIN, PIN, PIN, "--decode-tensor-parallel"),
    "pipeline stages of prefill": ("prefill_pp", PIN, PIN, PIN, "--pipeline-parallel"),
    "pipeline stages of decode": ("decode_pp", PIN, PIN, PIN, "--decode-pipeline-parallel"),
    "attention data parallelism of prefill": ("prefill_attention_dp", PIN, PIN, PIN, "--data-parallel"),
    "attention data parallelism of decode": ("decode_attention_dp", PIN, PIN, PIN, "--decode-data-parallel"),
    "expert parallelism of prefill": ("prefill_ep", PIN, PIN, PIN, "--expert-parallel"),
    "expert parallelism of decode": ("decode_ep", PIN, PIN, PIN, "--decode-expert-parallel"),
    "what drafts": ("speculative", "speculative", PIN, PIN, "--speculative"),
    "whether tokens are drafted": ("speculative", "drafts", "drafts", "allow_drafts", "--draft-tokens"),
    "drafted tokens": ("draft_tokens", "draft_tokens", "draft_tokens", "draft_tokens", "--draft-tokens"),
    "acceptance of drafts": (
        "draft_acceptance",
        "draft_acceptance",
        "draft_acceptance",
        "draft_acceptance_frac",
        "--draft-acceptance",
    ),
    "requests in flight": ("concurrency", PIN, PIN, PIN, "--seats"),
}
# input: field of the trace page, field of the page of measured runs
PAGES = {
    "accelerator": ("system", "accelerator"),
    "model": ("model", "model"),
    "checkpoint": ("checkpoint", "checkpoint"),
    "precision of the cache": ("kv_precision", "kv_precision"),
    "engine": ("engine", "engine"),
    "release of the engine": ("engine_version", "engine_version"),
    "weight precision": ("configuration", "weight_precision"),
    "tensor parallelism": ("configuration", "tensor_parallel"),
    "pipeline stages": ("configuration", "pipeline_parallel"),
    "attention data parallelism": ("configuration", "data_parallel"),
    "expert parallelism": ("configuration", "expert_parallel"),
    "whether tokens are drafted": ("drafts", "configuration"),
    "drafted tokens": ("draft_tokens", "configuration"),
    "acceptance of drafts": ("draft_acceptance", "configuration"),
}
FROM_FILE = {"statistic", "requests in flight"}  # a result file or a trace says these itself
# Columns that say how big or what was asked, and how a case was measured: no part of a deployment.
NO_DEPLOYMENT = {
    "case_id",
    "source",
    "measured_on",
    "n_accelerators",
    "prefill_accelerators",
    "decode_accelerators",
    "input_tokens",
    "output_tokens",
    "request_rate_per_s",
}
NO_NAME = {PIN, ALL_STATISTICS, "the layout's racks"}

GB200 = entries("accelerators")["gb200"]
DEEP = entries("models")["deepseek-r1"]
PART, SHAPE = accelerator_from_entry(GB200), model_shape_from_entry(DEEP)
WORKLOAD, TARGETS = Workload(4000, 800), LatencyTargets(4.0, 0.1)


def named(place):
    return {row[place] for row in INPUTS.values()} - NO_NAME


def named_of_scenario():
    """Return the fields of a scenario, and those of its use cases."""
    found = {True: set(), False: set()}
    for name in named(3):
        found[name.startswith("workloads.")].add(name.removeprefix("workloads."))
    return found[False], found[True]


def columns_read():
    """Return the columns that the sources of serving cases read."""
    folder = Path(compute.calibration.__file__).parent
    text = "".join((folder / f"{name}.py").read_text(encoding="utf-8") for name in ("cases", "case_pools"))
    found = set(re.findall(r'(?:text\.get\(|(?:number|count|choice|known_name)\(text, |missing\()"(\w+)"', text))
    pools = {f"{pool}_{name}" for pool in ("prefill", "decode") for name in ("tp", "pp", "ep", "attention_dp")}
    assert re.search(r'f"\{name\}_\{part\}"', text)  # how they are read
    return found | pools | {f"{pool}_{name}" for pool in ("prefill", "decode") for name in ("accelerators", "workers")}


def test_the_table_has_every_column_that_is_read():
    assert columns_read() == set(INPUT_COLUMNS)
    assert named(0) | NO_DEPLOYMENT == set(INPUT_COLUMNS)


def test_every_name_of_the_table_stands_in_its_door():
    assert named(1) <= set(ServingQuestionSerializer().fields)
    page = (Path(__file__).parents[3] / "templates/twin/serving/_question.html").read_text(encoding="utf-8")
    assert named(2) <= set(re.findall(r' name="(\w+)"', page))
    of_scenario, of_use_case = named_of_scenario()
    assert of_scenario <= set(ScenarioForm.Meta.fields)
    assert of_scenario <= set(ScenarioSerializer.Meta.fields)
    assert of_scenario <= set(site_file.SCENARIO_FIELDS)
    assert of_use_case <= set(WORKLOAD_FIELDS)
    assert of_use_case <= set(ScenarioWorkloadSerializer.Meta.fields)
    assert of_use_case <= set(site_file.WORKLOAD_FIELDS)
    parser = argparse.ArgumentParser()
    Command().add_arguments(parser)
    assert named(4) <= set(parser._option_string_actions)


def test_pages_that_take_a_file_ask_for_what_it_does_not_say():
    rest = set(INPUTS) - set(PAGES) - FROM_FILE
    assert all(PIN in INPUTS[name] or name == "mode" for name in rest)  # that their configuration says
    for place, fields in enumerate((TraceForm.base_fields, {**MeasuredRunForm.base_fields, **COUNTS})):
        assert {row[place] for row in PAGES.values()} <= set(fields)


def test_a_pinned_configuration_stands_in_every_door_that_takes_one():
    assert "configuration" in ServingQuestionSerializer().fields
    assert "configuration" in WORKLOAD_FIELDS
    assert "configuration" in ScenarioWorkloadSerializer.Meta.fields
    assert "configuration" in site_file.WORKLOAD_FIELDS


FIRST = "fp4, prefill 1 x TP 4 : decode 2 x DP 8 EP 8"  # whose prefill sets the rate
LAST = "fp4, prefill 12 x TP 4 : decode 1 x DP 8 EP 8"  # whose decode does
PINNED = {  # input: one configuration, another that differs in it alone
    "weight precision": ("fp8, TP 8", "fp4, TP 8"),
    "checkpoint": ("fp8, TP 8", "fp8, TP 8, checkpoint Llama-3.1-405B-Instruct-FP8"),
    "precision of the cache": ("fp4, TP 8, KV fp8", "fp4, TP 8, KV bf16"),
    "mode": ("fp4, TP 8", FIRST),
    "tensor parallelism": ("fp4, TP 8", "fp4, TP 16"),
    "pipeline stages": ("fp4, TP 8", "fp4, TP 8 PP 2"),
    "attention data parallelism": ("fp4, TP 8 EP 8", "fp4, DP 8 EP 8"),
    "expert parallelism": ("fp4, TP 8", "fp4, TP 8 EP 8"),
    "prefill workers": (FIRST, FIRST.replace("1 x", "2 x")),
    "decode workers": (LAST, LAST.replace("1 x", "2 x")),
    "tensor parallelism of prefill": (FIRST, FIRST.replace("TP 4", "TP 8")),
    "tensor parallelism of decode": (LAST, LAST.replace("DP 8 EP 8", "TP 8")),
    "pipeline stages of prefill": (FIRST, FIRST.replace("TP 4", "TP 4 PP 2")),
    "pipeline stages of decode": (LAST, LAST.replace("DP 8 EP 8", "DP 8 EP 8 PP 2")),
    "attention data parallelism of prefill": (FIRST, FIRST.replace("TP 4", "TP 2 DP 2")),
    "attention data parallelism of decode": (LAST, LAST.replace("DP 8 EP 8", "TP 2 DP 4 EP 8")),
    "expert parallelism of prefill": (FIRST, FIRST.replace("TP 4", "TP 4 EP 4")),
    "expert parallelism of decode": (LAST, LAST.replace("DP 8 EP 8", "DP 8 EP 4")),
    "what drafts": ("fp4, TP 8, MTP 2", "fp4, TP 8, EAGLE 2"),
    "drafted tokens": ("fp4, TP 8, MTP 1", "fp4, TP 8, MTP 3"),
    "acceptance of drafts": ("fp4, TP 8, MTP 3, acceptance 0.5", "fp4, TP 8, MTP 3, acceptance 0.9"),
    "requests in flight": ("fp4, TP 8, batch 4", "fp4, TP 8, batch 8"),
}


def pinned(text, model=SHAPE):
    return pinned_configuration(
        coefficient_set(), PART, model, WORKLOAD, TARGETS, pin_from_text(text), max_accelerators=72
    )


ANYWAY = {  # input with a field of its own: the field's name in a question, and its value
    "checkpoint": ("checkpoint", "Llama-3.1-405B-Instruct-FP8"),
    "precision of the cache": ("kv_precision", "bf16"),
}


@pytest.mark.parametrize("name", PINNED)
def test_what_a_pin_says_moves_the_answer_and_is_written_as_it_is_read(name):
    model = model_shape_from_entry(entries("models")["llama-3.1-405b"]) if name == "checkpoint" else SHAPE
    first, second = (pinned(text, model) for text in PINNED[name])
    assert first.output_tokens_per_s > 0
    assert second.output_tokens_per_s > 0
    assert first.output_tokens_per_s != pytest.approx(second.output_tokens_per_s, rel=1e-6)
    for choice in (first, second):
        assert pin_from_text(choice.configuration.text()) == replace(
            pin_from_text(choice.configuration.text()), precision=choice.configuration.weight_precision
        )
        again = pinned(choice.configuration.text(), model)
        assert again.configuration == choice.configuration


def test_every_input_that_is_pinned_somewhere_is_tried_as_a_pin():
    assert {name for name, row in INPUTS.items() if PIN in row} <= set(PINNED)


@pytest.mark.parametrize("name", ANYWAY)
def test_what_is_said_beside_a_pin_is_what_the_pin_would_say(name):
    field, value = ANYWAY[name]
    entry = entries("models")["llama-3.1-405b"] if name == "checkpoint" else DEEP
    first, second = PINNED[name]
    asked = Question(GB200, entry, WORKLOAD, 72, configuration=second)
    beside = replace(asked, configuration=first.removesuffix(", KV fp8"), **{field: value})
    assert chosen_configuration(beside, TARGETS) == chosen_configuration(asked, TARGETS)
    assert frontier_of(beside).configuration == frontier_of(asked).configuration
    searched = chosen_configuration(replace(beside, configuration="", precision=first[:3]), TARGETS)
    assert searched["text"].endswith(second.split(", ")[-1])
    with pytest.raises(ValueError, match="and the configuration says"):
        replace(asked, **{field: "attention-bf16" if name == "checkpoint" else "fp8"})


def test_a_cache_or_checkpoint_that_no_model_has_is_refused_where_it_is_said():
    for field, value, words in (
        ("kv_precision", "fp2", "kv_precision is 'fp2'; must be one of bf16, fp8"),
        ("checkpoint", "mine", "checkpoint 'mine' is unknown; known of deepseek-r1 are default"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            question(**{field: value})
    other = question(model=entries("models")["llama-3.1-405b"], precision="bf16", max_accelerators=16)
    found = chosen_configuration(replace(other, checkpoint="Llama-3.1-405B-Instruct-FP8"), TARGETS)
    assert "Llama-3.1-405B-Instruct-FP8 of llama-3.1-405b is fp8" in found["reason"]


#: A release with runs of its own: its fitted deviations move what is predicted.
SEEN_RELEASE = next(
    system.split("|")[3]
    for system in sorted(coefficient_set().record["cases_by_vintage"])
    if system.startswith("b200-sxm|sglang|inferencex|0.5")
)
ROW = {
    "accelerator": "gb200",
    "model": "deepseek-r1",
    "weight_precision": "fp4",
    "engine": "sglang",
    "n_accelerators": "16",
    "tensor_parallel": "8",
    "input_tokens": "4000",
    "output_tokens": "800",
    "concurrency": "64",
}
APART_ROW = ROW | {
    "mode": "disaggregated",
    "n_accelerators": "",
    "tensor_parallel": "",
    "prefill_workers": "2",
    "prefill_tp": "4",
    "decode_workers": "1",
    "decode_tp": "8",
}
CHANGED = {  # column: the row, what changes in it
    "accelerator": (ROW, "b200-sxm"),
    "model": (ROW, "deepseek-v4-pro"),
    "weight_precision": (ROW, "fp8"),
    "checkpoint": (
        ROW | {"model": "llama-3.1-405b", "weight_precision": "fp8"},
        "Llama-3.1-405B-Instruct-FP8",
    ),
    "kv_precision": (ROW, "bf16"),
    "engine": (ROW, "trtllm"),
    "engine_version": (ROW, SEEN_RELEASE),
    "statistic": (ROW | {"source": "InferenceX", "concurrency": "64"}, "median"),
    "mode": (ROW, "disaggregated"),
    "tensor_parallel": (ROW, "16"),
    "pipeline_parallel": (ROW, "2"),
    "data_parallel": (ROW, "8"),
    "expert_parallel": (ROW, "8"),
    "prefill_workers": (APART_ROW, "3"),
    "decode_workers": (APART_ROW, "2"),
    "prefill_tp": (APART_ROW, "8"),
    "decode_tp": (APART_ROW, "16"),
    "prefill_pp": (APART_ROW, "2"),
    "decode_pp": (APART_ROW, "2"),
    "prefill_attention_dp": (APART_ROW, "4"),
    "decode_attention_dp": (APART_ROW, "8"),
    "prefill_ep": (APART_ROW, "4"),
    "decode_ep": (APART_ROW, "8"),
    "speculative": (ROW, "mtp"),
    "draft_tokens": (ROW | {"speculative": "mtp", "draft_tokens": "1"}, "2"),
    "draft_acceptance": (ROW | {"speculative": "mtp", "draft_tokens": "2"}, "0.95"),
    "concurrency": (ROW, "128"),
}


def test_what_a_column_says_moves_the_answer():
    assert set(CHANGED) == named(0)
    rows = [row for column, (base, value) in CHANGED.items() for row in (base, base | {column: value})]
    answers = predict_rows(
        rows,
        {name: accelerator_from_entry(entries("accelerators")[name]) for name in ("gb200", "b200-sxm")},
        {
            name: model_shape_from_entry(entries("models")[name])
            for name in ("deepseek-r1", "deepseek-v4-pro", "llama-3.1-405b")
        },
        coefficient_set(),
    )
    for column, first, second in zip(CHANGED, answers[::2], answers[1::2], strict=True):
        assert first["feasible"], (column, first["reason"])
        assert second["feasible"], (column, second["reason"])
        moved = [first[name] != pytest.approx(second[name], rel=1e-6) for name in ("itl_s", "ttft_s")]
        assert any(moved), column


def question(**changes):
    given = {"accelerator": GB200, "model": DEEP, "workload": WORKLOAD, "max_accelerators": 8, "engine": "sglang"}
    return Question(**given | changes)


def test_a_release_moves_the_search_and_an_unmeasured_one_is_said_so():
    plain = chosen_configuration(question(), TARGETS)
    seen = chosen_configuration(question(engine_version=SEEN_RELEASE), TARGETS)
    unseen = chosen_configuration(question(engine_version="99.1"), TARGETS)
    assert plain["output_tokens_per_s"] != pytest.approx(seen["output_tokens_per_s"], rel=1e-6)
    latest = chosen_configuration(question(engine_version="0.5.12.post1"), TARGETS)
    assert latest["output_tokens_per_s"] == pytest.approx(unseen["output_tokens_per_s"], rel=1e-9)
    assert "taken as 0.5.12.post1" in unseen["note"]
    assert "no measured runs of sglang 99.1 on blackwell" in unseen["note"]
    assert "99.1" not in seen["note"]
    row = ROW | {"engine_version": "99.1"}
    (answer,) = predict_rows([row], {"gb200": PART}, {"deepseek-r1": SHAPE}, coefficient_set())
    assert "no measured runs of sglang 99.1 on blackwell" in answer["reason"]
    warnings = replica_warnings(GB200, DEEP, ReplicaOptions("fp4", engine="sglang", engine_version="99.1"))
    assert any("no measured runs of sglang 99.1 on blackwell" in warning for warning in warnings)


def served(**changes):
    """Return how a scenario of one use case is served."""
    use = entries("workloads")["enterprise_assistants"]
    facts = {name: value for name, value in use.items() if name not in ("id", "name")}
    share = WorkloadShare(
        workload=small_sheet("workloads", "enterprise_assistants", facts),
        model="deepseek-r1",
        accelerator_share_frac=1.0,
        requests_per_s=None,
        peak_load_frac=0.9,
    )
    inputs = small_inputs(
        scenario={"engine": "sglang"} | changes,
        products={
            "accelerators": {"gb200": sheet("accelerators", "gb200", facts=GB200)},
            "models": {"deepseek-r1": sheet("models", "deepseek-r1", facts=DEEP)},
        },
    )
    return _service(inputs, share, "gb200", 8, 8.0)


def small_sheet(kind, slug, facts):
    return small_inputs(products={"by_id": {"1": sheet(kind, slug, facts=facts)}}).products.by_id[1]


def test_a_scenarios_software_moves_what_it_serves():
    def rate(**changes):
        return served(**changes).curve.sustainable_requests_per_s

    plain = rate()
    assert rate(kv_precision="bf16") != pytest.approx(plain, rel=1e-6)
    assert ", KV bf16" in served(kv_precision="bf16").configuration.text()
    assert rate(engine_version=SEEN_RELEASE) != pytest.approx(plain, rel=1e-6)
    assert "no measured runs of sglang 99.1" in served(engine_version="99.1").choice_text
    kept = [
        rate(allow_drafts=True, draft_tokens=3, draft_acceptance_frac=acceptance) for acceptance in (0.1, 0.5, 0.95)
    ]
    assert kept == sorted(kept)
    assert kept[-1] > 1.2 * kept[0]
    assert served(allow_drafts=True, draft_tokens=2).configuration.draft_tokens == 2
    assert workload_from_entry(entries("workloads")["enterprise_assistants"])[1].itl_s > 0


def replica(**changes):
    options = ReplicaOptions("fp4", **{"engine": "sglang", "kv_precision": "fp8", "tensor_parallel": 8} | changes)
    return replica_pool_for(GB200, DEEP, options)


def test_a_replays_drafts_and_release_move_its_steps():
    plain, drafting = replica(), replica(draft_tokens=2)
    assert 0.3 < drafting.draft_acceptance_frac < 0.95  # predicted
    assert replica(draft_tokens=2, draft_acceptance_frac=0.9).draft_acceptance_frac == 0.9
    assert plain.draft_tokens == 0
    released = replica(engine_version=SEEN_RELEASE)
    assert (released.frontend_s, released.step.decode_s[8]) != (plain.frontend_s, plain.step.decode_s[8])
    assert replica(draft_tokens=2, speculative="eagle").draft_acceptance_frac > 0


def test_a_replay_with_prefill_apart_takes_the_efficiencies_of_pools_apart():
    together, apart = replica(), replica(mode="disaggregated")
    decode, _ = build_instances(
        coefficient_set(), PART, SHAPE, WORKLOAD, [Parallelism(8)], ["fp4"], engine="sglang", mode="disaggregated"
    )
    closed_s = decode.decode_scale * generation_gap_s(
        decode.costs, sequences=64.0, context_tokens=WORKLOAD.input_tokens
    )
    replayed_s = apart.step.step_s(decode_sequences=np.array(64.0), context_tokens=64 * WORKLOAD.input_tokens)
    assert replayed_s == pytest.approx(closed_s, rel=1e-3)
    assert apart.frontend_s != pytest.approx(together.frontend_s, rel=1e-6)
    assert apart.step.mixed_s[1000] != pytest.approx(together.step.mixed_s[1000], rel=1e-6)


# what no engine runs: a row, a pin, and the options of a replica, that all refuse with the same words
LLAMA = entries("models")["llama-3.1-8b"]
QWEN = entries("models")["qwen3-30b-a3b"]
REFUSED = {
    "heads": (LLAMA, {"tensor_parallel": "3"}, "bf16, TP 3", {"tensor_parallel": 3}, "must divide the 32 attention"),
    "stages": (LLAMA, {"pipeline_parallel": "64"}, "bf16, TP 1 PP 64", {"pipeline_parallel": 64}, "has 32 layers"),
    "experts": (LLAMA, {"expert_parallel": "2"}, "bf16, TP 2 EP 2", {"expert_parallel": 2}, "has no experts"),
    "slices": (QWEN, {"expert_parallel": "3"}, "bf16, TP 1 EP 3", {"expert_parallel": 3}, "must be at most the 1"),
    "module": (
        LLAMA,
        {"speculative": "mtp", "draft_tokens": "2"},
        "bf16, TP 1, MTP 2",
        {"speculative": "mtp", "draft_tokens": 2},
        "speculative is 'mtp'; llama-3.1-8b has no prediction module, use eagle or draft",
    ),
    "acceptance": (
        LLAMA,
        {"speculative": "eagle", "draft_tokens": "2", "draft_acceptance": "1.2"},
        "bf16, TP 1, EAGLE 2, acceptance 1.2",
        {"speculative": "eagle", "draft_tokens": 2, "draft_acceptance_frac": 1.2},
        "draft_acceptance is 1.2; must be in [0, 1]",
    ),
    "checkpoint": (
        LLAMA,
        {"checkpoint": "mine"},
        "bf16, TP 1, checkpoint mine",
        {"checkpoint": "mine"},
        "checkpoint 'mine' is unknown",
    ),
    "cache": (
        LLAMA,
        {"kv_precision": "fp2"},
        "bf16, TP 1, KV fp2",
        {"kv_precision": "fp2"},
        "must be one of bf16, fp8",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_one_door_refuses_every_door_refuses(what):
    entry, columns, pin, options, words = REFUSED[what]
    shape, h100 = model_shape_from_entry(entry), entries("accelerators")["h100-sxm"]
    row = ROW | {"accelerator": "h100-sxm", "model": entry["id"], "weight_precision": "bf16", "n_accelerators": ""}
    row |= {"tensor_parallel": "1"} | columns
    if what == "experts":
        row |= {"tensor_parallel": "2"}
    (answer,) = predict_rows([row], {"h100-sxm": accelerator_from_entry(h100)}, {entry["id"]: shape}, coefficient_set())
    assert not answer["feasible"]
    assert words in answer["reason"]

    def by_pin():
        asked = Question(h100, entry, Workload(1000, 200), 64, configuration=pin)
        return chosen_configuration(asked, LatencyTargets(10, 1))["reason"]

    def by_replica():
        given = {"tensor_parallel": 2} if what == "experts" else {}
        replica_pool_for(h100, entry, ReplicaOptions("bf16", **given | options))
        return ""

    for door in (by_pin, by_replica):
        try:
            reason = door()
        except ValueError as refusal:
            reason = str(refusal)
        assert words in reason, door


def test_other_names_of_a_precision_are_read_by_every_door():
    row = ROW | {"accelerator": "h100-sxm", "model": "llama-3.1-8b", "weight_precision": "AWQ", "tensor_parallel": "1"}
    chips = {"h100-sxm": accelerator_from_entry(entries("accelerators")["h100-sxm"])}
    answer, plain = predict_rows(
        [row | {"n_accelerators": ""}, row | {"n_accelerators": "", "weight_precision": "int4"}],
        chips,
        {"llama-3.1-8b": model_shape_from_entry(LLAMA)},
        coefficient_set(),
    )
    assert answer["itl_s"] == plain["itl_s"]
    assert pin_from_text("awq, TP 2").precision == "int4"
    assert pin_from_text("NVFP4, TP 2").precision == "fp4"


def test_bands_are_those_of_the_kind_of_run():
    def wide(configuration):
        answer = explored(question(max_accelerators=32, configuration=configuration), TARGETS)
        points = (answer["frontier"]["points"][0], answer["operating_point"])
        return [point["accelerator_tokens_per_s_high"] / point["accelerator_tokens_per_s"] for point in points]

    plain, drafting = wide("fp4, TP 4"), wide("fp4, TP 4, MTP 2")
    apart = wide("fp4, prefill 2 x TP 4 : decode 1 x DP 8 EP 8")
    for frontier, operating in (plain, drafting, apart):
        assert frontier == pytest.approx(operating)
    assert drafting[0] != pytest.approx(plain[0], rel=1e-3)
    assert apart[0] != pytest.approx(plain[0], rel=1e-3)


@pytest.mark.parametrize("name", sorted(set(PINNED) - {"requests in flight"}))
def test_a_pin_and_its_columns_are_the_same_deployment(name):
    for text in PINNED[name]:
        pin = pin_from_text(text)
        if text in ("fp4, prefill 1 x TP 2 DP 2 : decode 2 x DP 8 EP 8", LAST.replace("EP 8", "EP 4")):
            with pytest.raises(ValueError, match="cannot be said of a measured pool; its experts lie over all"):
                pin.columns()
            continue
        model = "llama-3.1-405b" if name == "checkpoint" else "deepseek-r1"
        row = {"accelerator": "gb200", "model": model, "engine": "sglang", "concurrency": "8"} | pin.columns()
        models = {model: model_shape_from_entry(entries("models")[model])}
        case = parse_case(row | {"input_tokens": "4000", "output_tokens": "800"}, {"gb200": PART}, models)
        assert case.parallelism == pin.parallelism
        assert case.n_accelerators == pin.n_accelerators
        assert (case.prefill.parallelism if case.prefill else None) == pin.prefill
        assert case.draft_tokens == pin.draft_tokens
        assert set(pin.columns()) <= set(INPUT_COLUMNS)
