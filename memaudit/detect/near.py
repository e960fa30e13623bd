"""Near duplicates: MinHash bands propose, true Jaccard decides, components are cut where they drift.

Shingles are the set of word unigrams and bigrams. 24 bands of 5 rows propose candidate pairs (pair recall .998 at
Jaccard >= .7 in the design's measurement); a bucket of m texts proposes about 2m edges, never all pairs; every edge is
checked before it counts. Results do not depend on threads or on the order of texts: whatever breaks a tie is the
content.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from memaudit.detect.components import find, flatten, unite
from memaudit.detect.minhash import permutations, shingles, sign
from memaudit.text.hashing import mix64

if TYPE_CHECKING:
    from collections.abc import Callable

BANDS, ROWS = 24, 5
SEED = 1
MIN_WORDS = 3  # of one or two words, one changed word is another caption
SKETCH_WORDS = 2  # uint64 per text: one bit of each of the 120 minima
SKETCH_SIGMAS = 4.0  # how far below its expectation a sketch may lie before a candidate is dropped unchecked
BLOCK = 1 << 16  # texts signed at a time by one thread
PARTITION = 1 << 20  # band entries sorted at a time: 8 MB

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")


class Streams(NamedTuple):
    """Words of all unique texts: text i owns words[word_at[i]:word_at[i + 1]]; keys break ties. May be memory maps."""

    words: np.ndarray  # uint32
    word_at: np.ndarray  # int64 (n + 1,)
    key_lo: np.ndarray  # uint64 (n,)
    key_hi: np.ndarray


class Edges(NamedTuple):
    """Checked pairs: Jaccard of left[k] and right[k] is similarity[k], at or above the threshold."""

    left: np.ndarray  # uint32
    right: np.ndarray
    similarity: np.ndarray  # float32


@_jit
def _sign_block(words, word_at, first, last, a, b, keys, sketch):
    """Band keys (bands, texts) and sketches of texts first..last-1; key 0 marks a text that is too short."""
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
            sketch[i, half] = bits


@_jit
def _popcount(x):
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@_jit
def _sorted_set(words, out):
    """Distinct shingles of these words, ascending, into `out`; returns how many."""
    n = shingles(words, out)
    if n > 64:
        out[:n] = np.sort(out[:n])
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
def _check(i, j, words, word_at, sketch, parent, threshold, most_bits, buffers):
    """Jaccard of a candidate pair, or -1 where it is known without looking that it cannot or need not count."""
    if find(parent, i) == find(parent, j):
        return -1.0
    n, m = 2 * (word_at[i + 1] - word_at[i]) - 1, 2 * (word_at[j + 1] - word_at[j]) - 1
    differing = _popcount(sketch[i, 0] ^ sketch[j, 0]) + _popcount(sketch[i, 1] ^ sketch[j, 1])
    if differing > most_bits or (n < 64 and m < 64 and (n < threshold * m * 0.5 or m < threshold * n * 0.5)):
        return -1.0
    return jaccard(words, word_at, i, j, buffers)


@_jit
def _edges_of_band(
    entries, words, word_at, key_lo, key_hi, sketch, parent, threshold, most_bits, left, right, similarity
):
    """Check the candidates of one sorted partition (entry = key << 32 | text). Returns how many edges were written.

    A bucket proposes a star around its smallest key and a chain in the order of the other key; a star alone loses the
    pairs whose hub fails the check.
    """
    buffers = np.empty((2, 1024), np.uint32)
    n_edges, first = 0, 0
    while first < len(entries):
        last = first + 1
        while last < len(entries) and entries[last] >> np.uint64(32) == entries[first] >> np.uint64(32):
            last += 1
        size = last - first
        if size == 1:
            first = last
            continue
        members = np.empty(size, np.uint32)
        for k in range(size):
            members[k] = np.uint32(entries[first + k] & np.uint64(0xFFFFFFFF))
        hub = members[0]
        for t in members:
            if key_lo[t] < key_lo[hub]:
                hub = t
        if size > 2:
            order = np.empty(size, np.uint64)
            for k in range(size):
                order[k] = key_hi[members[k]]
            members = members[np.argsort(order)]
        for k in range(size):
            if members[k] != hub:
                s = _check(hub, members[k], words, word_at, sketch, parent, threshold, most_bits, buffers)
                if s >= threshold:
                    left[n_edges], right[n_edges], similarity[n_edges] = hub, members[k], s
                    n_edges += 1
            if k and size > 2 and members[k] != hub and members[k - 1] != hub:
                s = _check(members[k - 1], members[k], words, word_at, sketch, parent, threshold, most_bits, buffers)
                if s >= threshold:
                    left[n_edges], right[n_edges], similarity[n_edges] = members[k - 1], members[k], s
                    n_edges += 1
        first = last
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
    streams: Streams, keys: np.ndarray, sketch: np.ndarray, pool: ThreadPoolExecutor, advance: Callable[[int], None]
) -> None:
    """Fill `keys` (uint64 (BANDS, n)) and `sketch` (uint64 (n, SKETCH_WORDS)); signatures themselves are not kept."""
    a, b = permutations(BANDS * ROWS, SEED)
    n = len(streams.word_at) - 1

    def block(first: int) -> int:
        last = min(first + BLOCK, n)
        part = np.empty((BANDS, last - first), np.uint64)
        _sign_block(streams.words, streams.word_at, first, last, a, b, part, sketch)
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
    a text; 8 * BANDS + 16 bytes a text of scratch and 16 bytes a text of memory.
    """
    n = len(streams.word_at) - 1
    keys, sketch = allocate("bands", (BANDS, n), "u8"), allocate("sketches", (n, SKETCH_WORDS), "u8")
    parent = np.arange(n, dtype=np.uint32)
    expected = 60 * SKETCH_WORDS * (1 - threshold) / 2
    most_bits = int(expected + SKETCH_SIGMAS * max(expected * (1 + threshold) / 2, 1.0) ** 0.5)
    part_bits = max(0, (n // PARTITION).bit_length()) + 1
    entries, bounds = np.empty(n, np.uint64), np.empty((1 << part_bits) + 1, np.int64)
    found: list[Edges] = []

    def partition(p: int) -> Edges:
        own = entries[bounds[p] : bounds[p + 1]]
        own.sort()
        out = Edges(*(np.empty(2 * len(own), t) for t in (np.uint32, np.uint32, np.float32)))
        m = _edges_of_band(own, *streams, sketch, parent, threshold, most_bits, *out)
        return Edges(*(column[:m].copy() for column in out))

    with ThreadPoolExecutor(threads) as pool:
        sign_texts(streams, keys, sketch, pool, advance)
        for band in range(BANDS):
            _scatter(keys[band], 1 << part_bits, np.uint64(64 - part_bits), entries, bounds)
            edges = list(
                pool.map(partition, range(1 << part_bits))
            )  # `parent` is only read here, so threads do not matter
            for e in edges:
                unite(parent, e.left, e.right)
            found += [e for e in edges if len(e.left)]
            advance(n)
    flatten(parent)
    joined = (
        (np.concatenate(c) for c in zip(*found, strict=True)) if found else (np.empty(0, t) for t in ("u4", "u4", "f4"))
    )
    return Edges(*joined), parent
