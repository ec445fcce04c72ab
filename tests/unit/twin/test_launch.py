"""Launch settings: every one that is handed out is in the table of what the engine's parser takes."""

import json
import shlex

import pytest
import yaml

from compute.accelerators import WEIGHT_PRECISIONS
from compute.steady.pins import Software, pin_from_text
from facility.catalogue import entries
from twin.core.serving.engine_options import DYNAMO, ENGINES
from twin.core.serving.launch import LaunchQuestion, context_limit, engine_settings, launches
from twin.core.serving.launch_samples import sample_questions, samples


def question(text, precision="fp8", model="deepseek-r1", **changes):
    given = {"kv_precision": "fp8", "context_tokens": 9216, "accelerators_per_node": 8} | changes
    return LaunchQuestion(pin_from_text(text), entries("models")[model], precision, **given)


def flat(settings, before=""):
    for name, value in settings.items():
        yield before + name, value
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")


@pytest.fixture(scope="module")
def handed_out():
    return list(samples(sample_questions(entries("models").values(), WEIGHT_PRECISIONS)))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_setting_is_in_the_table_of_what_its_parser_takes(engine, handed_out):
    mine = [sample for sample in handed_out if sample["engine"] == engine]
    assert len(mine) > 100
    for sample in mine:
        for option, value in flat(sample["settings"]):
            assert ENGINES[engine].complaint(option, value) == ""
        for option, value in sample["worker"].items():
            assert DYNAMO[engine].complaint(option, value) == ""


@pytest.mark.parametrize("table", [*ENGINES.values(), *DYNAMO.values()], ids=lambda table: f"{table.name}-{table.how}")
def test_a_table_holds_no_option_that_is_not_handed_out(table, handed_out):
    used = {option for sample in handed_out for options in (sample["settings"], sample["worker"]) for option in options}
    assert {option.partition(".")[0] for option in table.options} <= used | {"--model-path"}


def test_a_parsed_table_counts_the_settings_that_are_handed_out(handed_out):
    # a setting of a new kind must be shown to the parsers again: CONTRIBUTING.md, "Launch settings"
    for tables, field in ((ENGINES, "words"), (DYNAMO, "worker_words")):
        for engine, table in tables.items():
            if table.checked:
                mine = {tuple(sample[field]) for sample in handed_out if sample["engine"] == engine}
                assert len(mine) == table.samples


def test_the_table_refuses_what_a_parser_would():
    vllm = ENGINES["vllm"]
    assert "has no option --tensor-parallel" in vllm.complaint("--tensor-parallel", 8)
    assert "must be whole" in vllm.complaint("--tensor-parallel-size", "8")
    assert "must be whole" in vllm.complaint("--tensor-parallel-size", True)
    assert "must be json" in vllm.complaint("--speculative-config", "mtp")
    assert "has no option --speculative-config.tokens" in vllm.complaint("--speculative-config", '{"tokens": 2}')
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


def test_dynamo_gets_the_options_of_the_release_that_its_image_holds():
    found = {launch.engine: launch for launch in launches(question("DP 8 EP 8"))}["sglang"]
    assert "--attn-dp-size" in found.parts[0]["command"]
    graph = next(yaml.safe_load_all(found.graph))
    worker = graph["spec"]["components"][1]["podTemplate"]["spec"]["containers"][0]["args"]
    assert worker[worker.index("--dp-size") + 1] == "8"
    assert "--enable-dp-attention" in worker
    assert "--attn-dp-size" not in worker


def test_a_pinned_checkpoint_is_not_quantised_again():
    asked = question("TP 8, checkpoint Llama-3.1-405B-Instruct-FP8", "fp8", "llama-3.1-405b")
    for launch in launches(asked):
        assert "--quantization" not in launch.parts[0]["settings"]


def test_a_cache_is_launched_in_the_precision_that_was_computed():
    asked = question("TP 8", kv_precision="bf16")
    found = {launch.engine: launch.parts[0]["settings"] for launch in launches(asked)}
    assert found["vllm"]["--kv-cache-dtype"] == "bfloat16"
    assert found["sglang"]["--kv-cache-dtype"] == "bf16"


def test_what_an_engine_runs_otherwise_is_said():
    def notes(text, engine):
        return " ".join(next(launch.notes for launch in launches(question(text)) if launch.engine == engine))

    assert "lays experts over all 8 ranks of a stage, not over 4" in notes("TP 8 EP 4", "vllm")
    assert "lays experts" not in notes("TP 8 EP 8", "vllm")
    assert "TP 2 inside of them cannot be set" in notes("TP 2 DP 4 EP 8", "trtllm")
    assert "48 requests at once" in notes("TP 8, MTP 2", "sglang")
    assert "48 requests" not in notes("TP 8, MTP 2, batch 64", "sglang")


def test_files_begin_with_how_they_were_checked():
    for launch in launches(question("TP 8")):
        assert launch.graph.startswith("# Dynamo 1.6.1; ")
        for part in launch.parts:
            assert part.get("text", "# TensorRT-LLM 1.3.0rc23; not checked").startswith("# TensorRT-LLM 1.3.0rc23; not")
