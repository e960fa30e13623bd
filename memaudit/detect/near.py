"""Near duplicates: MinHash bands propose, true Jaccard decides, components are cut where they drift.

Shingles are the set of word unigrams and bigrams. 24 bands of 5 rows propose candidate pairs (pair recall .998 at
Jaccard >= .7 in the design's measurement); a bucket of m texts proposes about 2m edges, never all pairs; every edge is
checked before it counts. Results do not depend on threads or on the order of texts: whatever breaks a tie is the
content.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from memaudit.detect.components import flatten, unite
from memaudit.detect.minhash import permutations, shingles, sign
from memaudit.detect.ordering import shell_sort
from memaudit.text.hashing import mix64, popcount

if TYPE_CHECKING:
    from collections.abc import Callable

BANDS, ROWS = 24, 5
SEED = 1
MIN_WORDS = 3  # of one or two words, one changed word is another caption
SKETCH_WORDS = 2  # uint64 per text: one bit of each of the 120 minima
FACTS = SKETCH_WORDS + 2  # and its key, and where its words are: half a cache line, so that a check misses once a text
SKETCH_SIGMAS = 4.0  # how far below its expectation a sketch may lie before a candidate is dropped unchecked
BLOCK = 1 << 16  # texts signed at a time by one thread
PARTITION = 1 << 20  # band entries sorted at a time: 8 MB
SMALL_BUCKET = 32  # ordered without allocating
ROUND = 4  # bands checked before their edges join components; a divisor of BANDS

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")


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


@_jit
def _sign_block(words, word_at, key_lo, first, last, a, b, keys, facts):
    """Band keys (bands, texts) and facts of texts first..last-1; key 0 marks a text that is too short."""
    longest = 1
    for i in range(first, last):
        longest = max(longest, word_at[i + 1] - word_at[i])
    buffer = np.empty(2 * longest, np.uint32)
    signature = np.empty(BANDS * ROWS, np.uint32)
    for i in range(first, last):
        n = word_at[i + 1] - word_at[i]
        if n < MIN_WORDS:
            keys[:, i - first] = 0
            continue
        m = shingles(words[word_at[i] : word_at[i + 1]], buffer)
        sign(buffer[:m], a, b, signature)
        for band in range(BANDS):
            key = np.uint64(band + 1)
            for r in range(ROWS):
                key = mix64(key ^ np.uint64(signature[band * ROWS + r]))
            keys[band, i - first] = key | np.uint64(1)
        for half in range(SKETCH_WORDS):
            bits = np.uint64(0)
            for p in range(half * 60, half * 60 + 60):
                bits = (bits << np.uint64(1)) | np.uint64(signature[p] & np.uint32(1))
            facts[i, half] = bits
        facts[i, 2] = key_lo[i]
        facts[i, 3] = np.uint64(word_at[i] << 10 | n)


@_jit
def _sorted_set(words, out):
    """Distinct shingles of these words, ascending, into `out`; returns how many."""
    n = shingles(words, out)
    if n > 64:
        shell_sort(out[:n])
    else:
        for i in range(1, n):
            v, j = out[i], i
            while j > 0 and out[j - 1] > v:
                out[j] = out[j - 1]
                j -= 1
            out[j] = v
    m = 0
    for i in range(n):
        if m == 0 or out[i] != out[m - 1]:
            out[m] = out[i]
            m += 1
    return m


@_jit
def _jaccard_sorted(x, n, y, m):
    i, j, both = 0, 0, 0
    while i < n and j < m:
        if x[i] == y[j]:
            both += 1
            i += 1
            j += 1
        elif x[i] < y[j]:
            i += 1
        else:
            j += 1
    return both / (n + m - both) if n + m else 0.0


@_jit
def jaccard(words, word_at, i, j, buffers):
    """True Jaccard of the shingle sets of texts i and j. buffers: uint32 (2, 2 * longest)."""
    n = _sorted_set(words[word_at[i] : word_at[i + 1]], buffers[0])
    m = _sorted_set(words[word_at[j] : word_at[j + 1]], buffers[1])
    return _jaccard_sorted(buffers[0], n, buffers[1], m)


@_jit
def _check(i, j, words, facts, label, most_bits, buffers):
    """Jaccard of a candidate pair, or -1 where it is known without looking that it cannot or need not count."""
    if label[i] == label[j]:
        return -1.0
    differing = popcount(facts[i, 0] ^ facts[j, 0]) + popcount(facts[i, 1] ^ facts[j, 1])
    if differing > most_bits:
        return -1.0
    a, b = np.int64(facts[i, 3] >> np.uint64(10)), np.int64(facts[j, 3] >> np.uint64(10))
    n, m = np.int64(facts[i, 3] & np.uint64(1023)), np.int64(facts[j, 3] & np.uint64(1023))
    x = _sorted_set(words[a : a + n], buffers[0])
    y = _sorted_set(words[b : b + m], buffers[1])
    return _jaccard_sorted(buffers[0], x, buffers[1], y)


@_jit
def _order_bucket(members, facts):
    """Sort a bucket by a second hash of the keys; returns the text with the smallest key, the hub. Content decides."""
    size = len(members)
    if size <= SMALL_BUCKET:
        for k in range(1, size):
            t, i = members[k], k
            while i > 0 and mix64(facts[members[i - 1], 2]) > mix64(facts[t, 2]):
                members[i] = members[i - 1]
                i -= 1
            members[i] = t
    else:
        high, low = np.uint64(0xFFFFFFFF00000000), np.uint64(0xFFFFFFFF)
        order, before = np.empty(size, np.uint64), members.copy()
        for k in range(size):
            order[k] = (mix64(facts[members[k], 2]) & high) | np.uint64(k)
        shell_sort(order)
        for k in range(size):
            members[k] = before[order[k] & low]
    hub = members[0]
    for t in members:
        if facts[t, 2] < facts[hub, 2]:
            hub = t
    return hub


@_jit
def _edges_of_band(entries, words, facts, label, threshold, most_bits, left, right, similarity):
    """Check the candidates of one sorted partition (entry = key << 32 | text). Returns how many edges were written.

    A bucket proposes a star around its smallest key and a chain in the order of another hash; a star alone loses the
    pairs whose hub fails the check.
    """
    buffers, small = np.empty((2, 1024), np.uint32), np.empty(SMALL_BUCKET, np.uint32)
    n_edges, first, low = 0, 0, np.uint64(0xFFFFFFFF)
    while first < len(entries):
        last, key = first + 1, entries[first] >> np.uint64(32)
        while last < len(entries) and entries[last] >> np.uint64(32) == key:
            last += 1
        size = last - first
        if size == 1:
            first = last
            continue
        members = small[:size] if size <= SMALL_BUCKET else np.empty(size, np.uint32)
        for k in range(size):
            members[k] = np.uint32(entries[first + k] & low)
        joined = True
        for k in range(1, size):
            joined = joined and label[members[k]] == label[members[0]]
        first = last
        if joined:  # most buckets of the later bands: known without touching a text
            continue
        hub = _order_bucket(members, facts)
        for k in range(size):
            if members[k] == hub:
                continue
            for chain in range(2):
                other = members[k - 1] if chain else hub
                if chain and (k == 0 or other == hub):
                    continue
                s = _check(other, members[k], words, facts, label, most_bits, buffers)
                if s >= threshold:
                    left[n_edges], right[n_edges], similarity[n_edges] = other, members[k], s
                    n_edges += 1
    return n_edges


@_jit
def _scatter(keys, n_parts, shift, entries, bounds):
    """Entries (low key bits << 32 | text) of one band grouped by the key's top bits; bounds: int64 (n_parts + 1,)."""
    bounds[:] = 0
    for key in keys:
        if key:
            bounds[(key >> shift) + np.uint64(1)] += 1
    for p in range(n_parts):
        bounds[p + 1] += bounds[p]
    at = bounds[:n_parts].copy()
    for i in range(len(keys)):
        if keys[i]:
            p = keys[i] >> shift
            entries[at[p]] = (keys[i] << np.uint64(32)) | np.uint64(i)
            at[p] += 1


