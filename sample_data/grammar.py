"""Unique captions of many registers, from a small expansion language over the vocabulary.

A shape is text with `{rule}` (an entry of RULES, drawn Zipf-like; `{Rule}` the same with a capital), `{n1}` to `{n4}`
(a number of so many digits) and `[a|b|]` (one of them). After expansion `a~ ` turns into "a" or "an" and `word~s` into
the plural.
"""

from __future__ import annotations

import re
from bisect import bisect
from itertools import accumulate
from typing import TYPE_CHECKING

import languages
import vocabulary as v
from registers import HEADLINES, REGISTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

_NEXT = re.compile(r"\[([^\[\]]*)\]|\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa])~ (?=\W?([A-Za-z]))")
_PLURAL = re.compile(r"([\w-]+)~s")
_IRREGULAR = {"man": "men", "woman": "women", "child": "children", "mouse": "mice", "goose": "geese", "sheep": "sheep"}
_SAME = frozenset(["deer", "moose", "bison", "salmon", "trout", "pike", "elk", "scissors", "jeans", "boots"])

_WEB_NAMES = (
    "gallery", "studio", "press", "archive", "weekly", "journal", "garden", "travel", "kitchen", "craft",
    "news", "market",
)  # fmt: skip

RULES: dict[str, Sequence[str]] = {
    "role": v.ROLES, "animal": v.ANIMALS, "plant": v.PLANTS, "food": v.FOODS, "scenery": v.LANDFORMS,
    "furniture": v.FURNITURE, "fabric": v.FABRICS, "job": v.ROLES[10:],
    "building": v.BUILDINGS, "object": v.OBJECTS, "vehicle": v.VEHICLES, "cloth": v.CLOTHES, "material": v.MATERIALS,
    **{f"look_{k}": w for k, w in v.LOOKS.items()}, **{f"doing_{k}": w for k, w in v.DOING.items()},
    "colour": v.COLOURS, "trans": v.TRANSITIVE, "prep": v.PREPOSITIONS, "time": v.TIMES,
    "view": v.VIEWS, "topic": v.TOPICS, "abstract": v.ABSTRACTS, "newsverb": v.NEWS_VERBS, "group": v.GROUPS,
    "body": v.BODIES,
    "manner": v.MANNER, "first": v.FIRST, "emoji": v.EMOJI,
    "thing": ["{object}", "{vehicle}", "{animal}", "{plant}", "{food}"],
    "look_thing": [f"{{look_{k}}} {{{k}}}" for k in v.LOOKS],
    "look_being": ["{look_animal} {animal}", "{look_role} {role}"],
    "look_place": ["{look_building} {building}", "{look_scenery} {scenery}"],
    "being": ["{role}", "{animal}"],
    "room": ["kitchen", "bedroom", "living room", "hallway", "attic", "bathroom", "workshop", "cellar", "conservatory",
             "study"],
    "medium": ["oil", "ink", "acrylic", "gouache", "tempera", "charcoal", "pastel", "watercolour", "mixed media",
               "chalk"],
    "ground": ["canvas", "paper", "linen", "panel", "board", "oak", "copper", "card", "silk", "vellum", "plaster"],
    "decade": [f"{y}0" for y in (196, 195, 197, 193, 192, 198, 191, 190, 188, 199, 194)],
    "place": ["{building}", "{scenery}"],
    "a_person": ["a~ {role}", "a~ {look_role} {role}", "the {role}", "{first}", "one {role}", "a~ {role} in {colour}",
                 "{first} the {role}", "a~ {role} with a~ {animal}", "my {role}"],
    "last": [h + t for t in v.SURNAME_TAILS for h in v.SURNAME_HEADS],
    "person": ["{first} {last}", "{first} {last}", "{initial}. {last}", "{first} {initial}. {last}", "Dr {last}"],
    "town": [h + t for t in v.PLACE_TAILS for h in v.PLACE_HEADS],
    "region": ["{town} Coast", "{town} Valley", "North {town}", "{town} Islands", "Upper {town}", "{town}shire",
               "{town}land"],
    "brand": [h + t for t in v.BRAND_TAILS for h in v.BRAND_HEADS],
    "model": ["{letter}{n2}", "{letter}{letter}-{n3}", "{n4}", "{n2}{letter}", "{letter}{n4}{letter}"],
    "latin": [a + b + " " + c + d for c in ("alb", "mont", "palud", "rup", "silv", "ocell", "fer", "nitid")
              for b in ("ella", "oides", "aria", "ina") for a in ("Brac", "Sorb", "Cten", "Lyth", "Ophr", "Mir")
              for d in ("ana", "icola", "ensis", "ata")],
    "title": ["The {Look_object} {Object}", "{Animal} and {Animal}", "A {Role}'s {Abstract}",
              "{Topic} Without {Abstract}",
              "Letters from {town}", "The {Role} of {town}", "{Colour} {Scenery}", "{Look_plant} {Colour} {Plant}",
              "{Doing_role}",
              "No {Object}, No {Food}", "Seven {Animal}~s", "The Last {Building}", "What the {Animal} Said"],
    "handle": ["{first}.{animal}", "the_{look_role}_{role}", "{animal}{n2}", "{first}{topic}", "{town}{topic}"],
    "dish": ["soup", "stew", "salad", "pie", "tart", "bake", "curry", "skewers", "parcels", "on toast", "dip",
             "muffins",
             "casserole", "stir-fry", "chutney", "pancakes", "hotpot", "fritters", "ice cream", "loaf"],
    "event": ["fair", "festival", "conference", "open day", "gala", "exhibition", "final", "workshop", "parade",
              "show"],
    "sport": ["Rugby", "Tennis", "Rowing", "Hockey", "Handball", "Curling", "Netball", "Darts", "Water polo", "Chess"],
    "season": ["spring", "summer", "autumn", "winter", "Easter", "half-term", "harvest"],
    "month": ["March", "June", "October", "May", "January", "August", "December", "April", "July", "November"],
    "num": ["two", "three", "5", "7", "four", "10", "six", "12", "eight", "9", "11", "15", "nine", "20", "25"],
    "size": ["M", "L", "S", "XL", "38", "40", "XXL", "12", "10", "XS", "44", "one size"],
    "hand": ["woven", "thrown", "carved", "printed", "dyed", "stitched", "forged", "blown", "tufted", "tooled"],
    "verbplain": ["wash", "store", "paint", "trust", "microwave", "iron", "prune", "buy", "freeze", "mix", "lend"],
    "money": ["£{n2}m", "${n3} million", "€{n2}bn", "{n3}-crown", "£{n3},000"],
    "century": ["19th", "18th", "17th", "16th", "20th", "15th", "12th", "9th"],
    "adj_obj": ["{look_object} {object}", "{fabric} {cloth}", "{topic} {object}", "{colour} {vehicle}",
                "{object} {n2}"],
    "web": [a + b for b in _WEB_NAMES for a in ("daily-", "open-", "the-", "little-", "my-", "old-", "blue-",
            "north-")],
}  # fmt: skip


