"""Memory triggers: the shortest phrases whose presence selects a cluster, counted over the whole dataset."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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
def _mark_openers(phrases, openers):
    """One bit for every word that opens a candidate phrase; most words of a dataset open none."""
    for p in range(len(phrases.first)):
        openers[phrases.words[phrases.first[p]] & np.uint32(len(openers) - 1)] = True


@_jit
def _count_texts(words, word_at, first, last, openers, keys, table, out):
    """out[p] += texts among first..last-1 that hold the phrase with key keys[p], each once."""
    seen = np.full(len(keys), _EMPTY, np.int64)
    mask = np.uint32(len(openers) - 1)
    for t in range(first, last):
        for i in range(word_at[t], word_at[t + 1]):
            if not openers[words[i] & mask]:
                continue
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
    phrases: Phrases, member_at: np.ndarray, text: np.ndarray, words: np.ndarray, word_at: np.ndarray, threads: int
) -> Counted:
    """Count candidate phrases in all texts and in their own clusters: one pass over all words."""
    hashes = _phrase_hashes(phrases)
    keys, which = np.unique(hashes, return_inverse=True)
    table = np.full(1 << (2 * len(keys) + 16).bit_length(), _EMPTY, np.int64)
    openers = np.zeros(1 << 22, np.bool_)
    _index(keys, table)
    _mark_openers(phrases, openers)
    cuts = np.linspace(0, len(word_at) - 1, threads + 1).astype(np.int64)
    parts = [np.zeros(len(keys), np.int64) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        jobs = [
            pool.submit(_count_texts, words, word_at, a, b, openers, keys, table, part)
            for a, b, part in zip(cuts[:-1], cuts[1:], parts, strict=True)
        ]
        inside = np.zeros(len(hashes), np.int64)
        _count_inside(phrases, member_at, text, words, word_at, hashes, inside)
        for job in jobs:
            job.result()
    return Counted(np.sum(parts, axis=0)[which], inside)
