"""Types of slots by the patterns of rules/slots.toml."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.rules import slot_rules
from memaudit.slottypes import LONGEST, TEXT, slot_type, words_of

ARE = {
    "roman": ["ii", "iii", "iv", "viii", "xxix", "x"],
    "year": ["1999", "2024", "1960s", "2019-2020", "1914 - 18"],
    "date": ["january", "jan 5", "12 march 2019", "3rd of may", "2020-05-17", "17/5/2020", "friday", "december , 2021"],
    "price": ["12 usd", "eur 9.99", "1,200 dollars", "20 off", "gbp 5"],
    "size": [
        "12ft", "12 ft", "15'", "8x10", "8 x 10", "130 x 260 cm", "32oz", "10 inch", "xl", "queen", "large",
        "2.5 x 4 m", "6 - pack", "4-3/4 inch", "20 x 30 x 5 cm", "eu 38", '12"',
    ],
    "ordinal": ["1st", "22nd", "third"],
    "number": ["7", "1,200", "3.5", "12 - 15", "twenty", "two", "twenty - one", "4-3/4"],
    "code": ["00708_q4311", "a22_871", "wb10943w44jj", "28998713", "b53.112", "sku 8812"],
    "colour": ["red", "navy blue", "dark gray", "blue / white", "gray and white", "light grey , teal", "rose gold"],
    "material": ["cotton", "stainless steel", "oak", "solid oak and brass", "faux leather", "linen / wool"],
    "language": ["german", "french / english", "spanish and italian"],
    "place": ["france", "new york", "northern ireland", "paris , france", "los angeles"],
    "person": ["dr emholt", "mr and mrs", "sir ivo bramley"],
}  # fmt: skip
ARE_NOT = {
    "roman": ["i am", "viv", "iiii", "vx", "livid"],
    "year": ["199", "3024", "19999", "2019 cars"],
    "date": ["maybe", "marchand", "5", "may be an image of two people"],
    "price": ["usd", "12", "eur 5 each"],
    "size": ["12 cats", "inch", "x", "size", "xmas", "12 insider", "15 o", "large dog"],
    "ordinal": ["1nt", "secondhand", "thirds"],
    "number": ["7up", "no 7", "seven dwarfs", "28998713", "tenth", "1 2"],
    "code": ["rose", "code", "a b", "q4 report", "1 2"],
    "colour": ["red car", "redd", "blue - sky thinking", "light", "navyblue"],
    "material": ["cotton shirt", "solid", "glasses", "woody"],
    "language": ["germany", "frenchman", "englishes"],
    "place": ["london bridge", "polandia", "north", "new"],
    "person": ["dr", "drive home", "mr 7", "mister emholt"],
}


def test_every_type_has_examples() -> None:
    names = [rule["name"] for rule in slot_rules()["type"]]
    assert names == list(ARE) == list(ARE_NOT)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ARE.items() for value in values])
def test_values_of_a_type(name: str, value: str) -> None:
    """Of the type, or of one that comes earlier and fits too ("20" is a number, "1999" a year)."""
    assert slot_type([value], [1]) == name


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ARE_NOT.items() for value in values])
def test_values_of_no_such_type(name: str, value: str) -> None:
    assert slot_type([value], [1]) != name


def test_a_type_is_what_most_values_are_by_count() -> None:
    assert slot_type(["red", "blue", "walrus"], [3, 3, 4]) == "colour"
    assert slot_type(["red", "blue", "walrus"], [3, 2, 4]) == TEXT
    assert slot_type(["red", ""], [1, 99]) == "colour"  # what is left out says nothing
    assert slot_type(["", ""], [5, 5]) == TEXT
    assert slot_type([], []) == TEXT
    assert slot_type(["1999", "2001", "350", "7", "12"], [1] * 5) == "number"  # numbers, some of which could be years
    assert slot_type(["1999", "2001", "2020", "7"], [1] * 4) == "year"


@given(st.lists(st.tuples(st.text(max_size=150), st.integers(1, 9)), max_size=6))
def test_any_value_has_a_type(pairs: list[tuple[str, int]]) -> None:
    known = {TEXT, *(rule["name"] for rule in slot_rules()["type"])}
    assert slot_type([value for value, _ in pairs], [n for _, n in pairs]) in known


@pytest.mark.parametrize(
    "value",
    ["x " * 5000, "red / " * 2000, "1 x " * 5000, "9" * 100_000, "1-" * 49 + "1", "dark " * 19 + "dar", "a1." * 33,
     "red red " * 12 + "!", "rose navy " * 9 + "!", "carbon " * 14 + "!", "soft " * 19 + "!", "1 x " * 24 + "!",
     "1,000 x " * 12 + "!", "1/2 x " * 16 + "!", "1 1/2x" * 16, "1' x " * 19 + "!", "1 cm x " * 14 + "!", "two " * 25,
     "1/1 " * 25, "i" * 100, "0,000" * 20, "\x1b[2J\x00\u202e", "日本語" * 30, "\ud800"],
)  # fmt: skip
def test_hostile_values_are_quick_text(value: str) -> None:
    slot_type(["red"], [1])  # compiles
    started = time.perf_counter()
    for cut in (value, value[:LONGEST]):
        slot_type([cut] * 20, [1] * 20)
    assert time.perf_counter() - started < 0.2


def test_word_lists_are_lower_case_words() -> None:
    """Values are folded: what is written otherwise would never match."""
    told = slot_rules()
    for name in (*told["lists"], *told["entity_lists"]):
        words = words_of(name)
        assert words
        for word in words:
            assert word == word.lower().strip()
            assert word.isalnum(), (name, word)


@pytest.mark.parametrize(("before", "word"), [("shade", "colour"), ("finish", "material"), ("direction", "place")])
def test_words_that_repeat_in_a_pattern_are_of_one_list(before: str, word: str) -> None:
    assert not set(words_of(before)) & set(words_of(word))
