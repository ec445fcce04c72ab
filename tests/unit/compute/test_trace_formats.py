"""Request files of others, read directly; what cannot be read names the nearest format and the missing column."""

import gzip
import json

import numpy as np
import pytest

from compute.replay.formats import Reading, trace_source
from compute.replay.sessions import read_closed_sessions
from compute.replay.traces import read_trace

MOONCAKE = (
    '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2, 9]}\n'
    '{"timestamp": 3000, "input_length": 7322, "output_length": 490, "hash_ids": [0, 18446744073709551615]}\n'
)
AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n"
)
AZURE_2024 = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n"
    "2024-05-10T00:00:01.017335Z,2399,6\n"
)
BURST = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,1,3.2,ChatGPT,472,18,490,Conversation log\n45,2,1.1,GPT-4,1087,230,1317,API log\n"
)
SEMICOLONS = "arrival_s;input_tokens;output_tokens\n0,5;1.200;30\n1,25;900;20\n"
USAGE = '{"created": 1700000000, "prompt_tokens": 10, "completion_tokens": 3}\n'
BENCH = {
    "date": "20260829-101500",
    "model_id": "m",
    "request_rate": "inf",
    "burstiness": 1.0,
    "max_concurrency": 2,
    "input_lens": [100, 200, 300],
    "output_lens": [10, 20, 30],
    "ttfts": [0.1, 0.1, 0.1],
    "itls": [[0.01], [0.01], []],
}
SHAREGPT = [
    {
        "id": "a",
        "conversations": [
            {"from": "human", "value": "x" * 400},
            {"from": "gpt", "value": "y" * 80},
            {"from": "human", "value": "x" * 40},
            {"from": "gpt", "value": "y" * 40},
        ],
    }
]


def written(tmp_path, text, name="trace"):
    file = tmp_path / name
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "format_name", "arrivals", "prompts", "answers"),
    [
        (MOONCAKE, "Mooncake", [0, 3], [6758, 7322], [500, 490]),
        (AZURE, "Azure 2023 and 2024", [0, 0.052], [4808, 3180], [10, 8]),
        (AZURE_2024, "Azure 2023 and 2024", [0, 1.007405], [2162, 2399], [5, 6]),
        (BURST, "BurstGPT", [5, 45], [472, 1087], [18, 230]),
        (USAGE, "requests with token usage", [0], [10], [3]),
        (
            "arrival_s,input_tokens,output_tokens\n2026-01-01T00:00:00Z,5,6\n2026-01-01T00:01:00Z,7,8\n",
            "the product's own columns",
            [0, 60],
            [5, 7],
            [6, 8],
        ),
    ],
)
def test_formats_are_read_directly(tmp_path, text, format_name, arrivals, prompts, answers):
    source = trace_source(written(tmp_path, text))
    (batch,) = read_trace(source)
    assert source.format == format_name
    assert batch.reasons == {}
    np.testing.assert_allclose(batch.arrival_s, arrivals, atol=1e-6)
    assert batch.input_tokens.tolist() == prompts
    assert batch.output_tokens.tolist() == answers


def test_block_ids_have_up_to_64_bits_and_stay_apart(tmp_path):
    (batch,) = read_trace(written(tmp_path, MOONCAKE))
    assert batch.range_count.tolist() == [2, 2]
    assert batch.first_block[:2].tolist() == [0, 9]
    assert len(set(batch.first_block.tolist())) == 3  # the prompts share block 0 alone
    (batch,) = read_trace(written(tmp_path, MOONCAKE.replace("18446744073709551615", "18446744073709551616")))
    assert "hash_ranges_512 is '0 18446744073709551616'" in next(iter(batch.reasons.values()))


