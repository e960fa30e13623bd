"""The compiled lexer: Arrow string buffers in, word hashes, token hashes and 128-bit keys out. Nothing per caption in
Python.

The rules are those of `reference`, which the tests hold it to. Plain ASCII without "&" and "<" takes a short road into
the folded buffer; everything else is decoded, entities and tags removed, folded by table. Both roads are cut into
words by the same code.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from memaudit.text import alphabet as abc
from memaudit.text.alphabet import alphabet
from memaudit.text.folding import fold_caption, scratch
from memaudit.text.hashing import mix64

MAX_WORDS = 512
"""Words and tokens of one caption that near and template detection see; keys see all of them."""

_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0xD6E8FEB86659FD93)
_SEED1 = np.uint64(0xCBF29CE484222325)
_SEED2 = np.uint64(0x27D4EB2F165667C5)
_X = ord("x")
_QUOTE, _DOUBLE_QUOTE, _I, _V = ord("'"), ord('"'), ord("i"), ord("v")
_DIGITS, _MEASURE, _MIXED = 1, 2, 3  # shapes of a word with digits, the stronger the higher
_JOINERS = tuple(sorted(map(ord, abc.JOINERS)))
_LETTER, _MARK, _DIGIT, _IDEOGRAPH, _FIRST_SEPARATOR = (
    abc.LETTER,
    abc.MARK,
    abc.DIGIT,
    abc.IDEOGRAPH,
    abc.FIRST_SEPARATOR,
)
_NUM, _SIZE, _ROMAN, _CODE, _START, _END = abc.NUM, abc.SIZE, abc.ROMAN, abc.CODE, abc.START, abc.END
_SEPARATOR_TOKEN, _FIRST_WORD = abc.SEPARATOR_TOKEN, abc.FIRST_WORD
_LEX_BYTES = abc.LEX_BYTES

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")


class LexedBatch(NamedTuple):
    """Streams of n captions: caption i owns words[word_at[i]:word_at[i + 1]], likewise tokens.

    words, tokens: uint32 hashes (tokens below `alphabet.FIRST_WORD` are the named ones); word_at, token_at: int64 (n +
    1,); key_lo, key_hi: uint64 (n,), equal exactly when all normalised words are equal (128 bits); n_words: uint32
    (n,), untruncated.
    """

    words: np.ndarray
    word_at: np.ndarray
    tokens: np.ndarray
    token_at: np.ndarray
    key_lo: np.ndarray
    key_hi: np.ndarray
    n_words: np.ndarray


@_jit
def _is_roman(text, a, b):
    """x{0,3} (ix | iv | v?i{0,3}) of at least two characters."""
    i, x, one = a, 0, 0
    while i < b and text[i] == _X and x < 3:
        i, x = i + 1, x + 1
    if b - i == 2 and text[i] == _I and (text[i + 1] == _X or text[i + 1] == _V):
        return True
    if i < b and text[i] == _V:
        i += 1
    while i < b and text[i] == _I and one < 3:
        i, one = i + 1, one + 1
    return i == b and b - a >= 2


@_jit
def _shape(text, a, b, kind, units):
    """(_DIGITS, _MEASURE for digits(x digits)* unit?, or _MIXED; longest run of digits) of one word that holds a
    digit."""
    i, longest, numbers = a, 0, 0
    while True:
        run = i
        while i < b and kind[text[i]] == _DIGIT:
            i += 1
        if i == run:
            return _MIXED, longest
        longest = max(longest, i - run)
        numbers += 1
        if i + 1 >= b or text[i] != _X or kind[text[i + 1]] != _DIGIT:
            break
        i += 1
    if i == b:
        return (_DIGITS if numbers == 1 else _MEASURE), longest
    if b - i > 8:
        return _MIXED, longest
    unit = np.uint64(0)
    for k in range(i, b):
        if text[k] > 127:
            return _MIXED, longest
        unit = (unit << np.uint64(8)) | np.uint64(text[k])
    at = np.searchsorted(units, unit)
    return (_MEASURE if at < len(units) and units[at] == unit else _MIXED), longest


@_jit
def _shape_token(shape, longest):
    if shape == _DIGITS:
        return np.uint32(_NUM if longest <= 4 else _CODE)
    return np.uint32(_SIZE if shape == _MEASURE else _CODE)


@_jit
def _has_digit(text, at, n, kind):
    """Whether the word that starts at `at` holds a digit."""
    for i in range(at, n):
        k = kind[text[i]]
        if k == _DIGIT:
            return True
        if k != _LETTER and k != _MARK:
            return False
    return False


@_jit
def _plain_token(text, start, end, h1):
    """Token of a word without digits: roman numeral, or the high half of its hash."""
    if text[start] in (_I, _V, _X) and _is_roman(text, start, end):
        return np.uint32(_ROMAN)
    return np.uint32(max(h1 >> np.uint64(32), np.uint64(_FIRST_WORD)))


@_jit
def _joins(text, at, n, kind):
    """Whether the character at `at` joins a compound: a joiner right before a word that holds a digit too."""
    if at + 1 >= n or text[at] not in _JOINERS:
        return False
    k = kind[text[at + 1]]
    return k in (_LETTER, _DIGIT) and _has_digit(text, at + 1, n, kind)


@_jit
def _emit(streams, spans, token, start, end, n_tokens):
    """Append a token unless the caption has too many; returns the new count."""
    if n_tokens > MAX_WORDS:
        return n_tokens
    if len(spans):
        spans[n_tokens, 0], spans[n_tokens, 1] = start, end
    streams[n_tokens] = token
    return n_tokens + 1


@_jit
def lex_folded(text, n, words, tokens, word_spans, token_spans, kind, units):
    """Cut a folded caption; returns (words stored, tokens stored, words in all, key_lo, key_hi).

    One state machine over the characters, because a loop per word costs two branch mispredictions a word instead of
    one: half of the time. `start` is where the open word began, `begin` where the open compound did; -1 for none.
    """
    n_words, n_tokens, total = 0, 1, 0
    lo, hi, h1, h2 = _SEED2, _SEED1, _SEED1, _SEED2
    tokens[0] = _START
    i, start, begin, digit, shape, longest = 0, -1, -1, False, 0, 0
    text[n] = 32  # closes the last word
    while i <= n:
        k = kind[text[i]]
        if k in (_LETTER, _DIGIT) or (k == _MARK and start >= 0):
            if start < 0:
                start, digit, h1, h2 = i, False, _SEED1, _SEED2
            digit |= k == _DIGIT
            c = np.uint64(text[i])
            h1 = (h1 ^ c) * _P1
            h2 = (((h2 << np.uint64(7)) | (h2 >> np.uint64(57))) ^ c) * _P2
            i += 1
            continue
        if start < 0 and k == _IDEOGRAPH:
            start, digit, h1, h2 = i, False, (_SEED1 ^ np.uint64(text[i])) * _P1, (_SEED2 ^ np.uint64(text[i])) * _P2
            i += 1
            while kind[text[i]] == _MARK and i < n:
                h1, h2 = (h1 ^ np.uint64(text[i])) * _P1, (h2 ^ np.uint64(text[i])) * _P2
                i += 1
        if start < 0:
            if k >= _FIRST_SEPARATOR:
                n_tokens = _emit(tokens, token_spans, _SEPARATOR_TOKEN + k - _FIRST_SEPARATOR, i, i + 1, n_tokens)
            i += 1
            continue
        h1, h2 = mix64(h1), mix64(h2)
        lo, hi = (lo ^ h1) * _P3, (hi ^ h2) * _P2
        lo, hi = lo ^ (lo >> np.uint64(29)), hi ^ (hi >> np.uint64(31))
        total += 1
        if n_words < MAX_WORDS:
            if len(word_spans):
                word_spans[n_words, 0], word_spans[n_words, 1] = start, i
            words[n_words] = h1 >> np.uint64(32)
            n_words += 1
        if not digit:
            n_tokens = _emit(tokens, token_spans, _plain_token(text, start, i, h1), start, i, n_tokens)
            start = -1
            continue
        part, run = _shape(text, start, i, kind, units)
        shape, longest = max(shape, part), max(longest, run)
        begin = start if begin < 0 else begin
        measurable = part == _DIGITS and run <= 3
        start, end = -1, i
        if _joins(text, i, n, kind):
            i += 1
            continue
        while measurable and i < n and i < end + 2 and (text[i] == _QUOTE or text[i] == _DOUBLE_QUOTE):
            i, shape = i + 1, max(shape, _MEASURE)
        n_tokens = _emit(tokens, token_spans, _shape_token(shape, longest), begin, i, n_tokens)
        begin, shape, longest = -1, 0, 0
    tokens[n_tokens] = _END
    return n_words, n_tokens + 1, total, lo, hi


@_jit
def _lex_range(
    data, offsets, first, last, raw, folded, words, word_at, tokens, token_at, key_lo, key_hi, n_words, abc_
):
    """Captions first..last-1 into streams that start at 0; spans are not wanted here."""
    none = np.zeros((0, 2), np.int32)
    w, t = 0, 0
    word_at[0], token_at[0] = 0, 0
    for i in range(first, last):
        low, high = offsets[i], offsets[i + 1]
        cut = min(high, low + _LEX_BYTES)
        n = fold_caption(data, low, cut, raw, folded, abc_)
        a, b, total, lo, hi = lex_folded(folded, n, words[w:], tokens[t:], none, none, abc_.kind, abc_.units)
        for k in range(cut, high):
            c = np.uint64(data[k])
            lo = (lo ^ c) * _P1
            hi = ((hi << np.uint64(7)) | (hi >> np.uint64(57))) ^ c
            hi *= _P3
        key_lo[i - first], key_hi[i - first], n_words[i - first] = mix64(lo + np.uint64(total)), mix64(hi), total
        w, t = w + a, t + b
        word_at[i - first + 1], token_at[i - first + 1] = w, t


def lex_buffers(data: np.ndarray, offsets: np.ndarray, first: int = 0, last: int | None = None) -> LexedBatch:
    """Lex captions first..last-1 of Arrow string buffers.

    data: uint8, all bytes; offsets: int64 (n + 1,), caption i is data[offsets[i]:offsets[i + 1]]. Releases the GIL.
    Time about 0.2 us a caption of 57 ASCII bytes, about 1 us where tables are needed; memory 10 bytes a byte while it
    runs.
    """
    last = len(offsets) - 1 if last is None else last
    lengths = np.minimum(np.diff(offsets[first : last + 1]), abc.LEX_BYTES)
    n, longest = last - first, int(lengths.max(initial=0))
    room = int(np.minimum(lengths * 2, MAX_WORDS).sum())
    raw, folded = scratch(longest)
    words, tokens = np.empty(room + MAX_WORDS, np.uint32), np.empty(room + 2 * n + MAX_WORDS, np.uint32)
    word_at, token_at = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    key_lo, key_hi, n_words = np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint32)
    _lex_range(
        data, offsets, first, last, raw, folded, words, word_at, tokens, token_at, key_lo, key_hi, n_words, alphabet()
    )
    return LexedBatch(words[: word_at[-1]], word_at, tokens[: token_at[-1]], token_at, key_lo, key_hi, n_words)
