"""A set of texts, numbered from 0 in ascending order: what is kept per text is kept only for those that are needed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.jit import kernel, leaf
from memaudit.ragged import Pieces, blocks, offsets_of
from memaudit.scratch import release
from memaudit.text.hashing import popcount

if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCK = 1 << 20  # texts passed over between two releases of mapped pages


class Chosen(NamedTuple):
    """Text t is chosen where bit t % 64 of bits[t // 64] is set; before[i]: chosen texts before bits[i]. A quarter byte
    a text of the dataset."""

    bits: np.ndarray  # uint64 (words,)
    before: np.ndarray  # int64 (words + 1,)

    def __len__(self) -> int:
        return int(self.before[-1])


@leaf
def is_chosen(bits, t):
    """Whether text t is in the set."""
    return (bits[t >> 6] >> np.uint64(t & 63)) & np.uint64(1) != 0


@leaf
def number_of(bits, before, t):
    """The number of a chosen text."""
    below = (np.uint64(1) << np.uint64(t & 63)) - np.uint64(1)
    return before[t >> 6] + popcount(bits[t >> 6] & below)


@leaf
def _mark(bits, texts):
    for t in texts:
        bits[np.int64(t) >> 6] |= np.uint64(1) << np.uint64(np.int64(t) & 63)


@kernel
def _counts(bits):
    out = np.empty(len(bits), np.int64)
    for i in range(len(bits)):
        out[i] = popcount(bits[i])
    return out


def choose(n_texts: int, members: Iterable[np.ndarray]) -> Chosen:
    """The set of all texts in `members` (uint32 arrays, repeats allowed) out of n_texts."""
    bits = np.zeros(n_texts // 64 + 1, np.uint64)
    for texts in members:
        _mark(bits, texts)
    return Chosen(bits, offsets_of(_counts(bits)))


@leaf
def _list(bits, out):
    n = 0
    for i in range(len(bits)):
        left = bits[i]
        while left:
            low = left & (~left + np.uint64(1))
            out[n] = (i << 6) + popcount(low - np.uint64(1))
            n += 1
            left ^= low


def texts_of(chosen: Chosen) -> np.ndarray:
    """uint32: the chosen texts in ascending order."""
    out = np.empty(len(chosen), np.uint32)
    _list(chosen.bits, out)
    return out


@leaf
def _numbers(bits, before, texts, out):
    for i in range(len(texts)):
        out[i] = number_of(bits, before, np.int64(texts[i]))


def numbers(chosen: Chosen, texts: np.ndarray) -> np.ndarray:
    """uint32: the numbers of chosen texts (uint32, any order)."""
    out = np.empty(len(texts), np.uint32)
    _numbers(chosen.bits, chosen.before, texts, out)
    return out


@leaf
def _copy(values, at, texts, out, out_at):
    n = out_at[0]
    for i in range(len(texts)):
        t = np.int64(texts[i])
        for k in range(at[t], at[t + 1]):
            out[n] = values[k]
            n += 1
        out_at[i + 1] = n


@leaf
def _total(bits, first, values):
    total = np.int64(0)
    for i in range(len(values)):
        if is_chosen(bits, first + i):
            total += values[i]
    return total


def total(chosen: Chosen, values: np.ndarray) -> int:
    """Sum of a column (uint32, by text, may be mapped) over the chosen texts."""
    out = 0
    for a, b in blocks(len(values), 4 * BLOCK):
        out += int(_total(chosen.bits, a, values[a:b]))
        release(values)
    return out


def gather(values: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """values[texts] of a column that may be mapped; texts ascending. Pages are given back on the way."""
    out = np.empty(len(texts), values.dtype)
    for a, b in _by_block(texts, len(values)):
        out[a:b] = values[texts[a:b]]
        release(values)
    return out


def gather_streams(values: np.ndarray, at: np.ndarray, texts: np.ndarray) -> Pieces:
    """The streams (uint32) of ascending texts, copied one after the other; pages of mapped columns are given back on
    the way."""
    lengths = np.empty(len(texts), np.int64)
    for a, b in _by_block(texts, len(at)):
        t = texts[a:b].astype(np.int64)
        lengths[a:b] = at[t + 1] - at[t]
        release(at)
    new = offsets_of(lengths)
    out = np.empty(new[-1], np.uint32)
    for a, b in _by_block(texts, len(at)):
        _copy(values, at, texts[a:b], out, new[a : b + 1])
        release(values, at)
    return Pieces(new, out)


def _by_block(texts: np.ndarray, n: int) -> list[tuple[int, int]]:
    """Ranges of `texts` that lie in the same block of `BLOCK` texts."""
    edges = np.array([first for first, _ in blocks(n, BLOCK)] + [n])
    cuts = np.searchsorted(texts, edges).tolist()
    return [(a, b) for a, b in itertools.pairwise(cuts) if b > a]
