"""Frames of the read stage, written slice by slice from the columns in work/: texts.parquet and members.parquet.

What a slice holds is fixed, so the bytes do not depend on where a read was cut, nor on threads. Compression is judged
by time: keys are random bits, counts repeat, record numbers ascend.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.detect.exact import add_weights, count_images, count_rows
from memaudit.ingest import POINTERS, ROWS, STREAMS, blocks, column_slice
from memaudit.schemas import FRAMES
from memaudit.scratch import Column
from memaudit.store import READ_STATE, no_space_is_clear

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from memaudit.store import Audit

SLICE = 1 << 19  # rows written at once: a row group
PAIRS = 1 << 23  # pairs of text and image whose distinct ones are counted at once, in 8 to 24 bytes each

_DICTIONARY = ("file", "column", "n_rows", "weight", "n_images", "n_words")
_COMPRESSED = ("id",)
_STATISTICS = ("file", "row", "column", "text_id", "n_rows")  # what a reader may filter by


class Counts(NamedTuple):
    """What the rows of each text add up to."""

    n_rows: np.ndarray  # uint32
    weight: np.ndarray | None  # float32; None without weights: then it is n_rows
    n_images: np.ndarray | None  # uint32: distinct; None where no source has images


def count(work: Path, has_images: bool) -> Counts:
    """Stream over the columns of captions. Memory: 4 bytes a text for each count, and up to 200 MB where there are
    images."""
    n_texts = (work / "key_lo").stat().st_size // 8
    n_rows = np.zeros(n_texts, np.uint32)
    for ids in blocks(work, "row_text", "u4"):
        count_rows(ids, n_rows)
    weight = None
    if (work / "row_weight").is_file():
        weight = np.zeros(n_texts, np.float32)
        for ids, weights in zip(blocks(work, "row_text", "u4"), blocks(work, "row_weight", "f4"), strict=True):
            add_weights(ids, weights, weight)
    return Counts(n_rows, weight, _images(work, n_rows) if has_images else None)


def _images(work: Path, n_rows: np.ndarray) -> np.ndarray:
    """Distinct images of each text: as many passes as it takes for the pairs of one to fit `PAIRS`."""
    n_images = np.zeros(len(n_rows), np.uint32)
    n_pairs = sum(int(part[part > 1].sum()) for part in np.array_split(n_rows, 1 + len(n_rows) // SLICE))
    shares = 1 + n_pairs // PAIRS
    room = n_pairs // shares + n_pairs // shares // 8 + 1024  # shares by a hash differ a little
    seen = np.zeros(1 << (room + room // 2).bit_length(), np.uint64)
    for share in range(shares):
        seen[:] = 0
        for ids, images in zip(blocks(work, "row_text", "u4"), blocks(work, "row_image", "u8"), strict=True):
            count_images(ids, images, n_rows, n_images, seen, share, shares)
    return n_images


def write_frames(audit: Audit, counts: Counts) -> None:
    """Write texts.parquet and members.parquet, and the column n_rows of work/."""
    n_rows = Column(audit.work / "n_rows", "u4")
    n_rows.append(counts.n_rows)
    n_rows.close()
    n_members = (audit.work / "row_text").stat().st_size // 4
    with ThreadPoolExecutor(2) as pool:
        texts = pool.submit(_write, audit, "texts", len(counts.n_rows), _text_columns(audit.work, counts))
        members = pool.submit(_write, audit, "members", n_members, _member_columns(audit.work))
        texts.result(), members.result()


def forget_read(work: Path) -> None:
    """Remove what only an unfinished read stage needs: its state, and the columns that only members.parquet has."""
    for name in (READ_STATE, *POINTERS, "row_id", "row_id_at"):
        (work / name).unlink(missing_ok=True)


def _text_columns(work: Path, counts: Counts) -> Callable[[int, int], dict[str, Any]]:
    def columns(start: int, stop: int) -> dict[str, Any]:
        kept = ("key_lo", "key_hi", "file", "row", "n_words", "column")
        out: dict[str, Any] = {name: column_slice(work, name, STREAMS[name], start, stop) for name in kept}
        out["text_id"] = np.arange(start, stop, dtype=np.uint32)
        out["n_rows"] = counts.n_rows[start:stop]
        out["weight"] = (counts.n_rows if counts.weight is None else counts.weight)[start:stop].astype(np.float32)
        out["n_images"] = (
            pa.nulls(stop - start, pa.uint32()) if counts.n_images is None else counts.n_images[start:stop]
        )
        return out

    return columns


def _member_columns(work: Path) -> Callable[[int, int], dict[str, Any]]:
    kinds = ROWS | POINTERS

    def columns(start: int, stop: int) -> dict[str, Any]:
        names = {"file": "row_file", "row": "row_row", "column": "row_column", "text_id": "row_text"}
        out: dict[str, Any] = {k: column_slice(work, name, kinds[name], start, stop) for k, name in names.items()}
        out["image"] = _zero_is_null(column_slice(work, "row_image", "u8", start, stop))
        out["domain"] = _zero_is_null(column_slice(work, "row_site", "u4", start, stop))
        out["id"] = _ids(work, start, stop)
        return out

    return columns


def _zero_is_null(values: np.ndarray) -> pa.Array:
    given = values != 0
    if given.all():
        return pa.array(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [_bits(given), pa.py_buffer(values)])


def _ids(work: Path, start: int, stop: int) -> pa.Array:
    n = stop - start
    if not (work / "row_id_at").is_file():
        return pa.nulls(n, pa.large_string())
    first = int(column_slice(work, "row_id_at", "i8", start - 1, start)[0]) if start else 0
    at = np.concatenate([[first], column_slice(work, "row_id_at", "i8", start, stop)])
    data = column_slice(work, "row_id", "u1", first, int(at[-1]))
    at -= first
    given = at[1:] > at[:-1]
    valid = None if given.all() else _bits(given)
    return pa.Array.from_buffers(pa.large_string(), n, [valid, pa.py_buffer(at), pa.py_buffer(data)])


def _bits(mask: np.ndarray) -> pa.Buffer:
    """A mask as Arrow's validity bitmap."""
    return pa.py_buffer(np.packbits(mask, bitorder="little"))


def _write(audit: Audit, name: str, rows: int, columns: Callable[[int, int], dict[str, Any]]) -> None:
    temporary = audit.folder / f".{name}.parquet.tmp"
    schema = pl.DataFrame(schema=FRAMES[name]).to_arrow().schema
    with (
        no_space_is_clear(audit.folder),
        pq.ParquetWriter(temporary, schema, **_settings(name, schema.names)) as writer,
    ):
        for start in range(0, rows, SLICE):
            stop = min(rows, start + SLICE)
            parts = columns(start, stop)
            writer.write_table(pa.table([pa.array(parts[c]) for c in schema.names], schema=schema), SLICE)
    audit.adopt(name, temporary, rows)


def _settings(name: str, columns: list[str]) -> dict[str, Any]:
    ascending = {"texts": ("text_id", "row"), "members": ("row",)}[name]
    return {
        "use_dictionary": [c for c in columns if c in _DICTIONARY],
        "column_encoding": {
            c: "DELTA_BINARY_PACKED" if c in ascending else "PLAIN" for c in columns if c not in _DICTIONARY
        },
        "write_statistics": [c for c in columns if c in _STATISTICS],
        "compression": {c: "lz4" if c in _COMPRESSED else "none" for c in columns},
    }
