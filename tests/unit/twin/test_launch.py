"""Launch settings: every one that is handed out is in the table of what the engine's parser takes."""

import itertools
import json
import shlex

import pytest
import yaml

from compute.steady.pins import Software, pin_from_text
from facility.catalogue import entries
from twin.core.serving.engine_options import DYNAMO, ENGINES
from twin.core.serving.launch import (
    LaunchQuestion,
    context_limit,
    dynamo_arguments,
    engine_settings,
    launches,
    roles,
)

CONFIGURATIONS = (
    "TP 1",
    "TP 8 PP 2, batch 64",
    "DP 8 EP 8",
    "TP 8 EP 8",
    "TP 4, MTP 2",
    "prefill 2 x TP 4 : decode 1 x DP 32 EP 32, MTP 2, batch 512",
)


def question(text, precision="fp8", model="deepseek-r1", **changes):
    given = {"kv_precision": "fp8", "context_tokens": 9216, "accelerators_per_node": 8} | changes
    return LaunchQuestion(pin_from_text(text), entries("models")[model], precision, **given)


def flat(settings, before=""):
    for name, value in settings.items():
        yield before + name, value
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")


@pytest.mark.parametrize(("engine", "text"), list(itertools.product(ENGINES, CONFIGURATIONS)))
@pytest.mark.parametrize(
    ("precision", "model", "kv"),
    [("fp8", "deepseek-r1", "fp8"), ("fp8", "qwen3-235b-a22b", "bf16"), ("fp4", "glm-5", "fp8")],
)
def test_every_setting_is_in_the_table_of_what_its_parser_takes(engine, text, precision, model, kv):
    asked = question(text, precision, model, kv_precision=kv)
    for role, parallelism, _ in roles(asked.pin):
        settings = engine_settings(engine, asked, role, parallelism)
        for option, value in flat(settings):
            assert ENGINES[engine].complaint(option, value) == ""
        own = [word for word in dynamo_arguments(engine, asked, role, settings) if word.startswith("--")]
        assert set(own) <= set(DYNAMO.options) | set(ENGINES[engine].options)


def test_the_table_refuses_what_a_parser_would():
    vllm = ENGINES["vllm"]
    assert "has no option --tensor-parallel" in vllm.complaint("--tensor-parallel", 8)
    assert "must be whole" in vllm.complaint("--tensor-parallel-size", "8")
    assert "must be whole" in vllm.complaint("--tensor-parallel-size", True)
    assert "must be json" in vllm.complaint("--speculative-config", "mtp")
    assert "must be flag" in vllm.complaint("--enable-expert-parallel", "yes")
    assert "must be ('MTP',)" in ENGINES["trtllm"].complaint("speculative_config.decoding_type", "mtp")


def test_commands_say_what_the_configuration_is():
    found = {launch.engine: launch for launch in launches(question("DP 8 EP 8, MTP 2, batch 64"))}
    vllm = shlex.split(found["vllm"].parts[0]["command"])
    assert vllm[:3] == ["vllm", "serve", "deepseek-ai/DeepSeek-R1"]
    assert vllm[vllm.index("--data-parallel-size") + 1] == "8"
    assert vllm[vllm.index("--max-num-seqs") + 1] == "8"  # 64 requests over 8 schedulers
    assert json.loads(vllm[vllm.index("--speculative-config") + 1])["num_speculative_tokens"] == 2
    sglang = shlex.split(found["sglang"].parts[0]["command"])
    assert sglang[sglang.index("--tp-size") + 1] == sglang[sglang.index("--attn-dp-size") + 1] == "8"
    keys = yaml.safe_load(found["trtllm"].parts[0]["text"])
    assert (keys["tensor_parallel_size"], keys["moe_expert_parallel_size"]) == (8, 8)
    assert keys["enable_attention_dp"] is True


def test_an_engine_that_was_not_checked_says_so():
    found = {launch.engine: launch for launch in launches(question("TP 8"))}
    assert found["trtllm"].status.startswith("not checked")
    assert "0.5.23" in found["sglang"].status


def test_dynamos_graph_has_both_pools_over_their_nodes():
    asked = question("prefill 2 x TP 4 : decode 1 x DP 32 EP 32", accelerators_per_node=8)
    for launch in launches(asked):
        documents = list(yaml.safe_load_all(launch.graph))
        graph = documents[-1]
        assert graph["kind"] == "DynamoGraphDeployment"
        parts = {part["name"]: part for part in graph["spec"]["components"]}
        assert (parts["prefill"]["replicas"], "multinode" in parts["prefill"]) == (2, False)
        assert parts["decode"]["multinode"] == {"nodeCount": 4}
        limits = parts["decode"]["podTemplate"]["spec"]["containers"][0]["resources"]["limits"]
        assert limits == {"nvidia.com/gpu": "8"}
        assert any("spans nodes" in note for note in launch.notes)


def test_weights_that_the_repository_does_not_hold_are_asked_for():
    notes = launches(question("TP 8", "fp4", "glm-5"))[0].notes
    assert "zai-org/GLM-5 holds BF16 weights; name a checkpoint in FP4" in notes
    settings = engine_settings(
        "vllm", question("TP 8", "fp8", "qwen3-32b"), "aggregated", pin_from_text("TP 8").parallelism
    )
    assert settings["--quantization"] == "fp8"


def test_the_context_holds_the_longest_request():
    assert context_limit(5000, 1000, 131072) == 5120
    assert context_limit(float("inf"), 1000, 131072) == 4096
    assert context_limit(1e6, 1000, 131072) == 131072


def test_settings_say_where_they_are_of_another_release_than_stated():
    asked = question("TP 8", software=Software("sglang", "0.5.9"))
    found = {launch.engine: launch.notes for launch in launches(asked)}
    assert "these are settings of SGLang 0.5.23, not checked for 0.5.9, which was stated" in found["sglang"]
    assert not any("not checked for" in note for note in found["vllm"])


def test_drafts_by_anything_but_the_models_own_module_are_left_to_name():
    for launch in launches(question("TP 8, EAGLE3 4")):
        assert "4 tokens per step are drafted by eagle3" in " ".join(launch.notes)
        assert "speculative" not in str(launch.parts)
