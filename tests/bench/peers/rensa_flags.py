"""polars for the words, rensa's bulk digests of flat hashes, and one call that flags what shares a band.

    python rensa_flags.py CAPTIONS.parquet [--bands 32] [--repeats] [--limit N] [--out FLAGS.npz]

The fastest road through rensa 0.5 that sees all shingles: hashes go in as one flat buffer, flags come out. A flag
says that a caption resembles another one, not which. With --out the flags, by row of the file.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import numpy as np
from rensa import RMinHash, RMinHashLSH
from words import read_captions, word_lists

if TYPE_CHECKING:
    import polars as pl

PERMUTATIONS, SEED, THRESHOLD = 128, 42, 0.7
ODD = np.uint64(0x9E3779B97F4A7C15)


def flat_shingles(lists: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of word unigrams and bigrams, captions one after the other, and where each starts: uint64, uint64."""
    lengths = lists.list.len().to_numpy().astype(np.int64)
    words = lists.explode(empty_as_null=False).hash(SEED).to_numpy()
    counts = np.maximum(2 * lengths - 1, 0)
    starts, word_at = (np.concatenate([[0], np.cumsum(c)]) for c in (counts, lengths))
    flat = np.empty(starts[-1], np.uint64)
    place = np.arange(len(words)) + np.repeat(starts[:-1] - word_at[:-1], lengths)
    flat[place] = words
    last = np.zeros(len(words) + 1, np.bool_)
    last[word_at[1:][lengths > 0] - 1] = True
    first = np.flatnonzero(~last[:-1])
    flat[place[first] + np.repeat(lengths, lengths)[first]] = (words[first] * ODD) ^ words[first + 1]
    return flat, starts.astype(np.uint64)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("captions")
    parser.add_argument("--bands", type=int, default=32)
    parser.add_argument("--repeats", action="store_true", help="hash exact repeats too")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    frame, n_rows = read_captions(arguments.captions, arguments.limit, arguments.repeats)
    flat, starts = flat_shingles(word_lists(frame["caption"]))
    digests = RMinHash.digest_matrix_from_flat_token_hashes(flat, starts, PERMUTATIONS, SEED)
    lsh = RMinHashLSH(THRESHOLD, PERMUTATIONS, arguments.bands)
    flags = np.array(lsh.query_duplicate_flags_matrix_one_shot(digests), dtype=np.bool_)
    if arguments.out:
        by_row = np.zeros(n_rows, np.bool_)
        by_row[frame["row"].to_numpy()] = flags
        np.savez(arguments.out, flags=by_row)
    print(json.dumps({"captions": n_rows, "distinct": len(frame), "flagged": int(flags.sum())}))


if __name__ == "__main__":
    main()
