"""What users of serving engines reported, with the right value of each, through every door that takes it."""

import csv
import io

import pytest
from django.core.management import CommandError, call_command

from compute.accelerators import accelerator_from_entry
from compute.calibration.coefficients import coefficient_set
from compute.model_shapes import model_shape_from_entry
from compute.prediction.rows import predict_rows
from facility.catalogue import entries
from twin.core.serving.explore import predicted

HEADER = (
    "case_id,accelerator,model,weight_precision,engine,n_accelerators,tensor_parallel,pipeline_parallel,data_parallel,"
    "expert_parallel,input_tokens,output_tokens,concurrency\n"
)
# 24 GB cards: vLLM issue 10517 shows 1,952 blocks of 16 tokens free beside Llama 3.1 8B in BF16
SMALL_CARDS = HEADER + (
    "a,l4,llama-3.1-8b,bf16,vllm,1,1,1,1,1,1000,200,8\nb,rtx-4090,llama-3.1-8b,bf16,vllm,1,1,1,1,1,1000,200,32\n"
)
# prompt and answer together pass the model's context
LONG = HEADER + (
    "a,h100-sxm,llama-3.1-70b,fp8,vllm,4,4,1,1,1,131000,8000,1\nb,h200-sxm,qwen3-32b,bf16,vllm,2,2,1,1,1,40000,30000,1\n"
)
# slices that are no whole FP8 blocks: vLLM issues 17569 and 12256, Qwen3 issue 1485, SGLang issue 3345
BLOCKS = HEADER + (
    "a,h100-sxm,qwen3-235b-a22b,fp8,vllm,8,8,1,1,1,1000,1000,16\n"
    "b,h100-sxm,qwen3-30b-a3b,fp8,vllm,8,8,1,1,1,1000,1000,16\n"
    "c,h100-sxm,deepseek-r1,fp8,sglang,32,32,1,1,1,1000,1000,16\n"
)
STAGES = HEADER + "a,h100-sxm,llama-3.1-8b,bf16,vllm,64,1,64,1,1,4000,500,8\n"


def by_command(tmp_path, text):
    cases, out = tmp_path / "cases.csv", tmp_path / "out.csv"
    cases.write_text(text, encoding="utf-8")
    call_command("predict_serving", cases, out, stdout=io.StringIO())
    return list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))


def by_api(text):
    """Return what /api/serving/predict/ answers, without the database."""
    return predicted(list(csv.DictReader(text.splitlines())), entries("accelerators"), entries("models"))


@pytest.mark.django_db  # users' own entries are looked up, too
@pytest.mark.parametrize("door", ["command", "api"])
def test_24_gb_cards_hold_the_requests_that_real_ones_hold(tmp_path, door):
    rows = by_command(tmp_path, SMALL_CARDS) if door == "command" else by_api(SMALL_CARDS)
    for row, in_flight in zip(rows, (8, 32), strict=True):
        assert row["reason"] == ""  # none waits for memory: at least 25 requests of 1,200 tokens fit
        life_s = float(row["ttft_s"]) + 199 * float(row["itl_s"])
        assert float(row["output_tokens_per_s"]) / 200 * life_s == pytest.approx(in_flight, rel=1e-3)
    # with one of eight taken in, the first token took 83 s
    assert float(rows[0]["ttft_s"]) < 2
    assert 0.04 < float(rows[0]["itl_s"]) < 0.09  # the replay has 62 ms


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["command", "api"])
@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (
            LONG,
            [
                "input_tokens + output_tokens is 139000; llama-3.1-70b takes at most 131072 tokens",
                "input_tokens + output_tokens is 70000; qwen3-32b takes at most 40960 tokens",
            ],
        ),
        (STAGES, ["pipeline_parallel is 64; llama-3.1-8b has 32 layers, and each stage needs one"]),
    ],
)
def test_what_no_engine_runs_is_refused_with_the_value_and_the_limit(tmp_path, door, text, reasons):
    rows = by_command(tmp_path, text) if door == "command" else by_api(text)
    for row, reason in zip(rows, reasons, strict=True):
        assert str(row["feasible"]) == "False"
        assert reason in row["reason"]
        assert row["itl_s"] in ("", None)


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["command", "api"])
def test_fp8_blocks_that_do_not_split_are_answered_with_a_warning_and_a_way_out(tmp_path, door):
    rows = by_command(tmp_path, BLOCKS) if door == "command" else by_api(BLOCKS)
    for row, slices in zip(rows, (["1536/8 = 192"], ["768/8 = 96"], ["18432/32 = 576", "2048/32 = 64"]), strict=True):
        assert str(row["feasible"]) == "True"
        assert float(row["itl_s"]) > 0
        for one in slices:
            assert f"{one} is no multiple of 128" in row["reason"]
        assert "use expert_parallel" in row["reason"]
    split = BLOCKS.replace("8,8,1,1,1,", "8,8,1,1,8,")
    assert [row["reason"] for row in by_api(split)[:2]] == ["", ""]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"model": "llama-3.1-8b", "precision": "bf16", "tensor_parallel": 3},
            "tensor_parallel is 3; must divide the 32 attention heads",
        ),
        (
            {"model": "qwen3-30b-a3b", "precision": "fp8", "expert_parallel": 3},
            "expert_parallel is 3; must be at most the 1 accelerators",
        ),
        (
            {"model": "llama-3.1-8b", "precision": "bf16", "pipeline_parallel": 64},
            "pipeline_parallel is 64; llama-3.1-8b has 32 layers",
        ),
    ],
)
def test_a_replay_refuses_the_ranks_that_predictions_refuse(tmp_path, options, words):
    trace, out = tmp_path / "trace.csv", tmp_path / "out.csv"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,100,20\n")
    with pytest.raises(CommandError) as refusal:
        call_command("replay_trace", str(trace), out=out, accelerator="h100-sxm", **options)
    assert words in str(refusal.value)
    assert not out.exists()
    names = {"tensor_parallel": "1", "pipeline_parallel": "1", "expert_parallel": "1"}
    ranks = {name: str(options.get(name, 1)) for name in names}
    row = {
        "accelerator": "h100-sxm",
        "model": options["model"],
        "weight_precision": options["precision"],
        "input_tokens": "100",
        "output_tokens": "20",
        "concurrency": "1",
    }
    (answer,) = predict_rows(
        [row | ranks],
        {"h100-sxm": accelerator_from_entry(entries("accelerators")["h100-sxm"])},
        {options["model"]: model_shape_from_entry(entries("models")[options["model"]])},
        coefficient_set(),
    )
    assert words in str(answer["reason"])


