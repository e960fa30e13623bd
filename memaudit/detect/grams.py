"""Words, word pairs and triples of unique captions, counted in fixed memory, and the information of single tokens.

Counts are hashed and saturate. The tables are larger than the cache, so a block's n-grams are first grouped by the
part of the table that they touch: random increments cost ten times as much. Pairs, then triples, are counted a range
of the table at a time, and of each range only the frequent slots are kept.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.jit import kernel, leaf
from memaudit.ragged import blocks
from memaudit.scratch import release
from memaudit.text import alphabet as abc
from memaudit.text.hashing import popcount

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

MAX_TOKENS = 64  # of longer captions only the start is mined
LOWEST = 3  # counts below are of no interest
UNSEEN = 100  # captions that the dataset might have held: words of a tiny set carry information too
SHAPE_BITS, SEPARATOR_BITS = 4.0, 1.5  # what a shape or a separator is worth at most
END_BITS = 0.05  # so that of two frames with the same words the one bound to an end is preferred
SATURATED = 65535
COUNTED = 1 << 16  # texts whose n-grams are grouped at a time by one thread
ROUND = 4  # blocks a thread groups before all are counted
PART_BITS = 17  # slots of one part of a count table: 256 kB, which the cache holds
SHARE = 10 / 3  # a table in the making takes at most one part in so many of the memory budget
LEAST_BITS, MOST_BITS = 22, 30  # slots of a table
WORD_BITS = 20, 24  # and of that of words

_FIRST_WORD, _SEPARATOR_TOKEN, _START, _END = abc.FIRST_WORD, abc.SEPARATOR_TOKEN, abc.START, abc.END
_SEED = np.uint64(0x51ED270B27B4F3CF)
_ROLL = np.uint64(0x9E3779B97F4A7C15)
_SLOT = np.uint64(0xA0761D6478BD642F)


class Tokens(NamedTuple):
    """Template streams of all unique texts: text i owns tokens[token_at[i]:token_at[i + 1]]. May be memory maps."""

    tokens: np.ndarray  # uint32
    token_at: np.ndarray  # int64 (n + 1,)


class Counts(NamedTuple):
    """Occurrences that reach `LOWEST`, hashed: a collision over-counts, never under-counts.

    Slot s of a table is frequent when bit s % 64 of table[s // 64, 0] is set; its count is then kept[table[s // 64, 1]
    + the number of bits set below]. About 2 bits a slot and 2 bytes a frequent n-gram.
    """

    words: np.ndarray  # uint32 (2^k,), by the token's low bits
    bits: np.ndarray  # float32 (2^k,): -log2 of the share of texts that hold the word
    pairs: np.ndarray  # uint64 (2^m / 64, 2)
    pair_counts: np.ndarray  # uint16
    triples: np.ndarray  # uint64 (2^m / 64, 2)
    triple_counts: np.ndarray  # uint16


@leaf
def pair(first, second):
    """64-bit hash of two tokens in order; `longer` extends it."""
    h = (_SEED ^ np.uint64(first)) * _ROLL
    h = (h ^ (h >> np.uint64(32)) ^ np.uint64(second)) * _SLOT
    return h ^ (h >> np.uint64(29))


@leaf
def longer(gram, token):
    h = (gram ^ np.uint64(token)) * _ROLL
    return h ^ (h >> np.uint64(31))


@leaf
def _grams_of(tokens, token_at, size, mask, range_bits, wanted, out):
    """Table slots (within their range) of all n-grams of `size` tokens whose range is `wanted`; returns how many."""
    n = 0
    for t in range(len(token_at) - 1):
        first, last = token_at[t], min(token_at[t + 1], token_at[t] + MAX_TOKENS)
        for i in range(first, last - size + 1):
            gram = pair(tokens[i], tokens[i + 1])
            if size == 3:
                gram = longer(gram, tokens[i + 2])
            slot = gram & mask
            out[n] = slot
            n += slot >> range_bits == wanted
    return n


@kernel
def _group_by_part(slots, shift, mask, grouped, bounds):
    """Slots grouped by their high bits: each group touches one part of the table."""
    for s in slots:
        bounds[((s & mask) >> shift) + np.uint64(1)] += 1
    for p in range(len(bounds) - 1):
        bounds[p + 1] += bounds[p]
    at = bounds[:-1].copy()
    for s in slots:
        slot = s & mask
        grouped[at[slot >> shift]] = slot
        at[slot >> shift] += 1


@kernel
def _slots_of_block(tokens, token_at, size, n_slots, range_bits, wanted, part_bits):
    """(slots uint32 (m,), bounds int64 (parts + 1,)): a block's n-grams of one range, grouped by part of the table.

    Random increments of a table larger than the cache cost 50 to 100 ns each; grouped first they cost a tenth.
    """
    relative = token_at - token_at[0]
    slots = np.empty(relative[-1] + 1, np.uint64)
    n = _grams_of(tokens, relative, size, np.uint64(n_slots - 1), np.uint64(range_bits), np.uint64(wanted), slots)
    grouped, bounds = np.empty(n, np.uint32), np.zeros((1 << part_bits) + 1, np.int64)
    within = np.uint64((1 << range_bits) - 1)
    _group_by_part(slots[:n], np.uint64(PART_BITS), within, grouped, bounds)
    return grouped, bounds


@leaf
def _count_slots(slots, first, last, table):
    for k in range(first, last):
        if table[slots[k]] < SATURATED:
            table[slots[k]] += np.uint16(1)


@leaf
def count_words(tokens, token_at, words):
    """Count single tokens."""
    mask = np.uint32(len(words) - 1)
    for t in range(len(token_at) - 1):
        first = token_at[t] - token_at[0]
        for i in range(first, min(token_at[t + 1] - token_at[0], first + MAX_TOKENS)):
            words[tokens[i] & mask] += np.uint32(1)


@leaf
def _mark_frequent(table, sealed, n):
    """Mark the slots of one range that reach `LOWEST`; n: frequent slots before it. Returns those after it."""
    for w in range(len(sealed)):
        sealed[w, 1] = n
        word = np.uint64(0)
        for b in range(64):
            if table[(w << 6) + b] >= LOWEST:
                word |= np.uint64(1) << np.uint64(b)
                n += 1
        sealed[w, 0] = word
    return n


@leaf
def _keep_frequent(table, sealed, kept):
    at = 0
    for w in range(len(sealed)):
        if sealed[w, 0]:
            for b in range(64):
                if table[(w << 6) + b] >= LOWEST:
                    kept[at] = table[(w << 6) + b]
                    at += 1


@leaf
def count_all(n, grams, table, kept, out):
    """Counts of n n-grams, 0 below the lowest level; overwrites `grams`. Two loops without a branch, because one that
    follows each count from the table to `kept` keeps half as many cache misses in flight."""
    mask = np.uint64((len(table) << 6) - 1)
    for i in range(n):
        at = grams[i] & mask
        word, below = table[at >> np.uint64(6), 0], np.uint64(1) << (at & np.uint64(63))
        frequent = (word & below) != np.uint64(0)
        place = table[at >> np.uint64(6), 1] + np.uint64(popcount(word & (below - np.uint64(1))))
        grams[i] = place if frequent else np.uint64(0)
    for i in range(n):
        out[i] = kept[grams[i]]


@leaf
def capped(token, bits):
    """Information of a token from its raw bits: capped for shapes and separators, hardly any for the ends."""
    if token >= _FIRST_WORD:
        return bits
    if token in (_START, _END):
        return END_BITS
    return min(bits, SHAPE_BITS if token < _SEPARATOR_TOKEN else SEPARATOR_BITS)


class Tables(NamedTuple):
    """Slots of the tables of pairs and of triples, and how many of them are counted at a time; powers of two."""

    slots: int
    at_once: int

    @property
    def passes(self) -> int:
        """How often `count_grams` reads all texts: words once, pairs and triples once for each range of their
        tables."""
        return 1 + 2 * (self.slots // self.at_once)


def tables_for(n_tokens: int, memory: int) -> Tables:
    """One to two slots a token, so that most slots hold one n-gram at most; many more for small sets, where a collision
    would move ranks. memory: budget in bytes, which decides only how many are counted at a time."""
    bits = min(max(LEAST_BITS, n_tokens.bit_length()), MOST_BITS)
    affordable = int(memory / SHARE / np.dtype(np.uint16).itemsize).bit_length() - 1
    return Tables(1 << bits, 1 << min(bits, max(affordable, PART_BITS)))


def count_grams(
    streams: Tokens, tables: Tables, threads: int, pool: ThreadPoolExecutor,
    advance: Callable[[int], None] = lambda _: None, expected: np.ndarray | None = None,
) -> Counts:  # fmt: skip
    """Count words, pairs and triples. advance: called with texts of each pass. expected: tokens that are meant to
    repeat and so inform of nothing.

    Cost: up to .1 us a pair or triple and core; 2 bytes for each slot that is counted at a time, and what is kept.
    """
    n, slots = len(streams.token_at) - 1, tables.slots
    words = _count_all_words(
        streams, min(max(1 << WORD_BITS[0], slots >> 3), 1 << WORD_BITS[1]), threads, pool, advance
    )
    pairs, pair_counts = _count_table(streams, 2, tables, threads, pool, advance)
    triples, triple_counts = _count_table(streams, 3, tables, threads, pool, advance)
    bits = _word_bits(words, n + UNSEEN)
    if expected is not None:
        bits[expected & np.uint32(len(bits) - 1)] = 0
    return Counts(words, bits, pairs, pair_counts, triples, triple_counts)


def _count_all_words(
    streams: Tokens, size: int, threads: int, pool: ThreadPoolExecutor, advance: Callable[[int], None]
) -> np.ndarray:
    """Counts of single tokens, uint32 (size,): a table a thread, added up."""
    todo = blocks(len(streams.token_at) - 1, COUNTED)

    def count(thread: int) -> np.ndarray:
        own = np.zeros(size, np.uint32)
        for done, (first, last) in enumerate(todo[thread::threads]):
            at = streams.token_at[first : last + 1]
            count_words(streams.tokens[at[0] : at[-1]], at, own)
            if done % ROUND == 0:
                release(*streams)
        return own

    counts = pool.map(count, range(threads))
    total = next(counts)
    for own in counts:
        total += own
    release(*streams)
    advance(len(streams.token_at) - 1)
    return total


def _word_bits(words: np.ndarray, n_texts: int) -> np.ndarray:
    """-log2 of the share of texts that hold each word."""
    bits = np.log2(n_texts / np.maximum(words, 1), dtype=np.float32)
    length = float(words.sum(dtype=np.int64)) / n_texts
    for end in (_START, _END):  # every caption has one, but only one of its words stands beside it
        bits[end & (len(bits) - 1)] = np.log2(max(length, 1.0))
    return np.maximum(bits, 0)


def _count_table(
    streams: Tokens, size: int, tables: Tables, threads: int, pool: ThreadPoolExecutor, advance: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """The sealed table of all n-grams of `size` tokens, and its counts."""
    slots, table = tables.slots, np.zeros(tables.at_once, np.uint16)
    sealed, kept, n_kept = np.empty((slots >> 6, 2), np.uint64), [np.zeros(1, np.uint16)], 1
    width = len(table) >> 6
    for wanted in range(slots // len(table)):
        if wanted:
            table[:] = 0
        _count_range(streams, size, slots, wanted, table, threads, pool, advance)
        own = sealed[wanted * width : (wanted + 1) * width]
        before, n_kept = n_kept, _mark_frequent(table, own, n_kept)
        kept.append(np.empty(n_kept - before, np.uint16))
        _keep_frequent(table, own, kept[-1])
    return sealed, np.concatenate(kept)


def _count_range(
    streams: Tokens, size: int, slots: int, wanted: int, table: np.ndarray, threads: int,
    pool: ThreadPoolExecutor, advance: Callable[[int], None],
) -> None:  # fmt: skip
    """Threads first group a round of blocks, then each counts its share of the parts: counts do not depend on
    threads."""
    range_bits = len(table).bit_length() - 1
    part_bits = max(range_bits - PART_BITS, 0)
    shares = list(itertools.pairwise(np.linspace(0, 1 << part_bits, threads + 1).astype(np.int64).tolist()))
    todo = blocks(len(streams.token_at) - 1, COUNTED)

    def group(block: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        at = streams.token_at[block[0] : block[1] + 1]
        own: tuple[np.ndarray, np.ndarray] = _slots_of_block(
            streams.tokens[at[0] : at[-1]], at, size, slots, range_bits, wanted, part_bits
        )
        return own

    for at in range(0, len(todo), ROUND * threads):
        grouped = list(pool.map(group, todo[at : at + ROUND * threads]))

        def count(share: tuple[int, int], grouped: list[tuple[np.ndarray, np.ndarray]] = grouped) -> None:
            for own, bounds in grouped:
                _count_slots(own, bounds[share[0]], bounds[share[1]], table)

        list(pool.map(count, shares))
        release(*streams)
        for first, last in todo[at : at + ROUND * threads]:
            advance(last - first)
