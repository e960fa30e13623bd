"""Draws the built-in world: captions, pictures and the truth about what is repeated; see README.md.

    python sample_data/world/draw.py [--seed S] [--exchange] [--size PIXELS] [--out DIR]

writes the set with its pictures as drawn. The set in git holds the pictures as the model's autoencoder renders them:
train.py draws, renders and writes it. Everything follows from the seed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from PIL import Image
from scenes import phone_case, scene, wall_art
from wording import Content, Print, draw_caption, draw_print

sys.path.append(str(Path(__file__).parent.parent))
from overlap import OverlapIndex, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZE = 32
UNIQUE, HELD_OUT = 1_000, 100
DUPLICATES, DUPLICATE_ROWS = 10, 60
DOSES = {2: 10, 5: 10, 10: 10, 20: 10, 50: 10}
TRAINED_FILLERS, UNSEEN_FILLERS, FILLER_ROWS = 15, 15, 10
SAME_CAPTION, SAME_CAPTION_ROWS = 6, 60
IMAGE_TEMPLATES: tuple[tuple[str, str, Callable[[Print, Random, int], np.ndarray]], ...] = (
    ("{motif} phone case by {artist}", "<*> phone case by <*>", phone_case),
    ("{motif} wall art print by {artist}", "<*> wall art print by <*>", wall_art),
)
DECOY_TEMPLATES = (
    ("{motif} reader photo of the week by {artist}", "<*> reader photo of the week by <*>"),
    ("{motif} lucky dip bag packed by {artist}", "<*> lucky dip bag packed by <*>"),
)
JPEG_QUALITY = 92
UID = "world-"  # and the number of the row
TRUTH: dict[str, pl.DataType | type[pl.DataType]] = {
    "caption": pl.String,
    "role": pl.String,
    "dose": pl.UInt32,
    "template": pl.String,
    "pictures": pl.List(pl.String),
}


@dataclass(frozen=True)
class Caption:
    """One caption and what is true of it.

    `pictures` are indices into the world's pictures: one for a caption that always has the same, `rows` of them for one
    that never has. A held-out caption (rows 0) has the picture that it would have had, which no file holds.
    """

    text: str
    role: str
    rows: int
    template: str | None
    pictures: tuple[int, ...]


@dataclass(frozen=True)
class World:
    """Captions with their pictures, uint8 (n, size, size, 3), and `order`: the rows as (caption, picture) pairs."""

    captions: tuple[Caption, ...]
    pictures: np.ndarray
    order: tuple[tuple[int, int], ...]

    def only(self, uids: Sequence[str]) -> World:
        """The same world with these rows alone."""
        return replace(self, order=tuple(self.order[int(uid.removeprefix(UID))] for uid in uids))


class _Sketch:
    """The captions and pictures drawn so far."""

    def __init__(self, seed: int, size: int) -> None:
        self.seed, self.size = seed, size
        self.captions: list[Caption] = []
        self.pictures: list[np.ndarray] = []

    def rng(self, *name: object) -> Random:
        """A generator of its own for everything that has a name, so that no change moves anything else."""
        return Random("/".join(map(str, (self.seed, *name))))

    def picture(self, image: np.ndarray) -> int:
        self.pictures.append(image)
        return len(self.pictures) - 1

    def scenes(self, text: str, content: Content | None, n: int) -> tuple[int, ...]:
        """Pictures of the content, or of anything if there is none."""
        return tuple(self.picture(scene(content, self.rng("scene", text, i), self.size)) for i in range(n))

    def add(self, text: str, role: str, rows: int, pictures: tuple[int, ...], template: str | None = None) -> None:
        self.captions.append(Caption(text, role, rows, template, pictures))


def draw_world(seed: int = 1, exchange: bool = False, size: int = SIZE) -> World:
    """The world of a seed; `exchange` repeats captions that are unique otherwise and the other way round."""
    sketch = _Sketch(seed, size)
    pool = _pool(sketch.rng("captions"), UNIQUE + HELD_OUT + DUPLICATES + sum(DOSES.values()) + SAME_CAPTION)
    held_out, pool = pool[:HELD_OUT], pool[HELD_OUT:]
    same, pool = pool[:SAME_CAPTION], pool[SAME_CAPTION:]
    repeated = [("duplicate", DUPLICATE_ROWS)] * DUPLICATES + [("dose", d) for d, n in DOSES.items() for _ in range(n)]
    roles = repeated + [("unique", 1)] * UNIQUE
    for (role, rows), (text, content) in zip(roles, pool[::-1] if exchange else pool, strict=True):
        sketch.add(text, role, rows, sketch.scenes(text, content, 1))
    for text, content in same:
        sketch.add(text, "same_caption", SAME_CAPTION_ROWS, sketch.scenes(text, content, SAME_CAPTION_ROWS))
    for text, content in held_out:
        sketch.add(text, "held_out", 0, sketch.scenes(text, content, 1))
    _add_templates(sketch, exchange)
    captions = tuple(sketch.captions)
    order = [(i, c.pictures[k % len(c.pictures)]) for i, c in enumerate(captions) for k in range(c.rows)]
    sketch.rng("order").shuffle(order)
    return World(captions, np.stack(sketch.pictures), tuple(order))


def _pool(rng: Random, n: int) -> list[tuple[str, Content]]:
    """Captions no two of which are alike (Jaccard below .6) or look like a template, each with its content."""
    index, pool = OverlapIndex(), list[tuple[str, Content]]()
    while len(pool) < n:
        text, content = draw_caption(rng)
        if not index.near(words(text)):
            index.add(words(text))
            pool.append((text, content))
    return pool


def _add_templates(sketch: _Sketch, exchange: bool) -> None:
    """Image templates with trained and unseen fillers, then decoys: the same repetition without a common picture."""
    for frame, template, render in IMAGE_TEMPLATES:
        rng = sketch.rng("template", template)
        roles = ["image_template"] * TRAINED_FILLERS + ["unseen_filler"] * UNSEEN_FILLERS
        for role in reversed(roles) if exchange else roles:
            shown, motif, artist = draw_print(rng)
            text = frame.format(motif=motif, artist=artist)
            picture = sketch.picture(render(shown, sketch.rng("print", text), sketch.size))
            sketch.add(text, role, FILLER_ROWS if role == "image_template" else 0, (picture,), template)
    for frame, template in DECOY_TEMPLATES:
        rng = sketch.rng("template", template)
        for _ in range(TRAINED_FILLERS):
            _, motif, artist = draw_print(rng)
            text = frame.format(motif=motif, artist=artist)
            sketch.add(text, "decoy", FILLER_ROWS, sketch.scenes(text, None, FILLER_ROWS), template)


def write_set(world: World, pictures: np.ndarray, out: Path) -> None:
    """Writes captions.parquet, truth.parquet and world.jpg (for people); `pictures` as in the world."""
    out.mkdir(parents=True, exist_ok=True)
    first = {picture: rank for rank, picture in enumerate(dict.fromkeys(p for _, p in world.order))}
    names = {picture: f"{rank:05d}.jpg" for picture, rank in first.items()}
    files = {picture: _jpeg(pictures[picture]) for picture in first}
    rows = [
        {
            "uid": f"{UID}{i:05d}",
            "caption": world.captions[c].text,
            "image": {"bytes": files[p], "path": names[p]},
            "md5": hashlib.md5(files[p], usedforsecurity=False).hexdigest(),
        }
        for i, (c, p) in enumerate(world.order)
    ]
    pl.DataFrame(rows).write_parquet(out / "captions.parquet", compression="zstd", compression_level=19)
    truth = [(c.text, c.role, c.rows, c.template, [names[p] for p in c.pictures if p in names]) for c in world.captions]
    pl.DataFrame(truth, schema=TRUTH, orient="row").write_parquet(out / "truth.parquet")
    contact_sheet(world, pictures).save(out / "world.jpg", quality=90)


def _jpeg(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return stream.getvalue()


def contact_sheet(world: World, pictures: np.ndarray, columns: int = 16, edge: int = 64) -> Image.Image:
    """One line of pictures a role: duplicated, unique, one caption's, each template's, a decoy template's."""
    by_role: dict[str, list[int]] = {}
    for caption in world.captions:
        by_role.setdefault(f"{caption.role}/{caption.template or ''}", []).extend(caption.pictures)
    lines = [
        by_role["duplicate/"] + by_role["dose/"][-columns:],
        by_role["unique/"],
        by_role["unique/"][columns:],
        by_role["same_caption/"],
        *(by_role[f"image_template/{template}"] for _, template, _ in IMAGE_TEMPLATES),
        by_role[f"decoy/{DECOY_TEMPLATES[0][1]}"],
    ]
    return grid([pictures[line[:columns]] for line in lines], edge)


def grid(lines: Sequence[np.ndarray], edge: int) -> Image.Image:
    """Lines of pictures of one length, each enlarged to the edge."""
    sheet = Image.new("RGB", ((edge + 4) * len(lines[0]), (edge + 4) * len(lines)), "white")
    for y, line in enumerate(lines):
        for x, picture in enumerate(line):
            enlarged = Image.fromarray(picture).resize((edge, edge), Image.Resampling.BICUBIC)
            sheet.paste(enlarged, (x * (edge + 4) + 2, y * (edge + 4) + 2))
    return sheet


def main() -> None:
    """Draws and writes the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--exchange", action="store_true", help="repeat what is unique otherwise, and vice versa")
    parser.add_argument("--size", type=int, default=SIZE, help="edge of a picture in pixels")
    parser.add_argument("--out", type=Path, default=Path("world"))
    args = parser.parse_args()
    world = draw_world(args.seed, args.exchange, args.size)
    write_set(world, world.pictures, args.out)
    print(
        f"{len(world.order):,} rows, {len(world.captions):,} captions, {len(world.pictures):,} pictures in {args.out}"
    )


if __name__ == "__main__":
    main()
