"""Caption templates: frames that at least three distinct captions share, each the best explanation of one of its
captions at least.

First n-grams are counted, then every caption proposes its frames (`frames`), frames whose hash occurs too rarely are
dropped, and the rest are grouped exactly. A caption may be in several templates: a family's variants overlap, and
`families` says which belong together.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from memaudit.detect import frames as fr
from memaudit.detect import grams
from memaudit.ragged import offsets_of

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 1 << 14  # texts whose frames one thread finds at a time
COUNTED = 1 << 16  # texts whose n-grams are grouped at a time
LEAF_POWER, FAMILY_POWER = 0.5, 2.0  # weight of support when a text picks its own template, and the family above it
PART_BITS = 17  # slots of one part of a count table: 256 kB, which the cache holds
HASH_PART_BITS = 2  # frames are grouped in four independent parts, by the top bits of their hash
FILTER_BITS = 26  # saturating counters that drop most frames before they are sorted

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")


class Tokens(NamedTuple):
    """Template streams of all unique texts: text i owns tokens[token_at[i]:token_at[i + 1]]. May be memory maps."""

    tokens: np.ndarray  # uint32
    token_at: np.ndarray  # int64 (n + 1,)


class Templates(NamedTuple):
    """Templates and their members, grouped: template k owns entries member_at[k]:member_at[k + 1], texts ascending.

    text: uint32 and span: uint64 (`frames.unpack`: where the fixed runs lie in that text), by entry; share: float32,
    the part of the text's information that is fixed, by entry; bits: float32, fixed information, by template.
    """

    member_at: np.ndarray
    text: np.ndarray
    span: np.ndarray
    share: np.ndarray
    bits: np.ndarray

    def __len__(self) -> int:
        return len(self.bits)


@_jit
def _tally(hashes, seen):
    """Saturating counts of frame hashes."""
    mask = np.uint64(len(seen) - 1)
    for h in hashes:
        at = h & mask
        if seen[at] < 255:
            seen[at] += np.uint8(1)


@_jit
def _survivors(hashes, spans, n_frames, first_text, part, seen, least, out_hash, out_span, out_text):
    mask = np.uint64(len(seen) - 1)
    at, n = 0, 0
    for t in range(len(n_frames)):
        for _ in range(n_frames[t]):
            if hashes[at] >> np.uint64(64 - HASH_PART_BITS) == part and seen[hashes[at] & mask] >= least:
                out_hash[n], out_span[n], out_text[n] = hashes[at], spans[at], first_text + t
                n += 1
            at += 1
    return n


@_jit
def _starts(sorted_hashes, least):
    """First entries of the runs of equal hashes that are at least `least` long, and one past each run's end."""
    out = np.empty((len(sorted_hashes) // least + 1, 2), np.int64)
    n, first = 0, 0
    for i in range(1, len(sorted_hashes) + 1):
        if i == len(sorted_hashes) or sorted_hashes[i] != sorted_hashes[first]:
            if i - first >= least:
                out[n, 0], out[n, 1] = first, i
                n += 1
            first = i
    return out[:n]


@_jit
def _span_bits(tokens, span, word_bits):
    """Information of the fixed runs of one frame in one text."""
    bits = 0.0
    for s in range(3):
        a, b = (span >> np.uint64(16 * s)) & np.uint64(255), (span >> np.uint64(16 * s + 8)) & np.uint64(255)
        for i in range(a, b):
            bits += grams.token_bits(tokens[i], word_bits)
    return bits


@_jit
def _measure(groups, text, span, tokens, token_at, total_bits, word_bits, bits, share):
    """Fixed bits by group, and the fixed share of every member."""
    for g in range(len(groups)):
        first, last = groups[g]
        t = text[first]
        bits[g] = _span_bits(tokens[token_at[t] : token_at[t + 1]], span[first], word_bits)
        for e in range(first, last):
            share[e] = min(1.0, bits[g] / max(total_bits[text[e]], 1e-6))


@_jit
def _pick(bounds, text, share, bits, hashes, support_power, best, best_hash):
    """For every text the frame with the largest min(bits, cap) * share * log2(support) ^ support_power; the smaller
    hash on a tie."""
    for g in range(len(bounds)):
        first, last = bounds[g]
        weight = min(bits[g], fr.BITS_CAP) * np.log2(np.float64(last - first)) ** support_power
        for e in range(first, last):
            t, value = text[e], np.float32(weight * share[e])
            if value > best[t] or (value == best[t] and value > 0 and hashes[first] < best_hash[t]):
                best[t], best_hash[t] = value, hashes[first]


@_jit
def _picked(bounds, text, hashes, best_hash):
    """Frames that at least one text picked."""
    out = np.empty(len(bounds), np.int64)
    n = 0
    for g in range(len(bounds)):
        for e in range(bounds[g, 0], bounds[g, 1]):
            if best_hash[text[e]] == hashes[e]:
                out[n] = g
                n += 1
                break
    return out[:n]


def _count(streams: Tokens, threads: int, pool: ThreadPoolExecutor) -> grams.Counts:
    """Count all n-grams, block by block: threads first group a block's n-grams, then each counts its share of the
    parts."""
    tables = grams.empty_tables(len(streams.tokens))
    size = tables.grams.shape[1].bit_length() - 1
    part_bits = max(size - PART_BITS, 0)
    shares = list(itertools.pairwise(np.linspace(0, 1 << part_bits, threads + 1).astype(np.int64)))
    n = len(streams.token_at) - 1

    def group(first: int) -> tuple[np.ndarray, np.ndarray]:
        at = streams.token_at[first : min(first + COUNTED, n) + 1]
        slots, bounds = grams.slots_of_block(streams.tokens[at[0] : at[-1]], at, size, part_bits)
        return slots, bounds

    words = pool.submit(grams.count_words, streams.tokens, streams.token_at, tables.words)
    for first in range(0, n, COUNTED * threads):
        for slots, bounds in pool.map(group, range(first, min(first + COUNTED * threads, n), COUNTED)):
            jobs = [pool.submit(grams.count_slots, slots, bounds, a, b, tables.grams) for a, b in shares]
            for job in jobs:
                job.result()
    words.result()
    return grams.seal(tables, n + grams.UNSEEN)


class _Block(NamedTuple):
    first: int
    hashes: np.ndarray
    spans: np.ndarray
    n_frames: np.ndarray
    total_bits: np.ndarray


def _propose(streams: Tokens, counts: grams.Counts, first: int) -> _Block:
    """Frames of one block of texts."""
    n = len(streams.token_at) - 1
    last, log_texts = min(first + BLOCK, n), float(np.log2(n + grams.UNSEEN))
    hashes, spans = (
        np.empty((last - first) * fr.MAX_FRAMES, np.uint64),
        np.empty((last - first) * fr.MAX_FRAMES, np.uint64),
    )
    n_frames, total = np.zeros(last - first, np.uint8), np.zeros(last - first, np.float32)
    at = streams.token_at[first : last + 1] - streams.token_at[first]
    tokens = streams.tokens[streams.token_at[first] : streams.token_at[last]]
    m = fr.frames_of_texts(
        tokens,
        at,
        counts,
        log_texts,
        fr.least_evidence(n),
        fr.levels_for(n),
        fr.workspace(),
        hashes,
        spans,
        n_frames,
        total,
    )
    return _Block(first, hashes[:m].copy(), spans[:m].copy(), n_frames, total)


class _Group(NamedTuple):
    """Frames whose hash falls into one part, with at least the wanted support: frame g owns entries bounds[g,
    0]..bounds[g, 1] - 1."""

    bounds: np.ndarray  # int64 (n, 2)
    hashes: np.ndarray  # uint64, by entry
    spans: np.ndarray
    texts: np.ndarray
    bits: np.ndarray  # float32, by frame
    share: np.ndarray  # float32, by entry


def _group(
    blocks: list[_Block], part: int, seen: np.ndarray, least: int, streams: Tokens, bits: np.ndarray, total: np.ndarray
) -> _Group:
    """Group the entries of one part of the hashes; parts are independent, so threads take one each."""
    kept = []
    for block in blocks:
        out = (
            np.empty(len(block.hashes), np.uint64),
            np.empty(len(block.hashes), np.uint64),
            np.empty(len(block.hashes), np.uint32),
        )
        n = _survivors(block.hashes, block.spans, block.n_frames, block.first, part, seen, least, *out)
        kept.append(tuple(column[:n].copy() for column in out))
    hashes, spans, texts = (np.concatenate(c) for c in zip(*kept, strict=True))
    order = stable_order(hashes)  # entries come by text, so texts stay ascending
    hashes, spans, texts = hashes[order], spans[order], texts[order]
    bounds = _starts(hashes, least)
    frame_bits, share = np.empty(len(bounds), np.float32), np.zeros(len(hashes), np.float32)
    _measure(bounds, texts, spans, *streams, total, bits, frame_bits, share)
    return _Group(bounds, hashes, spans, texts, frame_bits, share)


def stable_order(keys: np.ndarray) -> np.ndarray:
    """Positions that sort uint64 keys, equal keys in order of position; fewer than 2^32 keys.

    High halves are packed with positions into one integer, which numpy sorts ten times faster than it argsorts; keys
    that differ in their low half only are then put right.
    """
    packed = (keys & np.uint64(0xFFFFFFFF00000000)) | np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    order = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    _mend_order(keys, order)
    return order


@_jit
def _mend_order(keys, order):
    first = 0
    for i in range(1, len(order) + 1):
        if i < len(order) and keys[order[i]] >> np.uint64(32) == keys[order[first]] >> np.uint64(32):
            continue
        mixed = False
        for k in range(first + 1, i):
            mixed |= keys[order[k]] != keys[order[first]]
        if mixed:
            for k in range(first + 1, i):  # a short run, in order of position: insertion keeps that order among equals
                position, at = order[k], k
                while at > first and keys[order[at - 1]] > keys[position]:
                    order[at] = order[at - 1]
                    at -= 1
                order[at] = position
        first = i


def mine_templates(
    streams: Tokens, min_support: int, threads: int, advance: Callable[[int], None] = lambda _: None
) -> tuple[Templates, np.ndarray]:
    """Templates with at least `min_support` distinct texts, and the information of every text (float32, bits).

    advance: called with texts done, 2 n in all. Cost: 2 to 4 us a text and core; some 200 bytes a text of memory, and
    the count tables. Results do not depend on threads or on the order of texts.
    """
    n = len(streams.token_at) - 1
    with ThreadPoolExecutor(threads) as pool:
        counts = _count(streams, threads, pool)
        advance(n)
        seen = np.zeros(1 << FILTER_BITS, np.uint8)
        blocks: list[_Block] = []
        for block in pool.map(lambda first: _propose(streams, counts, first), range(0, n, BLOCK)):
            _tally(block.hashes, seen)
            blocks.append(block)
            advance(len(block.n_frames))
        if not blocks:
            return _no_templates(), np.empty(0, np.float32)
        total = np.concatenate([b.total_bits for b in blocks])
        groups = list(
            pool.map(
                lambda part: _group(blocks, part, seen, min_support, streams, counts.bits, total),
                range(1 << HASH_PART_BITS),
            )
        )
    return _choose(groups, n), total


def _no_templates() -> Templates:
    empty = np.empty(0, np.float32)
    return Templates(np.zeros(1, np.int64), np.empty(0, np.uint32), np.empty(0, np.uint64), empty, empty)


def _choose(groups: list[_Group], n_texts: int) -> Templates:
    """Keep the frames that some text picks, as its own template or as the family above it."""
    chosen = [np.empty(0, np.int64) for _ in groups]
    for power in (LEAF_POWER, FAMILY_POWER):
        best, best_hash = np.zeros(n_texts, np.float32), np.zeros(n_texts, np.uint64)
        for g in groups:
            _pick(g.bounds, g.texts, g.share, g.bits, g.hashes, power, best, best_hash)
        chosen = [
            np.union1d(c, _picked(g.bounds, g.texts, g.hashes, best_hash)) for c, g in zip(chosen, groups, strict=True)
        ]
    parts = [_take(g, c) for g, c in zip(groups, chosen, strict=True)]
    member_at = offsets_of(np.concatenate([np.diff(p.member_at) for p in parts]))
    return Templates(member_at, *(np.concatenate([p[k] for p in parts]) for k in range(1, 5)))


def _take(group: _Group, chosen: np.ndarray) -> Templates:
    bounds = group.bounds[chosen]
    member_at = offsets_of(bounds[:, 1] - bounds[:, 0])
    entry = np.arange(member_at[-1]) + np.repeat(bounds[:, 0] - member_at[:-1], np.diff(member_at))
    return Templates(member_at, group.texts[entry], group.spans[entry], group.share[entry], group.bits[chosen])


def tightest(templates: Templates, key: np.ndarray) -> np.ndarray:
    """uint32 by template: the member whose frame holds most of it, the smallest key on a tie; it stands for the
    template."""
    out = np.empty(len(templates), np.uint32)
    _find_tightest(templates.member_at, templates.text, templates.share, key, out)
    return out


@_jit
def _find_tightest(member_at, text, share, key, out):
    for k in range(len(out)):
        best = member_at[k]
        for e in range(best + 1, member_at[k + 1]):
            if share[e] > share[best] or (share[e] == share[best] and key[text[e]] < key[text[best]]):
                best = e
        out[k] = text[best]
