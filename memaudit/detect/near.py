"""Near duplicates: MinHash bands propose, true Jaccard decides, components are cut where they drift.

Shingles are the set of word unigrams and bigrams. 24 bands of 5 rows propose candidate pairs; a bucket of m texts
proposes about 2m pairs, never all; every pair is checked before it counts as an edge. Results do not depend on threads,
memory or the order of texts: whatever breaks a tie is the content.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect.bands import BANDS, ENTRY_BYTES, Pass, empty_pass, read_only, sign_bands
from memaudit.detect.candidates import FILTER, open_buckets, presort_hot, repeated
from memaudit.detect.checks import Batch, Checker
from memaudit.detect.components import flatten, unite
from memaudit.ragged import blocks
from memaudit.scratch import release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memaudit.scratch import Steps

ROUNDS = (1, 2, 4, 8, 12, 16, 20, 24)
"""Bands after which edges join components. The first bands find nearly all of them, so they come one by one: what is
connected is not checked again."""

PROGRESS = 2 * BANDS  # how often each text counts as progress: signed and looked up in every band
MOST_BANDS = 8  # of a pass, however much memory there is: fewer passes save little more
SHARE = 5 / 8  # of the memory budget may be used here
TEXT_BYTES = 6  # of a text besides its entries: label and order
FIXED = 512 << 20  # bytes of batches, mapped words, edges and the program itself
ORDER_BLOCK = 1 << 22  # keys read at a time
KEYS_EVERY = 16  # partitions, each of which may look at a few keys all over their map


class Streams(NamedTuple):
    """Words of all unique texts: text i owns words[word_at[i]:word_at[i + 1]]; keys break ties. May be memory maps."""

    words: np.ndarray  # uint32
    word_at: np.ndarray  # int64 (n + 1,)
    key_lo: np.ndarray  # uint64 (n,)
    key_hi: np.ndarray  # of use to others; near detection orders by key_lo


class Edges(NamedTuple):
    """Checked pairs: Jaccard of left[k] and right[k] is similarity[k], at or above the threshold."""

    left: np.ndarray  # uint32
    right: np.ndarray
    similarity: np.ndarray  # float32

    def take(self, which: np.ndarray) -> Edges:
        """Some of the edges."""
        return Edges(self.left[which], self.right[which], self.similarity[which])


def _order(key_lo: np.ndarray) -> np.ndarray:
    """uint16 (n,): the first bits of each key, which order most buckets without a look at the keys themselves."""
    out = np.empty(len(key_lo), np.uint16)
    for first, last in blocks(len(key_lo), ORDER_BLOCK):
        out[first:last] = key_lo[first:last] >> np.uint64(48)
        release(key_lo)
    return out


class _Search:
    """What all rounds share: labels, which each round updates, and what a check needs."""

    def __init__(self, streams: Streams, threshold: float, threads: int, memory: int) -> None:
        self.label = np.arange(len(streams.word_at) - 1, dtype=np.uint32)
        self.order = _order(streams.key_lo)
        self.key_lo, self.key_map = read_only(streams.key_lo), streams.key_lo
        self.checker = Checker(streams.words, streams.word_at, threshold, threads, memory)
        self.batches = [Batch(self.checker) for _ in range(threads)]

    def join(self, edges: Edges) -> None:
        unite(self.label, edges.left, edges.right)
        flatten(self.label)

    def look_up(self, held: Pass, bands: range, pool: ThreadPoolExecutor) -> Edges:
        """Checked edges of these bands of a pass. Labels are only read: neither threads nor partitions matter."""
        jobs = itertools.product(bands, range(held.bounds.shape[2] - 1))
        list(pool.map(self._propose, self.batches, [held] * len(self.batches), [jobs] * len(self.batches)))
        similarities = self.checker.similarities([batch.pairs() for batch in self.batches], pool.map)
        for batch, similarity in zip(self.batches, similarities, strict=True):
            batch.finish(similarity)
        return _joined([Edges(*edges) for batch in self.batches for edges in batch.take_edges()])

    def _propose(self, batch: Batch, held: Pass, jobs: Iterator[tuple[int, int]]) -> None:
        """One thread's share of the partitions, which all threads take from the same iterator."""
        for band, part in jobs:
            k = band - held.first
            seen, again = np.zeros(FILTER, np.uint64), np.zeros(FILTER, np.uint64)
            entries = repeated(held.keys[k], held.places[k], held.bounds[k], part, seen, again)
            entries.sort()
            entries = entries[: open_buckets(entries, self.label, np.empty(len(entries), np.uint32))]
            presort_hot(entries, self.key_lo)
            batch.add(entries, self.label, self.order, self.key_lo)
            if part % KEYS_EVERY == 0:
                release(self.key_map)