def replayed(tmp_path, text, name="trace.csv", **options):
    trace, out, printed = tmp_path / name, tmp_path / "out.csv", io.StringIO()
    trace.write_text(text, encoding="utf-8")
    given = {"accelerator": "h100-sxm", "model": "llama-3.1-8b", "precision": "bf16"} | options
    call_command("replay_trace", str(trace), out=out, stdout=printed, **given)
    return list(csv.DictReader(out.read_text(encoding="utf-8").splitlines())), printed.getvalue()


@pytest.mark.django_db
@pytest.mark.compiled
def test_sessions_without_times_run_as_those_that_start_together(tmp_path):
    columns, rows = "session,sub,turn,input_tokens,output_tokens,cached_tokens,think_s", range(64)
    plain = f"{columns}\n" + "".join(f"s{i},0,0,1000,1,0,0\n" for i in rows)
    timed = f"{columns},t_s,api_s\n" + "".join(f"s{i},0,0,1000,1,0,0,0,1\n" for i in rows)
    ends = []
    for text in (plain, timed):
        answered, _ = replayed(tmp_path, text, token_budget=8192, sessions=16)
        assert sum(row["queued_s"] == "0.000000" for row in answered) == 16
        ends.append(max(float(row["last_token_s"]) for row in answered))
    assert ends[0] == ends[1]
    alone, _ = replayed(tmp_path, plain, token_budget=8192, sessions=1)
    # one at a time each prompt reads the weights for itself
    assert max(float(row["last_token_s"]) for row in alone) > 1.2 * ends[0]


@pytest.mark.django_db
@pytest.mark.compiled
def test_mooncakes_lines_are_replayed_and_bad_files_leave_the_output_alone(tmp_path):
    lines = (
        '{"timestamp": 0, "input_length": 6758, "output_length": 50, "hash_ids": [0,1,2,3]}\n'
        '{"timestamp": 3000, "input_length": 7322, "output_length": 49, "hash_ids": [0,14,15,16]}\n'
    )
    rows, _ = replayed(tmp_path, lines, "trace.jsonl")
    assert [row["queued_s"] for row in rows] == ["0.000000", "3.000000"]
    assert int(rows[1]["cached_tokens"]) == 512  # the block that both begin with
    before = (tmp_path / "out.csv").read_text()
    with pytest.raises(CommandError, match="nearest to Mooncake, but lacks the column output_length"):
        replayed(tmp_path, '{"timestamp": 0, "input_length": 6758}\n', "broken.jsonl")
    assert (tmp_path / "out.csv").read_text() == before
