"""The column that chooses survivors, read from the original files for the rows that matter only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from memaudit.errors import UsageError
from memaudit.sources import ColumnChoice, open_source, shown, source_at
from memaudit.sources.jsonl import JsonlReader
from memaudit.sources.parquet import ParquetReader
from memaudit.sources.separated import SeparatedReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from memaudit.store import Audit

RESOLUTION = "resolution"
SIDES = (("width", "height"), ("original_width", "original_height"), ("WIDTH", "HEIGHT"))
"""Columns whose product a file without a column `resolution` may be asked for."""


def scores_of(audit: Audit, column: str, rows: pl.DataFrame) -> np.ndarray:
    """float64 (n,): the value of `column` for rows (file, row; ascending), NaN where it is null or no number. A name
    that begins with "-" turns the sign. Raises UsageError for a column that a file with wanted rows does not have."""
    name, sign = (column[1:], -1.0) if column.startswith("-") else (column, 1.0)
    out = np.full(len(rows), np.nan)
    paths = dict(audit.frame("files").select("file", "path").iter_rows())
    choice = ColumnChoice.of(audit.manifest.get("config", {}))
    files, numbers = rows["file"].to_numpy(), rows["row"].to_numpy()
    for file in np.unique(files).tolist():
        low, high = np.searchsorted(files, [file, file + 1])
        reader = open_source(source_at(paths[file]), choice)
        if not isinstance(reader, ParquetReader | SeparatedReader | JsonlReader):
            raise UsageError(f"{shown(paths[file])} has no columns", "it is no table", "leave --keep-by out")
        known = reader.header if isinstance(reader, SeparatedReader) else reader.fields
        columns = _columns(name, known, paths[file])
        out[low:high] = _read(reader.records(columns), numbers[low:high])
    return sign * out


def _columns(name: str, known: Sequence[str], path: str) -> list[str]:
    if name in known:
        return [name]
    for sides in SIDES if name == RESOLUTION else ():
        if set(sides) <= set(known):
            return list(sides)
    why = f"found: {', '.join(shown(n) for n in list(known)[:12])}"
    raise UsageError(f"no column {shown(name)!r} in {shown(path)}", why, "--keep-by COLUMN")


def _read(parts: Iterator[tuple[np.ndarray, list[pa.Array]]], wanted: np.ndarray) -> np.ndarray:
    out, at = np.full(len(wanted), np.nan), 0
    for rows, columns in parts:
        if at >= len(wanted) or not len(rows):
            continue
        upto = int(np.searchsorted(wanted, rows[-1], side="right"))
        here = wanted[at:upto]
        place = np.minimum(np.searchsorted(rows, here), len(rows) - 1)
        found = rows[place] == here
        values = np.prod([_numbers(values) for values in columns], axis=0)
        out[at:upto] = np.where(found, values[place], np.nan)
        at = upto
    return out


def _numbers(values: pa.Array) -> np.ndarray:
    """float64; what is no number is NaN."""
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        values = values.cast(pa.large_string(), safe=False)
    try:
        return np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowInvalid:
        return np.array([_number(value) for value in values.to_pylist()], np.float64)


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")
