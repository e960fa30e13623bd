"""How alike two pictures are, and where: the measures of pixels that verdicts rest on.

Pictures are uint8, or float32 in [0, 1], of shape (..., H, W, 3); the two of a pair have the same size (`fitted`).
"""

from __future__ import annotations

import itertools

import numpy as np
from PIL import Image

TILES = 4  # a side
MATRIX_BYTES = 64 << 20  # of pictures in double precision that a matrix of distances holds at once


def as_unit(pictures: np.ndarray) -> np.ndarray:
    """The pictures as float32 in [0, 1]; a copy only where they are something else."""
    if pictures.dtype == np.uint8:
        return pictures.astype(np.float32) / np.float32(255)
    return pictures.astype(np.float32, copy=False)


def fitted(picture: Image.Image | np.ndarray, size: int) -> np.ndarray:
    """A picture as training sees it: the shorter side scaled to `size`, the centre cut out.

    picture: any mode, or uint8 (H, W, 3). Returns uint8 (size, size, 3). The square is cut before it is scaled, which
    gives the same pixels and does not blow up a picture of one row.
    """
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    if image.mode != "RGB":
        image = image.convert("RGB")
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    if (width, height) != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side))
    return np.asarray(image, np.uint8)


def tiled_l2(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The distance of Carlini et al. (USENIX Security 2023): the worst of 4 x 4 tiles, each sqrt(mean squared
    difference).

    a, b: of shapes that broadcast, H and W >= 4. Returns float32 (...) in [0, 1]; below .15 the paper draws an edge.
    """
    squares = np.square(as_unit(a) - as_unit(b)).mean(axis=-1)
    rows, columns = _edges(squares.shape[-2]), _edges(squares.shape[-1])
    sums = np.add.reduceat(np.add.reduceat(squares, rows[:-1], axis=-2), columns[:-1], axis=-1)
    means = sums / np.outer(np.diff(rows), np.diff(columns))
    return np.asarray(np.sqrt(means.max(axis=(-2, -1))), np.float32)


def tiled_l2_matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`tiled_l2` of every picture of a (n, H, W, 3) with every one of b (m, H, W, 3): float32 (n, m).

    Costs two products of matrices a tile; memory is that of the result and `MATRIX_BYTES`.
    """
    rows, columns = _edges(a.shape[1]), _edges(a.shape[2])
    worst = np.zeros((len(a), len(b)))
    for top, bottom in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            one, other = a[:, top:bottom, left:right], b[:, top:bottom, left:right]
            n_values = (bottom - top) * (right - left) * 3
            np.maximum(worst, _squared_distances(one, other) / n_values, out=worst)
    return np.sqrt(worst).astype(np.float32)


def _edges(length: int) -> np.ndarray:
    """Where the tiles of a side begin, and its end: int64 (TILES + 1,)."""
    if length < TILES:
        raise ValueError(f"a picture of {length} pixels a side has no {TILES} tiles")
    return np.arange(TILES + 1) * length // TILES


def _squared_distances(a: np.ndarray, b: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """float64 (n, m): sums of squared differences of a (n, ...) and b (m, ...), block by block of values.

    weight: bool, of a's shape or broadcasting to it, what counts of each row of a.
    """
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    total = np.zeros((len(a), len(b)))
    block = max(1, MATRIX_BYTES // (24 * max(1, len(a) + len(b))))
    for start in range(0, a.shape[1], block):
        part = slice(start, start + block)
        one, other = (as_unit(x[:, part]).astype(np.float64) - 0.5 for x in (a, b))  # centred: less is cancelled
        keep = np.ones_like(one[:1]) if weight is None else weight[:, part].astype(np.float64)
        total += (keep * one**2).sum(axis=1)[:, None] + keep @ (other**2).T - 2 * (keep * one) @ other.T
    return np.maximum(total, 0)


def masked_rmse(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Root mean squared difference over the pixels of a mask (Webster 2023: sum((a m - b m)^2) / mean(m)).

    mask: bool (H, W) or (..., H, W). Returns float32 (...) in [0, 1], NaN where a mask is empty.
    """
    squares = np.square(as_unit(a) - as_unit(b)).mean(axis=-1)
    mask = np.broadcast_to(mask, squares.shape)
    n = mask.sum(axis=(-2, -1))
    total = np.where(mask, squares, 0).sum(axis=(-2, -1), dtype=np.float64)
    return np.asarray(np.sqrt(np.where(n > 0, total, np.nan) / np.maximum(n, 1)), np.float32)


def masked_rmse_matrix(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`masked_rmse` of every picture of a (n, H, W, 3) with every one of b (m, H, W, 3): float32 (n, m).

    mask: bool (H, W), or (n, H, W): one for each picture of a. NaN where a mask is empty.
    """
    masks = mask.reshape(-1, *a.shape[1:3])
    keep = np.repeat(masks.reshape(len(masks), -1), 3, axis=1)
    n_values = keep.sum(axis=1).astype(np.float64)[:, None]
    means = _squared_distances(a, b, keep) / np.maximum(n_values, 1)
    return np.sqrt(np.where(n_values > 0, means, np.nan)).astype(np.float32)


def common_region(a: np.ndarray, b: np.ndarray, threshold: float = 0.03) -> np.ndarray:
    """Where two pictures of one template agree (Webster 2023): |a - b| summed over RGB below `threshold`, eroded 3 x 3,
    dilated 6 x 6.

    threshold: the paper's; pictures that went through JPEG separately need about .15. Returns bool (..., H, W).
    """
    return _cleaned(np.abs(as_unit(a) - as_unit(b)).sum(axis=-1) < threshold)


def _cleaned(mask: np.ndarray) -> np.ndarray:
    """Specks go (erosion 3 x 3, the edge of the picture does not erode), what stays grows (dilation 6 x 6)."""
    return _slid(~_slid(~mask, 1, 1), 3, 2)


def _slid(mask: np.ndarray, before: int, after: int) -> np.ndarray:
    """Whether any pixel from `before` above and left to `after` below and right is set."""
    for axis in (-2, -1):
        lined = np.moveaxis(mask, axis, -1)
        length, grown = lined.shape[-1], lined.copy()
        for step in range(1, before + 1):
            grown[..., step:] |= lined[..., : max(0, length - step)]
        for step in range(1, after + 1):
            grown[..., : max(0, length - step)] |= lined[..., step:]
        mask = np.moveaxis(grown, -1, axis)
    return mask
