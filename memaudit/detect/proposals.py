"""Every caption proposes its frames; they are spilled in parts by their hash, each part small enough to be grouped.

A part holds the frames whose hash starts alike. What is proposed does not depend on threads; a proposal that was cut
off continues behind the last checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect import frames as fr
from memaudit.detect import grams
from memaudit.detect.lookups import chance, lookups
from memaudit.jit import kernel, leaf
from memaudit.ragged import blocks
from memaudit.scratch import Column, read_column, release

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from memaudit.detect.grams import Counts, Tokens
    from memaudit.scratch import Steps

BLOCK = 1 << 14  # texts whose frames one thread finds at a time
CHECKPOINT = 1 << 22  # texts between two checkpoints; a multiple of BLOCK
PART_TEXTS = 1 << 20  # texts a part of the hashes, about
FEWEST_PART_BITS, MOST_PART_BITS = 2, 8
FILTER_BITS, MOST_FILTER_BITS = 26, 29  # saturating counters that drop most frames before they are sorted


class Proposals:
    """Frames by part under a folder: hash uint64, span uint64 (`frames.unpack`, its information in the top 16 bits) and
    text uint32, by entry and in order of text; and `text_bits`, the information of every text (float32)."""

    def __init__(self, folder: Path, n_texts: int) -> None:
        self.folder = folder
        self.part_bits = min(max((n_texts // PART_TEXTS).bit_length(), FEWEST_PART_BITS), MOST_PART_BITS)
        filter_bits = min(max((4 * n_texts).bit_length(), FILTER_BITS), MOST_FILTER_BITS)
        self.seen = np.zeros(1 << filter_bits, np.uint8)

    def parts(self) -> range:
        return range(1 << self.part_bits)

    def path(self, part: int, column: str) -> Path:
        return self.folder / f"frames-{part:03d}-{column}"

    def part(self, part: int, least: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(hash, span, text) of a part's entries, without most of those that occur fewer than `least` times."""
        columns = [read_column(self.path(part, name), dtype) for name, dtype in _COLUMNS.items()]
        out = tuple(np.empty(len(columns[0]), dtype) for dtype in _COLUMNS.values())
        n = _survivors(*(np.asarray(c) for c in columns), self.seen, least, *out)
        release(*columns)
        return out[0][:n], out[1][:n], out[2][:n]

    def forget_counts(self) -> None:
        """Give the filter's memory back: no part is read again."""
        self.seen = np.zeros(1, np.uint8)

    def text_bits(self) -> np.ndarray:
        return read_column(self.folder / "text_bits", "f4")


_COLUMNS = {"hash": "u8", "span": "u8", "text": "u4"}


class _Block(NamedTuple):
    """Frames of consecutive texts grouped by part: part p owns entries at[p]..at[p + 1] - 1."""

    hashes: np.ndarray
    spans: np.ndarray
    texts: np.ndarray
    at: np.ndarray
    total_bits: np.ndarray


@leaf
def _tally(hashes, seen):
    """Saturating counts of frame hashes."""
    mask = np.uint64(len(seen) - 1)
    for h in hashes:
        at = h & mask
        if seen[at] < 255:
            seen[at] += np.uint8(1)


@leaf
def _survivors(hashes, spans, texts, seen, least, out_hash, out_span, out_text):
    mask = np.uint64(len(seen) - 1)
    n = 0
    for e in range(len(hashes)):
        out_hash[n], out_span[n], out_text[n] = hashes[e], spans[e], texts[e]
        n += seen[hashes[e] & mask] >= least
    return n


@kernel
def _group_by_part(hashes, spans, n_frames, first, shift, at, out_hash, out_span, out_text):
    for h in hashes:
        at[(h >> shift) + np.uint64(1)] += 1
    for p in range(len(at) - 1):
        at[p + 1] += at[p]
    place, e = at[:-1].copy(), 0
    for t in range(len(n_frames)):
        for _ in range(n_frames[t]):
            k = place[hashes[e] >> shift]
            out_hash[k], out_span[k], out_text[k] = hashes[e], spans[e], first + t
            place[hashes[e] >> shift] += 1
            e += 1


def _propose_block(streams: Tokens, counts: Counts, part_bits: int, first: int, last: int) -> _Block:
    """Frames of texts first..last-1."""
    n, m = len(streams.token_at) - 1, last - first
    hashes, spans = np.empty(m * fr.MAX_FRAMES, np.uint64), np.empty(m * fr.MAX_FRAMES, np.uint64)
    n_frames, total = np.zeros(m, np.uint8), np.zeros(m, np.float32)
    at = np.asarray(streams.token_at[first : last + 1])
    k = fr.frames_of_texts(
        np.asarray(streams.tokens[at[0] : at[-1]]), at - at[0], counts, float(np.log2(n + grams.UNSEEN)), chance(n),
        fr.least_evidence(n), fr.levels_for(n), lookups(), fr.workspace(), hashes, spans, n_frames, total,
    )  # fmt: skip
    out = np.empty(k, np.uint64), np.empty(k, np.uint64), np.empty(k, np.uint32)
    bounds = np.zeros((1 << part_bits) + 1, np.int64)
    _group_by_part(hashes[:k], spans[:k], n_frames, first, np.uint64(64 - part_bits), bounds, *out)
    return _Block(*out, bounds, total)


def propose(
    streams: Tokens, counts: Counts, folder: Path, pool: ThreadPoolExecutor, steps: Steps,
    advance: Callable[[int], None],
) -> Proposals:  # fmt: skip
    """Frames of all texts, spilled under `folder`. Cost: about 2 us a text and core; 20 bytes a frame and 4 a text of
    disk, and the filter. advance: called with texts done, n in all."""
    n = len(streams.token_at) - 1
    out = Proposals(folder, n)
    done = steps.get("proposed")
    kept = done["lengths"] if done else np.zeros(len(out.parts()), np.int64)
    start = int(done["texts"][0]) if done else 0
    bits = Column(folder / "text_bits", "f4", start)
    columns = [
        [Column(out.path(p, name), dtype, int(kept[p])) for name, dtype in _COLUMNS.items()] for p in out.parts()
    ]
    for p in out.parts():
        if kept[p]:
            _tally(np.asarray(read_column(out.path(p, "hash"), "u8")[: kept[p]]), out.seen)
    advance(start)
    todo = [(first, last) for first, last in blocks(n, BLOCK) if first >= start]
    for block, (_, last) in zip(
        pool.map(lambda b: _propose_block(streams, counts, out.part_bits, *b), todo), todo, strict=True
    ):
        _tally(block.hashes, out.seen)
        for p in out.parts():
            own = slice(block.at[p], block.at[p + 1])
            for column, values in zip(columns[p], (block.hashes, block.spans, block.texts), strict=True):
                column.append(values[own])
        bits.append(block.total_bits)
        advance(len(block.total_bits))
        if last % CHECKPOINT == 0 or last == n:
            for column in (bits, *(c for part in columns for c in part)):
                column.flush()
            steps.put("proposed", {"texts": np.array([last]), "lengths": np.array([p[0].length for p in columns])})
            release(*streams)
    for column in (bits, *(c for part in columns for c in part)):
        column.close()
    return out
