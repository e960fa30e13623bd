"""What stands in slots, against plain Python."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from memaudit.detect.slots import describe_slots, top_contents
from memaudit.detect.templates import Templates
from memaudit.ragged import offsets_of
from tests.detect.conftest import tokens_of

COLOURS = "crimson teal ochre ivory cobalt".split()


@pytest.mark.parametrize("threads", [1, 3])
def test_contents_are_counted(threads: int, rng: np.random.Generator) -> None:
    """Two templates over the same texts: "big <*> lamp <*>" and "<*> lamp <*>", runs at tokens 1, 3 and 3."""
    words = [a + b for a in "qwrtp" for b in "aeiouy"]
    tails = [words[int(i)] for i in rng.integers(0, len(words), 500)]
    colours = [COLOURS[int(rng.integers(5))] for _ in tails]
    captions = [f"big {c} lamp {t}" for c, t in zip(colours, tails, strict=True)]
    n = len(captions)
    spans = np.repeat(np.array([1 | 2 << 8 | 3 << 16 | 4 << 24, 3 | 4 << 8], np.uint64), n)
    texts = np.tile(np.arange(n, dtype=np.uint32), 2)
    templates = Templates(
        offsets_of(np.array([n, n])), texts, spans, np.ones(2 * n, np.float32), np.ones(2, np.float32)
    )
    slots = describe_slots(templates, tokens_of(captions), threads)
    assert slots.exists.tolist() == [[False, True, True, False], [True, True, False, False]]
    assert slots.distinct[0, 1:3].tolist() == [len(set(colours)), len(set(tails))]
    pairs = np.array(list(Counter(zip(colours, tails, strict=True)).values())) / n
    assert slots.entropy == pytest.approx(np.full(2, -(pairs * np.log2(pairs)).sum()), rel=1e-5)
    top = top_contents(templates, slots, np.array([1, 0]), 20)
    for k, slot, held in ((0, 1, colours), (0, 2, tails), (1, 0, colours), (1, 1, tails)):
        own = (top.template == k) & (top.slot == slot)
        got = [(held[e - n * k], int(t)) for e, t in zip(top.entry[own].tolist(), top.times[own].tolist(), strict=True)]
        assert got == Counter(held).most_common(20)  # which lists the first of equals first
        assert [held.index(word) for word, _ in got] == [e - n * k for e in top.entry[own].tolist()]
