"""Words written out: the compiled lexer once more, for the few captions that are shown."""

from __future__ import annotations

import itertools
import unicodedata
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from memaudit.text import alphabet as abc
from memaudit.text.alphabet import alphabet
from memaudit.text.folding import FOLD_GROWTH, fold_caption, scratch
from memaudit.text.lexer import MAX_WORDS, lex_folded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")


class Spelled:
    """One caption with its words written out, in composed form. Strings are cut when they are asked for."""

    __slots__ = ("_text", "_token_spans", "_word_spans", "token_hashes")

    def __init__(self, text: str, word_spans: np.ndarray, token_spans: np.ndarray, hashes: np.ndarray) -> None:
        self._text = text
        self._word_spans = word_spans
        self._token_spans = token_spans
        self.token_hashes = hashes

    @property
    def words(self) -> list[str]:
        """The words of exact and near detection."""
        return self._cut(self._word_spans)

    @property
    def surface(self) -> list[str]:
        """The folded text under each token: what a slot really held."""
        return self._cut(self._token_spans)

    @property
    def tokens(self) -> list[str]:
        """tokens[i] is what token_hashes[i] stands for, as templates write it: numbers as "<num>" and so on."""
        names = zip(self.token_hashes.tolist(), self.surface, strict=True)
        return [text if h >= abc.FIRST_WORD else abc.TOKEN_NAMES[h] for h, text in names]

    def _cut(self, spans: np.ndarray) -> list[str]:
        pieces = [self._text[a:b] for a, b in zip(spans[:, 0].tolist(), spans[:, 1].tolist(), strict=True)]
        return pieces if self._text.isascii() else [unicodedata.normalize("NFC", piece) for piece in pieces]


SPELL_BYTES = 1 << 16  # captions spelled by one call of the kernel


def spell(caption: bytes) -> Spelled:
    """Lex one caption so that its words can be written out: for what is shown, not for what is scanned."""
    return next(spell_all([caption]))


def spell_all(captions: Sequence[bytes]) -> Iterator[Spelled]:
    """`spell` of each caption; about 4 us a caption."""
    first, size = 0, 0
    for i, caption in enumerate(captions):
        size += len(caption)
        if size >= SPELL_BYTES:
            yield from _spell_some(captions[first : i + 1])
            first, size = i + 1, 0
    yield from _spell_some(captions[first:])


def _spell_some(captions: Sequence[bytes]) -> Iterator[Spelled]:
    lengths = np.array([min(len(c), abc.LEX_BYTES) for c in captions], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    data = np.frombuffer(b"".join(c[: abc.LEX_BYTES] for c in captions) or b" ", np.uint8)
    room = int(np.minimum(2 * lengths, MAX_WORDS).sum()) + 2 * len(captions) + MAX_WORDS
    raw, folded = scratch(int(lengths.max(initial=0)))
    text = np.empty(FOLD_GROWTH * int(offsets[-1]) + 1, np.uint32)
    tokens, ends = np.empty(room, np.uint32), np.zeros((len(captions) + 1, 3), np.int64)
    word_spans, token_spans = np.zeros((room, 2), np.int32), np.zeros((room, 2), np.int32)
    _spell_range(data, offsets, raw, folded, text, tokens, word_spans, token_spans, ends, alphabet())
    whole = text[: ends[-1, 0]].tobytes().decode("utf-32-le")
    for (a, b, c), (d, e, f) in itertools.pairwise(ends.tolist()):
        yield Spelled(whole[a:d], word_spans[b:e], token_spans[c:f], tokens[c:f])


@_jit
def _spell_range(data, offsets, raw, folded, text, tokens, word_spans, token_spans, ends, abc_):
    """Folded text, word and token spans of all captions; ends[i + 1]: where caption i's text, words and tokens end."""
    words = np.empty(MAX_WORDS, np.uint32)
    at, w, t = 0, 0, 0
    for i in range(len(offsets) - 1):
        n = fold_caption(data, offsets[i], offsets[i + 1], raw, folded, abc_)
        n_words, n_tokens, _, _, _ = lex_folded(
            folded, n, words, tokens[t:], word_spans[w:], token_spans[t:], abc_.kind, abc_.units
        )
        text[at : at + n] = folded[:n]
        token_spans[t, :] = 0
        token_spans[t + n_tokens - 1, :] = 0
        at, w, t = at + n, w + n_words, t + n_tokens
        ends[i + 1, 0], ends[i + 1, 1], ends[i + 1, 2] = at, w, t