def sign_texts(
    streams: Streams, keys: np.ndarray, facts: np.ndarray, pool: ThreadPoolExecutor, advance: Callable[[int], None]
) -> None:
    """Fill `keys` (uint64 (BANDS, n)) and `facts` (uint64 (n, FACTS)); signatures themselves are not kept."""
    a, b = permutations(BANDS * ROWS, SEED)
    n = len(streams.word_at) - 1

    def block(first: int) -> int:
        last = min(first + BLOCK, n)
        part = np.empty((BANDS, last - first), np.uint64)
        _sign_block(streams.words, streams.word_at, streams.key_lo, first, last, a, b, part, facts)
        keys[:, first:last] = part
        return last - first

    for done in pool.map(block, range(0, n, BLOCK)):
        advance(done)


def near_edges(
    streams: Streams,
    threshold: float,
    threads: int,
    allocate: Callable[[str, tuple[int, ...], str], np.ndarray],
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[Edges, np.ndarray]:
    """Checked edges between near duplicates, and the component label (uint32) of every text.

    threshold: Jaccard in (0, 1]. allocate(name, shape, dtype) makes scratch space: in memory, or a file where that is
    too small. advance: called with texts signed, then with texts per band, (1 + BANDS) * n in all. Cost: about 1.5 us
    a text; 8 * (BANDS + FACTS) bytes a text of scratch and 8 * ROUND + 4 bytes a text of memory.
    """
    n = len(streams.word_at) - 1
    keys, facts = allocate("bands", (BANDS, n), "u8"), allocate("facts", (n, FACTS), "u8")
    parent = np.arange(n, dtype=np.uint32)
    expected = 60 * SKETCH_WORDS * (1 - threshold) / 2
    most_bits = int(expected + SKETCH_SIGMAS * max(expected * (1 + threshold) / 2, 1.0) ** 0.5)
    part_bits = max(0, (n // PARTITION).bit_length()) + 1
    shape = (1 << part_bits) + 1
    rounds = [(np.empty(n, np.uint64), np.empty(shape, np.int64)) for _ in range(ROUND)]
    found: list[Edges] = []

    def scatter(band: int) -> None:
        entries, bounds = rounds[band % ROUND]
        _scatter(keys[band], 1 << part_bits, np.uint64(64 - part_bits), entries, bounds)

    def check(job: tuple[int, int]) -> Edges:
        (entries, bounds), p = rounds[job[0] % ROUND], job[1]
        own = entries[bounds[p] : bounds[p + 1]]
        own.sort()
        out = Edges(*(np.empty(2 * len(own), t) for t in (np.uint32, np.uint32, np.float32)))
        m = _edges_of_band(own, streams.words, facts, parent, threshold, most_bits, *out)
        return Edges(*(column[:m].copy() for column in out))

    with ThreadPoolExecutor(threads) as pool:
        sign_texts(streams, keys, facts, pool, advance)
        for first in range(0, BANDS, ROUND):
            bands = range(first, first + ROUND)
            list(pool.map(scatter, bands))
            # labels are only read while a round is checked, so neither threads nor the order of parts matter
            edges = list(pool.map(check, itertools.product(bands, range(1 << part_bits))))
            for e in edges:
                unite(parent, e.left, e.right)
            flatten(parent)
            found += [e for e in edges if len(e.left)]
            advance(ROUND * n)
    return _distinct(found), parent


def _distinct(found: list[Edges]) -> Edges:
    """Each edge once, left < right, in ascending order: bands of one round find the same pairs."""
    if not found:
        return Edges(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.float32))
    left, right, similarity = (np.concatenate(c) for c in zip(*found, strict=True))
    packed = np.minimum(left, right).astype(np.uint64) << np.uint64(32) | np.maximum(left, right)
    packed, first = np.unique(packed, return_index=True)
    return Edges((packed >> np.uint64(32)).astype(np.uint32), packed.astype(np.uint32), similarity[first])
