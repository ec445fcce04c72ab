"""Files of requests in the formats that people have, as rows in the product's own columns.

A trace is CSV, JSON lines or one JSON document, compressed or not. `FORMATS` is the table of what each format calls the
columns; the one that fits is found by the names in the file. Nothing is guessed beyond that: another delimiter, a
decimal comma or another length of blocks is asked for, and what is assumed comes back in `TraceSource.notes`.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from compute.bounded_text import MOST_LINE_CHARS, bounded_lines, bounded_rows
from compute.replay.json_items import list_items

DELIMITERS = (",", ";", "\t", "|")
DECIMALS = (".", ",")
MOST_DOCUMENT_CHARS = 32 * 2**20  # of a JSON mapping, which is read whole; lists, lines and CSV have no limit
MOST_DOCUMENT_VALUES = 4_000_000  # in one, of some 60 bytes each
GROUPED = re.compile(r"\d{1,3}(\.\d{3})+(,\d*)?")  # a number with points between its thousands
TEXT_COLUMNS = ("request_id", "run", "session", "hash_ranges_512")  # cells that are no numbers
NEEDED = ("input_tokens", "output_tokens")
Records = Callable[[], Iterable[Any]]  # reads a file's records again at each call


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """What a format calls the product's columns; of several names of one column the first that is there counts."""

    name: str
    columns: Mapping[str, tuple[str, ...]]
    needed: tuple[str, ...] = NEEDED
    seconds_per_unit: float = 1.0  # of `arrival_s`
    where: str = ""  # it is published


