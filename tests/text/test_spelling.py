"""What is written out of captions by the kernel equals what plain Python writes of one spelled caption."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect.frames import unpack
from memaudit.text.spelling import FRAME, SLOT, WORDS, Spelled, Writing, batches, spell, spell_all, spell_buffers
from tests.text.test_lexer import PIECES, encoded


def slot_spans(spelled: Spelled, span: int) -> list[tuple[int, int]]:
    """Token ranges of the slots before, between and after the runs of a frame."""
    runs = unpack(span)
    return list(zip([0, *(b for _, b in runs)], [*(a for a, _ in runs), len(spelled.token_hashes)], strict=True))


def template_text(spelled: Spelled, span: int, exists: np.ndarray) -> str:
    """A frame in the syntax of templates: "^ shaw <*> case $"."""
    end = len(spelled.token_hashes)
    parts: list[str] = []
    for slot, ((low, high), (_, stop)) in enumerate(
        zip(slot_spans(spelled, span), [*unpack(span), (end, end)], strict=True)
    ):
        parts += ["<*>"] if exists[slot] else spelled.tokens[low:high]  # a slot that never varies is fixed text
        parts += spelled.tokens[high:stop]
    return " ".join(parts)


def slot_text(spelled: Spelled, span: int, slot: int) -> str:
    """What a slot really held."""
    low, high = slot_spans(spelled, span)[slot]
    return " ".join(s for s in spelled.surface[low:high] if s)


@st.composite
def frames(draw: st.DrawFn, n_tokens: int) -> int:
    """Up to three runs, packed."""
    ends = sorted(draw(st.lists(st.integers(0, min(n_tokens, 255)), min_size=2, max_size=6, unique=True)))
    return sum(end << (8 * i) for i, end in enumerate(ends[: len(ends) // 2 * 2]))


@given(st.lists(st.lists(PIECES, max_size=9).map(" ".join), min_size=1, max_size=8), st.data())
@settings(max_examples=150)
def test_the_kernel_writes_what_python_writes(captions: list[str], data: st.DataObject) -> None:
    raw = [encoded(caption) for caption in captions]
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in raw])])
    spelled = spell_buffers(np.frombuffer(b"".join(raw) or b" ", np.uint8), offsets)
    wanted, rows = [], []
    for i, one in enumerate(spell(r) for r in raw):
        span, held = data.draw(frames(len(one.token_hashes))), data.draw(st.integers(0, 15))
        slot = data.draw(st.integers(0, len(unpack(span))))
        rows += [(i, WORDS, 0, 0), (i, FRAME, span, held), (i, SLOT, span, slot)]
        exists = np.array([held >> s & 1 for s in range(4)], np.bool_)
        wanted += [" ".join(one.words), template_text(one, span, exists), slot_text(one, span, slot)]
        again = spelled.one(i)
        assert (again.words, again.tokens) == (one.words, one.tokens)
    caption, form, span_, slots = zip(*rows, strict=True)
    asked = Writing(
        np.array(caption, np.int64), np.array(form, np.uint8), np.array(span_, np.uint64), np.array(slots, np.uint8)
    )
    assert spelled.written(asked) == wanted


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=12))
def test_batches_cover_all_captions_in_order(lengths: list[int]) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    bounds = list(batches(offsets))
    assert [i for a, b in bounds for i in range(a, b)] == list(range(len(lengths)))


def test_many_captions_are_spelled_like_one() -> None:
    captions = [f"caption {i} of a café, {'word ' * (i % 50)}".encode() for i in range(3000)]
    assert [s.tokens for s in spell_all(captions)] == [spell(c).tokens for c in captions]
