"""Types of slots: what most of the values in a slot are, by the patterns of `rules/slots.toml`."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from memaudit.rules import slot_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Type = tuple[str, "Callable[[str], object]"]  # its name, and whether a value is one

TEXT = "text"
LONGEST = 100  # characters of a value that can be of a type
_NUMBER = (
    r"(?>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,5})(?:\.[0-9]{1,3}|,[0-9]{1,2})?"
    r"(?:[ -][0-9]{1,3}/[0-9]{1,3}|/[0-9]{1,3})?)(?![0-9])"
)
_LIST = re.compile(r"\{([a-z]\w*)\}")


def words_of(name: str) -> tuple[str, ...]:
    """A word list of the rules."""
    told = slot_rules()
    return tuple(dict.fromkeys((told["lists"].get(name) or told["entity_lists"][name]).split()))


def slot_type(values: Sequence[str], counts: Sequence[int]) -> str:
    """The first type in the order of the rules that enough of the values (by count) match in full; else "text".

    values: folded words with one space between; empty ones are left out of account. About 20 us.
    """
    anything, types = _types()
    share = slot_rules()["share"]
    return agreed(values, counts, share, types) if agreed(values, counts, share, anything) != TEXT else TEXT


def agreed(values: Sequence[str], counts: Sequence[int], share: float, types: Iterable[Type]) -> str:
    """The first of `types` that `share` of the values, by count, are; else "text"."""
    held = [(value[: LONGEST + 1], n) for value, n in zip(values, counts, strict=True) if value]
    allowed = (1 - share) * sum(n for _, n in held)
    for name, is_one in types:
        others = 0.0
        for value, n in held:
            others += n if len(value) > LONGEST or not is_one(value) else 0
            if others > allowed + 1e-9:
                break
        else:
            if held:
                return name
    return TEXT


@cache
def _types() -> tuple[tuple[Type, ...], tuple[Type, ...]]:
    """A type that stands for any of them, which tells most slots apart from those that have one; and all types."""
    rules = slot_rules()["type"]
    anything = _compiled([pattern for rule in rules for pattern in rule["patterns"]]).fullmatch
    return (("any", anything),), tuple((rule["name"], _compiled(rule["patterns"]).fullmatch) for rule in rules)


def _compiled(patterns: Sequence[str]) -> re.Pattern[str]:
    """One expression for several, lists written out. A word of a list ends where letters and digits do."""
    written = [_LIST.sub(_alternatives, pattern) for pattern in patterns]
    return re.compile("|".join(f"(?:{pattern})" for pattern in written))


def _alternatives(match: re.Match[str]) -> str:
    if match[1] == "n":
        return _NUMBER
    words = sorted(words_of(match[1]), key=len, reverse=True)
    return rf"(?:(?:{'|'.join(map(re.escape, words))})(?![^\W_]))"
