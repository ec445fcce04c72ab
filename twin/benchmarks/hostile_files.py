"""What the worst files of each format cost their readers: CPU time and memory, at the largest size that is read."""

import gzip
import io
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from compute.replay.formats import trace_source
from compute.replay.summary import trace_summary
from facility.api.problems import Fault
from facility.epw import MAX_EPW_BYTES, read_epw
from facility.interchange import documents
from twin.api.telemetry import csv_text
from twin.benchmarks.measure import Benchmark, in_own_process, peak_bytes
from twin.core.serving.measured import MOST_BYTES as MOST_RESULT_BYTES
from twin.core.serving.measured import read_result
from twin.core.telemetry.tables import table_of
from twin.interchange.own_products import MAX_CONFIG_BYTES, config_read

MOST_CPU_S, MOST_MEMORY_BYTES = 10.0, 300e6
MOST_TRACE_BYTES, MOST_BATCH_BYTES, MOST_REQUESTS = 50 * 2**20, 16 * 2**20, 500_000  # of the page; of the API
BOMB_BYTES = 600 * 2**20
QUICK_FRAC = 0.05

EPW_HEADER = b"LOCATION,A,B,C,D,1,40,-100,-6,100\n" + b"COMMENTS 1,\n" * 6 + b"DATA PERIODS,1,1,Data,Sunday,1/1,12/31\n"
EPW_ROW = b"2020,1,1,1,0,?9,10.0,5.0,70,101325," + b",".join([b"0"] * 25) + b"\n"
TRACE_HEADER = b"arrival_s,input_tokens,output_tokens\n"
BATCH_HEADER = b"time,point,value,unit\n"

