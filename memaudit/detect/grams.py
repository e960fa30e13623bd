"""Word n-grams (n = 1..4) of unique captions, counted in fixed memory, and the information of single tokens.

Counts are hashed and saturate. The tables are larger than the cache, so a block's n-grams are first grouped by the
part of the table that they touch: random increments cost ten times as much.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from memaudit.text import alphabet as abc
from memaudit.text.hashing import popcount

MAX_TOKENS = 64  # of longer captions only the start is mined
LOWEST = 3  # counts below are of no interest
UNSEEN = 100  # captions that the dataset might have held: words of a tiny set carry information too
SHAPE_BITS, SEPARATOR_BITS = 4.0, 1.5  # what a shape or a separator is worth at most
END_BITS = 0.05  # so that of two frames with the same words the one bound to an end is preferred

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")
_FIRST_WORD, _SEPARATOR_TOKEN, _START, _END = abc.FIRST_WORD, abc.SEPARATOR_TOKEN, abc.START, abc.END
_SEED = np.uint64(0x51ED270B27B4F3CF)
_ROLL = np.uint64(0x9E3779B97F4A7C15)
_SLOT = np.uint64(0xA0761D6478BD642F)


class Tables(NamedTuple):
    """Occurrences while they are counted, in fixed memory: hashed; a collision over-counts, never under-counts."""

    words: np.ndarray  # uint32 (2^k,), by the token's low bits
    grams: np.ndarray  # uint16 (3, 2^m), saturating: of two, three and four tokens


class Counts(NamedTuple):
    """What is left of the tables: counts that reach `LOWEST`, in a form that stays in the cache where they do not.

    Slot s of row r is frequent when bit s % 64 of frequent[r, s // 64] is set; its count is then kept[before[r, s //
    64] + the number of bits set below]. About 3 bits a slot and 2 bytes a frequent n-gram.
    """

    words: np.ndarray  # uint32 (2^k,)
    bits: np.ndarray  # float32 (2^k,): -log2 of the share of texts that hold the word
    frequent: np.ndarray  # uint64 (3, 2^m / 64)
    before: np.ndarray  # uint32 (3, 2^m / 64)
    kept: np.ndarray  # uint16


def empty_tables(n_tokens: int) -> Tables:
    """Zeroed tables for so many tokens: one to two slots a token for n-grams (up to 2^27), an eighth of that for
    words."""
    size = min(max(16, (3 * n_tokens // 2).bit_length()), 27)
    words = min(max(16, size - 3), 24)
    return Tables(np.zeros(1 << words, np.uint32), np.zeros((3, 1 << size), np.uint16))


def seal(tables: Tables, n_texts: int) -> Counts:
    """Counts of finished tables. n_texts: of the dataset, `UNSEEN` included."""
    slots = tables.grams.shape[1] >> 6
    frequent, before = np.zeros((3, slots), np.uint64), np.zeros((3, slots), np.uint32)
    kept = np.zeros(_mark_frequent(tables.grams, frequent, before), np.uint16)
    _keep_frequent(tables.grams, frequent, before, kept)
    bits = np.log2(n_texts / np.maximum(tables.words, 1), dtype=np.float32)
    length = float(tables.words.sum()) / n_texts
    for end in (_START, _END):  # every caption has one, but only one of its words stands beside it
        bits[end & (len(bits) - 1)] = np.log2(max(length, 1.0))
    return Counts(tables.words, np.maximum(bits, 0), frequent, before, kept)


@_jit
def _mark_frequent(grams, frequent, before):
    n = 0
    for row in range(3):
        for w in range(frequent.shape[1]):
            before[row, w] = n
            word = np.uint64(0)
            for b in range(64):
                if grams[row, (w << 6) + b] >= LOWEST:
                    word |= np.uint64(1) << np.uint64(b)
                    n += 1
            frequent[row, w] = word
    return n


@_jit
def _keep_frequent(grams, frequent, before, kept):
    for row in range(3):
        for w in range(frequent.shape[1]):
            at = before[row, w]
            if frequent[row, w]:
                for b in range(64):
                    if grams[row, (w << 6) + b] >= LOWEST:
                        kept[at] = grams[row, (w << 6) + b]
                        at += np.uint32(1)


@_jit
def pair(first, second):
    """64-bit hash of two tokens in order; `longer` extends it."""
    h = (_SEED ^ np.uint64(first)) * _ROLL
    h = (h ^ (h >> np.uint64(32)) ^ np.uint64(second)) * _SLOT
    return h ^ (h >> np.uint64(29))


@_jit
def longer(gram, token):
    h = (gram ^ np.uint64(token)) * _ROLL
    return h ^ (h >> np.uint64(31))


@_jit
def _grams_of(tokens, token_at, out):
    """Hashes of all pairs, triples and quads of some texts into the rows of `out`; returns how many of each."""
    n = np.zeros(3, np.int64)
    for t in range(len(token_at) - 1):
        first, last = token_at[t], min(token_at[t + 1], token_at[t] + MAX_TOKENS)
        for i in range(first, last - 1):
            gram = pair(tokens[i], tokens[i + 1])
            out[0, n[0]] = gram
            n[0] += 1
            if i + 2 < last:
                gram = longer(gram, tokens[i + 2])
                out[1, n[1]] = gram
                n[1] += 1
                if i + 3 < last:
                    out[2, n[2]] = longer(gram, tokens[i + 3])
                    n[2] += 1
    return n


@_jit
def _group_by_part(hashes, shift, mask, grouped, bounds):
    """Table slots of the hashes, grouped by the slot's high bits: each group touches one part of the table."""
    bounds[:] = 0
    for h in hashes:
        bounds[((h & mask) >> shift) + np.uint64(1)] += 1
    for p in range(len(bounds) - 1):
        bounds[p + 1] += bounds[p]
    at = bounds[:-1].copy()
    for h in hashes:
        slot = h & mask
        grouped[at[slot >> shift]] = slot
        at[slot >> shift] += 1


