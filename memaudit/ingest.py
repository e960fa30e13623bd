"""Reading: batches of captions become unique texts, members and the two streams that detection works on.

Three things happen at once: the next batch is read, the last one is lexed by all threads, and members are written.
Texts themselves are not kept: a text is a pointer to where it first occurs.
"""

from __future__ import annotations

import itertools
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from memaudit.detect.exact import TextIndex, count_rows
from memaudit.errors import BadInput
from memaudit.ragged import offsets_of
from memaudit.schemas import MEMBERS
from memaudit.scratch import Column, read_column
from memaudit.sources import ColumnChoice, open_source
from memaudit.store import no_space_is_clear
from memaudit.tally import FileTally, Tally
from memaudit.text.arrow import buffers, hash_sites, hash_values
from memaudit.text.lexer import LexedBatch, lex_buffers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from memaudit.sources import Batch, Source
    from memaudit.store import Audit

AHEAD = 2  # batches read before they are needed
STREAMS = {
    "words": "u4",
    "word_counts": "u2",
    "tokens": "u4",
    "token_counts": "u2",
    "key_lo": "u8",
    "key_hi": "u8",
    "file": "u4",
    "row": "u8",
    "column": "u1",
    "n_words": "u4",
}
"""Columns of unique texts under work/: streams, and what TEXTS says of each text."""


class Texts(NamedTuple):
    """Unique texts of a finished read, mapped from work/: text i owns words[word_at[i]:word_at[i + 1]], likewise
    tokens."""

    words: np.ndarray
    word_at: np.ndarray
    tokens: np.ndarray
    token_at: np.ndarray
    key_lo: np.ndarray
    key_hi: np.ndarray
    file: np.ndarray
    row: np.ndarray
    column: np.ndarray
    n_words: np.ndarray


def load_texts(work: Path) -> Texts:
    """The columns that `ingest` left in work/."""
    c = {name: read_column(work / name, dtype) for name, dtype in STREAMS.items()}
    word_at, token_at = offsets_of(c.pop("word_counts")), offsets_of(c.pop("token_counts"))
    return Texts(c.pop("words"), word_at, c.pop("tokens"), token_at, **c)


