"""Sorting: one small shell sort for kernels, because numba compiles numpy's sorts anew for every type, 1 to 3 s each;
and positions that sort 64-bit keys."""

from __future__ import annotations

import numpy as np

from memaudit.jit import leaf


def stable_order(keys: np.ndarray) -> np.ndarray:
    """Positions that sort uint64 keys, equal keys in order of position; fewer than 2^32 keys.

    High halves are packed with positions into one integer, which numpy sorts ten times faster than it argsorts; keys
    that differ in their low half only are then put right.
    """
    packed = (keys & np.uint64(0xFFFFFFFF00000000)) | np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    order = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    _mend_order(keys, order)
    return order


@leaf
def _mend_order(keys, order):
    first = 0
    for i in range(1, len(order) + 1):
        if i < len(order) and keys[order[i]] >> np.uint64(32) == keys[order[first]] >> np.uint64(32):
            continue
        mixed = False
        for k in range(first + 1, i):
            mixed |= keys[order[k]] != keys[order[first]]
        if mixed:
            for k in range(first + 1, i):  # a short run, in order of position: insertion keeps that order among equals
                position, at = order[k], k
                while at > first and keys[order[at - 1]] > keys[position]:
                    order[at] = order[at - 1]
                    at -= 1
                order[at] = position
        first = i


@leaf
def lower_bound(values, key):
    """The first position of an ascending array whose value is not below `key`."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@leaf
def shell_sort(values):
    """Sort an array ascending, in place. Gaps of Ciura (2001), then times 2.25; meant for short arrays, fair on long
    ones."""
    gap = 1
    while gap * 9 // 4 < len(values):
        gap = _wider(gap)
    while gap >= 1:
        for i in range(gap, len(values)):
            v, j = values[i], i
            while j >= gap and values[j - gap] > v:
                values[j] = values[j - gap]
                j -= gap
            values[j] = v
        gap = _narrower(gap)


@leaf
def _wider(gap):
    for g in (1, 4, 10, 23, 57, 132, 301, 701):
        if g > gap:
            return g
    return gap * 9 // 4


@leaf
def _narrower(gap):
    """The widest gap below `gap`; 0 below 1."""
    if gap == 1:
        return 0
    g = 1
    while True:
        after = _wider(g)
        if after >= gap:
            return g
        g = after
