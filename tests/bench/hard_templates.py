"""A hard set for template miners: many templates, several slots of no to four words each, in word salad of the same
words.

    python -m tests.bench.hard_templates OUT.parquet [--templates 2000] [--seed 0]

A template is one to four fixed runs of one to five words with one to three slots between, before or behind them; runs
and slots draw from one Zipf vocabulary, so that templates share their common words with each other and with the noise.
Every slot of every caption holds no to four words. Support is Zipf, from five to some six hundred distinct captions;
30 % of the captions are noise of the same words and lengths. What makes a template one: at least three fixed words and
`LEAST_BITS` of fixed information; with less it could not be told from chance.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from tests.bench.generate import ASCII, MAX_WORDS, MEAN_WORDS, SIGMA, invent_words

VOCABULARY = 20_000
OFFSET = 2.7  # of the Zipf law, as in generate.py
MOST_SLOTS, MOST_SLOT_WORDS, MOST_RUN_WORDS, LEAST_WORDS = 3, 4, 5, 3
OPEN = 0.3  # how often a template begins with a slot, and how often it ends with one
LEAST_BITS = 24.0  # -log2 of the probability of all fixed words
LEAST_SUPPORT, SUPPORT, FLATTEN = 5, 12_000, 20  # support of rank r: LEAST_SUPPORT + SUPPORT / (r + FLATTEN)
NOISE = 0.3
ROMAN = re.compile("[ivxlcdm]+")  # such words would be shapes
SLOT = "<*>"


@dataclass(frozen=True)
class HardSet:
    """captions: all different; template: int64 by caption, -1 for noise; texts: what each template reads like."""

    captions: list[str]
    template: np.ndarray
    texts: list[str]

    def first(self, n: int) -> HardSet:
        """The first n captions: they are shuffled, so this is a sample."""
        return HardSet(self.captions[:n], self.template[:n], self.texts)


class Words:
    """A Zipf vocabulary."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        drawn = invent_words(ASCII, 2 * size, rng).tolist()
        kept = [word for word in drawn if len(word) > 2 and not ROMAN.fullmatch(word)][:size]
        self.words = np.array(kept, dtype=object)
        share = (np.arange(len(kept)) + OFFSET) ** -1.0
        self.cumulative = np.cumsum(share) / share.sum()
        self.bits = -np.log2(share / share.sum())
        self.rng = rng

    def draw(self, n: int) -> np.ndarray:
        """Numbers of n words."""
        return np.minimum(np.searchsorted(self.cumulative, self.rng.random(n)), len(self.words) - 1)

    def spelled(self, numbers: np.ndarray) -> list[str]:
        return list(self.words[numbers])


def template(words: Words, rng: np.random.Generator) -> list[list[str] | None]:
    """Fixed runs, and None for slots, in order."""
    while True:
        n_slots = int(rng.integers(1, MOST_SLOTS + 1))
        opens, ends = bool(rng.random() < OPEN), bool(rng.random() < OPEN)
        n_runs = n_slots + 1 - opens - ends
        if n_runs < 1:
            continue
        numbers = [words.draw(int(rng.integers(1, MOST_RUN_WORDS + 1))) for _ in range(n_runs)]
        fixed = np.concatenate(numbers)
        if len(fixed) < LEAST_WORDS or words.bits[fixed].sum() < LEAST_BITS:
            continue
        parts: list[list[str] | None] = [None] if opens else []
        for run in numbers:
            parts += [words.spelled(run), None]
        return parts if ends else parts[:-1]


def written(parts: list[list[str] | None]) -> str:
    """A template in memaudit's syntax: "^ harbour mills <*> curtain"."""
    text = [SLOT if part is None else " ".join(part) for part in parts]
    return " ".join(["^"] * (parts[0] is not None) + text + ["$"] * (parts[-1] is not None))


def filled(parts: list[list[str] | None], words: Words, rng: np.random.Generator) -> str:
    """One caption of a template."""
    pieces = [words.spelled(words.draw(int(rng.integers(0, MOST_SLOT_WORDS + 1)))) if p is None else p for p in parts]
    return " ".join(word for piece in pieces for word in piece)


def noise(words: Words, rng: np.random.Generator) -> str:
    """Word salad, as long as web captions are."""
    mean = np.log(MEAN_WORDS) - SIGMA**2 / 2
    return " ".join(words.spelled(words.draw(int(np.clip(np.rint(rng.lognormal(mean, SIGMA)), 3, MAX_WORDS)))))


def hard_set(n_templates: int = 2_000, seed: int = 0) -> HardSet:
    """Captions in random order. 2,000 templates make 93,000; seconds."""
    rng = np.random.default_rng([seed, 20231206])
    words = Words(rng, VOCABULARY)
    shapes = [template(words, rng) for _ in range(n_templates)]
    owner: dict[str, int] = {}
    for k, parts in enumerate(shapes):
        wanted = len(owner) + LEAST_SUPPORT + SUPPORT // (k * 2_000 // n_templates + FLATTEN)
        while len(owner) < wanted:
            owner.setdefault(filled(parts, words, rng), k)
    wanted = round(len(owner) / (1 - NOISE))
    while len(owner) < wanted:
        owner.setdefault(noise(words, rng), -1)
    order = rng.permutation(len(owner)).tolist()
    captions, labels = list(owner), list(owner.values())
    return HardSet([captions[i] for i in order], np.array([labels[i] for i in order]), [written(p) for p in shapes])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write captions of hard templates, and their truth.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--templates", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    made = hard_set(arguments.templates, arguments.seed)
    texts = pl.Series([*made.texts, None]).gather(np.where(made.template < 0, len(made.texts), made.template))
    pl.DataFrame({"caption": made.captions, "group": made.template, "template": texts}).write_parquet(arguments.out)


if __name__ == "__main__":
    main()
