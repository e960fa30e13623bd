"""Parquet files without some of their rows: the rest, and how it is stored, stays."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.errors import BadInput
from memaudit.sources import shown
from memaudit.sources.parquet import DAMAGE
from memaudit.sources.storage import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BATCH_ROWS = 65_536
BATCH_BYTES = 64 << 20
READ_BUFFER = 1 << 20
BUFFER = 8 << 20


def copy_parquet(path: str, out: Path, gone: np.ndarray) -> tuple[int, int]:
    """Write the rows of a parquet file but those in `gone` (uint64, ascending, distinct); returns rows read and
    written.

    Schema, metadata, row order, compression and dictionary encoding of each column, and the rows of a full row group
    stay; where no row goes, the bytes do. Memory: one row group. Raises BadInput for a damaged file.
    """
    try:
        if not len(gone):
            with opened(path) as handle, out.open("wb") as sink:
                shutil.copyfileobj(handle, sink, BUFFER)
            n = pq.read_metadata(os.fspath(out)).num_rows
            return n, n
        with opened(path) as handle:
            file = pq.ParquetFile(handle, buffer_size=READ_BUFFER, pre_buffer=False)
            return _filtered(file, out, gone)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not the file
            raise
        hint = "write or download it again, then scan again"
        raise BadInput(f"{shown(path)} cannot be copied", shown(str(error))[:200], hint) from error


def _filtered(file: pq.ParquetFile, out: Path, gone: np.ndarray) -> tuple[int, int]:
    metadata = file.metadata
    full = max((metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)), default=1)
    n_read = n_written = 0
    waiting: list[pa.Table] = []
    with pq.ParquetWriter(os.fspath(out), file.schema_arrow, **_settings(file)) as writer:
        for batch in file.iter_batches(batch_size=_batch_rows(metadata)):
            low, high = np.searchsorted(gone, np.array([n_read, n_read + len(batch)], np.uint64))
            waiting += _kept(batch, (gone[low:high] - np.uint64(n_read)).astype(np.int64))
            n_read += len(batch)
            while sum(map(len, waiting)) >= full:
                table = pa.concat_tables(waiting)
                writer.write_table(table.slice(0, full), row_group_size=full)
                n_written, waiting = n_written + full, [table.slice(full)] if len(table) > full else []
        if waiting:
            table = pa.concat_tables(waiting)
            writer.write_table(table, row_group_size=full)
            n_written += len(table)
    return n_read, n_written


def _kept(batch: pa.RecordBatch, drop: np.ndarray) -> list[pa.Table]:
    """The batch without these positions (ascending), as zero-copy slices: Arrow cannot filter every type."""
    edges = np.concatenate([[-1], drop, [len(batch)]])
    runs = [(a + 1, b - a - 1) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True) if b - a > 1]
    if len(runs) > 64 and not _has_views(batch.schema):  # many small slices cost more than one copy
        mask = np.ones(len(batch), np.bool_)
        mask[drop] = False
        return [pa.Table.from_batches([batch.filter(pa.array(mask))])]
    return [pa.Table.from_batches([batch.slice(start, length)]) for start, length in runs]


def _has_views(schema: pa.Schema) -> bool:
    return any("view" in str(field.type) for field in schema)


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Rows read at once: fewer where they are large."""
    n_bytes = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES * metadata.num_rows // max(1, n_bytes))))


def _settings(file: pq.ParquetFile) -> dict[str, Any]:
    """How the file was written, as far as it says; compression levels it does not say."""
    metadata = file.metadata
    settings: dict[str, Any] = {
        "version": "1.0" if metadata.format_version == "1.0" else "2.6",
        "store_schema": b"ARROW:schema" in (metadata.metadata or {}),
    }
    if not metadata.num_row_groups:
        return settings
    columns = list(_columns(metadata.row_group(0)))
    settings["compression"] = {c.path_in_schema: _codec(c.compression) for c in columns}
    settings["use_dictionary"] = [c.path_in_schema for c in columns if c.has_dictionary_page]
    settings["write_statistics"] = [c.path_in_schema for c in columns if c.is_stats_set] or False
    settings["use_deprecated_int96_timestamps"] = any(c.physical_type == "INT96" for c in columns)
    return settings


def _columns(group: pq.RowGroupMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    return (group.column(i) for i in range(group.num_columns))


def _codec(name: str) -> str:
    """The writer's word for a column's codec; what it cannot write becomes zstd."""
    known = {"UNCOMPRESSED": "none", "SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd"}
    return {**known, "LZ4": "lz4", "LZ4_RAW": "lz4", "LZ4_HADOOP": "lz4"}.get(name, "zstd")
