"""Near duplicates against brute force, and the properties of DESIGN 3 and 9."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect import bands, candidates, checks, near, stars
from memaudit.detect.components import components
from memaudit.detect.jaccard import MARKS, TABLE, distinct_shingles, jaccard, may_reach
from memaudit.detect.minhash import bigram
from memaudit.detect.stars import DRIFT, Stars, cut_stars
from memaudit.scratch import KeptSteps, Steps, read_column
from tests.detect.conftest import streams_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEMORY = 1 << 30
VOCABULARY = [f"w{chr(97 + i)}{chr(97 + j)}" for i in range(26) for j in range(26)]


def shingle_set(caption: str) -> set[object]:
    words = caption.split()
    return set(words) | set(pairwise(words))


def true_jaccard(a: str, b: str) -> float:
    x, y = shingle_set(a), shingle_set(b)
    return len(x & y) / len(x | y)


def captions_with_edits(rng: np.random.Generator, n: int) -> list[str]:
    """Random captions and one- or two-word edits of them, all different."""
    out: dict[str, None] = {}
    for _ in range(n):
        words = rng.choice(VOCABULARY, int(rng.integers(4, 16))).tolist()
        out[" ".join(words)] = None
        for _ in range(int(rng.integers(0, 4))):
            edited = list(words)
            for _ in range(int(rng.integers(1, 3))):
                edited[int(rng.integers(len(edited)))] = str(rng.choice(VOCABULARY))
            out[" ".join(edited)] = None
    return list(out)


def edges_of(
    captions: list[str], threshold: float = 0.7, threads: int = 2, memory: int = MEMORY
) -> tuple[near.Edges, np.ndarray]:
    return near.near_edges(streams_of(captions), threshold, threads, memory, Steps())


def stars_of(captions: list[str], threshold: float = 0.7, threads: int = 2) -> Stars:
    edges, label = edges_of(captions, threshold, threads)
    return cut_stars(streams_of(captions), edges, label, threshold)


def groups(captions: list[str], threshold: float = 0.7, threads: int = 2) -> set[frozenset[str]]:
    """Components of at least two captions, before cutting."""
    _, label = edges_of(captions, threshold, threads)
    found: dict[int, set[str]] = {}
    for caption, component in zip(captions, label.tolist(), strict=True):
        found.setdefault(component, set()).add(caption)
    return {frozenset(g) for g in found.values() if len(g) > 1}


def clusters(captions: list[str], threshold: float = 0.7, threads: int = 2) -> set[frozenset[str]]:
    """Near clusters after cutting."""
    found = stars_of(captions, threshold, threads)
    return {
        frozenset(captions[t] for t in found.text[a:b])
        for a, b in zip(found.member_at, found.member_at[1:], strict=False)
    }


def same(a: near.Edges, b: near.Edges) -> bool:
    return all(x.tolist() == y.tolist() for x, y in zip(a, b, strict=True))


@given(st.integers(1, 60), st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=80))
def test_components_equal_networkx(n: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(a % n, b % n) for a, b in pairs]
    graph = nx.Graph(pairs)
    graph.add_nodes_from(range(n))
    left, right = (np.array([p[k] for p in pairs], np.uint32) for k in (0, 1))
    label = components(n, left, right).tolist()
    assert {frozenset(c) for c in nx.connected_components(graph)} == {
        frozenset(i for i in range(n) if label[i] == c) for c in set(label)
    }


def test_no_edge_below_the_threshold_and_similarities_are_true(rng: np.random.Generator) -> None:
    captions = captions_with_edits(rng, 400)
    edges, _ = edges_of(captions)
    assert len(edges.left) > 100
    pairs = list(zip(edges.left.tolist(), edges.right.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert all(i < j for i, j in pairs)
    for i, j, similarity in zip(edges.left, edges.right, edges.similarity, strict=True):
        assert similarity == pytest.approx(true_jaccard(captions[i], captions[j]), abs=1e-6)
        assert similarity >= 0.7


def test_recall_of_pairs_in_one_component(rng: np.random.Generator) -> None:
    captions = captions_with_edits(rng, 400)
    _, label = edges_of(captions)
    pairs = [(i, j) for i in range(len(captions)) for j in range(i) if true_jaccard(captions[i], captions[j]) >= 0.7]
    assert len(pairs) > 150
    assert np.mean([label[i] == label[j] for i, j in pairs]) >= 0.99


def test_order_and_threads_do_not_matter(rng: np.random.Generator) -> None:
    captions = captions_with_edits(rng, 300)
    shuffled = [captions[i] for i in rng.permutation(len(captions))]
    assert groups(captions) == groups(shuffled) == groups(captions, threads=1) == groups(captions, threads=5)
    assert clusters(captions) == clusters(shuffled) == clusters(captions, threads=1)


def test_a_higher_threshold_only_refines(rng: np.random.Generator) -> None:
    captions = captions_with_edits(rng, 300)
    coarse = groups(captions, 0.6)
    for group in groups(captions, 0.75):
        assert any(group <= whole for whole in coarse)


@pytest.mark.parametrize("n", [1, 2])
def test_short_captions_are_exact_only(n: int) -> None:
    captions = [" ".join(["red", "car"][:n]), " ".join(["red", "bus"][:n]) + " " * (n == 1), "blue"]
    assert groups(list(dict.fromkeys(captions))) == set()


def test_three_and_four_words_are_not_lost() -> None:
    words = "alpha beta gamma delta".split()
    assert groups(["alpha beta gamma delta", "alpha beta gamma delta delta"]) != set()
    assert groups([" ".join(words[:3]), " ".join(words[1:])]) == set()


def test_pairs_that_share_a_bucket_stay_apart() -> None:
    """{0,1} and {2,3} are near pairs that share one long phrase, so some bucket holds all four; they stay two
    clusters."""
    shared = "one two three four five six"
    a = f"{shared} apple pear plum cherry fig kiwi lemon mango"
    b = f"{shared} table chair sofa lamp desk shelf stool bench"
    captions = [a, a + " lime", b, b + " couch"]
    assert true_jaccard(captions[0], captions[2]) < 0.5
    assert groups(captions) == {frozenset(captions[:2]), frozenset(captions[2:])}


def test_one_bucket_with_two_pairs_is_checked_pair_by_pair() -> None:
    """The check itself: one band puts four texts into one bucket, and only true pairs come out."""
    streams = streams_of(["a b c d e f g h", "a b c d e f g h i", "p q r s t u v w", "p q r s t u v w x"])
    entries = np.array([(7 << 32) | i for i in range(4)], np.uint64)
    checker = checks.Checker(streams.words, streams.word_at, 0.7, 1, MEMORY)
    batch = checks.Batch(checker)
    batch.add(entries, np.arange(4, dtype=np.uint32), near._order(streams.key_lo), bands.read_only(streams.key_lo))
    assert len(batch.pairs().left) == 5  # a star of three, a chain of three that shares its first link
    batch.finish(*checker.similarities([batch.pairs()]))
    (found,) = batch.take_edges()
    assert {frozenset(pair) for pair in zip(*(side.tolist() for side in found[:2]), strict=True)} <= {
        frozenset((0, 1)),
        frozenset((2, 3)),
    }


def test_drifting_chains_are_cut() -> None:
    """Each caption changes one word of the one before; the ends share nothing, and no cluster holds both."""
    words = [f"start{i}" for i in range(12)]
    chain = [" ".join(words)]
    for i in range(12):
        words[i] = f"end{i}"
        chain.append(" ".join(words))
    assert groups(chain) == {frozenset(chain)}
    cut = clusters(chain)
    assert len(cut) > 1
    found = stars_of(chain)
    assert found.similarity.min() >= 0.7 - DRIFT
    for a, b in zip(found.member_at, found.member_at[1:], strict=False):
        centre = chain[found.text[a]]
        for t, s in zip(found.text[a:b], found.similarity[a:b], strict=True):
            assert s == pytest.approx(true_jaccard(centre, chain[t]), abs=1e-6)


def test_nothing_and_one_caption() -> None:
    assert groups([]) == set()
    assert clusters(["only one caption here"]) == set()


@given(st.lists(st.text("ab ", min_size=1, max_size=20), max_size=12, unique_by=lambda c: tuple(c.split())))
@settings(max_examples=80, deadline=None)
def test_tiny_vocabularies_never_crash_and_never_invent(captions: list[str]) -> None:
    edges, _ = edges_of(captions, threads=1)
    for i, j in zip(edges.left, edges.right, strict=True):
        assert true_jaccard(captions[i], captions[j]) >= 0.7 - 1e-6


WORDS = st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 6) | st.just(2**32 - 1), min_size=1, max_size=80)


@given(WORDS, WORDS, st.floats(0.05, 1))
@settings(max_examples=150, deadline=None)
def test_jaccard_is_that_of_the_sets(x: list[int], y: list[int], threshold: float) -> None:
    """Counting in a hash table equals Python's sets; marks never say no where the threshold is reached."""
    table, sets, marks = np.empty(TABLE, np.uint16), [], np.empty((2, MARKS), np.uint64)
    for k, words in enumerate((x, y)):
        out = np.empty(2 * len(words) + 3, np.uint32)
        n = distinct_shingles(np.array(words, np.uint32), 0, len(words), out, 3, marks[k], table)
        sets.append(out[3 : 3 + n])
    bigrams = [{int(bigram(*pair)) for pair in pairwise(words)} for words in (x, y)]
    a, b = (set(words) | grams for words, grams in zip((x, y), bigrams, strict=True))
    assert [set(s.tolist()) for s in sets] == [a, b]
    assert [len(s) for s in sets] == [len(a), len(b)]
    true = len(a & b) / len(a | b)
    assert jaccard(sets[0], len(a), sets[1], len(b), table) == true
    assert true < threshold or may_reach(threshold, len(a), len(b), *marks)