@_jit
def count_words(tokens, token_at, words):
    """Count single tokens."""
    mask = np.uint32(len(words) - 1)
    for t in range(len(token_at) - 1):
        for i in range(token_at[t], min(token_at[t + 1], token_at[t] + MAX_TOKENS)):
            words[tokens[i] & mask] += np.uint32(1)


@_jit
def slots_of_block(tokens, token_at, size, part_bits):
    """(slots uint32 (3, m), bounds int64 (3, parts + 1)): table slots of a block's n-grams, grouped by part of the
    table.

    Random increments of a table larger than the cache cost 50 to 100 ns each; grouped first they cost a tenth.
    """
    m = token_at[-1] - token_at[0]
    hashes = np.empty((3, m), np.uint64)
    slots, bounds = np.empty((3, m), np.uint32), np.zeros((3, (1 << part_bits) + 1), np.int64)
    n = _grams_of(tokens, token_at - token_at[0], hashes)
    for row in range(3):
        _group_by_part(
            hashes[row, : n[row]], np.uint64(size - part_bits), np.uint64((1 << size) - 1), slots[row], bounds[row]
        )
    return slots, bounds


@_jit
def count_slots(slots, bounds, first_part, last_part, grams):
    """Count the slots of parts first_part..last_part-1. Each thread owns some parts, so counts do not depend on
    threads."""
    for row in range(3):
        for k in range(bounds[row, first_part], bounds[row, last_part]):
            if grams[row, slots[row, k]] < 65535:
                grams[row, slots[row, k]] += np.uint16(1)


@_jit
def count_of(counts, row, gram):
    """Count of an n-gram, 0 where it is below the lowest level."""
    at = gram & np.uint64((counts.frequent.shape[1] << 6) - 1)
    word, bit = counts.frequent[row, at >> np.uint64(6)], np.uint64(1) << (at & np.uint64(63))
    if word & bit:
        return np.int64(counts.kept[counts.before[row, at >> np.uint64(6)] + popcount(word & (bit - np.uint64(1)))])
    return 0


@_jit
def capped(token, bits):
    """Information of a token from its raw bits: capped for shapes and separators, hardly any for the ends."""
    if token >= _FIRST_WORD:
        return bits
    if token in (_START, _END):
        return END_BITS
    return min(bits, SHAPE_BITS if token < _SEPARATOR_TOKEN else SEPARATOR_BITS)


@_jit
def token_bits(token, bits):
    """Information of a token: -log2 of the share of texts that hold it, capped as a frame counts it. bits:
    `Counts.bits`."""
    return capped(token, np.float64(bits[token & np.uint32(len(bits) - 1)]))
