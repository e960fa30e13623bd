"""The planted templates and boilerplate: invented shops, agencies and magazines, as rows of data.

A pattern's slots are `{rule}` (any words: `<*>` in the truth) and the typed `{NUM}`, `{SIZE}`, `{CODE}`, `{ROMAN}`
(with `_NAME` for a pool of its own) and `{year}`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SLOT_RULES: dict[str, list[str]] = {
    "ROMAN": ["I", "II", "III", "IV", "V", "VI", "VII", "VIII"],
    "SIZE": ["12'", "15'", "8x10", "15x8", "24x36", "9'", "30x40", '20"', "5x7", "16x20", '18"', "6'"],
    "SIZE_WHEEL": ["15x8", "17x7", "18x9", "16x7", "19x8", "20x9"],
    "NUM": ["{n2}", "{n2}", "{n1}", "{n3}"],
    "NUM_SMALL": ["3", "4", "5", "2", "7", "6"],
    "NUM_COLLAR": ["15", "16", "14", "17", "18"],
    "NUM_PIECES": ["500", "1000", "250", "100", "2000", "750", "150", "48"],
    "CODE": ["{n4}-{letter}{n2}", "{n2}{letter}{n3}", "{letter}{n2}_{n3}"],
    "motif": ["{look_animal} {animal}", "{animal}", "{plant}", "{animal} and {plant}", "{colour} {plant}~s", "{first}",
              "happy {first}", "{look_plant} {plant}", "{town} {scenery}", "{title}", "my {animal} loves {food}~s"],
    "scene": ["{look_scenery} {scenery} {time}", "{town} {scenery}", "{colour} {plant} {scenery}",
              "{scenery} with {animal}",
              "{look_building} {building}", "{look_scenery} {scenery} panorama"],
    "shade": ["{colour}", "{colour} {plant}", "{plant} {colour}", "{food}", "{town} {colour}", "winter {plant}"],
    "few": ["Slate", "Ivory", "Moss", "Plum", "Rust", "Ink", "Oat", "Fog"],
    "extra": ["", "", "with lid", "set of two", "for {role}~s", "in {colour} {fabric}",
              "with {colour} {material} base"],
    "artist": ["{first} {last}"],
}  # fmt: skip


class Family(NamedTuple):
    """One template: its frame with slots, the shop it comes from and how many captions it has.

    `pictures` is the number of distinct pictures (0: each caption its own), `scattered` puts it on many hosts.
    """

    group: str
    host: str
    pattern: str
    size: int
    pictures: int = 0
    scattered: bool = False

    @property
    def template(self) -> str:
        """The caption template in memaudit's syntax: lower case, separators as words, ends where they are bound."""
        numbered = self.pattern.replace("{year}", "{NUM}")
        typed = re.sub(r"\{(NUM|SIZE|CODE|ROMAN)\w*\}", lambda m: f"<{m[1].lower()}>", numbered)
        words = re.sub(r"([:|])", r" \1 ", re.sub(r"\{\w+\}", "<*>", typed).lower()).split()
        words = [w for i, w in enumerate(words) if w != "<*>" or i == 0 or words[i - 1] != "<*>"]
        return " ".join(["^"] * (words[0] != "<*>") + words + ["$"] * (words[-1] != "<*>"))


