"""Puts what a verification of the world found on one sheet: training pictures beside what the model drew.

python sample_data/world/sheet.py AUDIT [--top N] -o copies.png
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

WORLD = Path(__file__).parent
EDGE, GAP, TEXT = 96, 6, 430
DRAWN = 4  # samples of a finding
HEADS = ("what the data repeats", "training picture", "what the model draws for it, four seeds")


def lines_of(audit: Path, top: int) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Findings to show, each with its samples: templates and whole pictures in turn, then what did not replicate."""
    findings = pl.read_parquet(audit / "findings.parquet").select("fingerprint", "representative", "n_rows", "risk")
    verdicts = pl.read_parquet(audit / "verdicts.parquet").with_columns(pl.col("verdict").cast(pl.String))
    verdicts = verdicts.filter(pl.col("model") == pl.col("model").last())
    samples = pl.read_parquet(audit / "samples.parquet").with_columns(pl.col("prompt_kind").cast(pl.String))
    samples = samples.filter(pl.col("model") == verdicts["model"].last())
    found = verdicts.join(findings, on="fingerprint").filter(pl.col("n_samples") > 0)
    order = {"template": 0, "verbatim": 0, "not_replicated": 1}
    chosen = found.with_columns(
        order=pl.col("verdict").replace_strict(order, default=2),
        turn=pl.col("risk").rank("ordinal", descending=True).over("verdict"),
    ).sort("order", "turn", "verdict")
    few = pl.concat([chosen.filter(pl.col("order") == 0).head(top - 2), chosen.filter(pl.col("order") == 1).head(2)])
    out = []
    for row in few.iter_rows(named=True):
        own = samples.filter(
            (pl.col("fingerprint") == row["fingerprint"]) & pl.col("prompt_kind").is_in(["caption", "unseen"])
        )
        kinds = own.sort(
            pl.int_range(pl.len()).over("prompt"), maintain_order=True
        )  # every prompt once before any twice
        out.append((row, kinds.head(DRAWN).to_dicts()))
    return out


def picture(data: bytes | Path) -> Image.Image:
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return image.convert("RGB").resize((EDGE, EDGE), Image.Resampling.BICUBIC)


def sheet(audit: Path, lines: Sequence[tuple[dict[str, Any], list[dict[str, Any]]]]) -> Image.Image:
    """One line a finding."""
    stored = pl.read_parquet(WORLD / "captions.parquet", columns=["image"])["image"].struct.unnest().unique("path")
    training = dict(zip(stored["path"], stored["bytes"], strict=True))
    width = TEXT + (EDGE + GAP) * (DRAWN + 1) + 3 * GAP
    out = Image.new("RGB", (width, 28 + (EDGE + GAP) * len(lines)), "white")
    pen = ImageDraw.Draw(out)
    for x, head in zip((GAP, TEXT, TEXT + EDGE + 3 * GAP), HEADS, strict=True):
        pen.text((x, 8), head, fill="#666")
    for i, (row, samples) in enumerate(lines):
        top = 28 + i * (EDGE + GAP)
        name = (row["nearest_image"] or "").rsplit("/", 1)[-1]
        if name in training:
            out.paste(picture(training[name]), (TEXT, top))
        said = [
            row["representative"][:64],
            f"{row['verdict']}: {row['n_copies']} of {row['n_samples']} samples copy",
            f"{row['n_rows']} rows",
        ]
        for k, text in enumerate(said):
            pen.text((GAP, top + 24 + 17 * k), text, fill="black" if k != 1 else "#b00" if row["n_copies"] else "#070")
        for k, sample in enumerate(samples):
            out.paste(picture(audit / sample["path"]), (TEXT + EDGE + 3 * GAP + k * (EDGE + GAP), top))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", type=Path)
    parser.add_argument("--top", type=int, default=12)
    parser.add_argument("-o", "--out", type=Path, default=Path("copies.png"))
    args = parser.parse_args()
    sheet(args.audit, lines_of(args.audit, args.top)).save(args.out)


if __name__ == "__main__":
    main()
