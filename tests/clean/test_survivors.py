"""The greedy pass, against the same in plain Python, and what it promises."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memaudit.clean.survivors import (
    EMPTY,
    STAYS,
    TEMPLATE,
    Entries,
    Rules,
    empty_seats,
    first_entries,
    no_templates,
    room_for,
    settle,
)

N_TEMPLATES = 3


class World(NamedTuple):
    """rows: of each its captions as (text, picture); pair: cluster or None by text; templates: by text."""

    rows: list[list[tuple[int, int]]]
    pair: list[int | None]
    templates: list[list[int]]
    order: list[int]
    keep: int
    captions_only: bool


@st.composite
def worlds(draw: st.DrawFn) -> World:
    n = draw(st.integers(1, 5))
    entry = st.tuples(st.integers(0, n - 1), st.integers(0, 3))
    rows = draw(st.lists(st.lists(entry, min_size=1, max_size=2), min_size=1, max_size=25))
    pair = draw(st.lists(st.none() | st.integers(0, 2), min_size=n, max_size=n))
    numbers = st.lists(st.integers(0, N_TEMPLATES - 1), unique=True, max_size=3)
    templates = draw(st.lists(numbers, min_size=n, max_size=n))
    order = draw(st.permutations(range(len(rows))))
    return World(rows, pair, templates, order, draw(st.integers(1, 3)), draw(st.booleans()))


def entries_of(world: World, rows: range) -> Entries:
    flat = [(r, text, picture) for r in rows for text, picture in world.rows[r]]
    row, text, picture = (np.array(column) for column in zip(*flat, strict=True))
    return Entries(
        np.zeros(len(flat), np.uint32), row.astype(np.uint64), text.astype(np.uint32), text.astype(np.uint32),
        picture.astype(np.uint64),
    )  # fmt: skip


def rules_of(world: World) -> Rules:
    first = np.cumsum([0, *map(len, world.templates)], dtype=np.int64)
    flat = [t for some in world.templates for t in some]
    pair = np.array([EMPTY if p is None else p for p in world.pair], np.uint32)
    return Rules(pair, first, np.array(flat, np.uint32))


def groups_of(world: World, row: int) -> list[tuple[object, ...]]:
    """Pairs and templates of a row, pairs first; in the order of its captions."""
    pairs, templates = [], []
    for text, picture in world.rows[row]:
        cluster = world.pair[text]
        if cluster is not None and (world.captions_only or picture):
            pairs.append(("pair", cluster, 0 if world.captions_only else picture))
        templates += [("template", t) for t in world.templates[text]]
    return list(dict.fromkeys([*pairs, *templates]))


def settled(world: World) -> list[int]:
    """Reasons by row, from the kernel, visited in the world's order."""
    entries = entries_of(world, range(len(world.rows)))
    firsts = first_entries(entries)
    seats = room_for(empty_seats(2), 0, len(entries.row))
    out, _ = settle(
        entries, firsts[np.array(world.order)], rules_of(world), seats, no_templates(N_TEMPLATES), world.keep,
        world.captions_only,
    )  # fmt: skip
    assert (np.delete(out.reason, firsts) == STAYS).all()
    return out.reason[firsts].tolist()


@given(worlds())
def test_the_pass_is_the_same_in_plain_python(world: World) -> None:
    taken: Counter[tuple[object, ...]] = Counter()
    expected = {}
    for row in world.order:
        groups = groups_of(world, row)
        full = [g for g in groups if taken[g] >= (1 if g[0] == "pair" else world.keep)]
        if not full:
            taken.update(groups)
            expected[row] = STAYS
        else:
            number = int(str(full[0][1]))
            expected[row] = number if full[0][0] == "pair" else TEMPLATE + number
    assert settled(world) == [expected[row] for row in range(len(world.rows))]


@given(worlds())
def test_no_group_ends_above_its_limit_and_each_row_that_went_has_a_full_group(world: World) -> None:
    reasons = settled(world)
    stayed = Counter(g for row, why in enumerate(reasons) if why == STAYS for g in groups_of(world, row))
    limits = {g: 1 if g[0] == "pair" else world.keep for g in stayed}
    assert all(n <= limits[g] for g, n in stayed.items())
    for row, why in enumerate(reasons):
        if why != STAYS:
            assert any(stayed[g] == (1 if g[0] == "pair" else world.keep) for g in groups_of(world, row))


@given(worlds(), st.integers(1, 25))
def test_windows_do_not_matter(world: World, window: int) -> None:
    world = world._replace(order=list(range(len(world.rows))))
    seats, taken, templates, reasons = empty_seats(2), 0, no_templates(N_TEMPLATES), []
    for start in range(0, len(world.rows), window):
        entries = entries_of(world, range(start, min(start + window, len(world.rows))))
        firsts = first_entries(entries)
        seats = room_for(seats, taken, len(entries.row))
        out, more = settle(entries, firsts, rules_of(world), seats, templates, world.keep, world.captions_only)
        taken += more
        reasons += out.reason[firsts].tolist()
    assert reasons == settled(world)


def test_the_stand_in_is_named() -> None:
    world = World([[(0, 7)], [(1, 7)], [(0, 7)]], [4, 4], [[], []], [0, 1, 2], 1, False)
    entries = entries_of(world, range(3))
    seats = room_for(empty_seats(2), 0, 3)
    out, taken = settle(entries, np.arange(3), rules_of(world), seats, no_templates(0), 1, False)
    assert out.reason.tolist() == [STAYS, 4, 4]
    assert out.row.tolist() == [0, 0, 0]
    assert out.same.tolist() == [False, False, True]
    assert taken == 1
