"""Tier 0: a few U-Net calls a prompt, no sampling. What passes is worth sampling; nothing is proved by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from memaudit.verify import signals
from memaudit.verify.devices import in_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.verify.models import Model

NEAR_END = 3  # the timestep of the anisotropy, counted from the end (Asthana & Belagiannis)


class Screened(NamedTuple):
    """By prompt, float32, means over seeds (agreement: the best pair); None where it was not asked for."""

    magnitude: np.ndarray
    anisotropy: np.ndarray | None
    agreement: np.ndarray | None


def magnitudes(model: Model, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
    """float32 (prompts,): mean over seeds of ||e(x_T, c) - e(x_T, 0)||_2 at the first timestep (Wen et al., ICLR 2024).

    len(seeds) U-Net rows a prompt, and once for the model len(seeds) more: e(x_T, 0) hangs on the noise alone and is
    remembered. Raises OutOfMemory when a single row does not fit.
    """
    return screen(model, prompts, seeds).magnitude


def screen(
    model: Model, prompts: Sequence[str], seeds: Sequence[int], *, anisotropy: bool = False, agreement: bool = False
) -> Screened:
    """As `magnitudes`, with the other two signals for an ablation: the anisotropy doubles the calls, the agreement of
    seeds costs none."""
    first, late = model.timesteps[0], model.timesteps[-min(NEAR_END, len(model.timesteps))]
    noise = torch.stack([model.noise(seed)[0] for seed in seeds])
    at_first = contrast(model, seeds, first)
    at_late = contrast(model, seeds, late) if anisotropy else None
    pairs = len(prompts) * len(seeds)

    def some(start: int, stop: int) -> torch.Tensor:
        """(3, stop - start, ...) of the pairs (prompt, seed), which are counted through."""
        embedded = [model.embed(prompts[i // len(seeds)]) for i in range(start, stop)]
        which = torch.arange(start, stop) % len(seeds)
        with torch.no_grad():
            e_c = model.predict(noise[which], first, embedded).cpu()
            values = [signals.magnitude(e_c, at_first[which], _scale(model, first))]
            if at_late is not None:
                e_late = model.predict(noise[which], late, embedded).cpu()
                both = (_noise_of(model, e, noise[which], late) for e in (e_late, at_late[which]))
                values.append(signals.anisotropy(*both))
        if agreement:
            values.append((_noise_of(model, e_c, noise[which], first) - noise[which]).flatten(1))
        return torch.cat([v.reshape(stop - start, -1) for v in values], dim=1)

    if not pairs:
        none = np.zeros(len(prompts), np.float32)
        return Screened(none, none if anisotropy else None, none if agreement else None)
    parts = in_batches(model, pairs, some, share=2)  # half the rows of sampling with guidance
    width = 1 + anisotropy
    by_prompt = torch.cat(parts).reshape(len(prompts), len(seeds), -1)
    means = by_prompt[:, :, :width].mean(dim=1).numpy()
    agree = [signals.seed_agreement(d.reshape(noise.shape)) for d in by_prompt[:, :, width:]] if agreement else None
    return Screened(
        means[:, 0], means[:, 1] if anisotropy else None, None if agree is None else np.array(agree, np.float32)
    )


def threshold(controls: np.ndarray, quantile: float) -> float:
    """The value that a share `quantile` in [0, 1] of this run's controls does not exceed; -inf without controls, so
    that everything passes. Published thresholds collapse when the negatives change: none is built in."""
    finite = controls[np.isfinite(controls)]
    return float(np.quantile(finite, quantile, method="higher")) if len(finite) else -np.inf


def contrast(model: Model, seeds: Sequence[int], timestep: torch.Tensor) -> torch.Tensor:
    """e(x_T, 0) by seed, (seeds, channels, h, w) on the CPU; computed once a model, timestep and seed."""
    at = round(float(timestep))
    missing = [seed for seed in dict.fromkeys(seeds) if (at, seed) not in model.unconditional]

    def some(start: int, stop: int) -> None:
        chosen = missing[start:stop]
        noise = torch.stack([model.noise(seed)[0] for seed in chosen])
        with torch.no_grad():
            e_0 = model.predict(noise, timestep, [model.embed_empty()] * len(chosen)).cpu()
        model.unconditional.update({(at, seed): one for seed, one in zip(chosen, e_0, strict=True)})

    in_batches(model, len(missing), some, share=2)
    return torch.stack([model.unconditional[at, seed] for seed in seeds])


def _scale(model: Model, timestep: torch.Tensor) -> float:
    return signals.noise_scale(model.prediction_type, model.alpha_bar(timestep))


def _noise_of(model: Model, prediction: torch.Tensor, x: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    return signals.noise_of(prediction, x, model.prediction_type, model.alpha_bar(timestep))
