"""Which of a finding's phrases, alone or several in order, select it: the fewest words that do.

A set of phrases is held by a text that has all of them, in the order of the finding's own words and without overlap,
whatever stands between. Where no phrase alone is pure, the texts that hold one of the finding's rarest phrases are
known (`triggers.Counted`), so that what else would leave only the finding's own is counted exactly, without another
pass over the dataset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect.chosen import choose, gather_streams, numbers, texts_of
from memaudit.detect.triggers import MIN_COVERAGE, frozen
from memaudit.jit import kernel, leaf
from memaudit.ragged import Pieces, owners, pick

if TYPE_CHECKING:
    from memaudit.detect.triggers import Counted, Phrases

PARTS = 3  # phrases of a set
MOST = 3  # sets of a finding: more than one where one leaves texts of it out
PURE = 0.95  # from here on a phrase selects its finding, and no set is looked for
WORD_COST, GAP_COST = 0.01, 0.004  # of purity that one more word, and one more gap, has to add
LEAST_GAIN = 0.05  # of a finding's texts that a further set must add
CHECKS = 1 << 22  # texts times phrases of one finding that are tried at most
_PARTS = PARTS


class WordSet(NamedTuple):
    """Phrases in order (numbers of `Phrases`), and what they select: texts of the finding, and of the dataset."""

    phrases: tuple[int, ...]
    inside: int
    everywhere: int


@leaf
def _find(stream, at, end, phrase):
    """The first place from `at` on where a phrase begins, -1 where there is none."""
    for i in range(at, end - len(phrase) + 1):
        k = 0
        while k < len(phrase) and stream[i + k] == phrase[k]:
            k += 1
        if k == len(phrase):
            return i
    return np.int64(-1)


@leaf
def _holds(stream, at, end, chosen, n, words, first, size):
    """Whether a text has the phrases chosen[:n] in order. Taking each where it first fits finds them if anything
    does."""
    for c in range(n):
        p = chosen[c]
        at = _find(stream, at, end, words[first[p] : first[p] + size[p]])
        if at < 0:
            return False
        at += size[p]
    return True


@leaf
def _insert(chosen, n, p, place, size, out):
    """out = chosen[:n] and phrase p, by place; False where p overlaps one of them."""
    at = n
    for c in range(n):
        q = chosen[c]
        if place[p] < place[q] + size[q] and place[q] < place[p] + size[p]:
            return False
        if place[q] > place[p]:
            at = min(at, c)
    for c in range(n, at, -1):
        out[c] = chosen[c - 1]
    for c in range(at):
        out[c] = chosen[c]
    out[at] = p
    return True


@kernel
def _widen(stream, bounds, texts, own, n_members, low, high, anchor, words, first, size, place, chosen):
    """Add to the phrase `anchor` of a finding (phrases low..high - 1), one by one, those that make the set purest.

    texts: numbers of all texts that hold it; own: whether they are the finding's. Fills `chosen`; returns (phrases of
    the set, the finding's texts that hold it, all texts that do).
    """
    trial, best = np.zeros(_PARTS, np.int64), np.zeros(_PARTS, np.int64)
    alive = np.ones(len(texts), np.bool_)
    chosen[0] = anchor
    n, length, inside, total = np.int64(1), size[anchor], np.int64(0), np.int64(len(texts))
    for j in range(len(texts)):
        inside += own[j]
    score = WORD_COST * length - inside / (total + (total == 0))
    while n < _PARTS and total > inside:
        found = False
        for p in range(low, high):
            if not _insert(chosen, n, p, place, size, trial):
                continue
            held, mine = np.int64(0), np.int64(0)
            for j in range(len(texts)):
                t = texts[j]
                if alive[j] and _holds(stream, bounds[t], bounds[t + 1], trial, n + 1, words, first, size):
                    held += 1
                    mine += own[j]
            cost = WORD_COST * (length + size[p]) + GAP_COST * n - mine / (held + (held == 0))
            if mine >= MIN_COVERAGE * n_members and cost < score:
                found, score, inside, total = True, cost, mine, held
                best[:] = trial
        if not found:
            break
        chosen[: n + 1] = best[: n + 1]
        n, length = n + 1, np.int64(0)
        for c in range(n):
            length += size[chosen[c]]
        for j in range(len(texts)):
            t = texts[j]
            alive[j] = alive[j] and _holds(stream, bounds[t], bounds[t + 1], chosen, n, words, first, size)
    return n, inside, total


@kernel
def _cover(stream, bounds, texts, chosen, n, candidates, least, words, first, size, further):
    """Up to len(further) phrases, each the one that most of the finding's texts hold that neither the set chosen[:n]
    nor an earlier one has; earlier candidates on a tie. Fills `further`; returns how many."""
    left = np.ones(len(texts), np.bool_)
    has = np.zeros((len(candidates), len(texts)), np.bool_)
    for j in range(len(texts)):
        low, high = bounds[texts[j]], bounds[texts[j] + 1]
        left[j] = not _holds(stream, low, high, chosen, n, words, first, size)
        for c in range(len(candidates) if left[j] else 0):
            p = candidates[c]
            has[c, j] = _find(stream, low, high, words[first[p] : first[p] + size[p]]) >= 0
    m = 0
    while m < len(further):
        best, most = -1, np.int64(0)
        for c in range(len(candidates)):
            gain = np.int64(0)
            for j in range(len(texts)):
                gain += left[j] and has[c, j]
            if gain > most:
                best, most = c, gain
        if best < 0 or most < least:
            break
        for j in range(len(texts)):
            left[j] = left[j] and not has[best, j]
        further[m] = candidates[best]
        m += 1
    return m


def word_sets(
    phrases: Phrases, counted: Counted, members: Pieces, words: np.ndarray, word_at: np.ndarray
) -> list[list[WordSet]]:
    """By finding up to `MOST` sets: the one that selects it best, then those that add texts it leaves out. None where
    no phrase is held by `MIN_COVERAGE` of a finding's texts.

    words, word_at: word streams of the dataset, of which the texts of findings and anchors are copied (4 bytes a word).
    """
    best = _best_phrases(phrases, counted, np.diff(members.at))
    owner = np.searchsorted(phrases.phrase_at, counted.anchor, side="right") - 1
    impure = np.array([s is not None and s.inside < PURE * s.everywhere for s in best], np.bool_)
    _widen_all(best, np.flatnonzero(impure[owner]), owner, phrases, counted, members, words, word_at)
    return _cover_all(best, phrases, counted, members, words, word_at)


def _widen_all(
    best: list[WordSet | None],
    anchors: np.ndarray,
    owner: np.ndarray,
    phrases: Phrases,
    counted: Counted,
    members: Pieces,
    words: np.ndarray,
    word_at: np.ndarray,
) -> None:
    """Replace phrases in `best` by sets around an anchor that select better. anchors: which of the `counted` ones;
    owner: the finding of each."""
    holders = pick(counted.holders.values, counted.holders.at, anchors)
    own = _are_members(members, holders, owner[anchors])
    texts, streams = _gathered(holders, words, word_at)
    for i, a in enumerate(anchors.tolist()):
        k = int(owner[a])
        low, high, known = int(phrases.phrase_at[k]), int(phrases.phrase_at[k + 1]), best[k]
        n_members, held = int(members.at[k + 1] - members.at[k]), texts.piece(i)
        if known is None or len(held) * (high - low) > CHECKS:
            continue
        mine, chosen = own[texts.at[i] : texts.at[i + 1]], np.zeros(PARTS, np.int64)
        n, inside, total = _widen(
            *streams, held, mine, n_members, low, high, int(counted.anchor[a]), *phrases[1:], chosen
        )
        wider = WordSet(tuple(chosen[:n].tolist()), int(inside), int(total))
        if inside >= MIN_COVERAGE * n_members and _cost(wider, phrases) < _cost(known, phrases):
            best[k] = wider


def _cover_all(
    best: list[WordSet | None],
    phrases: Phrases,
    counted: Counted,
    members: Pieces,
    words: np.ndarray,
    word_at: np.ndarray,
) -> list[list[WordSet]]:
    """Each finding's best set, and pure phrases (or as pure as that) for the texts of it that it leaves out."""
    out = [[first] if first else [] for first in best]
    sizes = np.diff(members.at).tolist()
    partial = [k for k, (first, n) in enumerate(zip(best, sizes, strict=True)) if first and first.inside < n]
    texts, streams = _gathered(pick(members.values, members.at, np.array(partial, np.int64)), words, word_at)
    for i, k in enumerate(partial):
        first, own = out[k][0], np.arange(phrases.phrase_at[k], phrases.phrase_at[k + 1])
        least, inside, everywhere = (
            min(PURE, first.inside / first.everywhere),
            counted.inside[own],
            counted.everywhere[own],
        )
        fit = own[(inside > 0) & (inside >= least * everywhere)]
        fit = fit[np.argsort(phrases.size[fit], kind="stable")]
        chosen, further = np.array(first.phrases, np.int64), np.zeros(MOST - 1, np.int64)
        gain = max(1, int(LEAST_GAIN * sizes[k]))
        n = _cover(*streams, texts.piece(i), chosen, len(chosen), fit, gain, *phrases[1:4], further)
        out[k] += [WordSet((p,), int(counted.inside[p]), int(counted.everywhere[p])) for p in further[:n].tolist()]
    return out