def _same(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


OWN_COLUMNS = (
    *("input_tokens", "output_tokens", "arrival_s", "request_id", "run", "priority", "hash_ranges_512"),
    *("cached_tokens", "cached_tokens_inf"),
    *("session", "sub", "turn", "think_s", "t_s", "api_s"),  # of traces of sessions
)
OWN = TraceFormat(
    "the product's own columns",
    _same(*OWN_COLUMNS),
)
FORMATS: tuple[TraceFormat, ...] = (
    OWN,
    TraceFormat(
        "Mooncake",
        {
            "input_tokens": ("input_length",),
            "output_tokens": ("output_length",),
            "arrival_s": ("timestamp",),
            "hash_ranges_512": ("hash_ids",),
            "request_id": ("id", "request_id"),
        },
        seconds_per_unit=1e-3,
        where="kvcache-ai/Mooncake, FAST25-release/traces",
    ),
    TraceFormat(
        "Azure 2023 and 2024",
        {"input_tokens": ("ContextTokens",), "output_tokens": ("GeneratedTokens",), "arrival_s": ("TIMESTAMP",)},
        where="Azure/AzurePublicDataset, AzureLLMInferenceTrace",
    ),
    TraceFormat(
        "BurstGPT",
        {"input_tokens": ("Request tokens",), "output_tokens": ("Response tokens",), "arrival_s": ("Timestamp",)},
        where="HPMLL/BurstGPT",
    ),
    TraceFormat(
        "requests with token usage",
        {
            "input_tokens": ("prompt_tokens", "prompt_len", "input_len", "num_prompt_tokens", "input_length"),
            "output_tokens": (
                "completion_tokens",
                "output_len",
                "expected_output_len",
                "num_generation_tokens",
                "output_length",
            ),
            "arrival_s": ("arrival_time", "arrived_at", "start_time", "timestamp", "time", "created"),
            "request_id": ("request_id", "id"),
        },
        where="usage of OpenAI-compatible servers, vLLM's request logs",
    ),
)
# Results of `vllm bench serve --save-detailed` and `sglang.bench_serving --output-details`: one list per request field.
BENCH_LENGTHS = ("input_lens", "output_lens")
BENCH_NAME = "vLLM or SGLang bench serve result"
SHAREGPT_NAME = "ShareGPT"
SHAREGPT_ASKS, SHAREGPT_ANSWERS = ("human", "user"), ("gpt", "assistant", "chatgpt", "bing", "bard")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read where its format leaves it open."""

    delimiter: str = ","
    decimal: str = "."
    characters_per_token: float = 4.0  # of texts whose tokens are not counted; assumed

    def __post_init__(self) -> None:
        if self.delimiter not in DELIMITERS:
            raise ValueError(f"the delimiter is {self.delimiter!r}; must be one of {' '.join(map(repr, DELIMITERS))}")
        if self.decimal not in DECIMALS:
            raise ValueError(f"the decimal mark is {self.decimal!r}; must be one of {' '.join(map(repr, DECIMALS))}")
        if self.decimal == self.delimiter:
            raise ValueError("the decimal mark and the delimiter are both a comma; give another delimiter")
        if not 0.5 <= self.characters_per_token <= 20:
            raise ValueError(f"characters per token is {self.characters_per_token:g}; must be 0.5 to 20")


PLAIN = Reading()


@dataclass(slots=True)
class TraceSource:
    """An opened format: the columns there are, and rows of cells in their order, as often as asked for."""

    path: Path
    format: str
    columns: list[str]
    _rows: Any  # () -> Iterator[list[str]]
    notes: list[str] = field(default_factory=list)  # what was assumed
    sessions: int | None = None  # that the measured run kept under way
    rate_per_s: float | None = None  # at which it sent requests
    gap_cv: float = 1.0  # burstiness of that

    def rows(self) -> Iterator[list[str]]:
        """Return the rows after the header, from the first; of another number of cells where a row is so."""
        return self._rows()


def open_text(path: Path) -> TextIO:
    """Open a file of text for reading, decompressed where its first bytes (not its name) say that it is compressed."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if compressed:
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def trace_source(trace: "Path | TraceSource", reading: Reading = PLAIN) -> TraceSource:
    """Return a trace in the product's columns.

    Parameters
    ----------
    trace : Path or TraceSource
        A file, or what was opened already and is returned as it is.
    reading : Reading
        How the file is read where its format leaves that open.

    Raises
    ------
    ValueError
        If the file is empty or fits no format; names the nearest format and the columns that are missing.
    """
    if isinstance(trace, TraceSource):
        return trace
    try:
        with open_text(trace) as file:
            start = file.read(4096)
    except EOFError as error:
        raise ValueError(f"{trace.name} is cut off: {error}") from error
    first = start.lstrip()[:1]
    if not first:
        raise ValueError(f"{trace.name} is empty; a trace needs a header and rows")
    if first in "{[":
        return _json_source(trace, reading)
    return _table_source(trace, reading)


def _table_source(path: Path, reading: Reading) -> TraceSource:
    with open_text(path) as file:
        header = next(bounded_rows(file, reading.delimiter), None)
    names = [name.strip() for name in header or []]
    others = [mark for mark in DELIMITERS if mark != reading.delimiter and mark in "".join(names)]
    if len(names) == 1 and others:
        shown = {"\t": "tab"}.get(others[0], others[0])
        raise ValueError(f"{path.name} has its columns divided by {shown!r}; ask for it by --delimiter")
    found = _fitting(path, names)
    if found is OWN and reading == PLAIN and not _has_dates(path, names):
        return TraceSource(path, found.name, names, lambda: _table_rows(path, reading))
    columns, places = _places(found, names)
    convert = _converter(found, columns, reading)
    notes = [f"read as {found.name}"] if found is not OWN else []

    def rows() -> Iterator[list[str]]:
        zero: list[float] = []
        for row in _table_rows(path, reading):
            if len(row) != len(names):
                yield row if len(row) != len(columns) else [*row, ""]
                continue
            yield convert([row[i] for i in places], zero)

    return TraceSource(path, found.name, columns, rows, notes)


def _has_dates(path: Path, names: Sequence[str]) -> bool:
    """Whether the first row's arrival is a date: those are turned into seconds, which costs time on long traces."""
    if "arrival_s" not in names:
        return False
    first = next(_table_rows(path, PLAIN), [])
    cell = first[list(names).index("arrival_s")] if len(first) == len(names) else ""
    return not re.fullmatch(r"[-+\d.eE]*", cell.strip()) and bool(re.match(r"\d{4}-\d\d", cell.strip()))


def _table_rows(path: Path, reading: Reading) -> Iterator[list[str]]:
    with open_text(path) as file:
        table = bounded_rows(file, reading.delimiter)
        next(table, None)
        yield from (row for row in table if row)


def _json_source(path: Path, reading: Reading) -> TraceSource:
    with open_text(path) as file:
        line = file.readline(MOST_LINE_CHARS)
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    lines: Records
    if isinstance(record, dict):  # JSON lines, or a document of one line
        lines = partial(_json_lines, path)
    else:
        lines = partial(_document, path)
        record = next(iter(lines()), None)
    if not isinstance(record, dict):
        raise ValueError(f"{path.name} holds no records; a trace is a list of mappings, one per request")
    if all(isinstance(record.get(name), list) for name in BENCH_LENGTHS):
        return _bench_source(path, list(lines()))
    if isinstance(record.get("conversations"), list) or isinstance(record.get("messages"), list):
        return _sharegpt_source(path, lines, reading)
    if any(name in record for name in ("mean_ttft_ms", "request_throughput", "total_output_tokens")):
        raise ValueError(
            f"{path.name} reads like a {BENCH_NAME}, but lacks {' and '.join(BENCH_LENGTHS)}; measure with "
            "--save-detailed (vLLM) or --output-details (SGLang)"
        )
    found = _fitting(path, list(record))
    columns, _ = _places(found, list(record))
    names = [next(n for n in found.columns[column] if n in record) for column in columns]
    convert = _converter(found, columns, reading)

    def rows() -> Iterator[list[str]]:
        zero: list[float] = []
        for entry in lines():
            if not isinstance(entry, dict):
                yield []
                continue
            yield convert([_cell(entry.get(name)) for name in names], zero)

    return TraceSource(path, found.name, columns, rows, [f"read as {found.name}"] if found is not OWN else [])


def _json_lines(path: Path) -> Iterator[Any]:
    with open_text(path) as file:
        for line in bounded_lines(file):
            if line.strip():
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError):
                    yield None


