"""Phrases that may select a cluster, counted over the whole dataset in one pass.

Of each finding's rarest phrases the pass also remembers which texts hold them: `detect.wordsets` looks among these for
what else a text must hold.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from memaudit.detect.chosen import choose, gather_streams, numbers, texts_of
from memaudit.jit import kernel, leaf
from memaudit.ragged import Pieces, blocks, pick
from memaudit.scratch import release
from memaudit.text.hashing import mix64

LONGEST = 3  # words of a phrase, for which `_count_longer` is written
SLOT_BITS = 16
CHUNK = 1 << 10  # words whose openers are collected at a time
BLOCK = 1 << 18  # texts counted between two releases of mapped pages
SAMPLE, SAMPLE_BLOCK = 1 << 15, 1 << 9  # texts that tell which phrases are rare, and how many of them in a row
ANCHORS = 3  # phrases of a finding whose holders are remembered
HOLDERS, PER_MEMBER = 1 << 10, 4  # of a phrase that is held by more texts than that, and so many a member, none are
MIN_COVERAGE = 0.6  # of a finding's texts that hold a phrase worth knowing

_ROLL, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_SLOT_MASK, _CHUNK = (1 << SLOT_BITS) - 1, CHUNK
_POSITION_BITS = 44  # of a packed place; the text, within its block, above them
_POSITION = (1 << _POSITION_BITS) - 1
_SHARED = np.int32(-1)
TALLY = 4  # columns of a tally: texts, the last one's stamp, how many to keep, none (so that a row is 16 bytes)
_STAMP_BITS = 40  # of a phrase and a stamp in one number
_STAMP = (1 << _STAMP_BITS) - 1
_NOWHERE = np.uint32(1)  # hashes of words that open a phrase are at least FIRST_WORD


class Phrases(NamedTuple):
    """Candidate phrases: finding k has those numbered phrase_at[k]:phrase_at[k + 1], and with each all its beginnings;
    phrase p is words[first[p]:first[p] + size[p]], and the place[p]-th word of its finding is its first."""

    phrase_at: np.ndarray  # int64 (findings + 1,)
    words: np.ndarray  # uint32
    first: np.ndarray  # int64
    size: np.ndarray  # int64
    place: np.ndarray  # int64


class Counted(NamedTuple):
    """By phrase: texts that hold it in the whole dataset, and among its finding's."""

    everywhere: np.ndarray  # int64
    inside: np.ndarray  # int64
    anchor: np.ndarray  # int64: phrases whose holders are known, ascending
    holders: Pieces  # uint32, by anchor: the texts that hold it, ascending


class _Index(NamedTuple):
    """Distinct phrases, numbered from 1. Half of a dataset's words open some phrase, few pairs do: what tells them
    apart is small, so that the cache holds it."""

    slots: np.ndarray  # int32 (2^16,): number of the first word with these low bits, 0 for none, SHARED for several
    words: np.ndarray  # uint32, by number: the first word, which is a phrase too; a word that occurs nowhere for others
    pairs: np.ndarray  # uint64: one bit of 2^18 for every phrase of two words
    keys: np.ndarray  # uint64, a power of two long: hashes of phrases,
    ids: np.ndarray  # int32: and their numbers


def _empty_index(n: int) -> _Index:
    """Room for n phrases."""
    size = 1 << (2 * n + 16).bit_length()
    return _Index(
        np.zeros(1 << SLOT_BITS, np.int32),
        np.full(n + 1, _NOWHERE, np.uint32),
        np.zeros(1 << 12, np.uint64),
        np.zeros(size, np.uint64),
        np.zeros(size, np.int32),
    )


@leaf
def _extend(h, word):
    """The hash of a phrase that goes on with `word`; that of none is 0."""
    return mix64((h ^ np.uint64(word)) * _ROLL)


@leaf
def _pair_bit(first, second):
    """The bit of 2^18 that stands for a pair of words, which are hashes themselves."""
    return (np.uint64(first) * _ROLL + np.uint64(second) * _STEP) >> np.uint64(46)


@leaf
def _place(keys, ids, key):
    """Where a key stands, or the free place where it belongs."""
    at = key & np.uint64(len(ids) - 1)
    while ids[at] != 0 and keys[at] != key:
        at = (at + np.uint64(1)) & np.uint64(len(ids) - 1)
    return at


