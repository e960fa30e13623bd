"""A random sample of the captions behind DATA, and how many there are.

Parquet footers and listings say how many rows a source has, and any of them can be read. Text formats are streams:
their rows are estimated from size and the first lines, and the sample is their head.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from memaudit.errors import BadInput
from memaudit.sources import open_source
from memaudit.sources.files import unreadable
from memaudit.sources.storage import buffered, opened, packing, unpacked
from memaudit.sources.tars import TarReader
from memaudit.text.arrow import buffers
from memaudit.text.lexer import lex_buffers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.sources import ColumnChoice, Reader, Source
    from memaudit.text.lexer import LexedBatch

ROWS = 200_000  # of the sample
BYTES, FEW = 256 << 20, 1_000  # on disk that a sample stands for at most, unless that is fewer rows than these
FILES = 400  # opened at most, spread over all; the others are taken to be like them
DECODED = 20_000_000  # rows of Parquet that are decoded at most to draw the sample
HEAD = 4 << 20  # bytes of a text file from which its rows are estimated
LOOKS = 8  # files whose first batch is read like a scan would
STRETCHES = 16  # of a file, where not all of it is decoded
SEED = 20231206


@dataclass
class Sample:
    """Captions that were drawn, and what is known of all.

    keys: uint64 (n,), equal for equal captions. words, tokens: mean number a caption. id_bytes: mean length of an id.
    lex_seconds: of one core, for all of the sample. rows_known: counted, not estimated. whole: everything was drawn.
    heads: part of it are the first rows of text files.
    """

    keys: np.ndarray
    rows: int
    captions: int
    words: float
    tokens: float
    id_bytes: float
    lex_seconds: float
    rows_known: bool
    whole: bool
    heads: bool
    bad_files: list[tuple[str, str, str]] = field(default_factory=list)  # path, what and why, what to try
    readable: bool = True


@dataclass
class _Opened:
    """A source that was looked at. rows: of the file, estimated where not `known`."""

    source: Source
    reader: Reader
    rows: int
    known: bool


@dataclass
class _Drawn:
    """Caption arrays (large_binary), rows that they come from; whole: nothing was left; heads: of a stream only the
    first rows were read."""

    arrays: list[pa.Array] = field(default_factory=list)
    rows: int = 0
    whole: bool = True
    heads: bool = False


def draw(sources: Sequence[Source], choice: ColumnChoice) -> Sample:
    """Look at up to `FILES` sources and draw `ROWS` of their rows, from each in proportion to its size.

    A source that cannot be read is noted. The same data gives the same sample.
    """
    looked = _spread(sources, FILES)
    opened, bad = _open(looked, choice)
    drawn = _draw(opened, bad)
    share, seen = _share_of_size(looked, sources), sum(file.rows for file in opened)
    captions = pa.concat_arrays(drawn.arrays) if drawn.arrays else pa.array([], pa.large_binary())
    lexed, seconds = _lexed(captions)
    usable = lexed.n_words > 0
    rows, n = round(seen / share), int(usable.sum())
    whole = drawn.whole and share == 1
    id_bytes, kept = _first_rows(opened)
    return Sample(
        keys=lexed.key_lo[usable] ^ (lexed.key_hi[usable] << np.uint64(1)),
        rows=rows,
        captions=n if whole else round(rows * n / max(drawn.rows, 1) * (1.0 if drawn.heads else kept)),
        words=len(lexed.words) / max(n, 1),
        tokens=len(lexed.tokens) / max(n, 1),
        id_bytes=id_bytes,
        lex_seconds=seconds,
        rows_known=share == 1 and all(file.known for file in opened),
        whole=whole,
        heads=drawn.heads,
        bad_files=bad,
        readable=bool(opened),
    )


def _spread(sources: Sequence[Source], most: int) -> list[Source]:
    """At most so many sources, evenly over the list."""
    return [sources[i] for i in np.unique(np.linspace(0, len(sources) - 1, min(most, len(sources))).astype(int))]


def _share_of_size(looked: Sequence[Source], sources: Sequence[Source]) -> float:
    """Of the bytes of all sources, how many are in those that were looked at."""
    of_looked, total = (sum(source.size for source in group) for group in (looked, sources))
    return of_looked / total if len(looked) < len(sources) and of_looked else 1.0


def _open(sources: Sequence[Source], choice: ColumnChoice) -> tuple[list[_Opened], list[tuple[str, str, str]]]:
    opened, bad = [], []
    for source in sources:
        try:
            reader = open_source(source, choice)
            known = reader.n_rows is not None
            rows = reader.n_rows if reader.n_rows is not None else _estimated_rows(source, reader)
            opened.append(_Opened(source, reader, rows, known))
        except BadInput as error:
            bad.append(_note(source, error))
    return opened, bad


def _note(source: Source, error: BadInput) -> tuple[str, str, str]:
    return source.path, "; ".join(filter(None, (error.what, error.why))), error.hint


def _estimated_rows(source: Source, reader: Reader) -> int:
    """Records of an archive, judged by its first ones; of a text file its size over the bytes on disk that a line
    of its head takes, breaks in values too."""
    if isinstance(reader, TarReader):
        return reader.estimated_rows(source.size)
    try:
        with opened(source.path) as file:
            packed = buffered(file)
            stream = unpacked(packed, packing(source.path))  # closes what it reads when it is let go
            head: bytes = stream.read(HEAD)
            read = packed.tell()
    except (OSError, pa.ArrowException) as error:
        raise unreadable(source.path, error) from error
    lines = head.count(b"\n") + (not head.endswith(b"\n"))
    return lines if len(head) < HEAD else max(1, round(lines * source.size / read))


def _draw(opened: list[_Opened], bad: list[tuple[str, str, str]]) -> _Drawn:
    """Rows of every opened file, in proportion; a file that turns out to be damaged is noted and left out."""
    drawn, seen = _Drawn(), max(1, sum(file.rows for file in opened))
    rng = np.random.default_rng(SEED)
    n_bytes = max(1, sum(file.source.size for file in opened))
    most = min(ROWS, max(FEW, BYTES * seen // n_bytes))
    for file in list(opened):
        quota = -(-most * file.rows // seen)
        try:
            if file.known and quota < file.rows:
                _draw_any(file, quota, min(1.0, DECODED / seen), rng, drawn)
            else:
                _draw_head(file, quota, drawn)
        except BadInput as error:
            bad.append(_note(file.source, error))
            opened.remove(file)
    return drawn


def _draw_any(file: _Opened, quota: int, share: float, rng: np.random.Generator, drawn: _Drawn) -> None:
    """Random rows, from stretches that make up `share` of the file."""
    stretches = 1 if share == 1 else STRETCHES
    size, each = max(1, round(file.rows * share / stretches)), -(-quota // stretches)
    starts = [file.rows * i // stretches for i in range(stretches)]
    rows = [start + rng.choice(size, min(size, each), replace=False) for start in starts]
    wanted = np.sort(np.concatenate(rows)).astype(np.uint64)
    drawn.whole = False
    for column in range(len(file.reader.columns.captions)):
        texts = file.reader.take(wanted, column)
        encoded = [None if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
        drawn.arrays.append(pa.array(encoded, pa.large_binary()))
    drawn.rows += len(wanted)


def _draw_head(file: _Opened, quota: int, drawn: _Drawn) -> None:
    """The first `quota` rows, skipped ones among them. Where a stream ends before, its rows are known."""
    left = quota
    for batch in file.reader.batches():
        if left <= 0:
            drawn.whole, drawn.heads = False, True
            return
        drawn.arrays += [captions[:left] for captions in batch.captions]
        taken = min(left, len(batch)) + sum(batch.skipped.values())
        drawn.rows += taken
        left -= taken
        if left < 0 or taken < len(batch):
            drawn.whole, drawn.heads = False, True
            return
    file.rows, file.known = quota - left, True


def _lexed(captions: pa.Array) -> tuple[LexedBatch, float]:
    """The streams of the captions, nulls among them as empty, and the seconds of this thread that lexing took."""
    data, offsets, _ = buffers(captions.fill_null(b""))
    lex_buffers(data, offsets, 0, min(1, len(captions)))  # loads or compiles the kernel
    started = time.thread_time()
    lexed = lex_buffers(data, offsets)
    return lexed, time.thread_time() - started


def _first_rows(opened: Sequence[_Opened]) -> tuple[float, float]:
    """From the first batch of some files: mean bytes of an id, which go to the audit, and the share of rows that a scan
    would not skip (img2dataset's failed downloads)."""
    rows = kept = id_bytes = 0
    for file in opened[:: max(1, len(opened) // LOOKS)]:
        batch = next(file.reader.batches(), None)
        if batch is not None:
            rows += len(batch) + sum(batch.skipped.values())
            kept += len(batch)
            id_bytes += max(0, batch.ids.nbytes - 8 * len(batch)) if batch.ids is not None else 0
    return id_bytes / max(kept, 1), kept / rows if rows else 1.0
