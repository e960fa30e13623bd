"""Writes captions for benchmarks: the shape of a web dataset at any size, with every kind of repetition in it.

    python tests/bench/generate.py OUT.parquet --rows 1000000 [--seed 0] [--language mixed|ascii|multilingual]

For speed and memory figures, not for quality: the words are pronounceable noise. Of the rows 25 % are exact repeats
(Zipf sizes), 10 % near-duplicates (one word replaced, dropped or inserted), 10 % come from a few thousand templates per
million rows; lengths, Zipf word use and hosts follow web alt text. A chunk of rows depends only on (seed, chunk number,
its length), so memory stays bounded at 100 M rows; repeats refer to captions of their own chunk and to a common pool.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

CHUNK = 250_000
VOCABULARY = 200_000
HOSTS = 5_000
MEAN_WORDS, SIGMA = 10.0, 0.65
EXACT, NEAR, TEMPLATE = 0.25, 0.10, 0.10
FOREIGN = {"ascii": 0.0, "mixed": 0.05, "multilingual": 0.5}
TEMPLATES_PER_CHUNK = 1_000
COMMON_REPEATS = 0.3  # of the exact repeats: from the pool that all chunks share, so that repeats cross row groups
COMMON_POOL = 2_000
MAX_WORDS = 64


class Script(NamedTuple):
    """An inventory of syllables and what stands between words."""

    onsets: str
    vowels: str
    codas: str
    join: str = " "


SCRIPTS = (
    Script("b c d f g l m n p r s t v é à", "a e i o u é è ö ü ã", "n r s l t ñ ç"),
    Script("б в г д ж з к л м н п р с т ч", "а е и о у ы я", "й н р л т"),
    Script(
        "山 水 木 火 土 金 日 月 人 大 小 中 国 花 鸟 鱼",
        "天 地 石 田 草 春 夏 秋 冬",
        "门 车 马 书 心 手",
        "",
    ),
    Script("ب ت ج د ر س ش ع ف ق ك ل م ن", "ا و ي", "ب ر ن م ل"),
)
ASCII = Script("b br c ch d f fl g h j k l m n p r s st t tr v w z", "a e i o u ea", "n r s l t m d ck")


@dataclass
class Texts:
    """Captions as word numbers: `words` int32 (n, MAX_WORDS); the first `lengths` int64 (n,) of each row count."""

    words: np.ndarray
    lengths: np.ndarray

    def take(self, rows: np.ndarray) -> Texts:
        return Texts(self.words[rows], self.lengths[rows])

    def put(self, rows: np.ndarray, texts: Texts) -> None:
        self.words[rows], self.lengths[rows] = texts.words, texts.lengths


def invent_words(script: Script, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` different words of one to four syllables, the short ones first (as in speech); object (count,)."""
    onsets, vowels, codas = (np.array(s.split(), dtype=object) for s in script[:3])
    found: dict[str, None] = {}
    syllables = 1 if script.join else 2
    while len(found) < count:
        n = min(count, 60 * 12**syllables)
        word = np.full(n, "", dtype=object)
        for _ in range(min(syllables, 4)):
            word = word + rng.choice(onsets, n) + rng.choice(vowels, n)
        word = np.where(rng.random(n) < 0.4, word + rng.choice(codas, n), word)
        found |= dict.fromkeys(word.tolist())
        syllables += 1
    return np.array(list(found)[:count], dtype=object)


