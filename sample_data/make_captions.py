"""Writes the sample captions and the truth about what was planted in them; see README.md.

    python sample_data/make_captions.py [--out DIR]

Everything follows from one seed: two runs write the same bytes.
"""

from __future__ import annotations

import argparse
import re
import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random

import polars as pl
from families import COMMON, FAMILIES, SLOT_RULES, TAILS, Family
from grammar import RULES, Grammar
from overlap import OverlapIndex, jaccard, shingles, words

SEED = 2312
TOTAL = 20_000
PARTS = (("part-0.parquet", 8_500), ("part-1.parquet", 8_500), ("part-2.csv", 3_000))
EXACT_GROUPS, LARGEST_EXACT = 230, 400
NEAR_GROUPS = 260
FOREIGN_SHARE = 0.12
WORD_CLASSES = (
    *("role", "animal", "plant", "food", "scenery", "building", "object", "vehicle", "cloth", "furniture", "material"),
    *("fabric", "colour", "first", "last", "town", "abstract", "topic", "month"),
    *(
        rule
        for rule in RULES
        if rule.startswith(("look_", "doing_")) and rule not in ("look_thing", "look_being", "look_place")
    ),
)
PLACEHOLDERS = 80  # unique captions whose picture is one "not found" picture

DROPPABLE = frozenset(["a", "an", "the", "of", "in", "at", "and", "with", "is", "for", "by"])
WORD_RULES = {word.lower(): rule for rule in WORD_CLASSES for word in RULES[rule]}
"""The grammar's rule for a word, so that an edit can put a like one in its place."""


@dataclass(frozen=True)
class Row:
    """One caption and what is true about it; `picture` names its picture, equal names have equal hashes."""

    kind: str
    group: str | None
    template: str | None
    caption: str
    host: str
    picture: str


class Sample:
    """The rows planted so far, with the index that keeps different groups apart."""

    def __init__(self, seed: int = SEED) -> None:
        self.rng = Random(seed)
        self.grammar = Grammar(self.rng, SLOT_RULES)
        self.index = OverlapIndex()
        self.rows: list[Row] = []
        self.hosts = self._invent_hosts(700)

    def host(self) -> str:
        """A host of the open web, a few of them far more often than most."""
        return self.hosts[int(len(self.hosts) * self.rng.random() ** 2.2)]

    def plant(
        self, kind: str, group: str | None, caption: str, host: str, picture: str = "", template: str | None = None
    ) -> None:
        """Adds a row; without a picture's name it has a picture of its own."""
        self.rows.append(Row(kind, group, template, caption, host, picture or f"own-{len(self.rows)}"))

    def new(self, least_words: int = 1) -> str:
        """A caption of the grammar that repeats or resembles nothing so far; it is taken from now on."""
        while True:
            foreign = self.rng.random() < FOREIGN_SHARE
            caption = self._noisy(self.grammar.foreign() if foreign else self.grammar.caption())
            text = words(caption)
            spaced = len(caption.split()) >= least_words
            if spaced and len(text) >= least_words and not self.index.patterned(text) and not self.index.near(text):
                self.index.add(text)
                return caption

    def _noisy(self, caption: str) -> str:
        roll = self.rng.random()
        if roll < 0.02:
            return unicodedata.normalize("NFD", caption)
        if roll < 0.035:
            return caption.replace("&", "&amp;") if "&" in caption and ";" not in caption else f"<p>{caption}</p>"
        return caption.replace(" ", "  ", 1) if roll > 0.99 else caption

    def _invent_hosts(self, n: int) -> list[str]:
        shapes = (
            "{brand}{web}",
            "{town}-{web}",
            "{last}.{web}",
            "{animal}{web}",
            "img.{town}",
            "cdn{n1}.{brand}",
            "{first}{last}",
        )
        found: dict[str, None] = {}
        while len(found) < n:
            name = unicodedata.normalize("NFKD", self.grammar.expand(self.grammar.pick(shapes))).lower()
            found[re.sub(r"[^a-z0-9.-]", "", name) + ".example"] = None
        return list(found)


