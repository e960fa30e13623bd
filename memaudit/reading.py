"""Reading ahead: a thread reads batches of captions, all threads lex them, and one consumer takes them in order.

Nothing here depends on timing: the consumer sees the same batches in the same order whatever runs ahead.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.errors import BadInput, Unreachable
from memaudit.sources import joined, open_source
from memaudit.text.arrow import buffers, hash_sites, hash_values
from memaudit.text.lexer import LexedBatch, lex_buffers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future, ThreadPoolExecutor

    import pyarrow as pa

    from memaudit.sources import Batch, ColumnChoice, Columns, Source

AHEAD = 2  # batches read before they are needed, and as many lexed
SMALL = 1 << 18  # bytes of captions: fewer are joined with others, and lexed by one thread
BUNDLE = 1 << 12  # records: batches of fewer are joined


class Opened(NamedTuple):
    """A source was opened: what in it was taken for captions, ids, ..."""

    columns: Columns


class Failed(NamedTuple):
    """A source cannot be read, or broke off."""

    why: str
    hint: str


class Taken(NamedTuple):
    """Records of a source: how many, and how many of them the source itself skipped, by reason."""

    records: int
    skipped: Mapping[str, int]


Event = Opened | Failed | Taken


class Bundle(NamedTuple):
    """Events in order, each with the number of its source, and all captions of their records.

    One batch of a large source, or those of many small ones: a file costs some hundred microseconds to open, and must
    not cost as much again further on.
    """

    events: list[tuple[int, Event]]
    batch: Batch | None
    files: np.ndarray  # uint32 by record: number of its source


class Part(NamedTuple):
    """Consecutive captions of one column of a batch: the records from `first` on."""

    first: int
    valid: np.ndarray  # bool (n,): not null
    streams: LexedBatch


class Lexed(NamedTuple):
    """A bundle with everything that threads compute of it."""

    bundle: Bundle
    parts: list[list[Part]]  # by caption column
    image: np.ndarray | None  # uint64 by record: key of its picture's hash or reference, 0 for none
    site: np.ndarray | None  # uint32 by record: key of the site that the reference points to, 0 for none


def read_lexed(
    sources: list[Source], choice: ColumnChoice, begin: tuple[int, int], pool: ThreadPoolExecutor, threads: int
) -> Iterator[Lexed]:
    """Everything that happens from `begin` (number of a source, its record) on, in order: a source is opened, its
    records are taken, perhaps it fails.

    After any bundle a new call can go on; the bundles that follow are the same. Closing the iterator ends the thread
    that reads.
    """
    waiting: deque[_Lexing] = deque()
    for bundle in _read_ahead(sources, choice, begin):
        waiting.append(_Lexing(bundle, pool, threads))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _events(
    sources: list[Source], choice: ColumnChoice, begin: tuple[int, int]
) -> Iterator[tuple[int, Opened | Failed | Batch]]:
    first, record = begin
    for file in range(first, len(sources)):
        try:
            reader = open_source(sources[file], choice)
            yield file, Opened(reader.columns)
            for batch in reader.batches(record if file == first else 0):
                yield file, batch
        except Unreachable:
            raise
        except BadInput as error:
            yield file, Failed("; ".join(filter(None, (error.what, error.why))), error.hint)


def _bundles(sources: list[Source], choice: ColumnChoice, begin: tuple[int, int]) -> Iterator[Bundle]:
    """`_events` in bundles: a bundle ends with a batch that fills it, and before one of another shape."""
    events: list[tuple[int, Event]] = []
    batches: list[tuple[int, Batch]] = []
    records = 0
    for file, event in _events(sources, choice, begin):
        if isinstance(event, Opened | Failed):
            events.append((file, event))
            continue
        large = len(event) >= BUNDLE or sum(captions.nbytes for captions in event.captions) >= SMALL
        if batches and (large or _shape(event) != _shape(batches[0][1])):
            ahead = [events.pop()] if isinstance(events[-1][1], Opened) else []  # goes with its records
            yield _bundle(events, batches)
            events, batches, records = ahead, [], 0
        events.append((file, Taken(len(event) + sum(event.skipped.values()), event.skipped)))
        batches.append((file, event))
        records += len(event)
        if large or records >= BUNDLE:
            yield _bundle(events, batches)
            events, batches, records = [], [], 0
    if events:
        yield _bundle(events, batches)


def _shape(batch: Batch) -> tuple[int, bool, bool, bool, bool]:
    """What batches must have in common to be joined."""
    given = (batch.ids, batch.images, batch.hashes, batch.weights)
    return len(batch.captions), *(values is not None for values in given)  # type: ignore[return-value]


def _bundle(events: list[tuple[int, Event]], batches: list[tuple[int, Batch]]) -> Bundle:
    if len(batches) <= 1:
        batch = batches[0][1] if batches else None
        return Bundle(events, batch, np.full(len(batch or ()), batches[0][0] if batches else 0, np.uint32))
    files = np.repeat(np.array([f for f, _ in batches], np.uint32), [len(b) for _, b in batches])
    return Bundle(events, joined([b for _, b in batches]), files)


def _read_ahead(sources: list[Source], choice: ColumnChoice, begin: tuple[int, int]) -> Iterator[Bundle]:
    """`_bundles`, produced by a thread of their own. What else a reader raises is raised here."""
    waiting: queue.Queue[Bundle | BaseException | None] = queue.Queue(AHEAD)
    stop = threading.Event()

    def put(item: Bundle | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in _bundles(sources, choice, begin):
                if not put(item):
                    return
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


class _Lexing:
    """A bundle whose parts are being lexed."""

    def __init__(self, bundle: Bundle, pool: ThreadPoolExecutor, threads: int) -> None:
        self.bundle = bundle
        self.parts: list[Future[list[list[Part]]]] = []
        self.references: Future[tuple[np.ndarray | None, np.ndarray | None]] | None = None
        if bundle.batch is not None:
            shares = min(threads, 1 + sum(captions.nbytes for captions in bundle.batch.captions) // SMALL)
            self.parts = [pool.submit(_lex, bundle.batch, share, shares) for share in range(shares)]
            self.references = pool.submit(_references, bundle.batch)

    def result(self) -> Lexed:
        shares = [part.result() for part in self.parts]
        columns = [list(itertools.chain(*column)) for column in zip(*shares, strict=True)]
        return Lexed(self.bundle, columns, *(self.references.result() if self.references else (None, None)))


def _lex(batch: Batch, share: int, shares: int) -> list[list[Part]]:
    """By caption column the part that is this share of its bytes; none where it is empty."""
    out: list[list[Part]] = []
    for captions in batch.captions:
        data, offsets, valid = buffers(captions)
        cuts = np.searchsorted(offsets, np.linspace(offsets[0], offsets[-1], shares + 1)[1:-1])
        a, b = [0, *cuts.clip(0, len(valid)).tolist(), len(valid)][share : share + 2]
        out.append([Part(a, valid[a:b], lex_buffers(data, offsets, a, b))] if b > a else [])
    return out


def _references(batch: Batch) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Per record the image key (hash of its hash, else of its reference) and the site; None where the source has
    none."""
    image = site = None
    source = batch.hashes if batch.hashes is not None else batch.images
    if source is not None:
        data, offsets, valid = buffers(source)
        image = _zero_where_null(hash_values(data, offsets), source, valid)
    if batch.images is not None:
        data, offsets, valid = buffers(batch.images)
        site = _zero_where_null(hash_sites(data, offsets), batch.images, valid)
    return image, site


def _zero_where_null(values: np.ndarray, source: pa.Array, valid: np.ndarray) -> np.ndarray:
    if source.null_count:
        values[~valid] = 0
    return values
