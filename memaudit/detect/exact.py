"""Exact repetition: every distinct key of the stream gets one text id, in the order of first occurrence."""

from __future__ import annotations

import numba as nb
import numpy as np

_EMPTY = np.uint32(0xFFFFFFFF)


@nb.njit(cache=True, nogil=True)
def _assign(key_lo, key_hi, slots, known_lo, known_hi, n, ids):
    """Linear probing; new keys are appended to `known_*`. Returns the new count of texts."""
    mask = np.uint64(len(slots) - 1)
    for i in range(len(key_lo)):
        at = key_lo[i] & mask
        while True:
            text = slots[at]
            if text == _EMPTY:
                slots[at] = n
                known_lo[n], known_hi[n] = key_lo[i], key_hi[i]
                ids[i] = n
                n += 1
                break
            if known_lo[text] == key_lo[i] and known_hi[text] == key_hi[i]:
                ids[i] = text
                break
            at = (at + np.uint64(1)) & mask
    return n


@nb.njit(cache=True, nogil=True)
def _rehash(slots, known_lo, n):
    mask = np.uint64(len(slots) - 1)
    for text in range(n):
        at = known_lo[text] & mask
        while slots[at] != _EMPTY:
            at = (at + np.uint64(1)) & mask
        slots[at] = text


@nb.njit(cache=True, nogil=True)
def count_rows(ids, weights, n_rows, weight):
    """Add one row of weights[k] to text ids[k], for all k."""
    for k in range(len(ids)):
        n_rows[ids[k]] += np.uint32(1)
        weight[ids[k]] += np.float32(weights[k])


class TextIndex:
    """A hash table from 128-bit keys to text ids that grows with the stream: 16 bytes a text and 8 to 16 a slot."""

    def __init__(self) -> None:
        self.n = 0
        self._lo = np.empty(1 << 16, np.uint64)
        self._hi = np.empty(1 << 16, np.uint64)
        self._slots = np.full(1 << 17, _EMPTY, np.uint32)

    def add(self, key_lo: np.ndarray, key_hi: np.ndarray) -> np.ndarray:
        """Text ids of these keys (uint32, same order); ids from the old `n` on are new. Expected O(n)."""
        self._reserve(self.n + len(key_lo))
        ids = np.empty(len(key_lo), np.uint32)
        self.n = int(_assign(key_lo, key_hi, self._slots, self._lo, self._hi, self.n, ids))
        return ids

    def keys(self) -> tuple[np.ndarray, np.ndarray]:
        """(key_lo, key_hi) by text id."""
        return self._lo[: self.n], self._hi[: self.n]

    def _reserve(self, n: int) -> None:
        if n > len(self._lo):
            room = max(n, len(self._lo) + len(self._lo) // 2)
            self._lo, self._hi = (
                np.concatenate([a[: self.n], np.empty(room - self.n, np.uint64)]) for a in (self._lo, self._hi)
            )
        if n * 3 > len(self._slots) * 2:
            size = len(self._slots)
            while n * 3 > size * 2:
                size *= 2
            self._slots = np.full(size, _EMPTY, np.uint32)
            _rehash(self._slots, self._lo, self.n)