def test_the_longest_texts_are_compared_in_full(rng: np.random.Generator) -> None:
    captions = [" ".join(rng.choice(VOCABULARY, 512).tolist()) for _ in range(3)]
    captions.append(captions[0].replace(captions[0].split()[7], "another"))
    edges, _ = edges_of(captions)
    assert (edges.left.tolist(), edges.right.tolist()) == ([0], [3])
    assert edges.similarity[0] == pytest.approx(true_jaccard(captions[0], captions[3]))


def test_memory_decides_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """One band a pass or eight, batches that overflow in the middle of a bucket, space that is too small for them."""
    captions = captions_with_edits(rng, 300) + [f"one two three four five six seven eight {w}" for w in VOCABULARY[:90]]
    edges, label = edges_of(captions)
    monkeypatch.setattr(checks, "LEAST_SHARE", 1 << 12)
    monkeypatch.setattr(checks, "SWEEP", 1 << 12)
    monkeypatch.setattr(bands, "SWEEP", 1 << 12)
    monkeypatch.setattr(candidates, "HOT", 16)
    for memory in (1, 50_000, 100_000):
        few, theirs = edges_of(captions, memory=memory)
        assert same(edges, few)
        assert label.tolist() == theirs.tolist()
    monkeypatch.setattr(checks, "LONGEST", 4)
    monkeypatch.setattr(checks.Checker, "room", property(lambda _: 400, lambda *_: None), raising=False)
    assert same(edges, edges_of(captions, memory=1)[0])


