"""Every formula against a case worked out by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from memaudit.verify import signals  # noqa: E402


def latent(*channels: list[list[float]]) -> torch.Tensor:  # type: ignore[name-defined]
    """(1, channels, h, w) from rows of numbers."""
    return torch.tensor([channels], dtype=torch.float32)


def test_magnitude_is_the_norm_over_the_whole_latent() -> None:
    e_c = torch.cat([latent([[1, 2]], [[3, 4]]), latent([[0, 0]], [[0, 5]])])
    e_0 = torch.cat([latent([[1, 0]], [[2, 2]]), latent([[0, 0]], [[0, 0]])])
    assert signals.magnitude(e_c, e_0).tolist() == [3, 5]  # sqrt(0 + 4 + 1 + 4), 5
    assert signals.magnitude(e_c, e_0, 0.5).tolist() == [1.5, 2.5]


def test_v_differences_become_noise_differences() -> None:
    """x_0 = 2, e = 1, a = .64: x_t = .8 * 2 + .6 * 1 = 2.2, v = .8 * 1 - .6 * 2 = -.4; .8 * -.4 + .6 * 2.2 = 1."""
    v, x = torch.tensor([-0.4]), torch.tensor([2.2])
    assert signals.noise_of(v, x, "v_prediction", 0.64).item() == pytest.approx(1)
    assert signals.noise_of(v, x, "epsilon", 0.64) is v
    assert signals.noise_scale("v_prediction", 0.64) == pytest.approx(0.8)
    assert signals.noise_scale("epsilon", 0.64) == 1


@pytest.mark.parametrize("alpha_bar", [0.0, 2.0**-24, math.nan])
def test_where_noise_says_nothing_v_is_taken_as_it_is(alpha_bar: float) -> None:
    assert signals.noise_scale("v_prediction", alpha_bar) == 1


def test_both_predictions_agree_on_one_model() -> None:
    """The same noise told as v gives the same magnitude and anisotropy."""
    torch.manual_seed(0)
    e_c, e_0, x = torch.randn(3, 2, 4, 5, 5)
    a = 0.3
    v_c, v_0 = ((e - math.sqrt(1 - a) * x) / math.sqrt(a) for e in (e_c, e_0))
    scale = signals.noise_scale("v_prediction", a)
    assert torch.allclose(signals.magnitude(v_c, v_0, scale), signals.magnitude(e_c, e_0), rtol=1e-5)
    back = [signals.noise_of(v, x, "v_prediction", a) for v in (v_c, v_0)]
    assert torch.allclose(signals.anisotropy(*back), signals.anisotropy(e_c, e_0), atol=1e-5)


def test_anisotropy_is_a_cosine_over_channels() -> None:
    """Two pixels of two channels: e_0 (1, 0) and (0, 2), differences (3, 0) and (1, 1): cosines 1 and 1/sqrt(2)."""
    e_0 = latent([[1, 0]], [[0, 2]])
    e_c = e_0 + latent([[3, 1]], [[0, 1]])
    assert signals.anisotropy(e_c, e_0).item() == pytest.approx((1 + 1 / math.sqrt(2)) / 2)
    assert signals.anisotropy(e_0 - e_0, e_0).item() == pytest.approx((-1 - 1) / 2)
    assert signals.anisotropy(e_0, e_0).item() == 0


def test_the_region_sums_squares_over_channels() -> None:
    e_c, e_0 = latent([[1, 2]], [[3, 4]]), latent([[0, 2]], [[1, 1]])
    assert signals.copied_region(e_c, e_0).tolist() == [[[5, 9]]]  # 1 + 4, 0 + 9
    assert signals.copied_region(e_c, e_0, 2).tolist() == [[[20, 36]]]


def test_seeds_agree_as_their_best_pair() -> None:
    d = torch.tensor([0.0, 1.0, 4.0, 6.0]).reshape(4, 1, 1, 1)
    assert signals.seed_agreement(d, lambda a, b: -abs(float(a - b))) == -1
    assert math.isnan(signals.seed_agreement(d[:1]))
    twins = torch.cat([torch.randn(1, 4, 9, 9, generator=torch.Generator().manual_seed(0))] * 2)
    assert signals.seed_agreement(twins) == pytest.approx(1)


def test_ssim_by_hand() -> None:
    """One window of one row: a = (0, 1), b = (1, 0), range 1: means .5 and .5, variances .25, covariance -.25:
    (.5 + c1)(-.5 + c2) / ((.5 + c1)(.5 + c2)) with c2 = .0009."""
    a, b = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]), torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    assert signals.ssim(a, a) == pytest.approx(1)
    assert signals.ssim(a, b) == pytest.approx((-0.5 + 0.0009) / (0.5 + 0.0009), rel=1e-5)
    assert signals.ssim(a, b) == pytest.approx(signals.ssim(b, a))
    assert signals.ssim(3 * a, 3 * b) == pytest.approx(signals.ssim(a, b), rel=1e-5)
