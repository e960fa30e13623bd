"""Where two pictures are alike, and a mask as an outline: the boundary of its regions as one SVG path."""

from __future__ import annotations

import numpy as np

GRID = 32  # units a side of the square that a path is drawn in
WINDOW = 8  # of a picture's side: an eighth
ALIKE = 0.10  # root mean square in such a window; Carlini et al. (2023) call tiles below .15 copied


def alike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """bool (S, S): where two pictures, uint8 (S, S, 3), differ by less than `ALIKE` on average around a pixel."""
    squares = np.square((a.astype(np.float64) - b) / 255).mean(axis=-1)
    reach = max(1, len(a) // WINDOW // 2)
    sums = np.pad(np.pad(squares, reach, mode="edge").cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    side = 2 * reach + 1
    around = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.asarray(around < (ALIKE * side) ** 2)


def coarse(mask: np.ndarray, grid: int = GRID) -> np.ndarray:
    """bool (n, n), n = grid or less: the cells of which at least half is set. mask: bool (S, S)."""
    side = min(grid, len(mask))
    edges = np.arange(side + 1) * len(mask) // side
    sums = np.add.reduceat(np.add.reduceat(mask.astype(np.int64), edges[:-1], axis=0), edges[:-1], axis=1)
    cells = np.outer(np.diff(edges), np.diff(edges))
    return np.asarray(2 * sums >= cells)


def outline(mask: np.ndarray, grid: int = GRID) -> str:
    """The boundary of a mask, bool (S, S), as a path in a square of `grid` units; "" for an empty one.

    Every region is a closed polygon around its cells, clockwise; a hole runs the other way.
    """
    cells = coarse(mask, grid)
    scale = grid / len(cells)
    return "".join(
        "M" + "L".join(f"{x * scale:g} {y * scale:g}" for x, y in corners) + "Z" for corners in _polygons(cells)
    )


def _polygons(cells: np.ndarray) -> list[list[tuple[int, int]]]:
    """Corners (x, y) of each boundary, the set cells to the right of the way."""
    padded = np.pad(cells, 1)
    out: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for y, x in np.argwhere(padded).tolist():
        left, top = x - 1, y - 1
        corners = [(left, top), (left + 1, top), (left + 1, top + 1), (left, top + 1)]
        for side, (dy, dx) in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):
            if not padded[y + dy, x + dx]:
                out.setdefault(corners[side], []).append(corners[(side + 1) % 4])
    polygons = []
    while out:
        start = at = min(out)
        before, corners = (0, 0), []
        while True:
            after = _turning(at, before, out[at])
            out[at].remove(after)
            if not out[at]:
                del out[at]
            way = (after[0] - at[0], after[1] - at[1])
            if way != before:
                corners.append(at)
            at, before = after, way
            if at == start:
                break
        polygons.append(corners)
    return polygons


def _turning(at: tuple[int, int], before: tuple[int, int], to: list[tuple[int, int]]) -> tuple[int, int]:
    """Where two cells touch at a corner, turn right, so that each keeps its own boundary."""
    if len(to) == 1:
        return to[0]
    right = (at[0] - before[1], at[1] + before[0])
    return right if right in to else to[0]
