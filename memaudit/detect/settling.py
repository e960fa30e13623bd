"""Templates settled: variants merged, every template with all texts that hold it and all that these share.

What each text picked is a list of frames, cut by frequency before anything was grouped. Here they become templates that
differ from each other by more than a word. Holders are spilled in parts by template, each small enough to be sorted and
grown in memory, and a finished part is a step that survives a kill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect import frames as fr
from memaudit.detect import grams
from memaudit.detect.chosen import gather_streams
from memaudit.detect.closure import grow
from memaudit.detect.grams import Tokens
from memaudit.detect.holders import holders
from memaudit.detect.ordering import stable_order
from memaudit.detect.skeletons import bits_of, hashes_of, joined, merge, skeletons_of
from memaudit.ragged import blocks, offsets_of, pick
from memaudit.scratch import Column, read_column, release

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from memaudit.detect.templates import Templates
    from memaudit.scratch import Steps

PART = 1 << 21  # members of the templates of a part, about
UNLOOKED = 1 << 20  # known members spilled at a time
_COLUMNS = {"owner": "u4", "text": "u4", "span": "u8"}


class Settled(NamedTuple):
    """Settled templates in parts. told: by part, which templates of it stay (int64); merged: bool, by template that
    stays, part after part, whether it was merged from others."""

    told: list[np.ndarray]
    merged: np.ndarray
    steps: Steps

    def part(self, p: int) -> dict[str, np.ndarray]:
        """at, texts, spans, share, bits of the templates of a part that stay (`templates.Groups`)."""
        whole = self.steps.get(f"settled-{p}") or {}
        own = pick(np.arange(len(whole["text"])), whole["at"], self.told[p])
        return {
            "at": own.at,
            "texts": whole["text"][own.values],
            "spans": whole["span"][own.values],
            "share": whole["share"][own.values],
            "bits": whole["bits"][self.told[p]],
        }


def settle(
    chosen: Templates, streams: Tokens, total_bits: np.ndarray, least: int, folder: Path, steps: Steps,
    pool: ThreadPoolExecutor,
) -> Settled:  # fmt: skip
    """Settle what texts picked. steps holds the step "counted" (`grams.Counts`). Cost: one pass over all tokens; 16
    bytes a member of disk, 60 bytes a member of a part and 100 a template of memory."""
    n_parts = 1 + len(chosen.text) // PART
    n_known, n_all = _spill(chosen, streams, folder, steps, n_parts, pool)
    word_bits = (steps.get("counted") or {})["bits"]
    edges = [n_all * p // n_parts for p in range(n_parts + 1)]
    sizes, hashes, evidence, merged = [], [], [], []
    for p in range(n_parts):
        done = steps.get(f"settled-{p}")
        if done is None:
            done = _settle_part(folder, p, edges[p], edges[p + 1], streams, word_bits, total_bits, least, pool)
            steps.put(f"settled-{p}", done)
        sizes.append(np.diff(done["at"]))
        hashes.append(done["hash"])
        evidence.append(done["evidence"])
        merged.append(done["owner"] >= n_known)
        del done
    is_merged, stays = _stay(hashes, sizes, np.concatenate(merged), evidence, fr.least_evidence(len(total_bits)))
    at = offsets_of(np.array([len(own) for own in sizes]))
    told = [stays[(stays >= at[p]) & (stays < at[p + 1])] - at[p] for p in range(n_parts)]
    return Settled(told, is_merged[stays], steps)


def _spill(
    chosen: Templates, streams: Tokens, folder: Path, steps: Steps, n_parts: int, pool: ThreadPoolExecutor
) -> tuple[int, int]:
    """Write (owner, text, span) of all holders, and the known members of what was not looked for, by part of their
    owners. Returns how many templates were known, and how many there are with the merged ones."""
    supports = np.diff(chosen.member_at)
    firsts = chosen.member_at[:-1]
    known = skeletons_of(*_apart(chosen.text[firsts], streams, chosen.span[firsts]))
    merged, of_merged = merge(known, supports)
    every = joined(known, merged)
    counts = grams.Counts(**(steps.get("counted") or {}))
    found, looked = holders(every, np.concatenate([supports, of_merged]), counts, streams, pool)
    del counts
    columns = [[Column(_path(folder, p, name), kind) for name, kind in _COLUMNS.items()] for p in range(n_parts)]
    for part in found:
        _append(columns, len(every), *part)
    for a, b in blocks(len(chosen.text), UNLOOKED):
        owner = np.searchsorted(chosen.member_at, np.arange(a, b), side="right") - 1
        left = ~looked[owner]
        _append(columns, len(every), owner[left], chosen.text[a:b][left], chosen.span[a:b][left])
    for own in columns:
        for column in own:
            column.close()
    return len(known), len(every)


def _apart(text: np.ndarray, streams: Tokens, span: np.ndarray) -> tuple[np.ndarray, np.ndarray, Tokens]:
    """(numbers of texts, their spans, streams of these texts alone). Members are read in the order of templates: from
    mapped streams that would touch nearly every page before any could be given back."""
    own, number = np.unique(text, return_inverse=True)
    copied = gather_streams(streams.tokens, streams.token_at, own)
    return number.astype(np.uint32), span, Tokens(copied.values, copied.at)


def _path(folder: Path, part: int, column: str) -> Path:
    return folder / f"holders-{part:03d}-{column}"


def _append(columns: list[list[Column]], n: int, owner: np.ndarray, text: np.ndarray, span: np.ndarray) -> None:
    """Append entries to the parts of their owners; part p has the owners from n p / parts on."""
    edges = np.array([n * p // len(columns) for p in range(1, len(columns))])
    part = np.searchsorted(edges, owner, side="right")
    for p in np.unique(part).tolist():
        own = part == p
        for column, values in zip(columns[p], (owner, text, span), strict=True):
            column.append(values[own])


def _settle_part(
    folder: Path, part: int, first: int, last: int, streams: Tokens, word_bits: np.ndarray, total_bits: np.ndarray,
    least: int, pool: ThreadPoolExecutor,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Templates first..last-1 with at least `least` members, grown: their number (owner) and members (at, text, span,
    share), fixed bits, hash and evidence."""
    columns = [read_column(_path(folder, part, name), kind) for name, kind in _COLUMNS.items()]
    order = stable_order((np.asarray(columns[0]).astype(np.uint64) - np.uint64(first)) << np.uint64(32))
    text, span = np.asarray(columns[1])[order], np.asarray(columns[2])[order]
    sizes = np.bincount(np.asarray(columns[0]).astype(np.int64) - first, minlength=last - first)
    release(*columns)
    at = offsets_of(sizes)
    number, span, own_streams = _apart(text, streams, span)
    span = grow(at, number, span, own_streams, word_bits, pool)
    kept = np.flatnonzero(sizes >= least)
    grown = skeletons_of(number[at[kept]], span[at[kept]], own_streams)
    del number, own_streams
    own = pick(np.arange(len(text)), at, kept)
    bits, hashes = bits_of(grown, word_bits), hashes_of(*grown)
    text, span = text[own.values], span[own.values]
    share, evidence = _measured(own.at, text, bits, total_bits)
    release(total_bits)
    return {
        "owner": kept + first, "at": own.at, "text": text, "span": span, "share": share, "bits": bits, "hash": hashes,
        "evidence": evidence,
    }  # fmt: skip


