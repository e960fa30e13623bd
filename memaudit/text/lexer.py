"""The compiled lexer: Arrow string buffers in, word hashes, token hashes and 128-bit keys out. Nothing per caption in Python.

The rules are those of `reference`, which the tests hold it to. Plain ASCII without "&" and "<" takes a short road into the folded
buffer; everything else is decoded, entities and tags removed, folded by table. Both roads are cut into words by the same code.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from memaudit.text import alphabet as abc
from memaudit.text.alphabet import alphabet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_WORDS = 512
"""Words and tokens of one caption that near and template detection see; keys see all of them."""

FOLD_GROWTH = 18  # the longest folding of one code point (U+FDFA)

_FNV = np.uint64(0x100000001B3)
_P1 = np.uint64(0x9E3779B97F4A7C15)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0xD6E8FEB86659FD93)
_SEED1 = np.uint64(0xCBF29CE484222325)
_SEED2 = np.uint64(0x27D4EB2F165667C5)
_REPLACEMENT = 0xFFFD
_AMP, _LESS, _GREATER, _HASH, _SEMICOLON, _X = ord("&"), ord("<"), ord(">"), ord("#"), ord(";"), ord("x")
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
_LEX_BYTES, _MARK_RUN, _TAG_LENGTH = abc.LEX_BYTES, abc.MARK_RUN, abc.TAG_LENGTH

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")


class LexedBatch(NamedTuple):
    """Streams of n captions: caption i owns words[word_at[i]:word_at[i + 1]], likewise tokens.

    words, tokens: uint32 hashes (tokens below `alphabet.FIRST_WORD` are the named ones); word_at, token_at: int64 (n + 1,);
    key_lo, key_hi: uint64 (n,), equal exactly when all normalised words are equal (128 bits); n_words: uint32 (n,), untruncated.
    """

    words: np.ndarray
    word_at: np.ndarray
    tokens: np.ndarray
    token_at: np.ndarray
    key_lo: np.ndarray
    key_hi: np.ndarray
    n_words: np.ndarray


@_jit
def mix64(x: np.uint64) -> np.uint64:
    """MurmurHash3's 64-bit finaliser (public domain, Appleby)."""
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


@_jit
def _fold_plain(data, low, high, folded):
    """Lower-case plain ASCII into `folded`; -1 when something is not plain."""
    special = np.uint8(0)
    for i in range(high - low):  # no early exit: so that the compiler vectorises it
        c = data[low + i]
        special |= (c >> np.uint8(7)) | np.uint8(c == _AMP) | np.uint8(c == _LESS)
        folded[i] = c + np.uint8(32) * np.uint8((c >= 65) & (c <= 90))
    return -1 if special else high - low


@_jit
def _next_code_point(data, at, high):
    """(code point, next position) of UTF-8 at `at`; U+FFFD and one byte further where it is malformed."""
    lead = np.int32(data[at])
    if lead < 0x80:
        return lead, at + 1
    need, least = 0, 0
    if 0xC2 <= lead < 0xE0:
        need, least, code = 1, 0x80, lead & 0x1F
    elif 0xE0 <= lead < 0xF0:
        need, least, code = 2, 0x800, lead & 0x0F
    elif 0xF0 <= lead < 0xF5:
        need, least, code = 3, 0x10000, lead & 0x07
    else:
        return _REPLACEMENT, at + 1
    if at + need >= high:
        return _REPLACEMENT, at + 1
    for k in range(1, need + 1):
        c = np.int32(data[at + k])
        if c & 0xC0 != 0x80:
            return _REPLACEMENT, at + 1
        code = (code << 6) | (c & 0x3F)
    if code < least or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        return _REPLACEMENT, at + 1
    return code, at + need + 1


@_jit
def _numeric_entity(data, at, high):
    """(code point, next position) of "&#...;" whose "#" is at `at`; (0, at) where it is none."""
    base, most = 10, 7
    i = at + 1
    if i < high and (data[i] | 32) == _X:
        base, most = 16, 6
        i += 1
    value, digits = 0, 0
    while i < high and digits <= most:
        c = data[i]
        if 48 <= c <= 57:
            value = value * base + (c - 48)
        elif base == 16 and 97 <= (c | 32) <= 102:
            value = value * base + ((c | 32) - 87)
        else:
            break
        digits += 1
        i += 1
    if digits == 0 or digits > most or i >= high or data[i] != _SEMICOLON:
        return 0, at
    if value == 0 or value > 0x10FFFF or 0xD800 <= value < 0xE000:
        return _REPLACEMENT, i + 1
    return value, i + 1


@_jit
def _named_entity(data, at, high, abc_):
    """(index into entity_value, next position) of "&name;" whose name starts at `at`; (-1, at) where it is none."""
    key = _SEED1
    i = at
    while i < high and i - at <= 32:
        c = data[i]
        letter = 97 <= (c | 32) <= 122
        if not (letter or (i > at and 48 <= c <= 57)):
            break
        key = (key ^ np.uint64(c)) * _FNV
        i += 1
    if not 2 <= i - at <= 32 or i >= high or data[i] != _SEMICOLON:
        return -1, at
    k = np.searchsorted(abc_.entity_key, key)
    if k < len(abc_.entity_key) and abc_.entity_key[k] == key:
        return k, i + 1
    return -1, at


