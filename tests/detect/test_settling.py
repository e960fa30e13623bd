"""What happens to templates once they are found: variants merged, all holders found, grown to what members share; each
against plain Python on random skeletons and captions."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect import holders as ho
from memaudit.detect.closure import grow
from memaudit.detect.frames import unpack
from memaudit.detect.grams import Counts, Tokens, capped, count_grams, tables_for
from memaudit.detect.skeletons import Skeletons, bits_of, hashes_of, joined, merge, skeletons_of
from memaudit.ragged import offsets_of
from memaudit.text.alphabet import END, FIRST_WORD, START

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Runs = tuple[tuple[int, ...], ...]
WORDS = st.integers(FIRST_WORD, FIRST_WORD + 5)
CAPTIONS = st.lists(WORDS, max_size=9).map(lambda words: (START, *words, END))
RUN = st.lists(st.sampled_from([*range(FIRST_WORD, FIRST_WORD + 4), START, END]), min_size=1, max_size=3).map(tuple)
RUNS = st.lists(RUN, min_size=1, max_size=3).map(tuple)


def streams_of(captions: Sequence[Sequence[int]]) -> Tokens:
    flat = np.array([t for c in captions for t in c], np.uint32)
    return Tokens(flat, offsets_of(np.array([len(c) for c in captions], np.int64)))


def skeletons(written: Iterable[Runs]) -> Skeletons:
    written = list(written)
    ends = [[sum(map(len, runs[: s + 1])) for s in range(3)] for runs in written]
    flat = np.array([t for runs in written for run in runs for t in run], np.uint32)
    at = offsets_of(np.array([e[-1] for e in ends], np.int64))
    return Skeletons(flat, at, np.array(ends, np.int64).reshape(-1, 3))


def runs_of(sk: Skeletons, k: int) -> Runs:
    bounds = [0, *sk.ends[k].tolist()]
    own = sk.tokens[sk.at[k] : sk.at[k + 1]].tolist()
    return tuple(tuple(own[a:b]) for a, b in itertools.pairwise(bounds) if b > a)


def place(runs: Runs, caption: Sequence[int]) -> list[tuple[int, int]] | None:
    """The leftmost place of runs in a caption."""
    out, low = [], 0
    for run in runs:
        found = [a for a in range(low, len(caption) - len(run) + 1) if tuple(caption[a : a + len(run)]) == run]
        if not found:
            return None
        low = found[0] + len(run)
        out.append((found[0], low))
    return out


def widened(runs: Runs) -> set[Runs]:
    """All ways to put one slot more between the first and the last token, at most three runs."""
    out = set()
    flat = [(s, i) for s, run in enumerate(runs) for i in range(len(run))]
    for n, (s, i) in enumerate(flat):
        run = runs[s]
        ways = [(run[:i], run[i:])] if i else []
        ways += [(run[:i], run[i + 1 :])] if 0 < n < len(flat) - 1 and run[i] not in (START, END) else []
        for parts in ways:
            new = (*runs[:s], *(part for part in parts if part), *runs[s + 1 :])
            if len(new) <= 3:
                out.add(new)
    return out


@st.composite
def neighbours(draw: st.DrawFn) -> list[Runs]:
    """Skeletons that are one edit or two from a common one."""
    base, out = draw(RUNS), []
    for _ in range(draw(st.integers(1, 6))):
        runs = [list(run) for run in base]
        for _ in range(draw(st.integers(0, 2))):
            s = draw(st.integers(0, len(runs) - 1))
            i = draw(st.integers(0, len(runs[s])))
            runs[s][i : i + draw(st.integers(0, 1))] = draw(st.lists(WORDS, max_size=1))
        out.append(tuple(tuple(run) for run in runs if run))
    return list(dict.fromkeys(runs for runs in out if runs))


@given(neighbours() | st.lists(RUNS, min_size=1, max_size=8, unique=True))
@settings(max_examples=500)
def test_merged_skeletons_are_those_that_two_widen_to(written: list[Runs]) -> None:
    made, supports = merge(skeletons(written), np.arange(3, 3 + len(written)))
    found = {runs_of(made, k): int(supports[k]) for k in range(len(made))}
    ways = [widened(runs) for runs in written]
    shared = {w for own in ways for w in own if sum(w in other for other in ways) >= 2}
    wanted = {w for w in shared if w not in written and sum(t >= FIRST_WORD for run in w for t in run) >= 2}
    assert set(found) == wanted
    assert len(found) == len(made)
    for runs, support in found.items():
        own = [3 + k for k, way in enumerate(ways) if runs in way]
        assert support == own[0] + own[-1]


def test_hashes_tell_where_slots_are() -> None:
    a, b, c = FIRST_WORD, FIRST_WORD + 1, FIRST_WORD + 2
    written = [((a, b), (c,)), ((a,), (b, c)), ((a, b, c),), ((a,), (b,), (c,))]
    assert len(set(hashes_of(*skeletons(written)).tolist())) == 4
    both = joined(skeletons(written[:2]), skeletons(written[2:]))
    assert [runs_of(both, k) for k in range(4)] == written


def test_bits_are_those_of_frames() -> None:
    written = [((START, 3, 4), (9, 12), (FIRST_WORD, FIRST_WORD + 3, END)), ((FIRST_WORD + 1,),)]
    for scale in (0.5, 3.0):
        word_bits = np.arange(128, dtype=np.float32) * scale / 10
        wanted = [sum(capped(t, float(word_bits[t])) for run in runs for t in run) for runs in written]
        assert bits_of(skeletons(written), word_bits) == pytest.approx(wanted)
    assert len(bits_of(skeletons([]), word_bits)) == 0


def counts_of(streams: Tokens) -> Counts:
    with ThreadPoolExecutor(1) as pool:
        return count_grams(streams, tables_for(len(streams.tokens), 1 << 20), 1, pool)


@given(st.lists(CAPTIONS, min_size=4, max_size=40), st.lists(RUNS, min_size=1, max_size=6, unique=True))
@settings(max_examples=100)
def test_holders_are_all_texts_that_hold_a_skeleton(captions: list[tuple[int, ...]], written: list[Runs]) -> None:
    streams = streams_of(captions)
    with ThreadPoolExecutor(2) as pool:
        found, looked = ho.holders(skeletons(written), np.full(len(written), 3), counts_of(streams), streams, pool)
        entries = [entry for part in found for entry in zip(*(c.tolist() for c in part), strict=True)]
    held = {(k, t): unpack(s) for k, t, s in entries}
    assert len(held) == len(entries)
    for k, runs in enumerate(written):
        places = {t: place(runs, caption) for t, caption in enumerate(captions)}
        if looked[k]:
            assert {t: p for t, p in places.items() if p} == {t: p for (o, t), p in held.items() if o == k}
        elif sum(p is not None for p in places.values()) >= 3:  # counts below are not kept
            assert all(len(run) == 1 for run in runs)


def test_a_common_pair_is_no_place_to_look() -> None:
    a, b = FIRST_WORD, FIRST_WORD + 1
    streams = streams_of([(START, a, b, FIRST_WORD + 2 + i, END) for i in range(200)])
    with ThreadPoolExecutor(1) as pool:
        for support, looked in ((3, False), (100, True)):
            found = ho.holders(skeletons([((a, b),)]), np.array([support]), counts_of(streams), streams, pool)
            n = sum(len(text) for _, text, _ in found[0])
            assert (found[1].tolist(), n) == ([looked], 200 * looked)


def grown(captions: list[tuple[int, ...]], runs: Runs, bits: float = 9.0) -> tuple[list[Runs], list[int]]:
    """What the members' runs are after growing, and the members."""
    streams = streams_of(captions)
    places = {t: p for t, c in enumerate(captions) if (p := place(runs, c))}
    spans = [sum((a | b << 8) << 16 * s for s, (a, b) in enumerate(p)) for p in places.values()]
    text = np.array(list(places), np.uint32)
    with ThreadPoolExecutor(1) as pool:
        word_bits = np.full(1 << 10, bits, np.float32)
        out = grow(np.array([0, len(text)]), text, np.array(spans, np.uint64), streams, word_bits, pool)
    made = skeletons_of(text, out, streams)
    return [runs_of(made, k) for k in range(len(made))], text.tolist()