class _MemberWriter:
    """Writes members.parquet batch by batch under a temporary name."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self.temporary = audit.folder / ".members.parquet.tmp"
        self.rows = 0
        empty = pl.DataFrame(schema=MEMBERS).to_arrow()
        with no_space_is_clear(audit.folder):
            self.writer = pq.ParquetWriter(
                self.temporary, empty.schema, compression="lz4", use_dictionary=["file", "column"]
            )

    def write(self, frame: pl.DataFrame) -> None:
        with no_space_is_clear(self.audit.folder):
            self.writer.write_table(frame.to_arrow())
        self.rows += len(frame)

    def finish(self) -> None:
        with no_space_is_clear(self.audit.folder):
            self.writer.close()
        self.audit.adopt("members", self.temporary, self.rows)


def ingest(
    sources: list[Source], choice: ColumnChoice, audit: Audit, threads: int, advance: Callable[[int], None]
) -> tuple[Tally, np.ndarray, np.ndarray]:
    """Read everything once. Writes members.parquet and the columns of `STREAMS` under work/.

    advance: called with records read. Returns the tally, n_rows (uint32) and weight (float32) by text.
    A source that cannot be read, or breaks off, is noted in the tally; the others are read.
    """
    tally = Tally([FileTally(s.path, s.size) for s in sources])
    columns = {name: Column(audit.work / name, dtype) for name, dtype in STREAMS.items()}
    members, index, counts = _MemberWriter(audit), TextIndex(), _RowCounts()
    with ThreadPoolExecutor(threads) as pool:
        for file, lexing in _lex_ahead(_read_ahead(sources, choice, tally), pool, threads):
            lexed = lexing.result()
            tally.files[file].skipped.update(lexed.batch.skipped)
            tally.files[file].rows += len(lexed.batch) + sum(lexed.batch.skipped.values())
            _take_batch(file, lexed, tally, columns, index, counts, members)
            advance(len(lexed.batch))
    for name, keys in zip(("key_lo", "key_hi"), index.keys(), strict=True):
        columns[name].append(keys)
    for column in columns.values():
        column.close()
    members.finish()
    return tally, counts.n_rows[: index.n], counts.weight[: index.n]


class _RowCounts:
    """n_rows and weight by text, growing."""

    def __init__(self) -> None:
        self.n_rows = np.zeros(1 << 16, np.uint32)
        self.weight = np.zeros(1 << 16, np.float32)

    def add(self, ids: np.ndarray, weights: np.ndarray | None, n_texts: int) -> None:
        if n_texts > len(self.n_rows):
            room = n_texts + n_texts // 2
            self.n_rows = np.concatenate([self.n_rows, np.zeros(room - len(self.n_rows), np.uint32)])
            self.weight = np.concatenate([self.weight, np.zeros(room - len(self.weight), np.float32)])
        count_rows(ids, np.ones(len(ids)) if weights is None else weights, self.n_rows, self.weight)


def _read_ahead(sources: list[Source], choice: ColumnChoice, tally: Tally) -> Iterator[tuple[int, Batch]]:
    """Batches of all sources in order, read by a thread of their own. What a reader raises is noted or raised here."""
    waiting: queue.Queue[tuple[int, Batch] | BaseException | None] = queue.Queue(AHEAD)
    stop = threading.Event()

    def put(item: tuple[int, Batch] | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for file, source in enumerate(sources):
                try:
                    reader = open_source(source, choice)
                    tally.files[file].columns = reader.columns
                    for batch in reader.batches():
                        if not put((file, batch)):
                            return
                except BadInput as error:
                    tally.files[file].error = "; ".join(filter(None, (error.what, error.why)))
                    tally.files[file].hint = error.hint
            put(None)
        except BaseException as error:  # handed to the thread that scans
            put(error)

    thread = threading.Thread(target=read, name="memaudit-read", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


class _Lexed(NamedTuple):
    """A batch with everything that threads compute of it; `streams` and `valid` by caption column."""

    batch: Batch
    streams: list[LexedBatch]
    valid: list[np.ndarray]
    image: pl.Series | None
    site: pl.Series | None


class _Lexing(NamedTuple):
    """A batch whose parts are being lexed."""

    batch: Batch
    parts: list[list[Future[LexedBatch]]]  # by caption column
    valid: list[np.ndarray]
    references: Future[tuple[pl.Series | None, pl.Series | None]]

    def result(self) -> _Lexed:
        streams = [_joined([part.result() for part in parts]) for parts in self.parts]
        return _Lexed(self.batch, streams, self.valid, *self.references.result())


def _start_lexing(batch: Batch, pool: ThreadPoolExecutor, threads: int) -> _Lexing:
    references = pool.submit(_references, batch)
    parts, valid = [], []
    for captions in batch.captions:
        data, offsets, usable = buffers(captions)
        n = len(offsets) - 1
        cuts = np.searchsorted(offsets, np.linspace(offsets[0], offsets[-1], threads + 1)[1:-1])
        bounds = [0, *np.clip(cuts, 0, n).tolist(), n]
        parts.append([pool.submit(lex_buffers, data, offsets, a, b) for a, b in itertools.pairwise(bounds)])
        valid.append(usable)
    return _Lexing(batch, parts, valid, references)


def _lex_ahead(
    batches: Iterator[tuple[int, Batch]], pool: ThreadPoolExecutor, threads: int
) -> Iterator[tuple[int, _Lexing]]:
    """Lexing of each batch, started while the one before it is still being taken."""
    waiting: tuple[int, _Lexing] | None = None
    for file, batch in batches:
        started = (file, _start_lexing(batch, pool, threads))
        if waiting:
            yield waiting
        waiting = started
    if waiting:
        yield waiting


def _take_batch(
    file: int,
    lexed: _Lexed,
    tally: Tally,
    columns: dict[str, Column],
    index: TextIndex,
    counts: _RowCounts,
    members: _MemberWriter,
) -> None:
    """Give every caption its text, append the new texts' streams, write the members."""
    batch = lexed.batch
    tally.has_images |= lexed.image is not None
    usable, missing = np.zeros(len(batch), np.bool_), np.ones(len(batch), np.bool_)
    for number, (streams, valid) in enumerate(zip(lexed.streams, lexed.valid, strict=True)):
        keep = valid & (streams.n_words > 0)
        usable |= keep
        missing &= ~valid
        before = index.n
        ids = index.add(streams.key_lo[keep], streams.key_hi[keep])
        counts.add(ids, None if batch.weights is None else batch.weights[keep], index.n)
        _append_new(columns, streams, np.flatnonzero(keep)[_first_of_new(ids, before)], file, number, batch.rows)
        members.write(_member_frame(file, number, batch, keep, ids, lexed.image, lexed.site))
        tally.captions += len(ids)
    skipped = {"null": int((missing & ~usable).sum()), "without words": int((~missing & ~usable).sum())}
    tally.files[file].skipped.update({reason: n for reason, n in skipped.items() if n})


