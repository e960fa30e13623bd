"""Near duplicates against brute force, and the properties of DESIGN 3 and 9."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect import near
from memaudit.detect.components import components
from memaudit.detect.stars import DRIFT, cut_stars
from tests.detect.conftest import streams_of, zeros

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


def groups(captions: list[str], threshold: float = 0.7, threads: int = 2) -> set[frozenset[str]]:
    """Components of at least two captions, before cutting."""
    _, label = near.near_edges(streams_of(captions), threshold, threads, zeros)
    found: dict[int, set[str]] = {}
    for caption, component in zip(captions, label.tolist(), strict=True):
        found.setdefault(component, set()).add(caption)
    return {frozenset(g) for g in found.values() if len(g) > 1}


def clusters(captions: list[str], threshold: float = 0.7, threads: int = 2) -> set[frozenset[str]]:
    """Near clusters after cutting."""
    streams = streams_of(captions)
    stars = cut_stars(streams, near.near_edges(streams, threshold, threads, zeros)[0], threshold)
    return {
        frozenset(captions[t] for t in stars.text[a:b])
        for a, b in zip(stars.member_at, stars.member_at[1:], strict=False)
    }


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
    edges, _ = near.near_edges(streams_of(captions), 0.7, 2, zeros)
    assert len(edges.left) > 100
    for i, j, similarity in zip(edges.left, edges.right, edges.similarity, strict=True):
        assert similarity == pytest.approx(true_jaccard(captions[i], captions[j]), abs=1e-6)
        assert similarity >= 0.7


def test_recall_of_pairs_in_one_component(rng: np.random.Generator) -> None:
    captions = captions_with_edits(rng, 400)
    _, label = near.near_edges(streams_of(captions), 0.7, 2, zeros)
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
    captions = ["a b c d e f g h", "a b c d e f g h i", "p q r s t u v w", "p q r s t u v w x"]
    streams = streams_of(captions)
    entries = np.array([(7 << 32) | i for i in range(4)], np.uint64)
    out = np.empty(8, np.uint32), np.empty(8, np.uint32), np.empty(8, np.float32)
    facts = np.zeros((4, near.FACTS), np.uint64)
    facts[:, 2] = streams.key_lo
    facts[:, 3] = streams.word_at[:-1] << 10 | np.diff(streams.word_at)
    n = near._edges_of_band(entries, streams.words, facts, np.arange(4, dtype=np.uint32), 0.7, 999, *out)
    pairs = {frozenset((int(i), int(j))) for i, j in zip(out[0][:n], out[1][:n], strict=True)}
    assert pairs <= {frozenset((0, 1)), frozenset((2, 3))}


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
    streams = streams_of(chain)
    stars = cut_stars(streams, near.near_edges(streams, 0.7, 2, zeros)[0], 0.7)
    assert stars.similarity.min() >= 0.7 - DRIFT
    for a, b in zip(stars.member_at, stars.member_at[1:], strict=False):
        centre = chain[stars.text[a]]
        for t, s in zip(stars.text[a:b], stars.similarity[a:b], strict=True):
            assert s == pytest.approx(true_jaccard(centre, chain[t]), abs=1e-6)


def test_nothing_and_one_caption() -> None:
    assert groups([]) == set()
    assert clusters(["only one caption here"]) == set()


@given(st.lists(st.text("ab ", min_size=1, max_size=20), max_size=12, unique_by=lambda c: tuple(c.split())))
@settings(max_examples=80, deadline=None)
def test_tiny_vocabularies_never_crash_and_never_invent(captions: list[str]) -> None:
    edges, _ = near.near_edges(streams_of(captions), 0.7, 1, zeros)
    for i, j in zip(edges.left, edges.right, strict=True):
        assert true_jaccard(captions[i], captions[j]) >= 0.7 - 1e-6
