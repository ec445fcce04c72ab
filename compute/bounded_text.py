"""Lines of text files of unknown origin: a file without line ends must not fill the memory before it is refused."""

import csv
from collections.abc import Iterator
from typing import TextIO

MOST_LINE_CHARS = 4 * 2**20  # a recorded conversation of 100,000 tokens has some 0.5 million
MOST_ROW_CHARS = 64 * 2**20  # of rows that are kept at once


def bounded_lines(file: TextIO, *, most_lines: int | None = None) -> Iterator[str]:
    """Yield the lines of an open text file.

    Parameters
    ----------
    file : text file
        Open for reading, from where it stands.
    most_lines : int, optional
        Lines at most; any number where omitted.

    Raises
    ------
    ValueError
        If a line is longer than `MOST_LINE_CHARS`, or there are more than `most_lines`.
    """
    number = 0
    while line := file.readline(MOST_LINE_CHARS + 1):
        number += 1
        if len(line) > MOST_LINE_CHARS:
            raise ValueError(f"line {number} has more than {MOST_LINE_CHARS:,} characters; at most so many are read")
        if most_lines is not None and number > most_lines:
            raise ValueError(f"there are more than {most_lines:,} lines; split the file")
        yield line


def bounded_rows(file: TextIO, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows of an open CSV.

    Raises
    ------
    ValueError
        As `bounded_lines`, and where a cell is too long, as behind a quote that is not closed; names the line.
    """
    rows = csv.reader(bounded_lines(file), delimiter=delimiter)
    try:
        yield from rows
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num} is no row of a table: {error}") from error
