"""Families: findings that speak of the same captions, so that a reader is shown one and not ten variants."""

from __future__ import annotations

import numpy as np

from memaudit.jit import kernel

COVERED = 0.5  # a cluster joins a broader one that holds at least this share of its texts,
AS_RISKY = 0.8  # where that one's risk is at least this share of its own: otherwise the narrow one is the news


@kernel
def _adopt(order, risk, member_at, text, owner, family):
    tally = np.zeros(len(family), np.int64)
    for c in order:
        first, last = member_at[c], member_at[c + 1]
        head, most = -1, 0
        for e in range(first, last):
            o = owner[text[e]]
            if o >= 0 and risk[o] >= AS_RISKY * risk[c]:
                tally[o] += 1
                if tally[o] > most or (tally[o] == most and o < head):
                    head, most = o, tally[o]
        for e in range(first, last):
            if owner[text[e]] >= 0:
                tally[owner[text[e]]] = 0
        if most >= COVERED * (last - first):
            family[c] = head
            continue
        family[c] = c
        for e in range(first, last):
            owner[text[e]] = c


def families(order: np.ndarray, risk: np.ndarray, member_at: np.ndarray, text: np.ndarray, n_texts: int) -> np.ndarray:
    """int64 by cluster: the cluster that heads its family; -1 for clusters not in `order`.

    order: clusters from the broadest to the narrowest. A text belongs to the narrowest head that covers it so far.
    """
    family = np.full(len(member_at) - 1, -1, np.int64)
    _adopt(order, risk, member_at, text, np.full(n_texts, -1, np.int64), family)
    return family