# A file is a head, what is repeated until the file is full, and a tail.
Parts = tuple[bytes, bytes, bytes]
JSON: dict[str, Parts] = {
    "brackets": (b"", b"[", b""),
    "mappings in mappings": (b"", b'{"a":', b""),
    "a number without end": (b"[", b"9", b"]"),
    "numbers": (b"[", b"1,", b"1]"),
    "empty mappings": (b"[", b"{},", b"{}]"),
    "empty texts": (b"[", b'"",', b'""]'),
    "a mapping of lists": (b'{"a":[', b"[],", b"[]]}"),
}
EPW: dict[str, Parts] = {
    "one line": (EPW_HEADER, b",", b""),
    "digits": (EPW_HEADER, b"9", b""),
    "an hour without end": (EPW_HEADER, EPW_ROW, b""),
    "empty lines": (b"", b"\n", b""),
    "header lines": (b"", b"COMMENTS 1,x\n", b""),
}
SITE: dict[str, Parts] = {
    "brackets": (b"", b"[", b""),
    "values": (b"a:\n", b"- 1\n", b""),
    "racks": (b"site: {}\nlayouts:\n- racks:\n", b"  - {name: a}\n", b""),
    "one key": (b"", b"a: 1\n", b""),
    "a flow": (b"a: [", b"1,", b"1]"),
    "anchors": (b"", b"- &a 1\n", b""),
    "a number without end": (b"a: ", b"9", b""),
    "tags": (b"", b"- !!x 1\n", b""),
    "escapes": (b'a: "', b"\\u0041", b'"'),
}
TRACE: dict[str, Parts] = {
    **JSON,
    "requests": (b"", b'{"timestamp": 1, "input_length": 9, "output_length": 5, "hash_ids": [1, 2]}\n', b""),
    "one request of many blocks": (b'{"timestamp": 1, "input_length": 9, "hash_ids": [', b"1,", b"1]}\n"),
    "one conversation": (b'[{"conversations":[', b'{"from":"human","value":"x"},', b"{}]}]"),
    "rows": (TRACE_HEADER, b"1,10,5\n", b""),
    "one row": (TRACE_HEADER, b"1,", b""),
    "an open quote": (TRACE_HEADER + b'"', b"x\n", b""),
    "empty lines": (b"", b"\n", b""),
}
BATCH: dict[str, Parts] = {
    "readings": (BATCH_HEADER, b"2026-01-01T00:00:00Z,cdu/CDU-1|power_w,1,W\n", b""),
    "columns": (b"", b",", b""),
    "an open quote": (BATCH_HEADER + b'"', b"x\n", b""),
    "one cell": (BATCH_HEADER, b"x", b""),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one file cost its reader; `added_bytes` is what the process grew by while it read."""

    file: str
    cpu_s: float
    added_bytes: int
    peak_bytes: int


def read_trace(content: bytes) -> object:
    """Read a file as the page of traces does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        path.write_bytes(content)
        return trace_summary(trace_source(path), most_requests=MOST_REQUESTS)


def read_batch(content: bytes) -> object:
    """Read a table of readings as `telemetry/batches` does."""
    return table_of(csv_text(content), "The batch")


Reader = Callable[[bytes], object]
READERS: dict[str, tuple[Reader, int, dict[str, Parts]]] = {
    "weather": (read_epw, MAX_EPW_BYTES, EPW),
    "site file": (documents.read, documents.MAX_BYTES, SITE),
    "JSON body": (documents.read_json, documents.MAX_BYTES, JSON),
    "config.json": (config_read, MAX_CONFIG_BYTES, JSON),
    "measured run": (read_result, MOST_RESULT_BYTES, JSON),
    "trace": (read_trace, MOST_TRACE_BYTES, TRACE),
    "telemetry": (read_batch, MOST_BATCH_BYTES, BATCH),
}
PACKED = {"weather": EPW["digits"], "trace": TRACE["rows"]}  # formats that come packed: what fills a bomb


def filled(parts: Parts, n_bytes: int) -> bytes:
    """Return a file of at most so many bytes."""
    head, repeated, tail = parts
    return head + repeated * ((n_bytes - len(head) - len(tail)) // len(repeated)) + tail


def fill(file: IO[bytes], parts: Parts, n_bytes: int) -> None:
    """Write what `filled` returns, a megabyte at a time."""
    head, repeated, tail = parts
    block = repeated * (2**20 // len(repeated))
    file.write(head)
    for _ in range(n_bytes // len(block)):
        file.write(block)
    file.write(tail)


def files(reader: str, frac: float) -> Iterator[tuple[str, bytes]]:
    """Yield the worst files of a format, of a share of the size that is read."""
    _, most_bytes, known = READERS[reader]
    for name, parts in known.items():
        yield name, filled(parts, int(frac * most_bytes))
    if reader in PACKED:
        packed = io.BytesIO()
        with gzip.open(packed, "wb") as file:
            fill(file, PACKED[reader], int(frac * BOMB_BYTES))
        yield "a gzip bomb", packed.getvalue()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.epw", "w") as file:
            fill(file, PACKED[reader], int(frac * BOMB_BYTES))
        yield "a ZIP bomb", packed.getvalue()


def measure(reader: str, frac: float) -> list[dict]:
    """Read every file in this process, which nothing else uses; what each cost.

    Raises
    ------
    RuntimeError
        If a reader fails with anything but a sentence of its own (ValueError, Fault).
    """
    read = READERS[reader][0]
    costs = []
    for name, content in files(reader, frac):
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before_bytes = peak_bytes()
        start = time.process_time()
        try:
            read(content)
        except (ValueError, Fault):
            pass
        except Exception as error:
            raise RuntimeError(f"{reader}, {name}: {type(error).__name__}: {error}") from error
        cpu_s, peak = time.process_time() - start, peak_bytes()
        costs.append(asdict(Cost(name, cpu_s, peak - before_bytes, peak)))
    return costs


def measured(frac: float) -> Iterator[Benchmark]:
    """Yield the worst CPU time and the worst memory of each reader."""
    for reader, (_, most_bytes, _) in READERS.items():
        program = (
            "import json; from twin.benchmarks import hostile_files; "
            f"print(json.dumps(hostile_files.measure({reader!r}, {frac})))"
        )
        costs = [Cost(**cost) for cost in in_own_process(program)]
        size = f"{len(costs)} files of {frac * most_bytes / 1e6:.3g} MB"
        slowest, largest = max(costs, key=lambda cost: cost.cpu_s), max(costs, key=lambda cost: cost.added_bytes)
        for name, value, unit, reach, worst in (
            ("CPU", slowest.cpu_s, "s", MOST_CPU_S, slowest),
            ("memory taken", largest.added_bytes / 1e6, "MB", MOST_MEMORY_BYTES / 1e6, largest),
        ):
            yield Benchmark(
                f"hostile {reader}, {name}",
                size,
                value,
                unit,
                reach,
                higher_is_better=False,
                cpu_s=worst.cpu_s,
                peak_bytes=worst.peak_bytes,
                note=f"worst: {worst.file}",
            )


def benchmarks() -> Iterator[Benchmark]:
    """Yield what the largest files that are read cost."""
    yield from measured(1.0)


def quick_benchmarks() -> Iterator[Benchmark]:
    """Yield what files of a twentieth of that size cost."""
    yield from measured(QUICK_FRAC)
