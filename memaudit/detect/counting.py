"""Counting equal values inside kernels, by a small hash table: linear where sorting is not, and cheap to compile."""

from __future__ import annotations

import numpy as np

from memaudit.jit import kernel
from memaudit.text.hashing import mix64

COUNT, FIRST, PLACE = range(3)  # columns of `groups`
_COUNT, _FIRST, _PLACE = COUNT, FIRST, PLACE
_LEAST = 16


@kernel
def workspace():
    """An empty table and groups for `count_values`."""
    return np.zeros(4 * _LEAST, np.int64), np.empty((_LEAST, 3), np.int64)


@kernel
def count_values(values, n, table, groups):
    """Group equal values among values[:n] (uint64); groups are numbered in the order of first occurrence.

    groups[i]: how many values, the position of the first, its place in the table. Returns (number of groups, table,
    groups), the last two grown where they were too small; the table (int64) comes and leaves filled with 0.
    """
    if n > len(groups):
        groups = np.empty((2 * n, 3), np.int64)
    used = _LEAST  # of the table: few values stay in few cache lines
    while used < 2 * n:
        used *= 2
    if used > len(table):
        table = np.zeros(2 * used, np.int64)
    if n == 2:  # so are most clusters
        groups[0, _FIRST], groups[1, _FIRST], groups[1, _COUNT] = 0, 1, 1
        distinct = 1 + np.int64(values[0] != values[1])
        groups[0, _COUNT] = 3 - distinct
        return distinct, table, groups
    mask, distinct = np.int64(used - 1), np.int64(0)
    for i in range(n):
        at = np.int64(mix64(values[i]) >> np.uint64(1)) & mask
        while table[at] != 0 and values[groups[table[at] - 1, _FIRST]] != values[i]:
            at = (at + 1) & mask
        if table[at] == 0:
            groups[distinct, _COUNT], groups[distinct, _FIRST], groups[distinct, _PLACE] = 0, i, at
            distinct += 1
            table[at] = distinct
        groups[table[at] - 1, _COUNT] += 1
    for g in range(distinct):
        table[groups[g, _PLACE]] = 0
    return distinct, table, groups


@kernel
def mark_repeated(values, n, distinct, table, groups, again):
    """again[i] (bool): whether values[i] occurs twice among values[:n]; the other arguments as `count_values` took and
    returned them. The table comes and leaves filled with 0."""
    if distinct == n or distinct == 1:  # neither takes a look-up
        again[:n] = distinct < n
        return
    used = _LEAST
    while used < 2 * n:
        used *= 2
    mask = np.int64(used - 1)
    for g in range(distinct):
        table[groups[g, _PLACE]] = g + 1
    for i in range(n):
        at = np.int64(mix64(values[i]) >> np.uint64(1)) & mask
        while values[groups[table[at] - 1, _FIRST]] != values[i]:
            at = (at + 1) & mask
        again[i] = groups[table[at] - 1, _COUNT] > 1
    for g in range(distinct):
        table[groups[g, _PLACE]] = 0
