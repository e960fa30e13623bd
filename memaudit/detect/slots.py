"""What stands in a template's slots: distinct contents and their entropy, by template and slot."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect import counting
from memaudit.detect.counting import count_values, workspace
from memaudit.jit import kernel, leaf
from memaudit.ragged import blocks
from memaudit.scratch import release
from memaudit.text import alphabet as abc
from memaudit.text.hashing import mix64

if TYPE_CHECKING:
    from memaudit.detect.grams import Tokens
    from memaudit.detect.templates import Templates


_START, _END, _FIRST_WORD = abc.START, abc.END, abc.FIRST_WORD
_ROLL = np.uint64(0x9E3779B97F4A7C15)
_COUNT, _FIRST = counting.COUNT, counting.FIRST
ENTRIES = 1 << 16  # described between two releases of mapped pages


class Slots(NamedTuple):
    """exists: bool (n, 4), whether slot 0 (before the first run) .. 3 (after the last) is one: not where the frame is
    bound to the end of the caption, nor where all members hold the same; entropy: float32 (n,), bits of the joint
    content over member texts; distinct: uint32 (n, 4), contents of each slot; content: uint64 (entries, 4), hash by
    entry."""

    exists: np.ndarray
    entropy: np.ndarray
    distinct: np.ndarray
    content: np.ndarray


@leaf
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


@leaf
def _content(tokens, low, high):
    h = np.uint64(1)
    for i in range(low, high):
        if tokens[i] != _START and tokens[i] != _END:
            h = mix64(h * _ROLL + np.uint64(tokens[i]))
    return h


@kernel
def _contents(order, text, span, tokens, token_at, opens, content):
    """Contents of the slots of entries `order`; bit s of opens[e]: whether something may stand in slot s."""
    bounds = np.zeros((4, 2), np.int64)
    for i in range(len(order)):
        e = np.int64(order[i])
        t = np.int64(text[e])
        caption = tokens[token_at[t] : token_at[t + 1]]
        runs = _bounds(span[e], len(caption), bounds)
        for s in range(runs + 1):
            low, high = bounds[s]
            if high > low or 0 < s < runs:
                opens[e] |= np.uint8(1 << s)
            content[e, s] = _content(caption, low, high)


@leaf
def _entropy(groups, n_groups, n):
    bits = 0.0
    for g in range(n_groups):
        p = groups[g, _COUNT] / n
        bits -= p * np.log2(p)
    return bits


@kernel
def _describe(first, last, member_at, opens, content, exists, entropy, distinct):
    """Templates first..last-1."""
    table, groups = workspace()
    values = np.empty(1024, np.uint64)
    for k in range(first, last):
        low, n = member_at[k], member_at[k + 1] - member_at[k]
        if n > len(values):
            values = np.empty(2 * n, np.uint64)
        opened = np.uint8(0)
        for e in range(low, low + n):
            opened |= opens[e]
        for s in range(4):
            for i in range(n):
                values[i] = content[low + i, s]
            distinct[k, s], table, groups = count_values(values, n, table, groups)
            exists[k, s] = (opened >> s) & 1 == 1 and distinct[k, s] > 1
        for i in range(n):
            h = np.uint64(0)
            for s in range(4):
                h = mix64(h * _ROLL + content[low + i, s])
            values[i] = h
        n_groups, table, groups = count_values(values, n, table, groups)
        entropy[k] = _entropy(groups, n_groups, n)


def describe_slots(templates: Templates, streams: Tokens, threads: int = 1) -> Slots:
    """Slots of every template. Tokens are read in the order of texts, so that they may be mapped; 45 bytes an entry."""
    n, n_entries = len(templates), len(templates.text)
    out = Slots(
        np.zeros((n, 4), np.bool_),
        np.zeros(n, np.float32),
        np.zeros((n, 4), np.uint32),
        np.zeros((n_entries, 4), np.uint64),
    )
    opens = np.zeros(n_entries, np.uint8)
    packed = (templates.text.astype(np.uint64) << np.uint64(32)) | np.arange(n_entries, dtype=np.uint64)
    packed.sort()
    order = packed.astype(np.uint32)
    del packed

    def contents(part: tuple[int, int]) -> None:
        _contents(order[slice(*part)], templates.text, templates.span, *streams, opens, out.content)
        release(*streams)

    def describe(part: tuple[int, int]) -> None:
        _describe(*part, templates.member_at, opens, out.content, out.exists, out.entropy, out.distinct)

    cuts = np.searchsorted(templates.member_at, np.arange(0, n_entries, ENTRIES)).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(contents, blocks(n_entries, ENTRIES)))
        list(pool.map(describe, itertools.pairwise(np.unique([0, *cuts, n]).tolist())))
    return out


class TopContents(NamedTuple):
    """The commonest contents of slots, one array entry each, by template, slot and falling count: template int64 (as
    asked for), slot uint8, entry int64 (the first that holds it), times uint32."""

    template: np.ndarray
    slot: np.ndarray
    entry: np.ndarray
    times: np.ndarray


@leaf
def _commonest(groups, n_groups, best):
    """Fill `best` with groups by falling count, earlier ones first on a tie; returns how many."""
    kept = 0
    for g in range(n_groups):
        at = kept
        while at > 0 and groups[best[at - 1], _COUNT] < groups[g, _COUNT]:
            at -= 1
        if at == len(best):
            continue
        kept = min(kept + 1, len(best))
        for i in range(kept - 1, at, -1):
            best[i] = best[i - 1]
        best[at] = g
    return kept


@kernel
def _top(which, most, member_at, exists, content, template, slot, entry, times):
    table, groups = workspace()
    values, best = np.empty(1024, np.uint64), np.empty(most, np.int64)
    m = 0
    for k in which:
        low, n = member_at[k], member_at[k + 1] - member_at[k]
        if n > len(values):
            values = np.empty(2 * n, np.uint64)
        for s in range(4):
            if not exists[k, s]:
                continue
            for i in range(n):
                values[i] = content[low + i, s]
            n_groups, table, groups = count_values(values, n, table, groups)
            for i in range(_commonest(groups, n_groups, best)):
                template[m], slot[m], entry[m] = k, s, low + groups[best[i], _FIRST]
                times[m] = groups[best[i], _COUNT]
                m += 1
    return m


def top_contents(templates: Templates, slots: Slots, which: np.ndarray, most: int) -> TopContents:
    """Up to `most` contents of every slot of the templates `which` (int64); earlier ones first on a tie."""
    room = 4 * most * len(which)
    out = TopContents(
        np.empty(room, np.int64), np.empty(room, np.uint8), np.empty(room, np.int64), np.empty(room, np.uint32)
    )
    n = _top(which, most, templates.member_at, slots.exists, slots.content, *out)
    return TopContents(*(column[:n] for column in out))
