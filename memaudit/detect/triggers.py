"""Memory triggers: the shortest phrases whose presence selects a cluster, counted over the whole dataset."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

LONGEST = 3  # words of a phrase

_jit = nb.njit(cache=True, nogil=True)
_ROLL = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.int64(-1)


class Phrases(NamedTuple):
    """Candidate phrases: phrase p belongs to cluster `cluster[p]` and is words[first[p]:first[p] + size[p]]."""

    cluster: np.ndarray  # int64, ascending
    words: np.ndarray  # uint32
    first: np.ndarray  # int64
    size: np.ndarray  # int64


class Counted(NamedTuple):
    """By phrase: texts that hold it in the whole dataset, and among its cluster's."""

    everywhere: np.ndarray  # int64
    inside: np.ndarray  # int64


@_jit
def _phrase_hash(words, first, size):
    h = np.uint64(size)
    for i in range(first, first + size):
        h = (h ^ np.uint64(words[i])) * _ROLL
        h ^= h >> np.uint64(29)
    return h


@_jit
def _slot(table, keys, h):
    at = h & np.uint64(len(table) - 1)
    while table[at] != _EMPTY and keys[table[at]] != h:
        at = (at + np.uint64(1)) & np.uint64(len(table) - 1)
    return at


@_jit
def _index(keys, table):
    for p in range(len(keys)):
        table[_slot(table, keys, keys[p])] = p


@_jit
def _count_texts(words, word_at, texts, keys, table, out):
    """out[p] += texts among `texts` that hold the phrase with key keys[p], each once."""
    seen = np.full(len(keys), _EMPTY, np.int64)
    for t in texts:
        for i in range(word_at[t], word_at[t + 1]):
            for size in range(1, min(LONGEST, word_at[t + 1] - i) + 1):
                p = table[_slot(table, keys, _phrase_hash(words, i, size))]
                if p >= 0 and seen[p] != t:
                    seen[p] = t
                    out[p] += 1


@_jit
def _count_inside(phrases, member_at, text, words, word_at, keys, out):
    """out[p] = texts of phrase p's cluster that hold it."""
    for p in range(len(phrases.cluster)):
        c, size = phrases.cluster[p], phrases.size[p]
        for e in range(member_at[c], member_at[c + 1]):
            t = text[e]
            for i in range(word_at[t], word_at[t + 1] - size + 1):
                if _phrase_hash(words, i, size) == keys[p]:
                    out[p] += 1
                    break


@_jit
def _phrase_hashes(phrases):
    out = np.empty(len(phrases.first), np.uint64)
    for p in range(len(out)):
        out[p] = _phrase_hash(phrases.words, phrases.first[p], phrases.size[p])
    return out


def count_phrases(
    phrases: Phrases, member_at: np.ndarray, text: np.ndarray, words: np.ndarray, word_at: np.ndarray
) -> Counted:
    """Count candidate phrases in all texts and in their own clusters. One pass over all words, about 20 ns each."""
    hashes = _phrase_hashes(phrases)
    keys, which = np.unique(hashes, return_inverse=True)
    table = np.full(1 << (2 * len(keys) + 16).bit_length(), _EMPTY, np.int64)
    _index(keys, table)
    everywhere = np.zeros(len(keys), np.int64)
    _count_texts(words, word_at, np.arange(len(word_at) - 1), keys, table, everywhere)
    inside = np.zeros(len(hashes), np.int64)
    _count_inside(phrases, member_at, text, words, word_at, hashes, inside)
    return Counted(everywhere[which], inside)
