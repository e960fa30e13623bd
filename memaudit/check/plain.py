"""One prompt looked up in plain Python: the definition of a match, and the road for a single prompt.

Loading compiled kernels costs more than a second of processor time; this answers in some milliseconds. `matching` does
the same for many, and a test holds the two together.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from memaudit.check.rules import (
    BUDGET,
    EXACT,
    LEAST_BITS,
    MIN_WORDS,
    MOST,
    NEAR,
    PARTIAL,
    RARE_MEMBERS,
    RARE_WORDS,
    SHARED,
    TEMPLATE,
    TRIGGER,
    UNITS,
    Hit,
)
from memaudit.check.words import bigram, shingles, streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from memaudit.check.index import Index
    from memaudit.check.words import Streams


def match(index: Index, prompt: bytes, threshold: float) -> list[Hit]:
    """The findings that a prompt matches, the worst first, at most `MOST`; of each the closest kind."""
    cut = streams(prompt)
    best: dict[int, Hit] = {}
    for hit in (*_members(index, cut, threshold), *_templates(index, cut), *_triggers(index, cut)):
        known = best.get(hit.finding)
        if known is None or _closeness(hit) < _closeness(known):
            best[hit.finding] = hit
    return sorted(best.values())[:MOST]


def _closeness(hit: Hit) -> tuple[int, float, int]:
    return hit.kind, -hit.similarity, hit.source


def find(start: np.ndarray, hashes: np.ndarray, h: int) -> int:
    """Where a hash stands in a table, -1 where it does not."""
    width = 8 * hashes.itemsize - (len(start) - 1).bit_length() + 1
    for p in range(int(start[h >> width]), int(start[(h >> width) + 1])):
        if int(hashes[p]) == h:
            return p
    return -1


def _members(index: Index, cut: Streams, threshold: float) -> Iterator[Hit]:
    """Findings that own a member with the prompt's words, or with nearly these."""
    p = find(index.key_start, index.key_lo, cut.key_lo)
    if p >= 0 and int(index.key_hi[p]) == cut.key_hi:
        yield from _owners(index, p, EXACT, 1.0)
    if len(cut.words) < MIN_WORDS:
        return
    own = shingles(cut.words)
    at = {h: find(index.sh_start, index.sh_hash, h) for h in own}
    weight = {w: int(index.sh_weight[at[w]] if at[w] >= 0 else index.unknown[0]) for w in cut.words}
    bits = sum(weight.values())
    for member in _candidates(index, [at[h] for h in own], [h in weight for h in own], threshold):
        other = set(index.set[index.set_at[member] : index.set_at[member + 1]].tolist())
        both = sum(h in other for h in own)
        jaccard = both / (len(own) + len(other) - both)
        if jaccard >= threshold:
            yield from _owners(index, member, NEAR, jaccard)
        shared = sum(w for word, w in weight.items() if word in other)
        share = shared / max(1, min(bits, int(index.bits[member])))
        if shared >= LEAST_BITS * UNITS and share >= SHARED:
            yield from _owners(index, member, PARTIAL, min(share, 1.0))


def _owners(index: Index, member: int, kind: int, similarity: float) -> Iterator[Hit]:
    for finding in index.own[index.own_at[member] : index.own_at[member + 1]].tolist():
        yield Hit(finding, kind, similarity, member)


def _candidates(index: Index, at: list[int], is_word: list[bool], threshold: float) -> list[int]:
    """Members that may be near, by the lists of the prompt's shingles, the shortest first: of its rarest, and of its
    rarest words, the whole list, of others those members for which the shingle is one of the rarest. See `posting`."""
    times = [0 if p < 0 else int(index.sh_at[p + 1] - index.sh_at[p]) for p in at]
    n = len(at)
    rare = min(n, n - math.ceil(threshold * n - 1e-9) + 1)
    found: dict[int, None] = {}
    left, words = BUDGET, 0
    for i, k in enumerate(sorted(range(n), key=lambda k: (times[k], k))):
        if at[k] < 0:
            continue
        words += is_word[k]
        whole = i < rare or (is_word[k] and words <= RARE_WORDS and times[k] <= RARE_MEMBERS)
        first = int(index.sh_at[at[k]])
        last = min(int(index.sh_at[at[k] + 1] if whole else index.sh_mid[at[k]]), first + left)
        left -= last - first
        found.update(dict.fromkeys(index.sh_list[first:last].tolist()))
    return list(found)


def _templates(index: Index, cut: Streams) -> Iterator[Hit]:
    """Findings whose template's fixed runs stand in the prompt, in order."""
    tokens = cut.tokens[1:-1]
    keys = [*tokens, *(bigram(a, b) for a, b in pairwise(tokens))]
    for frame in _listed(index.fr_start, index.fr_hash, index.fr_at, index.fr_list, keys):
        runs = index.fr_tokens[index.fr_token_at[frame] : index.fr_token_at[frame + 1]].tolist()
        if holds(tokens, runs, index.fr_ends[frame].tolist()):
            yield Hit(int(index.fr_finding[frame]), TEMPLATE, len(runs) / len(tokens), frame)


def _triggers(index: Index, cut: Streams) -> Iterator[Hit]:
    """Findings one of whose word sets stands in the prompt, in order."""
    for number in _listed(index.tr_start, index.tr_hash, index.tr_at, index.tr_list, cut.words):
        words = index.tr_words[index.tr_word_at[number] : index.tr_word_at[number + 1]].tolist()
        if holds(cut.words, words, index.tr_ends[number].tolist()):
            yield Hit(int(index.tr_finding[number]), TRIGGER, 0.0, number)


def _listed(start: np.ndarray, hashes: np.ndarray, at: np.ndarray, listed: np.ndarray, keys: list[int]) -> list[int]:
    found: dict[int, None] = {}
    for key in dict.fromkeys(keys):
        if (p := find(start, hashes, key)) >= 0:
            found.update(dict.fromkeys(listed[at[p] : at[p + 1]].tolist()))
    return list(found)


def holds(stream: list[int], runs: list[int], ends: list[int]) -> bool:
    """Whether runs[:ends[0]], runs[ends[0]:ends[1]], ... stand in a stream, in order and without overlap: taking each
    where it first fits finds them if anything does."""
    at, before = 0, 0
    for end in ends:
        run = runs[before:end]
        while at + len(run) <= len(stream) and stream[at : at + len(run)] != run:
            at += 1
        if at + len(run) > len(stream):
            return False
        at, before = at + len(run), end
    return True
