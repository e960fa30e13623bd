"""Caption bytes -> folded code points: UTF-8 and entities decoded, tags removed, NFKD and case fold by table.

Plain ASCII without "&" and "<" takes a short road; everything else the table road. `reference` is the definition.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from memaudit.text import alphabet as abc

FOLD_GROWTH = 18  # the longest folding of one code point (U+FDFA)

_FNV = np.uint64(0x100000001B3)
_SEED = np.uint64(0xCBF29CE484222325)
_REPLACEMENT = 0xFFFD
_AMP, _LESS, _GREATER, _HASH, _SEMICOLON, _X = ord("&"), ord("<"), ord(">"), ord("#"), ord(";"), ord("x")
_MARK_RUN, _TAG_LENGTH = abc.MARK_RUN, abc.TAG_LENGTH

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")


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
def fold_caption(data, low, high, raw, folded, abc_):
    n = _fold_plain(data, low, high, folded)
    return n if n >= 0 else _fold(raw, _decode(data, low, high, raw, abc_), folded, abc_)


def scratch(longest: int) -> tuple[np.ndarray, np.ndarray]:
    longest = min(longest, abc.LEX_BYTES)
    return np.empty(longest + 1, np.uint32), np.empty(FOLD_GROWTH * longest + 1, np.uint32)
