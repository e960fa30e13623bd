"""Ragged arrays: pieces of unequal length, one after the other, with an array that says where each starts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Pieces(NamedTuple):
    """Piece k is values[at[k]:at[k + 1]]."""

    at: np.ndarray  # int64 (n + 1,)
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.at) - 1

    def piece(self, k: int) -> np.ndarray:
        return self.values[self.at[k] : self.at[k + 1]]


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """int64 (n + 1,): where each of n consecutive pieces starts, and where the last one ends."""
    out = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return out


def pick(values: np.ndarray, at: np.ndarray, wanted: np.ndarray) -> Pieces:
    """The pieces `wanted` (any order) of (values, at), copied next to each other."""
    lengths = at[wanted + 1] - at[wanted]
    new = offsets_of(lengths)
    positions = np.arange(new[-1]) + np.repeat(at[wanted] - new[:-1], lengths)
    return Pieces(new, np.asarray(values[positions]))


def owners(at: np.ndarray) -> np.ndarray:
    """int64: for every value the piece it belongs to."""
    return np.repeat(np.arange(len(at) - 1), np.diff(at))


def joined(*parts: Pieces) -> Pieces:
    """All pieces of the parts, in order."""
    return Pieces(offsets_of(np.concatenate([np.diff(p.at) for p in parts])), np.concatenate([p.values for p in parts]))


def blocks(n: int, size: int) -> list[tuple[int, int]]:
    """Bounds [first, last) of consecutive blocks of `size` items that cover n."""
    return [(first, min(first + size, n)) for first in range(0, n, size)]
