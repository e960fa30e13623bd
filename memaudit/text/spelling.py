"""Words written out: the compiled lexer once more, for the few captions that are shown."""

from __future__ import annotations

import itertools
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.jit import kernel, leaf
from memaudit.text import alphabet as abc
from memaudit.text.alphabet import alphabet
from memaudit.text.folding import ENCODED_GROWTH, fold_any, fold_plain, scratch
from memaudit.text.lexer import MAX_WORDS, lex_folded, read_only

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


SPELL_BYTES = 1 << 16  # captions spelled by one call of the kernel
WORDS, FRAME, SLOT = range(3)  # forms of `Writing`
_WORDS, _FRAME, _FIRST_WORD, _LEX_BYTES = WORDS, FRAME, abc.FIRST_WORD, abc.LEX_BYTES
_SPACE, _LINE_FEED = 32, 10
_NAME = 9  # bytes of the longest name of a token, and a space, at most


class Spelled:
    """One caption with its words written out, in composed form. Strings are cut when they are asked for."""

    __slots__ = ("_text", "_token_spans", "_word_spans", "token_hashes")

    def __init__(self, text: bytes, word_spans: np.ndarray, token_spans: np.ndarray, hashes: np.ndarray) -> None:
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
        pieces = [self._text[a:b].decode() for a, b in zip(spans[:, 0].tolist(), spans[:, 1].tolist(), strict=True)]
        return pieces if self._text.isascii() else [unicodedata.normalize("NFC", piece) for piece in pieces]


class Writing(NamedTuple):
    """Pieces of captions to write out, one array entry each: of caption `caption` (int64, ascending) in the form

    WORDS: its normalised words;
    FRAME: its template, whose runs lie at `span` (`detect.frames.unpack`), with a "<*>" for every slot whose bit is set
        in `slots`, others written out;
    SLOT: what slot number `slots` of that template holds.

    form: uint8; span: uint64; slots: uint8.
    """

    caption: np.ndarray
    form: np.ndarray
    span: np.ndarray
    slots: np.ndarray


class SpelledCaptions(NamedTuple):
    """Captions spelled by one call: caption i owns text[ends[i, 0]:ends[i + 1, 0]], word_spans from ends[i, 1] and
    token_spans and tokens from ends[i, 2] on; spans count from the start of its text."""

    text: np.ndarray  # uint8, folded UTF-8
    word_spans: np.ndarray  # int32 (words, 2)
    token_spans: np.ndarray  # int32 (tokens, 2)
    tokens: np.ndarray  # uint32
    ends: np.ndarray  # int64 (n + 1, 3)

    def each(self) -> Iterator[Spelled]:
        """The captions, one by one."""
        whole = self.text[: self.ends[-1, 0]].tobytes()
        for (a, b, c), (d, e, f) in itertools.pairwise(self.ends.tolist()):
            yield Spelled(whole[a:d], self.word_spans[b:e], self.token_spans[c:f], self.tokens[c:f])

    def one(self, i: int) -> Spelled:
        """Caption i alone, in arrays of its own."""
        (a, b, c), (d, e, f) = self.ends[i : i + 2].tolist()
        spans = self.word_spans[b:e].copy(), self.token_spans[c:f].copy()
        return Spelled(self.text[a:d].tobytes(), *spans, self.tokens[c:f].copy())

    def written(self, writing: Writing) -> list[str]:
        """What `writing` asks for, words in composed form with one space between."""
        if not len(writing.caption):
            return []
        lengths = np.diff(self.ends[:, 0]) + _NAME * np.diff(self.ends[:, 2]) + 4 * _NAME  # a name a token, four slots
        out = np.empty(int(lengths[writing.caption].sum()), np.uint8)
        n = _write(*self, *writing, *_names(), out)
        pieces = out[: n - 1].tobytes().decode().split("\n")  # words and separators hold no line feed
        return [piece if piece.isascii() else unicodedata.normalize("NFC", piece) for piece in pieces]


def spell(caption: bytes) -> Spelled:
    """Lex one caption so that its words can be written out: for what is shown, not for what is scanned."""
    return next(spell_all([caption]))


def spell_all(captions: Sequence[bytes]) -> Iterator[Spelled]:
    """`spell` of each caption; about 4 us a caption."""
    offsets = np.concatenate([[0], np.cumsum([len(c) for c in captions], dtype=np.int64)])
    data = np.frombuffer(b"".join(captions) or b" ", np.uint8)
    for first, last in batches(offsets):
        yield from spell_buffers(data, offsets[first : last + 1]).each()


