"""Families: findings that speak of the same captions, so that a reader is shown one and not ten variants."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.jit import kernel, leaf

COVERED = 0.5  # a cluster lies under a broader one that holds at least this share of its texts,
AS_RISKY = 0.8  # is the same news as that one where that one's risk is at least this share of its own,
KIN = 0.2  # and is of the same family where it is at least this; below that it is a phrase that many share
AS_BROAD = 0.9  # a head is as broad as another one that has at most so many texts more


class Families(NamedTuple):
    """By cluster: int64, the cluster that heads its family, and the next broader one of the same family (-1 for none);
    both -1 for clusters that were not asked for.

    The head is the broadest of the family that is about as risky as its riskiest; of those that are as broad the
    riskiest, which reads best.
    """

    head: np.ndarray
    parent: np.ndarray


@kernel
def _adopt(order, risk, member_at, text, owner, same, parent):
    """same[c]: the broader cluster whose news c is, c where it is its own; parent[c]: the next broader of its kin."""
    tally = np.zeros(len(same), np.int64)
    for c in order:
        first, last = member_at[c], member_at[c + 1]
        head, most, kin, kin_most = -1, 0, -1, 0
        for e in range(first, last):
            o = owner[text[e]]
            if o < 0 or risk[o] < KIN * risk[c]:
                continue
            tally[o] += 1
            if tally[o] > kin_most or (tally[o] == kin_most and o < kin):
                kin, kin_most = o, tally[o]
            if risk[o] >= AS_RISKY * risk[c] and (tally[o] > most or (tally[o] == most and o < head)):
                head, most = o, tally[o]
        for e in range(first, last):
            if owner[text[e]] >= 0:
                tally[owner[text[e]]] = 0
        if most >= COVERED * (last - first):
            same[c] = parent[c] = head
            continue
        same[c] = c
        if kin_most >= COVERED * (last - first):
            parent[c] = kin
        for e in range(first, last):
            owner[text[e]] = c


@leaf
def _choose_heads(order, risk, member_at, same, parent, root, best, broadest, head):
    """root, best, broadest: scratch; head[c] by cluster."""
    for c in order:  # broader ones come first
        root[c] = c if parent[c] < 0 else root[parent[c]]
        best[root[c]] = max(best[root[c]], risk[c])
    for c in order:
        r, size = root[c], member_at[c + 1] - member_at[c]
        if head[r] < 0:
            if risk[c] >= AS_RISKY * best[r] and same[c] == c:
                head[r], broadest[r] = c, size
        elif size >= AS_BROAD * broadest[r] and risk[c] > risk[head[r]]:
            head[r] = c
    for i in range(len(order) - 1, -1, -1):
        head[order[i]] = head[root[order[i]]]


def families(order: np.ndarray, risk: np.ndarray, member_at: np.ndarray, text: np.ndarray, n_texts: int) -> Families:
    """Families of clusters.

    order: clusters from the broadest to the narrowest. A text belongs to the narrowest news that covers it so far.
    """
    n = len(member_at) - 1
    same, parent, head = (np.full(n, -1, np.int64) for _ in range(3))
    _adopt(order, risk, member_at, text, np.full(n_texts, -1, np.int64), same, parent)
    scratch = np.zeros(n, np.int64), np.zeros(n, np.float32), np.zeros(n, np.int64)
    _choose_heads(order, risk, member_at, same, parent, *scratch, head)
    return Families(head, parent)
