"""Prompts and seeds -> pictures, by the model's own pipeline and scheduler."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from memaudit.errors import BadInput
from memaudit.verify.devices import in_batches
from memaudit.verify.signals import copied_region, noise_scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memaudit.verify.models import Model


class NotFinite(BadInput):
    """A model's numbers overflow: its pictures are not pictures."""


class Drawn(NamedTuple):
    """pictures: uint8 (n, H, W, 3); region: float32 (n, h, w) over the latent, high where the prompt shaped the
    picture at the last step, None without guidance; truncated: bool (n,), only the start of the prompt was read."""

    pictures: np.ndarray
    region: np.ndarray | None
    truncated: np.ndarray


class _Last:
    """The latest prediction of the U-Net, and its timestep."""

    prediction: torch.Tensor
    timestep: torch.Tensor | float = 0


def sample(model: Model, prompts: Sequence[str], seeds: Sequence[int], region: bool = True) -> Drawn:
    """One picture for each pair of a prompt and a seed, in their order.

    A picture hangs on its prompt and seed alone: noise is drawn on the CPU, by one generator a picture, in fp32 and
    then rounded; batches change but the rounding of sums. Costs steps * (2 with guidance, else 1) U-Net rows a picture.
    Raises OutOfMemory when one picture does not fit, NotFinite when the model overflows.
    """
    if len(prompts) != len(seeds):
        raise ValueError(f"{len(prompts)} prompts, {len(seeds)} seeds")

    def some(start: int, stop: int) -> Drawn:
        return _sample(model, prompts[start:stop], seeds[start:stop], region and model.guided)

    parts = in_batches(model, len(prompts), some)
    if not parts:
        side = model.latent_shape()[1]
        none = np.zeros((0, side, side), np.float32) if region and model.guided else None
        return Drawn(np.zeros((0, model.size, model.size, 3), np.uint8), none, np.zeros(0, bool))
    pictures, regions, truncated = zip(*parts, strict=True)
    whole = np.concatenate(regions) if region and model.guided else None
    return Drawn(np.concatenate(pictures), whole, np.concatenate(truncated))


def _sample(model: Model, prompts: Sequence[str], seeds: Sequence[int], region: bool) -> Drawn:
    embedded = [model.embed(prompt) for prompt in prompts]
    noise, generators = zip(*(model.noise(seed) for seed in seeds), strict=True)
    given: dict[str, Any] = {"prompt_embeds": torch.cat([one.hidden for one in embedded])}
    if model.family == "sdxl":
        given["pooled_prompt_embeds"] = torch.cat([one.pooled for one in embedded if one.pooled is not None])
    if model.guided:
        empty = model.embed_empty()
        given["negative_prompt_embeds"] = empty.hidden.expand(len(prompts), -1, -1)
        if empty.pooled is not None:
            given["negative_pooled_prompt_embeds"] = empty.pooled.expand(len(prompts), -1)
    with _watched(model, region) as last, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # what diffusers will rename: SDXL's own way to decode fp16
        out = model.pipe(
            **given,
            height=model.size,
            width=model.size,
            num_inference_steps=model.steps,
            guidance_scale=model.guidance,
            latents=torch.stack(noise).to(model.dtype),
            generator=list(generators),
            output_type="np",
            return_dict=False,
        )[0]
    if not np.isfinite(out).all():
        why = f"{model.name} in {model.describe()['dtype']} gave numbers that are not finite"
        raise NotFinite("the model overflows", why, "--dtype fp32 or bf16")
    truncated = np.array([one.truncated for one in embedded])
    return Drawn((out * 255).round().astype(np.uint8), _region(model, last) if region else None, truncated)


@contextmanager
def _watched(model: Model, region: bool) -> Iterator[_Last]:
    """While it lasts, keep what the U-Net predicts: a reference, nothing is copied."""
    last = _Last()

    def keep(_module: Any, inputs: tuple[Any, ...], out: Any) -> None:
        last.timestep, last.prediction = inputs[1], out[0]

    hook = model.pipe.unet.register_forward_hook(keep) if region else None
    try:
        yield last
    finally:
        if hook is not None:
            hook.remove()


def _region(model: Model, last: _Last) -> np.ndarray:
    e_0, e_c = last.prediction.float().chunk(2)  # the pipelines put the empty prompt first
    scale = noise_scale(model.prediction_type, model.alpha_bar(last.timestep))
    return np.asarray(copied_region(e_c, e_0, scale).cpu().numpy())
