"""Reading and drawing request streams: what is taken from a row, what is wrong with one, what a session waits for."""

import gzip

import numpy as np
import pytest

from compute.replay.run import ReplicaPool, replay
from compute.replay.sessions import read_closed_sessions, read_open_sessions
from compute.replay.traces import (
    ArrivalProcess,
    LengthDistribution,
    parse_ranges,
    read_trace,
    synthetic_requests,
    trace_columns,
    trace_runs,
)
from compute.steps.step_model import StepModel


def written(tmp_path, text, name="trace.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def only_batch(path, **options):
    batches = list(read_trace(path, **options))
    assert len(batches) == 1
    return batches[0]


def quick_pool(**options):
    tokens = np.arange(2049, dtype=np.float64)
    model = StepModel(
        decode_s=np.full_like(tokens, 0.01),
        mixed_s=0.01 + 1e-5 * tokens,
        sequence_s=0.0,
        kv_token_s=0.0,
        prefill_pair_s=0.0,
        compute_activity_s=np.zeros_like(tokens),
        memory_activity_s=np.zeros_like(tokens),
        kv_token_memory_s=0.0,
        prefill_pair_compute_s=0.0,
    )
    return ReplicaPool(**{"step": model, "n_replicas": 1, "kv_tokens": 1e6, **options})


def test_a_compressed_trace_is_told_by_its_bytes_not_its_name(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_bytes(gzip.compress(b"arrival_s,input_tokens,output_tokens\n0.5,10,2\n"))
    batch = only_batch(path)
    assert batch.arrival_s.tolist() == [0.5]
    assert batch.input_tokens.tolist() == [10]


def test_missing_columns_are_named_beside_those_there_are(tmp_path):
    path = written(tmp_path, "arrival_s,prompt\n0,10\n")
    with pytest.raises(ValueError, match=r"lacks the column input_tokens and output_tokens; it has arrival_s, prompt"):
        trace_columns(path)


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"trace.csv is empty"):
        trace_columns(written(tmp_path, ""))


def test_a_trace_of_lengths_needs_a_rate(tmp_path):
    path = written(tmp_path, "input_tokens,output_tokens\n10,2\n20,3\n")
    with pytest.raises(ValueError, match="lacks the column arrival_s; give an arrival rate"):
        next(read_trace(path))
    batch = only_batch(path, arrivals=ArrivalProcess.steady(2.0), seed=1)
    assert np.all(np.diff(batch.arrival_s, prepend=0.0) > 0)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("x,10,2", "arrival_s is 'x'"),
        ("nan,10,2", "arrival_s is 'nan'"),
        ("-1,10,2", "arrival_s is '-1'"),
        ("0,0,2", "input_tokens is '0'"),
        ("0,10.5,2", "input_tokens is '10.5'"),
        ("0,,2", "input_tokens is ''"),
        ("0,10,-3", "output_tokens is '-3'"),
        ("0,10,inf", "output_tokens is 'inf'"),
        ("0,10", "the row has 2 cells; the header has 3"),
        ("0,10,2,9", "the row has 4 cells; the header has 3"),
    ],
)
def test_a_bad_row_gets_a_reason_and_the_others_are_answered(tmp_path, row, complaint):
    path = written(tmp_path, f"arrival_s,input_tokens,output_tokens\n0.1,10,2\n{row}\n0.2,10,2\n")
    returned = []
    result = replay(read_trace(path), quick_pool(), on_rows=returned.append)
    assert (result.n_answered, result.n_refused) == (2, 1)
    reasons = [reason for rows in returned for reason in rows.reasons.values()]
    assert len(reasons) == 1
    assert complaint in reasons[0]


def test_rows_in_any_order_are_replayed_by_arrival_and_keep_their_ids(tmp_path):
    path = written(tmp_path, "request_id,arrival_s,input_tokens,output_tokens\nlate,5,10,2\nearly,1,20,3\n")
    batch = only_batch(path)
    assert batch.request_id == ["early", "late"]
    assert batch.input_tokens.tolist() == [20, 10]


def test_a_row_too_late_to_sort_in_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("compute.replay.traces.ROWS_PER_BATCH", 2)
    path = written(tmp_path, "arrival_s,input_tokens,output_tokens\n1,10,2\n5,10,2\n2,10,2\n6,10,2\n")
    batches = list(read_trace(path))
    assert "sort the trace by arrival_s" in batches[1].reasons[1]
    assert len(batches[1].reasons) == 1


def test_one_run_of_several_is_picked(tmp_path):
    path = written(tmp_path, "run,arrival_s,input_tokens,output_tokens\na,0,10,2\nb,0,20,2\na,1,30,2\n")
    assert trace_runs(path) == ["a", "b"]
    assert only_batch(path, run="a").input_tokens.tolist() == [10, 30]


def test_block_ids_are_read_as_ranges_and_follow_their_row(tmp_path):
    path = written(
        tmp_path,
        "arrival_s,input_tokens,output_tokens,hash_ranges_512\n1,2000,2,0 14-16\n0,600,2,7\n",
    )
    batch = only_batch(path)
    assert batch.range_count.tolist() == [1, 2]
    assert list(zip(batch.first_block.tolist(), batch.last_block.tolist(), strict=True)) == [(7, 7), (0, 0), (14, 16)]


def test_block_ids_that_run_backwards_are_a_reason():
    reasons = {}
    count, _, _ = parse_ranges(["5-3", "1-2", "a"], reasons)
    assert count.tolist() == [0, 1, 0]
    assert sorted(reasons) == [0, 2]


