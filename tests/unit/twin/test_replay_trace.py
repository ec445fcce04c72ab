"""The command that replays a trace: what it writes, what it prints, and what it says when it cannot."""

import csv
import signal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from compute.accelerators import accelerator_from_entry
from compute.model_shapes import model_shape_from_entry
from compute.steps.kv_cache import memory_fit, workspace_bytes
from compute.steps.roofline import Parallelism, deployment_work
from facility.catalogue import entry_named
from twin.core.serving.replicas import ReplicaOptions, replica_pool_for
from twin.management.commands.replay_trace import Command

NAMES = {"accelerator": "RTX 4090", "model": "meta-llama/Llama-3.1-8B", "precision": "bf16"}


def replayed(tmp_path, text, **options):
    trace, out = tmp_path / "trace.csv", tmp_path / "out.csv"
    trace.write_text(text, encoding="utf-8")
    printed = StringIO()
    call_command("replay_trace", str(trace), out=out, stdout=printed, **{**NAMES, **options})
    with out.open(encoding="utf-8") as file:
        return list(csv.DictReader(file)), printed.getvalue()


@pytest.mark.compiled
def test_it_writes_times_of_each_request_and_prints_percentiles(tmp_path):
    rows, printed = replayed(tmp_path, "request_id,arrival_s,input_tokens,output_tokens\na,1.5,100,20\nb,2,50,1\n")
    assert list(rows[0])[:4] == ["request_id", "queued_s", "first_token_s", "last_token_s"]
    assert [row["request_id"] for row in rows] == ["a", "b"]
    assert rows[0]["queued_s"] == "1.500000"
    assert 1.5 < float(rows[0]["first_token_s"]) < float(rows[0]["last_token_s"])
    assert rows[1]["first_token_s"] == rows[1]["last_token_s"]
    assert "2 of 2 requests answered" in printed
    assert "p99" in printed


@pytest.mark.compiled
def test_bad_rows_come_back_with_a_reason_and_the_others_with_times(tmp_path):
    rows, printed = replayed(tmp_path, "arrival_s,input_tokens,output_tokens\n0,100,20\n1,zero,20\n2,99999999,2\n")
    reasons = {row["request_id"]: row["reason"] for row in rows}
    assert "input_tokens is 'zero'" in reasons["1"]
    assert "exceed the model's context" in reasons["2"]
    assert reasons["0"] == ""
    assert "2 of 3 requests were not answered" in printed


@pytest.mark.compiled
def test_runs_in_one_file_are_replayed_each_on_its_own(tmp_path):
    text = "run,request_id,arrival_s,input_tokens,output_tokens\nx,a,0,100,50\ny,a,0,100,50\n"
    rows, printed = replayed(tmp_path, text)
    assert rows[0]["last_token_s"] == rows[1]["last_token_s"]
    assert "run x" in printed
    assert "run y" in printed


@pytest.fixture
def interruptible():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores interrupts
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.compiled
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_a_replay_with_what_was_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(Command, "_progress", lambda self: lambda progress: signal.raise_signal(signal.SIGINT))
    text = "arrival_s,input_tokens,output_tokens\n0,100,2\n1000,100,2\n2000,100,2\n"
    with pytest.raises(CommandError, match=r"cancelled after \d+ answers; what was answered until then is in") as ended:
        replayed(tmp_path, text)
    assert ended.value.returncode == 130
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        answers = [row["last_token_s"] for row in csv.DictReader(file)]
    assert answers[0]
    assert not answers[-1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.compiled
def test_pools_that_prefill_and_decode_apart_are_told_apart(tmp_path):
    text = "arrival_s,input_tokens,output_tokens\n0,1000,20\n1,1000,20\n"
    rows, printed = replayed(tmp_path, text, accelerator="h100-sxm", model="llama-3.1-8b", decode_replicas=1)
    assert float(rows[1]["last_token_s"]) > float(rows[1]["first_token_s"])
    assert [line.split()[0] for line in printed.splitlines() if "power" in line] == ["prefill", "decode"]


@pytest.mark.django_db  # a name that is not shipped is looked up among those that users added
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"accelerator": "abacus"}, "no entry 'abacus' under accelerators; there are"),
        ({"model": "eliza"}, "no entry 'eliza' under models"),
        ({"precision": "int3"}, "precision is 'int3'; must be one of bf16, fp8, fp4"),
        ({"model": "llama-3.1-70b"}, "needs 141 GB for weights"),
        ({"router": "random"}, "router is 'random'; must be one of round-robin"),
        ({"replicas": 0}, "n_replicas is 0"),
        ({"tensor_parallel": 0}, "tensor_parallel is 0"),
        ({"run": "z"}, "has no run 'z'"),
        ({"accelerator": None}, "give either --accelerator or --data-sheet"),
    ],
)
def test_what_cannot_be_replayed_is_one_line_that_names_the_value(tmp_path, options, complaint):
    with pytest.raises(CommandError, match="^[^\n]*$") as refusal:
        replayed(tmp_path, "arrival_s,input_tokens,output_tokens\n0,100,20\n", **options)
    assert complaint in str(refusal.value)


