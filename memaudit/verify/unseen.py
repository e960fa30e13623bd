"""Captions that a template could have made and the dataset does not hold: its fixed words around other slot values.

If a model still returns the picture's frame for such a prompt, it has memorised the template and not a caption.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from memaudit.text import alphabet as abc
from memaudit.text import reference
from memaudit.text.spelling import spell
from memaudit.verify.captions import joined_words, script

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

SLOT = "<*>"
SHAPES = ("<num>", "<size>", "<roman>", "<code>")
COUNTED = frozenset({"number", "size", "code", "roman", "year", "date", "price", "ordinal"})
"""Types of slots whose values are told apart by digits."""

_YEAR = re.compile("(?:19|20)[0-9]{2}")
_WORDS = re.compile(r"[^\W\d_]+(?: [^\W\d_]+)*")  # of letters only
_TELLING = 3  # letters of the longest word of a value, at least: "in" draws nothing
_TRIES = 20  # draws of one value
_FEW_DIGITS = 3  # a code with fewer gets other letters too
_ROMANS = "ii iii iv vi vii viii ix xi xii xiii xiv xvi xvii xviii xix xxi xxii xxiii xxiv xxvi xxvii xxviii".split()


class Slot(NamedTuple):
    """One place of a template that varies, as one caption fills it."""

    kind: str  # "<*>" or a shape
    low: int  # its tokens in the caption, [low, high)
    high: int
    value: str  # folded words, one space between, as TEMPLATES lists values; "" when empty


class Known(NamedTuple):
    """What is known of the slots of one template, one entry each, in the order of `slots_of`."""

    types: list[str]  # as TEMPLATES has them; "text" of a shape
    values: list[set[str]]  # that the dataset has there

    def words(self, i: int) -> set[str]:
        return {word for value in self.values[i] for word in value.split(" ")}

    def tells(self, i: int) -> bool:
        """Whether anything ever stands there that a picture could show: "a" and nothing in turn is no slot to fill."""
        return any(len(w) >= _TELLING or w.isdigit() or script(w) == "cjk" for w in self.words(i))


def slots_of(tokens: Sequence[str], surface: Sequence[str], template: str) -> list[Slot] | None:
    """The slots and shapes of a template in a caption that has these tokens; None when it is no caption of it.

    tokens, surface: of `Spelled`. Of several ways to align them the one with the earliest fixed words.
    """
    segments: list[list[str]] = [[]]
    for token in template.split(" "):
        if token == SLOT:
            segments.append([])
        else:
            segments[-1].append(token)
    starts = _starts(tokens, segments)
    if starts is None:
        return None
    out, end = [], 0
    for k, (start, segment) in enumerate(zip(starts, segments, strict=True)):
        if k:
            out.append(Slot(SLOT, end, start, " ".join(filter(None, surface[end:start]))))
        end = start + len(segment)
        shapes = [(start + i, token) for i, token in enumerate(segment) if token in SHAPES]
        out += [Slot(token, i, i + 1, surface[i]) for i, token in shapes]
    return out


def _starts(tokens: Sequence[str], segments: list[list[str]]) -> list[int] | None:
    """Where each run of fixed tokens begins: the first at the start, the last at the end, others as early as can be."""
    first, last, n = segments[0], segments[-1], len(tokens)
    if list(tokens[: len(first)]) != first or (len(segments) == 1 and len(first) != n):
        return None
    starts, at = [0], len(first)
    for segment in segments[1:-1]:
        found = next((i for i in range(at, n + 1) if list(tokens[i : i + len(segment)]) == segment), None)
        if found is None:
            return None
        starts.append(found)
        at = found + len(segment)
    if len(segments) == 1:
        return starts
    end = n - len(last)
    return [*starts, end] if end >= at and list(tokens[end:]) == last else None


def placed(caption: str) -> tuple[str, list[tuple[int, int]]] | None:
    """A caption with entities and tags resolved, and where in it each token lies: (from, to) in characters, the two
    ends as empty places. None where the folded words cannot be found again (hostile runs of marks)."""
    text = reference.decode(_bytes(caption))
    if text != caption:
        text = re.sub(" {2,}", " ", text).strip()  # where tags were
    folded, place = [], []
    for i, char in enumerate(text):
        made = abc.fold(char)
        folded.append(made)
        place += [i] * len(made)
    whole = unicodedata.normalize("NFKD", "".join(folded))  # reorders marks within a letter only
    out, at = [], 0
    for surface in spell(_bytes(caption)).surface[1:-1]:
        wanted = unicodedata.normalize("NFKD", surface)
        found = whole.find(wanted, at)
        if found < 0 or not wanted:
            return None
        at = found + len(wanted)
        out.append((place[found], place[at - 1] + 1))
    return text, [(0, 0), *out, (len(text), len(text))]


def unseen_captions(
    caption: str,
    template: str,
    known: Known,
    pools: Sequence[Sequence[Sequence[str]]],
    rng: np.random.Generator,
    draws: int,
) -> list[str]:
    """Up to `draws` different captions of the template: `caption` with other values in its slots that are not empty.

    pools: by slot, lists of values to draw from (folded words); the first list with any that fit is taken. Casing and
    separators are those of `caption`; numbers, sizes, codes and numerals become others of the same form. Every open
    slot gets a value that is not known of it; a shape whose every value is known (a count of bedrooms) keeps what it
    has, unless nothing else varies. The caller checks that the dataset does not hold the caption. Empty where no value
    can be found.
    """
    spelled = spell(_bytes(caption))
    slots, where = slots_of(spelled.tokens, spelled.surface, template), placed(caption)
    if slots is None or where is None or len(slots) != len(known.types):
        return []
    text, places = where
    spans = {
        i: _span([places[t] for t in range(slot.low, slot.high) if _is_word(spelled.surface[t])])
        for i, slot in enumerate(slots)
        if _is_word(slot.value) and known.tells(i)
    }
    choices = {i: next(filter(None, (_fitting(slots[i], known, i, p, template) for p in pools[i])), []) for i in spans}
    out: dict[str, None] = {}
    for _ in range(draws):
        changed = {i: _other(text[slice(*spans[i])], slots[i], known, i, choices[i], rng) for i in spans}
        if not any(changed.values()) or any(changed[i] is None for i in spans if slots[i].kind == SLOT):
            break
        made = text
        for i in sorted(spans, reverse=True):
            if (value := changed[i]) is not None:
                made = made[: spans[i][0]] + value + made[spans[i][1] :]
        if _is_unseen(made, template, known):
            out[made] = None
    return list(out)


def _bytes(caption: str) -> bytes:
    return caption.encode("utf-8", errors="replace")


def _is_word(text: str) -> bool:
    """Whether a token's text, or a slot's, has more than separators."""
    return any(c not in abc.SEPARATORS and c != " " for c in text)


def _span(places: list[tuple[int, int]]) -> tuple[int, int]:
    """From the first word to the last one."""
    return places[0][0], places[-1][1]


def _is_unseen(caption: str, template: str, known: Known) -> bool:
    """Whether a caption is one of the template, with a value in every open slot (or, without any, in one shape) that
    is not known of it."""
    spelled = spell(_bytes(caption))
    slots = slots_of(spelled.tokens, spelled.surface, template)
    if slots is None:
        return False
    new = {i: s.value not in known.values[i] for i, s in enumerate(slots) if _is_word(s.value) and known.tells(i)}
    opened = [is_new for i, is_new in new.items() if slots[i].kind == SLOT]
    return all(opened) if opened else any(new.values())


def _other(
    written: str, slot: Slot, known: Known, i: int, choices: Sequence[str], rng: np.random.Generator
) -> str | None:
    """Another value for slot i, written like the one that stands there; None where there is none."""
    if slot.kind == "<roman>" or known.types[i] == "roman":
        left = [numeral for numeral in _ROMANS if numeral not in known.values[i]]
        return cased(left[int(rng.integers(len(left)))], written) if left else None
    if slot.kind in SHAPES or (known.types[i] in COUNTED and any(c.isdigit() for c in written)):
        drawn = (recounted(written, rng) for _ in range(_TRIES))
        return next((value for value in drawn if _value(value) not in known.values[i]), None)
    return cased(choices[int(rng.integers(len(choices)))], written) if choices else None


def _value(written: str) -> str:
    return " ".join(filter(None, spell(_bytes(written)).surface))


def recounted(written: str, rng: np.random.Generator) -> str:
    """The same with other digits, and in a word with few of them with other letters; case, form and century stay."""

    def other(word: re.Match[str]) -> str:
        if _YEAR.fullmatch(word[0]):
            return word[0][:2] + "".join(_drawn("0", False, rng) for _ in "xx")
        letters = _is_code(word[0]) and sum(c.isdigit() for c in word[0]) < _FEW_DIGITS
        return "".join(_drawn(c, letters, rng) for c in word[0])

    return re.sub(r"\w+", other, written)


def _is_code(word: str) -> bool:
    """Whether a word mixes capitals and digits, so that its letters mean no unit ("PS5", not "15x8" or "20mm")."""
    return any(c.isdigit() for c in word) and any(c.isupper() for c in word)


def _drawn(char: str, letters: bool, rng: np.random.Generator) -> str:
    if char in "123456789":
        return "123456789"[int(rng.integers(9))]
    if char == "0":
        return "0123456789"[int(rng.integers(10))]
    if letters and char.isascii() and char.isupper():
        return "ABCDEFGHKLMNPRSTUVWXYZ"[int(rng.integers(22))]
    return char


def _fitting(slot: Slot, known: Known, i: int, pool: Iterable[str], template: str) -> list[str]:
    """Values of the pool that can stand in slot i: none of its known words nor fixed ones, of its script, and if there
    are any of as many words and of a like length; words of letters only."""
    taken = known.words(i) | set(template.split(" "))
    words = [word for word in slot.value.split(" ") if _is_word(word)]
    n, size, own = len(words), len(" ".join(words)), script(slot.value)
    worded = (value for value in dict.fromkeys(pool) if _WORDS.fullmatch(unicodedata.normalize("NFC", value)))
    told = (value for value in worded if own == "cjk" or max(map(len, value.split(" "))) >= _TELLING)
    new = [value for value in told if taken.isdisjoint(value.split(" ")) and script(value) == own]
    alike = [value for value in new if len(value.split(" ")) == n and size / 2 <= len(value) <= 2 * size]
    near = [value for value in new if abs(len(value.split(" ")) - n) <= max(1, n // 3)]
    return [joined_words(value.split(" ")) for value in alike or near or new]


def cased(value: str, like: str) -> str:
    """`value` (folded) in the case of `like`: all capitals, each word's first letter, the first letter, or none."""
    words = [word for word in re.findall(r"\w+", like) if word[0].isalpha()]
    if not words:
        return value
    if like.isupper() and sum(map(len, words)) > 1:
        return value.upper()
    if all(word[0].isupper() for word in words):
        return re.sub(r"(?:^|(?<= ))\w", lambda letter: letter[0].upper(), value)
    return value[:1].upper() + value[1:] if words[0][0].isupper() else value
