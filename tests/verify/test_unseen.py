"""Slots found in captions and filled with what is new, by hand and over all templates of the sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.text.spelling import spell
from memaudit.verify.unseen import Known, Slot, cased, placed, recounted, slots_of, unseen_captions


def found(caption: str, template: str) -> list[tuple[str, str]] | None:
    spelled = spell(caption.encode())
    slots = slots_of(spelled.tokens, spelled.surface, template)
    return None if slots is None else [(slot.kind, slot.value) for slot in slots]


@pytest.mark.parametrize(
    ("caption", "template", "slots"),
    [
        ("Blue Owl iPhone 6 Case", "<*> iphone <num> case $", [("<*>", "blue owl"), ("<num>", "6")]),
        ("iPhone 6 Case", "<*> iphone <num> case $", [("<*>", ""), ("<num>", "6")]),
        (
            "Shaw III 15' Pewter",
            "^ shaw <roman> <size> <*>",
            [("<roman>", "iii"), ("<size>", "15'"), ("<*>", "pewter")],
        ),
        ("a - b - c", "^ a - <*> - c $", [("<*>", "b")]),
        ("a b a b c", "<*> b <*> c $", [("<*>", "a"), ("<*>", "a b")]),
        ("owl case", "^ owl case $", []),
        ("owl case", "^ owl <*> owl case $", None),
        ("owl case 6", "^ owl case $", None),
        ("cat case", "^ owl <*>", None),
        ("東京の猫", "^ 東 京 <*>", [("<*>", "の 猫")]),
    ],
)
def test_slots_by_hand(caption: str, template: str, slots: list[tuple[str, str]] | None) -> None:
    assert found(caption, template) == slots


def test_a_slot_says_which_tokens_it_holds() -> None:
    spelled = spell(b"red owl case")
    assert slots_of(spelled.tokens, spelled.surface, "<*> case $") == [Slot("<*>", 0, 3, "red owl")]  # "^" is token 0


@given(st.text(max_size=60))
def test_tokens_are_placed_where_they_are_read(caption: str) -> None:
    where = placed(caption)
    surface = spell(caption.encode("utf-8", errors="replace")).surface
    if where is None:
        return
    text, places = where
    assert len(places) == len(surface)
    assert all(a <= b <= len(text) for a, b in places)
    for (a, b), token in zip(places[1:-1], surface[1:-1], strict=True):
        assert token in " ".join(spell(text[a:b].encode("utf-8", errors="replace")).surface) or len(token) == 1


def test_entities_and_tags_are_resolved() -> None:
    assert placed("a <i>Caf&eacute;</i>  owl") == ("a Café owl", [(0, 0), (0, 1), (2, 6), (7, 10), (10, 10)])


def known(*slots: tuple[str, set[str]]) -> Known:
    return Known([kind for kind, _ in slots], [values for _, values in slots])


def made(caption: str, template: str, about: Known, *pools: list[str], draws: int = 40) -> list[str]:
    rng = np.random.default_rng(1)
    return unseen_captions(caption, template, about, [(pool, ["fallback"]) for pool in pools], rng, draws)


def test_case_and_separators_stay() -> None:
    about = known(("text", {"blue owl"}))
    assert made("Blue Owl - iPhone CASE, new!", "<*> - iphone case , new $", about, ["red fox"]) == [
        "Red Fox - iPhone CASE, new!"
    ]


def test_known_values_and_fixed_words_are_never_taken() -> None:
    about = known(("text", {"owl", "blue whale", "cat"}))
    out = made("owl case", "<*> case $", about, ["cat", "whale", "case", "fox", "wolf", "at", "x9"])
    assert set(out) == {"fox case", "wolf case"}  # "at" shows nothing, "x9" is no word
    assert made("owl case", "<*> case $", about, ["cat"]) == ["fallback case"]
    assert unseen_captions("owl case", "<*> case $", about, [([], [])], np.random.default_rng(1), 9) == []


def test_shapes_keep_their_form() -> None:
    about = known(("text", {"b53_449"}), ("text", {"15x8"}), ("text", {"iii"}), ("text", {"2017"}))
    template = "^ wheel <code> <size> <roman> <num> $"
    out = made("Wheel B53_449 15x8 III 2017", template, about, [], [], [], [])
    assert len(out) > 20
    for caption in out:
        assert found(caption, template) is not None
        assert caption.split()[1].startswith("B")
        assert caption.split()[3].isupper()
        assert caption.split()[4].startswith("20")


def test_a_shape_with_every_value_known_stays_beside_a_new_word() -> None:
    about = known(("text", {"owl"}), ("text", {str(i) for i in range(10)}))
    assert set(made("owl 4", "<*> <num> $", about, ["fox"], [])) == {"fox 4"}
    alone = known(("text", {str(i) for i in range(10)}))
    assert made("owl 4", "^ owl <num> $", alone, []) == []


def test_a_slot_that_only_articles_fill_is_left_alone() -> None:
    about = known(("text", {"a", ""}), ("text", {"crow"}))
    assert made("a teacher and crow", "<*> teacher and <*>", about, ["fox"], ["wolf"]) == ["a teacher and wolf"]


def test_words_of_another_script_do_not_enter() -> None:
    about = known(("text", {"猫"}))
    assert made("猫 case", "<*> case $", about, ["fox", "犬"]) == ["犬 case"]


@pytest.mark.parametrize(
    ("value", "like", "out"),
    [
        ("red fox", "Blue Owl", "Red Fox"),
        ("red fox", "OWL", "RED FOX"),
        ("red fox", "Blue owl", "Red fox"),
        ("red fox", "owl", "red fox"),
        ("red", "A", "Red"),
        ("éclair", "Owl", "Éclair"),
        ("red", "15", "red"),
    ],
)
def test_cases(value: str, like: str, out: str) -> None:
    assert cased(value, like) == out


def test_numbers_are_counted_anew() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert recounted("15x8 mm", rng)[2] == "x"
        assert not recounted("905", rng).startswith("0")
        assert recounted("1999", rng).startswith("19")
        assert recounted("PS5", rng)[:2].isupper()
