"""Families: variants under the broadest cluster that is about as risky; a narrow, riskier one stays its own news."""

from __future__ import annotations

import numpy as np

from memaudit.detect.families import families
from memaudit.ragged import offsets_of


def heads(clusters: list[list[int]], risk: list[float]) -> list[int]:
    order = np.array(sorted(range(len(clusters)), key=lambda c: -len(clusters[c])), np.int64)
    at = offsets_of(np.array([len(c) for c in clusters], np.int64))
    text = np.array([t for c in clusters for t in c], np.uint32)
    return families(order, np.array(risk, np.float32), at, text, 100).tolist()


def test_variants_join_the_broad_frame() -> None:
    assert heads([list(range(12)), [0, 1, 2], [3, 4, 5, 6]], [0.5, 0.55, 0.6]) == [0, 0, 0]


def test_a_much_riskier_part_is_a_family_of_its_own() -> None:
    assert heads([list(range(30)), [0, 1, 2], [1, 2]], [0.1, 0.6, 0.55]) == [0, 1, 1]


def test_half_of_the_texts_must_be_covered() -> None:
    assert heads([[0, 1, 2, 3, 4], [4, 5, 6, 7]], [0.5, 0.5]) == [0, 1]
    assert heads([[0, 1, 2, 3, 4], [3, 4, 6, 7]], [0.5, 0.5]) == [0, 0]
