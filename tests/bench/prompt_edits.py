"""How people change a caption when they prompt with it: each edit takes a caption and a source of chance."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

SYNONYMS = dict(
    pair.split("=")
    for pair in (
        "a=the;the=a;photo=picture;picture=photo;image=picture;photograph=photo;painting=artwork;big=large;large=big;"
        "small=little;little=small;beautiful=lovely;woman=lady;man=guy;girl=young woman;boy=young man;home=house;"
        "house=home;car=automobile;kids=children;children=kids;pretty=beautiful;red=crimson;art=artwork;poster=print;"
        "print=poster;shirt=tee;and=with;with=featuring;by=from;for=to;in=inside;on=upon;near=close to;happy=glad;"
        "new=brand new;black=dark;white=pale;baby=infant;dog=puppy;cat=kitten;vintage=retro;old=ancient;sofa=couch;"
        "couch=sofa;rug=carpet;design=pattern;set=collection;best=top;cute=adorable;city=town;road=street;sea=ocean;"
        "mountain=hill;mountains=hills;blue=azure;green=emerald;yellow=golden;evening=dusk;morning=dawn"
    ).split(";")
)
SMALL = frozenset("a an the of in on at by with for to and from near".split())


def same(caption: str, _: random.Random) -> str:
    return caption


def upper_without_punctuation(caption: str, _: random.Random) -> str:
    return re.sub(r"[,.;:!]", "", caption).upper()


def emoji(caption: str, _: random.Random) -> str:
    return f"✨ {caption} 😍🔥"


def without_last(k: int) -> Callable[[str, random.Random], str]:
    def edit(caption: str, _: random.Random) -> str:
        words = caption.split()
        return " ".join(words[: max(1, len(words) - k)])

    return edit


def first_half(caption: str, _: random.Random) -> str:
    words = caption.split()
    return " ".join(words[: max(2, len(words) // 2)])


def without_random(k: int) -> Callable[[str, random.Random], str]:
    def edit(caption: str, chance: random.Random) -> str:
        words = caption.split()
        for _ in range(min(k, len(words) - 1)):
            words.pop(chance.randrange(len(words)))
        return " ".join(words)

    return edit


def without_small_words(caption: str, _: random.Random) -> str:
    return " ".join(word for word in caption.split() if word.lower() not in SMALL) or caption


def synonyms(k: int) -> Callable[[str, random.Random], str]:
    def edit(caption: str, chance: random.Random) -> str:
        words = caption.split()
        at = [i for i, word in enumerate(words) if word.lower().strip(",.") in SYNONYMS]
        for i in chance.sample(at, min(k, len(at))):
            words[i] = SYNONYMS[words[i].lower().strip(",.")]
        return " ".join(words)

    return edit


def plural(caption: str, chance: random.Random) -> str:
    words = caption.split()
    at = [i for i, word in enumerate(words) if word.isalpha() and len(word) > 3]
    for i in chance.sample(at, min(1, len(at))):
        words[i] = words[i][:-1] if words[i].endswith("s") else words[i] + "s"
    return " ".join(words)


def typing_error(caption: str, chance: random.Random) -> str:
    words = caption.split()
    i = chance.randrange(len(words)) if words else 0
    if words and len(words[i]) > 3:
        word, j = words[i], chance.randrange(len(words[i]) - 1)
        words[i] = word[:j] + word[j + 1] + word[j] + word[j + 2 :]
    return " ".join(words)


def neighbours_swapped(caption: str, chance: random.Random) -> str:
    words = caption.split()
    if len(words) > 1:
        i = chance.randrange(len(words) - 1)
        words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def halves_swapped(caption: str, _: random.Random) -> str:
    words = caption.split()
    return " ".join(words[len(words) // 2 :] + words[: len(words) // 2])


def any_order(caption: str, chance: random.Random) -> str:
    words = caption.split()
    chance.shuffle(words)
    return " ".join(words)


def a_photo_of(caption: str, _: random.Random) -> str:
    return f"a photo of {caption}"


def style(caption: str, _: random.Random) -> str:
    return f"{caption}, 4k, highly detailed, trending on artstation"


def style_around(caption: str, _: random.Random) -> str:
    after = "digital art, cinematic lighting, 8k uhd, by greg rutkowski, sharp focus"
    return f"masterpiece, best quality, {caption}, {after}"


EDITS: dict[str, Callable[[str, random.Random], str]] = {
    "verbatim": same,
    "upper case, no punctuation": upper_without_punctuation,
    "emoji around": emoji,
    "last word dropped": without_last(1),
    "last 2 dropped": without_last(2),
    "last 4 dropped": without_last(4),
    "first half only": first_half,
    "1 random word dropped": without_random(1),
    "2 random dropped": without_random(2),
    "3 random dropped": without_random(3),
    "articles, prepositions dropped": without_small_words,
    "1 synonym": synonyms(1),
    "3 synonyms": synonyms(3),
    "plural or singular": plural,
    "typing error": typing_error,
    "neighbours swapped": neighbours_swapped,
    "halves swapped": halves_swapped,
    "any order": any_order,
    "a photo of ...": a_photo_of,
    "style behind": style,
    "style around": style_around,
}
