"""What stands in a template's slots: distinct contents and their entropy, by template and slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from memaudit.detect.ordering import shell_sort
from memaudit.text import alphabet as abc
from memaudit.text.hashing import mix64

if TYPE_CHECKING:
    from memaudit.detect.templates import Templates, Tokens

_jit = nb.njit(cache=True, nogil=True)
_START, _END, _FIRST_WORD = abc.START, abc.END, abc.FIRST_WORD
_ROLL = np.uint64(0x9E3779B97F4A7C15)


class Slots(NamedTuple):
    """exists: bool (n, 4), whether slot 0 (before the first run) .. 3 (after the last) is one: not where the frame is
    bound to the end of the caption, nor where all members hold the same; entropy: float32 (n,), bits of the joint
    content over member texts; distinct: uint32 (n, 4), contents of each slot; length: float32 (n,), mean tokens
    in the slots; content: uint64 (entries, 4), hash by entry."""

    exists: np.ndarray
    entropy: np.ndarray
    distinct: np.ndarray
    length: np.ndarray
    content: np.ndarray


@_jit
def _bounds(span, n_tokens, out):
    """Slots of a frame in a text of n_tokens: out[k] = [from, to) of slot k; returns how many runs there are."""
    runs = 0
    before = np.int64(0)
    for s in range(3):
        a = np.int64((span >> np.uint64(16 * s)) & np.uint64(255))
        b = np.int64((span >> np.uint64(16 * s + 8)) & np.uint64(255))
        if b == 0:
            break
        out[s, 0], out[s, 1] = before, a
        before = b
        runs += 1
    out[runs, 0], out[runs, 1] = before, n_tokens
    return runs


@_jit
def _content(tokens, low, high):
    h = np.uint64(1)
    for i in range(low, high):
        if tokens[i] != _START and tokens[i] != _END:
            h = mix64(h * _ROLL + np.uint64(tokens[i]))
    return h


@_jit
def _describe(member_at, text, span, tokens, token_at, exists, entropy, distinct, length, content):
    bounds = np.zeros((4, 2), np.int64)
    for k in range(len(member_at) - 1):
        first, last = member_at[k], member_at[k + 1]
        joint = np.empty(last - first, np.uint64)
        words = 0
        for e in range(first, last):
            a, b = token_at[text[e]], token_at[text[e] + 1]
            caption = tokens[a:b]
            runs = _bounds(span[e], b - a, bounds)
            h = np.uint64(0)
            for s in range(runs + 1):
                low, high = bounds[s]
                exists[k, s] |= high > low or 0 < s < runs
                content[e, s] = _content(caption, low, high)
                h = mix64(h * _ROLL + content[e, s])
                for i in range(low, high):
                    words += caption[i] != _START and caption[i] != _END
            joint[e - first] = h
        for s in range(4):
            own = content[first:last, s].copy()
            shell_sort(own)
            distinct[k, s] = 1
            for i in range(1, len(own)):
                distinct[k, s] += own[i] != own[i - 1]
            exists[k, s] &= distinct[k, s] > 1
        shell_sort(joint)
        run, bits = 0, 0.0
        for i in range(len(joint)):
            run += 1
            if i + 1 == len(joint) or joint[i + 1] != joint[i]:
                p = run / len(joint)
                bits -= p * np.log2(p)
                run = 0
        entropy[k], length[k] = bits, words / len(joint)


def describe_slots(templates: Templates, streams: Tokens) -> Slots:
    """Slots of every template."""
    n = len(templates)
    zeros, scalars = np.zeros((n, 4), np.bool_), (np.zeros(n, np.float32), np.zeros(n, np.float32))
    content = np.zeros((len(templates.text), 4), np.uint64)
    out = Slots(zeros, scalars[0], np.zeros((n, 4), np.uint32), scalars[1], content)
    _describe(templates.member_at, templates.text, templates.span, *streams, *out)
    return out
