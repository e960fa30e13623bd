"""Caption bytes -> folded text: UTF-8 and entities decoded, tags removed, NFKD and case fold by table.

Folded text is UTF-8 again, with a byte of flags for each of its bytes; both can be read eight bytes at a time. Plain
ASCII without "&" and "<" takes a short road; everything else the table road. `reference` is the definition.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.jit import leaf
from memaudit.text import alphabet as abc

FOLD_GROWTH = 18  # the longest folding of one code point (U+FDFA), in code points
ENCODED_GROWTH = 4 * FOLD_GROWTH  # of one byte, in bytes of UTF-8
PADDING = 16  # bytes without flags behind the text, so that chunks can be read at its end

WORD, START, DIGIT, TAIL = 1, 2, 4, 8
"""Flags of a byte: goes on with an open word; may open one; is a digit; is no first byte of its code point. Letters and
digits are WORD and START, marks WORD, ideographs START. Separators hold their index + 1 in the upper half."""
SEPARATOR_SHIFT = 4

_FNV = np.uint64(0x100000001B3)
_SEED = np.uint64(0xCBF29CE484222325)
_REPLACEMENT = 0xFFFD
_AMP, _LESS, _GREATER, _HASH, _SEMICOLON, _X = ord("&"), ord("<"), ord(">"), ord("#"), ord(";"), ord("x")
_MARK_RUN, _TAG_LENGTH = abc.MARK_RUN, abc.TAG_LENGTH


class Folded(NamedTuple):
    """Folded text of the caption in hand, and what it is made from."""

    text: np.ndarray  # uint8: UTF-8
    text_chunks: np.ndarray  # uint64: the same memory
    flags: np.ndarray  # uint8: by byte of the text
    flag_chunks: np.ndarray  # uint64: the same memory
    raw: np.ndarray  # uint32: code points before folding
    points: np.ndarray  # uint32: and after it


def flags_of_kind(kind: int) -> int:
    """Flags of a code point's first byte, by its class in `alphabet`."""
    known = {abc.SPACE: 0, abc.LETTER: WORD | START, abc.MARK: WORD, abc.DIGIT: WORD | START | DIGIT}
    known[abc.IDEOGRAPH] = START
    return known[kind] if kind in known else (kind - abc.FIRST_SEPARATOR + 1) << SEPARATOR_SHIFT


_FLAGS = np.array([flags_of_kind(k) for k in range(abc.FIRST_SEPARATOR + len(abc.SEPARATORS))], np.uint8)
_ASCII_FLAGS = np.array([_FLAGS[abc.kind(chr(c))] for c in range(128)] + [0] * 128, np.uint8)


@leaf
def fold_plain(data, low, high, text, flags):
    """Lower-case plain ASCII; returns the bytes of its text, -1 when something is not plain."""
    special, n = np.uint8(0), high - low
    for i in range(n):  # no early exit: so that the compiler vectorises it
        c = data[low + i]
        special |= (c >> np.uint8(7)) | np.uint8(c == _AMP) | np.uint8(c == _LESS)
        text[i] = c + np.uint8(32) * np.uint8((c >= 65) & (c <= 90))
    if special:
        return -1
    for i in range(n):
        flags[i] = _ASCII_FLAGS[text[i]]
    for i in range(n, n + PADDING):
        flags[i] = 0
    return n


@leaf
def _encode(points, n_points, text, flags, kind):
    """UTF-8 of folded code points, with flags; returns how many bytes."""
    n = 0
    for i in range(n_points):
        c = points[i]
        own = _FLAGS[kind[c]]
        tail = np.uint8(TAIL | (WORD if own & np.uint8(WORD | START) else 0))
        flags[n] = own
        if c < 0x80:
            text[n] = c
            n += 1
            continue
        size = 2 if c < 0x800 else (3 if c < 0x10000 else 4)
        text[n] = (0xF00 >> size) & 0xFF | c >> np.uint32(6 * (size - 1))
        for k in range(1, size):
            text[n + k] = 0x80 | (c >> np.uint32(6 * (size - 1 - k))) & 0x3F
            flags[n + k] = tail
        n += size
    return n


@leaf
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


@leaf
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


@leaf
def _named_entity(data, at, high, abc_):
    """(index into entity_value, next position) of "&name;" whose name starts at `at`; (-1, at) where it is none."""
    key = _SEED
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


@leaf
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


@leaf
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


@leaf
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


@leaf
def _fold(raw, n_raw, folded, abc_):
    """Strip tags and fold `raw` into `folded`; returns the length."""
    n, run, at = np.int64(0), np.int64(0), np.int64(0)
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


@leaf
def fold_any(data, low, high, folded, abc_):
    """Fold any caption by table; returns the bytes of its text, behind which `PADDING` bytes carry no flags."""
    n_points = _fold(folded.raw, _decode(data, low, high, folded.raw, abc_), folded.points, abc_)
    n = _encode(folded.points, n_points, folded.text, folded.flags, abc_.kind)
    for i in range(n, n + PADDING):
        folded.flags[i] = 0
    return n


def scratch(longest: int) -> Folded:
    """Room for captions of up to `longest` bytes."""
    longest = min(longest, abc.LEX_BYTES)
    text, flags = (np.empty(ENCODED_GROWTH * longest // 8 + PADDING, np.uint64) for _ in range(2))
    raw, points = np.empty(longest + 1, np.uint32), np.empty(FOLD_GROWTH * longest + 1, np.uint32)
    return Folded(text.view(np.uint8), text, flags.view(np.uint8), flags, raw, points)