def test_priorities_outside_the_classes_are_a_reason(tmp_path):
    path = written(tmp_path, "arrival_s,input_tokens,output_tokens,priority\n0,10,2,9\n0,10,2,\n0,10,2,3\n")
    batch = only_batch(path)
    assert sum("priority is '9'" in reason for reason in batch.reasons.values()) == 1
    assert sorted(batch.priority.tolist()) == [0, 0, 3]


def test_drawn_lengths_have_the_stated_mean_and_percentile():
    values = LengthDistribution(mean=1000.0, p95=4000.0, most=1e6).draw(np.random.default_rng(3), 200_000)
    # p95 is 4 means, past what a log-normal can have (3.87): the widest one is taken.
    assert np.percentile(values, 95) == pytest.approx(3870, rel=0.02)  # sampling error of 200,000 draws is below 1 %
    assert values.mean() == pytest.approx(1000, rel=0.05)  # heavy tail: 5 standard errors
    narrow = LengthDistribution(mean=1000.0, p95=2000.0, most=1e6).draw(np.random.default_rng(3), 200_000)
    assert narrow.mean() == pytest.approx(1000, rel=0.01)
    assert np.percentile(narrow, 95) == pytest.approx(2000, rel=0.01)


def test_arrivals_follow_the_hours_and_the_burstiness():
    rate = np.full(24, 1.0)
    rate[10] = 5.0
    times = ArrivalProcess(rate, gap_cv=2.0).times(np.random.default_rng(5))(200_000)
    hours = (times // 3600 % 24).astype(int)
    share = np.bincount(hours, minlength=24) / times.size
    assert share[10] == pytest.approx(5 / 28, rel=0.1)  # two days and a bit of bursts
    gaps = np.diff(ArrivalProcess.steady(1.0, 2.0).times(np.random.default_rng(5))(200_000))
    assert gaps.std() / gaps.mean() == pytest.approx(2.0, rel=0.02)


def test_drawn_requests_do_not_depend_on_how_they_are_cut_into_batches(monkeypatch):
    def drawn():
        lengths = LengthDistribution(100.0, 300.0, 4000.0)
        batches = synthetic_requests(1000, ArrivalProcess.steady(3.0, 1.5), lengths, lengths, seed=11)
        return [
            np.concatenate(column) for column in zip(*((b.arrival_s, b.input_tokens) for b in batches), strict=True)
        ]

    whole = drawn()
    monkeypatch.setattr("compute.replay.traces.ROWS_PER_BATCH", 137)
    for one, other in zip(whole, drawn(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)  # sums of gaps round differently by batch


SESSIONS = """session,sub,turn,t_s,input_tokens,output_tokens,cached_tokens,think_s,api_s
1,0,0,0,640,65,0,0,5
1,2,0,0,640,10,0,0,4
1,2,1,6,1280,10,640,2,4
1,0,3,30,1280,10,704,25,5
2,0,0,0,640,11,0,0,5
"""


def session_rows(tmp_path, reader):
    returned = []
    result = replay(
        reader(written(tmp_path, SESSIONS)),
        quick_pool(),
        prefix_block_tokens=64,
        quantum_s=0.001,
        on_rows=returned.append,
    )
    rows = {}
    for part in returned:
        for i, name in enumerate(part.request_id):
            rows[name] = {key: getattr(part, key)[i] for key in ("queued_s", "last_token_s", "cached_tokens")}
    return result, rows


@pytest.mark.compiled
def test_turns_wait_for_answers_tools_and_sub_agents(tmp_path):
    result, rows = session_rows(tmp_path, lambda path: read_closed_sessions(path, 1))
    assert result.n_answered == 5
    # The sub-agent starts when the main agent's first turn ends, and thinks 2 s before its second.
    assert rows["1/2/0"]["queued_s"] == pytest.approx(rows["1/0/0"]["last_token_s"])
    assert rows["1/2/1"]["queued_s"] == pytest.approx(rows["1/2/0"]["last_token_s"] + 2)
    # The main agent waited 25 s, of which the sub-agent was observed to take 10; the rest comes after it now.
    assert rows["1/0/3"]["queued_s"] == pytest.approx(rows["1/2/1"]["last_token_s"] + 15)
    # One session at a time: the next begins when the last ends.
    assert rows["2/0/0"]["queued_s"] == pytest.approx(rows["1/0/3"]["last_token_s"])


@pytest.mark.compiled
def test_a_turn_finds_the_context_of_the_turn_before_in_the_cache(tmp_path):
    _, rows = session_rows(tmp_path, lambda path: read_closed_sessions(path, 2))
    assert rows["1/0/3"]["cached_tokens"] == 704  # prompt of 640 and answer of 65: eleven full blocks of 64
    assert rows["1/2/1"]["cached_tokens"] == 640
    assert rows["2/0/0"]["cached_tokens"] == 0


@pytest.mark.compiled
def test_open_sessions_start_by_their_arrival_process(tmp_path):
    arrivals = ArrivalProcess.steady(0.01)
    _, rows = session_rows(tmp_path, lambda path: read_open_sessions(path, arrivals, seed=4))
    starts = arrivals.times(np.random.default_rng(4))(2)
    assert rows["1/0/0"]["queued_s"] == pytest.approx(starts[0])
    assert rows["2/0/0"]["queued_s"] == pytest.approx(starts[1])


@pytest.mark.compiled
def test_a_bad_turn_is_left_out_of_its_session(tmp_path):
    path = written(tmp_path, SESSIONS.replace("1,2,0,0,640,10", "1,2,0,0,0,10"))
    returned = []
    result = replay(read_closed_sessions(path, 1), quick_pool(), prefix_block_tokens=64, on_rows=returned.append)
    assert (result.n_answered, result.n_refused) == (4, 1)
