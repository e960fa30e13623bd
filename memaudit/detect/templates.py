"""Caption templates: frames that at least three distinct captions share, each the best explanation of one of its
captions at least.

First n-grams are counted (`grams`), then every caption proposes its frames (`frames`, `proposals`), frames whose hash
occurs too rarely are dropped, and the rest are grouped exactly, part by part. What some caption picks is then settled
(`settling`): templates that differ by one word are merged (`skeletons`), all captions that hold one are found
(`holders`), and what all of these share is added (`closure`). A caption may be in several templates: a family's
variants overlap, and `families` says which belong together.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect import frames as fr
from memaudit.detect import grams
from memaudit.detect.ordering import stable_order
from memaudit.detect.proposals import propose
from memaudit.detect.settling import settle
from memaudit.jit import kernel, leaf
from memaudit.ragged import offsets_of
from memaudit.scratch import Steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from memaudit.detect.grams import Tokens
    from memaudit.detect.proposals import Proposals

LEAF_POWER, FAMILY_POWER = 0.5, 2.0  # weight of support when a text picks its own template, and the family above it
SPAN_MASK = np.uint64((1 << 48) - 1)
NO_GROUP = np.uint32(0xFFFFFFFF)


_BITS_UNIT, _CAP = fr.BITS_UNIT, fr.BITS_CAP


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


class _Groups(NamedTuple):
    """Frames of one part in ascending order of hash, with the wanted support: frame g owns entries at[g]..at[g + 1] -
    1."""

    at: np.ndarray  # int64 (n + 1,)
    texts: np.ndarray  # uint32, by entry, ascending in a frame
    spans: np.ndarray  # uint64, by entry
    share: np.ndarray  # float32, by entry
    bits: np.ndarray  # float32, by frame


@leaf
def _measure(groups, texts, spans, total_bits, least, share, bits):
    """Fixed share of every member and fixed bits by group; drops the groups whose evidence is below `least`: returns
    how many are left."""
    n = 0
    for g in range(len(groups)):
        first, last = groups[g]
        own = np.float64(spans[first] >> np.uint64(48)) / _BITS_UNIT
        shares = 0.0
        for e in range(first, last):
            share[e] = min(1.0, own / max(np.float64(total_bits[texts[e]]), 1e-6))
            shares += share[e]
        strength = min(own, _CAP) * shares / (last - first)
        if strength * np.log2(np.float64(last - first)) ** 0.5 >= least:
            groups[n, 0], groups[n, 1], bits[n] = first, last, own
            n += 1
    return n


@leaf
def _pick(at, texts, share, bits, power, first_group, best, best_group):
    """For every text the frame with the largest min(bits, cap) * share * log2(support) ^ power. Groups come by
    ascending hash, and the first of equals stays, so that a tie goes to the smaller hash."""
    for g in range(len(bits)):
        weight = min(np.float64(bits[g]), _CAP) * np.log2(np.float64(at[g + 1] - at[g])) ** power
        for e in range(at[g], at[g + 1]):
            value = np.float32(weight * share[e])
            if value > best[texts[e]]:
                best[texts[e]], best_group[texts[e]] = value, first_group + g


@leaf
def _mark_picked(at, texts, first_group, best_group, picked):
    """Mark the frames that at least one text picked."""
    for g in range(len(at) - 1):
        for e in range(at[g], at[g + 1]):
            if best_group[texts[e]] == first_group + g:
                picked[g] = True
                break


def _group(proposals: Proposals, part: int, least: int, total_bits: np.ndarray) -> _Groups:
    """Group the entries of one part; parts are independent, so threads take one each."""
    hashes, spans, texts = proposals.part(part, least)
    order = stable_order(hashes)  # entries come by text, so texts stay ascending
    hashes, spans, texts = hashes[order], spans[order], texts[order]
    bounds = _starts(hashes, least)
    share, bits = np.zeros(len(hashes), np.float32), np.empty(len(bounds), np.float32)
    n = _measure(bounds, texts, spans, total_bits, fr.least_evidence(len(total_bits)), share, bits)
    bounds = bounds[:n]
    at = offsets_of(bounds[:, 1] - bounds[:, 0])
    entry = np.arange(at[-1]) + np.repeat(bounds[:, 0] - at[:-1], np.diff(at))
    return _Groups(at, texts[entry], spans[entry] & SPAN_MASK, share[entry], bits[:n].copy())


@kernel
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


def mine_templates(
    streams: Tokens, min_support: int, threads: int, memory: int, folder: Path, steps: Steps | None = None,
    advance: Callable[[int], None] = lambda _: None, expected: np.ndarray | None = None,
) -> tuple[Templates, np.ndarray]:  # fmt: skip
    """Templates with at least `min_support` distinct texts, and the information of every text (float32, bits).

    memory: budget in bytes. folder: for frames that are spilled, some 100 bytes a text. steps: what an earlier run
    finished. advance: called with texts done, (1 + passes of the tables) * n in all. expected: see
    `count_grams`. Cost: 2 to 3 us a text and core; 20 bytes a text of memory, and the count tables. Results do not
    depend on memory, threads or the order of texts.
    """
    n, steps = len(streams.token_at) - 1, steps or Steps()
    tables = grams.tables_for(len(streams.tokens), memory)
    with ThreadPoolExecutor(threads) as pool:
        counted = steps.get("counted")
        if counted is None:
            counted = grams.count_grams(streams, tables, threads, pool, advance, expected)._asdict()
            steps.put("counted", counted)
        else:
            advance(tables.passes * n)
        proposals = propose(streams, grams.Counts(**counted), folder, pool, steps, advance)
        del counted
        total = proposals.text_bits()

        def group(part: int) -> int:
            known = steps.get(f"group-{part}")
            if known is None:
                known = _group(proposals, part, min_support, total)._asdict()
                steps.put(f"group-{part}", known)
            return len(known["bits"])

        sizes = list(pool.map(group, proposals.parts()))
        proposals.forget_counts()
        chosen = _choose(sizes, lambda part: _Groups(**(steps.get(f"group-{part}") or {})), n, pool)
        settled = settle(chosen, streams, total, min_support, folder, steps, pool)
        del chosen
        sizes = [len(own) for own in settled.told]
        return _choose(sizes, lambda part: _Groups(**settled.part(part)), n, pool, settled.merged), total


def _choose(
    sizes: list[int], load: Callable[[int], _Groups], n_texts: int, pool: ThreadPoolExecutor,
    kept: np.ndarray | bool = False,
) -> Templates:  # fmt: skip
    """Keep the frames that some text picks, as its own template or as the family above it. sizes: frames by part;
    kept: which stay in any case (bool, by frame)."""
    start = offsets_of(np.array(sizes, np.int64))

    def picked(power: float) -> np.ndarray:
        best, best_group = np.zeros(n_texts, np.float32), np.full(n_texts, NO_GROUP)
        out = np.zeros(start[-1], np.bool_)
        for part in range(len(sizes)):
            g = load(part)
            _pick(g.at, g.texts, g.share, g.bits, power, start[part], best, best_group)
        for part in range(len(sizes)):
            g = load(part)
            _mark_picked(g.at, g.texts, start[part], best_group, out[start[part] : start[part + 1]])
        return out

    leaf, family = pool.map(picked, (LEAF_POWER, FAMILY_POWER))
    chosen = leaf | family | kept
    parts = [_take(load(p), np.flatnonzero(chosen[start[p] : start[p + 1]])) for p in range(len(sizes))]
    member_at = offsets_of(np.concatenate([np.diff(p.member_at) for p in parts]))
    return Templates(member_at, *(np.concatenate([p[k] for p in parts]) for k in range(1, 5)))


def _take(groups: _Groups, chosen: np.ndarray) -> Templates:
    member_at = offsets_of(groups.at[chosen + 1] - groups.at[chosen])
    entry = np.arange(member_at[-1]) + np.repeat(groups.at[chosen] - member_at[:-1], np.diff(member_at))
    return Templates(member_at, groups.texts[entry], groups.spans[entry], groups.share[entry], groups.bits[chosen])


def tightest(templates: Templates, key: np.ndarray) -> np.ndarray:
    """uint32 by template: the member whose frame holds most of it, the smallest key on a tie; it stands for the
    template."""
    out = np.empty(len(templates), np.uint32)
    _find_tightest(templates.member_at, templates.text, templates.share, key, out)
    return out


@leaf
def _find_tightest(member_at, text, share, key, out):
    for k in range(len(out)):
        best = member_at[k]
        for e in range(best + 1, member_at[k + 1]):
            if share[e] > share[best] or (share[e] == share[best] and key[text[e]] < key[text[best]]):
                best = e
        out[k] = text[best]