@leaf
def _index(phrase_words, first, size, slots, words, pairs, keys, ids, id_of):
    """Number every distinct phrase, in order of first occurrence; returns how many there are."""
    n = np.int64(0)
    for p in range(len(first)):
        h = np.uint64(0)
        for i in range(first[p], first[p] + size[p]):
            h = _extend(h, phrase_words[i])
        at = _place(keys, ids, h)
        if ids[at] == 0:
            n += 1
            keys[at], ids[at] = h, n
            if size[p] == 1:
                words[n] = phrase_words[first[p]]
                slot = np.int64(words[n]) & _SLOT_MASK
                slots[slot] = n if slots[slot] == 0 else _SHARED
            elif size[p] == 2:
                bit = _pair_bit(phrase_words[first[p]], phrase_words[first[p] + 1])
                pairs[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
        id_of[p] = ids[at]
    return n


@leaf
def _once(p, stamp, tally, kept, n):
    """Count phrase p in tally[p, 0] unless it has been seen since `stamp`, and while that is at most tally[p, 2] put
    the phrase and the stamp behind the n places in `kept`. Phrase 0 is none, and its count means nothing. Returns how
    many are kept."""
    new = np.int64(np.int64(tally[p, 1]) != stamp)
    count = np.int64(tally[p, 0]) + new
    tally[p, 0] = count
    tally[p, 1] = stamp
    kept[n] = (p << _STAMP_BITS) | stamp
    return n + (new & np.int64(count <= np.int64(tally[p, 2])))


@leaf
def _count_longer(stream, i, end, keys, ids, stamp, tally, kept, n):
    """Count the phrases of two and three words that begin at i; returns how many are kept."""
    h = _extend(_extend(np.uint64(0), stream[i]), stream[i + 1])
    p = np.int64(ids[_place(keys, ids, h)])
    if p:
        n = _once(p, stamp, tally, kept, n)
        if i + 2 < end:
            n = _once(np.int64(ids[_place(keys, ids, _extend(h, stream[i + 2]))]), stamp, tally, kept, n)
    return n


@leaf
def _may_go_on(stream, i, end, pairs):
    """1 where the two words at i may be a phrase."""
    inside = np.int64(i + 1 < end)
    bit = _pair_bit(stream[i], stream[i + inside])
    return inside & np.int64((pairs[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1))


@leaf
def _count_openers(stream, n, found, slots, bounds, pairs, keys, ids, stamp, tally, kept, m):
    """Count the phrases that begin at the places found[:n], each packed: text, then position; returns how many are
    kept."""
    for k in range(n):
        word = stream[found[k] & _POSITION]
        p = np.int64(slots[np.int64(word) & _SLOT_MASK])
        if p == _SHARED:
            p = np.int64(ids[_place(keys, ids, _extend(np.uint64(0), word))])
        m = _once(p, stamp + (found[k] >> _POSITION_BITS), tally, kept, m)
    likely = 0
    for k in range(n):
        place = found[k]
        found[likely] = place
        likely += _may_go_on(stream, place & _POSITION, bounds[(place >> _POSITION_BITS) + 1], pairs)
    for k in range(likely):
        i, t = found[k] & _POSITION, found[k] >> _POSITION_BITS
        m = _count_longer(stream, i, bounds[t + 1], keys, ids, stamp + t, tally, kept, m)
    return m


@kernel
def _count_texts(stream, bounds, slots, words, pairs, keys, ids, stamp, tally, kept, m):
    """tally[p, 0] += texts that hold phrase p, each once; text t has the stamp `stamp` + t, tally[p, 1] is that of the
    last text that held it, and the first tally[p, 2] of them are put behind the m places in `kept`. Returns how many
    are kept.

    Words that open a phrase are collected without a branch, because half of them do and none can tell which.
    """
    found = np.empty(2 * _CHUNK, np.int64)
    n = np.int64(0)
    for t in range(len(bounds) - 1):
        low = bounds[t]
        while low < bounds[t + 1]:
            high = min(bounds[t + 1], low + _CHUNK)
            for i in range(low, high):
                p = slots[np.int64(stream[i]) & _SLOT_MASK]
                found[n] = (t << _POSITION_BITS) | i
                n += np.int64((p == _SHARED) | (words[max(p, np.int32(0))] == stream[i]))
            if n >= _CHUNK:
                m = _count_openers(stream, n, found, slots, bounds, pairs, keys, ids, stamp, tally, kept, m)
                n = np.int64(0)
            low = high
    return _count_openers(stream, n, found, slots, bounds, pairs, keys, ids, stamp, tally, kept, m)


@leaf
def _count_inside(phrase_at, id_of, member_at, members, stream, bounds, pairs, keys, ids, tally, kept, out):
    """out[p] = texts of phrase p's finding that hold it. members: numbers of texts in `stream`."""
    for k in range(len(phrase_at) - 1):
        for p in range(phrase_at[k], phrase_at[k + 1]):
            tally[id_of[p], 0] = 0
        for e in range(member_at[k], member_at[k + 1]):
            end = bounds[members[e] + 1]
            for i in range(bounds[members[e]], end):
                first = np.int64(ids[_place(keys, ids, _extend(np.uint64(0), stream[i]))])
                _once(first, e + 1, tally, kept, np.int64(0))
                if first and _may_go_on(stream, i, end, pairs):
                    _count_longer(stream, i, end, keys, ids, e + 1, tally, kept, np.int64(0))
        for p in range(phrase_at[k], phrase_at[k + 1]):
            out[p] = tally[id_of[p], 0]


def frozen(values: np.ndarray) -> np.ndarray:
    """A view that cannot be written to, as maps cannot: so that kernels are compiled once for both."""
    view = values.view()
    view.flags.writeable = False
    return view


def count_phrases(phrases: Phrases, members: Pieces, words: np.ndarray, word_at: np.ndarray, threads: int) -> Counted:
    """Count candidate phrases in all texts, in one pass over all words (which may be mapped), and in the texts of their
    findings (`members`).

    A first look at `SAMPLE` texts tells which phrases are rare; the result does not depend on threads.
    """
    words, word_at = frozen(words), frozen(word_at)
    index, id_of = _empty_index(len(phrases.first)), np.empty(len(phrases.first), np.int64)
    n_ids, n = _index(phrases.words, phrases.first, phrases.size, *index, id_of), len(word_at) - 1
    step = max(SAMPLE_BLOCK * n // SAMPLE, SAMPLE_BLOCK)
    few = [(a, min(a + SAMPLE_BLOCK, n)) for a in range(0, n, step)]
    with ThreadPoolExecutor(threads) as pool:
        sampled = pool.submit(_tallied, few, words, word_at, index, np.zeros(n_ids + 1, np.int64))
        inside = _inside(phrases, members, words, word_at, index, id_of, n_ids)
        anchor = _rarest(phrases, np.diff(members.at), inside, sampled.result()[0][id_of])
        limit = np.zeros(n_ids + 1, np.int64)
        owner = np.searchsorted(phrases.phrase_at, anchor, side="right") - 1
        np.maximum.at(limit, id_of[anchor], HOLDERS + PER_MEMBER * np.diff(members.at)[owner])
        parts = [blocks(n, BLOCK)[thread::threads] for thread in range(threads)]
        found = list(pool.map(lambda part: _tallied(part, words, word_at, index, limit), parts))
    everywhere = np.array([counts for counts, _ in found], np.int64).sum(axis=0)
    kept = np.sort(np.concatenate([kept for _, kept in found]))
    known = anchor[everywhere[id_of[anchor]] <= limit[id_of[anchor]]]
    at = np.searchsorted(kept >> _STAMP_BITS, np.arange(n_ids + 2))
    holders = pick((kept & _STAMP) - 1, at, id_of[known])
    return Counted(everywhere[id_of], inside, known, Pieces(holders.at, holders.values.astype(np.uint32)))


def _tallied(
    parts: list[tuple[int, int]], words: np.ndarray, word_at: np.ndarray, index: _Index, limit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Texts of `parts` that hold each phrase, and the first limit[p] holders of phrase p, packed. Memory: 8 bytes for
    each of these, taken as they come, and 16 a phrase."""
    tally = np.zeros((len(limit), TALLY), np.uint32)
    tally[:, 2] = limit
    kept, m = np.empty(int(limit.sum()) + 1, np.int64), 0
    for a, b in parts:
        m = _count_texts(words, word_at[a : b + 1], *index, a + 1, tally, kept, m)
        release(words, word_at)
    return tally[:, 0].astype(np.int64), kept[:m].copy()


def _inside(
    phrases: Phrases,
    members: Pieces,
    words: np.ndarray,
    word_at: np.ndarray,
    index: _Index,
    id_of: np.ndarray,
    n_ids: int,
) -> np.ndarray:
    """By phrase: its finding's texts that hold it."""
    chosen = choose(len(word_at) - 1, (members.values,))
    own = gather_streams(words, word_at, texts_of(chosen))
    inside, numbered = np.zeros(len(phrases.first), np.int64), numbers(chosen, members.values)
    tally, nowhere = np.zeros((n_ids + 1, TALLY), np.uint32), np.empty(1, np.int64)
    _count_inside(
        phrases.phrase_at, id_of, members.at, numbered, frozen(own.values), frozen(own.at), *index[2:], tally,
        nowhere, inside,
    )  # fmt: skip
    return inside


def _rarest(phrases: Phrases, n_members: np.ndarray, inside: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Of each finding the phrases that are rarest in the sample, ascending: single words before longer ones, unless
    they are far more common; none that too few of its texts hold."""
    owner = np.repeat(np.arange(len(n_members)), np.diff(phrases.phrase_at))
    fit = np.flatnonzero(inside >= MIN_COVERAGE * n_members[owner])
    size = phrases.size[fit]
    order = np.lexsort((phrases.place[fit], size, seen[fit] * np.where(size > 1, 2, 1), owner[fit]))
    fit = fit[order]
    nth = np.arange(len(fit)) - np.searchsorted(owner[fit], owner[fit])
    return np.sort(fit[nth < ANCHORS])
