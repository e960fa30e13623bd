"""Exact near-duplicate pairs, and the share of them that a clustering keeps together.

The truth that MinHash is measured against: no hashing of sets, no sampling; 40,000 texts take seconds.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
from scipy import sparse

BLOCK = 4_000
CHECK = 500_000


def brute_force_pairs(word_lists: list[list[str]], threshold: float) -> np.ndarray:
    """All pairs i < j with Jaccard of word unigram + bigram sets >= `threshold`, in order; int64 (m, 2).

    Texts of one or two words are left out. Exact by the prefix filter (Chaudhuri et al., ICDE 2006): two sets so
    similar share one of the rarest |A| - ceil(t |A|) + 1 shingles of each; a sparse product over those proposes every
    such pair, and each proposed pair is then counted in full.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], not {threshold}")
    sets = [shingles(words) if len(words) > 2 else frozenset() for words in word_lists]
    support = Counter(s for group in sets for s in group)
    ranked = {s: i for i, s in enumerate(sorted(support, key=lambda s: (support[s], s)))}
    rows = [sorted(ranked[s] for s in group) for group in sets]
    full = incidence(rows, len(ranked))
    # the small allowance keeps rounding from shortening a prefix
    rare = incidence([r[: len(r) - math.ceil(threshold * len(r) - 1e-9) + 1] for r in rows], len(ranked))
    sizes = np.array([len(r) for r in rows], dtype=np.int64)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(rows), BLOCK):
        proposed = sparse.triu(rare[start : start + BLOCK] @ rare.T, k=start + 1).tocoo()
        left, right = proposed.row.astype(np.int64) + start, proposed.col.astype(np.int64)
        for cut in range(0, len(left), CHECK):
            i, j = left[cut : cut + CHECK], right[cut : cut + CHECK]
            shared = np.asarray(full[i].multiply(full[j]).sum(axis=1)).ravel().astype(np.int64)
            keep = shared / (sizes[i] + sizes[j] - shared) >= threshold
            found.append(np.stack([i[keep], j[keep]], axis=1))
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def shingles(words: list[str]) -> frozenset[tuple[str, ...]]:
    """The set of word unigrams and bigrams."""
    return frozenset((w,) for w in words) | frozenset(pairwise(words))


def incidence(rows: list[list[int]], width: int) -> sparse.csr_matrix:
    """A 0/1 matrix with a row per text and a column per shingle; int32."""
    lengths = np.array([len(r) for r in rows], dtype=np.int64)
    indices = np.fromiter((i for r in rows for i in r), dtype=np.int64, count=int(lengths.sum()))
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_matrix((np.ones(len(indices), dtype=np.int32), indices, indptr), shape=(len(rows), width))


def pair_recall(pairs: np.ndarray, labels: np.ndarray) -> float:
    """The share of `pairs` int64 (m, 2) whose two texts have the same component label; 1 without any pairs."""
    if not len(pairs):
        return 1.0
    labels = np.asarray(labels)
    return float(np.mean(labels[pairs[:, 0]] == labels[pairs[:, 1]]))
