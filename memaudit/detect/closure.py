"""Templates grown to everything that all their members share.

The runs of a frame are what counts could tell from chance before anything was grouped. Once its members are known more
can be said: a word beside a run that all of them have belongs to the run, however common it is, and so does a word that
stands somewhere in the same slot of all of them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from memaudit.detect.grams import MAX_TOKENS
from memaudit.jit import kernel, leaf
from memaudit.text import alphabet as abc

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from memaudit.detect.grams import Tokens

BESIDE_BITS, INSIDE_BITS = 6.0, 20.0  # what a word beside a run, or inside a slot, must tell in all members but one
ENTRIES = 1 << 16  # members that one thread takes at a time

_FIRST_WORD = abc.FIRST_WORD


@leaf
def _unpack(span, pos):
    """pos[2 s], pos[2 s + 1]: where run s starts and ends; returns how many runs."""
    for s in range(3):
        pos[2 * s] = np.int64((span >> np.uint64(16 * s)) & np.uint64(255))
        pos[2 * s + 1] = np.int64((span >> np.uint64(16 * s + 8)) & np.uint64(255))
        if pos[2 * s + 1] == 0:
            return s
    return 3


@leaf
def _pack(pos, runs):
    span = np.uint64(0)
    for s in range(runs):
        span |= np.uint64(pos[2 * s] | pos[2 * s + 1] << 8) << np.uint64(16 * s)
    return span


@leaf
def _gap(pos, runs, s, size):
    """Slot s, the one before run s, as [from, to)."""
    return (pos[2 * s - 1] if s else np.int64(0)), (pos[2 * s] if s < runs else size)


@leaf
def _grow_beside(tokens, start, size, pos, m, runs, least, word_bits):
    """Extend every run to both sides by what all members have there."""
    mask = np.uint32(len(word_bits) - 1)
    for s in range(runs + 1):
        for side in range(2):  # 0: the slot's first word joins the run before it; 1: its last word the run behind it
            if (side == 0 and s == 0) or (side == 1 and s == runs):
                continue
            while True:
                low, high = _gap(pos[0], runs, s, size[0])
                if low >= high:
                    break
                token = tokens[start[0] + (low if side == 0 else high - 1)]
                if np.float64(word_bits[token & mask]) * (m - 1) < least:
                    break
                same = True
                for e in range(1, m):
                    low, high = _gap(pos[e], runs, s, size[e])
                    if low >= high or tokens[start[e] + (low if side == 0 else high - 1)] != token:
                        same = False
                        break
                if not same:
                    break
                for e in range(m):
                    if side == 0:
                        pos[e, 2 * s - 1] += 1
                    else:
                        pos[e, 2 * s] -= 1


@leaf
def _join(pos, m, runs):
    """Runs that touch in all members are one; returns how many runs there are."""
    s = 0
    while s < runs - 1:
        touching = True
        for e in range(m):
            touching &= pos[e, 2 * s + 1] == pos[e, 2 * s + 2]
        if not touching:
            s += 1
            continue
        for e in range(m):
            pos[e, 2 * s + 1] = pos[e, 2 * s + 3]
            for i in range(2 * s + 2, 4):
                pos[e, i] = pos[e, i + 2]
        runs -= 1
    return runs


@leaf
def _first(tokens, start, low, high, token):
    for i in range(low, high):
        if tokens[start + i] == token:
            return i
    return -1


@leaf
def _shared_inside(tokens, start, size, pos, m, runs, least, word_bits):
    """(slot, token) of the most telling word that stands in the same slot of all members; slot -1 where there is
    none."""
    mask = np.uint32(len(word_bits) - 1)
    best, best_slot, best_token = 0.0, -1, np.uint32(0)
    for s in range(runs + 1):
        shortest, room = 0, 1 << 30
        for e in range(m):
            low, high = _gap(pos[e], runs, s, size[e])
            if high - low < room:
                shortest, room = e, high - low
        low, high = _gap(pos[shortest], runs, s, size[shortest])
        for i in range(low, high):
            token = tokens[start[shortest] + i]
            bits = np.float64(word_bits[token & mask])
            if token < _FIRST_WORD or bits * (m - 1) < least or bits < best:
                continue
            if bits == best and token >= best_token:
                continue
            same = True
            for e in range(m):
                lower, upper = _gap(pos[e], runs, s, size[e])
                if _first(tokens, start[e], lower, upper, token) < 0:
                    same = False
                    break
            if same:
                best, best_slot, best_token = bits, s, token
    return best_slot, best_token


@leaf
def _put_inside(tokens, start, size, pos, m, runs, s, token):
    """Make that word a run of its own, at its first place in the slot; in the last slot, which the caption's end may
    bound, at its last."""
    for e in range(m):
        low, high = _gap(pos[e], runs, s, size[e])
        at = _first(tokens, start[e], low, high, token)
        if s == runs:
            for i in range(at, high):
                if tokens[start[e] + i] == token:
                    at = i
        for i in range(5, 2 * s + 1, -1):
            pos[e, i] = pos[e, i - 2]
        pos[e, 2 * s], pos[e, 2 * s + 1] = at, at + 1


@kernel
def _grow(first, last, member_at, text, span, tokens, token_at, word_bits, beside, inside):
    """Templates first..last-1; their spans are overwritten."""
    pos, start, size = np.zeros((64, 6), np.int64), np.zeros(64, np.int64), np.zeros(64, np.int64)
    for k in range(first, last):
        low, m = member_at[k], member_at[k + 1] - member_at[k]
        if m > len(start):
            pos, start, size = np.zeros((2 * m, 6), np.int64), np.zeros(2 * m, np.int64), np.zeros(2 * m, np.int64)
        runs = np.int64(0)
        for e in range(m):
            t = np.int64(text[low + e])
            start[e] = token_at[t]
            size[e] = min(token_at[t + 1] - token_at[t], MAX_TOKENS)
            runs = _unpack(span[low + e], pos[e])
        while True:
            _grow_beside(tokens, start, size, pos, m, runs, beside, word_bits)
            runs = _join(pos, m, runs)
            if runs == 3:
                break
            s, token = _shared_inside(tokens, start, size, pos, m, runs, inside, word_bits)
            if s < 0:
                break
            _put_inside(tokens, start, size, pos, m, runs, s, token)
            runs += 1
        for e in range(m):
            span[low + e] = _pack(pos[e], runs)


def grow(
    member_at: np.ndarray, text: np.ndarray, span: np.ndarray, streams: Tokens, word_bits: np.ndarray,
    pool: ThreadPoolExecutor,
) -> np.ndarray:  # fmt: skip
    """The spans (uint64, by entry) of templates that are grown. word_bits: `grams.Counts.bits`. Some 10 ns a member and
    word."""
    out = span.copy()
    n = len(member_at) - 1
    cuts = np.unique([0, *np.searchsorted(member_at, np.arange(0, len(text), ENTRIES)).tolist(), n]).tolist()

    def run(part: tuple[int, int]) -> None:
        _grow(*part, member_at, text, out, *streams, word_bits, BESIDE_BITS, INSIDE_BITS)

    list(pool.map(run, itertools.pairwise(cuts)))
    return out
