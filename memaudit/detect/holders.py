"""Every caption that holds a skeleton, whichever frames it proposed itself.

A caption proposes its frames from runs that it cuts by frequency, so it may miss one: where a slot is empty two runs
become one, where a common word leads into a run it belongs to that run. One pass over all captions mends that: each
skeleton is looked for where its rarest pair of neighbours occurs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect.grams import MAX_TOKENS, count_all, pair
from memaudit.jit import kernel, leaf
from memaudit.ragged import blocks, owners
from memaudit.scratch import release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import ThreadPoolExecutor

    from memaudit.detect.grams import Counts, Tokens
    from memaudit.detect.skeletons import Skeletons

BLOCK = 1 << 16  # texts that one thread looks through at a time
PATIENCE, SLACK = 8, 64  # a pair that occurs more than PATIENCE * support + SLACK times is no place to look
MARKS = 16  # bits a pair in the filter that spares most look-ups
_KNUTH = np.uint64(0x9E3779B97F4A7C15)


Entries = tuple[np.ndarray, np.ndarray, np.ndarray]
"""owner (int64: a skeleton), text (uint32) and span (uint64, `frames.unpack`) of texts that hold skeletons."""


class Places(NamedTuple):
    """Pairs of neighbours and the skeletons that are looked for where they occur."""

    marks: np.ndarray  # uint64: bit filter of the pairs
    keys: np.ndarray  # uint64: open addressing by hash; 0 for free
    place: np.ndarray  # int64: number of the pair, by place in `keys`
    at: np.ndarray  # int64: pair p owns owner[at[p]:at[p + 1]]
    owner: np.ndarray  # int64: skeletons


def rarest_pairs(skeletons: Skeletons, counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """(hash uint64, how often it occurs int64) of each skeleton's rarest pair of neighbours; 0 times where it has
    none."""
    n = len(skeletons.tokens)
    hashes, wanted, times = np.zeros(n, np.uint64), np.zeros(n, np.uint64), np.zeros(n, np.int32)
    _pairs(*skeletons, hashes)
    wanted[:] = hashes
    count_all(n, wanted, counts.pairs, counts.pair_counts, times)
    owner = owners(skeletons.at)
    found = np.flatnonzero((times > 0) & (hashes != 0))  # 0: the end of a run
    by = found[np.lexsort((hashes[found], times[found], owner[found]))]
    by = by[np.diff(owner[by], prepend=-1) > 0]
    best, count = np.zeros(len(skeletons), np.uint64), np.zeros(len(skeletons), np.int64)
    best[owner[by]], count[owner[by]] = hashes[by], times[by]
    return best, count


@leaf
def _pairs(tokens, at, ends, hashes):
    """The pair that starts at each token, 0 at the end of a run."""
    for k in range(len(ends)):
        before = np.int64(0)
        for s in range(3):
            for i in range(at[k] + before, at[k] + ends[k, s] - 1):
                hashes[i] = pair(tokens[i], tokens[i + 1])
            before = ends[k, s]


def places_of(hashes: np.ndarray, owners: np.ndarray) -> Places:
    """Index of pair hashes (uint64, not 0), one for each of `owners`."""
    order = np.argsort(hashes, kind="stable")
    distinct, first = np.unique(hashes[order], return_index=True)
    size = 1 << max(4, (2 * len(distinct)).bit_length())
    keys, place = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    marks = np.zeros(max(size * MARKS // 128, 1), np.uint64)
    _index(distinct, keys, place, marks)
    return Places(marks, keys, place, np.append(first, len(order)), owners[order])


@leaf
def _mark_of(h, marks):
    """Where a pair is marked: by other bits of its hash than its place."""
    bit = (h * _KNUTH) >> np.uint64(20)
    return np.int64((bit >> np.uint64(6)) & np.uint64(len(marks) - 1)), np.uint64(1) << (bit & np.uint64(63))


@leaf
def _index(distinct, keys, place, marks):
    mask = np.uint64(len(keys) - 1)
    for p in range(len(distinct)):
        word, bit = _mark_of(distinct[p], marks)
        marks[word] |= bit
        at = distinct[p] & mask
        while keys[at] != 0:
            at = (at + np.uint64(1)) & mask
        keys[at], place[at] = distinct[p], p


@leaf
def _place(h, keys, place):
    mask = np.uint64(len(keys) - 1)
    at = h & mask
    while keys[at] != 0:
        if keys[at] == h:
            return place[at]
        at = (at + np.uint64(1)) & mask
    return np.int64(-1)


@leaf
def find_runs(caption, tokens, ends):
    """The leftmost place of a skeleton's runs in a caption, packed (`frames.unpack`); 0 where it does not hold them."""
    span, low, before = np.uint64(0), np.int64(0), np.int64(0)
    for s in range(3):
        size = ends[s] - before
        if size == 0:
            break
        found = -1
        for a in range(low, len(caption) - size + 1):
            same = 0
            while same < size and caption[a + same] == tokens[before + same]:
                same += 1
            if same == size:
                found = a
                break
        if found < 0:
            return np.uint64(0)
        low, before = found + size, ends[s]
        span |= np.uint64(found | low << 8) << np.uint64(16 * s)
    return span