def batches(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of captions of about `SPELL_BYTES` together. offsets: int64 (n + 1,)."""
    cuts = np.searchsorted(offsets, np.arange(offsets[0], offsets[-1], SPELL_BYTES)).tolist()
    return itertools.pairwise(np.unique([0, *cuts, len(offsets) - 1]).tolist())


def spell_buffers(data: np.ndarray, offsets: np.ndarray) -> SpelledCaptions:
    """Spell captions data[offsets[i]:offsets[i + 1]] (uint8); about 1 us a caption. Meant for `SPELL_BYTES` at a
    time."""
    lengths, n = np.minimum(np.diff(offsets), abc.LEX_BYTES), len(offsets) - 1
    room = int(np.minimum(2 * lengths, MAX_WORDS).sum()) + 2 * n + MAX_WORDS
    folded = scratch(int(lengths.max(initial=0)))
    text = np.empty(ENCODED_GROWTH * int(lengths.sum()) + 1, np.uint8)
    tokens, ends = np.empty(room, np.uint32), np.zeros((n + 1, 3), np.int64)
    word_spans, token_spans = np.empty((room, 2), np.int32), np.empty((room, 2), np.int32)
    _spell_range(read_only(data), read_only(offsets), folded, text, tokens, word_spans, token_spans, ends, alphabet())
    return SpelledCaptions(text, word_spans, token_spans, tokens, ends)


@kernel
def _spell_range(data, offsets, folded, text, tokens, word_spans, token_spans, ends, abc_):
    """Folded text, word and token spans of all captions; ends[i + 1]: where caption i's text, words and tokens end."""
    words = np.empty(len(word_spans), np.uint32)
    at, w, t = np.int64(0), np.int64(0), np.int64(0)
    for i in range(len(offsets) - 1):
        low, high = offsets[i], min(offsets[i + 1], offsets[i] + _LEX_BYTES)
        n = fold_plain(data, low, high, folded.text, folded.flags)
        if n < 0:
            n = fold_any(data, low, high, folded, abc_)
        n_words, n_tokens, _, _, _ = lex_folded(
            folded.text, folded.text_chunks, folded.flags, folded.flag_chunks, n, words, w, tokens, t, word_spans,
            token_spans,
        )  # fmt: skip
        text[at : at + n] = folded.text[:n]
        token_spans[t, :] = 0
        token_spans[t + n_tokens - 1, :] = 0
        at, w, t = at + n, w + n_words, t + n_tokens
        ends[i + 1, 0], ends[i + 1, 1], ends[i + 1, 2] = at, w, t


@cache
def _names() -> tuple[np.ndarray, np.ndarray]:
    """Bytes of the names of tokens that are no words, (FIRST_WORD + 1, 8) uint8, and their lengths; the last one
    is that of a slot."""
    letters, lengths = np.zeros((_FIRST_WORD + 1, 8), np.uint8), np.zeros(_FIRST_WORD + 1, np.int64)
    for token, name in (abc.TOKEN_NAMES | {_FIRST_WORD: "<*>"}).items():
        own = name.encode()
        letters[token, : len(own)], lengths[token] = list(own), len(own)
    return letters, lengths


@leaf
def _put(piece, n, out, at, start):
    """Append a piece (its first n bytes) behind a space, unless nothing has been written since `start`."""
    if at > start:
        out[at] = _SPACE
        at += 1
    for i in range(n):
        out[at + i] = piece[i]
    return at + n


@leaf
def _put_tokens(text, spans, tokens, low, high, named, names, name_lengths, out, at, start):
    """Append tokens low..high-1, as templates write them (`named`) or as they stand, empty ones left out."""
    for i in range(low, high):
        if named and tokens[i] < _FIRST_WORD:
            at = _put(names[tokens[i]], name_lengths[tokens[i]], out, at, start)
        elif spans[i, 1] > spans[i, 0]:
            at = _put(text[spans[i, 0] :], spans[i, 1] - spans[i, 0], out, at, start)
    return at


@leaf
def _put_frame(text, spans, tokens, n, span, form, slots, names, name_lengths, out, at):
    """A template, or what one of its slots holds."""
    start, low, slot, whole = at, np.int64(0), np.int64(0), form == _FRAME
    while True:
        a, b = np.int64(n), np.int64(n)
        if slot < 3 and (span >> np.uint64(16 * slot + 8)) & np.uint64(255):
            a = np.int64((span >> np.uint64(16 * slot)) & np.uint64(255))
            b = np.int64((span >> np.uint64(16 * slot + 8)) & np.uint64(255))
        if whole:
            if (slots >> slot) & 1:
                at = _put(names[_FIRST_WORD], name_lengths[_FIRST_WORD], out, at, start)
            else:
                at = _put_tokens(text, spans, tokens, low, a, whole, names, name_lengths, out, at, start)
            at = _put_tokens(text, spans, tokens, a, b, whole, names, name_lengths, out, at, start)
        elif slot == slots:
            at = _put_tokens(text, spans, tokens, low, a, whole, names, name_lengths, out, at, start)
        if a == n and b == n:
            return at
        low, slot = b, slot + 1


@leaf
def _write(
    text, word_spans, token_spans, tokens, ends, caption, form, span, slots, names, name_lengths, out
):  # fmt: skip
    """All pieces, a line feed after each; returns how many bytes."""
    at = np.int64(0)
    for k in range(len(caption)):
        i = caption[k]
        own, t, end = text[ends[i, 0] : ends[i + 1, 0]], ends[i, 2], ends[i + 1, 2]
        if form[k] == _WORDS:
            start = at
            for w in range(ends[i, 1], ends[i + 1, 1]):
                at = _put(own[word_spans[w, 0] :], word_spans[w, 1] - word_spans[w, 0], out, at, start)
        else:
            at = _put_frame(
                own, token_spans[t:end], tokens[t:end], end - t, span[k], form[k], np.int64(slots[k]), names,
                name_lengths, out, at,
            )  # fmt: skip
        out[at] = _LINE_FEED
        at += 1
    return at
