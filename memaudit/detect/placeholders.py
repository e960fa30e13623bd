"""Placeholder pictures: one picture under many captions that have nothing in common, such as an error picture.

Such a picture repeats, but no words trigger it, so it says nothing about a cluster.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.jit import kernel, leaf
from memaudit.ragged import blocks
from memaudit.scratch import release

LEAST = 10  # distinct captions of a placeholder
SAMPLED = 12  # captions of a picture that are compared with each other
UNRELATED = 0.15  # mean Jaccard of their word sets below which they have nothing in common
PAIRS = 1 << 22  # (picture, caption) pairs looked at; in larger datasets a placeholder must repeat more often
LEAST_BITS, MOST_BITS = 16, 25
LONGEST = 64  # words of a caption that are compared
BLOCK = 1 << 22  # rows passed over between two releases of mapped pages

_LONGEST = LONGEST


class Placeholders(NamedTuple):
    """By picture, ascending: its key (uint64), rows and distinct captions that show it (int64)."""

    image: np.ndarray
    n_rows: np.ndarray
    n_texts: np.ndarray


@leaf
def _count(image, counts):
    mask = np.uint64(len(counts) - 1)
    for key in image:
        at = key & mask
        counts[at] += np.uint32(key != 0)


@leaf
def _collect(image, text, counts, least, out_image, out_text, n):
    mask = np.uint64(len(counts) - 1)
    for k in range(len(image)):
        if image[k] != 0 and counts[image[k] & mask] >= least:
            out_image[n], out_text[n] = image[k], text[k]
            n += 1
    return n


@leaf
def _shared(one, other):
    """Words of `one` that `other` holds, and distinct words of both together."""
    shared = distinct = np.int64(0)
    for i in range(len(one)):
        first = True
        for k in range(i):
            first = first and one[k] != one[i]
        if first:
            distinct += 1
            for k in range(len(other)):
                if other[k] == one[i]:
                    shared += 1
                    break
    for i in range(len(other)):
        first = True
        for k in range(i):
            first = first and other[k] != other[i]
        distinct += np.int64(first)
    return shared, distinct - shared


@leaf
def _likeness(texts, words, word_at):
    """Mean Jaccard of the word sets of all pairs of texts."""
    total, pairs = 0.0, 0
    for i in range(len(texts)):
        a = np.int64(texts[i])
        one = words[word_at[a] : min(word_at[a + 1], word_at[a] + _LONGEST)]
        for k in range(i):
            b = np.int64(texts[k])
            shared, union = _shared(one, words[word_at[b] : min(word_at[b + 1], word_at[b] + _LONGEST)])
            total += shared / max(union, 1)
            pairs += 1
    return total / max(pairs, 1)


@kernel
def _judge(starts, text, new, words, word_at, least, sampled, unrelated, n_texts):
    """Which runs of equal pictures are placeholders. Run r owns entries starts[r]..starts[r + 1] - 1, texts ascending;
    new: whether an entry's text differs from the one before."""
    out = np.zeros(len(starts) - 1, np.bool_)
    chosen = np.empty(sampled, np.uint32)
    for r in range(len(out)):
        first, last = starts[r], starts[r + 1]
        n = np.int64(0)
        for e in range(first, last):
            n += np.int64(new[e] or e == first)
        n_texts[r] = n
        if n < least:
            continue
        seen, taken = np.int64(0), np.int64(0)
        for e in range(first, last):
            if new[e] or e == first:
                if taken < sampled and seen * sampled >= taken * n:  # evenly spread over the distinct texts
                    chosen[taken] = text[e]
                    taken += 1
                seen += 1
        out[r] = _likeness(chosen[:taken], words, word_at) < unrelated
    return out


def find_placeholders(image: np.ndarray, text: np.ndarray, words: np.ndarray, word_at: np.ndarray) -> Placeholders:
    """Pictures under at least `LEAST` distinct captions whose words have nothing in common.

    image (uint64 keys, 0 for none) and text (uint32) by row; words of text t: words[word_at[t]:word_at[t + 1]]. All may
    be mapped. Two passes over the rows; up to 128 MB for counts and 12 bytes a pair.
    """
    none = Placeholders(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))
    counts = np.zeros(1 << min(max(len(image).bit_length(), LEAST_BITS), MOST_BITS), np.uint32)
    for a, b in blocks(len(image), BLOCK):
        _count(image[a:b], counts)
        release(image)
    least, n = _affordable(counts)
    if n == 0:
        return none
    images, texts, n = np.empty(n, np.uint64), np.empty(n, np.uint32), 0
    for a, b in blocks(len(image), BLOCK):
        n = _collect(image[a:b], text[a:b], counts, least, images, texts, n)
        release(image, text)
    order = np.lexsort((texts[:n], images[:n]))
    images, texts = images[:n][order], texts[:n][order]
    starts = np.flatnonzero(np.concatenate([[True], images[1:] != images[:-1], [True]]))
    new = np.concatenate([[True], texts[1:] != texts[:-1]])
    n_texts = np.zeros(len(starts) - 1, np.int64)
    found = _judge(starts, texts, new, words, word_at, LEAST, SAMPLED, UNRELATED, n_texts)
    release(words, word_at)
    return Placeholders(images[starts[:-1]][found], np.diff(starts)[found], n_texts[found])


def _affordable(counts: np.ndarray) -> tuple[int, int]:
    """The lowest count, from `LEAST` on, so that the pictures that reach it have at most `PAIRS` rows, and how many
    those are."""
    rows = np.sort(counts[counts >= LEAST])[::-1].astype(np.int64)
    total = np.cumsum(rows)
    n = int(np.searchsorted(total, PAIRS, side="right"))
    if n == len(rows):
        return LEAST, int(total[-1]) if n else 0
    least = int(rows[n]) + 1
    return least, int(rows[rows >= least].sum())