def near_edges(
    streams: Streams,
    threshold: float,
    threads: int,
    memory: int,
    steps: Steps,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[Edges, np.ndarray]:
    """Checked edges between near duplicates, left < right, ascending; and the component label (uint32) of every text.

    threshold: Jaccard in (0, 1]. memory: bytes; decides how much is done at a time, never what comes out. steps: edges
    of finished rounds are kept there, and not looked for again. advance: called with numbers that add up to PROGRESS
    times the number of texts. Cost: about 1.2 us a text; TEXT_BYTES a text, FIXED, and ENTRY_BYTES a text for each band
    of a pass: as many as fit SHARE of `memory`, at least one and at most MOST_BANDS.
    """
    n = len(streams.word_at) - 1
    search = _Search(streams, threshold, threads, memory)
    found: list[Edges] = []
    while len(found) < len(ROUNDS) and (kept := steps.get(f"round{len(found)}")) is not None:
        found.append(Edges(**kept))
        search.join(found[-1])
    start = (0, *ROUNDS)[len(found)]
    advance(2 * start * n)
    size = _bands_a_pass(n, memory)
    held = room = empty_pass(n, min(size, BANDS - start))
    of_round: list[Edges] = []
    with ThreadPoolExecutor(threads) as pool:
        for first in range(start, BANDS, size):
            bands = range(first, min(first + size, BANDS))
            held = sign_bands(streams.words, streams.word_at, bands, room, pool, advance)
            cuts = sorted({bands.start, bands.stop, *(r for r in ROUNDS if r in bands)})
            for band, end in itertools.pairwise(cuts):
                of_round.append(search.look_up(held, range(band, end), pool))
                advance((end - band) * n)
                if end in ROUNDS:
                    found.append(_distinct(_joined(of_round)))
                    of_round.clear()
                    search.join(found[-1])
                    steps.put(f"round{len(found) - 1}", found[-1]._asdict())
    label = search.label
    del search, held, room
    return _distinct(_joined(found)), label


def _bands_a_pass(n: int, memory: int) -> int:
    """How many bands of n texts are held at a time."""
    left = int(SHARE * memory) - TEXT_BYTES * n - FIXED
    return max(1, min(MOST_BANDS, left // (ENTRY_BYTES * n + 1)))


def _joined(edges: list[Edges]) -> Edges:
    if not edges:
        return Edges(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.float32))
    return Edges(*(np.concatenate(column) for column in zip(*edges, strict=True)))


def _distinct(edges: Edges) -> Edges:
    """Each edge once, left < right, in ascending order: bands of one round find the same pairs."""
    packed = np.minimum(*edges[:2]).astype(np.uint64) << np.uint64(32) | np.maximum(*edges[:2])
    order = np.argsort(packed)
    packed = packed[order]
    first = np.ones(len(packed), np.bool_)
    first[1:] = packed[1:] != packed[:-1]
    packed = packed[first]
    return Edges((packed >> np.uint64(32)).astype(np.uint32), packed.astype(np.uint32), edges.similarity[order[first]])
