"""Texts read back from where they first occur: only for what is shown. Between scan and report a text is a pointer."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from memaudit.detect.chosen import gather
from memaudit.sources import open_source
from memaudit.sources.batches import decoded
from memaudit.text.arrow import buffers
from memaudit.text.spelling import Spelled, Writing, batches, spell_buffers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from memaudit.ingest import Texts
    from memaudit.sources import ColumnChoice, Reader, Source

JOB = 2048  # texts, at least, that a thread reads at a time


class Requests(NamedTuple):
    """Strings wanted of texts, one array entry each. Several may share an answer, which is the smallest then.

    text: uint32; form: uint8, span: uint64, slots: uint8: what of it (`spelling.Writing`); answer: int64, where the
    string goes.
    """

    text: np.ndarray
    form: np.ndarray
    span: np.ndarray
    slots: np.ndarray
    answer: np.ndarray


class ReadBack(NamedTuple):
    """What `Library.read` was asked for."""

    strings: list[str]  # by answer
    captions: pa.Array  # large_string: as they stand in the data
    spelled: dict[int, Spelled]  # by text


def requests(
    text: np.ndarray, form: int, answer: np.ndarray, span: np.ndarray | None = None, slots: np.ndarray | None = None
) -> Requests:
    """Requests of one form."""
    n = len(text)
    return Requests(
        text.astype(np.uint32),
        np.full(n, form, np.uint8),
        np.zeros(n, np.uint64) if span is None else span,
        np.zeros(n, np.uint8) if slots is None else slots.astype(np.uint8),
        answer,
    )


class _Job(NamedTuple):
    """Texts of one caption column that a thread reads: their ids and record numbers, both ascending."""

    reader: Reader
    column: int
    ids: np.ndarray
    rows: np.ndarray


class _Found(NamedTuple):
    """What one piece of a job gives."""

    answers: np.ndarray
    strings: list[str]
    ids: np.ndarray
    captions: pa.Array
    spelled: dict[int, Spelled]


class Library:
    """Captions of unique texts by id, written out as wanted."""

    def __init__(self, sources: list[Source], choice: ColumnChoice, texts: Texts) -> None:
        self._sources = sources
        self._choice = choice
        self._texts = texts

    def read(self, wanted: Requests, captions: np.ndarray, spelled: np.ndarray, threads: int) -> ReadBack:
        """The answers to `wanted`, the captions of the texts `captions` and the words of the texts `spelled` (uint32).

        Every file is read once, in pieces; only what is asked for is held.
        """
        order = np.argsort(wanted.text, kind="stable")
        wanted = Requests(*(column[order] for column in wanted))
        shown, spelled = np.unique(captions), np.unique(spelled)
        strings: list[str | None] = [None] * (int(wanted.answer.max(initial=-1)) + 1)
        words: dict[int, Spelled] = {}
        ids, values = [np.empty(0, np.uint32)], [pa.array([], pa.large_string())]
        with ThreadPoolExecutor(threads) as pool:
            jobs = self._jobs(np.unique(np.concatenate([wanted.text, shown, spelled])))
            for pieces in _ahead(pool, lambda job: list(_answer(job, wanted, shown, spelled)), jobs, 2 * threads):
                for found in pieces:
                    words |= found.spelled
                    ids.append(found.ids)
                    values.append(found.captions)
                    for at, string in zip(found.answers.tolist(), found.strings, strict=True):
                        known = strings[at]
                        strings[at] = string if known is None or string < known else known
        place = np.empty(len(shown), np.int64)
        place[np.searchsorted(shown, np.concatenate(ids))] = np.arange(len(shown))
        texts = pa.chunked_array(values).take(pa.array(place[np.searchsorted(shown, captions)]))
        return ReadBack([string or "" for string in strings], texts, words)

    def _jobs(self, ids: np.ndarray) -> Iterator[_Job]:
        """Texts by caption column of a file, cut where reading may begin."""
        rows = gather(self._texts.row, ids)
        place = gather(self._texts.file, ids).astype(np.int64) * 256 + gather(self._texts.column, ids)
        for key in np.unique(place).tolist():
            reader = open_source(self._sources[key // 256], self._choice)
            own = np.flatnonzero(place == key)
            starts, first = np.searchsorted(rows[own], reader.starts()).tolist(), 0
            for cut in [*(c for c in starts if 0 < c < len(own)), len(own)]:
                if cut - first >= JOB or cut == len(own) > first:
                    yield _Job(reader, key % 256, ids[own[first:cut]], rows[own[first:cut]])
                    first = cut


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[_Job], list[_Found]], jobs: Iterator[_Job], most: int
) -> Iterator[list[_Found]]:
    """Results in order, of which at most `most` are waited for: a reader per file is open only so long."""
    waiting: deque[Future[list[_Found]]] = deque()
    for job in jobs:
        waiting.append(pool.submit(work, job))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _answer(job: _Job, wanted: Requests, shown: np.ndarray, spelled: np.ndarray) -> Iterator[_Found]:
    """Piece by piece of a job, what is wanted of it; everything ascending by text."""
    for positions, captions in job.reader.stream(job.rows, job.column):
        data, offsets, _ = buffers(captions)
        ids = job.ids[positions]
        for first, last in batches(offsets):
            own = ids[first:last]
            low, high = np.searchsorted(wanted.text, own[0]), np.searchsorted(wanted.text, own[-1], side="right")
            here = low + np.flatnonzero(_among(wanted.text[low:high], own))  # other columns' texts may lie between
            asked = Requests(*(column[here] for column in wanted))
            words = spell_buffers(data, offsets[first : last + 1])
            strings = words.written(Writing(np.searchsorted(own, asked.text), asked.form, asked.span, asked.slots))
            seen = np.flatnonzero(_among(own, shown))
            listed = {int(own[i]): words.one(i) for i in np.flatnonzero(_among(own, spelled)).tolist()}
            yield _Found(asked.answer, strings, own[seen], _text(captions.take(pa.array(first + seen))), listed)


def _among(ids: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Which ids are among `some` (ascending and distinct)."""
    if not len(some):
        return np.zeros(len(ids), np.bool_)
    known: np.ndarray = some[np.minimum(np.searchsorted(some, ids), len(some) - 1)] == ids
    return known


def _text(captions: pa.Array) -> pa.Array:
    """large_string; null as empty, bytes that are not UTF-8 as U+FFFD."""
    try:
        return pc.fill_null(captions.cast(pa.large_string()), "")
    except pa.ArrowInvalid:
        return pa.array([decoded(value) or "" for value in captions.to_pylist()], pa.large_string())
