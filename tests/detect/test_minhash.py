"""Signatures are datasketch's, bit for bit; near duplicates are found, checked and cut as promised."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise

import datasketch
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.detect import bands, minhash

WORDS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=60)


def signed(words: list[int], a: np.ndarray, b: np.ndarray) -> list[int]:
    """The signature of words and adjacent pairs, as bands sign them."""
    hashes, signature = np.empty((2, len(words)), np.uint32), np.empty(len(a), np.uint32)
    minhash.hash_words(np.array(words, np.uint32), 0, len(words), hashes)
    hashes[1, -1] = hashes[0, -1]
    minhash.sign(hashes, 0, len(words), a, b, signature)
    return signature.tolist()


@given(WORDS, st.integers(1, 200), st.integers(0, 2**31))
@settings(max_examples=150, deadline=None)
def test_signature_is_that_of_datasketch(words: list[int], n: int, seed: int) -> None:
    theirs = datasketch.MinHash(num_perm=n, seed=seed, scheme="affine32", hashfunc=int)
    theirs.update_batch(words + [int(minhash.bigram(*pair)) for pair in pairwise(words)])
    assert signed(words, *minhash.permutations(n, seed)) == theirs.hashvalues.tolist()


@given(st.lists(WORDS, min_size=1, max_size=5), st.integers(0, 22), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_keys_of_a_pass_are_those_of_its_bands(texts: list[list[int]], first: int, n_bands: int) -> None:
    """Equal minima of a band, and nothing else, make equal keys, whichever bands share the pass."""
    wanted = range(first, min(first + n_bands, bands.BANDS))
    at = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    room = bands.empty_pass(len(texts), len(wanted))
    with ThreadPoolExecutor(1) as pool:
        held = bands.sign_bands(np.array(list(chain(*texts)), np.uint32), at, wanted, room, pool, lambda _: None)
    a, b = minhash.permutations(bands.BANDS * bands.ROWS, bands.SEED)
    long = [i for i, words in enumerate(texts) if len(words) >= bands.MIN_WORDS]
    for k, band in enumerate(wanted):
        own = slice(band * bands.ROWS, (band + 1) * bands.ROWS)
        minima = [signed(texts[i], a[own], b[own]) for i in long]
        keys = [sum(m * int(c) for m, c in zip(row, bands.KEY, strict=True)) % 2**32 for row in minima]
        assert dict(zip(held.places[k, : len(long)].tolist(), held.keys[k, : len(long)].tolist(), strict=True)) == dict(
            zip(long, keys, strict=True)
        )
