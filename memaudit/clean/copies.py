"""A cleaned copy of one file, in the format that it has."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from memaudit.clean.parquet import copy_parquet
from memaudit.sources.files import COMPRESSED, picture_pairs
from memaudit.sources.jsonl import JsonlReader
from memaudit.sources.separated import SeparatedReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from memaudit.sources import ColumnChoice, Source

COPIED = ("parquet", "csv", "jsonl", "pictures")
"""Formats that are copied; of others only the lists say what stays."""


def copy_without(source: Source, choice: ColumnChoice, out: Path, gone: np.ndarray) -> tuple[int, int]:
    """Write the records of `source` but those in `gone` (uint64, ascending, distinct) to `out`, which is there only
    when it is whole. Returns how many records were read and written; malformed lines of a CSV file count as read, and
    cannot be written. Raises BadInput for a damaged file, NoSpace where the disk is full."""
    if source.format == "pictures":
        return _copy_pictures(source, out, gone)
    temporary = out.with_name(f".{out.name}.tmp")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not len(gone) and source.format != "csv":
            counts = _copy_whole(source, choice, temporary)
        else:
            counts = _COPIES[source.format](source, choice, temporary, gone)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return counts


def _copy_whole(source: Source, choice: ColumnChoice, out: Path) -> tuple[int, int]:
    """Nothing goes: byte for byte."""
    return _COPIES[source.format](source, choice, out, np.empty(0, np.uint64))


def _copy_lines(source: Source, choice: ColumnChoice, out: Path, gone: np.ndarray) -> tuple[int, int]:
    """JSON lines as they stand, malformed ones too; blank lines, which are no records, go."""
    n_read = n_written = 0
    with _sink(out, source.path) as sink:
        for start, lines in JsonlReader(source, choice).lines():
            low, high = np.searchsorted(gone, [start, start + len(lines)])
            drop = set((gone[low:high] - np.uint64(start)).tolist())
            kept = [line for i, line in enumerate(lines) if i not in drop]
            sink.write(b"".join(line + b"\n" for line in kept))
            n_read, n_written = n_read + len(lines), n_written + len(kept)
    return n_read, n_written


def _copy_fields(source: Source, choice: ColumnChoice, out: Path, gone: np.ndarray) -> tuple[int, int]:
    """Fields keep their bytes; quotes stand only where they are needed."""
    reader = SeparatedReader(source, choice)
    n_read = n_written = 0
    with _sink(out, source.path) as sink:
        sink.write(_lines([[name.encode("utf-8") for name in reader.header]], reader.delimiter))
        for rows, fields, n_bad in reader.fields():
            kept = np.flatnonzero(~np.isin(rows, gone))
            columns = [values.take(pa.array(kept)).to_pylist() for values in fields]
            sink.write(_lines(list(zip(*columns, strict=True)), reader.delimiter))
            n_read, n_written = n_read + len(rows) + n_bad, n_written + len(kept)
    return n_read, n_written


def _lines(records: list[Any], delimiter: str) -> bytes:
    """CSV of bytes: Latin-1 maps every byte to a character and back."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([value.decode("latin-1") for value in record] for record in records)
    return text.getvalue().encode("latin-1")


def _sink(out: Path, like: str) -> Any:
    """A stream that compresses as the name `like` says."""
    file = pa.OSFile(os.fsencode(out), "wb")
    codec = COMPRESSED.get(Path(like).suffix.lower())
    return pa.CompressedOutputStream(file, codec) if codec else file


def _copy_pictures(source: Source, out: Path, gone: np.ndarray) -> tuple[int, int]:
    """Pictures that stay, with their .txt; a link becomes the file that it leads to."""
    pairs, drop = picture_pairs(source.path), set(gone.tolist())
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    kept = [pair for i, pair in enumerate(pairs) if i not in drop]
    for name in dict.fromkeys(n for pair in kept for n in (pair.picture, pair.text)):
        shutil.copy2(Path(source.path, name), temporary / name)
    temporary.replace(out)
    return len(pairs), len(kept)


_COPIES: dict[str, Callable[[Source, ColumnChoice, Path, np.ndarray], tuple[int, int]]] = {
    "parquet": lambda source, _, out, gone: copy_parquet(source.path, out, gone),
    "csv": _copy_fields,
    "jsonl": _copy_lines,
}


def names_of(paths: list[str]) -> list[Path]:
    """Where the copies go: paths below the folder that all inputs share, so that no two collide."""
    local = [path.split("://", 1)[-1] for path in paths]
    absolute = [os.path.abspath(path) for path in local]  # noqa: PTH100 (links are not followed: names, not files)
    if not absolute:
        return []
    base = os.path.commonpath([os.path.dirname(path) for path in absolute])  # noqa: PTH120
    return [Path(os.path.relpath(path, base)) for path in absolute]
