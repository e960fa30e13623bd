"""True Jaccard similarity of shingle sets: the count that decides about every edge."""

from __future__ import annotations

import numpy as np

from memaudit.detect.minhash import bigram
from memaudit.jit import leaf
from memaudit.text.hashing import popcount

TABLE = 1 << 13  # places of a hash table for one text: eight for each of the 1,023 shingles of the longest
MARKS = 2  # uint64 a text: one bit for each shingle, at a place that its value decides


@leaf
def _emptied(table, n):
    """Empty as much of `table` (uint16) as n values need; returns the mask for places in it."""
    size = 32
    while size < 8 * n and size < len(table):
        size *= 2
    for k in range(size):
        table[k] = 0
    return np.int64(size - 1)


@leaf
def _place(table, mask, values, at, v):
    """Where v stands in the table, or the empty place where it would. Places hold positions in values[at:], plus 1."""
    place = np.int64(v) & mask
    while table[place] and values[at + table[place] - 1] != v:
        place = (place + 1) & mask
    return place


@leaf
def distinct_shingles(words, first, last, out, at, marks, table):
    """Write the distinct shingles of words[first:last] to `out` from `at` on, in no order; returns how many.

    out: uint32, room for 2 * (last - first) - 1 values. marks: uint64 (MARKS,), set. table: uint16 (TABLE,), scratch.
    """
    mask = _emptied(table, 2 * (last - first))
    n = 0
    marks[0], marks[1] = 0, 0
    for i in range(2 * (last - first) - 1):
        k = first + (i >> 1)
        shingle = bigram(words[k], words[k + 1]) if i & 1 else words[k]
        place = _place(table, mask, out, at, shingle)
        if table[place] == 0:
            out[at + n] = shingle
            marks[shingle >> np.uint32(31)] |= np.uint64(1) << np.uint64((shingle >> np.uint32(25)) & np.uint32(63))
            n += 1
            table[place] = n
    return n


@leaf
def may_reach(threshold, n, m, x_marks, y_marks):
    """Whether sets of n and m values with these marks can have a Jaccard of `threshold`; never wrongly False.

    A mark that only one set has stands for at least one value that only this set has.
    """
    only_x = popcount(x_marks[0] & ~y_marks[0]) + popcount(x_marks[1] & ~y_marks[1])
    only_y = popcount(y_marks[0] & ~x_marks[0]) + popcount(y_marks[1] & ~x_marks[1])
    both = min(n - only_x, m - only_y)
    return both / (n + m - both) >= threshold


@leaf
def jaccard(x, n, y, m, table):
    """Jaccard of the sets x[:n] and y[:m] (uint32, each without repeats, n > 0). table: uint16 (TABLE,), scratch."""
    mask = _emptied(table, n)
    for i in range(n):
        table[_place(table, mask, x, 0, x[i])] = i + 1
    both = 0
    for i in range(m):
        both += table[_place(table, mask, x, 0, y[i])] != 0
    return both / (n + m - both)
