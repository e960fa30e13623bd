"""The hard set keeps its promises, scores are what they say, and memaudit reaches them at a small size."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import template_quality as tq
from tests.bench.hard_templates import NOISE, HardSet, hard_set

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(scope="module")
def hard() -> HardSet:
    return hard_set(60, seed=1)


def test_every_caption_matches_its_template(hard: HardSet) -> None:
    assert len(set(hard.captions)) == len(hard.captions) == len(hard.template)
    assert (hard.template < 0).mean() == pytest.approx(NOISE, abs=0.01)
    supports = np.bincount(hard.template[hard.template >= 0])
    assert supports.min() >= 5
    assert supports.max() > 20 * np.median(supports) / 2
    for caption, k in zip(hard.captions, hard.template.tolist(), strict=True):
        if k >= 0:
            assert re.fullmatch(pattern(hard.texts[k]), caption), (caption, hard.texts[k])


def pattern(template: str) -> str:
    """What a template matches: in each slot no to four words."""
    words = [w for w in template.split() if w not in ("^", "$")]
    return r" ?".join(r"(?:\b\S+(?: |$)){0,4}" if w == "<*>" else rf"\b{re.escape(w)}\b" for w in words)


def test_the_set_follows_from_the_seed(hard: HardSet) -> None:
    again, other = hard_set(60, seed=1), hard_set(60, seed=2)
    assert again.captions == hard.captions
    assert again.texts == hard.texts
    assert other.texts != hard.texts


def test_normalised_drops_what_drain_does_not_know() -> None:
    assert tq.normalised('^ a - <num> <*> | b " c " <code> $') == "a <*> b c <*>"
    assert tq.normalised("<*> <*> a") == "<*> a"


def scored(true: Sequence[int], own: Sequence[int], texts: Sequence[str] = (), read: Sequence[str] = ()) -> tq.Quality:
    truth = tq.Labelled(pl.Series([""] * len(true)), np.array(true, np.int64), list(texts) or [""] * 9)
    return tq.quality(truth, tq.Grouping(np.array(own, np.int64), dict(enumerate(read))))


LABELS = st.lists(st.tuples(st.integers(-2, 3), st.integers(-1, 3)), min_size=1, max_size=30)


@given(LABELS)
def test_pairs_are_counted_as_the_double_loop_does(labels: list[tuple[int, int]]) -> None:
    kept = [(t, o) for t, o in labels if t != tq.UNSCORED]
    pairs = list(combinations(kept, 2))
    true = {(i, a[0] == b[0] >= 0, a[1] == b[1] >= 0) for i, (a, b) in enumerate(pairs)}
    hits = sum(t and o for _, t, o in true)
    found = scored(*zip(*labels, strict=True))
    assert found.precision == pytest.approx(hits / max(sum(o for _, _, o in true), 1))
    assert found.recall == pytest.approx(hits / max(sum(t for _, t, _ in true), 1))


def test_a_perfect_grouping_and_a_split_one() -> None:
    texts = ["^ a <*> b", "^ c <*>"]
    whole = scored([0, 0, 0, 0, 1, 1, -1, -2], [5, 5, 5, 5, 2, 2, -1, 5], texts, ["", "", "c <*>", "", "", "a <*> b $"])
    assert (whole.precision, whole.recall, whole.f1, whole.f1_by_template, whole.exact) == (1, 1, 1, 1, 1)
    split = scored([0, 0, 0, 0, 1, 1, -1], [0, 0, 1, 1, 2, 2, 2], texts, ["a <*> b", "a x b", "d <*>"])
    assert (split.precision, split.recall) == (pytest.approx(3 / 5), pytest.approx(3 / 7))
    assert split.f1_by_template == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert (split.exact, split.groups) == (0.5, 3)


def test_the_broadest_that_is_about_as_risky_stands_for_a_finding() -> None:
    risk, parent = {1: 0.5, 2: 0.45, 3: 0.1, 4: 0.41}, {1: 2, 2: 4, 4: 3, 3: None}
    assert tq._lifted(risk, parent) == {1: 4, 2: 4, 3: 3, 4: 4}


@pytest.fixture(scope="module")
def quality(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tq.Quality]:
    """Scores of a small run, by set and tool; what it prints and writes is checked on the way."""
    folder, found, row_of = tmp_path_factory.mktemp("quality"), {}, tq.row_of
    page = folder / "page.md"
    page.write_text("<!-- template quality -->\n<!-- /template quality -->\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tq, "row_of", lambda name, title, result, scored, ours: (
            found.setdefault(f"{name} {title}", scored), row_of(name, title, result, scored, ours))[1])  # fmt: skip
        text = tq.main(["--templates", "200", "--folder", str(folder), "--page", str(page)])
    assert "| hard | memaudit |" in text
    assert text in page.read_text()
    assert str(folder) not in text
    return found


@pytest.mark.slow
def test_memaudit_reaches_its_aim(quality: dict[str, tq.Quality]) -> None:
    hard, sample = quality["hard memaudit"], quality["sample memaudit"]
    assert min(hard.f1, hard.f1_by_template) >= 0.95
    assert hard.exact >= 0.7
    assert sample.f1_by_template >= 0.98
    assert sample.exact >= 0.97


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="precision .896: the fitted low band lists more phrases (docs/templates.md)")
def test_low_and_above_is_precise(quality: dict[str, tq.Quality]) -> None:
    assert quality["sample memaudit, low and above"].precision >= 0.95