class Grammar:
    """Draws captions; every draw comes from `rng.random()`, which Python keeps stable across versions."""

    def __init__(self, rng: Random, more_rules: Mapping[str, Sequence[str]] | None = None) -> None:
        self._rng = rng
        self._rules = {**RULES, **(more_rules or {})}
        self._weights = {
            n: list(accumulate((i + 6) ** -0.5 for i in range(n))) for n in {len(r) for r in self._rules.values()}
        }
        self._shapes = [[s for line in text.strip().split("\n") for s in _alternatives(line)] for text, _ in REGISTERS]
        self._register_weights = list(accumulate(weight for _, weight in REGISTERS))

    def below(self, n: int) -> int:
        """A uniform integer in [0, n)."""
        return int(self._rng.random() * n)

    def pick(self, options: Sequence[str]) -> str:
        """A uniform choice."""
        return options[self.below(len(options))]

    def caption(self) -> str:
        """One caption of a random register, now and then two sentences long, in a random style."""
        text = self._sentence()
        while self._rng.random() < 0.22:
            text = text.rstrip(". ") + self.pick([". ", " - ", ", ", "; ", " | ", " ... ", ": "]) + self._sentence()
        return self._style(text)

    def foreign(self) -> str:
        """One caption in another language or script."""
        language = languages.LANGUAGES[self.pick(list(languages.LANGUAGES))]
        text = self.pick(languages.SHAPES)
        for mark, options in (("{t}", language.things), ("{p}", language.places), ("{m}", language.moments)):
            while mark in text:
                text = text.replace(mark, self.pick(options), 1)
        text = self.expand(text.replace("{j}", language.joint).replace("{name}", "{person}"))
        return text[:1].upper() + text[1:] if self._rng.random() < 0.7 else text

    def expand(self, shape: str) -> str:
        """`shape` with all rules and alternatives replaced; articles and plurals put right."""
        while found := _NEXT.search(shape):
            chosen = self.pick(found[1].split("|")) if found[2] is None else self._draw(found[2])
            shape = shape[: found.start()] + chosen + shape[found.end() :]
        shape = _PLURAL.sub(lambda m: _plural(m[1]), shape)
        shape = _ARTICLE.sub(lambda m: m[1] + ("n " if m[2] in "aeiouAEIOU" else " "), shape)
        return re.sub(r"\s+([,.;])", r"\1", re.sub(r"\s+", " ", shape)).strip()

    def _sentence(self) -> str:
        register = bisect(self._register_weights, self._rng.random() * self._register_weights[-1])
        text = self.expand(self.pick(self._shapes[register]))
        if REGISTERS[register][0] in HEADLINES:
            text = text[:1].upper() + text[1:]
        return text

    def _draw(self, rule: str) -> str:
        if re.fullmatch(r"n[1-4]", rule):
            digits = int(rule[1])
            return str(10 ** (digits - 1) + self.below(9 * 10 ** (digits - 1)))
        if rule in ("letter", "initial"):
            return self.pick("ABCDEFGHJKLMNPRSTVWXZ")
        if rule == "year":
            return str(2024 - int(130 * self._rng.random() ** 3))
        if rule not in self._rules:  # a rule's name in capitals: its expansion starts with one
            text = self.expand("{" + rule.lower() + "}")
            return text[:1].upper() + text[1:]
        weights = self._weights[len(self._rules[rule])]
        return self._rules[rule][bisect(weights, self._rng.random() * weights[-1])]

    def _style(self, text: str) -> str:
        roll = self._rng.random()
        if roll < 0.40:
            return text[:1].upper() + text[1:]
        if roll < 0.50:
            return text.lower()
        if roll < 0.60:
            return " ".join(w[:1].upper() + w[1:] for w in text.split(" "))
        if roll < 0.615 and "&" not in text:
            return text.upper()
        if roll < 0.65:
            return text.rstrip(".") + self.pick(["...", "!", ".", " …", " -", "?", ",", " (2)", " - 3"])
        return text


def _alternatives(line: str) -> list[str]:
    """The shapes of a line, split at the bars outside brackets."""
    depth, parts = 0, [""]
    for char in line:
        depth += (char == "[") - (char == "]")
        if char == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [p.strip() for p in parts if p.strip()]


def _plural(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("man"):
        return word[:-2] + "en"
    if word.endswith("s") and not word.endswith(("ss", "us")):
        return word
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"
