"""What a few predictions of the U-Net say about memorisation: formulas on tensors, nothing else.

e_c and e_0 are the noise predicted with and without the prompt, (n, channels, h, w), float32, from the same input.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

SMALLEST_SCALE = 1e-3
WINDOW = 7  # px of SSIM's mean, as in Wang et al. (2004) with a flat window


def noise_scale(prediction_type: str, alpha_bar: float) -> float:
    """What a difference of predictions is multiplied by to be one of noises.

    With v = sqrt(a) e - sqrt(1 - a) x_0 and x_t = sqrt(a) x_0 + sqrt(1 - a) e (Salimans & Ho, ICLR 2022, appendix D):
    e = sqrt(a) v + sqrt(1 - a) x_t, so e_c - e_0 = sqrt(a) (v_c - v_0). At zero terminal SNR (a = 0) noise says
    nothing, and where a is unknown nothing can be said: v is then taken as it is. One factor for all: no rank changes.
    """
    if prediction_type == "epsilon" or not alpha_bar >= SMALLEST_SCALE**2:
        return 1.0
    return math.sqrt(alpha_bar)


def noise_of(prediction: torch.Tensor, x: torch.Tensor, prediction_type: str, alpha_bar: float) -> torch.Tensor:
    """The noise that a prediction means at the input x: itself, or sqrt(a) v + sqrt(1 - a) x, as in `noise_scale`."""
    if prediction_type == "epsilon" or not alpha_bar >= SMALLEST_SCALE**2:
        return prediction
    return math.sqrt(alpha_bar) * prediction + math.sqrt(1 - alpha_bar) * x


def magnitude(e_c: torch.Tensor, e_0: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """(n,): scale * ||e_c - e_0||_2 over the latent of one picture (Wen et al., ICLR 2024, eq. 3)."""
    norms: torch.Tensor = torch.linalg.vector_norm((e_c - e_0).flatten(1), dim=1)
    return scale * norms


def anisotropy(e_c: torch.Tensor, e_0: torch.Tensor) -> torch.Tensor:
    """(n,) in [-1, 1]: cos(e_c - e_0, e_0) over channels, mean over pixels (Asthana & Belagiannis, ICLR 2026), with
    both taken on pure noise at a timestep near the end of sampling. 0 where a vector is 0."""
    cosines: torch.Tensor = torch.nn.functional.cosine_similarity(e_c - e_0, e_0, dim=1)
    return cosines.flatten(1).mean(dim=1)


def copied_region(e_c: torch.Tensor, e_0: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """(n, h, w): the sum over channels of (e_c - e_0)^2 at the last step; high where a picture is copied (Kim & Lee,
    ICML 2026)."""
    return (scale * (e_c - e_0)).square().sum(dim=1)


def seed_agreement(d: torch.Tensor, similarity: Callable[[torch.Tensor, torch.Tensor], float] | None = None) -> float:
    """The largest similarity of two seeds' d = e(x_T, c) - x_T (Hintersdorf et al., NeurIPS 2024).

    d: (seeds, channels, h, w); similarity: of two (channels, h, w), SSIM unless given. NaN with fewer than two seeds.
    """
    pairs = itertools.combinations(d, 2)
    return max((float((similarity or ssim)(a, b)) for a, b in pairs), default=math.nan)


def ssim(a: torch.Tensor, b: torch.Tensor) -> float:
    """Structural similarity of two (channels, h, w) in [-1, 1]: flat windows of 7 px (or what fits), unpadded, mean
    over windows and channels (Wang et al., 2004, eq. 13; K1 = .01, K2 = .03). The range is that of both together:
    predictions have none of their own."""
    span = max(float(torch.stack([a, b]).max() - torch.stack([a, b]).min()), 1e-12)
    side = min(WINDOW, *a.shape[1:])
    near, other, near2, other2, both = (
        torch.nn.functional.avg_pool2d(one, side, stride=1) for one in (a, b, a * a, b * b, a * b)
    )
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    spread = near2 - near**2 + other2 - other**2
    joint = both - near * other
    values = (2 * near * other + c1) * (2 * joint + c2) / ((near**2 + other**2 + c1) * (spread + c2))
    return float(values.mean())
