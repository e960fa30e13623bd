"""Which members hold a shingle: lists of members by shingle, those first for which it is one of their rarest.

Two sets with a Jaccard of t share at least one of the n - ceil(t n) + 1 rarest shingles of either (prefix filtering:
Chaudhuri et al., ICDE 2006; Bayardo et al., WWW 2007), so the whole lists of these shingles of a prompt hold all that
is near, unless they are longer than `rules.BUDGET`. A prompt that holds a member and much else is found through the
start of the other lists: the members for which that shingle is one of the rarest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memaudit.check.index import radix
from memaudit.check.rules import RAREST, UNITS, UNSEEN, WORD_BITS
from memaudit.detect.jaccard import MARKS, TABLE, distinct_shingles
from memaudit.jit import kernel, leaf
from memaudit.ragged import offsets_of

if TYPE_CHECKING:
    from memaudit.ragged import Pieces

MOST = 1023  # shingles of a text of MAX_WORDS


@leaf
def find(start, hashes, h):
    """Where a hash stands in a table, -1 where it does not. start: `index.radix`."""
    bits = 8 * hashes.itemsize - _log2(len(start) - 1)
    bucket = np.int64(np.uint64(h) >> np.uint64(bits))
    for p in range(np.int64(start[bucket]), np.int64(start[bucket + 1])):
        if hashes[p] == h:
            return np.int64(p)
    return np.int64(-1)


@leaf
def _log2(n):
    bits = 0
    while n > 1:
        n >>= 1
        bits += 1
    return bits


@leaf
def rare_places(times, n, share, places):
    """How many of times[:n] are rarest enough to be in the prefix; `places` becomes their order, the rarest first."""
    for i in range(1, n):
        own, at = places[i], i
        while at and (
            times[places[at - 1]] > times[own] or (times[places[at - 1]] == times[own] and places[at - 1] > own)
        ):
            places[at] = places[at - 1]
            at -= 1
        places[at] = own
    return min(n, n - np.int64(np.ceil(share * n - 1e-9)) + 1)


@kernel
def _collect(words, word_at, lengths, out):
    """The distinct shingles of all members, one after the other; returns how many."""
    marks, table, n = np.zeros(MARKS, np.uint64), np.zeros(TABLE, np.uint16), np.int64(0)
    for m in range(len(word_at) - 1):
        lengths[m] = 0
        if word_at[m + 1] > word_at[m]:
            lengths[m] = distinct_shingles(words, word_at[m], word_at[m + 1], out, n, marks, table)
        n += lengths[m]
    return n


@kernel
def _post(shingles, at, start, hashes, list_at, share, fill, mid, out):
    """Write each member behind each of its shingles: first those of prefixes, in a second pass the others."""
    places, times, entry = np.zeros(MOST, np.int64), np.zeros(MOST, np.int64), np.zeros(MOST, np.int64)
    for prefix in range(2):
        for m in range(len(at) - 1):
            n = at[m + 1] - at[m]
            if n == 0:
                continue
            for k in range(n):
                p = find(start, hashes, shingles[at[m] + k])
                places[k], entry[k], times[k] = k, p, list_at[p + 1] - list_at[p]
            rare = rare_places(times, n, share, places)
            low, high = (0, rare) if prefix == 0 else (rare, n)
            for i in range(low, high):
                p = entry[places[i]]
                out[list_at[p] + fill[p]] = m
                fill[p] += 1
        if prefix == 0:
            for p in range(len(fill)):
                mid[p] = list_at[p] + fill[p]


@leaf
def mark(word):
    """The bit that stands for a word."""
    return np.uint64(1) << np.uint64((word >> np.uint32(9)) & np.uint32(63))


@kernel
def _add_up(words, word_at, start, hashes, weight, table, bits, marks):
    """Information and marks of every member's distinct words."""
    own = np.zeros(MOST, np.uint32)
    for m in range(len(bits)):
        low, high = word_at[m], word_at[m + 1]
        if low == high:
            continue
        n = distinct_words(words, low, high, own, table)
        for k in range(n):
            bits[m] += weight[find(start, hashes, own[k])]
            marks[m] |= mark(own[k])


@leaf
def distinct_words(words, low, high, out, table):
    """Write the distinct words of words[low:high] to `out`; returns how many. table: uint16, scratch."""
    size = 32
    while size < 4 * (high - low):
        size *= 2
    table[:size] = 0
    n = 0
    for k in range(low, high):
        place = np.int64(words[k]) & (size - 1)
        while table[place] and out[table[place] - 1] != words[k]:
            place = (place + 1) & (size - 1)
        if table[place] == 0:
            out[n] = words[k]
            n += 1
            table[place] = n
    return n


def posted(words: Pieces) -> tuple[np.ndarray, ...]:
    """(set, set_at, start, hash, at, mid, list, weight, unknown, bits, marks) of `Index` over the words of members."""
    n = len(words)
    room = int(np.maximum(2 * np.diff(words.at) - 1, 0).sum())
    shingles, lengths = np.empty(room, np.uint32), np.zeros(n, np.int64)
    total = int(_collect(words.values, words.at, lengths, shingles))
    shingles, set_at = shingles[:total], offsets_of(lengths)
    hashes, counts = np.unique(shingles, return_counts=True)
    list_at, start = offsets_of(counts), radix(hashes)
    mid, out = np.zeros(len(hashes), np.int64), np.empty(total, np.uint32)
    _post(shingles, set_at, start, hashes, list_at, 1.0 - RAREST, np.zeros(len(hashes), np.int64), mid, out)
    weight, unknown = _weights(counts, n), _weights(np.zeros(1, np.int64), n)
    bits, marks = np.zeros(n, np.uint32), np.zeros(n, np.uint64)
    _add_up(words.values, words.at, start, hashes, weight, np.zeros(TABLE, np.uint16), bits, marks)
    return shingles, set_at, start, hashes, list_at, mid, out, weight, unknown, bits, marks


def _weights(times: np.ndarray, n: int) -> np.ndarray:
    """Information of words that so many of n members hold, uint8 in 1 / UNITS bits."""
    bits = np.log2((n + UNSEEN) / (times + 1))
    return np.rint(UNITS * np.minimum(bits, WORD_BITS)).astype(np.uint8)
