"""What writes the tables of engines' options: by a parser that is here, since no engine is."""

import argparse
import json

from django.core.management import call_command

from tests.engine_parsers import options_of, refusals

SAMPLES = [
    ["--ranks", "8", "--share", "0.9", "--cache", "fp8", "--wide"],
    ["--model", "a", "--drafts", '{"method": "mtp", "tokens": 2}'],
]


def parser():
    found = argparse.ArgumentParser(allow_abbrev=False)
    found.add_argument("--ranks", type=int)
    found.add_argument("--share", type=float)
    found.add_argument("--cache", choices=["auto", "fp8"])
    found.add_argument("--wide", action="store_true")
    found.add_argument("--model")
    found.add_argument("--drafts", type=json.loads)
    found.add_argument("--never-handed-out")
    return found


def test_a_table_holds_what_the_parser_says_of_the_options_used():
    assert options_of(parser(), SAMPLES) == {
        "--cache": ["auto", "fp8"],
        "--drafts": "json",
        "--drafts.method": "text",
        "--drafts.tokens": "whole",
        "--model": "text",
        "--ranks": "whole",
        "--share": "number",
        "--wide": "flag",
    }


def test_a_parser_that_leaves_is_a_refusal_and_not_the_end(capsys):
    said = refusals(parser().parse_args, [*SAMPLES, ["--ranks", "many"], ["--unknown"]])
    assert [line.partition("\n")[0] for line in said] == ["--ranks many", "--unknown"]


def test_what_is_handed_out_is_written_for_the_parsers(tmp_path, capsys):
    call_command("launch_samples", tmp_path / "samples.json")
    found = json.loads((tmp_path / "samples.json").read_text())
    assert {sample["engine"] for sample in found} == {"vllm", "sglang", "trtllm"}
    assert f"{len(found)} settings written" in capsys.readouterr().out
