"""Families: variants under the broadest cluster that is about as risky; brands above their lines."""

from __future__ import annotations

import numpy as np

from memaudit.detect.families import families
from memaudit.ragged import offsets_of


def related(clusters: list[list[int]], risk: list[float]) -> tuple[list[int], list[int]]:
    order = np.array(sorted(range(len(clusters)), key=lambda c: -len(clusters[c])), np.int64)
    at = offsets_of(np.array([len(c) for c in clusters], np.int64))
    text = np.array([t for c in clusters for t in c], np.uint32)
    found = families(order, np.array(risk, np.float32), at, text, 100)
    return found.head.tolist(), found.parent.tolist()


def heads(clusters: list[list[int]], risk: list[float]) -> list[int]:
    return related(clusters, risk)[0]


def test_variants_join_the_broad_frame() -> None:
    assert heads([list(range(12)), [0, 1, 2], [3, 4, 5, 6]], [0.5, 0.55, 0.6]) == [0, 0, 0]


def test_a_phrase_that_many_share_makes_no_family() -> None:
    assert heads([list(range(30)), [0, 1, 2], [1, 2]], [0.1, 0.6, 0.55]) == [0, 1, 1]


def test_a_much_riskier_part_heads_the_family_of_its_brand() -> None:
    brand, line, model, other = list(range(30)), list(range(8)), [0, 1, 2], [10, 11, 12]
    assert related([brand, line, model, other], [0.2, 0.5, 0.6, 0.3]) == ([1, 1, 1, 1], [-1, 0, 1, 0])


def test_the_head_is_the_broadest_that_is_about_as_risky() -> None:
    assert heads([list(range(9)), [0, 1, 2, 3], [4, 5, 6]], [0.3, 0.5, 0.62]) == [1, 1, 1]
    assert heads([list(range(9)), [0, 1, 2, 3], [4, 5, 6]], [0.3, 0.5, 0.63]) == [2, 2, 2]


def test_of_heads_that_are_as_broad_the_riskiest_reads_best() -> None:
    assert heads([list(range(20)), list(range(18)), [0, 1]], [0.5, 0.6, 0.62]) == [1, 1, 1]
    assert heads([list(range(20)), list(range(17)), [0, 1]], [0.5, 0.6, 0.62]) == [0, 0, 0]


def test_half_of_the_texts_must_be_covered() -> None:
    assert heads([[0, 1, 2, 3, 4], [4, 5, 6, 7]], [0.5, 0.5]) == [0, 1]
    assert heads([[0, 1, 2, 3, 4], [3, 4, 6, 7]], [0.5, 0.5]) == [0, 0]


def test_clusters_that_were_not_asked_for_have_none() -> None:
    at, text = np.array([0, 2, 4]), np.array([0, 1, 0, 1], np.uint32)
    found = families(np.array([1]), np.array([0.5, 0.5], np.float32), at, text, 2)
    assert (found.head.tolist(), found.parent.tolist()) == ([-1, 1], [-1, -1])