@leaf
def _move(owner, text, span, new_owner, new_text, new_span):
    for i in range(len(owner)):
        new_owner[i], new_text[i], new_span[i] = owner[i], text[i], span[i]


@kernel
def _look(tokens, token_at, first, last, marks, keys, place, list_at, owners, sk_tokens, sk_at, sk_ends):
    """Holders among texts first..last-1, in the order of texts."""
    owner, text, span, n = np.empty(1024, np.int64), np.empty(1024, np.uint32), np.empty(1024, np.uint64), 0
    for t in range(first, last):
        a = token_at[t]
        m = min(token_at[t + 1] - a, MAX_TOKENS)
        caption = tokens[a : a + m]
        for i in range(m - 1):
            h = pair(caption[i], caption[i + 1])
            word, bit = _mark_of(h, marks)
            if marks[word] & bit == 0:
                continue
            p = _place(h, keys, place)
            if p < 0:
                continue
            again = False
            for j in range(i):
                again |= caption[j] == caption[i] and caption[j + 1] == caption[i + 1]
            if again:
                continue
            for o in range(list_at[p], list_at[p + 1]):
                k = owners[o]
                found = find_runs(caption, sk_tokens[sk_at[k] : sk_at[k + 1]], sk_ends[k])
                if found == 0:
                    continue
                if n == len(owner):
                    old = owner, text, span
                    owner, text, span = (
                        np.empty(2 * n, np.int64),
                        np.empty(2 * n, np.uint32),
                        np.empty(2 * n, np.uint64),
                    )
                    _move(old[0], old[1], old[2], owner, text, span)
                owner[n], text[n], span[n] = k, t, found
                n += 1
    return owner[:n], text[:n], span[:n]


def holders(
    skeletons: Skeletons, supports: np.ndarray, counts: Counts, streams: Tokens, pool: ThreadPoolExecutor
) -> tuple[Iterator[Entries], np.ndarray]:
    """Every text that holds a skeleton, texts ascending, and of which skeletons that is known (bool): not of those
    whose rarest pair is common, because other templates of the same words would be looked at again and again.

    supports: int64, how many texts hold each at least. Work is linear in their sum, besides one pass over all tokens.
    """
    hashes, times = rarest_pairs(skeletons, counts)
    looked = (times > 0) & (times <= PATIENCE * supports + SLACK)
    places = places_of(hashes[looked], np.flatnonzero(looked))

    def look(part: tuple[int, int]) -> Entries:
        found: Entries = _look(*streams, *part, *places, *skeletons)
        release(*streams)
        return found

    return pool.map(look, blocks(len(streams.token_at) - 1, BLOCK)), looked
