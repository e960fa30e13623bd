"""Checks of candidate pairs, many at a time: words are visited in the order in which they lie, then pairs are counted.

A text's words are a cache miss, or a page of a mapped file, away. A batch therefore collects texts, sweeps once over
the words that they own, keeping their distinct shingles, and only then looks at pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memaudit.detect.bands import SWEEP, read_only
from memaudit.detect.candidates import propose
from memaudit.detect.jaccard import MARKS, TABLE, distinct_shingles, jaccard, may_reach
from memaudit.jit import kernel
from memaudit.scratch import release

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHECK_SHARE = 16  # of the memory budget goes to batches, all threads together
MOST_SHARE = 128 << 20  # bytes of one batch, however much memory there is
LEAST_SHARE = 1 << 20
LONGEST = 1024  # shingles of the longest text, and one
PAIR_BYTES = 80  # of a text in a batch, besides its shingles
AHEAD = 128  # texts whose words are fetched before they are used


class Pairs(NamedTuple):
    """Pairs to check: texts[left[k]] and texts[right[k]]; and space for the texts' distinct shingles.

    Of text k these are facts[k, 1] values from shingles[facts[k, 0]] on; then come its marks.
    """

    texts: np.ndarray  # uint32
    left: np.ndarray  # uint32
    right: np.ndarray
    shingles: np.ndarray  # uint32
    facts: np.ndarray  # uint64 (at least the number of texts, 2 + MARKS)


@kernel
def _gather(visit, words, word_at, n, shingles, facts):
    """Write the distinct shingles of the texts of `visit` (text << 32 | where they count in facts) to shingles[n:].

    Returns where they end, or -1 where there is no room for them.
    """
    table, low = np.empty(TABLE, np.uint16), np.uint64(0xFFFFFFFF)
    bounds, warm = np.empty((AHEAD, 2), np.int64), np.empty(1, np.uint32)
    for ahead in range(0, len(visit), AHEAD):
        some = visit[ahead : ahead + AHEAD]
        for i in range(len(some)):
            text = some[i] >> np.uint64(32)
            bounds[i, 0], bounds[i, 1] = word_at[text], word_at[text + np.uint64(1)]
        for i in range(len(some)):  # the cache misses of many texts at once
            warm[0] ^= words[bounds[i, 0]] ^ words[bounds[i, 1] - 1] ^ np.uint32(facts[some[i] & low, 0])
        for i in range(len(some)):
            first, last = bounds[i, 0], bounds[i, 1]
            if n + 2 * (last - first) > len(shingles):
                return -1
            own = facts[some[i] & low]
            own[0] = n
            own[1] = distinct_shingles(words, first, last, shingles, n, own[2:], table)
            n += np.int64(own[1])
    return n


@kernel
def _similar(left, right, shingles, facts, threshold, similarity):
    """Jaccard of pairs (positions in facts) into `similarity`; 0 where it is known without counting to be too low."""
    table, warm = np.empty(TABLE, np.uint16), np.empty(1, np.uint32)
    promising = np.empty((AHEAD, 2), np.int64)
    for ahead in range(0, len(left), AHEAD):
        n_promising = 0
        for p in range(ahead, min(ahead + AHEAD, len(left))):
            x, y = facts[left[p]], facts[right[p]]
            similarity[p] = 0.0
            if may_reach(threshold, np.int64(x[1]), np.int64(y[1]), x[2:], y[2:]):
                promising[n_promising, 0] = p
                n_promising += 1
                warm[0] ^= shingles[x[0]] ^ shingles[y[0]]
        for i in range(n_promising):
            p = promising[i, 0]
            x, y = facts[left[p]], facts[right[p]]
            n, m = np.int64(x[1]), np.int64(y[1])
            similarity[p] = jaccard(shingles[x[0] : x[0] + x[1]], n, shingles[y[0] : y[0] + y[1]], m, table)


class Checker:
    """Checks pairs of the texts of one data set. words: uint32, word_at: int64 (n + 1,), may be memory maps."""

    def __init__(self, words: np.ndarray, word_at: np.ndarray, threshold: float, threads: int, memory: int) -> None:
        self.maps = words, word_at
        self.words, self.word_at = read_only(words), read_only(word_at)
        self.threshold = threshold
        n = max(1, len(word_at) - 1)
        share = max(LEAST_SHARE, min(memory // CHECK_SHARE // threads, MOST_SHARE))
        usual = 2 * len(words) // n + 1  # shingles of a text
        self.texts = max(8, share // (PAIR_BYTES + 6 * usual))
        self.room = max(4 * LONGEST, self.texts * usual * 3 // 2)  # shingles
        self.step = max(1, n * SWEEP // (words.nbytes + word_at.nbytes + 1))  # texts swept before maps are released

    def space(self, texts: int) -> tuple[np.ndarray, np.ndarray]:
        """(shingles, facts) of so many texts."""
        return np.empty(self.room, np.uint32), np.empty((texts, 2 + MARKS), np.uint64)

    def similarities(self, batches: Sequence[Pairs], run: Callable[..., Any] = map) -> list[np.ndarray]:
        """Jaccard (float64) of the pairs of each batch; 0 for some that are below the threshold.

        run: `map`, or that of a pool: batches then sweep side by side, so that a page of a mapped file serves them all.
        """
        return list(run(self._similar_in, batches, self._sweep(batches, run)))

    def _similar_in(self, pairs: Pairs, fits: bool) -> np.ndarray:
        if fits:
            out = np.empty(len(pairs.left))
            _similar(*pairs[1:], self.threshold, out)
            return out
        half, parts = len(pairs.left) // 2, []  # unusually long texts: in halves
        for some in (slice(None, half), slice(half, None)):
            used, place = np.unique(np.concatenate([pairs.left[some], pairs.right[some]]), return_inverse=True)
            left, right = np.split(place.astype(np.uint32), 2)
            parts += self.similarities([Pairs(pairs.texts[used], left, right, *self.space(len(used)))])
        return np.concatenate(parts)

    def _sweep(self, batches: Sequence[Pairs], run: Callable[..., Any]) -> list[bool]:
        """Fill in the shingles of the texts of each batch; False where there was no room."""
        visits = list(run(_visit, [pairs.texts for pairs in batches]))
        steps = np.arange(self.step, len(self.word_at) - 1, self.step, dtype=np.uint64) << np.uint64(32)
        pieces = [np.split(visit, np.searchsorted(visit, steps)) for visit in visits]

        def gather(end: int, visit: np.ndarray, pairs: Pairs) -> int:
            return int(_gather(visit, self.words, self.word_at, end, *pairs[3:])) if end >= 0 else end

        ends = [0] * len(batches)
        for some in zip(*pieces, strict=True):
            ends = list(run(gather, ends, some, batches))
            release(*self.maps)
        return [end >= 0 for end in ends]


def _visit(texts: np.ndarray) -> np.ndarray:
    visit = texts.astype(np.uint64) << np.uint64(32) | np.arange(len(texts), dtype=np.uint64)
    visit.sort()
    return visit


class Batch:
    """Pairs of many buckets to check together: the more texts are visited at once, the nearer their words are."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._texts, self._left, self._right = (np.empty(k * checker.texts, np.uint32) for k in (1, 2, 2))
        self._space = checker.space(checker.texts)
        self._state = np.zeros(5, np.int64)
        self._edges: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, entries: np.ndarray, label: np.ndarray, order: np.ndarray, key_lo: np.ndarray) -> None:
        """Take the pairs that sorted open buckets propose; check them whenever there is no more room."""
        self._state[:3] = 0
        while True:
            propose(entries, label, order, key_lo, self._state, self._texts, self._left, self._right)
            if self._state[0] == len(entries):
                return
            self.finish(*self._checker.similarities([self.pairs()]))

    def pairs(self) -> Pairs:
        """What waits for its check."""
        n, m = self._state[3:]
        return Pairs(self._texts[:n], self._left[:m], self._right[:m], *self._space)

    def finish(self, similarity: np.ndarray) -> None:
        """Keep the edges among the pairs, and wait for others."""
        texts, left, right = self.pairs()[:3]
        true = np.flatnonzero(similarity >= self._checker.threshold)
        self._edges.append((texts[left[true]], texts[right[true]], similarity[true].astype(np.float32)))
        self._state[3:] = 0

    def take_edges(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(left, right, similarity) of all edges since the last call."""
        edges, self._edges = self._edges, []
        return edges
