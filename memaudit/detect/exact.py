"""Exact repetition: every distinct key of the stream gets one text id, in the order of first occurrence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memaudit.jit import kernel, leaf
from memaudit.text.hashing import mix64

if TYPE_CHECKING:
    from collections.abc import Iterable

_EMPTY = np.uint32(0xFFFFFFFF)
_BLOCK = 256  # keys whose slots are fetched together
_IMAGE = np.uint64(0x9E3779B97F4A7C15)


@kernel
def _assign(key_lo, key_hi, keep, slots, known, n, ids, new):
    """Linear probing; new keys are appended to `known`, where they occurred to `new`. Returns the new count of texts.

    Slots and keys of a block are touched before they are needed: the misses then overlap instead of following one
    another, which halves the time on a large table.
    """
    mask, first, n_kept = np.uint64(len(slots) - 1), n, 0
    home, touched = np.empty(_BLOCK, np.uint32), np.empty(_BLOCK, np.uint64)
    for start in range(0, len(key_lo), _BLOCK):
        stop = min(start + _BLOCK, len(key_lo))
        for i in range(start, stop):
            home[i - start] = slots[key_lo[i] & mask]
        for i in range(stop - start):
            touched[i] = known[2 * np.int64(home[i])] if home[i] != _EMPTY else np.uint64(0)
        for i in range(start, stop):
            if not keep[i]:
                continue
            at = key_lo[i] & mask
            while True:
                text = slots[at]
                if text == _EMPTY:
                    slots[at] = n
                    known[2 * n], known[2 * n + 1] = key_lo[i], key_hi[i]
                    new[n - first] = i
                    ids[n_kept] = n
                    n += 1
                    break
                k = 2 * np.int64(text)
                if known[k] == key_lo[i] and known[k + 1] == key_hi[i]:
                    ids[n_kept] = text
                    break
                at = (at + np.uint64(1)) & mask
            n_kept += 1
    return n


@leaf
def _rehash(slots, known, n):
    mask = np.uint64(len(slots) - 1)
    for text in range(n):
        at = known[2 * text] & mask
        while slots[at] != _EMPTY:
            at = (at + np.uint64(1)) & mask
        slots[at] = text


class TextIndex:
    """A hash table from 128-bit keys to text ids that grows with the stream: 16 bytes a text, 4 a slot, 1.5 to 3 slots
    a text."""

    def __init__(self) -> None:
        self.n = 0
        self._known = np.empty(1 << 17, np.uint64)  # key_lo and key_hi in turn: they are needed together
        self._slots = np.full(1 << 17, _EMPTY, np.uint32)

    def add(self, key_lo: np.ndarray, key_hi: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Text ids of the keys where `keep` holds (uint32, same order), and positions (int64) of those that were new,
        which have the ids from the old `n` on. Expected O(n)."""
        self._reserve(self.n + len(key_lo))
        ids, new = np.empty(np.count_nonzero(keep), np.uint32), np.empty(len(key_lo), np.int64)
        before, self.n = self.n, int(_assign(key_lo, key_hi, keep, self._slots, self._known, self.n, ids, new))
        return ids, new[: self.n - before]

    def restore(self, n: int, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Start with n distinct keys, given as consecutive blocks of (key_lo, key_hi), as texts 0 to n - 1."""
        self._slots = np.full(self._slots_for(n), _EMPTY, np.uint32)
        self._grow(n)
        for lo, hi in blocks:
            here = self._known[2 * self.n : 2 * (self.n + len(lo))]
            here[::2], here[1::2] = lo, hi
            self.n += len(lo)
        _rehash(self._slots, self._known, self.n)

    def _reserve(self, n: int) -> None:
        self._grow(n)
        self._widen(n)

    def _grow(self, n: int) -> None:
        """Room for n keys, a sixteenth more than needed; resizing moves pages instead of copying them."""
        if 2 * n > len(self._known):
            self._known.resize(2 * (n + n // 16), refcheck=False)

    def _slots_for(self, n: int) -> int:
        """A power of two, at most two thirds of it used by n texts."""
        size = len(self._slots)
        while n * 3 > size * 2:
            size *= 2
        return size

    def _widen(self, n: int) -> None:
        """Slots for n texts; the old ones are given back before the new ones are made."""
        size = self._slots_for(n)
        if size > len(self._slots):
            self._slots = np.empty(0, np.uint32)
            self._slots = np.full(size, _EMPTY, np.uint32)
            _rehash(self._slots, self._known, self.n)


@leaf
def count_rows(ids, n_rows):
    """Add one row to each of the texts `ids` (uint32)."""
    for k in range(len(ids)):
        n_rows[ids[k]] += np.uint32(1)


@leaf
def add_weights(ids, weights, total):
    """Add weights[k] (float32) to text ids[k], for all k, in order."""
    for k in range(len(ids)):
        total[ids[k]] += weights[k]


@leaf
def count_images(ids, images, n_rows, n_images, seen, share, shares):
    """Count the distinct images (0: none) of texts among these rows, for the pairs in this one of `shares` shares.

    A text of one row has one image; other pairs go into the set `seen` (uint64, a power of two; 0: free) as one hash.
    """
    mask = np.uint64(len(seen) - 1)
    for k in range(len(ids)):
        if images[k] == 0:
            continue
        if n_rows[ids[k]] == 1:
            n_images[ids[k]] = 1
            continue
        pair = mix64((np.uint64(ids[k]) + np.uint64(1)) * _IMAGE ^ images[k])
        if (pair >> np.uint64(40)) % np.uint64(shares) != np.uint64(share):
            continue
        pair |= np.uint64(pair == 0)
        at = pair & mask
        while seen[at] != 0 and seen[at] != pair:
            at = (at + np.uint64(1)) & mask
        if seen[at] == 0:
            seen[at] = pair
            n_images[ids[k]] += np.uint32(1)


@leaf
def copy_pieces(values, at, which, out, ends, base):
    """Copy the pieces `which` of (values, at) next to each other into `out`; ends[k] is where piece k ends, counted
    from `base` before the first. Returns how many values were copied."""
    n = 0
    for k in range(len(which)):
        low, high = at[which[k]], at[which[k] + 1]
        for i in range(low, high):
            out[n + i - low] = values[i]
        n += high - low
        ends[k] = base + n
    return n