@_jit
def _decode(data, low, high, raw, abc_):
    """Code points of UTF-8 bytes with entities decoded once, into `raw`; returns how many."""
    n, at = 0, low
    while at < high:
        code, after = _next_code_point(data, at, high)
        if code == _AMP and after < high:
            if data[after] == _HASH:
                value, end = _numeric_entity(data, after, high)
                if end != after:
                    code, after = value, end
            else:
                k, end = _named_entity(data, after, high, abc_)
                if k >= 0:
                    code, after = abc_.entity_value[k, 0], end
                    if abc_.entity_value[k, 1]:
                        raw[n] = code
                        n += 1
                        code = abc_.entity_value[k, 1]
        raw[n] = code
        n += 1
        at = after
    return n


@_jit
def _tag_end(raw, at, n):
    """Position after the tag that opens at `at`, or `at` where none does."""
    if at + 1 >= n:
        return at
    c = raw[at + 1]
    if not (97 <= (c | 32) <= 122 and c < 128) and c != 47 and c != 33 and c != 63:
        return at
    for i in range(at + 2, min(n, at + _TAG_LENGTH + 1)):
        if raw[i] == _GREATER:
            return i + 1
        if raw[i] == _LESS:
            return at
    return at


@_jit
def _append(folded, n, run, code, abc_):
    """Append a folded code point in canonical order; returns the new length and run of marks."""
    order = abc_.mark_order[code]
    if order == 0:
        folded[n] = code
        return n + 1, 0
    if run >= _MARK_RUN:
        return n, run + 1
    i = n
    while i > 0 and abc_.mark_order[folded[i - 1]] > order:
        folded[i] = folded[i - 1]
        i -= 1
    folded[i] = code
    return n + 1, run + 1


@_jit
def _fold(raw, n_raw, folded, abc_):
    """Strip tags and fold `raw` into `folded`; returns the length."""
    n, run, at = 0, 0, 0
    while at < n_raw:
        code = raw[at]
        if code == _LESS:
            end = _tag_end(raw, at, n_raw)
            if end > at:
                code, at = 32, end - 1
        start = abc_.fold_start[code]
        if start == 0:
            n, run = _append(folded, n, run, code, abc_)
        else:
            for k in range(start + 1, start + 1 + abc_.folds[start]):
                n, run = _append(folded, n, run, abc_.folds[k], abc_)
        at += 1
    return n


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
    """(_DIGITS, _MEASURE for digits(x digits)* unit?, or _MIXED; longest run of digits) of one word that holds a digit."""
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
def _joins(text, at, n, kind):
    """Whether the character at `at` joins a compound: a joiner right before a word that holds a digit too."""
    if at + 1 >= n or text[at] not in _JOINERS:
        return False
    k = kind[text[at + 1]]
    return (k == _LETTER or k == _DIGIT) and _has_digit(text, at + 1, n, kind)


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
def _lex_folded(text, n, words, tokens, word_spans, token_spans, kind, units):
    """Cut a folded caption; returns (words stored, tokens stored, words in all, key_lo, key_hi).

    One state machine over the characters, because a loop per word costs two branch mispredictions a word instead of one: half
    of the time. `start` is where the open word began, `begin` where the open compound did; -1 for none.
    """
    n_words, n_tokens, total = 0, 1, 0
    lo, hi, h1, h2 = _SEED2, _SEED1, _SEED1, _SEED2
    tokens[0] = _START
    i, start, begin, digit, shape, longest = 0, -1, -1, False, 0, 0
    text[n] = 32  # closes the last word
    while i <= n:
        k = kind[text[i]]
        if k == _LETTER or k == _DIGIT or (k == _MARK and start >= 0):
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
            token = np.uint32(max(h1 >> np.uint64(32), np.uint64(_FIRST_WORD)))
            first = text[start]
            if (first == _I or first == _V or first == _X) and _is_roman(text, start, i):
                token = np.uint32(_ROMAN)
            n_tokens = _emit(tokens, token_spans, token, start, i, n_tokens)
            start = -1
            continue
        part, run = _shape(text, start, i, kind, units)
        shape, longest = max(shape, part), max(longest, run)
        begin = start if begin < 0 else begin
        measurable = part == _DIGITS and run <= 3
        start = -1
        if _joins(text, i, n, kind):
            i += 1
            continue
        if measurable:
            for _ in range(2):
                if i < n and (text[i] == _QUOTE or text[i] == _DOUBLE_QUOTE):
                    i, shape = i + 1, max(shape, _MEASURE)
        n_tokens = _emit(tokens, token_spans, _shape_token(shape, longest), begin, i, n_tokens)
        begin, shape, longest = -1, 0, 0
    tokens[n_tokens] = _END
    return n_words, n_tokens + 1, total, lo, hi


