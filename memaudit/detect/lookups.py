"""What the counts say of every token of some captions: information, how often its pair and triple occur, and whether
more often than chance.

Look-ups miss the cache. They are made for hundreds of captions in loops without a branch between the loads, so that
misses overlap: four times faster than caption by caption.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.detect.grams import MAX_TOKENS, SATURATED, capped, count_all, longer, pair
from memaudit.jit import leaf

TEXTS = 256  # looked up at a time
LOG_LIFT = 1.0  # log2: an n-gram is surprising when it is twice as frequent as its words' frequencies predict
FREE_TEXTS = 50_000  # up to so many captions any lift is believed; see `chance`

_LOG2 = np.log2(np.maximum(np.arange(4096), 1)).astype(np.float32)
_LN2 = float(np.log(2))


class Lookups(NamedTuple):
    """Scratch of one thread: text k owns entries at[k]..at[k + 1] - 1, entry i speaks of the token at i."""

    at: np.ndarray  # int64 (TEXTS + 1,)
    tokens: np.ndarray  # uint32
    raw_bits: np.ndarray  # float32: information, uncapped
    total_bits: np.ndarray  # float32 (TEXTS,): capped, of whole texts
    hashes: np.ndarray  # uint64: of the pair that starts here
    wanted: np.ndarray  # uint64: what is being looked up
    found: np.ndarray  # int32: and its count
    pairs: np.ndarray  # int32: count of the pair that starts here, 0 below the lowest level
    covers2: np.ndarray  # int32: the same where it is surprising, else 0
    covers3: np.ndarray  # int32: count of the triple that starts here where it is surprising, else 0
    triples: np.ndarray  # int32: count of the triple that starts here
    places: np.ndarray  # int64: where triples are looked up


def lookups() -> Lookups:
    n = TEXTS * MAX_TOKENS + 2
    return Lookups(
        np.zeros(TEXTS + 1, np.int64),
        np.zeros(n, np.uint32),
        np.zeros(n, np.float32),
        np.zeros(TEXTS, np.float32),
        np.zeros(n, np.uint64),
        np.zeros(n, np.uint64),
        *(np.zeros(n, np.int32) for _ in range(5)),
        np.zeros(n, np.int64),
    )


def chance(n_texts: int) -> float:
    """What the logarithm of an n-gram's likelihood ratio against chance must reach: ln(n / 50,000), at least 0.

    The more captions, the more pairs and triples of common words repeat by accident. Poisson: with e expected and c
    counted the ratio is c ln(c / e) - c + e (Dunning, Computational Linguistics 19(1), 1993).
    """
    return max(0.0, float(np.log(max(n_texts, 1) / FREE_TEXTS)))


@leaf
def log2_of(n):
    return np.float64(_LOG2[n]) if n < len(_LOG2) else np.log2(np.float64(n))


@leaf
def _surprising(count, log_expected, least):
    """Whether `count` is at least twice what chance predicts, and too much for an accident."""
    lift = log2_of(count) - log_expected
    if lift < LOG_LIFT:
        return count == SATURATED
    return least == 0.0 or count * (lift * _LN2 - 1.0) + 2.0**log_expected >= least


@leaf
def _gather(tokens, token_at, first, last, look):
    """Copy the texts' first tokens next to each other; returns how many."""
    n = 0
    for t in range(first, last):
        look.at[t - first] = n
        for i in range(token_at[t], min(token_at[t + 1], token_at[t] + MAX_TOKENS)):
            look.tokens[n] = tokens[i]
            n += 1
    look.at[last - first] = n
    return n


@leaf
def _look_up_pairs(n, counts, look):
    mask = np.uint32(len(counts.bits) - 1)
    for i in range(n):
        look.raw_bits[i] = counts.bits[look.tokens[i] & mask]
    look.tokens[n] = 0
    for i in range(n):
        look.hashes[i] = pair(look.tokens[i], look.tokens[i + 1])
        look.wanted[i] = look.hashes[i]
    count_all(n, look.wanted, counts.pairs, counts.pair_counts, look.pairs)


@leaf
def _look_up_triples(n, counts, look):
    """A triple is no more frequent than its pairs, so most need no look-up."""
    m = 0
    for i in range(n):
        look.triples[i] = 0
        look.covers3[i] = 0
        look.places[m] = i
        m += look.pairs[i] > 0 and look.pairs[i + 1] > 0
    for k in range(m):
        look.wanted[k] = longer(look.hashes[look.places[k]], look.tokens[look.places[k] + 2])
    count_all(m, look.wanted, counts.triples, counts.triple_counts, look.found)
    for k in range(m):
        look.triples[look.places[k]] = look.found[k]
    return m


@leaf
def look_up(tokens, token_at, first, last, counts, log_texts, least, look):
    """Fill `look` for texts first..last-1. log_texts: log2 of their number; least: `chance`. Triples must be
    surprising in large datasets only: in small ones the test costs true templates."""
    n = _gather(tokens, token_at, first, last, look)
    _look_up_pairs(n, counts, look)
    look.pairs[n] = 0
    for t in range(last - first):
        a, b = look.at[t], look.at[t + 1]
        look.pairs[b - 1] = 0
        total = 0.0
        for i in range(a, b):
            total += capped(look.tokens[i], np.float64(look.raw_bits[i]))
        look.total_bits[t] = total
    m = _look_up_triples(n, counts, look)
    raw = look.raw_bits
    for i in range(n):
        c = look.pairs[i]
        found = c > 0 and _surprising(c, log_texts - raw[i] - raw[i + 1], least)
        look.covers2[i] = c if found else 0
    for k in range(m):
        i = look.places[k]
        c = look.triples[i]
        found = c > 0 and (least == 0.0 or _surprising(c, log_texts - raw[i] - raw[i + 1] - raw[i + 2], least))
        look.covers3[i] = c if found else 0
