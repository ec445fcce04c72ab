"""Every refusal that one door knows, every door knows: files, programs, replays and scenarios ask the same rules."""

import csv
import io

import pytest
from django.core.management import CommandError, call_command

from compute.steady.pins import pin_from_text
from tests.small_site import new_rack, product, small_layout
from twin.core.inputs.equipment import rack_table
from twin.core.inputs.layout import layout_inputs
from twin.core.inputs.pools import plan_pools
from twin.models import Scenario, ScenarioWorkload
from twin.runs.snapshot import snapshot

# model, accelerator, precision, configuration, and what every door says
IMPOSSIBLE = [
    ("llama-3.1-8b", "h100-sxm", "bf16", "TP 3", "tensor_parallel is 3; must divide the 32 attention heads"),
    ("llama-3.1-8b", "h100-sxm", "bf16", "PP 64", "pipeline_parallel is 64; llama-3.1-8b has 32 layers"),
    ("qwen3-30b-a3b", "h100-sxm", "fp8", "EP 3", "expert_parallel is 3; must be at most the 1 accelerators"),
    ("qwen3-30b-a3b", "h100-sxm", "fp8", "DP 256 EP 256", "expert_parallel is 256; qwen3-30b-a3b has 128 experts"),
    ("llama-3.1-8b", "h100-sxm", "bf16", "TP 2 EP 2", "expert_parallel is 2; llama-3.1-8b has no experts"),
    ("llama-3.1-405b", "h100-sxm", "fp8", "TP 2", "410 GB"),
]
RANKS = {
    "tensor_parallel": "tensor_parallel",
    "pipeline_parallel": "pipeline_parallel",
    "data_parallel": "attention_data_parallel",
    "expert_parallel": "expert_parallel",
}


@pytest.fixture(autouse=True)
def catalogue(db):
    for model, *_ in IMPOSSIBLE:
        product("models", model)
    product("accelerators", "h100-sxm")
    product("accelerators", "mi300x")


def row(model, accelerator, precision, configuration, **changes):
    spread = pin_from_text(configuration).parallelism
    return (
        {
            "case_id": "a",
            "accelerator": accelerator,
            "model": model,
            "weight_precision": precision,
            "engine": "vllm",
            "n_accelerators": str(spread.accelerators),
            "input_tokens": "1000",
            "output_tokens": "200",
            "concurrency": "8",
        }
        | {column: str(getattr(spread, name)) for column, name in RANKS.items()}
        | changes
    )


def by_file(case, tmp_path, **_):
    cases, out = tmp_path / "cases.csv", tmp_path / "out.csv"
    written = io.StringIO()
    writer = csv.DictWriter(written, row(*case).keys())
    writer.writeheader()
    writer.writerow(row(*case))
    cases.write_text(written.getvalue())
    call_command("predict_serving", str(cases), str(out), stdout=io.StringIO())
    (answer,) = csv.DictReader(out.read_text().splitlines())
    assert answer["feasible"] == "False"
    return answer["reason"]


def by_rows(case, viewer, **_):
    (answer,) = viewer.post("/api/serving/predict/", {"rows": [row(*case)]}, format="json").json()["rows"]
    assert answer["feasible"] is False
    return answer["reason"]


def by_question(case, viewer, **_):
    model, accelerator, precision, configuration = case
    asked = {
        "accelerator": accelerator,
        "model": model,
        "input_tokens": 1000,
        "output_tokens": 200,
        "target_ttft_s": 5,
        "target_itl_s": 1,
        "engine": "vllm",
        "configuration": f"{precision}, {configuration}",
        "max_accelerators": 144,
    }
    answer = viewer.post("/api/serving/", asked, format="json").json()
    assert answer["feasible"] is False
    return answer["reason"]


def by_replay(case, tmp_path, **_):
    model, accelerator, precision, configuration = case
    trace, spread = tmp_path / "trace.csv", pin_from_text(configuration).parallelism
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,1000,200\n")
    options = {column: getattr(spread, name) for column, name in RANKS.items()}
    with pytest.raises(CommandError) as refused:
        call_command(
            "replay_trace",
            str(trace),
            accelerator=accelerator,
            model=model,
            precision=precision,
            out=tmp_path / "out.csv",
            stdout=io.StringIO(),
            **options,
        )
    return str(refused.value)


