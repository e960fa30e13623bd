"""Pictures for a report: what was generated, the training pictures beside it, and an outline around what is copied.

It joins what verify knows of pictures with what a page shows of them, which is why it stands above both. Without the
extra [verify] generated pictures are embedded as they lie in the audit, and nothing is outlined.
"""

from __future__ import annotations

import importlib.util
import io
from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.errors import BadInput, UsageError
from memaudit.outline import alike, outline
from memaudit.report.html import Gallery, Picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from memaudit.store import Audit

SIZE = 256  # pixels a side of an embedded picture at most
COMPARED = 128  # of the pictures whose agreement is outlined
MOST_EACH = 16 << 20  # bytes of a generated picture that is read without Pillow
LEAST, MOST = 0.02, 0.97  # share of the picture that an outline is drawn around; below is noise, above is all of it
SHARED = 0.5  # of the other seeds must agree in a pixel


def gallery(
    audit: Audit,
    cards: Sequence[Mapping[str, Any]],
    training: bool = False,
    image_root: str | None = None,
    image_column: str | None = None,
) -> Gallery:
    """Pictures of the samples that `cards` (of a summary made with lines) show.

    training: also their nearest training pictures, from where verify would take them; nothing is downloaded. Raises
    UsageError where that needs an extra or `image_root` is no folder. What cannot be read is told in one line.
    """
    readable = importlib.util.find_spec("PIL") is not None
    if training and not readable:
        raise UsageError(
            "--pictures needs the extra [verify]", "it reads the pictures", "pip install 'memaudit-captions[verify]'"
        )
    failed: Counter[str] = Counter()
    drawn = _generated(audit, cards, failed, readable)
    near: dict[tuple[str, str], _Found] = {}
    told: list[str] = []
    if training:
        near, told = _training(audit, cards, image_root, image_column)
    shown = _outlined(cards, drawn, near) if readable else drawn
    told += [f"{n:,} generated pictures are not shown: {why}." for why, n in sorted(failed.items())]
    return Gallery(
        {path: found.encoded() for path, found in shown.items()},
        {key: found.encoded() for key, found in near.items()},
        told,
        training,
    )


class _Found:
    """One picture: its file's bytes, or pixels, uint8 (H, W, 3); and what of it is copied."""

    def __init__(self, data: bytes = b"", pixels: np.ndarray | None = None) -> None:
        self.data, self.pixels = data, pixels
        self.path, self.whole = "", False

    def encoded(self) -> Picture:
        """PNG where that is small, else JPEG; nothing of a file but its pixels reaches the page."""
        if self.pixels is None:
            return Picture(self.data)
        from PIL import Image

        image = Image.fromarray(self.pixels)
        image.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
        held, small = io.BytesIO(), max(image.size) <= COMPARED
        image.save(held, "PNG" if small else "JPEG", **({} if small else {"quality": 85}))
        return Picture(held.getvalue(), max(image.size), self.path, self.whole)


def _generated(
    audit: Audit, cards: Sequence[Mapping[str, Any]], failed: Counter[str], readable: bool
) -> dict[str, _Found]:
    """Generated pictures by their path in SAMPLES, which leads nowhere but into the audit."""
    out = {}
    root = audit.folder.resolve()
    for path in dict.fromkeys(sample["path"] for card in cards for sample in card["samples"]["shown"]):
        try:
            out[path] = _read(root, path, readable)
        except BadInput as error:
            failed[error.what] += 1
    return out


def _read(root: Path, path: str, readable: bool) -> _Found:
    """Raises BadInput with the reason."""
    try:
        real = (root / path).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput("unreadable file") from error
    if not real.is_relative_to(root):
        raise BadInput("their path leads out of the audit")
    if readable:
        from memaudit.verify.decoding import Unusable, decoded_picture, read_file

        try:
            return _Found(pixels=decoded_picture(read_file(real)))
        except Unusable as error:
            raise BadInput(str(error)) from error
    try:
        if not real.is_file() or real.stat().st_size > MOST_EACH:
            raise BadInput("no such file, or more than 16 MiB")
        return _Found(data=real.read_bytes())
    except OSError as error:
        raise BadInput("unreadable file") from error


