"""What one model of the experiment does: copies at every prompt, loss on held-out pairs.

    python -m tests.bench.helped WORLD --seed S --model MODEL --json FILE [--samples N]

The ruler is the same for all models of a seed: a picture copies when it lies nearer to the pictures of its prompt than
the limits that `memaudit verify` would set by the model of the whole set, WORLD/model.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from memaudit.verify.calibration import Controls, calibrate, judged
from memaudit.verify.models import load
from memaudit.verify.replication import originals
from memaudit.verify.sampler import sample
from tests.bench.verify_world import GUIDANCE, STEPS, WorldPictures, cases_of

if TYPE_CHECKING:
    from memaudit.verify.models import Model

sys.path.append(str(Path(__file__).parent.parent.parent / "sample_data" / "world"))

N_CONTROLS = 100
FIRST_SEED, CONTROL_SEED = 9_000, 8_000
AT_ONCE = 16
STEPS_OF_LOSS = 20  # timesteps at which a held-out pair is tried, each with a noise of its own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=2, help="pictures of a prompt")
    args = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    cases, controls = cases_of(pl.read_parquet(args.world / "truth.parquet"))
    rows = pl.read_parquet(args.world / "captions.parquet", columns=["image"])["image"].struct.unnest().unique("path")
    files = dict(rows.select("path", "bytes").iter_rows())
    names = [c.pictures for c in cases]
    source = WorldPictures(files, [*names, *(pictures for _, pictures in controls)])
    ruler = controls_of(
        load(str(args.world / "model"), "cpu", None, steps=STEPS, guidance=GUIDANCE), controls, source, len(cases)
    )
    model = load(str(args.model), "cpu", None, steps=STEPS, guidance=GUIDANCE)
    prompts = [case.caption for case in cases for _ in range(args.samples)]
    pictures = draw(model, prompts, [FIRST_SEED + s for _ in cases for s in range(args.samples)])
    out = []
    for i, case in enumerate(cases):
        drawn = pictures[i * args.samples : (i + 1) * args.samples]
        gallery = source.gallery([i], model.size, 64)
        standard = originals(gallery.pictures, tuple(gallery.names))
        limits = calibrate(ruler, standard, ruler.own(len(standard))).limits
        compared, copied = judged(drawn, standard, limits)
        out.append({
            "group": case.group, "copies": int(copied.any.sum()), "whole": int(copied.whole.sum()),
            "region": int(copied.region.sum()), "distance": float(np.median(compared.whole)),
        })  # fmt: skip
    result = {
        "prompts": out,
        "samples": args.samples,
        "held_out": losses(model, args.seed),
        "cpu": time.process_time() - began,
    }
    args.json.write_text(json.dumps(result))


def draw(model: Model, prompts: list[str], seeds: list[int]) -> np.ndarray:
    """uint8 (n, H, W, 3), `AT_ONCE` at a time."""
    parts = [
        sample(model, prompts[i : i + AT_ONCE], seeds[i : i + AT_ONCE], region=False).pictures
        for i in range(0, len(prompts), AT_ONCE)
    ]
    return np.concatenate(parts)


def controls_of(model: Model, controls: list[Any], source: WorldPictures, first: int) -> Controls:
    """Pictures of unique captions by the model of the whole set, beside their own."""
    some = controls[:N_CONTROLS]
    drawn = draw(model, [caption for caption, _ in some], [CONTROL_SEED + i for i in range(len(some))])
    gallery = source.one_each(range(first, first + len(some)), model.size)
    return Controls(drawn, np.arange(len(some)), gallery.pictures, gallery.text_ids.astype(np.int64) - first)


@torch.no_grad()
def losses(model: Model, seed: int) -> list[float]:
    """Mean squared error of the velocity on each held-out pair: pictures that no arm has seen, over timesteps; the same
    noises for every model."""
    from draw import draw_world
    from train import render

    world = draw_world(seed)
    held = [c for c in world.captions if c.role == "held_out"]
    latents, _ = render(model.pipe.vae, world.pictures[[c.pictures[0] for c in held]])
    latents = latents * model.pipe.vae.config.scaling_factor
    noising = model.pipe.scheduler
    when = torch.linspace(20, noising.config.num_train_timesteps - 20, STEPS_OF_LOSS).long()
    generator = torch.Generator().manual_seed(seed)
    out = []
    for caption, clean in zip(held, latents, strict=True):
        clean = clean.expand(STEPS_OF_LOSS, *clean.shape)
        noise = torch.randn(clean.shape, generator=generator)
        said = model.embed(caption.text).hidden.expand(STEPS_OF_LOSS, -1, -1)
        predicted = model.pipe.unet(noising.add_noise(clean, noise, when), when, said).sample
        out.append(float(torch.nn.functional.mse_loss(predicted, noising.get_velocity(clean, noise, when))))
    return out


if __name__ == "__main__":
    main()