def _measured(
    at: np.ndarray, text: np.ndarray, bits: np.ndarray, total_bits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shares by member, and evidence by template (see `frames.least_evidence`)."""
    support = np.diff(at)
    owner = np.repeat(np.arange(len(bits)), support)
    share = np.minimum(bits[owner] / np.maximum(total_bits[text], 1e-6), 1).astype(np.float32)
    mean = np.bincount(owner, weights=share, minlength=len(bits)) / np.maximum(support, 1)
    return share, np.minimum(bits, fr.BITS_CAP) * mean * np.log2(np.maximum(support, 1)) ** 0.5


def _stay(
    hashes: list[np.ndarray], sizes: list[np.ndarray], merged: np.ndarray, evidence: list[np.ndarray], least: float
) -> tuple[np.ndarray, np.ndarray]:
    """(whether each template was merged or has grown to one that was, which stay): what has grown to the same words is
    the same, and of it the largest stays, where it has the least evidence."""
    same, size = np.concatenate(hashes), np.concatenate(sizes)
    by = np.lexsort((-size, same))
    by = by[np.concatenate([[True], same[by[1:]] != same[by[:-1]]])] if len(by) else by
    is_merged = np.isin(same, same[merged])
    stays = np.sort(by)
    return is_merged, stays[np.concatenate(evidence)[stays] >= least]
