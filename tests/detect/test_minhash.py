"""Signatures are datasketch's, bit for bit; near duplicates are found, checked and cut as promised."""

from __future__ import annotations

from itertools import pairwise

import datasketch
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect import minhash


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=60), st.integers(1, 200), st.integers(0, 2**31))
@settings(max_examples=150, deadline=None)
def test_signature_is_that_of_datasketch(hashes: list[int], n: int, seed: int) -> None:
    a, b = minhash.permutations(n, seed)
    signature = np.empty(n, np.uint32)
    minhash.sign(np.array(hashes, np.uint32), a, b, signature)
    theirs = datasketch.MinHash(num_perm=n, seed=seed, scheme="affine32", hashfunc=int)
    theirs.update_batch(hashes)
    assert signature.tolist() == theirs.hashvalues.tolist()


@given(st.lists(st.integers(0, 2**32 - 1), max_size=30))
def test_shingles_are_words_and_adjacent_pairs(words: list[int]) -> None:
    out = np.empty(2 * len(words) + 1, np.uint32)
    n = minhash.shingles(np.array(words, np.uint32), out)
    assert n == max(0, 2 * len(words) - 1)
    assert out[: len(words)].tolist() == words
    pairs = {(a, b): int(minhash.bigram(a, b)) for a, b in pairwise(words)}
    assert out[len(words) : n].tolist() == [pairs[p] for p in pairwise(words)]
