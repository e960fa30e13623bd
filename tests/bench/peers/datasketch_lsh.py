"""datasketch as its documentation uses it: MinHash(128) in bulk, MinHashLSH(threshold=0.7), query, insert.

    python datasketch_lsh.py CAPTIONS.parquet [--limit N] [--seconds 20] [--out PAIRS.npz]

Stops after `--seconds` and says how many captions it took: its rate does not change with their number. With --out the
candidate pairs (rows of the file).
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise

import numpy as np
from datasketch import MinHash, MinHashLSH
from words import read_captions, word_lists

PERMUTATIONS, THRESHOLD = 128, 0.7
CHUNK = 1_000


def shingles(words: list[str]) -> list[bytes]:
    """Word unigrams and bigrams as bytes."""
    return [w.encode() for w in words] + [f"{a} {b}".encode() for a, b in pairwise(words)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("captions")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--out")
    arguments = parser.parse_args()
    started = time.perf_counter()
    frame, n_rows = read_captions(arguments.captions, arguments.limit)
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    rows, pairs = frame["row"].to_list(), []
    done = 0
    while done < len(frame) and time.perf_counter() - started < arguments.seconds:
        lists = word_lists(frame["caption"][done : done + CHUNK]).to_list()
        for row, minhash in zip(
            rows[done : done + CHUNK],
            MinHash.generator(map(shingles, lists), num_perm=PERMUTATIONS),
            strict=True,
        ):
            pairs += [(other, row) for other in lsh.query(minhash)]
            lsh.insert(row, minhash, check_duplication=False)
        done += len(lists)
    taken = n_rows if done == len(frame) else rows[done]
    if arguments.out:
        np.savez(arguments.out, pairs=np.array(pairs, dtype=np.int64).reshape(-1, 2))
    print(json.dumps({"captions": taken, "bands": lsh.b, "rows": lsh.r, "candidates": len(pairs)}))


if __name__ == "__main__":
    main()