def _training(
    audit: Audit, cards: Sequence[Mapping[str, Any]], image_root: str | None, image_column: str | None
) -> tuple[dict[tuple[str, str], _Found], list[str]]:
    """Nearest training pictures by (fingerprint, name), and what is to be said of them."""
    from memaudit.verify.pictures import MOST as GALLERY
    from memaudit.verify.pictures import find_pictures

    wanted = {
        card["fingerprint"]: (card["cluster_id"], names)
        for card in cards
        if (names := {s["nearest_image"] for s in card["samples"]["shown"] if s["nearest_image"]})
    }
    if not wanted:
        return {}, []
    source = find_pictures(audit, image_root, image_column)
    texts = _texts(audit, [cluster for cluster, _ in wanted.values()])
    groups = {name: texts.get(cluster, []) for name, (cluster, _) in wanted.items()}
    source.prepare(list(groups.values()), GALLERY)
    out: dict[tuple[str, str], _Found] = {}
    lacking = 0
    for fingerprint, (_, names) in wanted.items():
        found = source.gallery(groups[fingerprint], SIZE, GALLERY)
        here = {n: p for n, p in zip(found.names, found.pictures, strict=True) if n in names}
        out |= {(fingerprint, name): _Found(pixels=pixels) for name, pixels in here.items()}
        lacking += len(names - here.keys())
    told = [f"Training pictures: {source.told}."]
    return out, told + [f"{lacking:,} nearest training pictures were not found."] * bool(lacking)


def _texts(audit: Audit, clusters: Sequence[int]) -> dict[int, list[int]]:
    wanted = pl.Series(clusters, dtype=pl.UInt32).implode()
    rows = audit.scan("clusters").filter(pl.col("cluster_id").is_in(wanted)).select("cluster_id", "text_id")
    grouped = audit.collect(rows, "clusters").group_by("cluster_id").agg("text_id")
    return dict(grouped.iter_rows())


def _outlined(
    cards: Sequence[Mapping[str, Any]],
    drawn: dict[str, _Found],
    near: Mapping[tuple[str, str], _Found],
) -> dict[str, _Found]:
    """Give every copy its outline: where it agrees with its training picture, else with other seeds of its prompt."""
    import numpy as np

    for card in cards:
        shown = [s for s in card["samples"]["shown"] if s["path"] in drawn]
        for sample in shown:
            if sample["copied"] not in ("verbatim", "template"):
                continue
            own = drawn[sample["path"]]
            pattern = near.get((card["fingerprint"], sample["nearest_image"] or ""))
            if pattern is not None:
                mask = _agreement(own, [pattern])
            else:
                same = [s for s in shown if all(s[k] == sample[k] for k in ("model", "prompt", "prompt_kind"))]
                mask = _agreement(own, [drawn[s["path"]] for s in same if s["path"] != sample["path"]])
            if mask is not None and mask.mean() >= LEAST:
                own.whole = bool(mask.mean() > MOST)
                own.path = outline(np.ones_like(mask) if own.whole else mask)
    return drawn


def _agreement(own: _Found, others: Sequence[_Found]) -> np.ndarray | None:
    """bool (S, S): where a picture is like at least half of the others; None without any."""
    if not others or own.pixels is None:
        return None
    import numpy as np

    from memaudit.verify.likeness import fitted

    size = min(COMPARED, *own.pixels.shape[:2])
    here = fitted(own.pixels, size)
    there = [fitted(other.pixels, size) for other in others if other.pixels is not None]
    return np.asarray(np.mean([alike(here, one) for one in there], axis=0) >= SHARED)


__all__ = ["gallery"]
