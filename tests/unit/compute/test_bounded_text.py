"""Text files of unknown origin are read line by line within bounds."""

import io

import pytest

from compute import bounded_text
from compute.bounded_text import bounded_lines
from compute.replay import traces


def test_lines_come_as_they_are():
    assert list(bounded_lines(io.StringIO("a\nb\n\nc"))) == ["a\n", "b\n", "\n", "c"]


def test_a_line_without_an_end_and_too_many_lines_are_refused(monkeypatch):
    monkeypatch.setattr(bounded_text, "MOST_LINE_CHARS", 10)
    with pytest.raises(ValueError, match="line 2 has more than 10 characters"):
        list(bounded_lines(io.StringIO("a\n" + "x" * 11)))
    with pytest.raises(ValueError, match="more than 2 lines"):
        list(bounded_lines(io.StringIO("a\nb\nc\n"), most_lines=2))


def test_long_rows_of_a_trace_make_small_batches_and_none_is_lost(monkeypatch, tmp_path):
    monkeypatch.setattr(traces, "MOST_ROW_CHARS", 100)
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "1,0000000000000000000000010,5\n" * 20)
    batches = list(traces.read_rows(path, traces.trace_columns(path), None))
    assert [first for first, *_ in batches] == [0, 4, 8, 12, 16]
    assert sum(len(cells["arrival_s"]) for _, cells, _ in batches) == 20
