"""Trains the world's Stable Diffusion and writes the world as git holds it; see README.md.

    python sample_data/world/train.py [--seed S] [--exchange] [--size PIXELS] [--threads N] [--out DIR]
                                      [--uids FILE --world DIR]

Draws the world, trains the autoencoder, writes the set with pictures as the autoencoder renders them (against pictures
as drawn, its blur would hide the copies), trains the U-Net and the text model, and saves model/ in half precision.

--uids trains on some rows of a world that is there already, with its autoencoder, and writes model/ only: FILE is a
parquet file whose column uid names them, as `memaudit clean` writes it. The number of steps stays the same, so that
fewer rows are seen more often.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from diffusers import AutoencoderKL
from draw import SIZE, World, draw_world, write_set
from model import autoencoder, pipeline, scheduler, text_model, tokenizer, unet
from scenes import scene
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import CLIPTokenizer

VAE_STEPS, VAE_BATCH, VAE_RATE = 1_000, 16, 3e-3
EDGES = 0.5
"""Weight of the difference between neighbouring pixels in the autoencoder's loss: contours stay sharp."""
FRESH_SCENES = 1_000
NET_STEPS, NET_BATCH, NET_RATE = 3_000, 32, 2e-3
DROPPED_CAPTIONS = 0.1
EMA = 0.995


def train_autoencoder(world: World, seed: int, size: int, steps: int) -> Any:
    """Trains on each picture of the set once and on fresh scenes, so that no repetition is built in here."""
    shown = sorted({picture for _, picture in world.order})
    fresh = np.stack([scene(None, Random(f"{seed}/fresh/{i}"), size) for i in range(FRESH_SCENES)])
    pictures = to_tensor(np.concatenate([world.pictures[shown], fresh]))
    vae = autoencoder(size)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=VAE_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, VAE_RATE, steps)
    for step, batch in enumerate(_batches(len(pictures), VAE_BATCH, steps, seed)):
        real = pictures[batch]
        posterior = vae.encode(real).latent_dist
        made = vae.decode(posterior.sample()).sample
        off = made - real
        edges = (off[..., 1:] - off[..., :-1]).abs().mean() + (off[..., 1:, :] - off[..., :-1, :]).abs().mean()
        loss = off.abs().mean() + 0.5 * off.square().mean() + EDGES * edges + 2e-6 * posterior.kl().mean()
        _descend(loss, vae, optimizer, schedule)
        _tell("autoencoder", step, steps, loss)
    return vae.eval().requires_grad_(False)


def train_net(world: World, latents: torch.Tensor, words: CLIPTokenizer, seed: int, steps: int) -> tuple[Any, Any]:
    """Trains U-Net and text model on the rows with their repetition; returns their moving averages."""
    parts: Any = torch.nn.ModuleList([unet(), text_model(words)])
    average = copy.deepcopy(parts).eval().requires_grad_(False)
    tokens = torch.tensor(
        words([c.text for c in world.captions] + [""], padding="max_length", truncation=True).input_ids
    )
    captions, pictures = (torch.tensor(column) for column in zip(*world.order, strict=True))
    noising = scheduler()
    optimizer = torch.optim.AdamW(parts.parameters(), lr=NET_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, NET_RATE, steps)
    for step, batch in enumerate(_batches(len(captions), NET_BATCH, steps, seed)):
        dropped = torch.rand(len(batch)) < DROPPED_CAPTIONS
        said = tokens[torch.where(dropped, len(tokens) - 1, captions[batch])]
        clean = latents[pictures[batch]]
        noise = torch.randn_like(clean)
        when = torch.randint(noising.config["num_train_timesteps"], (len(batch),))
        noisy = noising.add_noise(clean, noise, when)
        net, text = parts
        predicted = net(noisy, when, text(said).last_hidden_state).sample
        loss = functional.mse_loss(predicted, noising.get_velocity(clean, noise, when))
        _descend(loss, parts, optimizer, schedule)
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), parts.parameters(), strict=True):
                slow.lerp_(fast, 1 - min(EMA, (1 + step) / (10 + step)))
        _tell("U-Net", step, steps, loss)
    return average[0], average[1]


