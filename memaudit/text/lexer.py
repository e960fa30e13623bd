"""The compiled lexer: Arrow string buffers in, word hashes, token hashes and 128-bit keys out. Nothing per caption in
Python.

The rules are those of `reference`, which the tests hold it to. `folding` turns a caption into folded UTF-8 with flags;
here it is cut into words, eight bytes at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.jit import leaf
from memaudit.text import alphabet as abc
from memaudit.text.alphabet import alphabet
from memaudit.text.folding import DIGIT, SEPARATOR_SHIFT, START, TAIL, WORD, fold_any, fold_plain, scratch
from memaudit.text.hashing import mix64, trailing_zeros

MAX_WORDS = 512
"""Words and tokens of one caption that near and template detection see; keys see all of them."""

_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0xD6E8FEB86659FD93)
_SEED1 = np.uint64(0xCBF29CE484222325)
_SEED2 = np.uint64(0x27D4EB2F165667C5)
_EACH = np.uint64(0x0101010101010101)  # one bit of each byte of a chunk
_DIGITS_OF = _EACH * np.uint64(DIGIT)
_X, _QUOTE, _DOUBLE_QUOTE, _I, _V = ord("x"), ord("'"), ord('"'), ord("i"), ord("v")
_PLAIN, _DIGITS, _MEASURE, _MIXED = 0, 1, 2, 3  # shapes of a word, the stronger the higher
_JOINERS = tuple(sorted(ord(c) for c in abc.JOINERS if c.isascii()))
_TIMES = tuple("×".encode())
_NUM, _SIZE, _ROMAN, _CODE, _START, _END = abc.NUM, abc.SIZE, abc.ROMAN, abc.CODE, abc.START, abc.END
_SEPARATOR_TOKEN, _FIRST_WORD = abc.SEPARATOR_TOKEN, abc.FIRST_WORD
_FIRST_SEPARATOR = 1 << SEPARATOR_SHIFT
_LEX_BYTES = abc.LEX_BYTES
_UNITS = np.array(sorted(map(abc.packed, abc.UNITS)), np.uint64)


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


@leaf
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


@leaf
def _shape(text, flags, a, b):
    """(_DIGITS, _MEASURE for digits(x digits)* unit?, or _MIXED; longest run of digits) of one word that holds a
    digit."""
    i, longest, numbers = a, 0, 0
    while True:
        run = 0
        while i < b and flags[i] & DIGIT:
            i, run = i + 1, run + 1
            while flags[i] & TAIL and i < b:
                i += 1
        if run == 0:
            return _MIXED, longest
        longest = max(longest, run)
        numbers += 1
        if i + 1 >= b or text[i] != _X or not flags[i + 1] & DIGIT:
            break
        i += 1
    if i == b:
        return (_DIGITS if numbers == 1 else _MEASURE), longest
    if b - i > 8:
        return _MIXED, longest
    unit = np.uint64(0)
    for k in range(i, b):
        unit = (unit << np.uint64(8)) | np.uint64(text[k])
    for known in _UNITS:
        if known == unit:
            return _MEASURE, longest
    return _MIXED, longest


@leaf
def _shape_token(shape, longest):
    if shape == _DIGITS:
        return np.uint32(_NUM if longest <= 4 else _CODE)
    return np.uint32(_SIZE if shape == _MEASURE else _CODE)


@leaf
def _has_digit(flags, at):
    """Whether the word that starts at `at` holds a digit."""
    while flags[at] & WORD:
        if flags[at] & DIGIT:
            return True
        at += 1
    return False


@leaf
def _joiner(text, flags, at, n):
    """Bytes of the character at `at` if it joins a compound (a joiner right before a word that holds a digit too), else
    0."""
    size = 1
    if at + 2 < n and text[at] == _TIMES[0] and text[at + 1] == _TIMES[1]:
        size = 2
    elif at + 1 >= n or text[at] not in _JOINERS:
        return 0
    opens = flags[at + size] & (WORD | START) == WORD | START
    return size if opens and _has_digit(flags, at + size) else 0


@leaf
def _chunk(chunks, at):
    """Eight bytes from byte `at` on, the first one lowest."""
    k, shift = at >> np.uint64(3), (at & np.uint64(7)) << np.uint64(3)
    return (chunks[k] >> shift) | ((chunks[k + np.uint64(1)] << np.uint64(1)) << (np.uint64(63) - shift))


@leaf
def _part(text, flags, start, end, n, shape, longest):
    """One part of a compound, the word with digits at start..end - 1: (where to go on, shape and longest run of digits
    of the compound so far, whether another part follows)."""
    part, run = _shape(text, flags, start, end)
    shape, longest = max(shape, part), max(longest, run)
    joiner = _joiner(text, flags, end, n)
    if joiner:
        return end + joiner, shape, longest, True
    if part == _DIGITS and run <= 3:
        for _ in range(2):
            if end < n and (text[end] == _QUOTE or text[end] == _DOUBLE_QUOTE):
                end, shape = end + 1, max(shape, _MEASURE)
    return end, shape, longest, False


@leaf
def _word(text_chunks, flag_chunks, start, hi):
    """Hash the letters, marks and digits from byte `start` on, eight bytes at a time: a loop over characters costs
    three times as much. Returns (end, their 64-bit hash, `hi` with them absorbed, flags of digits)."""
    at, h, digits = np.uint64(start), _SEED1, np.uint64(0)
    text, flags = _chunk(text_chunks, at), _chunk(flag_chunks, at)
    stops = ~flags & _EACH
    while stops == np.uint64(0):
        h = (h ^ text) * _P1
        h ^= h >> np.uint64(32)
        hi = (hi ^ text) * _P2
        hi ^= hi >> np.uint64(31)
        digits |= flags
        at += np.uint64(8)
        text, flags = _chunk(text_chunks, at), _chunk(flag_chunks, at)
        stops = ~flags & _EACH
    bits = np.uint64(
        trailing_zeros(stops)
    )  # the last chunk ends with a zero byte at least, so words cannot run together
    own = (np.uint64(1) << bits) - np.uint64(1)
    text, digits = text & own, (digits | (flags & own)) & _DIGITS_OF
    hi = (hi ^ text) * _P2
    return np.int64(at + (bits >> np.uint64(3))), mix64((h ^ text) * _P1), hi ^ (hi >> np.uint64(31)), digits


@leaf
def _ideograph(text, flags, start, hi):
    """The same for one ideograph and its marks, byte by byte."""
    at, h = start, _SEED1
    while at == start or flags[at] & (WORD | START) == WORD:
        h = (h ^ np.uint64(text[at])) * _P1
        hi = (hi ^ np.uint64(text[at])) * _P2
        hi ^= hi >> np.uint64(31)
        at += 1
    return at, mix64(h), hi, np.uint64(0)


@leaf
def lex_folded(text, text_chunks, flags, flag_chunks, n, words, w, tokens, t, word_spans, token_spans):
    """Cut a folded caption of n bytes into words[w:] and tokens[t:]; spans are written where they have room.

    Returns (words stored, tokens stored, words in all, key_lo, key_hi). `begin` is where the open compound began
    ("15x8", "00708_Q4311"), -1 for none. Kernels that are called for every caption or word take few arrays, and no
    tuples of arrays: numba counts a reference to each at every call, which once cost half of the time.
    """
    n_words, n_tokens, total, spell = 0, 1, 0, len(word_spans) > 0
    lo, hi = _SEED2, _SEED1
    tokens[t] = _START
    i, begin, shape, longest = np.int64(0), np.int64(-1), np.int64(0), np.int64(0)
    while i < n:
        k = flags[i]
        start = i
        if not k & START:
            i += 1
            if k < _FIRST_SEPARATOR:
                continue
            while flags[i] == TAIL:
                i += 1
            token = np.uint32(_SEPARATOR_TOKEN - 1 + (k >> SEPARATOR_SHIFT))
        else:
            if k & WORD:
                i, h, hi, digits = _word(text_chunks, flag_chunks, start, hi)
            else:
                i, h, hi, digits = _ideograph(text, flags, start, hi)
            lo = (lo ^ h) * _P3
            lo ^= lo >> np.uint64(29)
            total += 1
            if n_words < MAX_WORDS:
                if spell:
                    word_spans[w + n_words, 0], word_spans[w + n_words, 1] = start, i
                words[w + n_words] = h >> np.uint64(32)
                n_words += 1
            if digits == np.uint64(0):
                c = text[start]
                token = np.uint32(max(h >> np.uint64(32), np.uint64(_FIRST_WORD)))
                if c in (_I, _V, _X) and _is_roman(text, start, i):
                    token = np.uint32(_ROMAN)
            else:
                begin = start if begin < 0 else begin
                i, shape, longest, joined = _part(text, flags, start, i, n, shape, longest)
                if joined:
                    continue
                token, start = _shape_token(shape, longest), begin
                begin, shape, longest = np.int64(-1), np.int64(0), np.int64(0)
        if n_tokens <= MAX_WORDS:
            if spell:
                token_spans[t + n_tokens, 0], token_spans[t + n_tokens, 1] = start, i
            tokens[t + n_tokens] = token
            n_tokens += 1
    tokens[t + n_tokens] = _END
    return n_words, n_tokens + 1, total, lo, hi


@leaf
def _lex_range(
    data, offsets, first, last, folded, words, word_at, tokens, token_at, key_lo, key_hi, n_words, none, abc_
):
    """Captions first..last-1 into streams that start at 0; spans are not wanted here."""
    text, text_chunks, flags, flag_chunks = folded.text, folded.text_chunks, folded.flags, folded.flag_chunks
    w, t = np.int64(0), np.int64(0)
    word_at[0], token_at[0] = 0, 0
    for i in range(first, last):
        low, high = offsets[i], offsets[i + 1]
        cut = min(high, low + _LEX_BYTES)
        n = fold_plain(data, low, cut, text, flags)
        if n < 0:
            n = fold_any(data, low, cut, folded, abc_)
        a, b, total, lo, hi = lex_folded(text, text_chunks, flags, flag_chunks, n, words, w, tokens, t, none, none)
        for k in range(cut, high):
            c = np.uint64(data[k])
            lo = (lo ^ c) * _P1
            hi = ((hi << np.uint64(7)) | (hi >> np.uint64(57))) ^ c
            hi *= _P3
        key_lo[i - first], key_hi[i - first], n_words[i - first] = mix64(lo + np.uint64(total)), mix64(hi), total
        w, t = w + a, t + b
        word_at[i - first + 1], token_at[i - first + 1] = w, t


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written: kernels are compiled anew for arrays that can."""
    view = array.view()
    view.flags.writeable = False
    return view


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
    words, tokens = np.empty(room + MAX_WORDS, np.uint32), np.empty(room + 2 * n + MAX_WORDS, np.uint32)
    word_at, token_at = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    key_lo, key_hi, n_words = np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint32)
    _lex_range(
        read_only(data), read_only(offsets), first, last, scratch(longest), words, word_at, tokens, token_at, key_lo,
        key_hi, n_words, np.zeros((0, 2), np.int32), alphabet(),
    )  # fmt: skip
    return LexedBatch(words[: word_at[-1]], word_at, tokens[: token_at[-1]], token_at, key_lo, key_hi, n_words)
