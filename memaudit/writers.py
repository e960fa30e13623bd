"""Frames out: CSV, Parquet or JSON lines, a chunk at a time, under a temporary name until all is written."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import polars as pl
import pyarrow.parquet as pq

from memaudit.errors import UsageError
from memaudit.store import no_space_is_clear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

FORMATS = ("csv", "parquet", "json")
_SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".json": "json", ".jsonl": "json"}

RUNS = r"^(?:[\t\r\n]|[\s'\x22`\x{feff}\x{200b}]*[=+\-@\t\r＝＋－＠])"
"""What a spreadsheet may take for a formula, after white space and quotes or not (OWASP, "CSV injection")."""


def format_of(name: str) -> str:
    """The format that a file's name asks for, csv where it does not say."""
    return next((kind for end, kind in _SUFFIXES.items() if name.lower().endswith(end)), "csv")


class Writer(Protocol):
    """Takes the frames of one output in turn; all have the columns and types that it was made for."""

    def write(self, frame: pl.DataFrame) -> None: ...

    def close(self) -> None: ...


class _Csv:
    def __init__(self, stream: BinaryIO, schema: pl.Schema, raw: bool) -> None:
        self._stream, self._raw = stream, raw
        self._put(schema.to_frame(), header=True)

    def write(self, frame: pl.DataFrame) -> None:
        self._put(frame if self._raw else guarded(frame), header=False)

    def _put(self, frame: pl.DataFrame, header: bool) -> None:
        self._stream.write(frame.write_csv(include_header=header).encode())

    def close(self) -> None:
        self._stream.flush()


class _JsonLines:
    def __init__(self, stream: BinaryIO, schema: pl.Schema, raw: bool) -> None:  # noqa: ARG002 (JSON is always exact)
        self._stream = stream

    def write(self, frame: pl.DataFrame) -> None:
        self._stream.write(frame.write_ndjson().encode())

    def close(self) -> None:
        self._stream.flush()


class _Parquet:
    def __init__(self, stream: BinaryIO, schema: pl.Schema, raw: bool) -> None:  # noqa: ARG002 (Parquet is always exact)
        arrow = schema.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        self._writer = pq.ParquetWriter(stream, arrow, compression="zstd")

    def write(self, frame: pl.DataFrame) -> None:
        self._writer.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))

    def close(self) -> None:
        self._writer.close()


_WRITERS: Mapping[str, Callable[[BinaryIO, pl.Schema, bool], Writer]] = {
    "csv": _Csv,
    "json": _JsonLines,
    "parquet": _Parquet,
}


def guarded(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before every text that a spreadsheet would run; the apostrophe makes it text."""
    text = pl.col(pl.String)
    return frame.with_columns(pl.when(text.str.contains(RUNS)).then(pl.lit("'") + text).otherwise(text).name.keep())


@contextmanager
def opened(out: Path | None, format: str, schema: pl.Schema, raw: bool) -> Iterator[Writer]:  # noqa: A002
    """A writer to the file `out` (None: stdout). The file gets its name when the block ends well, else none.

    Raises UsageError where the file cannot be made, NoSpace on a full disk.
    """
    if out is None:
        writer = _WRITERS[format](sys.stdout.buffer, schema, raw)
        yield writer
        writer.close()
        return
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        with no_space_is_clear(out.parent):
            with _created(temporary, out) as stream:
                writer = _WRITERS[format](stream, schema, raw)
                yield writer
                writer.close()
            temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _created(temporary: Path, out: Path) -> BinaryIO:
    if out.is_dir():
        raise UsageError(f"{out} is a folder", "the export is one file", f"-o {out / 'blocklist.csv'}")
    try:
        return temporary.open("wb")
    except OSError as error:
        raise UsageError(f"cannot write {out}", error.strerror or str(error), "another name after -o") from error
