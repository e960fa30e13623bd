"""Scratch of a scan under work/: append-only columns, and finished steps of unfinished stages.

What is computed never depends on where scratch lies. Files are mapped, so the kernel may keep or drop their pages;
`release` gives back what a pass has touched, so that a scan's resident memory stays near its budget.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import numpy as np

from memaudit.store import no_space_is_clear

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType


class Column:
    """One column that grows batch by batch, as raw little-endian values in a file; read back as a memory map.

    keep: values of an earlier run to keep; what lies behind them (a batch that was cut off) is dropped.
    """

    def __init__(self, path: Path, dtype: str, keep: int = 0) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self.length = keep
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if keep else "wb", buffering=1 << 20)
        if keep:  # a truncated file is written to the disk when it is closed (ext4), a new one when there is time
            self._file.truncate(keep * self.dtype.itemsize)
            self._file.seek(0, 2)

    def append(self, values: np.ndarray) -> None:
        with no_space_is_clear(self.path.parent):
            self._file.write(np.ascontiguousarray(values, self.dtype).data)
        self.length += len(values)

    def flush(self) -> None:
        """Hand everything to the operating system: it survives a kill of this process."""
        with no_space_is_clear(self.path.parent):
            self._file.flush()

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


def release(*arrays: np.ndarray) -> None:
    """Give back the resident pages of mapped arrays; they are read again where they are touched again. Others are left
    alone."""
    for array in arrays:
        mapped = getattr(array, "_mmap", None)
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


class Steps:
    """Finished steps of a stage, as arrays by name. These live in memory; `KeptSteps` survive a kill."""

    def __init__(self) -> None:
        self._steps: dict[str, dict[str, np.ndarray]] = {}

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays of a finished step, or None."""
        return self._steps.get(name)

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Remember a step."""
        self._steps[name] = dict(arrays)


class KeptSteps(Steps):
    """Steps that survive a kill: each is a file under `folder`, written under a temporary name and renamed.

    Arrays lie in it one after the other, behind their names: an .npz archive would checksum them at every reading.
    """

    def __init__(self, folder: Path, stage: str) -> None:
        super().__init__()
        self.folder = folder
        self.stage = stage

    def _path(self, name: str) -> Path:
        return self.folder / f"{self.stage}-{name}.arrays"

    def get(self, name: str) -> dict[str, np.ndarray] | None:
        if not self._path(name).is_file():
            return None
        with self._path(name).open("rb") as file:
            names = np.load(file, allow_pickle=False).tolist()
            return {key: np.load(file, allow_pickle=False) for key in names}

    def put(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        temporary = self._path(name).with_suffix(".tmp")
        with no_space_is_clear(self.folder), temporary.open("wb") as file:
            for array in (np.array(list(arrays), np.str_), *arrays.values()):
                np.save(file, array, allow_pickle=False)
        temporary.replace(self._path(name))
