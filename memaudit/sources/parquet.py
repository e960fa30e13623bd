"""Parquet: only the needed columns, streamed within row groups of any size."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memaudit.errors import BadInput
from memaudit.sources.batches import MAX_BYTES, after, as_bytes, gather, make_batch, pick, split
from memaudit.sources.columns import Columns, find_columns, is_caption, match
from memaudit.sources.files import refusal, shown, unreadable
from memaudit.sources.storage import FAR, is_remote, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memaudit.sources.batches import Batch
    from memaudit.sources.columns import ColumnChoice
    from memaudit.sources.files import Source

BATCH_ROWS = 65_536
SPAN_ROWS = 1 << 20  # a pass that continues reads at most so many records, or one row group, again
FAR_ROWS = 1 << 18  # of a store: records that are fetched at once, all their columns side by side
PROBE_ROWS = 64
READ_BUFFER = 1 << 20  # bytes per column; without it Arrow loads whole column chunks (504 MB against 30 MB in a test)
SUCCESS = b"success"  # img2dataset's status of a picture that was downloaded
REFERENCE_LENGTH = 4096  # a longer binary value is a picture, not a url or path

# An ArrowException is what Arrow says of damage; OSError comes from codecs and the disk, the others from its bindings.
DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError)


class ParquetReader:
    """Reads one parquet file; the footer is kept, the file is opened anew for each pass."""

    columns: Columns
    n_rows: int | None

    def __init__(self, source: Source, choice: ColumnChoice) -> None:
        """Reads the footer. Raises BadInput when it is damaged or when there is no caption column."""
        self.path = source.path
        if source.size == 0:
            raise BadInput(f"{shown(self.path)} is empty", "a parquet file has at least a footer", "write it again")
        try:
            with _opened(self.path) as file:
                self._metadata, schema = file.metadata, file.schema_arrow
        except FileNotFoundError as error:
            raise unreadable(self.path, error) from error
        except DAMAGE as error:
            if refused := refusal(self.path, error):
                raise refused from error
            why = shown(str(error))[:200]
            hint = "write or download it again; it may be cut off or no parquet at all"
            raise BadInput(f"{shown(self.path)} is not a readable parquet file", why, hint) from error
        self._routes = _routes(schema)
        types = {name: kind for name, (_, kind) in self._routes.items()}
        self.columns = find_columns(types, choice, self.path)
        self.n_rows = self._metadata.num_rows
        self._status = _status_column(types, self.columns)
        if self.columns.image is not None and not self._holds_references(self.columns.image, types):
            found = self.columns
            self.columns = Columns(found.captions, found.id, None, found.hash, found.weights)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """See `Reader.batches`. Rows that img2dataset failed to download are skipped as "not downloaded"."""
        spans = [span for span in self._spans() if span[1] > start]
        if not spans:
            return iter(())
        whole = itertools.chain.from_iterable(self._batches(first, groups) for first, _, groups in spans)
        return after(whole, start - spans[0][0])

    def _spans(self) -> Iterator[tuple[int, int, list[int]]]:
        """First record, record after the last, and row groups: whole row groups of `SPAN_ROWS` records (of a store
        `FAR_ROWS`) or more, where a pass can begin."""
        least = FAR_ROWS if is_remote(self.path) else SPAN_ROWS
        first = stop = 0
        groups: list[int] = []
        for group in range(self._metadata.num_row_groups):
            groups.append(group)
            stop += self._metadata.row_group(group).num_rows
            if stop - first >= least or group == self._metadata.num_row_groups - 1:
                yield first, stop, groups
                first, groups = stop, []

    def _batches(self, start: int, groups: list[int]) -> Iterator[Batch]:
        names = self.columns.names() + ([self._status] if self._status else [])
        for record in self._read(list(dict.fromkeys(names)), self._batch_rows, start, groups):
            values = {name: self._column(record, name) for name in names}
            rows = np.arange(start, start + len(record), dtype=np.uint64)
            start += len(record)
            skipped = {}
            if self._status:
                kept = pc.fill_null(
                    pc.equal(as_bytes(values[self._status]), pa.scalar(SUCCESS, pa.large_binary())), False
                )
                if n_dropped := len(record) - kept.true_count:
                    skipped["not downloaded"] = n_dropped
                    rows = rows[kept.to_numpy(zero_copy_only=False)]
                    values = {name: column.filter(kept) for name, column in values.items()}
            yield from split(make_batch(self.columns, rows, values, skipped))

    def records(self, names: Sequence[str]) -> Iterator[tuple[np.ndarray, list[pa.Array]]]:
        """See `Reader.records`; children of structs by dotted names."""
        start = 0
        for record in self._read(list(dict.fromkeys(names)), BATCH_ROWS, 0):
            rows = np.arange(start, start + len(record), dtype=np.uint64)
            yield rows, [self._column(record, name) for name in names]
            start += len(record)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of all columns, children of structs with a dot."""
        return tuple(self._routes)

    def take(self, rows: np.ndarray, column: int) -> list[str | None]:
        """See `Reader.take`; reads only the row groups that hold `rows`."""
        return self._take(rows, self.columns.captions[column])

    def stream(self, rows: np.ndarray, column: int) -> Iterator[tuple[np.ndarray, pa.Array]]:
        """See `Reader.stream`; reads only the row groups that hold `rows`."""
        return pick(self._parts(self.columns.captions[column], rows), rows)

    def starts(self) -> np.ndarray:
        """See `Reader.starts`: row groups."""
        lengths = [self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)]
        return np.cumsum([0, *lengths[:-1]], dtype=np.uint64)

    def take_images(self, rows: np.ndarray) -> list[str | None]:
        """See `Reader.take_images`; reads only the row groups that hold `rows`."""
        if self.columns.image is None:
            return [None] * len(rows)
        return [text or None for text in self._take(rows, self.columns.image)]

    def _take(self, rows: np.ndarray, name: str) -> list[str | None]:
        return gather(self._parts(name, np.unique(np.asarray(rows, dtype=np.uint64))), rows)

    def _parts(self, name: str, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, pa.Array]]:
        """Record numbers and values of the row groups that hold `wanted` (sorted), up to the last one in each."""
        stop = 0
        for group in range(self._metadata.num_row_groups):
            start, stop = stop, stop + self._metadata.row_group(group).num_rows
            low, high = np.searchsorted(wanted, np.array([start, stop], dtype=np.uint64))
            if low == high:
                continue
            for record in self._read([name], self._batch_rows, start, [group]):
                yield np.arange(start, start + len(record), dtype=np.uint64), self._column(record, name)
                start += len(record)
                if start > int(wanted[high - 1]):
                    break

    def _read(
        self, names: list[str], batch_rows: int, row: int, groups: list[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of these columns; `row` is the number of the first record, for the message about damage."""
        threads = self._metadata.num_rows > BATCH_ROWS  # for less they cost more than they save
        try:
            far = groups is not None and is_remote(self.path)
            buffer, is_fetched = FAR if far else READ_BUFFER, far and self._fits(batch_rows, groups or [])
            with _opened(self.path, self._metadata, buffer, is_fetched) as file:
                for record in file.iter_batches(
                    batch_size=batch_rows, row_groups=groups, columns=names, use_threads=threads
                ):
                    yield record
                    row += len(record)
        except DAMAGE as error:
            if refused := refusal(self.path, error):
                raise refused from error
            what = f"{shown(self.path)} is damaged at about row {row:,}"
            raise BadInput(what, shown(str(error))[:200], "write or download it again, or leave it out") from error

    def _fits(self, batch_rows: int, groups: list[int]) -> bool:
        """Whether these row groups may be held whole, as Arrow does when it fetches all that is needed at once."""
        n_rows: int = sum(self._metadata.row_group(group).num_rows for group in groups)
        return n_rows <= 2 * batch_rows * FAR_ROWS // BATCH_ROWS

    def _column(self, record: pa.RecordBatch, name: str) -> pa.Array:
        first, *inner = self._routes[name][0]
        column = record.column(record.schema.get_all_field_indices(first)[0])
        for child in inner:
            column = pc.struct_field(column, child)
        is_view = pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type)
        return as_bytes(column) if is_view else column  # Arrow cannot filter or take views

    @cached_property
    def _batch_rows(self) -> int:
        """Fewer rows where captions are long, judged by the first ones.

        The footer would know better, but a damaged one ends the process when its column chunks are looked at: Arrow's
        binding lets the C++ exception through.
        """
        if self._metadata.num_rows <= PROBE_ROWS:
            return BATCH_ROWS
        record = next(self._read(list(self.columns.captions), PROBE_ROWS, 0), None)
        if record is None:
            return BATCH_ROWS
        n_bytes: int = sum(as_bytes(self._column(record, name)).nbytes for name in self.columns.captions)
        return max(PROBE_ROWS, min(BATCH_ROWS, MAX_BYTES * len(record) // max(1, n_bytes)))

    def _holds_references(self, name: str, types: dict[str, pa.DataType]) -> bool:
        """Whether the image column holds urls or paths, not picture bytes; binary is judged by its first values."""
        kind = types[name]
        if pa.types.is_fixed_size_binary(kind):
            return False
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)):
            return True
        record = next(self._read([name], 16, 0), None)
        values = [] if record is None else self._column(record, name).drop_null().to_pylist()
        return all(_is_reference(value) for value in values)


@contextmanager
def _opened(
    path: str, metadata: pq.FileMetaData | None = None, buffer: int = READ_BUFFER, is_fetched: bool = False
) -> Iterator[pq.ParquetFile]:
    with opened(path) as handle:
        yield pq.ParquetFile(
            handle,
            metadata=metadata,
            binary_type=pa.large_binary(),
            buffer_size=buffer,
            pre_buffer=is_fetched,
            page_checksum_verification=True,
        )


def _is_reference(value: bytes) -> bool:
    try:
        return len(value) <= REFERENCE_LENGTH and value.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _routes(schema: pa.Schema) -> dict[str, tuple[tuple[str, ...], pa.DataType]]:
    """Column names, dotted for children of structs, to their path and type; top-level names come first and win."""
    routes: dict[str, tuple[tuple[str, ...], pa.DataType]] = {}
    level: list[tuple[tuple[str, ...], pa.DataType]] = [((field.name,), field.type) for field in schema]
    while level:
        for path, kind in level:
            routes.setdefault(".".join(path), (path, kind))
        level = [
            ((*path, child.name), child.type) for path, kind in level if pa.types.is_struct(kind) for child in kind
        ]
    return routes


def _status_column(types: dict[str, pa.DataType], columns: Columns) -> str | None:
    """img2dataset's `status`: such a file has `key` and `status` beside its captions."""
    key, status = match(types, "key"), match(types, "status")
    if key is None or status is None or status in columns.captions:
        return None
    return status if is_caption(types[status]) else None
