"""Memory triggers: the shortest phrases whose presence selects a cluster, counted over the whole dataset."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect.chosen import choose, gather_streams, numbers, texts_of
from memaudit.jit import kernel, leaf
from memaudit.ragged import blocks
from memaudit.scratch import release
from memaudit.text.hashing import mix64

if TYPE_CHECKING:
    from memaudit.ragged import Pieces

LONGEST = 3  # words of a phrase, for which `_count_longer` is written
SLOT_BITS = 16
CHUNK = 1 << 10  # words whose openers are collected at a time
BLOCK = 1 << 18  # texts counted between two releases of mapped pages


_ROLL, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_SLOT_MASK, _CHUNK = (1 << SLOT_BITS) - 1, CHUNK
_POSITION_BITS = 44  # of a packed place; the text, within its block, above them
_POSITION = (1 << _POSITION_BITS) - 1
_SHARED = np.int32(-1)
_NOWHERE = np.uint32(1)  # hashes of words that open a phrase are at least FIRST_WORD


class Phrases(NamedTuple):
    """Candidate phrases: finding k has those numbered phrase_at[k]:phrase_at[k + 1], and with each all its beginnings;
    phrase p is words[first[p]:first[p] + size[p]]."""

    phrase_at: np.ndarray  # int64 (findings + 1,)
    words: np.ndarray  # uint32
    first: np.ndarray  # int64
    size: np.ndarray  # int64


class Counted(NamedTuple):
    """By phrase: texts that hold it in the whole dataset, and among its finding's."""

    everywhere: np.ndarray  # int64
    inside: np.ndarray  # int64


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
def _once(p, stamp, tally):
    """Count phrase p in tally[p, 0] unless it has been seen since `stamp`. Phrase 0 is none, and its count means
    nothing."""
    tally[p, 0] += tally[p, 1] != stamp
    tally[p, 1] = stamp


@leaf
def _count_longer(stream, i, end, keys, ids, stamp, tally):
    """Count the phrases of two and three words that begin at i."""
    h = _extend(_extend(np.uint64(0), stream[i]), stream[i + 1])
    p = np.int64(ids[_place(keys, ids, h)])
    if p:
        _once(p, stamp, tally)
        if i + 2 < end:
            _once(np.int64(ids[_place(keys, ids, _extend(h, stream[i + 2]))]), stamp, tally)


@leaf
def _may_go_on(stream, i, end, pairs):
    """1 where the two words at i may be a phrase."""
    inside = np.int64(i + 1 < end)
    bit = _pair_bit(stream[i], stream[i + inside])
    return inside & np.int64((pairs[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1))


@leaf
def _count_openers(stream, n, found, slots, bounds, pairs, keys, ids, stamp, tally):
    """Count the phrases that begin at the places found[:n], each packed: text, then position."""
    for k in range(n):
        word = stream[found[k] & _POSITION]
        p = np.int64(slots[np.int64(word) & _SLOT_MASK])
        if p == _SHARED:
            p = np.int64(ids[_place(keys, ids, _extend(np.uint64(0), word))])
        _once(p, stamp + (found[k] >> _POSITION_BITS), tally)
    likely = 0
    for k in range(n):
        place = found[k]
        found[likely] = place
        likely += _may_go_on(stream, place & _POSITION, bounds[(place >> _POSITION_BITS) + 1], pairs)
    for k in range(likely):
        i, t = found[k] & _POSITION, found[k] >> _POSITION_BITS
        _count_longer(stream, i, bounds[t + 1], keys, ids, stamp + t, tally)


@kernel
def _count_texts(stream, bounds, slots, words, pairs, keys, ids, stamp, tally):
    """tally[p, 0] += texts that hold phrase p, each once; text t has the stamp `stamp` + t, and tally[p, 1] is that of
    the last text that held it.

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
                _count_openers(stream, n, found, slots, bounds, pairs, keys, ids, stamp, tally)
                n = np.int64(0)
            low = high
    _count_openers(stream, n, found, slots, bounds, pairs, keys, ids, stamp, tally)


@leaf
def _count_inside(phrase_at, id_of, member_at, members, stream, bounds, pairs, keys, ids, tally, out):
    """out[p] = texts of phrase p's finding that hold it. members: numbers of texts in `stream`."""
    for k in range(len(phrase_at) - 1):
        for p in range(phrase_at[k], phrase_at[k + 1]):
            tally[id_of[p], 0] = 0
        for e in range(member_at[k], member_at[k + 1]):
            end = bounds[members[e] + 1]
            for i in range(bounds[members[e]], end):
                first = np.int64(ids[_place(keys, ids, _extend(np.uint64(0), stream[i]))])
                _once(first, e + 1, tally)
                if first and _may_go_on(stream, i, end, pairs):
                    _count_longer(stream, i, end, keys, ids, e + 1, tally)
        for p in range(phrase_at[k], phrase_at[k + 1]):
            out[p] = tally[id_of[p], 0]


def _frozen(values: np.ndarray) -> np.ndarray:
    """A view that cannot be written to, as maps cannot: so that kernels are compiled once for both."""
    view = values.view()
    view.flags.writeable = False
    return view


def count_phrases(phrases: Phrases, members: Pieces, words: np.ndarray, word_at: np.ndarray, threads: int) -> Counted:
    """Count candidate phrases in all texts, in one pass over all words (which may be mapped), and in the texts of their
    findings (`members`)."""
    words, word_at = _frozen(words), _frozen(word_at)
    index, id_of = _empty_index(len(phrases.first)), np.empty(len(phrases.first), np.int64)
    n_ids, n = _index(*phrases[1:], *index, id_of), len(word_at) - 1

    def count(thread: int) -> np.ndarray:
        tally = np.zeros((n_ids + 1, 2), np.int64)
        for a, b in blocks(n, BLOCK)[thread::threads]:
            _count_texts(words, word_at[a : b + 1], *index, a + 1, tally)
            release(words, word_at)
        return tally[:, 0]

    with ThreadPoolExecutor(threads) as pool:
        parts = [pool.submit(count, thread) for thread in range(threads)]
        chosen = choose(n, (members.values,))
        own = gather_streams(words, word_at, texts_of(chosen))
        stream, bounds = _frozen(own.values), _frozen(own.at)
        inside, numbered = np.zeros(len(phrases.first), np.int64), numbers(chosen, members.values)
        tally = np.zeros((n_ids + 1, 2), np.int64)
        _count_inside(phrases.phrase_at, id_of, members.at, numbered, stream, bounds, *index[2:], tally, inside)
        everywhere = np.array([part.result() for part in parts], np.int64).sum(axis=0)
    return Counted(everywhere[id_of], inside)