@pytest.mark.compiled
def test_an_accelerator_outside_the_catalogue_comes_from_its_data_sheet(tmp_path):
    sheet = tmp_path / "card.yaml"
    sheet.write_text(
        "id: new-card\nmemory_type: GDDR7\nhbm_bytes: 32.0e+9\nhbm_bandwidth_bytes_per_s: 1.0e+12\n"
        "peak_bf16_dense_flops_per_s: 2.0e+14\ntdp_w: 400\n",
        encoding="utf-8",
    )
    rows, _ = replayed(tmp_path, "arrival_s,input_tokens,output_tokens\n0,100,20\n", accelerator=None, data_sheet=sheet)
    assert float(rows[0]["last_token_s"]) > 0


def test_names_are_found_without_regard_to_case_dashes_and_endings():
    assert entry_named("accelerators", "RTXPRO6000")["id"] == "rtx-pro-6000"
    assert entry_named("models", "Qwen3-30B-A3B-Instruct-2507")["id"] == "qwen3-30b-a3b"


def test_a_calibrated_accelerator_gets_fitted_times_and_a_client():
    pool = replica_pool_for(
        entry_named("accelerators", "h100-sxm"), entry_named("models", "llama-3.1-8b"), ReplicaOptions(precision="bf16")
    )
    assert pool.frontend_s > 0
    assert pool.step.prompts_add


def test_a_failing_replay_leaves_its_output_as_it_was(tmp_path):
    out, trace = tmp_path / "out.csv", tmp_path / "trace.csv"
    out.write_text("kept")
    trace.write_text("a,b\n1,2\n")
    options = ("--accelerator", "h100-sxm", "--model", "llama-3.1-8b", "--precision", "bf16", "--out", str(out))
    with pytest.raises(CommandError):
        call_command("replay_trace", str(trace), *options)
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,10,5\n")
    with pytest.raises(CommandError):
        call_command("replay_trace", str(trace), *options, "--run", "x")
    assert out.read_text() == "kept"
    assert [file.name for file in tmp_path.iterdir() if "partial" in file.name] == []


@pytest.mark.compiled
def test_sessions_without_times_run_as_many_at_a_time_as_asked(tmp_path, capsys):
    rows = "".join(f"s{i},0,0,1000,1,0,0\n" for i in range(64))
    trace, out = tmp_path / "sessions.csv", tmp_path / "out.csv"
    trace.write_text("session,sub,turn,input_tokens,output_tokens,cached_tokens,think_s\n" + rows)
    options = ("--accelerator", "h100-sxm", "--model", "llama-3.1-8b", "--precision", "bf16", "--out", str(out))
    call_command("replay_trace", str(trace), *options, "--token-budget", "8192", "--sessions", "16")
    answered = list(csv.DictReader(out.read_text().splitlines()))
    assert sum(row["queued_s"] == "0.000000" for row in answered) == 16
    # one at a time takes 61 ms each, 3.9 s; together prompts share the reading of weights
    assert max(float(row["last_token_s"]) for row in answered) < 2.5


@pytest.mark.parametrize("accelerator", ["l4", "rtx-4090", "h100-sxm"])
def test_replay_and_closed_form_hold_about_as_many_tokens(accelerator):
    entry, model = entry_named("accelerators", accelerator), entry_named("models", "llama-3.1-8b")
    pool = replica_pool_for(entry, model, ReplicaOptions(precision="bf16"))
    part, shape = accelerator_from_entry(entry), model_shape_from_entry(model)
    work = deployment_work(part, shape, Parallelism(1), weight_precision="bf16")
    kept = workspace_bytes(part.hbm_bytes, 8e9)  # of the order that is fitted for engines on large cards
    memory = memory_fit(work, part.hbm_bytes, workspace_bytes=kept)
    tokens = float(memory.kv_bytes[0]) / float(work.kv_bytes_per_token[0])
    assert pool.kv_tokens == pytest.approx(tokens, rel=0.15)
