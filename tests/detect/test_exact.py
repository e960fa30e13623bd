"""Text ids follow first occurrence, whatever the batches, the growth of the table and a restart in between."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect.exact import TextIndex

KEYS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.booleans()), max_size=60)


def halves(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    lo, hi = (np.array([p[k] for p in pairs], np.uint64) for k in (0, 1))
    return lo, hi


@given(KEYS)
@settings(max_examples=100, deadline=None)
def test_text_ids_follow_first_occurrence(rows: list[tuple[int, int, bool]]) -> None:
    index, seen = TextIndex(), {}
    for start in range(0, len(rows), 7):
        chunk = [(lo, hi) for lo, hi, _ in rows[start : start + 7]]
        keep = np.array([kept for _, _, kept in rows[start : start + 7]], np.bool_)
        before = len(seen)
        want = [seen.setdefault(p, len(seen)) for p, kept in zip(chunk, keep, strict=True) if kept]
        ids, new = index.add(*halves(chunk), keep)
        assert ids.tolist() == want
        assert [chunk[i] for i in new] == list(seen)[before:]


def test_the_index_grows(rng: np.random.Generator) -> None:
    keys = rng.integers(0, 2**63, 300_000).astype(np.uint64)
    index, keep = TextIndex(), np.ones(len(keys), np.bool_)
    first, _ = index.add(keys, keys, keep)
    again, new = index.add(keys, keys, keep)
    assert np.array_equal(again, first)
    assert not len(new)
    assert index.n == len(np.unique(keys))


def test_a_restored_index_knows_its_texts(rng: np.random.Generator) -> None:
    keys = np.unique(rng.integers(0, 2**63, 200_000).astype(np.uint64))
    index = TextIndex()
    index.restore(len(keys), ((keys[a : a + 1000], ~keys[a : a + 1000]) for a in range(0, len(keys), 1000)))
    ids, new = index.add(keys, ~keys, np.ones(len(keys), np.bool_))
    assert ids.tolist() == list(range(len(keys)))
    assert not len(new)