@_jit
def _fold_caption(data, low, high, raw, folded, abc_):
    n = _fold_plain(data, low, high, folded)
    return n if n >= 0 else _fold(raw, _decode(data, low, high, raw, abc_), folded, abc_)


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
        n = _fold_caption(data, low, cut, raw, folded, abc_)
        a, b, total, lo, hi = _lex_folded(folded, n, words[w:], tokens[t:], none, none, abc_.kind, abc_.units)
        for k in range(cut, high):
            c = np.uint64(data[k])
            lo = (lo ^ c) * _P1
            hi = ((hi << np.uint64(7)) | (hi >> np.uint64(57))) ^ c
            hi *= _P3
        key_lo[i - first], key_hi[i - first], n_words[i - first] = mix64(lo + np.uint64(total)), mix64(hi), total
        w, t = w + a, t + b
        word_at[i - first + 1], token_at[i - first + 1] = w, t


def _scratch(longest: int) -> tuple[np.ndarray, np.ndarray]:
    longest = min(longest, abc.LEX_BYTES)
    return np.empty(longest + 1, np.uint32), np.empty(FOLD_GROWTH * longest + 1, np.uint32)


def lex_buffers(data: np.ndarray, offsets: np.ndarray, first: int = 0, last: int | None = None) -> LexedBatch:
    """Lex captions first..last-1 of Arrow string buffers.

    data: uint8, all bytes; offsets: int64 (n + 1,), caption i is data[offsets[i]:offsets[i + 1]]. Releases the GIL.
    Time about 0.2 us a caption of 57 ASCII bytes, about 1 us where tables are needed; memory 10 bytes a byte while it runs.
    """
    last = len(offsets) - 1 if last is None else last
    lengths = np.minimum(np.diff(offsets[first : last + 1]), abc.LEX_BYTES)
    n, longest = last - first, int(lengths.max(initial=0))
    room = int(np.minimum(lengths * 2, MAX_WORDS).sum())
    raw, folded = _scratch(longest)
    words, tokens = np.empty(room + MAX_WORDS, np.uint32), np.empty(room + 2 * n + MAX_WORDS, np.uint32)
    word_at, token_at = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    key_lo, key_hi, n_words = np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint32)
    _lex_range(
        data, offsets, first, last, raw, folded, words, word_at, tokens, token_at, key_lo, key_hi, n_words, alphabet()
    )
    return LexedBatch(words[: word_at[-1]], word_at, tokens[: token_at[-1]], token_at, key_lo, key_hi, n_words)


class Spelled(NamedTuple):
    """One caption with its words written out; tokens[i] is what token_hashes[i] stands for (numbers as "<num>" and so on)."""

    words: list[str]
    tokens: list[str]
    token_hashes: list[int]
    surface: list[str]  # the folded text under each token: what a slot really held


def spell(caption: bytes) -> Spelled:
    """Lex one caption and write its words out, in composed form. About 15 us: for what is shown, not for what is scanned."""
    return next(spell_all([caption]))


def spell_all(captions: Sequence[bytes]) -> Iterator[Spelled]:
    """`spell` of each caption; about 6 us a caption."""
    raw, folded = _scratch(max(map(len, captions), default=0))
    words, tokens = np.empty(MAX_WORDS, np.uint32), np.empty(MAX_WORDS + 2, np.uint32)
    word_spans, token_spans = np.zeros((MAX_WORDS, 2), np.int32), np.zeros((MAX_WORDS + 2, 2), np.int32)
    table = alphabet()
    for caption in captions:
        data = np.frombuffer(caption or b" ", np.uint8)
        n, n_words, n_tokens = _spell(data, raw, folded, words, tokens, word_spans, token_spans, table)
        text = folded[:n].tobytes().decode("utf-32-le")
        hashes = tokens[:n_tokens].tolist()
        surface = _cut(text, token_spans[:n_tokens])
        written = [t if h >= _FIRST_WORD else abc.TOKEN_NAMES[h] for h, t in zip(hashes, surface, strict=True)]
        yield Spelled(_cut(text, word_spans[:n_words]), written, hashes, surface)


def _cut(text: str, spans: np.ndarray) -> list[str]:
    pieces = [text[a:b] for a, b in spans.tolist()]
    return pieces if text.isascii() else [unicodedata.normalize("NFC", piece) for piece in pieces]


@_jit
def _spell(data, raw, folded, words, tokens, word_spans, token_spans, abc_):
    n = _fold_caption(data, 0, min(len(data), _LEX_BYTES), raw, folded, abc_)
    n_words, n_tokens, _, _, _ = _lex_folded(folded, n, words, tokens, word_spans, token_spans, abc_.kind, abc_.units)
    token_spans[0, :] = 0
    token_spans[n_tokens - 1, :] = 0
    return n, n_words, n_tokens
