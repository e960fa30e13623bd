"""Placeholder pictures: one picture under many captions that share nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect import placeholders
from memaudit.detect.placeholders import LEAST, find_placeholders
from memaudit.ragged import offsets_of

ERROR_PICTURE, POPULAR, TEMPLATED = (n * 0x9E3779B97F4A7C15 % 2**64 for n in (7, 9, 11))


def streams(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([w for t in texts for w in t], np.uint32), offsets_of(np.array([len(t) for t in texts]))


def unrelated(n: int, start: int = 0) -> list[list[int]]:
    return [[100 * (start + i) + k for k in range(1, 7)] for i in range(n)]


def found_in(image: list[int], texts: list[list[int]]) -> dict[int, tuple[int, int]]:
    text = np.arange(len(image), dtype=np.uint32) % len(texts)
    found = find_placeholders(np.array(image, np.uint64), text.astype(np.uint32), *streams(texts))
    return {int(k): (int(r), int(t)) for k, r, t in zip(found.image, found.n_rows, found.n_texts, strict=True)}


def test_one_picture_under_unrelated_captions_is_a_placeholder() -> None:
    texts = unrelated(2 * LEAST)
    image = [ERROR_PICTURE] * LEAST + [0] * LEAST
    assert found_in(image, texts) == {ERROR_PICTURE: (LEAST, LEAST)}


def test_one_picture_under_one_template_is_none() -> None:
    texts = [[1, 2, 3, 4, 5, 1000 + i] for i in range(3 * LEAST)]
    assert found_in([TEMPLATED] * len(texts), texts) == {}


def test_few_captions_and_repeats_of_one_prove_nothing() -> None:
    assert found_in([POPULAR] * (LEAST - 1) + [0], unrelated(LEAST)) == {}
    assert found_in([POPULAR] * 50, unrelated(3)) == {}  # 50 rows of three captions


def test_no_pictures_at_all() -> None:
    assert found_in([0] * 40, unrelated(40)) == {}


@given(st.data())
@settings(max_examples=30)
def test_counts_are_those_of_the_rows(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    texts = unrelated(60)
    image = rng.choice(np.array([0, ERROR_PICTURE, POPULAR, TEMPLATED], np.uint64), 200, p=[0.4, 0.4, 0.15, 0.05])
    text = rng.integers(0, 60, 200).astype(np.uint32)
    found = find_placeholders(image, text, *streams(texts))
    want = {k for k in (ERROR_PICTURE, POPULAR, TEMPLATED) if len(set(text[image == k].tolist())) >= LEAST}
    assert set(found.image.tolist()) == want
    for key, n_rows, n_texts in zip(found.image, found.n_rows, found.n_texts, strict=True):
        assert n_rows == np.sum(image == key)
        assert n_texts == len(set(text[image == key].tolist()))


def test_more_pairs_than_fit_leave_the_commonest_pictures(monkeypatch) -> None:
    monkeypatch.setattr(placeholders, "PAIRS", 50)
    texts = unrelated(60)
    assert found_in([ERROR_PICTURE] * 40 + [POPULAR] * 20, texts) == {ERROR_PICTURE: (40, 40)}
