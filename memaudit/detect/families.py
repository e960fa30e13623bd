"""Families: findings that speak of the same captions, so that a reader is shown one and not ten variants."""

from __future__ import annotations

import numba as nb
import numpy as np

COVERED = 0.5  # a cluster joins a family that holds at least this share of its texts


@nb.njit(cache=True, nogil=True)
def _adopt(order, member_at, text, owner, family, covered):
    tally = np.zeros(len(family), np.int64)
    for c in order:
        first, last = member_at[c], member_at[c + 1]
        head, most = c, 0
        for e in range(first, last):
            o = owner[text[e]]
            if o >= 0:
                tally[o] += 1
                if tally[o] > most or (tally[o] == most and o < head):
                    head, most = o, tally[o]
        for e in range(first, last):
            if owner[text[e]] >= 0:
                tally[owner[text[e]]] = 0
        if most < covered * (last - first):
            head = c
        family[c] = head
        for e in range(first, last):
            if owner[text[e]] < 0:
                owner[text[e]] = head


def families(order: np.ndarray, member_at: np.ndarray, text: np.ndarray, n_texts: int) -> np.ndarray:
    """int64 by cluster: the cluster that heads its family.

    order: clusters by descending risk, so that the riskiest of a family is its head. A text belongs to the first
    family that covers it.
    """
    family = np.full(len(member_at) - 1, -1, np.int64)
    _adopt(order, member_at, text, np.full(n_texts, -1, np.int64), family, COVERED)
    return family