FAMILIES: tuple[Family, ...] = (
    # short slot in a long fixed frame
    Family("t01", "shop.wobblecase.example", "Wobblecase {motif} Slim Phone Case", 200, 9),
    Family("t02", "pillowmarsh.example", "{motif} - Pillowmarsh square cushion cover", 150, 4),
    Family("t03", "inkandgiggle.example", "{motif} Funny Coffee Mug by Inkandgiggle", 120, 3),
    Family("t04", "tumblethread.example", "{motif} Tumblethread organic crew neck tee - all sizes", 110, 6),
    Family("t05.1", "halvorn.example", "Halvorn Tilehouse Meridian {ROMAN} {SIZE} {shade} {CODE}", 140, 12),
    Family("t05.2", "halvorn.example", "Halvorn Tilehouse Stillwater Plank {ROMAN} {shade} {CODE}", 95, 8),
    Family("t05.3", "halvorn.example", "Halvorn Tilehouse Loft Range {shade} {CODE}", 60, 5),
    Family("t05.4", "halvorn.example", "Halvorn Tilehouse {abstract} {shade} {SIZE}", 35),
    Family("t06.1", "static.palehorse.example", "Palehorse Gallery {scene} stretched print - set of {NUM_SMALL} frames",
           130, 20),
    Family("t06.2", "static.palehorse.example", "Palehorse Gallery {scene} tin wall clock", 55),
    Family("t06.3", "static.palehorse.example", "Palehorse Gallery {scene} round mirror {SIZE}", 40),
    Family("t07.1", "knotwell.example", "Knotwell {few} hand knotted wool carpet {SIZE}", 60, 8),
    Family("t07.2", "knotwell.example", "Knotwell {shade} washable hallway runner", 70),
    Family("t07.3", "knotwell.example", "{town} {colour} flatweave mat | Knotwell Outlet", 115),
    Family("t08", "fenwright.example", "Made to measure Fenwright roman shade {brand} - swatch no {CODE}", 85, 7),
    Family("t09", "img.zippelin.example", "Zippelin Trail Rucksack {NUM} Litre - view {NUM}", 45, 2),
    Family("t10", "torquebarn.example", "Torquebarn {CODE} alloy wheel {SIZE_WHEEL} {few} finish", 120, 4),
    Family("t11", "cdn.lampolina.example", "Lampolina {brand} pendant light in {colour} glass", 90),
    Family("t12", "maisonvolette.example", "Maison Volette {few} quilted bed throw {SIZE}", 48, 3),
    Family("t13", "paperowl.example", "{motif} birthday greeting card | Paper Owl Post", 125, 10),
    Family("t14", "puzzlequay.example", "{scene} {NUM_PIECES} piece wooden jigsaw - Puzzle Quay", 75),
    Family("t15", "stickermoth.example", "{motif} die cut vinyl laptop sticker", 140, scattered=True),
    Family("t16", "bolderwatch.example", "Bolder and Finch Chronograph {CODE} {few} strap", 50, 2),
    Family("t17", "wallpaperwell.example", "{scene} wallpaper mural peel and stick", 80),
    Family("t18", "kindertrix.example", "Kindertrix personalised name puzzle {first}", 58, 1),
    Family("t19", "brewhaus-lotte.example", "Brewhaus Lotte {food} stout {NUM} cl bottle", 40),
    Family("t20", "seedwagon.example", "Seedwagon organic {plant} seeds - {NUM} grams {extra}", 65),
    # prefix-only and suffix-only frames
    Family("t21", "sleuthreels.example", "Behind the scenes at Orchard Lane Studios {artist} {doing_role}", 38),
    Family("t22", "quillandcrumb.example", "Quill and Crumb Kitchen Diaries: {food} {dish}", 64),
    Family("t23", "runestonegames.example", "Runestone Skirmish card reveal: {title}", 72),
    Family("t24", "oldmapsattic.example", "Antique county map engraving of {town} {extra}", 44),
    Family("t25", "posterpony.example", "{motif} vintage travel poster print", 92, scattered=True),
    Family("t26", "tinybarkery.example", "{animal} bandana collar by Tiny Barkery", 33),
    Family("t27", "photofolk.example", "{scene} photograph by {artist} on Photofolk", 100),
    Family("t28", "velvetanvil.example", "{material} {object} wedding favour from Velvet Anvil", 36),
    # film and music news of one site: the frame is in the middle or at both ends
    Family("t29", "pinwheelnews.example", "{NUM} forgotten {role} heroes ranked by our readers", 16),
    Family("t30", "pinwheelnews.example", "{artist} cast in new season of Lighthouse Precinct", 30, 3),
    Family("t31", "pinwheelnews.example", "Watch {artist} cover Moonlit Turnip live in {town}", 22),
    # typed slots, small pools, few pictures
    Family("t32", "gearvolt.example", "Gearvolt brake pad kit {CODE} front axle {NUM} mm", 85, 3),
    Family("t33", "stoverplan.example", "House plan {CODE} with {NUM_SMALL} bedrooms and {NUM_SMALL} baths", 60, 12),
    Family("t34", "numismatta.example", "{year} silver {town} crown coin obverse grade {ROMAN}", 42),
    Family("t35", "kantorshirt.example", "Kantorshirt {few} oxford slim fit collar {NUM_COLLAR}", 24, 4),
    Family("t36", "yarnivore.example", "Yarnivore merino sock yarn colourway {shade} lot {NUM}", 78, 6),
    Family("t37", "glimmerbox.example", "{colour} {food} scented soy candle in tin - Glimmerbox", 68, 5),
    Family("t38", "drumlinbikes.example", "Drumlin Cycles {town} {ROMAN} gravel bike {few}", 55, 5),
    Family("t39", "hushloft.example", "Hushloft acoustic panel {SIZE} {few} felt", 12, 2),
    Family("t40", "minifolk.example", "Minifolk series {ROMAN} figure {NUM} {role}", 5, 1),
)  # fmt: skip

