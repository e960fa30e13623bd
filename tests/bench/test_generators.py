"""The benchmark generators keep their promises: shares, determinism, and an exact brute force."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # scripts, not a package
import edits
import generate
import near_recall


@pytest.fixture(scope="module")
def generator() -> generate.Generator:
    return generate.Generator(0, "mixed")


def test_shares_of_kinds(generator: generate.Generator) -> None:
    table, kinds = generator.chunk(0, 50_000)
    assert np.bincount(kinds, minlength=4) / 50_000 == pytest.approx([0.55, 0.25, 0.10, 0.10], abs=0.01)
    captions = pl.Series(table["caption"])
    assert captions.null_count() == 0
    assert captions.str.len_chars().min() > 0
    assert 1 - captions.n_unique() / len(captions) == pytest.approx(0.25, abs=0.03)
    assert captions.str.count_matches(" ").mean() + 1 == pytest.approx(10, abs=1)
    assert captions.str.len_bytes().mean() == pytest.approx(57, abs=8)
    assert captions.str.contains(r"[^\x00-\x7f]").mean() == pytest.approx(0.05, abs=0.01)


def test_languages_differ_in_their_share_of_other_scripts() -> None:
    for language, share in (("ascii", 0.0), ("multilingual", 0.5)):
        captions = pl.Series(generate.Generator(0, language).chunk(0, 20_000)[0]["caption"])
        assert captions.str.contains(r"[^\x00-\x7f]").mean() == pytest.approx(share, abs=0.06)


def test_near_rows_are_one_edit_from_a_long_caption(generator: generate.Generator) -> None:
    table, kinds = generator.chunk(0, 5_000)
    captions = [c.split() for c in table["caption"].to_pylist()]
    long = [Counter(c) for c, k in zip(captions, kinds, strict=True) if k == 0 and len(c) >= 8]
    near = [Counter(c) for c, k in zip(captions, kinds, strict=True) if k == 2 and len(c) > 5]
    for words in near[:100]:
        assert min(max((words - other).total(), (other - words).total()) for other in long) <= 1


def test_generate_is_deterministic_and_chunked(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(generate, "CHUNK", 2_000)
    for name in ("a", "b"):
        generate.generate(tmp_path / name, 5_000, seed=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    frame = pl.read_parquet(tmp_path / "a")
    assert frame.columns == ["caption", "url", "uid"]
    assert frame["uid"].to_list() == [str(i) for i in range(5_000)]
    generate.generate(tmp_path / "c", 5_000, seed=4)
    assert not pl.read_parquet(tmp_path / "c")["caption"].equals(frame["caption"])


def test_a_handful_of_rows(tmp_path) -> None:
    for rows in (0, 1, 2, 7):
        generate.generate(tmp_path / "few.parquet", rows)
        assert len(pl.read_parquet(tmp_path / "few.parquet")) == rows


def test_brute_force_equals_the_double_loop() -> None:
    rng = Random(1)
    vocabulary = [f"w{i}" for i in range(30)]
    texts = [[rng.choice(vocabulary) for _ in range(rng.randint(0, 9))] for _ in range(150)]
    texts += [edits.edit(t, vocabulary, rng) if t else t for t in texts]
    for threshold in (0.3, 0.5, 0.7, 1.0):
        sets = [near_recall.shingles(t) for t in texts]
        naive = [
            (i, j)
            for i in range(len(texts))
            for j in range(i + 1, len(texts))
            if min(len(texts[i]), len(texts[j])) > 2 and len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= threshold
        ]
        assert naive
        assert near_recall.brute_force_pairs(texts, threshold).tolist() == [list(p) for p in naive]


def test_brute_force_without_texts() -> None:
    assert near_recall.brute_force_pairs([], 0.7).shape == (0, 2)
    assert near_recall.brute_force_pairs([["a"], ["a"]], 0.7).shape == (0, 2)


def test_pair_recall() -> None:
    pairs = np.array([[0, 1], [1, 2], [0, 3], [2, 3]])
    assert near_recall.pair_recall(pairs, np.array([5, 5, 5, 6])) == 0.5
    assert near_recall.pair_recall(np.empty((0, 2), dtype=np.int64), np.array([])) == 1.0


def test_edits_read_both_formats_and_point_to_their_source(tmp_path) -> None:
    long = [f"one two three four five six seven number{i}" for i in range(200)]
    pl.DataFrame({"url": "u", "TEXT": long}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"Caption": ["a; short", "three, four"], "URL": "u"}).write_csv(tmp_path / "b.csv", separator=";")
    captions = edits.read_captions(tmp_path / "a.parquet") + edits.read_captions(tmp_path / "b.csv")
    assert captions == [*long, "a; short", "three, four"]
    frame = edits.with_edits(captions, per_caption=2, seed=0)
    assert frame.equals(edits.with_edits(captions, per_caption=2, seed=0))
    assert frame["caption"].head(202).to_list() == captions
    copies = frame.tail(-202)
    assert 140 <= len(copies) <= 260
    assert set(copies["edits"]) == {1, 2}
    assert copies["source"].max() < 200
