"""The rules of the lexer in plain Python: the definition that the compiled road is tested against.

Two streams come out of one caption. *Words* (runs of letters, marks and digits; ideographs one by one) decide exact
and near repetition. *Tokens* decide templates: the same words, but numbers, sizes, roman numerals and codes by their
shape only, separators kept, and the caption's two ends as tokens of their own.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import NamedTuple

from memaudit.text import alphabet as abc

ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")
TAG = re.compile(r"<[A-Za-z/!?][^<>]{0,TAG}>".replace("TAG", str(abc.TAG_LENGTH - 2)))
ROMAN = re.compile(r"(?=..)x{0,3}(?:ix|iv|v?i{0,3})")
NUMBER = re.compile(r"0+")
SIZE = re.compile(r"0+(?:x0+)*(?:UNIT)?".replace("UNIT", "|".join(abc.UNITS)))


class Lexed(NamedTuple):
    words: list[str]
    tokens: list[str]


def decode(caption: bytes) -> str:
    """The caption's text: UTF-8 with replacement characters, entities decoded once, tags replaced by a space."""
    text = caption[: abc.LEX_BYTES].decode("utf-8", errors="replace")
    return TAG.sub(" ", ENTITY.sub(_entity, text))


def _entity(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name:
        return html.entities.html5.get(name + ";", match.group())
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if 0 < code < abc.CODE_POINTS and not 0xD800 <= code < 0xE000 else "\ufffd"


def folded(text: str) -> str:
    """Folded and canonically ordered text, marks limited to `MARK_RUN` in a row."""
    kept: list[str] = []
    run = 0
    for char in "".join(map(abc.fold, text)):
        run = run + 1 if unicodedata.combining(char) else 0
        if run <= abc.MARK_RUN:
            kept.append(char)
    return unicodedata.normalize("NFKD", "".join(kept))


def lex(caption: bytes) -> Lexed:
    """Words and tokens of one caption; tokens as templates write them, between "^" and "$"."""
    text = folded(decode(caption))
    words: list[str] = []
    tokens = ["^"]
    at = 0
    while at < len(text):
        kind = abc.kind(text[at])
        if kind in (abc.LETTER, abc.DIGIT, abc.IDEOGRAPH):
            parts, measured, at = _compound(text, at)
            words += parts
            tokens.append(_token(parts, measured))
        else:
            if kind >= abc.FIRST_SEPARATOR:
                tokens.append(abc.SEPARATORS[kind - abc.FIRST_SEPARATOR])
            at += 1
    return Lexed(words, [*tokens, "$"])


def _word_end(text: str, at: int) -> int:
    if abc.kind(text[at]) == abc.IDEOGRAPH:
        at += 1
        while at < len(text) and abc.kind(text[at]) == abc.MARK:
            at += 1
        return at
    while at < len(text) and abc.kind(text[at]) in (abc.LETTER, abc.MARK, abc.DIGIT):
        at += 1
    return at


def _has_digit(word: str) -> bool:
    return any(abc.kind(c) == abc.DIGIT for c in word)


def _compound(text: str, at: int) -> tuple[list[str], bool, int]:
    """The word at `at`; where it holds a digit also the parts joined to it, and whether a quote mark measures it
    (15')."""
    end = _word_end(text, at)
    parts = [text[at:end]]
    if not _has_digit(parts[0]):
        return parts, False, end
    while end + 1 < len(text) and text[end] in abc.JOINERS and abc.kind(text[end + 1]) in (abc.LETTER, abc.DIGIT):
        after = _word_end(text, end + 1)
        if not _has_digit(text[end + 1 : after]):
            break
        parts.append(text[end + 1 : after])
        end = after
    quotes = 0
    if NUMBER.fullmatch(_digits_as_zero(parts[-1])) and len(parts[-1]) <= 3:
        while quotes < 2 and end + quotes < len(text) and text[end + quotes] in "'\"":
            quotes += 1
    return parts, quotes > 0, end + quotes


def _digits_as_zero(word: str) -> str:
    return "".join("0" if abc.kind(c) == abc.DIGIT else c for c in word)


def _token(parts: list[str], measured: bool) -> str:
    if not _has_digit(parts[0]):
        return "<roman>" if ROMAN.fullmatch(parts[0]) else parts[0]
    shapes = [_digits_as_zero(part) for part in parts]
    if not all(SIZE.fullmatch(shape) for shape in shapes):
        return "<code>"
    if measured or not all(NUMBER.fullmatch(shape) for shape in shapes):
        return "<size>"
    return "<num>" if max(map(len, shapes)) <= 4 else "<code>"
