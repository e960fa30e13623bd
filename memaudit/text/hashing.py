"""Small kernels that everything here is built on: a mixing function, a population count, trailing zeros."""

from __future__ import annotations

import numpy as np

from memaudit.jit import leaf


@leaf
def mix64(x):
    """MurmurHash3's 64-bit finaliser (public domain, Appleby)."""
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


@leaf
def popcount(x):
    """Set bits of a uint64."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@leaf
def trailing_zeros(x):
    """Zero bits below the lowest set bit of a uint64 that is not zero."""
    return popcount((x & (~x + np.uint64(1))) - np.uint64(1))