def test_another_delimiter_and_decimal_mark_are_asked_for(tmp_path):
    file = written(tmp_path, SEMICOLONS)
    with pytest.raises(ValueError, match="columns divided by ';'; ask for it by --delimiter"):
        trace_source(file)
    (batch,) = read_trace(trace_source(file, Reading(delimiter=";", decimal=",")))
    assert batch.arrival_s.tolist() == [0.5, 1.25]
    assert batch.input_tokens.tolist() == [1200, 900]
    with pytest.raises(ValueError, match="both a comma"):
        Reading(decimal=",")


def test_a_bench_result_keeps_as_many_in_flight_as_its_client_did(tmp_path):
    source = trace_source(written(tmp_path, json.dumps(BENCH)))
    assert source.sessions == 2
    (batch,) = read_closed_sessions(source, source.sessions)
    assert batch.input_tokens.tolist() == [100, 200, 300]
    assert (batch.n_predecessors > 0).sum() == 1  # two start at once, the third after one of them


def test_a_bench_result_without_a_limit_gives_its_rate_or_all_at_once(tmp_path):
    lines = "\n".join(json.dumps(BENCH | {"max_concurrency": None, "request_rate": rate}) for rate in (4.0, 8.0))
    source = trace_source(written(tmp_path, lines))
    assert (source.rate_per_s, source.columns[-1]) == (4.0, "run")
    source = trace_source(written(tmp_path, json.dumps(BENCH | {"max_concurrency": None}, indent=1)))
    (batch,) = read_trace(source)
    assert batch.arrival_s.tolist() == [0, 0, 0]


def test_conversations_are_sessions_whose_context_grows(tmp_path):
    source = trace_source(written(tmp_path, json.dumps(SHAREGPT)))
    assert "4 characters a token (assumed" in source.notes[0]
    (batch,) = read_closed_sessions(source, 1)
    assert batch.input_tokens.tolist() == [100, 130]
    assert batch.output_tokens.tolist() == [20, 10]


def test_compressed_files_are_read_whatever_they_are_called(tmp_path):
    file = tmp_path / "trace.jsonl"
    file.write_bytes(gzip.compress(MOONCAKE.encode()))
    (batch,) = read_trace(file)
    assert batch.input_tokens.tolist() == [6758, 7322]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"timestamp": 0, "input_length": 6758}\n', "nearest to Mooncake, but lacks the column output_length"),
        ("TIMESTAMP,ContextTokens\n1,2\n", "nearest to Azure 2023 and 2024, but lacks the column GeneratedTokens"),
        ("Timestamp,Request tokens\n1,2\n", "nearest to BurstGPT, but lacks the column Response tokens"),
        ("a,b\n1,2\n", "Read directly are also Mooncake, Azure 2023 and 2024, BurstGPT"),
        (
            json.dumps({"mean_ttft_ms": 1.0, "completed": 3}),
            "lacks input_lens and output_lens; measure with --save-det",
        ),
        ("", "is empty"),
        ('["x"]', "holds no records"),
        ("[" * 100_000, "too deep"),
        ('{"a": [' + "{}," * 4_000_000 + "{}]}", "of at most 4,000,000"),
        ('{"a": ', "is no JSON"),
    ],
)
def test_what_cannot_be_read_names_the_nearest_format_and_what_is_missing(tmp_path, text, words):
    with pytest.raises(ValueError, match=words):
        trace_source(written(tmp_path, text))


def test_rows_that_make_no_sense_come_through_with_a_reason(tmp_path):
    text = MOONCAKE + "not json\n" + '{"timestamp": "x", "input_length": 5, "output_length": 1, "hash_ids": ["a"]}\n'
    (batch,) = read_trace(written(tmp_path, text))
    assert sorted(batch.reasons.values()) == [
        "arrival_s is 'x'; must be a time of 0 s or more",
        "the row has 0 cells; the header has 4",
    ]


def test_an_open_quote_is_refused_with_its_line(tmp_path):
    file = written(tmp_path, 'arrival_s,input_tokens,output_tokens\n0,5,"' + "x\n" * 100_000)
    with pytest.raises(ValueError, match="line .* is no row of a table"):
        list(read_trace(file))
