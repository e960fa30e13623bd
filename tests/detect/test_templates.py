"""The template miner finds planted frames, and its result does not depend on order or threads."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.describe import template_text
from memaudit.detect.exact import TextIndex
from memaudit.detect.frames import unpack
from memaudit.detect.ordering import shell_sort
from memaudit.detect.slots import describe_slots
from memaudit.detect.templates import Templates, mine_templates, stable_order
from memaudit.text.spelling import spell
from tests.detect.conftest import tokens_of

COLOURS = "crimson teal ochre ivory cobalt umber saffron jade mauve russet".split()
THINGS = "walrus kettle lantern cactus violin comet anchor beetle saddle teapot".split()


def noise(rng: np.random.Generator, n: int) -> list[str]:
    return [" ".join(f"noise{rng.integers(100_000)}" for _ in range(int(rng.integers(4, 10)))) for _ in range(n)]


def found(captions: list[str], threads: int = 2) -> dict[str, frozenset[str]]:
    """Template text -> member captions."""
    streams = tokens_of(captions)
    templates, _ = mine_templates(streams, 3, threads)
    slots = describe_slots(templates, streams)
    out: dict[str, frozenset[str]] = {}
    for k in range(len(templates)):
        first, last = templates.member_at[k], templates.member_at[k + 1]
        spelled = spell(captions[templates.text[first]].encode())
        written = template_text(spelled, int(templates.span[first]), slots.exists[k])
        out[written] = frozenset(captions[t] for t in templates.text[first:last])
    return out


def family(rng: np.random.Generator) -> list[str]:
    return [
        f"Harbour Mills {c} {t} shower curtain {rng.integers(10, 99)}x{rng.integers(10, 99)}"
        for c in COLOURS
        for t in THINGS[:4]
    ]


def test_a_planted_family_is_found_with_its_frame(rng: np.random.Generator) -> None:
    planted = family(rng)
    templates = found(planted + noise(rng, 300))
    assert templates["^ harbour mills <*> shower curtain <size> $"] == frozenset(planted)


def test_numbers_share_a_template_but_stay_two_texts(rng: np.random.Generator) -> None:
    planted = [f"iPhone {i} case" for i in range(6, 12)]
    assert found(planted + noise(rng, 100))["^ iphone <num> case $"] == frozenset(planted)


def test_order_and_threads_do_not_matter(rng: np.random.Generator) -> None:
    captions = family(rng) + [f"{c} {t} on a hill" for c in COLOURS for t in THINGS] + noise(rng, 200)
    shuffled = [captions[i] for i in rng.permutation(len(captions))]
    one, other, single = found(captions), found(shuffled), found(captions, threads=1)
    assert set(one.values()) == set(other.values()) == set(single.values())
    assert one == single


def test_every_member_holds_its_frame(rng: np.random.Generator) -> None:
    captions = family(rng) + noise(rng, 50) + [f"the {t} of {c} place" for c in COLOURS for t in THINGS]
    streams = tokens_of(captions)
    templates, _ = mine_templates(streams, 3, 2)
    assert len(templates)
    for k in range(len(templates)):
        frames = set()
        for e in range(templates.member_at[k], templates.member_at[k + 1]):
            tokens = spell(captions[templates.text[e]].encode()).tokens
            frames.add(tuple(tuple(tokens[a:b]) for a, b in unpack(int(templates.span[e]))))
        assert len(frames) == 1
        assert templates.member_at[k + 1] - templates.member_at[k] >= 3


def test_captions_that_share_nothing_have_no_template(rng: np.random.Generator) -> None:
    assert found(noise(rng, 500)) == {}
    assert found([]) == {}


def test_shapes_alone_are_no_template() -> None:
    assert found([f"{i} - {i + 1}" for i in range(50)]) == {}


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_text_ids_follow_first_occurrence(pairs: list[tuple[int, int]]) -> None:
    index, seen = TextIndex(), {}
    for start in range(0, len(pairs), 7):
        chunk = pairs[start : start + 7]
        lo, hi = (np.array([p[k] for p in chunk], np.uint64) for k in (0, 1))
        want = [seen.setdefault(p, len(seen)) for p in chunk]
        assert index.add(lo, hi).tolist() == want
    keys = index.keys()
    assert list(zip(*(k.tolist() for k in keys), strict=True)) == list(seen)


def test_the_index_grows(rng: np.random.Generator) -> None:
    keys = rng.integers(0, 2**63, 300_000).astype(np.uint64)
    index = TextIndex()
    first = index.add(keys, keys)
    assert np.array_equal(index.add(keys, keys), first)
    assert index.n == len(np.unique(keys))


def test_an_empty_set_is_described() -> None:
    streams = tokens_of([])
    templates, bits = mine_templates(streams, 3, 2)
    assert isinstance(templates, Templates)
    assert len(describe_slots(templates, streams).exists) == len(bits) == 0


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5).map(lambda i: (7 << 32) + i), max_size=400))
@settings(max_examples=200)
def test_order_is_stable_and_shell_sort_sorts(keys: list[int]) -> None:
    values = np.array(keys, np.uint64)
    assert stable_order(values).tolist() == np.argsort(values, kind="stable").tolist()
    shell_sort(values)
    assert values.tolist() == sorted(keys)