def test_stars_do_not_depend_on_groups(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = captions_with_edits(rng, 200)
    whole = stars_of(captions)
    monkeypatch.setattr(stars, "GROUP", 3)
    monkeypatch.setattr(stars, "SWEEP", 1 << 12)
    for a, b in zip(whole, stars_of(captions), strict=True):
        assert a.tolist() == b.tolist()


def test_several_blocks_and_partitions(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = captions_with_edits(rng, 300)
    edges, _ = edges_of(captions)
    monkeypatch.setattr(bands, "PARTITION", 32)
    assert same(edges, edges_of(captions)[0])


def test_maps_and_memory_give_the_same_and_compile_once(tmp_path: Path, rng: np.random.Generator) -> None:
    captions = captions_with_edits(rng, 100)
    streams = streams_of(captions)
    for name, column in streams._asdict().items():
        np.ascontiguousarray(column).tofile(tmp_path / name)
    mapped = near.Streams(*(read_column(tmp_path / name, c.dtype.str) for name, c in streams._asdict().items()))
    edges, label = near.near_edges(streams, 0.7, 2, MEMORY, Steps())
    again, theirs = near.near_edges(mapped, 0.7, 2, MEMORY, Steps())
    assert same(edges, again)
    for a, b in zip(cut_stars(streams, edges, label, 0.7), cut_stars(mapped, again, theirs, 0.7), strict=True):
        assert a.tolist() == b.tolist()
    kernels = (bands._sign_block, bands._group, candidates.repeated, candidates.open_buckets, candidates.propose)
    for kernel in (*kernels, checks._gather, checks._similar, stars._grow):
        assert len(kernel.signatures) == 1, kernel


class CutOff(KeptSteps):
    """Steps of a run that is cut off after some of them."""

    left = 0

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        super().put(name, arrays)
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("rounds", range(len(near.ROUNDS)))
def test_a_resumed_search_equals_a_fresh_one(tmp_path: Path, rng: np.random.Generator, rounds: int) -> None:
    streams = streams_of(captions_with_edits(rng, 120))
    steps = CutOff(tmp_path, "near")
    steps.left = rounds
    with pytest.raises(KeyboardInterrupt):
        near.near_edges(streams, 0.7, 2, MEMORY, steps)
    counted: list[int] = []
    edges, label = near.near_edges(streams, 0.7, 2, MEMORY, KeptSteps(tmp_path, "near"), counted.append)
    fresh, theirs = near.near_edges(streams, 0.7, 2, MEMORY, Steps())
    assert same(edges, fresh)
    assert label.tolist() == theirs.tolist()
    assert sum(counted) == near.PROGRESS * len(label)


def test_a_hot_bucket_takes_linear_time_and_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """200,000 captions that share all but one word: one bucket, many batches, some 2 m pairs, one component."""
    n, shared = 200_000, np.arange(1000, 1020, dtype=np.uint32)
    words = np.concatenate([np.tile(shared, (n, 1)), np.arange(n, dtype=np.uint32)[:, None] + 10_000], axis=1).ravel()
    key = np.random.default_rng(0).integers(0, 2**63, n).astype(np.uint64)
    streams = near.Streams(words, np.arange(n + 1, dtype=np.int64) * 21, key, key)
    checked: list[int] = []
    similar = checks.Checker.similarities

    def count(self: checks.Checker, batches: list[checks.Pairs], *run: Any) -> list[np.ndarray]:
        checked.extend(len(pairs.left) for pairs in batches)
        assert max(len(pairs.texts) for pairs in batches) <= self.texts
        return similar(self, batches, *run)

    monkeypatch.setattr(checks.Checker, "similarities", count)
    edges, label = near.near_edges(streams, 0.7, 2, 1 << 27, Steps())
    assert not label.any()
    assert n <= len(edges.left) < 3 * n
    assert sum(checked) < 12 * n
    found = cut_stars(streams, edges, label, 0.7)
    assert np.diff(found.member_at).tolist() == [n]