@given(st.lists(CAPTIONS, min_size=3, max_size=12), RUNS)
@settings(max_examples=300)
def test_what_is_grown_is_held_by_all_and_holds_what_was(captions: list[tuple[int, ...]], runs: Runs) -> None:
    made, members = grown(captions, runs)
    assert len(set(made)) <= 1
    for new, t in zip(made, members, strict=True):
        assert place(new, captions[t])
        flat = tuple(w for run in new for w in run)
        assert place(tuple((w,) for run in runs for w in run), flat)


def test_common_words_join_their_run_and_rare_ones_inside_a_slot_become_one() -> None:
    a, b, c, d, e = range(FIRST_WORD, FIRST_WORD + 5)
    fill = [(FIRST_WORD + 10 + 3 * i, FIRST_WORD + 11 + 3 * i, FIRST_WORD + 12 + 3 * i) for i in range(4)]
    captions = [(START, a, b, x, c, y, z, d, e, END) for x, y, z in fill]
    captions[1] = (START, a, b, c, d, e, END)  # slots may be empty
    assert grown(captions, ((a, b),))[0][0] == ((START, a, b), (c,), (d, e, END))
    assert grown(captions, ((a, b),), bits=3.0)[0][0] == ((START, a, b),)  # too little to stand out inside a slot
    assert grown(captions, ((a, b),), bits=1.0)[0][0] == ((a, b),)
    always = [(START, a, b, c, d, x, END) for x, _, _ in fill]
    assert grown(always, ((a, b), (c, d)))[0][0] == ((START, a, b, c, d),)
