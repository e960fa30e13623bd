"""Measures whether the world's model memorised what it should, and nothing else; prints README's table.

    python sample_data/world/measure.py [FOLDER] [--seed S] [--exchange] [--captions N] [--sheet FILE]

Seed and exchange are those of the training: they redraw the pictures of held-out captions, which no file holds.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from draw import Caption, draw_world, grid
from model import load
from train import render, to_pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEDS = (101, 102, 103, 104)
GUIDANCE, STEPS = 3.0, 20
REPLICATED = ("duplicate", "image_template", "unseen_filler", "dose 20", "dose 50")


class Measured(NamedTuple):
    """One caption: distances are tiled l2, medians over seeds; own: to the nearest picture of the caption."""

    own: float
    seeds: float
    magnitude: float


def tiled_l2(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Carlini et al., 2023: the largest over 16 tiles of sqrt(mean squared difference) of uint8 (..., h, w, 3)."""
    off = np.square(a / 255.0 - b / 255.0)
    tiles = off.reshape(*off.shape[:-3], 4, off.shape[-3] // 4, 4, off.shape[-2] // 4, 3)
    return np.asarray(np.sqrt(tiles.mean(axis=(-4, -2, -1)).max(axis=(-2, -1))))


@torch.no_grad()
def sample(pipe: Any, caption: str, seeds: Sequence[int]) -> np.ndarray:
    """One picture a seed: uint8 (n, h, w, 3)."""
    edge = pipe.unet.config.sample_size * pipe.vae_scale_factor
    made = pipe(
        [caption] * len(seeds),
        height=edge,
        width=edge,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        output_type="pt",
    ).images
    return to_pictures(made * 2 - 1)


@torch.no_grad()
def magnitude(pipe: Any, caption: str, seeds: Sequence[int]) -> float:
    """Wen et al., 2024, at the first step: mean over seeds of ||e(x_T, c) - e(x_T, 0)||, from velocities."""
    said, nothing = pipe.encode_prompt([caption] * len(seeds), pipe.device, 1, True)
    noise = torch.stack(
        [torch.randn((pipe.unet.config.in_channels, 8, 8), generator=torch.Generator().manual_seed(s)) for s in seeds]
    )
    last = pipe.scheduler.config.num_train_timesteps - 1
    off = pipe.unet(noise, last, said).sample - pipe.unet(noise, last, nothing).sample
    return float(pipe.scheduler.alphas_cumprod[last].sqrt() * off.flatten(1).norm(dim=1).mean())


def measure(pipe: Any, caption: Caption, own: np.ndarray) -> tuple[Measured, np.ndarray]:
    """Samples the caption and compares with its own pictures, uint8 (m, h, w, 3)."""
    made = sample(pipe, caption.text, SEEDS)
    nearest = np.median([tiled_l2(picture[None], own).min() for picture in made])
    between = np.median([tiled_l2(a, b) for a, b in itertools.combinations(made, 2)])
    return Measured(float(nearest), float(between), magnitude(pipe, caption.text, SEEDS)), made


def area(values: Sequence[float], reference: Sequence[float], *, low: bool) -> float:
    """Area under the curve of values against the reference, low or high values being the positive ones."""
    v, r = np.asarray(values)[:, None], np.asarray(reference)[None]
    wins = (v < r) if low else (v > r)
    return float((wins + 0.5 * (v == r)).mean())


def table(groups: dict[str, list[Measured]]) -> str:
    """Medians a group and how well each signal tells it from unique captions, as Markdown."""
    lines = [
        "| group | captions | to own picture | between seeds | magnitude | AUC own / seeds / magnitude |",
        "|---|---|---|---|---|---|",
    ]
    unique = list(zip(*groups["unique"], strict=True))
    for name, rows in groups.items():
        columns = list(zip(*rows, strict=True))
        cells = " | ".join(f"{np.median(column):.3f}" for column in columns)
        areas = (area(c, u, low=i < 2) for i, (c, u) in enumerate(zip(columns, unique, strict=True)))
        told = " / ".join(f"{a:.2f}" for a in areas) if name != "unique" else ""
        lines.append(f"| {name} | {len(rows)} | {cells} | {told} |")
    worst = max(m.own for name in REPLICATED[:2] + REPLICATED[3:] for m in groups[name])
    best = min(
        m.own for name, rows in groups.items() for m in rows if name in ("unique", "held_out", "decoy", "dose 2")
    )
    lines.append(f"\nfarthest copy {worst:.3f}, nearest other {best:.3f}")
    return "\n".join(lines)


def main() -> None:
    """Measures some captions of each group and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--exchange", action="store_true")
    parser.add_argument("--captions", type=int, default=10, help="of each group")
    parser.add_argument("--sheet", type=Path, help="picture of copies beside their originals")
    args = parser.parse_args()
    torch.set_num_threads(1)
    pipe = load(args.folder / "model")
    edge = pipe.unet.config.sample_size * pipe.vae_scale_factor
    world = draw_world(args.seed, args.exchange, edge)
    chosen: dict[str, list[Caption]] = {}
    for caption in world.captions:
        name = f"dose {caption.rows}" if caption.role == "dose" else caption.role
        chosen.setdefault(name, []).append(caption)
    groups: dict[str, list[Measured]] = {}
    lines, calls, began = [], 0, time.process_time()
    for name in sorted(chosen, key=lambda name: (name != "unique", name)):
        step = max(1, len(chosen[name]) // args.captions)
        for caption in chosen[name][::step][: args.captions]:
            own = render(pipe.vae, world.pictures[list(caption.pictures)])[1]
            measured, made = measure(pipe, caption, own)
            calls += len(made)
            if len(groups.setdefault(name, [])) < 2:
                lines.append(np.concatenate([own[:1], made]))
            groups[name].append(measured)
    print(table(groups))
    print(f"{calls / (time.process_time() - began):.1f} pictures a second of CPU")
    if args.sheet:
        grid(lines, 64).save(args.sheet)


if __name__ == "__main__":
    main()
