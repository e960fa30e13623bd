"""A small dataset with pictures, its audit, and a sampler that copies: whole verifications in seconds."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from memaudit.audit import scan
from memaudit.config import ScanConfig
from memaudit.verify.sampler import Drawn
from tests.verify.pictures_made import framed, noisy, scenes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from memaudit.store import Audit

SIDE = 16
FOX = "a lone red fox stands on a snowy hill at dusk"
TELESCOPE = "brass telescope beside an open window overlooking the bay"
MUGS = [f"Acme ceramic mug collection number {i} dishwasher safe 11oz" for i in range(12)]
WORDS = (
    "owl pine river canoe lamp violin desert harbor meadow glacier tunnel orchard kettle balcony comet walnut saddle "
    "prairie lantern cobble ferry quilt marble bramble thicket falcon otter tulip cedar pebble anchor barrel cactus "
    "dragonfly ember fjord gondola hammock iceberg jasmine kite lagoon mosaic nectar oyster parasol quarry raven "
    "sundial trellis umbrella vineyard willow xylophone yacht zeppelin acorn bonfire cathedral dolphin easel fountain"
).split()
UNIQUE = [" ".join(WORDS[(i * (k + 3) + 7 * k * k) % len(WORDS)] for k in range(7)) for i in range(1, 75)]
FOX_PICTURE, TELESCOPE_PICTURE = scenes(1, 11, SIDE)[0], scenes(1, 12, SIDE)[0]
MUG_PICTURES = framed(len(MUGS), 13, size=SIDE)


def dataset() -> tuple[list[str], list[np.ndarray]]:
    """Captions and pictures: one caption twenty times, a template, one caption six times, and unique ones."""
    captions = [FOX] * 20 + MUGS + [TELESCOPE] * 6 + UNIQUE
    pictures = [FOX_PICTURE] * 20 + [*MUG_PICTURES] + [TELESCOPE_PICTURE] * 6 + [*scenes(len(UNIQUE), 14, SIDE)]
    return captions, pictures


def encoded(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def scanned(folder: Path, captions: Sequence[str], pictures: Sequence[bytes | None] | None) -> Audit:
    """The audit, in `folder`/audit, of a table in `folder`; pictures as a struct of bytes and path, None for no such
    column."""
    columns: dict[str, Any] = {"caption": list(captions)}
    if pictures is not None:
        columns["image"] = [{"bytes": data, "path": None} for data in pictures]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "data.parquet")
    return scan([str(folder / "data.parquet")], folder / "audit", ScanConfig()).audit


def made_up(prompt: str, seed: int) -> np.ndarray:
    """A picture that has nothing to do with any other."""
    return scenes(1, [seed, *prompt.encode()], SIDE)[0]  # type: ignore[arg-type]


def copying(prompt: str, seed: int) -> np.ndarray:
    """The fox as in training, mugs in the frame that they share, anything else made up."""
    if prompt == FOX:
        return noisy(FOX_PICTURE[None], seed)[0]
    if "mug" in prompt or prompt == "acme":
        return framed(1, seed + len(prompt) * 1000, size=SIDE)[0]
    return made_up(prompt, seed)


@dataclass
class Sampler:
    """In place of `sampler.sample`: draws what `make` makes, and remembers what was asked for."""

    make: Callable[[str, int], np.ndarray] = copying
    asked: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, model: Any, prompts: Sequence[str], seeds: Sequence[int], region: bool = True) -> Drawn:
        del region
        pictures = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            self.asked.append((prompt, seed))
            pictures.append(self.make(prompt, seed))
        model.calls += len(prompts) * model.steps * (2 if model.guided else 1)
        return Drawn(np.stack(pictures), None, np.zeros(len(prompts), bool))
