"""Word overlap between captions, as memaudit counts it: the check that planted and unique captions stay apart.

A plain, slow twin of the detector's normalisation (docs: scan), kept separate on purpose: the sample must not depend on
the code that it is there to test.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter, defaultdict
from itertools import pairwise

Shingles = frozenset[tuple[str, ...]]

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_ONE_CHARACTER_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")  # kana and Han


def words(caption: str) -> tuple[str, ...]:
    """The normalised words of a caption: NFKD, case folded, no HTML; Han and kana one character each."""
    text = unicodedata.normalize("NFKD", html.unescape(_TAG.sub(" ", caption))).casefold()
    found: list[str] = []
    inside = False
    for char in text:
        kind = unicodedata.category(char)
        if kind[0] == "M" and inside:
            found[-1] += char
        elif kind[0] == "L" or kind == "Nd":
            single = _ONE_CHARACTER_WORDS.match(char) is not None
            if inside and not single:
                found[-1] += char
            else:
                found.append(char)
            inside = not single
        else:
            inside = False
    return tuple(found)


def shingles(text: tuple[str, ...]) -> Shingles:
    """The set of word unigrams and bigrams."""
    return frozenset((w,) for w in text) | frozenset(pairwise(text))


def jaccard(a: Shingles, b: Shingles) -> float:
    """Shared shingles over all shingles; 0 for two empty sets."""
    return len(a & b) / max(1, len(a | b))


class OverlapIndex:
    """Captions taken so far, to ask whether a new one repeats, nearly repeats or falls into a pattern.

    Two captions with Jaccard >= .6 share a bigram unless they are one and the same word, so postings of bigrams find
    every candidate.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        self.threshold = threshold
        self._taken: list[Shingles] = []
        self._postings: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._texts: set[tuple[str, ...]] = set()
        self._runs: Counter[tuple[str, ...]] = Counter()

    def __contains__(self, text: object) -> bool:
        return text in self._texts

    def near(self, text: tuple[str, ...]) -> bool:
        """Whether a taken caption has the same words or a Jaccard similarity of at least the threshold."""
        if text in self._texts:
            return True
        mine = shingles(text)
        candidates = {i for s in mine if len(s) == 2 for i in self._postings.get(s, ())}
        return any(jaccard(mine, self._taken[i]) >= self.threshold for i in candidates)

    def patterned(self, text: tuple[str, ...]) -> bool:
        """Whether one of its word runs, or its beginning or end, is used up: it would look like a template."""
        return any(self._runs[run] >= limit for run, limit in _runs(text).items())

    def add(self, text: tuple[str, ...], *, count_runs: bool = True) -> None:
        """Takes a caption; `count_runs` is false for planted ones, whose repetition is meant."""
        mine = shingles(text)
        for s in mine:
            if len(s) == 2:
                self._postings[s].append(len(self._taken))
        self._taken.append(mine)
        self._texts.add(text)
        if count_runs:
            self._runs.update(_runs(text).keys())


_FUNCTION_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "in",
        "on",
        "at",
        "to",
        "and",
        "with",
        "for",
        "by",
        "is",
        "are",
        "from",
        "or",
        "as",
        "next",
        "near",
        "under",
        "no",
    ]
)


def _runs(text: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """Word runs by which a template would show, with the most captions that may share each.

    4-grams; bigrams of two content words; beginnings and ends of one to three words.
    """
    runs = {text[i : i + 4]: 7 for i in range(len(text) - 3)}
    runs |= {b: 14 for b in pairwise(text) if not _FUNCTION_WORDS & set(b)}
    for mark, end in (("^", text[:3]), ("$", text[: -min(len(text), 3) - 1 : -1])):
        for length, limit in ((1, 60), (2, 20), (3, 10)):
            if len(end) >= length and not (length == 1 and end[0] in _FUNCTION_WORDS):
                runs[(mark, str(length), *end[:length], "")] = limit
    return runs
