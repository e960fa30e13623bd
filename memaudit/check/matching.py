"""Many prompts looked up at once: `plain`, compiled. It releases the interpreter's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.check import rules
from memaudit.check.posting import find, mark, rare_places
from memaudit.detect.jaccard import MARKS, TABLE, distinct_shingles
from memaudit.detect.minhash import bigram
from memaudit.jit import kernel, leaf
from memaudit.text.hashing import popcount

if TYPE_CHECKING:
    from memaudit.check.index import Index
    from memaudit.text.lexer import LexedBatch

_EXACT, _NEAR, _PARTIAL, _TEMPLATE, _TRIGGER = range(len(rules.KINDS))
_MIN_WORDS, _SHARED, _LEAST, _BUDGET = rules.MIN_WORDS, rules.SHARED, rules.LEAST_BITS * rules.UNITS, rules.BUDGET
_MOST, _MOST_BITS = rules.MOST, rules.WORD_BITS * rules.UNITS
_RARE_WORDS, _RARE_MEMBERS = rules.RARE_WORDS, rules.RARE_MEMBERS
SHINGLES = 1023  # of a prompt, at most
SEEN = 1 << 13  # places for the candidates of a prompt, twice the budget
_MEMBER_BITS = 32
HIT = np.dtype([("finding", "<u4"), ("kind", "<u4"), ("similarity", "<f8"), ("source", "<i8")])


class Work(NamedTuple):
    """Scratch of one thread."""

    own: np.ndarray  # uint32 (SHINGLES,): distinct shingles of the prompt
    at: np.ndarray  # int64 (SHINGLES,): where they stand in the index
    times: np.ndarray  # int64 (SHINGLES,)
    places: np.ndarray  # int64 (SHINGLES,)
    weight: np.ndarray  # int64 (SHINGLES,): information of the shingles that are words
    table: np.ndarray  # uint16 (TABLE,): places of the prompt's shingles, plus 1
    spare: np.ndarray  # uint16 (TABLE,)
    marks: np.ndarray  # uint64 (MARKS,)
    seen: np.ndarray  # int64 (SEEN + 1,): prompt and member that were tried; the last one numbers the prompt in hand


def work() -> Work:
    i8 = [np.zeros(SHINGLES, np.int64) for _ in range(4)]
    return Work(
        np.zeros(SHINGLES, np.uint32), *i8, np.zeros(TABLE, np.uint16),
        np.zeros(TABLE, np.uint16), np.zeros(MARKS, np.uint64), np.zeros(SEEN + 1, np.int64),
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
def _weigh(words, low, high, own, n, table, mask, at, known, unknown, weight):
    """Information of the prompt's distinct words, by shingle; returns the sum."""
    total = np.int64(0)
    for i in range(n):
        weight[i] = 0
    for k in range(low, high):
        place = np.int64(table[_spot(table, mask, own, words[k])]) - 1
        if weight[place] == 0:
            weight[place] = unknown[0] if at[place] < 0 else known[at[place]]
            total += weight[place]
    return total


@leaf
def _is_new(member, seen):
    """Whether this member was not tried for the prompt in hand; it is from now on."""
    at = np.int64(np.uint32(member * 0x9E3779B1) >> np.uint32(19))
    now = seen[SEEN] << _MEMBER_BITS
    while seen[at] >= now:
        if seen[at] == now | member:
            return False
        at = (at + 1) & (SEEN - 1)
    seen[at] = now | member
    return True


@leaf
def _may_match(shared, n, n_words, m, total, bits, threshold):
    """Whether a member may match that shares at most `shared` distinct words with the prompt; never wrongly False.

    n, n_words: shingles and words of the prompt; m: shingles of the member; total, bits: information of both.
    """
    most = shared * _MOST_BITS
    if most >= _LEAST and most >= _SHARED * min(total, bits):
        return True
    return (1.0 + threshold) * (shared + min(shared * shared, n - n_words)) >= threshold * (n + m)


