"""Writes captions and edited copies of them: near-duplicates with known distance, for recall figures on real text.

    python tests/bench/edits.py CAPTIONS... -o OUT.parquet [--per-caption 1] [--seed 0]

Of the captions with at least six words a random half is edited: one or two times a word is replaced, deleted, inserted
or swapped with its neighbour. Columns of OUT: caption, source (row of the original in OUT), edits (0 for originals).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import polars as pl

COLUMNS = ("caption", "Caption", "TEXT")
MIN_WORDS = 6


def read_captions(path: Path) -> list[str]:
    """The captions of a Parquet or CSV file; nulls and empty ones left out."""
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
    else:
        with path.open(encoding="utf-8") as lines:
            header = lines.readline()
        separator = ";" if header.count(";") > header.count(",") else ","
        frame = pl.read_csv(path, separator=separator, infer_schema=False)
    column = next((c for c in COLUMNS if c in frame.columns), None)
    if column is None:
        raise SystemExit(f"error: no caption column in {path}\n  found: {', '.join(frame.columns)}")
    return [c for c in frame[column].to_list() if c and c.strip()]


def edit(words: list[str], vocabulary: list[str], rng: Random) -> list[str]:
    """`words` with one word replaced, deleted, inserted or swapped with the next."""
    edited, at = list(words), rng.randrange(len(words))
    action = rng.choice(("replace", "delete", "insert", "swap"))
    if action == "replace":
        edited[at] = rng.choice(vocabulary)
    elif action == "delete":
        del edited[at]
    elif action == "insert":
        edited.insert(at, rng.choice(vocabulary))
    else:
        other = (at + 1) % len(edited)
        edited[at], edited[other] = edited[other], edited[at]
    return edited


def with_edits(captions: list[str], per_caption: int, seed: int) -> pl.DataFrame:
    """The captions, then `per_caption` edited copies of a random half of the long ones."""
    rng = Random(seed)
    vocabulary = sorted({w for c in captions for w in c.split()})
    rows = [(c, i, 0) for i, c in enumerate(captions)]
    for i, caption in enumerate(captions):
        if len(caption.split()) < MIN_WORDS or rng.random() < 0.5:
            continue
        for _ in range(per_caption):
            words, edits = caption.split(), rng.choice((1, 2))
            for _ in range(edits):
                words = edit(words, vocabulary, rng)
            rows.append((" ".join(words), i, edits))
    schema = {"caption": pl.String, "source": pl.UInt32, "edits": pl.UInt8}
    return pl.DataFrame(rows, schema=schema, orient="row")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write captions and edited copies of them.")
    parser.add_argument("captions", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--per-caption", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    captions = [c for path in arguments.captions for c in read_captions(path)]
    frame = with_edits(captions, arguments.per_caption, arguments.seed)
    frame.write_parquet(arguments.out)
    print(f"{len(captions):,} captions, {len(frame) - len(captions):,} edited copies")


if __name__ == "__main__":
    main()