TAILS: tuple[tuple[str, str, int], ...] = (
    # stock agencies, magazines, page furniture: a long free caption on any host, then (or before it) the same words
    ("b01", "{BODY} stock photo {n4}{n4}", 120),
    ("b02", "{BODY} - Royalty free image by Pixmeadow {n4}{n3}", 110),
    ("b03", "{BODY} | Lumistock Editorial {n3}-{n4}", 80),
    ("b04", "{BODY} Vector Illustration - Download from Quartzpic", 90),
    ("b05", "{BODY}. Home ideas", 80),
    ("b06", "{BODY}. Cosy Rooms and Interior Inspiration | Nesting Weekly", 90),
    ("b07", "{BODY} ... pin it for later on Tackboard", 60),
    ("b08", "{BODY} (click to view larger picture)", 90),
    ("b09", "{BODY} - photo {n2} of {n2} in gallery", 70),
    ("b10", "The picture shows {BODY}, as described by an automatic captioning service", 80),
    ("b11", "Image loading, please wait: {BODY}", 55),
    ("b12", "{BODY} » read the full story at {town} Courier", 75),
    ("b13", "{BODY}. Photograph: handout", 50),
)

COMMON: tuple[tuple[str, str], ...] = (
    # the most repeated captions, and whose picture they stand under: "own" for each row, "same", or "few"
    ("Sunset", "own"), ("Image coming soon", "same"), ("Product photo", "own"), ("Portrait of a woman", "own"),
    ("Close", "same"), ("Marbletop Deluxe Sourdough Starter Jar, 1 litre", "same"), ("Cat", "own"), ("Beach", "own"),
    ("Floor plan", "own"), ("Loading", "same"), ("The Lantern Keeper's Daughter - official poster", "few"),
    ("Logo", "own"), ("Untitled design", "own"), ("Happy birthday!", "own"), ("Figure 1", "own"),
    ("Old wooden bridge in the fog", "same"), ("Mayor of Quorstead unveils the restored carousel", "few"),
    ("Photo de profil", "own"), ("Garden", "own"), ("猫", "own"), ("Zwölf Äpfel & eine Birne", "few"),
    ("Café Tørnby, façade", "same"), ("Front view", "own"), ("закат", "own"),
    ("Dunmarrow Single Malt <b>12 Years</b> gift box", "same"), ("thumbnail", "own"), ("Before &amp; after", "own"),
    ("The great Ossel bell, cast in 1743, on its way to the tower", "same"), ("wedding", "own"), ("الغروب", "own"),
    ("Snailspace Season 2 key art", "few"), ("Nobody told the ducks", "few"), ("Map", "own"), ("Banner", "own"),
)  # fmt: skip
