"""Made pictures for tests: soft random scenes, and frames with something else in the middle."""

from __future__ import annotations

import numpy as np

SIZE = 32


def scenes(n: int, seed: int, size: int = SIZE) -> np.ndarray:
    """uint8 (n, size, size, 3): soft colours that differ all over."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (n, 8, 8, 3))
    return coarse.repeat(size // 8, axis=1).repeat(size // 8, axis=2).astype(np.uint8)


def framed(n: int, seed: int, frame: int = 99, size: int = SIZE) -> np.ndarray:
    """uint8 (n, size, size, 3): one frame, of its own seed, around middles that differ."""
    out = scenes(1, frame, size).repeat(n, axis=0)
    quarter = size // 4
    out[:, quarter:-quarter, quarter:-quarter] = scenes(n, seed, size)[:, quarter:-quarter, quarter:-quarter]
    return out


def noisy(pictures: np.ndarray, seed: int, deviation: float = 6) -> np.ndarray:
    """The same pictures with noise of a few grey levels."""
    noise = np.random.default_rng(seed).normal(0, deviation, pictures.shape)
    return np.clip(pictures + noise, 0, 255).astype(np.uint8)
