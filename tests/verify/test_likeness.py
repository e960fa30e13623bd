"""Measures of pixels: against values worked out by hand, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from memaudit.verify.likeness import (
    common_region,
    fitted,
    tiled_l2,
)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random((*shape, 3), dtype=np.float32)


def test_tiled_l2_is_the_worst_tile() -> None:
    a, b = np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 3), np.float32)
    b[:2, :2] = 0.2  # a tile: .2
    b[6, 6, 0] = 1.0  # one of the 12 values of another: sqrt(1 / 12)
    assert tiled_l2(a, b) == pytest.approx(12**-0.5)
    b[6, 6, 0] = 0.0
    assert tiled_l2(a, b) == pytest.approx(0.2)
    assert tiled_l2((a * 255).astype(np.uint8), (b * 255).astype(np.uint8)) == pytest.approx(0.2)


def test_tiles_of_a_size_that_is_no_multiple_of_four() -> None:
    a, b = np.zeros((5, 7, 3)), np.zeros((5, 7, 3))
    b[3:, 5:] = 0.5  # rows 3 and 4, columns 5 and 6: the last tile
    assert tiled_l2(a, b) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="no 4 tiles"):
        tiled_l2(a[:3], b[:3])


def test_common_region_by_hand() -> None:
    a, b = np.zeros((16, 16, 3), np.float32), np.ones((16, 16, 3), np.float32)
    b[6:9, 6:9] = 0.0099  # .0297 over RGB: alike on 3 x 3, which erosion leaves one pixel of
    b[1, 12] = 0.0  # a speck, which it does not leave
    mask = common_region(a, b)
    expected = np.zeros((16, 16), np.bool_)
    expected[5:11, 5:11] = True
    np.testing.assert_array_equal(mask, expected)
    b[6:9, 6:9] = 0.0101
    assert not common_region(a, b).any()
    assert common_region(a, b, threshold=0.05).any()


def test_regions_of_equal_pictures_are_everything() -> None:
    a = noise(1, 3, 8, 8)
    assert common_region(a, a).all() and common_region(a, a).shape == (3, 8, 8)


def test_fitted_is_resize_then_centre_crop() -> None:
    picture = (noise(1, 40, 60) * 255).astype(np.uint8)
    whole = Image.fromarray(picture).resize((30, 20), Image.Resampling.LANCZOS).crop((5, 0, 25, 20))
    assert np.abs(fitted(picture, 20).astype(int) - np.asarray(whole).astype(int)).max() <= 1
    np.testing.assert_array_equal(fitted(picture[:, :40], 40), picture[:, :40])
    assert fitted(Image.new("L", (1, 50_000)), 16).shape == (16, 16, 3)  # and not 16 x 800,000 on the way
