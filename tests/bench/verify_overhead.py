"""Time of `sample` against the bare diffusers loop for the same pictures.

    python -m tests.bench.verify_overhead MODEL [--pictures 16] [--rounds 5] [--steps 20] [--guidance 3]

Both draw the same pictures from the same prompts and seeds in batches of the same size, in turns; the ratio is the
median over rounds. The bare loop is what a careful user writes: one call of the pipeline a batch, no PIL pictures.
Regions and counting, which only `sample` does, are part of its time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from memaudit.verify.models import load
from memaudit.verify.sampler import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memaudit.verify.models import Model

WORDS = ("a red ball on a blue table", "two cats in the snow", "an old house by the sea", "a portrait of a woman")
PROMPTS = [f"{words}, number {i}" for i in range(4) for words in WORDS]


def bare(model: Model, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
    """uint8 (n, H, W, 3) by the pipeline alone."""
    parts = []
    for start in range(0, len(prompts), model.batch):
        some = slice(start, start + model.batch)
        out = model.pipe(
            list(prompts[some]),
            num_inference_steps=model.steps,
            guidance_scale=model.guidance,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds[some]],
            output_type="np",
        ).images
        parts.append((out * 255).round().astype(np.uint8))
    return np.concatenate(parts)


def measure(model: Model, pictures: int, rounds: int) -> tuple[list[float], list[float], int]:
    """(seconds of the bare loop, seconds of `sample`, by round; the largest difference of a pixel)."""
    prompts = [PROMPTS[i // 4 % len(PROMPTS)] for i in range(pictures)]  # four seeds a prompt, as verify asks for
    seeds = list(range(pictures))
    first, second = bare(model, prompts, seeds), sample(model, prompts, seeds).pictures
    apart = int(np.abs(first.astype(int) - second.astype(int)).max())
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(_seconds(lambda: bare(model, prompts, seeds)))
        model._known.clear()  # every round embeds its prompts anew, as a run does
        ours.append(_seconds(lambda: sample(model, prompts, seeds)))
    return theirs, ours, apart


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("--device")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3)
    asked = parser.parse_args()
    model = load(asked.model, asked.device, steps=asked.steps, guidance=asked.guidance)
    theirs, ours, apart = measure(model, asked.pictures, asked.rounds)
    ratio = statistics.median(b / a for a, b in zip(theirs, ours, strict=True))
    print(f"bare loop {statistics.median(theirs):.2f} s, sample {statistics.median(ours):.2f} s: {ratio:.3f} times")
    print(f"{asked.pictures} pictures of {model.size} px, {asked.rounds} rounds in turns, batches of {model.batch}")
    print(f"largest difference of a pixel: {apart} of 255")


if __name__ == "__main__":
    main()