class Generator:
    """Makes chunks; the vocabulary, the common pool and the hosts are drawn once from the seed."""

    def __init__(self, seed: int, language: str) -> None:
        self.seed = seed
        self.foreign = FOREIGN[language]
        rng = np.random.default_rng([seed, 0])
        self.vocabulary = pa.array(invent_words(ASCII, VOCABULARY, rng).tolist(), pa.string())
        self.scripts = [pa.array(invent_words(s, VOCABULARY // 20, rng).tolist(), pa.string()) for s in SCRIPTS]
        self.cumulative = np.cumsum((np.arange(VOCABULARY) + 2.7) ** -1.0)
        hosts = invent_words(ASCII, HOSTS, rng)
        self.hosts = pa.array([f"https://{h}{i % 97}.example/" for i, h in enumerate(hosts)], pa.string())
        self.common = self.fresh(COMMON_POOL, rng)

    def draw_words(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Zipf word numbers, int32."""
        drawn = np.searchsorted(self.cumulative, rng.random(shape, dtype=np.float32) * self.cumulative[-1])
        return np.minimum(drawn, VOCABULARY - 1).astype(np.int32)

    def fresh(self, n: int, rng: np.random.Generator) -> Texts:
        """`n` captions of random words with log-normal lengths."""
        mu = np.log(MEAN_WORDS) - SIGMA**2 / 2
        lengths = np.clip(np.rint(rng.lognormal(mu, SIGMA, n)), 1, MAX_WORDS - 1).astype(np.int64)
        words = np.zeros((n, MAX_WORDS), dtype=np.int32)
        words[np.arange(MAX_WORDS) < lengths[:, None]] = self.draw_words((int(lengths.sum()),), rng)
        return Texts(words, lengths)

    def templated(self, n: int, rng: np.random.Generator) -> Texts:
        """`n` captions of templates of four to nine words with one or two one-word slots, support Zipf."""
        frames = max(1, TEMPLATES_PER_CHUNK * n // int(CHUNK * TEMPLATE))
        words = np.zeros((frames, MAX_WORDS), dtype=np.int32)
        lengths = rng.integers(4, 10, frames)
        words[:, :10] = self.draw_words((frames, 10), rng)
        slots = rng.permuted(np.tile(np.arange(4), (frames, 1)), axis=1)[:, :2]
        single = rng.random(frames) < 0.5
        slots[single, 1] = slots[single, 0]
        chosen = zipf_ranks(frames, n, rng)
        texts = Texts(words, lengths).take(chosen)
        for slot in (0, 1):
            texts.words[np.arange(n), slots[chosen, slot]] = self.draw_words((n,), rng)
        return texts

    def near(self, texts: Texts, rng: np.random.Generator) -> Texts:
        """`texts` with one word replaced, dropped or inserted at a random place."""
        n = len(texts.lengths)
        at = (rng.random(n) * texts.lengths).astype(np.int64)
        action = rng.integers(0, 3, n)
        shift = np.where(action == 1, 1, np.where(action == 2, -1, 0))
        columns = np.arange(MAX_WORDS)
        source = np.clip(columns + np.where(columns >= at[:, None], shift[:, None], 0), 0, MAX_WORDS - 1)
        words = np.take_along_axis(texts.words, source, axis=1)
        changed = action != 1
        words[np.flatnonzero(changed), at[changed]] = self.draw_words((int(changed.sum()),), rng)
        return Texts(words, texts.lengths - shift)

    def chunk(self, number: int, rows: int) -> tuple[pa.Table, np.ndarray]:
        """One row group (caption, url, uid) and the kind of each row: 0 fresh, 1 exact, 2 near, 3 template."""
        rng = np.random.default_rng([self.seed, 1, number])
        kinds = np.searchsorted(np.cumsum([TEMPLATE, NEAR, EXACT]), rng.random(rows), side="right")
        kinds = np.array([3, 2, 1, 0])[kinds]
        texts, source = self.fresh(rows, rng), np.arange(rows)
        is_template = np.flatnonzero(kinds == 3)
        texts.put(is_template, self.templated(len(is_template), rng))
        originals = np.flatnonzero(kinds == 0)
        long = originals[texts.lengths[originals] >= 8]
        if not len(long):
            kinds[kinds == 2] = 0
        rows_near = np.flatnonzero(kinds == 2)
        if len(rows_near):
            source[rows_near] = rng.choice(long, len(rows_near))
            texts.put(rows_near, self.near(texts.take(source[rows_near]), rng))
        rows_exact = np.flatnonzero(kinds == 1)
        if len(originals) and len(rows_exact):
            source[rows_exact] = originals[zipf_ranks(len(originals), len(rows_exact), rng)]
            texts.put(rows_exact, texts.take(source[rows_exact]))
        script = np.where(rng.random(rows) < self.foreign, rng.integers(0, len(SCRIPTS), rows), -1)[source]
        common = rows_exact[rng.random(len(rows_exact)) < COMMON_REPEATS]
        texts.put(common, self.common.take(zipf_ranks(COMMON_POOL, len(common), rng)))
        script[common] = -1
        return self.table(texts, script, number, rng), kinds

    def table(self, texts: Texts, script: np.ndarray, number: int, rng: np.random.Generator) -> pa.Table:
        """Word numbers to strings, through Arrow; `script` is -1 for ASCII or an index into SCRIPTS."""
        n = len(script)
        order, pieces = [], []
        for s in range(-1, len(SCRIPTS)):
            rows = np.flatnonzero(script == s)
            vocabulary, join = (self.vocabulary, " ") if s < 0 else (self.scripts[s], SCRIPTS[s].join)
            part = texts.take(rows)
            flat = part.words[np.arange(MAX_WORDS) < part.lengths[:, None]] % len(vocabulary)
            offsets = np.concatenate([[0], np.cumsum(part.lengths)]).astype(np.int32)
            pieces.append(pc.binary_join(pa.ListArray.from_arrays(offsets, vocabulary.take(pa.array(flat))), join))
            order.append(rows)
        captions = pa.concat_arrays(pieces).take(pa.array(np.argsort(np.concatenate(order), kind="stable")))
        uid = pa.array(np.arange(n, dtype=np.int64) + number * CHUNK).cast(pa.string())
        file = pc.binary_join_element_wise(self.hosts.take(pa.array(zipf_ranks(HOSTS, n, rng))), uid, ".jpg", "")
        return pa.table({"caption": captions, "url": file, "uid": uid})


def zipf_ranks(size: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` ranks in [0, size) with probability about 1 / (rank + 1): exp of a uniform; int64."""
    return np.minimum((np.exp(rng.random(n) * np.log(size + 1)) - 1).astype(np.int64), size - 1)


def generate(out: Path, rows: int, seed: int = 0, language: str = "mixed") -> None:
    """Writes `rows` captions to `out`, one row group per chunk; about 300 MB of memory at any size."""
    generator = Generator(seed, language)
    schema = pa.schema([("caption", pa.string()), ("url", pa.string()), ("uid", pa.string())])
    with pq.ParquetWriter(out, schema, compression="zstd", compression_level=1) as writer:
        for number, start in enumerate(range(0, rows, CHUNK)):
            writer.write_table(generator.chunk(number, min(CHUNK, rows - start))[0], row_group_size=CHUNK)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write captions for benchmarks.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--language", choices=sorted(FOREIGN), default="mixed")
    arguments = parser.parse_args()
    generate(arguments.out, arguments.rows, arguments.seed, arguments.language)


if __name__ == "__main__":
    main()
