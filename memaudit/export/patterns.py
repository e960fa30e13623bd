r"""Regular expressions from triggers and templates, for raw prompts, in RE2 syntax: no look-around, no back-references.

Captions are folded before they are compared (case, compatibility forms, marks); a pattern has to find them as people
write them. It is wider than what it stands for in three ways: whatever is no letter, mark or number may stand between
two words, HTML tags and entities too; a word is tried in its composed and its decomposed spelling; and a shape
(`<num>`) takes whatever looks like one. Letters written as entities (`caf&eacute;`), full-width Latin letters and
ligatures are not looked for. `\b` and `\W` are avoided: to RE2 itself they mean ASCII, and an "é" would end a word.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

from memaudit.text.alphabet import IDEOGRAPH, SEPARATOR_FORMS, SEPARATORS, kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FLAGS = "(?is)"  # any case; "." is any character, a line break too
START, END, SLOT = "^", "$", "<*>"

_WORD = r"[\pL\pM\pN]"
_GAP = r"[^\pL\pM\pN]"  # one character between words, as the lexer sees it
_HTML = r"&#?\w+;|</?\w[^<>]*>"
_GAPS = rf"(?:{_GAP}|[\x{{fe00}}-\x{{fe0f}}]|{_HTML})"  # an emoji's variation selector is a mark that says nothing
_JOIN = r"[-‐-―−_./×:,'’]"
_COUNT = r"\pN+(?:[x×]\pN+)*"
_UNIT = r"\pL{0,6}"
_CODE = rf"{_WORD}*\pN{_WORD}*"
_SHAPES = {
    "<num>": rf"\pN+(?:{_JOIN}\pN+)*",
    "<size>": rf"{_COUNT}{_UNIT}(?:{_JOIN}{_COUNT}{_UNIT})*['\x22’”′″]*",
    "<roman>": r"(?:[ivx]{2,}|[ⅱ-ⅻ])",
    "<code>": rf"{_CODE}(?:{_JOIN}{_CODE})*",
}
_SEPARATORS = frozenset(SEPARATORS)
_SPELLINGS = (
    (re.compile("ss"), "(?:ss|ß)"),
    (re.compile("tm$"), "(?:tm|™|&trade;)"),
    (re.compile("i\u0307"), "(?:i\u0307|İ)"),
)
"""Foldings that lengthen a character; "(?i)" does not undo them."""


class Pattern(NamedTuple):
    """One pattern; purity and coverage are the trigger's, and None for a template, where nobody has counted them."""

    pattern: str
    type: str
    purity: float | None
    coverage: float | None


def finding_patterns(triggers: Iterable[Mapping[str, Any]], template: str | None) -> list[Pattern]:
    """Patterns of one finding: its triggers, then its template. One that would match anything is left out."""
    found = [Pattern(pattern_of(t["words"]), "trigger", t["purity"], t["coverage"]) for t in triggers]
    if template is not None:
        found.append(Pattern(pattern_of(template.split(" ")), "template", None, None))
    return [pattern for pattern in found if pattern.pattern != FLAGS]


def pattern_of(tokens: Sequence[str]) -> str:
    """The pattern that selects captions with these tokens in a row.

    tokens: words, separators, shapes, "<*>" for any run of words, "^" and "$" for a caption's ends, as templates
    write them.
    """
    fixed, slot_before = _parted(tokens)
    if not fixed:
        return FLAGS
    out = [FLAGS, _edge(fixed[0], bound=tokens[0] == START and not slot_before[0], at=START)]
    for at, token in enumerate(fixed):
        if at:
            out.append(_between(_is_solid(fixed[at - 1]), _is_solid(token), slot_before[at]))
        out.append(_one(token))
    out.append(_edge(fixed[-1], bound=tokens[-1] == END and not slot_before[-1], at=END))
    return "".join(out)


def _parted(tokens: Sequence[str]) -> tuple[list[str], list[bool]]:
    """The tokens without ends and slots, and where slots are: before each of them, and after the last."""
    fixed: list[str] = []
    slots = [False]
    for at, token in enumerate(tokens):
        if token == SLOT:
            slots[-1] = True
        elif not (at == 0 and token == START) and not (at == len(tokens) - 1 and token == END):
            fixed.append(token)
            slots.append(False)
    return fixed, slots


def _is_solid(token: str) -> bool:
    """Whether a token needs a gap to its neighbours: a word of letters or a shape; no separator, no ideograph."""
    return token in _SHAPES or (token not in _SEPARATORS and kind(unicodedata.normalize("NFKD", token)[0]) != IDEOGRAPH)


def _edge(token: str, bound: bool, at: str) -> str:
    """What stands outside the first or the last token; bound: the caption's end, but for punctuation."""
    if bound:
        return f"{START}{_GAPS}*" if at == START else f"{_GAPS}*{END}"
    if not _is_solid(token):
        return ""
    return f"(?:{START}|{_GAP})" if at == START else f"(?:{_GAP}|{END})"


def _between(solid: bool, next_solid: bool, slot: bool) -> str:
    """What stands between two tokens."""
    if not slot:
        return f"{_GAPS}+" if solid and next_solid else f"{_GAPS}*"
    if solid and next_solid:
        return f"{_GAP}(?:.*{_GAP})?"
    return f"(?:{_GAP}.*)?" if solid else f"(?:.*{_GAP})?" if next_solid else ".*"


def _one(token: str) -> str:
    if token in _SHAPES:
        return _SHAPES[token]
    if token in _SEPARATORS:
        return _separator(token)
    spellings = dict.fromkeys(unicodedata.normalize(form, token) for form in ("NFC", "NFD"))
    written = [_spelled(_escaped(spelling)) for spelling in spellings]
    return written[0] if len(written) == 1 else f"(?:{'|'.join(written)})"


def _separator(token: str) -> str:
    """Any of the characters that fold to this separator, or any HTML entity."""
    forms = [token, *(form for form, folded in SEPARATOR_FORMS.items() if folded == token)]
    if token.isascii():
        forms.append(chr(ord(token) + 0xFEE0))  # full width
    return rf"(?:[{''.join(map(_escaped, forms))}]|&#?\w+;)"


def _escaped(text: str) -> str:
    """Text without the meaning that ASCII punctuation has in a pattern."""
    return re.sub(r"[!-/:-;=?@\[-`{-~]", r"\\\g<0>", text)


def _spelled(word: str) -> str:
    for folding, written in _SPELLINGS:
        word = folding.sub(written, word)
    return word
