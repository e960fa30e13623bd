"""Phrases and sets of phrases that select a finding, against plain Python."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest

from memaudit.detect import triggers
from memaudit.detect.triggers import ANCHORS, MIN_COVERAGE, Counted, Phrases, count_phrases
from memaudit.detect.wordsets import GAP_COST, LEAST_GAIN, MOST, PURE, WORD_COST, WordSet, word_sets
from memaudit.ragged import Pieces, offsets_of

Phrase = tuple[int, ...]


class World(NamedTuple):
    """A small dataset: texts as word hashes, the texts of findings, and their phrases (with places)."""

    texts: list[list[int]]
    findings: list[list[int]]
    own: list[dict[Phrase, int]]

    @property
    def flat(self) -> list[Phrase]:
        return [phrase for own in self.own for phrase in own]

    def arrays(self) -> tuple[Phrases, Pieces, np.ndarray, np.ndarray]:
        sizes = np.array([len(p) for p in self.flat])
        phrases = Phrases(
            offsets_of(np.array([len(own) for own in self.own])),
            np.array([word for phrase in self.flat for word in phrase], np.uint32),
            offsets_of(sizes)[:-1],
            sizes,
            np.array([place for own in self.own for place in own.values()]),
        )
        members = Pieces(
            offsets_of(np.array([len(f) for f in self.findings])), np.concatenate(self.findings).astype(np.uint32)
        )
        words = np.concatenate([np.array(t, np.uint32) for t in self.texts])
        return phrases, members, words, offsets_of(np.array([len(t) for t in self.texts]))


def phrases_of(words: list[int]) -> dict[Phrase, int]:
    found: dict[Phrase, int] = {}
    for i, j in itertools.combinations(range(len(words) + 1), 2):
        if j - i <= 3:
            found.setdefault(tuple(words[i:j]), i)
    return found


def world(rng: np.random.Generator, vocabulary: np.ndarray, n: int = 300, findings: int = 12) -> World:
    """Random texts, some of them grown around frames of a few words, which the findings are made of."""
    texts = [rng.choice(vocabulary, int(rng.integers(1, 14))).tolist() for _ in range(n)] + [[7], [1, 1]]
    groups = []
    for _ in range(findings):
        frame = rng.choice(vocabulary, int(rng.integers(2, 6))).tolist()
        own = []
        for _ in range(int(rng.integers(1, 15))):
            own.append(len(texts))
            left_out = int(rng.integers(len(frame))) if rng.random() < 0.3 else -1
            kept = [word for i, word in enumerate(frame) if i != left_out]
            texts.append([w for word in kept for w in (*rng.choice(vocabulary, int(rng.integers(2))).tolist(), word)])
        groups.append(own)
    return World(texts, groups, [phrases_of(texts[own[0]][:12]) for own in groups])


def holds(text: list[int], phrases: list[Phrase]) -> bool:
    """Whether a text has the phrases in order, without overlap: every way of placing them is tried."""
    if not phrases:
        return True
    size = len(phrases[0])
    return any(
        tuple(text[i : i + size]) == phrases[0] and holds(text[i + size :], phrases[1:]) for i in range(len(text))
    )


def test_holds_needs_order_and_no_overlap() -> None:
    assert holds([1, 2, 3, 1], [(1, 2), (1,)])
    assert not holds([1, 2, 1], [(1, 2), (2, 1)])
    assert not holds([2, 1], [(1,), (2,)])


VOCABULARIES = {
    "common words": np.arange(64, 94, dtype=np.uint32),
    "words that share the low bits of others": (64 + (np.arange(60) % 20) * (1 << 16) + np.arange(60) // 20).astype(
        np.uint32
    ),
}


@pytest.mark.parametrize("vocabulary", VOCABULARIES.values(), ids=VOCABULARIES)
def test_phrases_are_counted_once_a_text(vocabulary: np.ndarray, rng: np.random.Generator) -> None:
    made = world(rng, vocabulary)
    phrases, members, words, word_at = made.arrays()
    counted = count_phrases(phrases, members, words, word_at, 3)
    held = [[t for t, text in enumerate(made.texts) if holds(text, [p])] for p in made.flat]
    assert counted.everywhere.tolist() == [len(texts) for texts in held]
    finding = np.repeat(np.arange(len(made.findings)), np.diff(phrases.phrase_at)).tolist()
    assert counted.inside.tolist() == [
        len(set(texts) & set(made.findings[k])) for k, texts in zip(finding, held, strict=True)
    ]
    assert len(counted.anchor) > len(made.findings)
    for i, p in enumerate(counted.anchor.tolist()):
        assert counted.holders.piece(i).tolist() == held[p]
    per_finding = np.bincount(np.array(finding)[counted.anchor])
    assert per_finding.max() == ANCHORS


def test_holders_do_not_depend_on_threads_and_too_many_are_none(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "HOLDERS", 10)
    monkeypatch.setattr(triggers, "BLOCK", 16)
    arrays = world(rng, VOCABULARIES["common words"]).arrays()
    one, three = (count_phrases(*arrays, threads) for threads in (1, 3))
    for a, b in zip(_flat(one), _flat(three), strict=True):
        assert a.tolist() == b.tolist()
    n_members = np.diff(arrays[1].at)[np.searchsorted(arrays[0].phrase_at, one.anchor, side="right") - 1]
    assert 0 < len(one.anchor) < ANCHORS * len(arrays[1])
    assert (one.everywhere[one.anchor] <= 10 + 4 * n_members.max()).all()


def _flat(counted: Counted) -> list[np.ndarray]:
    return [*counted[:3], *counted.holders]


def cost(phrases: list[Phrase], inside: int, everywhere: int) -> float:
    words = sum(map(len, phrases))
    return WORD_COST * words + GAP_COST * (len(phrases) - 1) - inside / max(everywhere, 1)


@pytest.mark.parametrize("seed", range(12))
def test_sets_are_counted_and_are_the_best_that_an_exhaustive_search_finds(seed: int) -> None:
    """Among all single phrases, and all pairs with one of the rarest phrases."""
    made = world(np.random.default_rng(seed), VOCABULARIES["common words"], n=150, findings=8)
    phrases, members, words, word_at = made.arrays()
    counted = count_phrases(phrases, members, words, word_at, 2)
    flat, sets = made.flat, word_sets(phrases, counted, members, words, word_at)
    assert len(sets) == len(made.findings)
    for k, (found, own) in enumerate(zip(sets, made.findings, strict=True)):
        low, high = phrases.phrase_at[k : k + 2].tolist()
        anchors = [p for p in counted.anchor.tolist() if low <= p < high]
        wanted = [_measured(made, own, [flat[p]]) for p in range(low, high)]
        if not any(n >= MIN_COVERAGE * len(own) and n >= PURE * m for _, n, m in wanted):
            for a, p in itertools.product(anchors, range(low, high)):
                first, second = sorted((a, p), key=lambda q: phrases.place[q])
                if phrases.place[first] + phrases.size[first] <= phrases.place[second]:
                    wanted.append(_measured(made, own, [flat[first], flat[second]]))
        costs = [c for c, n, _ in wanted if n and n >= MIN_COVERAGE * len(own)]
        assert bool(found) == bool(costs)
        for one in found:
            _, inside, everywhere = _measured(made, own, [flat[p] for p in one.phrases])
            assert (one.inside, one.everywhere) == (inside, everywhere)
        if found:
            assert cost([flat[p] for p in found[0].phrases], found[0].inside, found[0].everywhere) <= min(costs) + 1e-9
            _check_cover(made, own, found, flat)


def _measured(made: World, own: list[int], phrases: list[Phrase]) -> tuple[float, int, int]:
    held = {t for t, text in enumerate(made.texts) if holds(text, phrases)}
    inside = len(held & set(own))
    return cost(phrases, inside, len(held)), inside, len(held)


def _check_cover(made: World, own: list[int], found: list[WordSet], flat: list[Phrase]) -> None:
    """Each further set is as pure as the first or pure, and adds texts."""
    assert len(found) <= MOST
    left = set(own)
    for i, one in enumerate(found):
        gained = {t for t in left if holds(made.texts[t], [flat[p] for p in one.phrases])}
        assert len(gained) >= max(1, int(LEAST_GAIN * len(own)))
        left -= gained
        if i:
            assert one.inside / one.everywhere >= min(PURE, found[0].inside / found[0].everywhere)


def test_a_set_is_found_where_no_phrase_is_pure() -> None:
    """ "red" and "kettle" are everywhere, alone and in the other order; only the finding has them in this one."""
    red, kettle, other = 100, 101, 102
    noise = [[red, other + i % 5] for i in range(40)] + [[kettle, other + i % 5, red] for i in range(40)]
    own = [[red, 200 + i, kettle] for i in range(6)]
    made = World([*noise, *own], [list(range(80, 86))], [{(red,): 0, (kettle,): 1}])
    phrases, members, words, word_at = made.arrays()
    ((best,),) = word_sets(phrases, count_phrases(phrases, members, words, word_at, 1), members, words, word_at)
    assert best == WordSet((0, 1), 6, 6)


@pytest.mark.parametrize(("noise", "sets"), [([9], [(100,), (103,)]), ([103, 9], [(100,)])])
def test_what_one_set_leaves_out_others_add(noise: list[int], sets: list[Phrase]) -> None:
    """A near cluster whose members share no one word; a phrase that is not pure adds nothing."""
    own = [[100, 103], [100, 104], [100, 105], [103, 106]]
    made = World([*own, noise], [[0, 1, 2, 3]], [phrases_of(own[0])])
    phrases, members, words, word_at = made.arrays()
    (found,) = word_sets(phrases, count_phrases(phrases, members, words, word_at, 1), members, words, word_at)
    assert [made.flat[p] for one in found for p in one.phrases] == sets
