"""Scratch arrays of a scan: append-only columns on disk, and space that is memory while it fits and a file when it
does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memaudit.store import no_space_is_clear

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

SHARE = 4  # of the memory budget, one array may take so much; a larger one becomes a file


class Column:
    """One column that grows batch by batch, as raw little-endian values in a file; read back as a memory map."""

    def __init__(self, path: Path, dtype: str) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self.length = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=1 << 20)

    def append(self, values: np.ndarray) -> None:
        with no_space_is_clear(self.path.parent):
            self._file.write(np.ascontiguousarray(values, self.dtype).data)
        self.length += len(values)

    def close(self) -> None:
        with no_space_is_clear(self.path.parent):
            self._file.close()

    def __enter__(self) -> Column:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_column(path: Path, dtype: str) -> np.ndarray:
    """The values of a closed column, mapped; an empty array for an empty file (which cannot be mapped)."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r")


class Scratch:
    """Hands out zeroed arrays for one stage: in memory up to a quarter of `memory` (bytes), else as a file under
    `folder`. What is computed does not depend on which."""

    def __init__(self, folder: Path, memory: int) -> None:
        self.folder = folder
        self.memory = memory

    def allocate(self, name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size <= self.memory // SHARE:
            return np.zeros(shape, dtype)
        with no_space_is_clear(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            return np.memmap(self.folder / name, dtype=dtype, mode="w+", shape=shape)
