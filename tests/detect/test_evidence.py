"""Sets of texts, counts by hash table, evidence of clusters and phrases: each against plain Python."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect.chosen import choose, gather, gather_streams, numbers, texts_of, total
from memaudit.detect.counting import COUNT, FIRST, count_values, mark_repeated, workspace
from memaudit.detect.evidence import evidence_of_all, rows_by_text
from memaudit.ragged import offsets_of


@given(st.integers(1, 500), st.lists(st.integers(0, 499), max_size=80))
def test_chosen_texts_are_numbered_in_order(n: int, picks: list[int]) -> None:
    members = np.array([p % n for p in picks], np.uint32)
    chosen, want = choose(n, (members[::2].copy(), members[1::2].copy())), np.unique(members)
    values = np.arange(n, dtype=np.uint32) * 3
    assert texts_of(chosen).tolist() == want.tolist()
    assert numbers(chosen, members).tolist() == np.searchsorted(want, members).tolist()
    assert gather(values, want).tolist() == values[want].tolist()
    assert total(chosen, values) == values[want].sum()
    streams = gather_streams(np.arange(2 * n, dtype=np.uint32), offsets_of(np.full(n, 2)), want)
    assert streams.values.tolist() == [v for t in want.tolist() for v in (2 * t, 2 * t + 1)]


@given(st.lists(st.lists(st.integers(0, 12) | st.integers(0, 2**64 - 1), max_size=90), max_size=6))
def test_equal_values_are_counted_and_the_table_is_left_empty(lists: list[list[int]]) -> None:
    table, groups = workspace()
    for values in lists:
        n, table, groups = count_values(np.array(values, np.uint64), len(values), table, groups)
        found = {values[groups[g, FIRST]]: int(groups[g, COUNT]) for g in range(n)}
        assert list(found.items()) == list(Counter(values).items())
        again = np.empty(len(values), np.bool_)
        mark_repeated(np.array(values, np.uint64), len(values), n, table, groups, again)
        assert again.tolist() == [values.count(v) > 1 for v in values]
        assert not table.any()


@given(st.data())
@settings(max_examples=60)
def test_evidence_is_what_the_rows_say(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n_texts = int(rng.integers(1, 90))
    text = np.concatenate([np.arange(n_texts), rng.integers(0, n_texts, int(rng.integers(0, 300)))]).astype(np.uint32)
    image = rng.integers(0, int(rng.choice([20, 400])), len(text)).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    placeholders = np.unique(image[image > 0])[:3]
    site = rng.integers(0, int(rng.integers(1, 6)), len(text)).astype(np.uint32)
    clusters = [rng.choice(n_texts, int(rng.integers(1, n_texts + 1)), replace=False) for _ in range(7)]
    member_at = offsets_of(np.array([len(c) for c in clusters]))
    members = np.concatenate(clusters).astype(np.uint32)
    alike = rng.random(len(members)).astype(np.float32)
    n_rows = np.bincount(text, minlength=n_texts).astype(np.uint32)
    rows = rows_by_text(choose(n_texts, (members,)), n_rows, text, image, site, placeholders)
    found = evidence_of_all(member_at, members, alike, rows, 2)
    for k, own in enumerate(clusters):
        held = np.isin(text, own)
        images, sites = (Counter(v[held & (v > 0)].tolist()) for v in (image, site))
        hidden = sum(images.pop(key, 0) for key in placeholders.tolist())
        n_images = len(images) + (hidden > 0)
        assert (found.n_rows[k], found.n_images[k], found.n_sites[k]) == (held.sum(), n_images, len(sites))
        assert (found.n_pictured[k], found.n_placeholders[k]) == (images.total() + hidden, hidden)
        again = [[images[p] > 1 for p in image[text == t].tolist() if p in images] for t in own]
        votes = [v for v in again if v and len(own) > 1]
        assert found.n_shown[k] == len(votes)
        assert found.n_repeating[k] == sum(2 * sum(v) >= len(v) for v in votes)
        known, most = sum(sites.values()), max(sites.values(), default=0)
        focus = np.float32((most - 1) / (known - 1)) if known > 1 else math.nan
        assert found.focus[k] == pytest.approx(focus, nan_ok=True)
        assert found.share[k] == pytest.approx(alike[member_at[k] : member_at[k + 1]].mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("pictures", "shown", "repeating"),
    [
        ([[k] * 10 for k in range(15)], 15, 15),  # one picture a caption, repeated
        ([[7]] * 15, 15, 15),  # a product photo under all captions
        ([[0] * 60, *([k] for k in range(1, 15))], 15, 1),  # one caption of many is a duplicate
        ([list(range(60)), *([k] for k in range(15))], 16, 15),  # others show 15 of one caption's 60 pictures
        ([list(range(60)), *([k] for k in range(60, 75))], 16, 0),  # 60 different pictures under one caption
        ([[1, 1, 2], [3, 4, 4, 5]], 2, 2),  # half is enough
        ([[1] * 9], 0, 0),  # nobody to speak for
    ],
)
def test_captions_vote_once(pictures: list[list[int]], shown: int, repeating: int) -> None:
    n = len(pictures)
    n_rows = np.array([len(p) for p in pictures], np.uint32)
    text = np.repeat(np.arange(n, dtype=np.uint32), n_rows)
    image = np.concatenate([np.array(p, np.uint64) for p in pictures]) + np.uint64(9)
    rows = rows_by_text(choose(n, (np.unique(text),)), n_rows, text, image, text, np.empty(0, np.uint64))
    found = evidence_of_all(np.array([0, n]), np.unique(text), np.ones(n, np.float32), rows, 1)
    assert (found.n_shown[0], found.n_repeating[0]) == (shown, repeating)
    assert found.n_images[0] == len(np.unique(image))
