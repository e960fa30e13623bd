"""Many prompts looked up at once: `plain`, compiled. It releases the interpreter's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.check import rules
from memaudit.check.posting import find, rare_places
from memaudit.detect.jaccard import MARKS, TABLE, distinct_shingles
from memaudit.detect.minhash import bigram
from memaudit.jit import kernel, leaf

if TYPE_CHECKING:
    from memaudit.check.index import Index
    from memaudit.text.lexer import LexedBatch

_EXACT, _NEAR, _PARTIAL, _TEMPLATE, _TRIGGER = range(len(rules.KINDS))
_MIN_WORDS, _SHARED, _LEAST, _BUDGET = rules.MIN_WORDS, rules.SHARED, rules.LEAST_BITS * rules.UNITS, rules.BUDGET
_MOST = rules.MOST
SHINGLES = 1023  # of a prompt, at most
SEEN = 1 << 13  # places for the candidates of a prompt, twice the budget
HIT = np.dtype([("finding", "<u4"), ("kind", "<u4"), ("similarity", "<f8"), ("source", "<i8")])


class Work(NamedTuple):
    """Scratch of one thread."""

    own: np.ndarray  # uint32 (SHINGLES,): distinct shingles of the prompt
    other: np.ndarray  # uint32 (SHINGLES,): of a member
    at: np.ndarray  # int64 (SHINGLES,): where they stand in the index
    times: np.ndarray  # int64 (SHINGLES,)
    places: np.ndarray  # int64 (SHINGLES,)
    weight: np.ndarray  # int64 (SHINGLES,): information of the shingles that are words
    table: np.ndarray  # uint16 (TABLE,): places of the prompt's shingles, plus 1
    spare: np.ndarray  # uint16 (TABLE,)
    marks: np.ndarray  # uint64 (MARKS,)
    seen: np.ndarray  # int64 (SEEN,): members that were tried, plus 1


def work() -> Work:
    i8 = [np.zeros(SHINGLES, np.int64) for _ in range(4)]
    return Work(
        np.zeros(SHINGLES, np.uint32), np.zeros(SHINGLES, np.uint32), *i8, np.zeros(TABLE, np.uint16),
        np.zeros(TABLE, np.uint16), np.zeros(MARKS, np.uint64), np.zeros(SEEN, np.int64),
    )  # fmt: skip


@leaf
def _put(finding, kind, similarity, source, hits, base, n):
    """Keep a hit among the worst `MOST` findings of a prompt, ascending in hits[base:base + n]; returns n."""
    at = n
    while at and hits[base + at - 1].finding > finding:
        at -= 1
    if at and hits[base + at - 1].finding == finding:
        known = hits[base + at - 1]
        closer = kind < known.kind or (
            kind == known.kind
            and (similarity > known.similarity or (similarity == known.similarity and source < known.source))
        )
        if closer:
            known.kind, known.similarity, known.source = kind, similarity, source
        return n
    if at == _MOST:
        return n
    n = min(n + 1, _MOST)
    for i in range(n - 1, at, -1):
        one, before = hits[base + i], hits[base + i - 1]
        one.finding, one.kind = before.finding, before.kind
        one.similarity, one.source = before.similarity, before.source
    new = hits[base + at]
    new.finding, new.kind, new.similarity, new.source = finding, kind, similarity, source
    return n


@leaf
def _put_owners(own_at, own, member, kind, similarity, hits, base, n):
    for i in range(own_at[member], own_at[member + 1]):
        n = _put(own[i], kind, similarity, member, hits, base, n)
    return n


@leaf
def _spot(table, mask, values, v):
    """Where v stands in a table of values, or the free place where it would."""
    place = np.int64(v) & mask
    while table[place] and values[table[place] - 1] != v:
        place = (place + 1) & mask
    return place


@leaf
def _tabled(own, n, table):
    """Enter the prompt's shingles; returns the mask."""
    size = 32
    while size < 8 * n and size < len(table):
        size *= 2
    mask = np.int64(size - 1)
    for i in range(size):
        table[i] = 0
    for i in range(n):
        table[_spot(table, mask, own, own[i])] = i + 1
    return mask


@leaf
def _weigh(words, low, high, n, mask, ix, w):
    """Information of the prompt's distinct words, by shingle; returns the sum."""
    total = np.int64(0)
    for i in range(n):
        w.weight[i] = 0
    for k in range(low, high):
        i = np.int64(w.table[_spot(w.table, mask, w.own, words[k])]) - 1
        if w.weight[i] == 0:
            p = w.at[i]
            w.weight[i] = ix.unknown[0] if p < 0 else ix.sh_weight[p]
            total += w.weight[i]
    return total


@leaf
def _is_new(member, seen):
    at = np.int64(np.uint32(member * 0x9E3779B1) >> np.uint32(19))
    while seen[at]:
        if seen[at] == member + 1:
            return False
        at = (at + 1) & (SEEN - 1)
    seen[at] = member + 1
    return True


