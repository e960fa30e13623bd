"""The template miner finds planted frames, and its result does not depend on order or threads."""

from __future__ import annotations

import bisect
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect import settling
from memaudit.detect.frames import unpack
from memaudit.detect.grams import tables_for
from memaudit.detect.ordering import lower_bound, shell_sort, stable_order
from memaudit.detect.slots import describe_slots
from memaudit.detect.templates import Templates, mine_templates
from memaudit.scratch import Steps
from memaudit.text.spelling import spell
from tests.detect.conftest import tokens_of
from tests.text.test_spelling import template_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memaudit.detect.grams import Tokens

COLOURS = "crimson teal ochre ivory cobalt umber saffron jade mauve russet".split()
THINGS = "walrus kettle lantern cactus violin comet anchor beetle saddle teapot".split()
SIX = list(zip(COLOURS[:6], THINGS[:6], strict=True))


def noise(rng: np.random.Generator, n: int) -> list[str]:
    return [" ".join(f"noise{rng.integers(100_000)}" for _ in range(int(rng.integers(4, 10)))) for _ in range(n)]


def mine(
    streams: Tokens, threads: int = 2, memory: int = 1 << 30, steps: Steps | None = None
) -> tuple[Templates, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        return mine_templates(streams, 3, threads, memory, Path(folder), steps)


class CutOff(Steps):
    """Keeps so many steps, then fails."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        if self.left == 0:
            raise InterruptedError
        self.left -= 1
        super().put(name, arrays)


def found(captions: list[str], threads: int = 2) -> dict[str, frozenset[str]]:
    """Template text -> member captions."""
    streams = tokens_of(captions)
    templates, _ = mine(streams, threads)
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


@pytest.mark.parametrize("other", ["towels with", "sheet with", "with"])
def test_variants_that_differ_by_a_word_are_one_template(rng: np.random.Generator, other: str) -> None:
    """A plural, another word, or none. Each variant is frequent at every level, so that no caption proposes what they
    share."""
    pairs = [(c, t) for c in COLOURS for t in THINGS[:4]]
    planted = [f"Harbour Mills {c} {t} striped bath towel with fringe" for c, t in pairs]
    planted += [f"Harbour Mills {t} {c} striped bath {other} fringe" for c, t in pairs]
    templates = found(planted + noise(rng, 3000))
    assert templates["^ harbour mills <*> striped bath <*> with fringe $"] == frozenset(planted)


def test_a_slot_may_be_empty(rng: np.random.Generator) -> None:
    """Where it is, two runs look like one."""
    filled = [f"Harbour Mills {c} {t} bath mat" for c, t in SIX]
    empty = ["Harbour Mills bath mat " + end for end in ("anchored", "scalloped", "tufted", "ribbed", "woven", "plain")]
    filled = [f"{caption} {c}" for caption, (c, _) in zip(filled, reversed(SIX), strict=True)]
    templates = found(filled + empty + noise(rng, 300))
    assert templates["^ harbour mills <*> bath mat <*>"] == frozenset(filled + empty)


def test_a_word_between_two_slots_is_found_by_what_members_share(rng: np.random.Generator) -> None:
    """No pair of neighbours holds it."""
    planted = [f"{c} gallery {t} {c[::-1]} harbour mills" for c, t in SIX]
    assert found(planted + noise(rng, 300))["<*> gallery <*> harbour mills $"] == frozenset(planted)


def test_numbers_share_a_template_but_stay_two_texts(rng: np.random.Generator) -> None:
    planted = [f"iPhone {i} case" for i in range(6, 12)]
    assert found(planted + noise(rng, 100))["^ iphone <num> case $"] == frozenset(planted)


def test_order_and_threads_do_not_matter(rng: np.random.Generator) -> None:
    captions = family(rng) + [f"{c} {t} on a hill" for c in COLOURS for t in THINGS] + noise(rng, 200)
    shuffled = [captions[i] for i in rng.permutation(len(captions))]
    one, other, single = found(captions), found(shuffled), found(captions, threads=1)
    assert set(one.values()) == set(other.values()) == set(single.values())
    assert one == single


def test_memory_does_not_matter(rng: np.random.Generator) -> None:
    streams = tokens_of(family(rng) + noise(rng, 300))
    assert tables_for(len(streams.tokens), 1 << 20).passes > tables_for(len(streams.tokens), 1 << 30).passes == 3
    for wide, narrow in zip(mine(streams)[0], mine(streams, memory=1 << 20)[0], strict=True):
        assert np.array_equal(wide, narrow)


def test_parts_do_not_matter(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = family(rng) + [f"{c} {t} on a hill" for c in COLOURS for t in THINGS] + noise(rng, 200)
    whole = found(captions)
    monkeypatch.setattr(settling, "PART", 40)
    assert found(captions) == whole


def test_a_mine_that_was_cut_off_goes_on(rng: np.random.Generator) -> None:
    streams = tokens_of(family(rng) + noise(rng, 300))
    whole = mine(streams)[0]
    for last in range(7):  # counts, frames, four groups, one settled part
        steps = CutOff(last)
        with tempfile.TemporaryDirectory() as folder:
            with pytest.raises(InterruptedError):
                mine_templates(streams, 3, 1, 1 << 30, Path(folder), steps)
            steps.left = 100
            again = mine_templates(streams, 3, 2, 1 << 30, Path(folder), steps)[0]
        assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))


def test_every_member_holds_its_frame(rng: np.random.Generator) -> None:
    captions = family(rng) + noise(rng, 50) + [f"the {t} of {c} place" for c in COLOURS for t in THINGS]
    streams = tokens_of(captions)
    templates, _ = mine(streams)
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


def test_an_empty_set_is_described() -> None:
    streams = tokens_of([])
    templates, bits = mine(streams)
    assert isinstance(templates, Templates)
    assert len(describe_slots(templates, streams).exists) == len(bits) == 0


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5).map(lambda i: (7 << 32) + i), max_size=400))
@settings(max_examples=200)
def test_order_is_stable_and_shell_sort_sorts(keys: list[int]) -> None:
    values = np.array(keys, np.uint64)
    assert stable_order(values).tolist() == np.argsort(values, kind="stable").tolist()
    shell_sort(values)
    assert values.tolist() == sorted(keys)


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(0, 41))
def test_lower_bound_is_that_of_bisect(values: list[int], key: int) -> None:
    values.sort()
    assert lower_bound(np.array(values, np.uint64), np.uint64(key)) == bisect.bisect_left(values, key)