def plant_templates(sample: Sample) -> None:
    """Every family's captions, each a text of its own."""
    for family in FAMILIES:
        planted = 0
        while planted < family.size:
            caption = sample.grammar.expand(family.pattern)
            text = words(caption)
            if text in sample.index:
                continue
            sample.index.add(text, count_runs=False)
            host = sample.host() if family.scattered or sample.rng.random() < 0.03 else family.host
            sample.plant("template", family.group, caption, host, _family_picture(sample, family), family.template)
            planted += 1


def plant_exact(sample: Sample) -> None:
    """Captions 2 to 400 times, sizes Zipf-like; about one group in four is written in several ways."""
    for k in range(EXACT_GROUPS):
        caption, pictures = COMMON[k] if k < len(COMMON) else ("", sample.grammar.pick(("own", "same", "same", "few")))
        if caption:
            sample.index.add(words(caption))
        else:
            caption = sample.new()
        home, varied = sample.host(), k % 4 == 0
        for i in range(max(2, round(LARGEST_EXACT / (k + 1) ** 0.97))):
            picture = {"own": "", "same": f"e{k}", "few": f"e{k}-{sample.grammar.below(4)}"}[pictures]
            written = _rewrite(sample, caption) if varied and i else caption
            sample.plant("exact", f"e{k:03}", written, sample.host() if pictures == "own" else home, picture)


def plant_near(sample: Sample) -> None:
    """Captions of at least eight words and one- or two-word edits of each that stay at Jaccard >= .7 of it."""
    for k in range(NEAR_GROUPS):
        base = sample.new(least_words=8)
        host, same_picture = sample.host(), sample.rng.random() < 0.4
        wanted = 2 + int(11 * sample.rng.random() ** 2)
        members = {words(base): base}
        for _ in range(300):  # some captions allow few edits
            if len(members) == wanted:
                break
            edited = _edit(sample, base)
            text = words(edited)
            if text not in sample.index and jaccard(shingles(words(base)), shingles(text)) >= 0.7:
                members[text] = edited
                sample.index.add(text, count_runs=False)
        if len(members) == 1:
            sample.plant("unique", None, base, host)
            continue
        for caption in members.values():
            sample.plant("near", f"n{k:03}", caption, host, f"n{k}" if same_picture else "")


def plant_boilerplate(sample: Sample) -> None:
    """Long free captions with the same words at one end, each on a host and with a picture of its own."""
    for group, pattern, size in TAILS:
        for _ in range(size):
            body = sample.new()
            least = 6 + sample.grammar.below(20)
            while len(body.split()) < least:
                body += sample.grammar.pick((", ", ". ", " - ", " ")) + sample.new()
            before, after = pattern.split("{BODY}")
            caption = sample.grammar.expand(before) + " " * (before != "") + body.rstrip(".") + _tail(sample, after)
            sample.index.add(words(caption), count_runs=False)
            sample.plant("boilerplate", group, caption, sample.host())


def plant_unique(sample: Sample) -> None:
    """Fills up to TOTAL with captions that resemble nothing else."""
    for i in range(TOTAL - len(sample.rows)):
        placeholder = "placeholder" if i < PLACEHOLDERS else ""
        sample.plant("unique", None, sample.new(), sample.host(), placeholder)


