"""Connected components by union-find over a uint32 array, and stars cut out of components that drift."""

from __future__ import annotations

import numpy as np

from memaudit.jit import leaf


@leaf
def root(parent, i):
    """Representative of i's set; halves paths on the way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@leaf
def unite(parent, left, right):
    """Join the sets of left[k] and right[k] for all k; the smaller id becomes the root."""
    for k in range(len(left)):
        a, b = root(parent, left[k]), root(parent, right[k])
        if a < b:
            parent[b] = a
        elif b < a:
            parent[a] = b


@leaf
def flatten(parent):
    """Make every entry its root, so that parent[i] is a component label."""
    for i in range(len(parent)):
        parent[i] = parent[parent[i]]  # a parent is smaller than its child, so it is final already


def components(n: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Component label (uint32, the smallest member) of each of n nodes under the edges left[k] - right[k]."""
    parent = np.arange(n, dtype=np.uint32)
    unite(parent, left, right)
    flatten(parent)
    return parent
