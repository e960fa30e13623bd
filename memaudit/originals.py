"""Rows of an audit in the order of the data, and their captions read back from the files that were scanned.

Between scan and export a caption is a pointer. Lines come in the order of the data, so each file is streamed once and
no more than one batch of it is in memory, whatever its format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from memaudit.errors import BadInput
from memaudit.sources import Batch, ColumnChoice, open_source, shown, source_at
from memaudit.sources.batches import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memaudit.store import Audit


WINDOW = 1_000_000  # records that are looked at together


def windows(audit: Audit) -> Iterator[pl.Expr]:
    """Conditions on MEMBERS that part the data, in order: whole small files together, pieces of large ones."""
    files = audit.frame("files").sort("file").select("file", "rows").rows()
    first, size = 0, 0
    for file, rows in files:
        if size and size + rows > WINDOW:
            yield pl.col("file").is_between(first, file - 1)
            size = 0
        if not size:
            first = file
        size += max(1, rows)
        if rows > WINDOW:
            for low in range(0, rows, WINDOW):
                upto = pl.col("row") < low + WINDOW if low + WINDOW < rows else pl.lit(True)
                yield (pl.col("file") == file) & (pl.col("row") >= low) & upto
            size = 0
    if size:
        yield pl.col("file").is_between(first, files[-1][0])


class Read(NamedTuple):
    """What some records hold: nulls where the file is gone, changed or damaged, and in images where it has none."""

    captions: pl.Series  # str
    images: pl.Series  # str


@dataclass
class _Position:
    """How far a file has been read."""

    file: int
    batches: Iterator[Batch]
    batch: Batch | None = None


class Originals:
    """The files of an audit, opened one at a time and only when a line needs them."""

    def __init__(self, audit: Audit) -> None:
        frame = audit.frame("files")
        self.paths: dict[int, str] = dict(zip(frame["file"].to_list(), frame["path"].to_list(), strict=True))
        self.unread: dict[str, str] = {}  # path -> why
        self._known = {entry.get("path"): entry.get("fingerprint") for entry in audit.manifest.get("inputs", [])}
        self._choice = ColumnChoice.of(audit.manifest.get("config", {}))
        self._at: _Position | None = None
        self._lost: set[int] = set()  # files that are not tried again

    def read(self, file: int, rows: np.ndarray, columns: np.ndarray) -> Read:
        """Captions and image references of records of one file.

        rows: uint64 (n,), ascending, may repeat; columns: uint8 (n,), which caption column. Calls that go forward in
        a file continue where the last one stopped; one that goes back opens it again.
        """
        captions, images = [], []
        done = 0
        while done < len(rows) and (batch := self._batch_for(file, rows[done])) is not None:
            upto = int(np.searchsorted(rows, batch.rows[-1], side="right"))
            found, whole = _pick(batch, rows[done:upto], columns[done:upto])
            if not whole:
                self.unread.setdefault(self.paths[file], "some of its records are not where they were")
            captions.append(found.captions)
            images.append(found.images)
            done = upto
        if done < len(rows):
            self._leave(file, "it holds fewer records than it did")
        missing = nulls(len(rows) - done)
        return Read(pl.concat([*captions, missing]), pl.concat([*images, missing]))

    def _leave(self, file: int, why: str) -> None:
        self.unread.setdefault(self.paths[file], why)
        self._at, self._lost = None, self._lost | {file}

    def _batch_for(self, file: int, row: int) -> Batch | None:
        """The batch that holds `row`, or the first one after it; None when there is none or the file cannot be read."""
        if file in self._lost:
            return None
        at = self._at
        if at is None or at.file != file or (at.batch is not None and len(at.batch) and row < at.batch.rows[0]):
            at = self._at = _Position(file, self._open(file))
        try:
            while at.batch is None or not len(at.batch) or at.batch.rows[-1] < row:
                at.batch = next(at.batches)
        except StopIteration:
            return None
        except BadInput as error:
            self._leave(file, error.why or error.what)
            return None
        return at.batch

    def _open(self, file: int) -> Iterator[Batch]:
        path = self.paths[file]
        source = source_at(path)
        if self._known.get(path) not in (None, source.fingerprint()):
            raise BadInput(f"{shown(path)} has changed", "it has changed since the scan")
        yield from open_source(source, self._choice).batches()


def _pick(batch: Batch, rows: np.ndarray, columns: np.ndarray) -> tuple[Read, bool]:
    """Records of one batch, and whether all of them were there; null for those that were not."""
    at = np.searchsorted(batch.rows, rows)
    known = (batch.rows[at] == rows) & (columns < len(batch.captions))
    captions = _text(_across(batch.captions, np.where(known, columns, 0), at).filter(pa.array(known)))
    images = nulls(int(known.sum())) if batch.images is None else _text(batch.images.take(pa.array(at[known])))
    if known.all():
        return Read(captions, images), True
    place = np.where(known, np.cumsum(known) - 1, 0)
    spread = [
        pl.select(pl.when(pl.Series(known)).then(values.gather(place))).to_series() for values in (captions, images)
    ]
    return Read(*spread), False


def _across(arrays: tuple[pa.Array, ...], which: np.ndarray, at: np.ndarray) -> pa.Array:
    """Element at[i] of arrays[which[i]], for every i."""
    if len(arrays) == 1:
        return arrays[0].take(pa.array(at))
    order = np.argsort(which, kind="stable")
    grouped = [values.take(pa.array(at[which == k])) for k, values in enumerate(arrays)]
    return pa.concat_arrays(grouped).take(pa.array(np.argsort(order)))


def _text(values: pa.Array) -> pl.Series:
    """Stored bytes (large_binary) as text; what is not UTF-8 becomes U+FFFD."""
    try:
        values = values.cast(pa.large_string())
    except pa.ArrowInvalid:
        values = pa.array([decoded(v) for v in values.to_pylist()], pa.large_string())
    return pl.Series(values, dtype=pl.String)


def nulls(n: int) -> pl.Series:
    """A string column without values."""
    return pl.Series([None], dtype=pl.String).new_from_index(0, n)
