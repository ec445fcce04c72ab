"""Parquet tables as columns of text cells, so that one reader judges the cells of every format.

What a file says of its own size is not believed: batches are counted as they come, and text columns stay dictionaries,
so that a small file cannot unfold into a large one.
"""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = b"PAR1"
MAX_CELLS = 50_000_000
MAX_COLUMNS = 20_000
MAX_TEXT = 1_000  # characters of a cell
TIME_COLUMNS = ("time", "timestamp", "datetime", "date")
NEEDED = '.venv/bin/python -m pip install "pyarrow>=21,<27"'
_BATCH = 65_536  # rows
_BATCH_CELLS = 4_000_000


def is_parquet(raw: bytes) -> bool:
    """Whether bytes begin as a Parquet file does."""
    return raw[:4] == MAGIC


def parquet_columns(source: Path | bytes, name: str, most_cells: int = MAX_CELLS) -> tuple[dict[str, list[str]], int]:
    """Return a Parquet table's columns as text, the time first, and how many rows it has.

    Parameters
    ----------
    source : Path or bytes
        The file, or what is in it.
    name : str
        What messages call it.
    most_cells : int
        Rows × columns that are read at most.

    Returns
    -------
    dict, int
        Blank cells where there is no value. Times with a zone are in UTC; without one they stay without. A table whose
        only time has another name, such as pandas' index, has it as `time`.

    Raises
    ------
    ValueError
        If pyarrow is not installed, the file is no Parquet or broken, is too large, or a column holds no plain values.
    OSError
        If it cannot be opened.
    """
    if find_spec("pyarrow") is None:
        raise ValueError(f"{name} is Parquet, which needs pyarrow: {NEEDED}")
    import pyarrow.parquet  # an extra of the product, which only files of this kind need

    pa, pq = pyarrow, pyarrow.parquet
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        schema = pq.read_schema(opened)
        file = pq.ParquetFile(opened, read_dictionary=[field.name for field in schema if _is_text(pa, field.type)])
        n_columns = len(schema)
        if n_columns > MAX_COLUMNS:
            raise ValueError(f"{name} has {n_columns:,} columns; at most {MAX_COLUMNS:,} are read")
        if len(set(schema.names)) < n_columns:
            doubled = next(column for column in schema.names if schema.names.count(column) > 1)
            raise ValueError(f"{name} names {doubled[:60]} more than once")
        columns: dict[str, list[str]] = {column: [] for column in schema.names}
        n_rows = 0
        for batch in file.iter_batches(batch_size=max(min(_BATCH, _BATCH_CELLS // max(n_columns, 1)), 1)):
            n_rows += batch.num_rows
            if n_rows * n_columns > most_cells:
                raise ValueError(f"{name} has more than {most_cells:,} cells; send it in parts")
            for column, values in zip(schema.names, batch.columns, strict=True):
                columns[column] += _cells(pa, values, name, column)
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # it cannot be opened; what pyarrow finds broken has no number
            raise
        raise ValueError(f"{name} is no whole Parquet file: {str(error).splitlines()[0][:200]}") from error
    if not n_rows:
        raise ValueError(f"{name} has column names but no rows")
    return _time_first(pa, schema, columns), n_rows


def _is_text(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _cells(pa: Any, values: Any, name: str, column: str) -> list[str]:
    """Return a column's values as text."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        texts = _cells(pa, values.dictionary, name, column)
        return [texts[i] if i is not None else "" for i in values.indices.to_pylist()]
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = "Z" if getattr(kind, "tz", None) else ""
        whole = values.cast(pa.timestamp("ms", "UTC" if zone else None), safe=False)
        spelled = np.datetime_as_string(whole.to_numpy(zero_copy_only=False).astype("datetime64[ms]"))
        return ["" if text == "NaT" else f"{text}{zone}" for text in spelled.tolist()]
    if _is_text(pa, kind):
        texts = [text or "" for text in values.to_pylist()]
        if any(len(text) > MAX_TEXT for text in texts):
            raise ValueError(f"{name}: column {column[:60]} has a cell of more than {MAX_TEXT:,} characters")
        return [text.strip() for text in texts]
    if pa.types.is_floating(kind):
        numbers = values.to_numpy(zero_copy_only=False)  # float32 keeps its own shortest text
        return ["" if number != number else str(number) for number in numbers]  # noqa: PLR0124  NaN
    if pa.types.is_boolean(kind):
        return ["" if value is None else str(int(value)) for value in values.to_pylist()]
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return ["" if value is None else str(value) for value in values.to_pylist()]
    if pa.types.is_null(kind):
        return [""] * len(values)
    raise ValueError(f"{name}: column {column[:60]} holds {kind}; numbers, texts and times are read")


def _time_first(pa: Any, schema: Any, columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return columns with the time first: the one that is called so, else the only one that holds times."""
    named = [column for column in columns if column.lower() in TIME_COLUMNS]
    if named:
        return {named[0]: columns[named[0]]} | columns
    times = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    if len(times) != 1:
        return columns
    return {"time": columns[times[0]]} | {column: cells for column, cells in columns.items() if column != times[0]}
