"""How kernels are compiled: cached on disk, without the interpreter's lock, with numpy's rules of division.

Counters that are handed to other kernels start as np.int64(0): for a plain 0 numba compiles the callee twice.
"""

from __future__ import annotations

from typing import Any

import numba as nb

_njit: Any = nb.njit  # its stubs do not know every option
_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


def kernel(function: Any) -> Any:
    """Compile a kernel that allocates."""
    return _njit(**_OPTIONS)(function)


def leaf(function: Any) -> Any:
    """Compile a kernel that allocates nothing.

    Others count a reference to every array argument at every call, which takes as long as the work of a small function:
    without that, proposing frames is 1.3 times faster.
    """
    return _njit(**_OPTIONS, _nrt=False)(function)
