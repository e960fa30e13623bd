"""Near clusters: components of checked edges, cut into stars where members drift from their representative.

In a chain A ~ B ~ C of one-word edits A and C may share little. Every member of a cluster is therefore compared with
the cluster's representative; those below `drift` leave and form clusters of their own. Components are independent, so
they are cut some at a time, and only where no text neighbours all others are words looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect.bands import SWEEP
from memaudit.detect.jaccard import MARKS, TABLE, distinct_shingles, jaccard
from memaudit.jit import kernel
from memaudit.ragged import Pieces, offsets_of, pick
from memaudit.scratch import release

if TYPE_CHECKING:
    from memaudit.detect.near import Edges, Streams

DRIFT = 0.2  # a member may be so much less similar to its representative than an edge must be
GROUP = 1 << 20  # edges cut at a time, whole components
LONGEST = 1024  # shingles of the longest text, and one


class Stars(NamedTuple):
    """Near clusters: cluster k owns entries member_at[k]:member_at[k + 1], its representative first.

    text: uint32, similarity: float32 Jaccard to the representative (1 for itself), by entry.
    """

    member_at: np.ndarray
    text: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.member_at) - 1


class _Graph(NamedTuple):
    """Components to cut. Texts are numbered from 0; text i neighbours other[start[i]:start[i + 1]]."""

    texts: np.ndarray  # their numbers in the streams, ascending
    start: np.ndarray  # int64 (texts + 1,)
    other: np.ndarray  # uint32
    similarity: np.ndarray  # float32, of the edge


def _graph(left: np.ndarray, right: np.ndarray, similarity: np.ndarray) -> _Graph:
    texts, compact = np.unique(np.concatenate([left, right]), return_inverse=True)
    compact = compact.astype(np.uint32)
    order = np.argsort(compact, kind="stable")
    other = np.concatenate([compact[len(left) :], compact[: len(left)]])[order]
    degree = np.bincount(compact, minlength=len(texts))
    return _Graph(texts, offsets_of(degree), other, np.tile(similarity, 2)[order])


@kernel
def _grow(order, start, neighbour, known, words, word_at, least, star, text, similarity, member_at):
    """Breadth first from each text of `order` that no star holds yet; a text joins when it is similar to the star's
    centre.

    Texts that do not join are not expanded, and wait for a star of their own. O(edges) comparisons.
    """
    own, theirs, marks = np.empty(LONGEST, np.uint32), np.empty(LONGEST, np.uint32), np.empty(MARKS, np.uint64)
    table = np.empty(TABLE, np.uint16)
    tried = np.full(len(star), -1, np.int64)
    n, stars, attempt = 0, 0, 0
    for centre in order:
        if star[centre] >= 0:
            continue
        first, attempt, size = n, attempt + 1, 0
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
                s = np.float64(known[e])
                if at > first:
                    if size == 0:
                        size = distinct_shingles(words, word_at[centre], word_at[centre + 1], own, 0, marks, table)
                    m = distinct_shingles(words, word_at[t], word_at[t + 1], theirs, 0, marks, table)
                    s = jaccard(own, size, theirs, m, table)
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


def _words_where_needed(streams: Streams, graph: _Graph, component: np.ndarray) -> Pieces:
    """Words of the texts of components in which no text neighbours all others; of other texts nothing.

    component: of each text of the graph, numbered from 0.
    """
    widest, degree = np.zeros(component.max() + 1, np.int64), np.diff(graph.start)
    np.maximum.at(widest, component, degree)
    needed = (widest < np.bincount(component) - 1)[component]
    texts, parts = graph.texts[needed].astype(np.int64), []
    step = max(1, len(streams.key_lo) * SWEEP // (streams.words.nbytes + streams.word_at.nbytes + 1))
    for some in np.split(texts, np.searchsorted(texts, np.arange(step, len(streams.key_lo), step))):
        if len(some):
            parts.append(pick(streams.words, streams.word_at, some).values)
            release(streams.words, streams.word_at)
    lengths = np.zeros(len(needed), np.int64)
    lengths[needed] = streams.word_at[texts + 1] - streams.word_at[texts]
    release(streams.word_at)
    return Pieces(offsets_of(lengths), np.concatenate([np.empty(0, np.uint32), *parts]))


def _cut(streams: Streams, edges: Edges, label: np.ndarray, threshold: float) -> tuple[Stars, np.ndarray]:
    """Stars of whole components, and the number of edges of each one's centre."""
    graph = _graph(*edges)
    m = len(graph.texts)
    degree = np.diff(graph.start)
    order = np.lexsort((streams.key_hi[graph.texts], streams.key_lo[graph.texts], -degree)).astype(np.uint32)
    release(streams.key_hi, streams.key_lo)
    words = _words_where_needed(streams, graph, np.unique(label[graph.texts], return_inverse=True)[1])
    text, similarity, member_at = np.empty(m, np.uint32), np.empty(m, np.float32), np.zeros(m + 1, np.int64)
    n = _grow(
        order,
        *graph[1:],
        words.values,
        words.at,
        threshold - DRIFT,
        np.full(m, -1, np.int64),
        text,
        similarity,
        member_at,
    )
    used = member_at[n]
    stars = Stars(member_at[: n + 1].copy(), graph.texts[text[:used]], similarity[:used].copy())
    return stars, degree[text[member_at[:n]]]


