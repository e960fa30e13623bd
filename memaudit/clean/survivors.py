"""Which rows stay: one greedy pass in the order of preference, a group at a time never full beyond its limit.

A row belongs to groups: its near (or exact) cluster together with its picture, of which one row may stay, and caption
templates, of each of which `keep` rows may stay. Rows are visited in the order of preference. One stays if none of its
groups is full, and takes a place in each; else it goes, and the first full group is the reason. So no group ends above
its limit, and for every row that went there is a group that is full of rows that stayed: nothing is lost without a
stand-in. Memory: one entry a (cluster, picture) pair among the rows that stayed, one counter a template.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.jit import kernel, leaf

EMPTY = np.uint32(0xFFFFFFFF)  # as cluster: a free place; no audit has so many clusters
STAYS = -1


class Seats(NamedTuple):
    """Taken places, by open addressing: (cluster, picture) -> the row that stayed. All arrays are as long as a power of
    two; cluster is `EMPTY` where nothing is."""

    cluster: np.ndarray  # uint32
    picture: np.ndarray  # uint64
    file: np.ndarray  # uint32
    row: np.ndarray  # uint64
    text: np.ndarray  # uint32


class Rules(NamedTuple):
    """The groups of every text that has any, by its number among them.

    pair: uint32, the near or exact cluster whose rows with one picture are duplicates; `EMPTY` for none. first: int64
    (n + 1,), template[first[i]:first[i + 1]] are the numbers of its templates, the riskiest first.
    """

    pair: np.ndarray
    first: np.ndarray
    template: np.ndarray  # uint32


class Templates(NamedTuple):
    """By number of a template: rows that stayed (uint32), and the first of them."""

    stayed: np.ndarray
    file: np.ndarray
    row: np.ndarray


class Entries(NamedTuple):
    """Rows and their captions, the captions of one row together. text: number in `Rules`; id: uint32 text id, to tell
    whether two rows have one caption; picture: uint64, 0 for none."""

    file: np.ndarray
    row: np.ndarray
    text: np.ndarray
    id: np.ndarray
    picture: np.ndarray


class Outcome(NamedTuple):
    """By entry, that of the row at its first caption, `STAYS` at all others: int64 number of what removed it (a cluster
    for pairs; `2**32` and a template's number for templates); where its stand-in is, and whether it has the same
    caption."""

    reason: np.ndarray
    file: np.ndarray
    row: np.ndarray
    same: np.ndarray


TEMPLATE = 1 << 32  # reasons from here on are templates


def empty_seats(size: int) -> Seats:
    """Room for `size` / 2 pairs. size: a power of two."""
    cluster = np.full(size, EMPTY, np.uint32)
    zeros = [np.zeros(size, kind) for kind in (np.uint64, np.uint32, np.uint64, np.uint32)]
    return Seats(cluster, *zeros)


def no_templates(n: int) -> Templates:
    """Nothing stayed yet."""
    return Templates(np.zeros(n, np.uint32), np.zeros(n, np.uint32), np.zeros(n, np.uint64))


def room_for(seats: Seats, taken: int, more: int) -> Seats:
    """Seats at most half full after `more` rows. taken: pairs in them."""
    size = len(seats.cluster)
    if 2 * (taken + more) <= size:
        return seats
    while size < 2 * (taken + more):
        size *= 2
    larger = empty_seats(size)
    _move(seats, larger)
    return larger


def settle(
    entries: Entries,
    order: np.ndarray,
    rules: Rules,
    seats: Seats,
    templates: Templates,
    keep: int,
    captions_only: bool,
) -> tuple[Outcome, int]:
    """Visit rows in `order` (int64: positions of their first entries); returns what became of them and how many pairs
    were taken. `seats` must have room; it and `templates` change. Rows without a picture belong to no pair, unless
    `captions_only`, where pictures do not count."""
    n = len(entries.row)
    out = Outcome(np.full(n, STAYS, np.int64), np.zeros(n, np.uint32), np.zeros(n, np.uint64), np.zeros(n, np.bool_))
    ends = np.append(np.flatnonzero(_starts(entries))[1:], n)
    last = np.zeros(n, np.int64)
    last[np.flatnonzero(_starts(entries))] = ends
    taken = _settle(entries, order, last, rules, seats, templates, keep, captions_only, out)
    return out, taken


def first_entries(entries: Entries) -> np.ndarray:
    """int64: where each row's captions begin."""
    return np.flatnonzero(_starts(entries))


def _starts(entries: Entries) -> np.ndarray:
    starts = np.ones(len(entries.row), np.bool_)
    starts[1:] = (entries.row[1:] != entries.row[:-1]) | (entries.file[1:] != entries.file[:-1])
    return starts


@leaf
def _place(seats, cluster, picture):
    """Where the pair is, or the free place where it would be."""
    mask = np.uint64(len(seats.cluster) - 1)
    key = (picture ^ (np.uint64(cluster) * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
    at = (key ^ (key >> np.uint64(31))) & mask
    while seats.cluster[at] != EMPTY and not (seats.cluster[at] == cluster and seats.picture[at] == picture):
        at = (at + np.uint64(1)) & mask
    return at


@leaf
def _move(old, new):
    for i in range(len(old.cluster)):
        if old.cluster[i] != EMPTY:
            at = _place(new, old.cluster[i], old.picture[i])
            new.cluster[at], new.picture[at] = old.cluster[i], old.picture[i]
            new.file[at], new.row[at], new.text[at] = old.file[i], old.row[i], old.text[i]


@leaf
def _full_pair(entries, a, b, rules, seats, captions_only):
    """(entry, place) of the first caption whose pair is taken by another row, (-1, 0) for none."""
    for e in range(a, b):
        cluster, picture = rules.pair[entries.text[e]], np.uint64(0) if captions_only else entries.picture[e]
        if cluster != EMPTY and (captions_only or picture != 0):
            at = _place(seats, cluster, picture)
            if seats.cluster[at] != EMPTY:
                return e, at
    return -1, np.uint64(0)


@leaf
def _full_template(entries, a, b, rules, templates, keep):
    """Number of the first template that is full, -1 for none."""
    for e in range(a, b):
        text = entries.text[e]
        for k in range(rules.first[text], rules.first[text + 1]):
            if templates.stayed[rules.template[k]] >= keep:
                return np.int64(rules.template[k])
    return np.int64(-1)


@leaf
def _take_pairs(entries, a, b, rules, seats, captions_only):
    taken = 0
    for e in range(a, b):
        cluster, picture = rules.pair[entries.text[e]], np.uint64(0) if captions_only else entries.picture[e]
        if cluster != EMPTY and (captions_only or picture != 0):
            at = _place(seats, cluster, picture)
            if seats.cluster[at] == EMPTY:  # two captions of a row may lie in one cluster
                seats.cluster[at], seats.picture[at] = cluster, picture
                seats.file[at], seats.row[at], seats.text[at] = entries.file[e], entries.row[e], entries.id[e]
                taken += 1
    return taken


@leaf
def _counted_before(entries, a, e, template, rules):
    """Whether an earlier caption of the row, a..e-1, counts for this template already."""
    for d in range(a, e):
        text = entries.text[d]
        for k in range(rules.first[text], rules.first[text + 1]):
            if rules.template[k] == template:
                return True
    return False


@leaf
def _take_templates(entries, a, b, rules, templates):
    for e in range(a, b):
        text = entries.text[e]
        for k in range(rules.first[text], rules.first[text + 1]):
            template = rules.template[k]
            if not _counted_before(entries, a, e, template, rules):
                if templates.stayed[template] == 0:
                    templates.file[template], templates.row[template] = entries.file[e], entries.row[e]
                templates.stayed[template] += 1


@kernel
def _settle(entries, order, last, rules, seats, templates, keep, captions_only, out):
    taken = 0
    for i in range(len(order)):
        a = order[i]
        b = last[a]
        e, at = _full_pair(entries, a, b, rules, seats, captions_only)
        if e >= 0:
            out.reason[a] = np.int64(rules.pair[entries.text[e]])
            out.file[a], out.row[a] = seats.file[at], seats.row[at]
            out.same[a] = seats.text[at] == entries.id[e]
            continue
        full = _full_template(entries, a, b, rules, templates, keep)
        if full >= 0:
            out.reason[a] = np.int64(TEMPLATE) + full
            out.file[a], out.row[a] = templates.file[full], templates.row[full]
            continue
        taken += _take_pairs(entries, a, b, rules, seats, captions_only)
        _take_templates(entries, a, b, rules, templates)
    return taken
