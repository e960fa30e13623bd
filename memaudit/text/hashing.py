"""Small kernels that everything here is built on: a mixing function, a population count, trailing zeros."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba.extending import intrinsic

from memaudit.jit import leaf


@leaf
def mix64(x):
    """MurmurHash3's 64-bit finaliser (public domain, Appleby)."""
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


@intrinsic
def _ctpop(_context, _value):
    """numba's interface: a signature, and what writes the code."""
    return nb.int64(nb.uint64), lambda _context, builder, _signature, arguments: builder.ctpop(arguments[0])


@leaf
def popcount(x):
    """Set bits of a uint64: one instruction where the processor has it."""
    return _ctpop(x)


@leaf
def trailing_zeros(x):
    """Zero bits below the lowest set bit of a uint64 that is not zero."""
    return popcount((x & (~x + np.uint64(1))) - np.uint64(1))
