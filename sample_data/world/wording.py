"""Captions of the world: what is in a picture, and the many ways to say it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from random import Random

SUBJECTS: dict[str, tuple[str, ...]] = {
    "sailboat": ("sailboat", "yacht", "dinghy"),
    "lighthouse": ("lighthouse", "beacon"),
    "castle": ("castle", "fortress", "keep"),
    "cottage": ("cottage", "cabin", "little house"),
    "cactus": ("cactus", "saguaro"),
    "pine": ("pine", "fir tree", "spruce"),
    "balloon": ("hot air balloon", "airship"),
    "mushroom": ("mushroom", "toadstool"),
    "windmill": ("windmill", "flour mill"),
    "tent": ("tent", "campsite", "wigwam"),
    "rocket": ("rocket", "spaceship"),
    "snowman": ("snowman", "snow figure"),
    "umbrella": ("umbrella", "parasol"),
    "whale": ("whale", "leviathan"),
    "palm": ("palm", "coconut tree"),
    "cat": ("cat", "kitten", "tomcat"),
    "fish": ("fish", "carp", "goldfish"),
    "tower": ("tower", "belfry", "watchtower"),
}
COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson", "scarlet"),
    "orange": ("orange", "amber", "rust"),
    "yellow": ("yellow", "golden", "lemon"),
    "green": ("green", "emerald", "olive"),
    "blue": ("blue", "cobalt", "navy"),
    "purple": ("purple", "violet", "plum"),
    "pink": ("pink", "rose", "coral"),
    "white": ("white", "ivory", "pale"),
    "black": ("black", "charcoal", "inky"),
}
PLACES: dict[str, tuple[str, ...]] = {
    "meadow": ("in a meadow", "on the pasture", "amid wildflowers", "upon fresh grass", "between clover fields"),
    "desert": ("in the desert", "among sand dunes", "on dry ground", "where nothing grows", "along a caravan trail"),
    "snow": ("in deep snow", "on frozen tundra", "after heavy snowfall", "across white drifts", "near an ice field"),
    "sea": ("at sea", "over choppy waves", "off the coast", "beyond the harbour wall", "where gulls circle"),
    "beach": ("on a beach", "by the shore", "at low tide", "next to tide pools", "along warm sand"),
    "city": ("in the city", "before a skyline", "above rooftops", "downtown", "behind office blocks"),
    "forest": ("in a forest", "under old oaks", "by the woods", "deep among ferns", "past the tree line"),
    "mountain": ("in the mountains", "below a summit", "up an alpine pass", "facing rugged peaks", "high on a ridge"),
    "lake": ("beside a lake", "at the pond", "with still water", "on a quiet bay", "mirrored by the lagoon"),
}
TIMES: dict[str, tuple[str, ...]] = {
    "dawn": ("at dawn", "early morning", "daybreak", "first light", "as the fog lifts"),
    "noon": ("at noon", "midday", "bright afternoon", "clear weather", "lunch hour"),
    "dusk": ("at dusk", "sunset", "evening glow", "late in the day", "before supper"),
    "night": ("at night", "moonlit", "after midnight", "starry hours", "past bedtime"),
    "storm": ("during a storm", "overcast", "thunder coming", "grey weather", "rain expected"),
}
LOOKS = (
    "old", "tiny", "lonely", "crooked", "sleepy", "painted", "weathered", "shiny", "odd", "proud", "dusty", "gentle",
    "giant", "forgotten", "cheerful", "broken", "elegant", "rusty", "quiet", "handmade", "striped", "famous", "humble",
    "curious", "fragile", "noble", "wooden", "plain", "spotted", "haunted", "clumsy", "modern", "mossy", "borrowed",
)  # fmt: skip
MEDIA = (
    "photo", "sketch", "postcard", "oil painting", "watercolour", "poster", "snapshot", "illustration", "woodcut",
    "mural", "pastel", "stamp", "still", "drawing", "collage", "engraving", "cover art", "gouache",
)  # fmt: skip
TOWNS = (
    "Ostrabay", "Kelmwick", "Dunfarrow", "Pellinore", "Tavish", "Morvane", "Lindholt", "Quarrow", "Ebberly",
    "Sandrith", "Norvik", "Aldemouth", "Ferrisby", "Galdene", "Hosterwick", "Immerley", "Jorunn", "Castelo", "Vardo",
    "Wexmere", "Ambleth", "Brackenow", "Cordray", "Drumlea", "Elsinby", "Fallowden", "Greystan", "Hollin", "Islemoor",
    "Yarrowgate",
)  # fmt: skip
FIRST = (
    "Mira", "Otto", "Ines", "Jonas", "Talia", "Felix", "Nadia", "Bruno", "Selma", "Hugo", "Lena", "Marek", "Olive",
    "Pavel", "Rosa", "Stellan", "Yusuf", "Wanda", "Cleo", "Dario", "Edda", "Goran", "Hedy", "Ivo", "Juno",
)  # fmt: skip
LAST = (
    "Brandt", "Okafor", "Lindqvist", "Marlow", "Petrov", "Quill", "Sato", "Thorne", "Vance", "Wilder", "Abara", "Costa",
    "Dray", "Ellery", "Fontaine", "Grieg", "Harlow", "Ibsen", "Juhl", "Kessler", "Loxley", "Moreau", "Nakata",
    "Oyelaran",
)  # fmt: skip
SHAPES = (
    # most of the picture stays unsaid
    "{look} {colour} {subject} {place}", "{medium} of a {colour} {subject} {place}",
    "{time} near {town}: the {colour} {subject}", "{subject} in {colour}, {place}, {town}",
    "{place}, a {look} {subject} by {name}", "{town} {medium} with {colour} {subject}",
    "my {look} {subject} ({colour}) {time}", "{colour} {subject} and nobody else, {time}, {town}",
    "why is this {look} {subject} so {colour}? asks {name}", "we found one {look} {colour} {subject} {place}",
    "{name} saw her {colour} {subject} {time}", "{look} {subject}, {colour}, seen from {town}",
    "{medium}: {look} {subject} {place}", "{time}. {colour} {subject}. {town}",
    "that {colour} {subject} everyone in {town} talks about", "{town}'s {look} {colour} {subject}",
    "lost {subject}, {colour}, last spotted {place}", "{colour} is how {name} remembers the {look} {subject}",
    "{place} stands our {look} {subject}", "two walks to the {colour} {subject}, {medium} by {name}",
    "{name}: {look} {subject} {time}, {town} edition", "{medium} from {town}, {subject} turned {colour}",
    "{colour} and {look}: a {subject} {place}", "no {subject} was ever more {look} than {time} near {town}",
)  # fmt: skip


class Content(NamedTuple):
    """What a caption says of its picture, as keys of the tables above; None is what it leaves open."""

    subject: str
    colour: str | None = None
    place: str | None = None
    time: str | None = None


def draw_caption(rng: Random) -> tuple[str, Content]:
    """Any content in one of the ways to say it."""
    shape = rng.choice(SHAPES)
    subject, colour, place, time = (rng.choice(list(table)) for table in (SUBJECTS, COLOURS, PLACES, TIMES))
    said = shape.format(
        subject=rng.choice(SUBJECTS[subject]),
        colour=rng.choice(COLOURS[colour]),
        place=rng.choice(PLACES[place]),
        time=rng.choice(TIMES[time]),
        look=rng.choice(LOOKS),
        medium=rng.choice(MEDIA),
        town=rng.choice(TOWNS),
        name=rng.choice(FIRST),
    )
    parts = {"colour": colour, "place": place, "time": time}
    content = Content(subject, **{part: word for part, word in parts.items() if f"{{{part}}}" in shape})
    return re.sub(r"\ba (?=[aeiou])", "an ", said), content


def fill(content: Content | None, rng: Random) -> tuple[str, str, str, str]:
    """Subject, colour, place and time with a draw for each that is open (all of them without a content)."""
    tables = (SUBJECTS, COLOURS, PLACES, TIMES)
    drawn = [rng.choice(list(table)) for table in tables]
    subject, colour, place, time = (said or other for said, other in zip(content or [None] * 4, drawn, strict=True))
    return subject, colour, place, time


class Print(NamedTuple):
    """What the print of a shop's picture shows."""

    motif: str
    colour: str


MOTIFS = ("star", "heart", "leaf", "moon", "fish", "cat", "mushroom", "cactus", "whale", "balloon", "sailboat", "pine")


def draw_print(rng: Random) -> tuple[Print, str, str]:
    """A print, its wording ("rusty amber whale" or "amber whale") and the name of its artist."""
    motif, colour = rng.choice(MOTIFS), rng.choice(list(COLOURS))
    look = rng.choice(LOOKS) + " " if rng.random() < 0.4 else ""
    words = f"{look}{rng.choice(COLOURS[colour])} {motif}"
    return Print(motif, colour), words, f"{rng.choice(FIRST)} {rng.choice(LAST)}"