def by_scenario(case, **_):
    model, _, precision, configuration = case
    layout = small_layout("refusals")
    product("diurnal_shapes", product("workloads", "enterprise_assistants").fact("diurnal_shape"))
    new_rack(layout, product=product("systems", "dgx-h100"), n_systems=1).save()
    scenario = Scenario.objects.create(site=layout.site, slug="pinned", name="Pinned", engine="vllm")
    ScenarioWorkload.objects.create(
        scenario=scenario,
        workload=product("workloads", "enterprise_assistants"),
        model=product("models", model),
        configuration=f"{precision}, {configuration}",
    )
    inputs = layout_inputs(snapshot(layout, scenario))
    ((pool,), _) = plan_pools(inputs, rack_table(inputs), 24)
    assert not pool.feasible
    return pool.reason


DOORS = (by_file, by_rows, by_question, by_replay, by_scenario)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
@pytest.mark.parametrize("case", IMPOSSIBLE, ids=lambda case: f"{case[0]} {case[3]}")
def test_every_door_refuses_what_no_engine_runs(door, case, tmp_path, viewer):
    *deployment, words = case
    assert words in door(deployment, tmp_path=tmp_path, viewer=viewer)


@pytest.mark.parametrize("door", [by_file, by_rows, by_replay], ids=lambda door: door.__name__)
def test_every_door_refuses_a_variant_with_another_network(door, tmp_path, viewer):
    case = ["DeepSeek-R1-Distill-Llama-70B", "h100-sxm", "fp8", "TP 8"]
    product("models", "deepseek-r1")
    assert "'distill' names another network" in door(case, tmp_path=tmp_path, viewer=viewer)


@pytest.mark.compiled
def test_prompt_and_answer_over_the_context_are_refused_at_every_door(tmp_path, viewer):
    case = ("llama-3.1-8b", "h100-sxm", "bf16", "TP 1")
    long = row(*case, input_tokens="131000", output_tokens="8000")
    (answer,) = viewer.post("/api/serving/predict/", {"rows": [long]}, format="json").json()["rows"]
    assert "input_tokens + output_tokens is 139000" in answer["reason"]
    asked = {"accelerator": "h100-sxm", "model": "llama-3.1-8b", "target_ttft_s": 5, "target_itl_s": 1}
    refused = viewer.post("/api/serving/", asked | {"input_tokens": 131000, "output_tokens": 8000}, format="json")
    assert "input_tokens + output_tokens is 139000" in refused.json()["message"]
    trace, out = tmp_path / "trace.csv", tmp_path / "out.csv"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,131000,8000\n")
    call_command(
        "replay_trace",
        str(trace),
        accelerator="h100-sxm",
        model="llama-3.1-8b",
        precision="bf16",
        out=out,
        stdout=io.StringIO(),
    )
    (answer,) = csv.DictReader(out.read_text().splitlines())
    assert "131000 input + 8000 output tokens exceed the model's context of 131072" in answer["reason"]


@pytest.mark.compiled
def test_fp8_blocks_that_do_not_split_are_warned_of_where_they_are_answered(tmp_path, viewer, capsys):
    case = ("qwen3-30b-a3b", "h100-sxm", "fp8", "TP 8")
    (answer,) = viewer.post("/api/serving/predict/", {"rows": [row(*case)]}, format="json").json()["rows"]
    assert answer["feasible"]
    assert "is no multiple of 128" in answer["reason"]
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,1000,200\n")
    printed = io.StringIO()
    call_command(
        "replay_trace",
        str(trace),
        accelerator="h100-sxm",
        model="qwen3-30b-a3b",
        precision="fp8",
        tensor_parallel=8,
        out=tmp_path / "out.csv",
        stdout=printed,
    )
    assert "use expert_parallel" in printed.getvalue()


def test_an_engine_that_does_not_run_there_is_refused_by_files_programs_and_replays(tmp_path, viewer):
    case = ("llama-3.1-8b", "mi300x", "bf16", "TP 1")
    (answer,) = viewer.post("/api/serving/predict/", {"rows": [row(*case, engine="trtllm")]}, format="json").json()[
        "rows"
    ]
    assert "does not run on mi300x" in answer["reason"]
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,1000,200\n")
    with pytest.raises(CommandError, match="does not run on mi300x"):
        call_command(
            "replay_trace",
            str(trace),
            accelerator="mi300x",
            model="llama-3.1-8b",
            precision="bf16",
            engine="trtllm",
            out=tmp_path / "out.csv",
        )
