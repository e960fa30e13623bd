"""MinHash signatures of word unigrams and bigrams, bit-identical to datasketch's `affine32` scheme for the same hashed
shingles.

signature[p] = min over shingles s of a[p] * fmix32(s) + b[p] mod 2^32, with odd a[p]. Permutations are drawn as
datasketch 2.0 draws them, so that signatures can be compared with `datasketch.MinHash(num_perm, seed,
scheme="affine32")`; a test holds both to it.
"""

from __future__ import annotations

import numpy as np

from memaudit.jit import leaf


def permutations(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (a, b) of n permutations: uint32, a odd."""
    draw = np.random.RandomState(seed)
    a = draw.randint(0, 1 << 31, n, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, draw.randint(0, 1 << 32, n, dtype=np.uint32)


@leaf
def fmix32(h):
    """MurmurHash3's 32-bit finaliser (public domain, Appleby)."""
    h = np.uint32(h)
    h ^= h >> np.uint32(16)
    h = np.uint32(h * np.uint32(0x85EBCA6B))
    h ^= h >> np.uint32(13)
    h = np.uint32(h * np.uint32(0xC2B2AE35))
    return h ^ (h >> np.uint32(16))


@leaf
def bigram(first, second):
    """32-bit hash of an ordered pair of words."""
    h = np.uint32(np.uint32(first) * np.uint32(0x9E3779B1)) ^ np.uint32(second)
    return fmix32(h + np.uint32(0x7F4A7C15))


@leaf
def hash_words(words, first, last, hashes):
    """Mixed hashes of words[first:last] and of the pairs that start there. hashes: uint32 (2, at least as many)."""
    for k in range(last - first):
        hashes[0, k] = fmix32(words[first + k])
    for k in range(last - first - 1):
        hashes[1, k] = fmix32(bigram(words[first + k], words[first + k + 1]))


@leaf
def sign(hashes, first, last, a, b, signature):
    """Write the signature (uint32, len(a)) of the mixed hashes[:, first:last], first < last.

    Four hashes at a time: the signature is loaded and stored less often.
    """
    for p in range(len(a)):
        signature[p] = np.uint32(0xFFFFFFFF)
    for k in range(first, last, 2):
        after = min(k + 1, last - 1)
        u, v, w, x = hashes[0, k], hashes[1, k], hashes[0, after], hashes[1, after]
        for p in range(len(a)):
            s, t = np.uint32(a[p] * u + b[p]), np.uint32(a[p] * v + b[p])
            y, z = np.uint32(a[p] * w + b[p]), np.uint32(a[p] * x + b[p])
            signature[p] = min(signature[p], min(min(s, t), min(y, z)))
