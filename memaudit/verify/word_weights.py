"""Which words of a prompt drive what a model does with it: the gradient of the magnitude at each token's embedding."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from memaudit.verify.devices import in_batches
from memaudit.verify.models import LONGEST
from memaudit.verify.screen import contrast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memaudit.verify.models import Model

SHARE = 1 / 8  # of the pictures at once: what a gradient needs is kept through the whole U-Net
SCALES = (1024.0, 1.0)
"""Factors of the magnitude before its gradient is taken: in fp16 small gradients vanish and large ones overflow.
Weights are shares, so that the factor cancels."""


def word_weights(model: Model, prompt: str, seeds: Sequence[int]) -> list[tuple[str, float]]:
    """(word, share of the weight in [0, 1]) for the words of the prompt in their order; the shares sum to 1.

    A token's weight is the norm of the gradient of the magnitude, mean over seeds at the first timestep, with respect
    to its embedding (Wen et al., ICLR 2024); a word's is the sum over its tokens, and over both encoders of SDXL.
    Tokens at the start, the end and beyond do not count, nor do words that the model does not read (over 77 tokens).
    All shares are 0 where the prompt changes nothing. Costs one U-Net row a seed, and the way back through it. Raises
    OutOfMemory when that does not fit for one seed.
    """
    encoders = [(model.pipe.tokenizer, model.pipe.text_encoder)]
    if model.family == "sdxl":
        encoders.append((model.pipe.tokenizer_2, model.pipe.text_encoder_2))
    gradients = _gradients(model, prompt[:LONGEST], seeds, [encoder for _, encoder in encoders])
    total: dict[int, float] = {}
    names: list[str] = []
    for (tokenizer, _), gradient in zip(encoders, gradients, strict=True):
        names, owners = words_of(tokenizer, prompt[:LONGEST])
        norms = gradient.norm(dim=1).tolist()
        for position, word in enumerate(owners[: len(norms) - 2], start=1):  # the first and the last token are marks
            total[word] = total.get(word, 0.0) + norms[position]
    whole = sum(total.values())
    return [(names[word], weight / whole if whole else 0.0) for word, weight in sorted(total.items())]


def words_of(tokenizer: Any, prompt: str) -> tuple[list[str], list[int]]:
    """(words of the prompt as written between spaces, for each of its tokens, marks apart, the index of its word).

    CLIP's tokens never cross a space, so words can be cut one by one. Where a tokenizer cuts the whole differently,
    words are what ends in "</w>", in the tokenizer's spelling.
    """
    ids = tokenizer(prompt, add_special_tokens=False).input_ids
    words = prompt.split()
    apart = tokenizer(words, add_special_tokens=False).input_ids if words else []
    if [one for pieces in apart for one in pieces] == ids:
        return words, [i for i, pieces in enumerate(apart) for _ in pieces]
    spelt, owners = [""], []
    for token in tokenizer.convert_ids_to_tokens(ids):
        owners.append(len(spelt) - 1)
        spelt[-1] += token.removesuffix("</w>")
        if token.endswith("</w>"):
            spelt.append("")
    return spelt, owners


def _gradients(model: Model, prompt: str, seeds: Sequence[int], encoders: Sequence[Any]) -> list[torch.Tensor]:
    """By encoder, float32 (tokens, width) on the CPU: the gradient at the tokens' embeddings, up to a factor."""
    for scale in SCALES:

        def some(start: int, stop: int, scale: float = scale) -> list[torch.Tensor]:
            return _gradient(model, prompt, seeds[start:stop], encoders, scale)

        parts = in_batches(model, len(seeds), some, share=SHARE, what="the gradient of one picture")
        sums = [torch.stack(one).sum(dim=0) for one in zip(*parts, strict=True)]
        if all(bool(one.isfinite().all()) for one in sums):
            break
    return [one.nan_to_num(0, 0, 0) for one in sums]


def _gradient(
    model: Model, prompt: str, seeds: Sequence[int], encoders: Sequence[Any], scale: float
) -> list[torch.Tensor]:
    timestep = model.timesteps[0]
    noise = torch.stack([model.noise(seed)[0] for seed in seeds])
    e_0 = contrast(model, seeds, timestep).to(model.device)
    with torch.enable_grad(), _leaves(encoders) as leaves:
        embedded = model.encode(prompt)
        e_c = model.predict(noise, timestep, [embedded] * len(seeds))
        magnitude = (e_c - e_0).flatten(1).norm(dim=1).sum()
        found = torch.autograd.grad(magnitude * scale, leaves, allow_unused=True)
    zero = (torch.zeros_like(leaf) if one is None else one for one, leaf in zip(found, leaves, strict=True))
    return [one[0].float().cpu() for one in zero]


@contextmanager
def _leaves(encoders: Sequence[Any]) -> Iterator[list[torch.Tensor]]:
    """While it lasts, the token embeddings that each encoder looks up are leaves of the gradient, collected in the
    order of use. The weights themselves never take one."""
    leaves: list[torch.Tensor] = []

    def open_up(_module: Any, _inputs: Any, out: torch.Tensor) -> torch.Tensor:
        leaves.append(out.detach().requires_grad_(True))
        return leaves[-1]

    hooks = [encoder.get_input_embeddings().register_forward_hook(open_up) for encoder in encoders]
    try:
        yield leaves
    finally:
        for hook in hooks:
            hook.remove()