def _first_of_new(ids: np.ndarray, before: int) -> np.ndarray:
    """Positions where a text id that is not below `before` occurs first; new ids are given in ascending order."""
    if not len(ids):
        return np.empty(0, np.int64)
    highest = np.maximum.accumulate(np.concatenate([[before - 1], ids.astype(np.int64)]))
    return np.flatnonzero(highest[1:] > highest[:-1])


def _references(batch: Batch) -> tuple[pl.Series | None, pl.Series | None]:
    """Per record the image key (hash of its hash, else of its reference) and the site; None where the source has
    none."""
    image = site = None
    source = batch.hashes if batch.hashes is not None else batch.images
    if source is not None:
        data, offsets, valid = buffers(source)
        image = pl.Series("image", hash_values(data, offsets))
        image = image.set(pl.Series(~valid), None) if not valid.all() else image
    if batch.images is not None:
        data, offsets, valid = buffers(batch.images)
        sites = hash_sites(data, offsets)
        site = pl.Series("domain", sites)
        site = site.set(pl.Series(~valid | (sites == 0)), None)
    return image, site


def _member_frame(
    file: int,
    column: int,
    batch: Batch,
    keep: np.ndarray,
    ids: np.ndarray,
    image: pl.Series | None,
    site: pl.Series | None,
) -> pl.DataFrame:
    n, mask = len(ids), pl.Series(keep)
    no_id, no_image, no_site = (
        pl.Series([None], dtype=MEMBERS[c]).new_from_index(0, n) for c in ("id", "image", "domain")
    )
    return pl.DataFrame(
        {
            "file": pl.Series([file], dtype=pl.UInt32).new_from_index(0, n),
            "row": batch.rows[keep],
            "column": pl.Series([column], dtype=pl.UInt8).new_from_index(0, n),
            "text_id": ids,
            "id": no_id if batch.ids is None else pl.Series(batch.ids).filter(mask),
            "image": no_image if image is None else image.filter(mask),
            "domain": no_site if site is None else site.filter(mask),
        },
        schema=MEMBERS,
    )


def _joined(parts: list[LexedBatch]) -> LexedBatch:
    """Streams of consecutive captions, one after the other."""
    if len(parts) == 1:
        return parts[0]
    word_counts = np.concatenate([np.diff(p.word_at) for p in parts])
    token_counts = np.concatenate([np.diff(p.token_at) for p in parts])
    words, tokens, lo, hi, n_words = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("words", "tokens", "key_lo", "key_hi", "n_words")
    )
    return LexedBatch(words, offsets_of(word_counts), tokens, offsets_of(token_counts), lo, hi, n_words)


def _append_new(
    columns: dict[str, Column], lexed: LexedBatch, new: np.ndarray, file: int, number: int, rows: np.ndarray
) -> None:
    """Append the streams of captions `new` (positions in the batch), which became texts."""
    for stream, at, counts in (("words", lexed.word_at, "word_counts"), ("tokens", lexed.token_at, "token_counts")):
        lengths = np.diff(at)
        columns[stream].append(getattr(lexed, stream)[np.repeat(_mask(len(lengths), new), lengths)])
        columns[counts].append(lengths[new])
    columns["file"].append(np.full(len(new), file, np.uint32))
    columns["row"].append(rows[new])
    columns["column"].append(np.full(len(new), number, np.uint8))
    columns["n_words"].append(lexed.n_words[new])


def _mask(n: int, positions: np.ndarray) -> np.ndarray:
    mask = np.zeros(n, np.bool_)
    mask[positions] = True
    return mask
