"""Near clusters: components of checked edges, cut into stars where members drift from their representative.

In a chain A ~ B ~ C of one-word edits A and C may share little. Every member of a cluster is therefore compared with
the cluster's representative; those below `drift` leave and form clusters of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from memaudit.detect.near import jaccard
from memaudit.ragged import offsets_of, pick

if TYPE_CHECKING:
    from memaudit.detect.near import Edges, Streams

DRIFT = 0.2  # a member may be so much less similar to its representative than an edge must be

_jit = nb.njit(cache=True, nogil=True)


class Stars(NamedTuple):
    """Near clusters: cluster k owns entries member_at[k]:member_at[k + 1], its representative first.

    text: uint32, similarity: float32 Jaccard to the representative (1 for itself), by entry.
    """

    member_at: np.ndarray
    text: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.member_at) - 1


def _neighbours(n: int, edges: Edges) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adjacency as (start int64 (n + 1,), neighbour uint32, similarity float32)."""
    ends = np.concatenate([edges.left, edges.right])
    other = np.concatenate([edges.right, edges.left])
    order = np.argsort(ends, kind="stable")
    return offsets_of(np.bincount(ends, minlength=n)), other[order], np.tile(edges.similarity, 2)[order]


@_jit
def _grow(order, start, neighbour, known, words, word_at, least, star, text, similarity, member_at):
    """Breadth first from each text of `order` that no star holds yet; a text joins when it is similar to the star's
    centre.

    Texts that do not join are not expanded, and wait for a star of their own. O(edges) comparisons.
    """
    buffers = np.empty((2, 1024), np.uint32)
    tried = np.full(len(star), -1, np.int64)
    n, stars, attempt = 0, 0, 0
    for centre in order:
        if star[centre] >= 0:
            continue
        first, attempt = n, attempt + 1
        star[centre] = stars
        text[n], similarity[n] = centre, 1.0
        n += 1
        at = first
        while at < n:
            for e in range(start[text[at]], start[text[at] + 1]):
                t = neighbour[e]
                if star[t] >= 0 or tried[t] == attempt:
                    continue
                tried[t] = attempt
                s = known[e] if at == first else jaccard(words, word_at, centre, t, buffers)
                if s >= least:
                    star[t] = stars
                    text[n], similarity[n] = t, s
                    n += 1
            at += 1
        if n - first == 1:
            n = first  # a text whose neighbours all left for other stars
            continue
        stars += 1
        member_at[stars] = n
    return stars


def cut_stars(streams: Streams, edges: Edges, threshold: float) -> Stars:
    """Near clusters of at least two texts.

    Centres are taken by number of edges, then by key, so that neither the order of texts nor how often each occurs
    matters.
    """
    touched, compact = np.unique(np.concatenate([edges.left, edges.right]), return_inverse=True)
    m = len(touched)
    left, right = np.split(compact.astype(np.uint32), 2)
    start, neighbour, known = _neighbours(m, edges._replace(left=left, right=right))
    order = np.lexsort((streams.key_hi[touched], streams.key_lo[touched], -np.diff(start))).astype(np.uint32)
    text, similarity, member_at = np.empty(m, np.uint32), np.empty(m, np.float32), np.zeros(m + 1, np.int64)
    own = pick(streams.words, streams.word_at, touched.astype(np.int64))
    n = _grow(
        order,
        start,
        neighbour,
        known,
        own.values,
        own.at,
        threshold - DRIFT,
        np.full(m, -1, np.int64),
        text,
        similarity,
        member_at,
    )
    used = member_at[n]
    return Stars(member_at[: n + 1].copy(), touched[text[:used]].astype(np.uint32), similarity[:used].copy())
