"""Reading: batches of captions become unique texts and the two streams that detection works on, as columns in work/.

Texts themselves are not kept: a text is a pointer to where it first occurs. Every few million captions the state is
noted in work/read.json, so that a read which is cut off goes on from there.
"""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from memaudit.detect.exact import TextIndex, copy_pieces
from memaudit.errors import NoSpace, Unreachable
from memaudit.interrupt import undisturbed
from memaudit.reading import Failed, Opened, read_lexed
from memaudit.scratch import Column, read_column
from memaudit.store import READ_STATE, write_atomically
from memaudit.tally import Tally
from memaudit.text.arrow import buffers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from memaudit.reading import Lexed, Part
    from memaudit.sources import Batch, ColumnChoice, Source

CHECKPOINT_ROWS = 1 << 22  # captions between two notes of the state
BLOCK = 1 << 20  # values of a column read at once

STREAMS = {
    "words": "u4",
    "word_at": "i8",
    "tokens": "u4",
    "token_at": "i8",
    "key_lo": "u8",
    "key_hi": "u8",
    "file": "u4",
    "row": "u8",
    "column": "u1",
    "n_words": "u4",
}
"""Columns of unique texts under work/: streams, and what TEXTS says of each text."""

ROWS = {"row_text": "u4", "row_image": "u8", "row_site": "u4"}
"""Columns of captions under work/, in the order of members.parquet; with weights also `row_weight`."""

POINTERS = {"row_file": "u4", "row_row": "u8", "row_column": "u1"}
"""More columns of captions, from which members.parquet is written; with ids also `row_id` (their bytes) and
`row_id_at` (where each ends)."""


class Texts(NamedTuple):
    """Unique texts of a finished read, mapped from work/: text i owns words[word_at[i]:word_at[i + 1]], likewise
    tokens."""

    words: np.ndarray  # uint32
    word_at: np.ndarray  # int64 (n + 1,)
    tokens: np.ndarray  # uint32
    token_at: np.ndarray  # int64 (n + 1,)
    key_lo: np.ndarray  # uint64 (n,), with key_hi 128 bits
    key_hi: np.ndarray
    file: np.ndarray  # uint32 (n,): where the text first occurs
    row: np.ndarray  # uint64 (n,)
    column: np.ndarray  # uint8 (n,)
    n_words: np.ndarray  # uint32 (n,)
    n_rows: np.ndarray  # uint32 (n,)


class Rows(NamedTuple):
    """Captions of a finished read in the order of members.parquet, mapped from work/."""

    text: np.ndarray  # uint32: text id
    image: np.ndarray  # uint64: image key, 0 for none
    site: np.ndarray  # uint32: site key, 0 for none
    weight: np.ndarray | None  # float32; None where no source has weights, which then are 1


def load_texts(work: Path) -> Texts:
    """The columns that the read stage left in work/; nothing is read before it is touched."""
    return Texts(**{name: read_column(work / name, dtype) for name, dtype in (STREAMS | {"n_rows": "u4"}).items()})


def load_rows(work: Path) -> Rows:
    """The columns of captions that the read stage left in work/; nothing is read before it is touched."""
    text, image, site = (read_column(work / name, dtype) for name, dtype in ROWS.items())
    weight = work / "row_weight"
    return Rows(text, image, site, read_column(weight, "f4") if weight.is_file() else None)


def is_whole(work: Path) -> bool:
    """Whether the columns that `load_texts` and `load_rows` map are there."""
    return all((work / name).is_file() for name in (*STREAMS, *ROWS, "n_rows"))


def ingest(
    sources: list[Source], choice: ColumnChoice, work: Path, threads: int, advance: Callable[[int], None]
) -> Tally:
    """Read everything once, or what an earlier call has not read yet. Leaves the columns of STREAMS, ROWS and POINTERS
    under work/.

    advance: called with records read. A source that cannot be read, or breaks off, is noted in the tally; the others
    are read. An interrupt is raised between two batches, with all batches before it kept.
    """
    state = _read_state(work)
    if state is not None and state["done"]:
        return Tally.of(sources).with_state(state["tally"])
    reading = _Reading.resumed(sources, work, state)
    advance(reading.tally.captions)
    try:
        _read(reading, sources, choice, threads, advance)
    finally:
        reading.close()
    return reading.tally


def _read(
    reading: _Reading, sources: list[Source], choice: ColumnChoice, threads: int, advance: Callable[[int], None]
) -> None:
    try:
        with ThreadPoolExecutor(threads) as pool:
            for lexed in read_lexed(sources, choice, reading.position(), pool, threads):
                with undisturbed():
                    reading.take(lexed)
                advance(len(lexed.bundle.files))
    except (KeyboardInterrupt, Unreachable):
        with undisturbed():
            reading.note()
        raise
    with undisturbed():
        reading.done = True
        reading.note()


