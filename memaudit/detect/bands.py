"""Band entries: for every text and band a key and the text's number, grouped by key so that a group fits the cache.

Nothing is kept between passes but the texts themselves: a pass signs all texts again for the bands it holds, which is
cheaper than what all 24 bands would take in memory. An entry is six bytes: 32 bits of its key and the text's place in
its block of 65,536. Every block groups its own entries by other bits of the key, into partitions; partition p of a band
is made of the p-th slices of all blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect.minhash import hash_words, permutations, sign
from memaudit.jit import leaf
from memaudit.ragged import blocks
from memaudit.scratch import release

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

BANDS, ROWS = 24, 5
SEED = 1
MIN_WORDS = 3  # of one or two words, one changed word is another caption
BLOCK = 1 << 16  # texts signed at a time by one thread; their places fit 16 bits
PART = 1 << 10  # texts whose words are hashed at a time: they stay in the cache
PARTITION = (
    1 << 16
)  # entries of a partition, about; decides with the number of texts alone how many partitions there are
PARTITION_BITS = 10  # at most: of many texts slices would become too short
LANES = 8  # 32-bit lanes of a vector; permutations of a pass are padded to it
LINE = 16  # uint32 values in a line of the cache
SWEEP = 64 << 20  # bytes of mapped words that may stay resident while they are swept
ENTRY_BYTES = 6  # of a text in a band
KEY = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1], np.uint32)  # odd: the primes of xxHash32
GROUP = np.array([0xA24BAED5, 0x9FB21C65], np.uint32)  # odd, unrelated to KEY


class Pass(NamedTuple):
    """Entries of some bands. Band first + k owns row k; block j of it texts j * BLOCK to (j + 1) * BLOCK - 1."""

    first: int
    keys: np.ndarray  # uint32 (bands, n)
    places: np.ndarray  # uint16 (bands, n): the text's number within its block
    bounds: np.ndarray  # uint32 (bands, blocks, partitions + 1): where a block's slices lie in its row


def empty_pass(n: int, bands: int) -> Pass:
    """Room for so many bands of n texts, to be used for one pass after the other."""
    blocks_of_texts, parts = -(-n // BLOCK), 1 << partition_bits(n)
    return Pass(
        0,
        np.empty((bands, n), np.uint32),
        np.empty((bands, n), np.uint16),
        np.empty((bands, blocks_of_texts, parts + 1), np.uint32),
    )


def partition_bits(n: int) -> int:
    """log2 of the number of partitions, from the number of texts alone: it is part of what makes two keys equal."""
    return min((n // PARTITION).bit_length(), PARTITION_BITS)


@leaf
def _sign_block(words, word_at, first, last, a, b, signature, rows, hashes, keys, groups, places):
    """Keys and group bits (uint32 (bands, texts)) of texts first..last-1 that are long enough; returns how many.

    rows: `signature` (uint32, len(a)) without its padding, as (ROWS, bands). hashes: uint32 (2, words of PART texts).
    """
    bands, n = rows.shape[1], 0
    for part in range(first, last, PART):
        end, base = min(part + PART, last), word_at[part]
        hash_words(words, base, word_at[end], hashes)
        for i in range(part, end):
            s, e = word_at[i] - base, word_at[i + 1] - base
            if e - s < MIN_WORDS:
                continue
            hashes[1, e - 1] = hashes[0, e - 1]  # no pair starts at the last word
            sign(hashes, s, e, a, b, signature)
            for k in range(bands):
                v, w, x, y, z = rows[0, k], rows[1, k], rows[2, k], rows[3, k], rows[4, k]
                keys[k, n] = v * KEY[0] + w * KEY[1] + x * KEY[2] + y * KEY[3] + z * KEY[4]
                groups[k, n] = v * GROUP[0] + w * GROUP[1]
            places[n] = i - first
            n += 1
    return n


@leaf
def _group(keys, groups, places, base, part_bits, at, out_keys, out_places, bounds):
    """Write the entries of one block and band to out_*[base:], grouped by the top bits of `groups`.

    at: uint32 (partitions + 1,), zeros.
    """
    bits, high = np.uint64(part_bits), np.uint64(32)
    for g in groups:
        at[(np.uint64(g) << bits) >> high] += np.uint32(1)
    total = np.uint32(base)
    for p in range(len(bounds)):
        bounds[p] = total
        total = np.uint32(total + at[p])
        at[p] = bounds[p]
    for i in range(len(groups)):
        g = (np.uint64(groups[i]) << bits) >> high
        out_keys[at[g]], out_places[at[g]] = keys[i], places[i]
        at[g] += np.uint32(1)


def _permutations_of(bands: range) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of these bands, by row, then band, padded to whole vectors."""
    a, b = permutations(BANDS * ROWS, SEED)
    wanted = np.array([band * ROWS + r for r in range(ROWS) for band in bands])
    padding = -len(wanted) % LANES
    return np.pad(a[wanted], (0, padding), constant_values=1), np.pad(b[wanted], (0, padding))


def sign_bands(
    words: np.ndarray,
    word_at: np.ndarray,
    bands: range,
    room: Pass,
    pool: ThreadPoolExecutor,
    advance: Callable[[int], None],
) -> Pass:
    """Entries of these bands for all texts, in `room`. words: uint32, word_at: int64 (n + 1,), may be memory maps.

    What is resident of a map stays about SWEEP bytes. advance: texts times bands.
    """
    n, part_bits = len(word_at) - 1, partition_bits(len(word_at) - 1)
    a, b = _permutations_of(bands)
    cuts = blocks(n, BLOCK)
    out = room._replace(first=bands.start)
    plain_words, plain_at = read_only(words), read_only(word_at)

    def block(number: int) -> int:
        first, last = cuts[number]
        signature = np.empty(len(a), np.uint32)
        rows = signature[: ROWS * len(bands)].reshape(ROWS, len(bands))
        hashes = np.empty((2, np.diff(word_at[first:last:PART], append=word_at[last]).max()), np.uint32)
        # rows are not a power of two apart, or all would compete for the same lines of the cache
        keys, groups = (np.empty((len(bands), last - first + 3 * LINE), np.uint32) for _ in range(2))
        places = np.empty(last - first, np.uint16)
        m = _sign_block(plain_words, plain_at, first, last, a, b, signature, rows, hashes, keys, groups, places)
        for k in range(len(bands)):
            at = np.zeros((1 << part_bits) + 1, np.uint32)
            target = out.keys[k], out.places[k], out.bounds[k, number]
            _group(keys[k, :m], groups[k, :m], places[:m], first, part_bits, at, *target)
        return last - first

    swept = 0
    for number, done in enumerate(pool.map(block, range(len(cuts)))):
        swept += int(word_at[cuts[number][1]] - word_at[cuts[number][0]]) * words.itemsize + done * word_at.itemsize
        if swept > SWEEP:
            release(words, word_at)
            swept = 0
        advance(done * len(bands))
    release(words, word_at)
    return out


def read_only(array: np.ndarray) -> np.ndarray:
    """The same values as a plain read-only array, so that maps and memory are one type to the kernels."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