def _pairs(streams: Streams, edges: Edges) -> Stars:
    """Components of one edge: the text with the smaller key is the centre."""
    left, right = edges.left, edges.right
    low, high = (np.stack([key[left], key[right]]) for key in (streams.key_lo, streams.key_hi))
    release(streams.key_lo, streams.key_hi)
    swap = (low[1] < low[0]) | ((low[1] == low[0]) & (high[1] < high[0]))
    text = np.stack([np.where(swap, right, left), np.where(swap, left, right)], axis=1).ravel()
    similarity = np.stack([np.ones(len(left), np.float32), edges.similarity], axis=1).ravel()
    return Stars(2 * np.arange(len(left) + 1), text, similarity)


def cut_stars(streams: Streams, edges: Edges, label: np.ndarray, threshold: float) -> Stars:
    """Near clusters of at least two texts. label: the component of each text.

    Centres are taken by number of edges, then by key, so that neither the order of texts nor how often each occurs
    matters; clusters come in that order as well. Takes some 50 bytes an edge, and what GROUP edges need.
    """
    component = label[edges.left]
    order = np.argsort(component, kind="stable")
    component = component[order]
    first = np.flatnonzero(np.r_[component[:1] == component[:1], component[1:] != component[:-1]])
    size = np.diff(first, append=len(order))
    alone, shared = order[first[size == 1]], order[np.repeat(size > 1, size)]
    ends = np.cumsum(size[size > 1])
    parts = []
    for some in np.split(alone, np.arange(GROUP, len(alone), GROUP)):
        pairs = _pairs(streams, edges.take(some))
        parts.append((pairs, np.ones(len(pairs), np.int64)))
    groups = np.split(shared, ends[np.flatnonzero(np.diff(ends // GROUP))])
    parts += [_cut(streams, edges.take(some), label, threshold) for some in groups if len(some)]
    return _in_order(streams, parts)


def _in_order(streams: Streams, parts: list[tuple[Stars, np.ndarray]]) -> Stars:
    """All stars, by number of edges of their centres, most first, then by key."""
    at = offsets_of(np.concatenate([np.diff(stars.member_at) for stars, _ in parts]))
    text = np.concatenate([stars.text for stars, _ in parts])
    degree = np.concatenate([degree for _, degree in parts])
    order = np.lexsort((streams.key_lo[text[at[:-1]]], -degree))
    release(streams.key_lo)
    members = pick(np.arange(len(text)), at, order)
    similarity = np.concatenate([stars.similarity for stars, _ in parts])
    return Stars(members.at, text[members.values], similarity[members.values])
