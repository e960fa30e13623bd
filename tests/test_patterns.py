"""Patterns select what they stand for, in the syntax that RE2 and Rust's regex share."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.export import export
from memaudit.export.patterns import FLAGS, finding_patterns, pattern_of
from memaudit.originals import Originals
from memaudit.text.reference import lex

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit

SELECTS = [
    ("^ shaw floors <*> <roman> <size> <*>", "Shaw Floors Solidify III 15' Pewter 00701_5E267"),
    ("^ shaw floors <*> <roman> <size> <*>", "shaw  FLOORS - iv 12ft"),
    ("<*> iphone case $", "Blue_iPhone_Case!"),
    ("iphone <num> case", "an iPhone 12 case, new"),
    ("red & blue - <num>", "Red &amp; Blue – 12"),
    ("red & blue - <num>", "red＆blue-1,200"),
    ("red & blue - <num>", "red&#38;blue &ndash; 7"),
    ("my cat riding", "<b>My</b> cat &quot;riding&quot;"),
    ("café", "CAFÉ"),
    ("café", "Cafe\u0301"),
    ("cafe\u0301", "le café"),
    ("strasse", "die Straße"),
    ("istanbul", "ISTANBUL"),
    ("i\u0307stanbul", "İstanbul"),
    ("tordelltm boat", "Tordell™ Boat"),
    ("東 京 タ ワ ー", "夜の東京タワー"),
    ("東 京 tower", "東京 Tower"),
    ("東 <*> ー", "東京タワー"),
    ("が", "か\u3099"),
    ("한국", unicodedata.normalize("NFD", "한국")),
    ("art <code> $", "art. 00708_Q4311"),
    ("a <*> b", "a b"),
    ("a <*> b", "a line\nbreak b"),
    ("a <*> , b", "a, b"),
    ("- <*> b", "-b"),
    ("[ a ]", "[a]"),
    ("i love you $", "I ❤️ love you ❤️"),
]
LEAVES = [
    ("^ shaw floors", "the shaw floors"),
    ("iphone case", "iphone cases"),
    ("iphone case", "myiphone case"),
    ("iphone case", "iphone 7 case"),
    ("<*> iphone case $", "iphone case blue"),
    ("cafe", "café"),
    ("a <*> b", "ab"),
    ("a <*> b", "xa b"),
    ("a <num> b", "a few b"),
    ("a <roman> b", "a v b"),
    ("a | b", "a b"),
]


def hits(pattern: str, captions: list[str | None]) -> list[bool]:
    return pl.Series(captions, dtype=pl.String).str.contains(pattern).to_list()


@pytest.mark.parametrize(("template", "caption"), SELECTS)
def test_selects(template: str, caption: str) -> None:
    assert hits(pattern_of(template.split(" ")), [caption]) == [True]


@pytest.mark.parametrize(("template", "caption"), LEAVES)
def test_leaves(template: str, caption: str) -> None:
    assert hits(pattern_of(template.split(" ")), [caption]) == [False]


@given(
    st.lists(
        st.sampled_from(["red", "Café", "7", "15x8", "III", "ab1", "東京", " ", " - ", "|", ", ", "™ ", "ß"]),
        max_size=8,
    )
)
def test_a_caption_is_selected_by_its_own_tokens(parts: list[str]) -> None:
    caption = "".join(parts)
    tokens = lex(caption.encode()).tokens
    assert hits(pattern_of(tokens), [caption]) == [True]
    assert hits(pattern_of(["<*>", *tokens[1:-1], "<*>"]), ["東 " + caption + " - 東"]) == [True]


def test_a_pattern_without_words_is_left_out() -> None:
    assert pattern_of(["^", "<*>", "$"]) == FLAGS
    assert finding_patterns([], "^ <*> $") == []


def test_every_pattern_of_the_sample_selects_its_members(sample_audit: Audit, tmp_path: Path) -> None:
    for view in ("patterns", "members"):
        export(sample_audit, view, "parquet", tmp_path / f"{view}.parquet")
    members = pl.read_parquet(tmp_path / "members.parquet").group_by("fingerprint").agg("caption")
    captions = dict(members.iter_rows())
    patterns = pl.read_parquet(tmp_path / "patterns.parquet")
    assert len(patterns) > 100
    for pattern, fingerprint in patterns.filter(type="template").select("pattern", "fingerprint").iter_rows():
        found = pl.DataFrame({"caption": captions[fingerprint]}).with_columns(
            hit=pl.col("caption").str.contains(pattern)
        )
        assert found["hit"].mean() >= 0.95, pattern
        plain = found.filter(~pl.col("caption").str.contains(r"[^\x00-\x7f]|&\w+;"))
        assert plain["hit"].all(), (pattern, plain.filter(~pl.col("hit"))["caption"].to_list())
    triggers = patterns.filter(type="trigger").select("pattern", "fingerprint", "coverage")
    for pattern, fingerprint, coverage in triggers.iter_rows():
        distinct = list(set(captions[fingerprint]))
        assert sum(hits(pattern, distinct)) >= 0.95 * coverage * len(distinct), pattern


def test_a_trigger_and_its_pattern_select_the_same_captions(sample_audit: Audit) -> None:
    """Counted on word streams by the scan, and by the expression on the captions themselves; sets of words only."""
    triggers = sample_audit.frame("triggers").filter(pl.col("words").list.contains("<*>")).head(60)
    assert len(triggers) == 60
    texts, originals = sample_audit.frame("texts"), Originals(sample_audit)
    captions = pl.concat(
        pl.DataFrame({"caption": originals.read(file, *(part[name].to_numpy() for name in ("row", "column"))).captions})
        for (file,), part in texts.group_by("file", maintain_order=True)
    )
    assert len(captions) == len(texts) and not originals.unread
    plain = captions.filter(~pl.col("caption").str.contains(r"[^\x00-\x7f]|[<&]"))
    assert len(plain) > 0.75 * len(captions)
    for words, n in triggers.select("words", "n_texts").iter_rows():
        pattern = pattern_of(words)
        assert plain["caption"].str.contains(pattern).sum() <= n <= captions["caption"].str.contains(pattern).sum(), (
            words
        )


def test_no_pattern_leaves_re2(sample_audit: Audit, tmp_path: Path) -> None:
    export(sample_audit, "patterns", "parquet", tmp_path / "patterns.parquet")
    for pattern in pl.read_parquet(tmp_path / "patterns.parquet")["pattern"]:
        assert pattern.startswith(FLAGS)
        assert not re.search(r"\(\?(?![:i])|\\[1-9bBW]|[*+?}]\+", pattern), pattern