def _document(path: Path) -> Iterator[Any]:
    """Yield the records of one JSON document: the items of a list, or of a mapping's first list of mappings."""
    with open_text(path) as file:
        try:
            yield from list_items(file) if _is_list(path) else _records_of(json.loads(_whole(file)))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path.name} is no JSON that can be read: {str(error)[:120]}") from error


def _is_list(path: Path) -> bool:
    with open_text(path) as file:
        return file.read(MOST_LINE_CHARS).lstrip()[:1] == "["


def _whole(file: TextIO) -> str:
    """Return a document's text, unless it would take more memory than a server has to spare."""
    text = file.read(MOST_DOCUMENT_CHARS + 1)
    if len(text) > MOST_DOCUMENT_CHARS:
        raise ValueError(f"a mapping of more than {MOST_DOCUMENT_CHARS:,} characters; write a list or JSON lines")
    n_values = sum(map(text.count, ",[{"))
    if n_values > MOST_DOCUMENT_VALUES:
        raise ValueError(f"a mapping of {n_values:,} values, of at most {MOST_DOCUMENT_VALUES:,}; write JSON lines")
    return text


def _records_of(content: Any) -> list[Any]:
    if not isinstance(content, dict) or all(isinstance(content.get(name), list) for name in BENCH_LENGTHS):
        return [content]
    inner = [value for value in content.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return inner[0] if inner else [content]


def _cell(value: Any) -> str:
    """Return a JSON value as a table's cell; lists of ids as ranges."""
    if value is None:
        return ""
    if isinstance(value, list):
        return _ranges(value)
    return str(value)


def _ranges(ids: Sequence[Any]) -> str:
    """Return block ids as the product writes them: "0 7-9"."""
    parts: list[list[int]] = []
    for block in ids:
        if isinstance(block, bool) or not isinstance(block, int):
            return " ".join(map(str, ids))  # refused where it is read, with its row
        if parts and block == parts[-1][1] + 1:
            parts[-1][1] = block
        else:
            parts.append([block, block])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def _fitting(path: Path, names: Sequence[str]) -> TraceFormat:
    """Return the format whose columns a file has.

    Raises
    ------
    ValueError
        If none fits; names the nearest and what it misses.
    """

    def columns_there(of_format: TraceFormat) -> list[str]:
        return [column for column, own in of_format.columns.items() if any(name in names for name in own)]

    there = {f.name: columns_there(f) for f in FORMATS}
    fits = [f for f in FORMATS if set(f.needed) <= set(there[f.name])]
    if fits:
        return max(fits, key=lambda f: len(there[f.name]))
    nearest = max(FORMATS, key=lambda f: (len(there[f.name]), f is OWN))
    missing = [nearest.columns[column][0] for column in nearest.needed if column not in there[nearest.name]]
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    if not there[nearest.name]:
        others = ", ".join(f.name for f in FORMATS[1:])
        raise ValueError(
            f"{path.name} lacks the column {' and '.join(NEEDED)}; it has {shown}. Read directly are also {others}, "
            f"{SHAREGPT_NAME} and a {BENCH_NAME}"
        )
    raise ValueError(
        f"{path.name} is nearest to {nearest.name}, but lacks the column {' and '.join(missing)}; it has {shown}"
    )


def _places(found: TraceFormat, names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the product's columns that a file has, and where they stand in it."""
    columns, places = [], []
    for column, own in found.columns.items():
        name = next((name for name in own if name in names), None)
        if name is not None:
            columns.append(column)
            places.append(list(names).index(name))
    return columns, places


def _converter(
    found: TraceFormat, columns: Sequence[str], reading: Reading
) -> Callable[[list[str], list[float]], list[str]]:
    """Return what turns a row's cells into the product's units; `zero` keeps the time of the first row."""
    numbers = [i for i, column in enumerate(columns) if column not in TEXT_COLUMNS]
    time = columns.index("arrival_s") if "arrival_s" in columns else None

    def convert(cells: list[str], zero: list[float]) -> list[str]:
        if reading.decimal == ",":
            for i in numbers:
                if GROUPED.fullmatch(cells[i].strip()):
                    cells[i] = cells[i].replace(".", "")
                cells[i] = cells[i].replace(",", ".")
        if time is not None:
            cells[time] = _seconds(cells[time].strip(), found, zero)
        return cells

    return convert


def _seconds(cell: str, found: TraceFormat, zero: list[float]) -> str:
    """Return a time as seconds; dates, and seconds since 1970, count from the first row's."""
    try:
        value = float(cell) * found.seconds_per_unit
        if value < 1e9:  # a time since the trace's start; 1e9 s are 32 years
            return repr(value)
    except ValueError:
        try:
            at = datetime.fromisoformat(cell.replace("Z", "+00:00"))
        except ValueError:
            return cell  # refused where it is read, with its row
        value = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not zero:
        zero.append(value)
    return repr(value - zero[0])


def _bench_source(path: Path, runs: list[Any]) -> TraceSource:
    """Return the requests of a measured run: as fast, or as many at a time, as its client sent them."""
    runs = [run for run in runs if isinstance(run, dict) and isinstance(run.get("input_lens"), list)]
    run = runs[0]
    limit, rate = run.get("max_concurrency"), run.get("request_rate")
    starts = run.get("start_times")
    timed = isinstance(starts, list) and len(starts) == len(run["input_lens"])
    source = TraceSource(path, BENCH_NAME, ["request_id", "input_tokens", "output_tokens"], None)
    if timed:
        source.columns += ["arrival_s"]
        source.notes.append("requests arrive when the measured run sent them")
    elif limit:
        source.columns += ["session", "turn", "think_s"]
        source.sessions = int(limit)
        source.notes.append(f"{source.sessions} requests are kept in flight, as in the measured run")
    elif isinstance(rate, int | float) and 0 < rate < 1e9:
        source.rate_per_s = float(rate)
        source.gap_cv = float(run.get("burstiness") or 1.0) ** -0.5
        source.notes.append(f"requests are drawn at {rate:g} a second, as in the measured run")
    else:
        source.columns += ["arrival_s"]
        source.notes.append("all requests arrive at once, as in the measured run")
    if len(runs) > 1:
        source.columns += ["run"]

    def rows() -> Iterator[list[str]]:
        for number, run in enumerate(runs, 1):
            times = run.get("start_times") if timed else None
            for i, (prompt, answer) in enumerate(zip(run["input_lens"], run["output_lens"], strict=False)):
                cells = [str(i), _cell(prompt), _cell(answer)]
                if source.sessions:
                    cells += [f"{number}-{i}", "0", "0"]
                elif "arrival_s" in source.columns:
                    cells.append(repr(float(times[i]) - float(min(times))) if times else "0")
                yield cells + ([str(number)] if len(runs) > 1 else [])

    source._rows = rows
    return source


def _sharegpt_source(path: Path, records: Any, reading: Reading) -> TraceSource:
    """Return conversations as sessions: each question is sent with everything before it in the conversation."""
    columns = ["session", "sub", "turn", "input_tokens", "output_tokens", "cached_tokens", "think_s"]

    def tokens(text: str) -> int:
        return max(1, round(len(text) / reading.characters_per_token))

    def rows() -> Iterator[list[str]]:
        for number, record in enumerate(records()):
            if not isinstance(record, dict):
                yield []
                continue
            context, before, turn = 0, "", 0
            for part in record.get("conversations") or record.get("messages") or ():
                who = str(part.get("from") or part.get("role") or "").lower()
                text = str(part.get("value") or part.get("content") or "")
                if who in SHAREGPT_ANSWERS and before:
                    prompt, answer = context + tokens(before), tokens(text)
                    name = str(record.get("id") or number)
                    yield [name, "0", str(turn), str(prompt), str(answer), str(context), "0"]
                    context, before, turn = prompt + answer, "", turn + 1
                elif who in SHAREGPT_ASKS or who == "system":
                    before += text

    note = f"texts count {reading.characters_per_token:g} characters a token (assumed; --characters-per-token)"
    return TraceSource(path, SHAREGPT_NAME, columns, rows, notes=[note])
