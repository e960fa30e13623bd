"""Recall of near duplicates against brute force, on real captions and edits of them (skipped where ../shared is
absent).

Run alone with `pytest -s tests/bench/test_near_on_real_captions.py` it prints the figures that docs/near.md states.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memaudit.detect.near import near_edges
from memaudit.scratch import Steps
from memaudit.text.spelling import spell_all
from tests.bench.edits import read_captions, with_edits
from tests.bench.near_recall import brute_force_pairs, pair_recall
from tests.detect.conftest import streams_of

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = [DATA / "laion_alt_text_10k.parquet", DATA / "coco2014_val_10000.csv"]

pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(not all(f.exists() for f in FILES), reason="the real captions of ../shared are not here"),
]


def test_recall_and_no_edge_below_the_threshold() -> None:
    captions = with_edits([c for f in FILES for c in read_captions(f)], per_caption=2, seed=0)["caption"].to_list()
    spelled = {tuple(s.words): c for s, c in zip(spell_all([c.encode() for c in captions]), captions, strict=True)}
    words, texts = [list(w) for w in spelled], list(spelled.values())
    pairs = brute_force_pairs(words, 0.7)
    edges, label = near_edges(streams_of(texts), 0.7, 2, 1 << 30, Steps())
    recall = pair_recall(pairs, label)
    print(
        f"\n{len(texts):,} texts, {len(pairs):,} pairs at Jaccard >= 0.7: recall {recall:.4f}, "
        f"{len(edges.left):,} edges"
    )
    assert len(pairs) >= 5000
    assert recall >= 0.99
    assert edges.similarity.min() >= 0.7
    true = {(int(i), int(j)) for i, j in pairs}
    lying = [
        k for k, (i, j) in enumerate(zip(edges.left, edges.right, strict=True)) if (min(i, j), max(i, j)) not in true
    ]
    assert np.array(lying).size == 0
