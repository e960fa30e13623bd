"""Texts of strangers, made harmless for each kind of output."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.report import escape

ANY = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("  two\n lines\t\u2028here ", "two lines here"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("bell\x07 nul\x00", "bell\\x07 nul\\x00"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("[red]not markup[/red]", "[red]not markup[/red]"),
        ("日本語 Äpfel 👩‍🌾", "日本語 Äpfel 👩‍🌾"),
        ("e" + "\u0301" * 500, "e" + "\u0301" * escape.MARK_RUN),
    ],
)
def test_terminal(text: str, shown: str) -> None:
    assert escape.terminal(text) == shown


@given(ANY)
def test_terminal_lets_nothing_act(text: str) -> None:
    shown = escape.terminal(text)
    assert all(c.isprintable() or c in "\u200c\u200d" for c in shown)
    shown.encode("utf-8")


def test_the_middle_of_a_huge_text_is_left_out() -> None:
    shown = escape.terminal("a" * 60_000 + "b" * 60_000)
    assert len(shown) < escape.LONGEST + 10
    assert shown.startswith("aaa") and shown.endswith("bbb") and " … " in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("^ <*> @you #1 https://x $", "`^ <*> @you #1 https://x $`"),
        ("a | b", "<code>a &#124; b</code>"),
        ("`x`", "<code>&#96;x&#96;</code>"),
        ("\\| <img src=x>", "<code>&#92;&#124; &#60;img src&#61;x&#62;</code>"),
        ("ü|_", "<code>ü&#124;&#95;</code>"),
    ],
)
def test_markdown(text: str, shown: str) -> None:
    assert escape.markdown(text) == shown


@given(ANY)
def test_markdown_stays_in_its_cell_and_its_code(text: str) -> None:
    shown = escape.markdown(text)
    assert "|" not in shown and "\n" not in shown and "\\" not in shown
    inside = shown.removeprefix("<code>").removesuffix("</code>") if shown.startswith("<code>") else shown[1:-1]
    assert "`" not in inside
    assert shown.startswith("`") or not any(c in inside for c in "<>*_[]")


@given(ANY)
def test_json_is_exact_and_inert(text: str) -> None:
    encoded = escape.json_text(json.dumps({text: text}, ensure_ascii=False, indent=1))
    assert json.loads(encoded) == {text: text}
    assert not any(
        unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in encoded if c not in "\n\u200c\u200d"
    )
    encoded.encode("utf-8")
