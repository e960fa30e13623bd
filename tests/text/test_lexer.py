"""The compiled lexer equals the plain Python reference, and keys say exactly whether words are equal."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memaudit.text import alphabet as abc
from memaudit.text.lexer import MAX_WORDS, LexedBatch, lex_buffers
from memaudit.text.reference import folded, lex
from memaudit.text.spelling import spell

PIECES = st.sampled_from(
    [
        "&amp;",
        "&#233;",
        "&#x41;",
        "&eacute;",
        "&nope;",
        "&NotEqualTilde;",
        "<b>",
        "</i>",
        "<",
        ">",
        "&",
        "15'",
        "8'6\"",
        "15x8",
        "00708_Q4311",
        "III",
        "xiv",
        "50-284730",
        "10-pack",
        "1,000.5",
        "4k",
        "12ft",
        "２０",
        "½",
        "ﷺ",
        "㍿",
        "東京",
        "ガ",
        "e\u0301",
        "\u0323\u0307",
        "\u0345",
        "İ",
        "ß",
        "ﬁ",
        "\u00ad",
        "\u200d",
        "\ufe0f",
        "\ud800",
        "•",
        "—",
        "x",
        " ",
        "\u0301" * 40,
        "가",
        "ᄀ",
    ]
)  # fmt: skip
TEXT = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=14).map("".join)


def buffers(captions: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(c) for c in captions])]).astype(np.int64)
    return np.frombuffer(b"".join(captions) or b"\0", np.uint8), offsets


def lexed(captions: list[bytes]) -> LexedBatch:
    return lex_buffers(*buffers(captions))


def encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def key(text: str) -> tuple[int, int]:
    batch = lexed([encoded(text)])
    return int(batch.key_lo[0]), int(batch.key_hi[0])


def composed(words: list[str]) -> list[str]:
    return [unicodedata.normalize("NFC", w) for w in words]


@given(TEXT)
@settings(max_examples=1500, deadline=None)
@example("&#x110000; &#0; &#99999999; &#x; &; &amp &ampx;")
@example("<" + "a" * 198 + "> <" + "a" * 199 + ">")
@example("1'2''3\"\" 1234' a1'2 0-a 0_ 7:")
@example("\u0345\u0301a\u0345\u0301")
def test_compiled_equals_reference(text: str) -> None:
    want, got = lex(encoded(text)), spell(encoded(text))
    assert got.words == composed(want.words)
    assert got.tokens == composed(want.tokens)


@given(st.binary(max_size=40))
@settings(max_examples=500, deadline=None)
@example(b"a\xe2\x82A\xed\xa0\x80b\xc0\x80\xf4\x90\x80\x80\xff\xf0\x9f\x98")
def test_malformed_utf8_equals_reference(caption: bytes) -> None:
    want, got = lex(caption), spell(caption)
    assert (got.words, got.tokens) == (composed(want.words), composed(want.tokens))


@given(st.lists(TEXT, max_size=12))
@settings(max_examples=200, deadline=None)
def test_streams_of_a_batch_are_those_of_its_captions(texts: list[str]) -> None:
    batch = lexed([encoded(t) for t in texts])
    for i, text in enumerate(texts):
        one = spell(encoded(text))
        tokens = batch.tokens[batch.token_at[i] : batch.token_at[i + 1]]
        assert tokens.tolist() == one.token_hashes.tolist()
        assert batch.word_at[i + 1] - batch.word_at[i] == min(batch.n_words[i], MAX_WORDS) == len(one.words)


@given(TEXT, TEXT)
@settings(max_examples=500, deadline=None)
def test_keys_are_equal_exactly_when_words_are(a: str, b: str) -> None:
    assert (key(a) == key(b)) == (lex(encoded(a)).words == lex(encoded(b)).words)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Café Olé", "cafe\u0301 ole\u0301"),
        ("<b>Red</b> &amp; blue", "red blue!"),
        ("ＳＡＬＥ ５０％", "sale 50"),
        ("Straße", "STRASSE"),
        ("soft\u00adhyphen", "softhyphen"),
        ("한국", unicodedata.normalize("NFD", "한국")),
    ],
)
def test_spellings_of_one_text_agree(a: str, b: str) -> None:
    assert key(a) == key(b)


@pytest.mark.parametrize(
    ("a", "b"), [("iPhone 6 case", "iPhone 7 case"), ("ab c", "a bc"), ("a", "á"), ("one two", "two one"), ("", "a")]
)
def test_different_texts_differ(a: str, b: str) -> None:
    assert key(a) != key(b)


def test_phone_cases_share_their_shape() -> None:
    assert spell(b"iPhone 6 case").tokens == spell(b"iPhone 7 case").tokens == ["^", "iphone", "<num>", "case", "$"]


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("00708_Q4311", "<code>"), ("50-284730", "<code>"), ("15'", "<size>"), ("15x8", "<size>"), ("5'10\"", "<size>"),
        ("12ft", "<size>"), ("III", "<roman>"), ("XIV", "<roman>"), ("2019", "<num>"), ("1,000.50", "<num>"),
        ("13836925", "<code>"), ("i", "i"), ("10:30", "<num>"), ("٣", "<num>"),
    ],
)  # fmt: skip
def test_shapes(text: str, token: str) -> None:
    assert spell(text.encode()).tokens == ["^", token, "$"]


def test_beyond_the_lexed_part_bytes_still_count() -> None:
    long = b"word " * (abc.LEX_BYTES // 5 + 1)
    assert lexed([long + b"x"]).key_lo[0] != lexed([long + b"y"]).key_lo[0]
    assert lexed([long + b"x"]).key_lo[0] == lexed([long + b"x"]).key_lo[0]
    assert lexed([long]).word_at[-1] == MAX_WORDS


def test_stacked_marks_are_limited() -> None:
    assert len(folded("a" + "\u0301\u0316" * 5000)) == 1 + abc.MARK_RUN


def test_every_fold_is_stable() -> None:
    """Folding twice changes nothing, so a folded word looks itself up."""
    folds = {c: abc.fold(c) for c in map(chr, range(0x30000))}
    changed = [c for c, f in folds.items() if "".join(map(abc.fold, f)) != f]
    assert changed == []