def write(rows: list[Row], rng: Random, out: Path) -> None:
    """Shuffles the rows into the parts and writes them under out/captions, the truth under out/truth."""
    order = sorted(range(len(rows)), key=[rng.random() for _ in rows].__getitem__)
    (out / "captions").mkdir(parents=True, exist_ok=True)
    (out / "truth").mkdir(parents=True, exist_ok=True)
    truth, start = [], 0
    for name, n in PARTS:
        part = [rows[i] for i in order[start : start + n]]
        frame = pl.DataFrame(
            {
                "uid": [f"mc-{start + i:06}" for i in range(n)],
                "url": [f"https://{r.host}/{_path(rng)}" for r in part],
                "caption": [r.caption for r in part],
                "phash": [blake2b(r.picture.encode(), digest_size=8).hexdigest() for r in part],
            }
        )
        if name.endswith(".csv"):
            frame.select("caption", "url").write_csv(out / "captions" / name)
        else:
            frame.write_parquet(out / "captions" / name, compression="zstd", compression_level=19)
        truth += [(name, i, r.kind, r.group, r.template) for i, r in enumerate(part)]
        start += n
    schema = {"file": pl.String, "row": pl.UInt64, "kind": pl.String, "group": pl.String, "template": pl.String}
    pl.DataFrame(truth, schema=schema, orient="row").write_parquet(out / "truth" / "truth.parquet", compression="zstd")


def _family_picture(sample: Sample, family: Family) -> str:
    return f"{family.group}-{sample.grammar.below(family.pictures)}" if family.pictures else ""


def _tail(sample: Sample, after: str) -> str:
    gap = " " * (len(after) - len(after.lstrip()))
    return gap + sample.grammar.expand(after) if after else ""


def _path(rng: Random) -> str:
    number = int(rng.random() * 90_000) + 10_000
    year = 2014 + int(rng.random() * 10)
    return (f"{number}.jpg", f"img/{number}.jpg", f"p/{number}.webp", f"uploads/{year}/{number}.jpg")[
        int(rng.random() * 4)
    ]


def _rewrite(sample: Sample, caption: str) -> str:
    """The same words in another case, punctuation, markup or Unicode form."""
    ways = (
        caption, caption, caption.upper(), caption.lower(), caption.title(), caption + ".", caption + "!",
        f"<b>{caption}</b>",
        caption.replace(" ", "  "), unicodedata.normalize("NFD", caption), f"“{caption}”", caption.replace("'",
        "&#39;"),
        caption.replace(" ", " - ", 1), f"&nbsp;{caption}", f"{caption} …",
    )  # fmt: skip
    written = sample.grammar.pick(ways)
    return written if words(written) == words(caption) else caption


def _edit(sample: Sample, caption: str) -> str:
    """One or two words replaced by their like, dropped, inserted or swapped with a neighbour."""
    parts = caption.split()
    for _ in range(1 + (len(parts) > 13 and sample.rng.random() < 0.5)):
        at = sample.grammar.below(len(parts) - 1)
        core = re.sub(r"^\W+|\W+$", "", parts[at])
        rule = WORD_RULES.get(core.lower(), "n2" if core.isdigit() else "")
        roll = sample.rng.random()
        if rule and roll < 0.6:
            like = sample.grammar.expand("{" + rule + "}")
            parts[at] = parts[at].replace(core, like.capitalize() if core[0].isupper() else like)
        elif rule and f"look_{rule}" in WORD_RULES.values() and roll < 0.8:
            parts.insert(at, sample.grammar.expand("{" + sample.grammar.pick((f"look_{rule}", "colour")) + "}"))
        elif roll < 0.93 and (rule.startswith("look_") or rule == "colour" or core.lower() in DROPPABLE):
            del parts[at]
        elif roll > 0.985:
            parts[at], parts[at + 1] = parts[at + 1], parts[at]
    return " ".join(parts)


def main() -> None:
    """Makes the sample and prints how many rows there are of each kind."""
    parser = argparse.ArgumentParser(description="Write the sample captions and their truth.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for captions/ and truth/")
    out = parser.parse_args().out
    sample = Sample()
    for plant in (plant_templates, plant_exact, plant_near, plant_boilerplate, plant_unique):
        plant(sample)
    write(sample.rows, sample.rng, out)
    kinds = [r.kind for r in sample.rows]
    print(", ".join(f"{kinds.count(k):,} {k}" for k in dict.fromkeys(kinds)))


if __name__ == "__main__":
    main()