class _Reading:
    """The state of a read: columns, the index of texts, the tally, and the source in progress."""

    def __init__(self, work: Path, tally: Tally, lengths: dict[str, int] | None = None) -> None:
        """lengths: of columns that an earlier run left, for the values to keep."""
        self.work = work
        self.tally = tally
        self.file = 0
        self.done = False
        self.index = TextIndex()
        kinds = STREAMS | ROWS | POINTERS
        kept = lengths or {}
        self.columns = {name: Column(work / name, kinds[name], kept.get(name, 0)) for name in kinds}
        self.extra = {name: Column(work / name, _EXTRA[name], kept[name]) for name in _EXTRA if name in kept}
        for name in _EXTRA.keys() - kept.keys():
            (work / name).unlink(missing_ok=True)
        if lengths is None:
            (work / READ_STATE).unlink(missing_ok=True)
            for name in ("word_at", "token_at"):
                self.columns[name].append(np.zeros(1, np.int64))
        self.noted = tally.captions
        self._room = np.empty(0, np.uint32)

    @classmethod
    def resumed(cls, sources: list[Source], work: Path, state: dict[str, Any] | None) -> _Reading:
        """What an earlier run has noted; with None nothing is read yet."""
        if state is None:
            return cls(work, Tally.of(sources))
        reading = cls(work, Tally.of(sources).with_state(state["tally"]), state["columns"])
        reading.file = state["file"]
        keys = zip(*(blocks(work, name, "u8") for name in ("key_lo", "key_hi")), strict=True)
        reading.index.restore(state["columns"]["key_lo"], keys)
        return reading

    def position(self) -> tuple[int, int]:
        """The source in progress, and how many of its records are taken."""
        return self.file, self.tally.files[self.file].rows

    def note(self) -> None:
        """Write everything out, then what is written: the state from which `resumed` goes on."""
        every = self.columns | self.extra
        for column in every.values():
            column.flush()
        state = {
            "done": self.done,
            "file": self.file,
            "columns": {name: column.length for name, column in every.items()},
            "tally": self.tally.state(self.file),
        }
        write_atomically(self.work / READ_STATE, json.dumps(state, sort_keys=True).encode())
        self.noted = self.tally.captions

    def close(self) -> None:
        """Give up the files; what was not noted may or may not be in them."""
        for column in (self.columns | self.extra).values():
            with contextlib.suppress(OSError, NoSpace):
                column.close()

    def take(self, lexed: Lexed) -> None:
        """Enter what happened next."""
        for file, event in lexed.bundle.events:
            self.file, own = file, self.tally.files[file]
            if isinstance(event, Opened):
                own.columns = event.columns
            elif isinstance(event, Failed):
                own.error, own.hint = event.why, event.hint
            else:
                own.rows += event.records
                own.skipped.update(event.skipped)
        if lexed.bundle.batch is not None:
            self._take_batch(lexed, lexed.bundle.batch)
        if self.tally.captions - self.noted >= CHECKPOINT_ROWS:
            self.note()

    def _take_batch(self, lexed: Lexed, batch: Batch) -> None:
        self.tally.has_images |= lexed.image is not None
        usable, missing = np.zeros(len(batch), np.bool_), np.ones(len(batch), np.bool_)
        files = lexed.bundle.files
        for column, parts in enumerate(lexed.parts):
            for part in parts:
                own = slice(part.first, part.first + len(part.valid))
                keep = part.valid & (part.streams.n_words > 0)
                usable[own] |= keep
                missing[own] &= ~part.valid
                ids, new = self.index.add(part.streams.key_lo, part.streams.key_hi, keep)
                self._append_texts(part, new, column, batch.rows[own], files[own])
                self._append_rows(lexed, batch, ids, own, None if len(ids) == len(keep) else keep, column)
                self.tally.captions += len(ids)
        for reason, skipped in (("null", missing & ~usable), ("without words", ~missing & ~usable)):
            for file, n in zip(*np.unique(files[skipped], return_counts=True), strict=True):
                self.tally.files[file].skipped[reason] += int(n)

    def _append_texts(self, part: Part, new: np.ndarray, column: int, rows: np.ndarray, files: np.ndarray) -> None:
        """Append what became texts: the captions at positions `new` of the part. rows, files: of all its records."""
        columns, streams = self.columns, part.streams
        for name, ends, values, at in (
            ("words", "word_at", streams.words, streams.word_at),
            ("tokens", "token_at", streams.tokens, streams.token_at),
        ):
            if len(self._room) < len(values):
                self._room = np.empty(len(values) + len(values) // 4, np.uint32)
            end = np.empty(len(new), np.int64)
            n = copy_pieces(values, at, new, self._room, end, columns[name].length)
            columns[name].append(self._room[:n])
            columns[ends].append(end)
        columns["key_lo"].append(streams.key_lo[new])
        columns["key_hi"].append(streams.key_hi[new])
        columns["n_words"].append(streams.n_words[new])
        columns["row"].append(rows[new])
        columns["file"].append(files[new])
        columns["column"].append(np.full(len(new), column, np.uint8))

    def _append_rows(
        self, lexed: Lexed, batch: Batch, ids: np.ndarray, own: slice, keep: np.ndarray | None, column: int
    ) -> None:
        """Append the captions of one part; keep: which of its records (None: all)."""
        columns, n = self.columns, len(ids)

        def chosen(values: np.ndarray) -> np.ndarray:
            return values[own] if keep is None else values[own][keep]

        self._append_extra(batch, n, own, keep)
        columns["row_text"].append(ids)
        columns["row_image"].append(np.zeros(n, np.uint64) if lexed.image is None else chosen(lexed.image))
        columns["row_site"].append(np.zeros(n, np.uint32) if lexed.site is None else chosen(lexed.site))
        columns["row_file"].append(chosen(lexed.bundle.files))
        columns["row_row"].append(chosen(batch.rows))
        columns["row_column"].append(np.full(n, column, np.uint8))

    def _append_extra(self, batch: Batch, n: int, own: slice, keep: np.ndarray | None) -> None:
        """Weights and ids, which few sources have: columns that are begun, and filled up, where they first occur."""
        if batch.weights is not None or "row_weight" in self.extra:
            weight = self._extra_column("row_weight", 1)
            values = np.ones(n, np.float32) if batch.weights is None else batch.weights[own]
            weight.append(values if keep is None or batch.weights is None else values[keep])
        if batch.ids is not None or "row_id_at" in self.extra:
            at, text = self._extra_column("row_id_at", 0), self._extra_column("row_id", None)
            if batch.ids is None:
                at.append(np.full(n, text.length, np.int64))
                return
            ends, data = _id_bytes(batch.ids[own.start : own.stop], keep)
            at.append(ends + text.length)
            text.append(data)

    def _extra_column(self, name: str, fill: int | None) -> Column:
        """This column; at first with `fill` for all captions before."""
        if name not in self.extra:
            self.extra[name] = column = Column(self.work / name, _EXTRA[name])
            left = 0 if fill is None else self.columns["row_text"].length
            while left:
                column.append(np.full(min(left, BLOCK), fill or 0, _EXTRA[name]))
                left -= min(left, BLOCK)
        return self.extra[name]


_EXTRA = {"row_weight": "f4", "row_id": "u1", "row_id_at": "i8"}


def _id_bytes(ids: pa.Array, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Where each kept id ends, and the bytes of all; a null has none."""
    if ids.null_count:
        ids = pc.fill_null(ids, "")
    if keep is not None:
        ids = ids.filter(keep)
    data, at, _ = buffers(ids)
    return at[1:] - at[0], data[at[0] : at[-1]]


def blocks(work: Path, name: str, dtype: str) -> Iterator[np.ndarray]:
    """A column of work/ in blocks that are read, not mapped: they leave memory when they are dropped."""
    size = (work / name).stat().st_size // np.dtype(dtype).itemsize
    for start in range(0, size, BLOCK):
        yield column_slice(work, name, dtype, start, min(size, start + BLOCK))


def column_slice(work: Path, name: str, dtype: str, start: int, stop: int) -> np.ndarray:
    """Values start to stop - 1 of a column, read into memory."""
    offset = start * np.dtype(dtype).itemsize
    return np.fromfile(work / name, dtype, stop - start, offset=offset)


def _read_state(work: Path) -> dict[str, Any] | None:
    """The content of read.json, or None where there is none or its columns are shorter than it says."""
    try:
        state: dict[str, Any] = json.loads((work / READ_STATE).read_bytes())
        kinds = STREAMS | ROWS | POINTERS | _EXTRA
        whole = all(
            (work / name).stat().st_size >= length * np.dtype(kinds[name]).itemsize
            for name, length in state["columns"].items()
        )
    except (OSError, ValueError, KeyError):
        return None
    return state if whole else None