def _gathered(texts: Pieces, words: np.ndarray, word_at: np.ndarray) -> tuple[Pieces, tuple[np.ndarray, np.ndarray]]:
    """Texts (any order, repeats allowed) by their number among those that are copied, and the words of these."""
    chosen = choose(len(word_at) - 1, (texts.values,))
    own = gather_streams(words, word_at, texts_of(chosen))
    return Pieces(texts.at, numbers(chosen, texts.values)), (frozen(own.values), frozen(own.at))


def _cost(found: WordSet, phrases: Phrases) -> float:
    length, gaps = int(phrases.size[list(found.phrases)].sum()), len(found.phrases) - 1
    return WORD_COST * length + GAP_COST * gaps - found.inside / max(found.everywhere, 1)


def _best_phrases(phrases: Phrases, counted: Counted, n_members: np.ndarray) -> list[WordSet | None]:
    """By finding the phrase that selects it best alone; on a tie the one that more of its texts hold."""
    owner = np.repeat(np.arange(len(n_members)), np.diff(phrases.phrase_at))
    fit = np.flatnonzero((counted.inside >= MIN_COVERAGE * n_members[owner]) & (counted.inside > 0))
    inside, everywhere = counted.inside[fit], counted.everywhere[fit]
    cost = WORD_COST * phrases.size[fit] - inside / everywhere
    fit = fit[np.lexsort((fit, -inside, cost, owner[fit]))]
    found, first = np.unique(owner[fit], return_index=True)
    out: list[WordSet | None] = [None] * len(n_members)
    for k, p in zip(found.tolist(), fit[first].tolist(), strict=True):
        out[k] = WordSet((p,), int(counted.inside[p]), int(counted.everywhere[p]))
    return out


def _are_members(members: Pieces, holders: Pieces, finding: np.ndarray) -> np.ndarray:
    """By text of `holders`, whether it is one of the texts of finding[piece]."""
    keys = np.sort((owners(members.at) << 32) | members.values)
    wanted = (finding[owners(holders.at)] << 32) | holders.values
    found: np.ndarray = keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
    return found
