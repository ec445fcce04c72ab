"""The items of one long JSON list, read one at a time: memory holds an item, not the file."""

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from compute.bounded_text import MOST_LINE_CHARS

CHUNK_CHARS = 2**16
_BETWEEN = re.compile(r"[\s,]*")
_ENDED = re.compile(r"\s*[,\]]")  # behind an item: without it, a number may go on in what has not been read yet


def list_items(file: TextIO) -> Iterator[Any]:
    """Yield the items of the list that a text holds.

    Raises
    ------
    ValueError
        If the text is no JSON list, an item is longer than a line may be, or is nested too deep.
    """
    decoder = json.JSONDecoder()
    text, at = file.read(CHUNK_CHARS).lstrip(), 1
    if not text.startswith("["):
        raise ValueError("it is no list")
    while True:
        at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too
        if text.startswith("]", at):
            return
        try:
            item, end = decoder.raw_decode(text, at)
            whole = _ENDED.match(text, end) is not None
        except RecursionError as error:
            raise ValueError("it is nested too deep") from error
        except ValueError as error:
            whole, problem = False, error
        else:
            problem = ValueError("the list has no end")
        if whole:
            yield item
            at = end
            continue
        if len(text) - at > MOST_LINE_CHARS:
            raise ValueError(f"one of its items has more than {MOST_LINE_CHARS:,} characters")
        more = file.read(max(CHUNK_CHARS, len(text) - at))  # twice as much: few tries an item
        if not more:
            raise problem
        text, at = text[at:] + more, 0
