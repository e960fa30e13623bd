"""Measures of pixels: against values worked out by hand, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from memaudit.verify import likeness
from memaudit.verify.likeness import (
    common_region,
    copied_region,
    enlarged,
    fitted,
    low_variance_region,
    masked_rmse,
    masked_rmse_matrix,
    ssim,
    tiled_l2,
    tiled_l2_matrix,
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


@given(st.integers(0, 1000), st.integers(4, 21), st.integers(4, 21))
def test_tiled_l2_is_a_symmetric_bound_of_the_rmse(seed: int, height: int, width: int) -> None:
    a, b = noise(seed, 3, height, width), noise(seed + 1, 2, height, width)
    matrix = tiled_l2_matrix(a, b)
    assert matrix.shape == (3, 2)
    np.testing.assert_allclose(matrix, tiled_l2(a[:, None], b[None]), atol=1e-6)
    np.testing.assert_allclose(matrix, tiled_l2_matrix(b, a).T, atol=1e-6)
    rmse = np.sqrt(np.square(a[:, None] - b[None]).mean(axis=(2, 3, 4)))
    assert (matrix >= rmse - 1e-6).all()
    np.testing.assert_allclose(np.diag(tiled_l2_matrix(a, a)), 0, atol=1e-6)
    assert (tiled_l2(a, a) == 0).all()


def test_matrices_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, masks = noise(1, 4, 16, 16), noise(2, 3, 16, 16), noise(3, 4, 16, 16)[..., 0] > 0.5
    whole = tiled_l2_matrix(a, b), masked_rmse_matrix(a, b, masks)
    monkeypatch.setattr(likeness, "MATRIX_BYTES", 24 * 7 * 5)
    np.testing.assert_allclose(tiled_l2_matrix(a, b), whole[0], atol=1e-6)
    np.testing.assert_allclose(masked_rmse_matrix(a, b, masks), whole[1], atol=1e-6)


def test_masked_rmse_counts_the_mask_only() -> None:
    a, b = np.zeros((1, 4, 4, 3)), np.ones((1, 4, 4, 3))
    b[0, 0, 0], b[0, 0, 1] = (0.3, 0, 0), (0, 0, 0.6)
    mask = np.zeros((4, 4), np.bool_)
    assert np.isnan(masked_rmse(a, b, mask)).all() and np.isnan(masked_rmse_matrix(a, b, mask)).all()
    mask[0, :2] = True
    expected = ((0.09 + 0.36) / 6) ** 0.5
    assert masked_rmse(a, b, mask)[0] == pytest.approx(expected)
    assert masked_rmse_matrix(a, b, mask)[0, 0] == pytest.approx(expected)


def test_a_mask_for_each_picture() -> None:
    a, b, masks = noise(1, 4, 8, 8), noise(2, 5, 8, 8), noise(3, 4, 8, 8)[..., 0] > 0.7
    expected = masked_rmse(a[:, None], b[None], masks[:, None])
    np.testing.assert_allclose(masked_rmse_matrix(a, b, masks), expected, atol=1e-6)
    everywhere = np.ones((8, 8), np.bool_)
    rmse = np.sqrt(np.square(a[:, None] - b[None]).mean(axis=(2, 3, 4)))
    np.testing.assert_allclose(masked_rmse_matrix(a, b, everywhere), rmse, atol=1e-6)


def test_webster_calls_the_same_a_copy() -> None:
    a, b = np.zeros((256, 256, 3)), np.full((256, 256, 3), 0.1)
    everywhere = np.ones((256, 256), np.bool_)
    for value in (0.11, 0.12):
        b[:] = value
        assert (np.square(a - b).sum() < 2.5e3) == (masked_rmse(a, b, everywhere) < likeness.WEBSTER_RMSE)


def test_ssim_of_flat_pictures() -> None:
    a, b = np.full((16, 16, 3), 0.2), np.full((16, 16, 3), 0.6)  # no variance: the term of means is all there is
    assert ssim(a, b) == pytest.approx((2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4), abs=1e-4)


def test_ssim_of_one_window_by_hand() -> None:
    a, b = noise(1, 3, 3), noise(2, 3, 3)
    taps = np.exp(-np.array([1, 0, 1]) / 1.5**2 / 2)
    weight = np.outer(taps, taps)[..., None] / taps.sum() ** 2
    mu_a, mu_b = (weight * a).sum((0, 1)), (weight * b).sum((0, 1))
    var_a, var_b = (weight * (a - mu_a) ** 2).sum((0, 1)), (weight * (b - mu_b) ** 2).sum((0, 1))
    both = (weight * (a - mu_a) * (b - mu_b)).sum((0, 1))
    top = (2 * mu_a * mu_b + 1e-4) * (2 * both + 9e-4)
    expected = (top / ((mu_a**2 + mu_b**2 + 1e-4) * (var_a + var_b + 9e-4))).mean()
    assert ssim(a, b) == pytest.approx(expected, abs=1e-5)


@given(st.integers(0, 1000), st.integers(3, 20))
def test_ssim_is_symmetric_and_one_on_itself(seed: int, size: int) -> None:
    a, b = noise(seed, 2, size, size), noise(seed + 1, 2, size, size)
    np.testing.assert_allclose(ssim(a, a), 1, atol=1e-5)
    np.testing.assert_allclose(ssim(a, b), ssim(b, a), atol=1e-5)
    assert (np.abs(ssim(a, b)) <= 1 + 1e-5).all()


def test_ssim_under_a_mask() -> None:
    a = noise(1, 32, 32)
    b = a.copy()
    b[:, 16:] = noise(2, 32, 16)
    left = np.zeros((32, 32), np.bool_)
    left[:, :10] = True
    assert ssim(a, b, left) == pytest.approx(1, abs=1e-5)
    assert ssim(a, b) < 0.8
    edge = np.zeros((32, 32), np.bool_)
    edge[0] = True  # no window there lies in the picture
    assert np.isnan(ssim(a, b, edge))


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
    assert low_variance_region(np.stack([a[0]] * 3)).all()
    with pytest.raises(ValueError, match="one picture"):
        low_variance_region(a[:1])


def test_low_variance_region_by_hand() -> None:
    pictures = np.zeros((2, 16, 16, 3), np.float32)
    pictures[1] = 0.13  # deviation .065
    pictures[1, 6:9, 6:9] = 0.11  # .055
    mask = low_variance_region(pictures)
    assert mask.sum() == 36 and mask[5:11, 5:11].all()


def test_enlarged() -> None:
    small = np.array([[0.0, 1.0], [2.0, 3.0]], np.float32)
    np.testing.assert_array_equal(enlarged(small, 4), np.kron(small, np.ones((2, 2))))
    across = [0, 0.25, 0.75, 1]
    np.testing.assert_allclose(enlarged(small, 4, smooth=True), [[2 * y + x for x in across] for y in across])
    assert enlarged(np.zeros((5, 3, 4)), 7, smooth=True).shape == (5, 7, 7)


def test_copied_region_by_hand() -> None:
    region = np.expm1(np.array([[[0.0, 1.0], [2.0, 4.0]], [[3.0, 3.0], [3.0, 3.0]]], np.float32))
    np.testing.assert_array_equal(copied_region(region, 0.4), [[[0, 0], [1, 1]], [[0, 0], [0, 0]]])
    assert copied_region(region, 0.4, size=4)[0].sum() >= 4
    broken = region.copy()
    broken[0, 0, 0] = np.nan
    np.testing.assert_array_equal(copied_region(broken), copied_region(region))


def test_fitted_is_resize_then_centre_crop() -> None:
    picture = (noise(1, 40, 60) * 255).astype(np.uint8)
    whole = Image.fromarray(picture).resize((30, 20), Image.Resampling.LANCZOS).crop((5, 0, 25, 20))
    assert np.abs(fitted(picture, 20).astype(int) - np.asarray(whole).astype(int)).max() <= 1
    np.testing.assert_array_equal(fitted(picture[:, :40], 40), picture[:, :40])
    assert fitted(Image.new("L", (1, 50_000)), 16).shape == (16, 16, 3)  # and not 16 x 800,000 on the way