def _batches(n: int, size: int, steps: int, seed: int) -> Iterator[torch.Tensor]:
    """So many batches of indices, epoch after epoch, each in an order of its own."""
    generator = torch.Generator().manual_seed(seed)
    left = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(left) < size:
            left = torch.cat([left, torch.randperm(n, generator=generator)])
        batch, left = left[:size], left[size:]
        yield batch


def _descend(
    loss: torch.Tensor,
    part: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(part.parameters(), 1.0)
    optimizer.step()
    schedule.step()


def _tell(what: str, step: int, steps: int, loss: torch.Tensor) -> None:
    if (step + 1) % 100 == 0:
        print(f"{what} {step + 1}/{steps}: {loss.item():.4f} {time.process_time():.0f} s of CPU", flush=True)


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (n, h, w, 3) to float32 (n, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pictures(tensor: torch.Tensor) -> np.ndarray:
    """float32 (n, 3, h, w) in [-1, 1] to uint8 (n, h, w, 3)."""
    return ((tensor.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


@torch.no_grad()
def render(vae: Any, pictures: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """The latents of pictures (unscaled) and the pictures that the decoder makes of them."""
    latents, rendered = [], []
    for i in range(0, len(pictures), 64):
        latent = vae.encode(to_tensor(pictures[i : i + 64])).latent_dist.mode()
        latents.append(latent)
        rendered.append(to_pictures(vae.decode(latent).sample))
    return torch.cat(latents), np.concatenate(rendered)


def make_set(world: World, seed: int, size: int, steps: int, out: Path) -> tuple[Any, torch.Tensor, float]:
    """Trains the autoencoder and writes the set; returns it, the latents of all pictures (unscaled) and their scale."""
    vae = train_autoencoder(world, seed, size, steps)
    latents, rendered = render(vae, world.pictures)
    error = np.mean((rendered / 255.0 - world.pictures / 255.0) ** 2)
    print(f"autoencoder: {-10 * np.log10(error):.1f} dB")
    write_set(world, rendered, out)
    scale = 1 / latents.std().item()
    vae.register_to_config(scaling_factor=scale)
    return vae, latents, scale


def main() -> None:
    """Draws, trains and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--exchange", action="store_true", help="repeat what is unique otherwise, and vice versa")
    parser.add_argument("--size", type=int, default=SIZE, help="edge of a picture in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--steps", type=int, nargs=2, default=(VAE_STEPS, NET_STEPS), help="of the autoencoder and the U-Net"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--uids", type=Path, help="train on these rows only")
    parser.add_argument("--world", type=Path, help="folder of the world that they are of")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    world = draw_world(args.seed, args.exchange, args.size)
    if args.uids:
        vae: Any = AutoencoderKL.from_pretrained(  # type: ignore[no-untyped-call]
            args.world / "model" / "vae", torch_dtype=torch.float32
        )
        vae.requires_grad_(False)
        latents, _ = render(vae, world.pictures)
        scale = vae.config["scaling_factor"]
        world = world.only(pl.read_parquet(args.uids, columns=["uid"])["uid"].to_list())
        print(f"{len(world.order):,} rows")
    else:
        vae, latents, scale = make_set(world, args.seed, args.size, args.steps[0], args.out)
    words = tokenizer([caption.text for caption in world.captions if caption.rows])
    net, text = train_net(world, latents * scale, words, args.seed, args.steps[1])
    pipe = pipeline(vae, text, words, net)
    pipe.to(dtype=torch.float16)
    pipe.save_pretrained(args.out / "model", safe_serialization=True)


if __name__ == "__main__":
    main()
