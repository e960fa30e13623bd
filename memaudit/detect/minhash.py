"""MinHash signatures of word unigrams and bigrams, bit-identical to datasketch's `affine32` scheme for the same hashed
shingles.

signature[p] = min over shingles s of a[p] * fmix32(s) + b[p] mod 2^32, with odd a[p]. Permutations are drawn as
datasketch 2.0 draws them, so that signatures can be compared with `datasketch.MinHash(num_perm, seed,
scheme="affine32")`; a test holds both to it.
"""

from __future__ import annotations

import numba as nb
import numpy as np

_jit = nb.njit(cache=True, nogil=True, error_model="numpy")


def permutations(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (a, b) of n permutations: uint32, a odd."""
    draw = np.random.RandomState(seed)
    a = draw.randint(0, 1 << 31, n, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, draw.randint(0, 1 << 32, n, dtype=np.uint32)


@_jit
def fmix32(h):
    """MurmurHash3's 32-bit finaliser (public domain, Appleby)."""
    h = np.uint32(h)
    h ^= h >> np.uint32(16)
    h = np.uint32(h * np.uint32(0x85EBCA6B))
    h ^= h >> np.uint32(13)
    h = np.uint32(h * np.uint32(0xC2B2AE35))
    return h ^ (h >> np.uint32(16))


@_jit
def bigram(first, second):
    """32-bit hash of an ordered pair of words."""
    h = np.uint32(np.uint32(first) * np.uint32(0x9E3779B1)) ^ np.uint32(second)
    return fmix32(h + np.uint32(0x7F4A7C15))


@_jit
def shingles(words, out):
    """Fill `out` with the 2n - 1 shingles of n words, repeats included; returns how many."""
    n = len(words)
    for i in range(n):
        out[i] = words[i]
    for i in range(n - 1):
        out[n + i] = bigram(words[i], words[i + 1])
    return 2 * n - 1 if n else 0


@_jit
def sign(shingle_hashes, a, b, signature):
    """Write the signature of these shingles (uint32, len(a))."""
    signature[:] = np.uint32(0xFFFFFFFF)
    for s in shingle_hashes:
        h = fmix32(s)
        for p in range(len(a)):
            v = np.uint32(a[p] * h + b[p])
            signature[p] = min(signature[p], v)
