"""A long JSON list is read item by item, wherever the chunks of the file end."""

import io
import json

import pytest

from compute.bounded_text import MOST_LINE_CHARS
from compute.replay import json_items

ITEMS = [{"a": [1, 2.5, "x, ]"]}, 12345, -3.25e-7, 'täxt " ] ,', None, True, [], {}, [[1], {"b": "]"}], 7]


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_items_are_those_of_the_whole_list(monkeypatch, chunk, indent):
    monkeypatch.setattr(json_items, "CHUNK_CHARS", chunk)
    text = json.dumps(ITEMS, indent=indent)
    assert list(json_items.list_items(io.StringIO(text))) == ITEMS


def test_an_empty_list_has_none():
    assert list(json_items.list_items(io.StringIO(" [ ] "))) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}', "no list"),
        ("[1, 2", "no end|delimiter"),
        ("[1, nul]", "Expecting value"),
        ('["a', "Unterminated"),
        ("[" * 100_000, "too deep"),
        ('["' + "x" * MOST_LINE_CHARS, "more than 4,194,304 characters"),
    ],
)
def test_what_is_no_list_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        list(json_items.list_items(io.StringIO(text)))


def test_memory_holds_one_item_and_not_the_file():
    class Endless(io.StringIO):
        def read(self, size: int = -1) -> str:
            assert size < 2**20
            return "[" + '{"a": 1},' * (size // 9)

    items = json_items.list_items(Endless())
    assert [next(items) for _ in range(3)] == [{"a": 1}] * 3