@leaf
def _overlap(own, table, mask, weight, other, first, m):
    """Shingles that the prompt and other[first:first + m] share, and the information of those that are words."""
    both, shared = np.int64(0), np.int64(0)
    for i in range(m):
        k = np.int64(table[_spot(table, mask, own, other[first + i])])
        if k:
            both += 1
            shared += weight[k - 1]
    return both, shared


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
    total = _weigh(words, low, high, w.own, n_own, w.table, mask, w.at, ix.sh_weight, ix.unknown, w.weight)
    n_words, marks = np.int64(0), np.uint64(0)
    for i in range(n_own):
        if w.weight[i]:
            n_words += 1
            marks |= mark(w.own[i])
    rare = rare_places(w.times, n_own, threshold, w.places)
    left, rare_words = np.int64(_BUDGET), np.int64(0)
    w.seen[SEEN] += 1
    for i in range(n_own):
        p = w.at[w.places[i]]
        if p < 0:
            continue
        first = ix.sh_at[p]
        is_word = w.weight[w.places[i]] > 0
        rare_words += is_word
        whole = i < rare or (is_word and rare_words <= _RARE_WORDS and w.times[w.places[i]] <= _RARE_MEMBERS)
        last = min(ix.sh_at[p + 1] if whole else ix.sh_mid[p], first + left)
        left -= last - first
        for j in range(first, last):
            member = np.int64(ix.sh_list[j])
            if not _is_new(member, w.seen):
                continue
            first_of, m, bits = ix.set_at[member], ix.set_at[member + 1] - ix.set_at[member], np.int64(ix.bits[member])
            common = n_words - popcount(marks & ~ix.marks[member])
            if not _may_match(common, n_own, n_words, m, total, bits, threshold):
                continue
            both, shared = _overlap(w.own, w.table, mask, w.weight, ix.set, first_of, m)
            jaccard = both / (n_own + m - both)
            share = shared / max(np.int64(1), min(total, bits))
            if jaccard >= threshold:
                n = _put_owners(ix.own_at, ix.own, member, _NEAR, jaccard, hits, base, n)
            elif shared >= _LEAST and share >= _SHARED:
                n = _put_owners(ix.own_at, ix.own, member, _PARTIAL, min(share, 1.0), hits, base, n)
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
def _listed(h, stream, low, high, start, hashes, at, entries, runs, run_at, ends, findings, kind, hits, base, n):
    """Put the findings of the entries that are listed under h and stand in stream[low:high]."""
    p = find(start, hashes, h)
    if p < 0:
        return n
    for j in range(at[p], at[p + 1]):
        f = entries[j]
        if _holds(stream, low, high, runs, run_at[f], ends[f]):
            share = (run_at[f + 1] - run_at[f]) / (high - low) if kind == _TEMPLATE else 0.0
            n = _put(findings[f], kind, share, np.int64(f), hits, base, n)
    return n


@leaf
def _templates(tokens, low, high, start, hashes, at, entries, runs, run_at, ends, findings, hits, base, n):
    for k in range(low, high):
        n = _listed(
            tokens[k], tokens, low, high, start, hashes, at, entries, runs, run_at, ends, findings, _TEMPLATE, hits,
            base, n,
        )  # fmt: skip
        if k + 1 < high:
            h = bigram(tokens[k], tokens[k + 1])
            n = _listed(
                h, tokens, low, high, start, hashes, at, entries, runs, run_at, ends, findings, _TEMPLATE, hits, base, n
            )
    return n


@leaf
def _triggers(words, low, high, start, hashes, at, entries, runs, run_at, ends, findings, hits, base, n):
    for k in range(low, high):
        n = _listed(
            words[k], words, low, high, start, hashes, at, entries, runs, run_at, ends, findings, _TRIGGER, hits, base,
            n,
        )  # fmt: skip
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
        n = _templates(
            tokens, token_at[i] + 1, token_at[i + 1] - 1, ix.fr_start, ix.fr_hash, ix.fr_at, ix.fr_list, ix.fr_tokens,
            ix.fr_token_at, ix.fr_ends, ix.fr_finding, hits, n_hits, n,
        )  # fmt: skip
        n = _triggers(
            words, low, high, ix.tr_start, ix.tr_hash, ix.tr_at, ix.tr_list, ix.tr_words, ix.tr_word_at, ix.tr_ends,
            ix.tr_finding, hits, n_hits, n,
        )  # fmt: skip
        n_hits += n
        hit_at[i + 1] = n_hits
    return len(key_lo)


def match_lexed(
    index: Index, lexed: LexedBatch, threshold: float, w: Work, hits: np.ndarray, hit_at: np.ndarray
) -> int:
    """Hits (`HIT`) of lexed prompts, those of prompt i from hit_at[i] to hit_at[i + 1]; returns how many prompts were
    done: all, or as many as `hits` has room for."""
    done = _match(
        lexed.words, lexed.word_at, lexed.tokens, lexed.token_at, lexed.key_lo, lexed.key_hi, threshold, index, w, hits,
        hit_at,
    )  # fmt: skip
    return int(done)
