"""How kernels are compiled: cached on disk, without the interpreter's lock, with numpy's rules of division.

Compiling takes most of a minute on one core and happens once; numba keeps the result beside the modules, or in
NUMBA_CACHE_DIR. Counters that are handed to other kernels start as np.int64(0): for a plain 0 numba compiles the callee
twice.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba as nb

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

LATE = "frames.*.nbi"  # what numba caches of a late stage: where it is, a scan has been here before

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


def is_first_use() -> bool:
    """Whether no scan has compiled its kernels here yet, as far as the usual places tell."""
    own, shared = Path(__file__).parent / "detect" / "__pycache__", Path.home() / ".cache" / "numba"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    places = [Path(chosen)] if chosen else [own, shared]
    return not any(next(place.rglob(LATE), None) for place in places)


class FirstUse:
    """Where no scan has been yet: a second process compiles what a scan needs last, while it compiles what it needs
    first.

    The process only fills the cache: where it fails, or there is one core only, the scan compiles everything itself.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if not is_first_use():
            return
        tell("first use: the kernels are compiled now, which takes about half a minute, once")
        if (os.cpu_count() or 1) > 1:
            command, nowhere = [sys.executable, "-m", "memaudit.warm"], subprocess.DEVNULL
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)

    def wait(self) -> None:
        """Until it is done: what it is compiling need not be compiled twice."""
        if self._process:
            self._process.wait()

    def __enter__(self) -> FirstUse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