@leaf
def _compare(member, n_own, mask, total, threshold, ix, w, hits, base, n):
    """Put the findings of one candidate if it is near."""
    m = distinct_shingles(ix.words, ix.word_at[member], ix.word_at[member + 1], w.other, 0, w.marks, w.spare)
    both, shared = np.int64(0), np.int64(0)
    for i in range(m):
        k = np.int64(w.table[_spot(w.table, mask, w.own, w.other[i])])
        if k:
            both += 1
            shared += w.weight[k - 1]
    jaccard = both / (n_own + m - both)
    if jaccard >= threshold:
        return _put_owners(ix.own_at, ix.own, member, _NEAR, jaccard, hits, base, n)
    share = shared / max(np.int64(1), min(total, np.int64(ix.bits[member])))
    if shared >= _LEAST and share >= _SHARED:
        return _put_owners(ix.own_at, ix.own, member, _PARTIAL, min(share, 1.0), hits, base, n)
    return n


@leaf
def _members(words, low, high, threshold, ix, w, hits, base, n):
    """Findings that own a member that is near. See `plain._candidates`."""
    n_own = distinct_shingles(words, low, high, w.own, 0, w.marks, w.spare)
    known = False
    for k in range(n_own):
        p = find(ix.sh_start, ix.sh_hash, w.own[k])
        w.at[k], w.places[k] = p, k
        w.times[k] = 0 if p < 0 else ix.sh_at[p + 1] - ix.sh_at[p]
        known |= p >= 0
    if not known:
        return n
    mask = _tabled(w.own, n_own, w.table)
    total = _weigh(words, low, high, n_own, mask, ix, w)
    rare = rare_places(w.times, n_own, threshold, w.places)
    left, touched = np.int64(_BUDGET), False
    for i in range(n_own):
        p = w.at[w.places[i]]
        if p < 0:
            continue
        if not touched:
            touched = True
            w.seen[:] = 0
        first = ix.sh_at[p]
        last = min(ix.sh_at[p + 1] if i < rare else ix.sh_mid[p], first + left)
        left -= last - first
        for j in range(first, last):
            if _is_new(np.int64(ix.sh_list[j]), w.seen):
                n = _compare(np.int64(ix.sh_list[j]), n_own, mask, total, threshold, ix, w, hits, base, n)
    return n


@leaf
def _holds(stream, low, high, runs, first, ends):
    """Whether runs stand in stream[low:high], in order and without overlap."""
    at, before = low, np.int64(0)
    for s in range(len(ends)):
        size = ends[s] - before
        while at + size <= high:
            k = 0
            while k < size and stream[at + k] == runs[first + before + k]:
                k += 1
            if k == size:
                break
            at += 1
        if at + size > high:
            return False
        at, before = at + size, ends[s]
    return True


@leaf
def _templates_of(h, tokens, low, high, ix, hits, base, n):
    p = find(ix.fr_start, ix.fr_hash, h)
    if p < 0:
        return n
    for j in range(ix.fr_at[p], ix.fr_at[p + 1]):
        f = ix.fr_list[j]
        if _holds(tokens, low, high, ix.fr_tokens, ix.fr_token_at[f], ix.fr_ends[f]):
            share = (ix.fr_token_at[f + 1] - ix.fr_token_at[f]) / (high - low)
            n = _put(ix.fr_finding[f], _TEMPLATE, share, np.int64(f), hits, base, n)
    return n


@leaf
def _triggers_of(h, words, low, high, ix, hits, base, n):
    p = find(ix.tr_start, ix.tr_hash, h)
    if p < 0:
        return n
    for j in range(ix.tr_at[p], ix.tr_at[p + 1]):
        f = ix.tr_list[j]
        if _holds(words, low, high, ix.tr_words, ix.tr_word_at[f], ix.tr_ends[f]):
            n = _put(ix.tr_finding[f], _TRIGGER, 0.0, np.int64(f), hits, base, n)
    return n


@kernel
def _match(words, word_at, tokens, token_at, key_lo, key_hi, threshold, ix, w, hits, hit_at):
    """Hits of all prompts, one after the other; stops where `hits` may not hold another's. Returns how many prompts
    are done."""
    n_hits = np.int64(0)
    hit_at[0] = 0
    for i in range(len(key_lo)):
        if n_hits + _MOST > len(hits):
            return i
        n = np.int64(0)
        p = find(ix.key_start, ix.key_lo, key_lo[i])
        if p >= 0 and ix.key_hi[p] == key_hi[i]:
            n = _put_owners(ix.own_at, ix.own, p, _EXACT, 1.0, hits, n_hits, n)
        low, high = word_at[i], word_at[i + 1]
        if high - low >= _MIN_WORDS:
            n = _members(words, low, high, threshold, ix, w, hits, n_hits, n)
        a, b = token_at[i] + 1, token_at[i + 1] - 1
        for k in range(a, b):
            n = _templates_of(tokens[k], tokens, a, b, ix, hits, n_hits, n)
            if k + 1 < b:
                n = _templates_of(bigram(tokens[k], tokens[k + 1]), tokens, a, b, ix, hits, n_hits, n)
        for k in range(low, high):
            n = _triggers_of(words[k], words, low, high, ix, hits, n_hits, n)
        n_hits += n
        hit_at[i + 1] = n_hits
    return len(key_lo)


def match_lexed(index: Index, lexed: LexedBatch, threshold: float, w: Work, hits: np.ndarray, hit_at: np.ndarray) -> int:
    """Hits (`HIT`) of lexed prompts, those of prompt i from hit_at[i] to hit_at[i + 1]; returns how many prompts were
    done: all, or as many as `hits` has room for."""
    return int(
        _match(
            lexed.words, lexed.word_at, lexed.tokens, lexed.token_at, lexed.key_lo, lexed.key_hi, threshold, index, w,
            hits, hit_at,
        )  # fmt: skip
    )
