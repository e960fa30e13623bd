"""The training pictures of texts: which rows show them, and their pixels from files, a parquet column or the web.

Pictures rot, so everything that cannot be had is counted with its reason, and nothing here ends a run.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from memaudit.errors import UsageError
from memaudit.progress import Progress, Silent
from memaudit.sources import shown
from memaudit.verify.decoding import Unusable, decoded_picture
from memaudit.verify.download import Downloads
from memaudit.verify.picture_archives import ByTar
from memaudit.verify.picture_ways import KEYS, ByColumn, ByFolder, ByUrl, DatasetFiles, Wanted, Way

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memaudit.store import Audit

MOST = 64  # pictures of a gallery
TRIES = 3  # rows of one picture that are tried: URLs of one hash
SPARE = 2  # rows looked at for a gallery, as a multiple of the pictures wanted
LOOKED_AT = (4, 16)  # files, and rows of each, by which it is decided where pictures come from
LOOK_SIZE = 32


@dataclass(frozen=True)
class Gallery:
    """Training pictures, each content once (`one_each`: one a text), the most repeated first."""

    pictures: np.ndarray  # uint8 (m, size, size, 3)
    names: list[str]  # the reference, or FILE#ROW
    text_ids: np.ndarray  # uint32 (m,): a text that goes with each
    missing: int  # pictures that were looked for and not found
    reasons: Counter[str] = field(default_factory=Counter)  # of the missing ones

    @property
    def why(self) -> str | None:
        """Why there are none; None where there are some."""
        if len(self.pictures):
            return None
        return self.reasons.most_common(1)[0][0] if self.reasons else "these captions have no pictures"


class PictureSource:
    """Where the pictures of an audit's texts come from.

    kind: "folder", "bytes", "tar", "download" or "none"; told: one line about it, with the reason where there is none.
    """

    def __init__(self, audit: Audit, files: DatasetFiles, way: Way | None, told: str) -> None:
        self.kind = "none" if way is None else way.kind
        self.told = told
        self._audit, self._files, self._way = audit, files, way
        self._rows: pl.DataFrame | None = None
        self._prepared: frozenset[int] = frozenset()

    def prepare(self, groups: Sequence[Sequence[int]], most: int = MOST) -> None:
        """Read the rows and references of all these groups of texts in one pass, for `gallery` to find: a CSV is
        otherwise streamed, and members.parquet searched, once a gallery."""
        ids = frozenset(int(text) for group in groups for text in group)
        self._rows, self._prepared = _rows_of(self._audit, ids), ids
        if self._way is not None and self._way.kind != "bytes":
            self._files.remember([one for group in groups for one in _for_gallery(self._of(group), most)])

    def gallery(self, text_ids: Sequence[int], size: int, most: int = MOST) -> Gallery:
        """At most `most` distinct pictures of the rows of these texts, those on most rows first, as uint8
        (m, size, size, 3)."""
        if self._way is None:
            return _gallery([], size, {0: self.told})
        return self._filled(self._way, _for_gallery(self._of(text_ids), most), size, most, distinct=True)

    def one_each(self, text_ids: Sequence[int], size: int) -> Gallery:
        """One picture of each of these texts that has any, in their order: for controls."""
        if self._way is None:
            return _gallery([], size, dict.fromkeys(text_ids, self.told))
        return self._filled(self._way, _one_each(self._of(text_ids), text_ids), size, len(text_ids), distinct=False)

    def _of(self, text_ids: Sequence[int]) -> pl.DataFrame:
        ids = frozenset(int(text) for text in text_ids)
        if self._rows is not None and ids <= self._prepared:
            return self._rows.filter(pl.col("text_id").is_in(pl.Series(sorted(ids), dtype=pl.UInt32).implode()))
        return _rows_of(self._audit, ids)

    def _filled(self, way: Way, queue: list[Wanted], size: int, most: int, distinct: bool) -> Gallery:
        """Fetch in waves, so that only as many pictures are read as are missing."""
        kept: list[tuple[int, Wanted, str, np.ndarray]] = []
        order = {slot: at for at, slot in enumerate(dict.fromkeys(one.slot for one in queue))}
        done: set[int] = set()
        failed: dict[int, str] = {}
        seen: set[bytes] = set()
        while len(kept) < most and (wave := _wave(queue, done, most - len(kept))):
            chosen = set(wave)
            queue = [one for one in queue if one not in chosen and one.slot not in done]
            for at, name, picture in sorted(_decoded(way, wave, size), key=lambda found: found[0]):
                slot = wave[at].slot
                if isinstance(picture, str):
                    failed[slot] = picture
                    continue
                done.add(slot)
                digest = hashlib.blake2b(picture.tobytes(), digest_size=16).digest()
                if not distinct or digest not in seen:
                    seen.add(digest)
                    kept.append((order[slot], wave[at], name, picture))
        kept.sort(key=lambda entry: entry[0])
        return _gallery([entry[1:] for entry in kept], size, {s: why for s, why in failed.items() if s not in done})


def _gallery(kept: list[tuple[Wanted, str, np.ndarray]], size: int, failed: dict[int, str]) -> Gallery:
    return Gallery(
        np.stack([picture for *_, picture in kept]) if kept else np.empty((0, size, size, 3), np.uint8),
        [name for _, name, _ in kept],
        np.array([one.text_id for one, *_ in kept], np.uint32),
        len(failed),
        Counter(failed.values()),
    )


def _wave(queue: list[Wanted], done: set[int], most: int) -> list[Wanted]:
    """The next rows to try: one a slot, at most `most`."""
    wave: dict[int, Wanted] = {}
    for one in queue:
        if one.slot not in done and len(wave) < most:
            wave.setdefault(one.slot, one)
    return list(wave.values())


def _decoded(way: Way, wanted: Sequence[Wanted], size: int) -> Iterator[tuple[int, str, np.ndarray | str]]:
    """Position, name, and the picture at its size or why there is none."""
    for at, name, data in way.fetch(wanted):
        try:
            if isinstance(data, Unusable):
                raise data
            yield at, name, decoded_picture(data, size)
        except Unusable as error:
            yield at, name, str(error)


def _rows_of(audit: Audit, ids: frozenset[int]) -> pl.DataFrame:
    """file, row, text_id, id, image of the rows of these texts, in the order of the data; each row once a text."""
    wanted = pl.Series(sorted(ids), dtype=pl.UInt32).implode()
    rows = audit.scan("members").filter(pl.col("text_id").is_in(wanted))
    columns = audit.collect(rows.select("file", "row", "text_id", "id", "image"), "members")
    return columns.unique(["file", "row", "text_id"], keep="first").sort("file", "row", "text_id")


def _for_gallery(rows: pl.DataFrame, most: int) -> list[Wanted]:
    """Rows to try for a gallery, best first: pictures known by hash or reference by their number of rows, each with up
    to `TRIES` rows; then rows of unknown pictures, one of each text before a second one of any, spread over the
    data."""
    rows = rows.unique(["file", "row"], keep="first", maintain_order=True)
    tries = SPARE * most
    known = (
        rows.filter(pl.col("image").is_not_null())
        .with_columns(n=pl.len().over("image").cast(pl.Int64), turn=pl.int_range(pl.len()).over("image"))
        .filter(pl.col("turn") < TRIES)
        .with_columns(slot=pl.col("image").rank("dense").cast(pl.Int64))
        .sort("turn", "n", "file", "row", descending=[False, True, False, False])
        .head(tries)
    )
    unknown = rows.filter(pl.col("image").is_null()).with_columns(turn=pl.int_range(pl.len()).over("text_id"))
    unknown = unknown.sort("turn", "file", "row")
    n_texts = int((unknown["turn"] == 0).sum())
    if n_texts > tries:
        unknown = unknown.head(n_texts).gather_every(-(-n_texts // tries))
    unknown = unknown.head(tries).with_columns(slot=-pl.int_range(1, 1 + pl.len(), dtype=pl.Int64))
    return [Wanted(*row) for frame in (known, unknown) for row in frame.select(Wanted._fields).iter_rows()]


def _one_each(rows: pl.DataFrame, text_ids: Sequence[int]) -> list[Wanted]:
    """Up to `TRIES` rows of each text, first rows first, texts in the order asked for."""
    asked = pl.DataFrame({"text_id": list(dict.fromkeys(text_ids))}, schema={"text_id": pl.UInt32})
    tries = (
        asked.with_row_index("slot")
        .join(rows, on="text_id", maintain_order="left_right")
        .with_columns(turn=pl.int_range(pl.len()).over("slot"))
        .filter(pl.col("turn") < TRIES)
        .sort("turn", "slot", maintain_order=True)
    )
    return [Wanted(*row) for row in tries.select(*Wanted._fields).iter_rows()]


def find_pictures(
    audit: Audit,
    image_root: str | None = None,
    image_column: str | None = None,
    download: Downloads | bool = False,
    progress: Progress | None = None,
) -> PictureSource:
    """Decide by the first rows of the first files where the pictures of an audit come from, and say so in one note.

    image_root: a folder that holds the pictures, tried by each of `KEYS`; without it references are looked up below the
    folder of their dataset file. image_column: overrides the scan's. download: whether URLs may be fetched, or how.
    Raises UsageError where `image_root` is no folder.
    """
    files = DatasetFiles(audit, image_column)
    first = _first_rows(audit)
    way, told = None, "none: the audit has no rows"
    if first:
        way, told = _by_files(files, first, image_root)
        if way is None:
            way, told = _by_url(files, first, download, told)
    (progress or Silent()).note(f"training pictures: {told}")
    return PictureSource(audit, files, way, told)


def _first_rows(audit: Audit) -> list[Wanted]:
    n_files, n_rows = LOOKED_AT
    read = audit.frame("files").filter(pl.col("rows") > pl.col("skipped"))["file"].head(n_files)
    columns = [pl.lit(0).alias("slot"), "text_id", "file", "row", "id"]
    members = audit.scan("members").select(columns)
    frames = [members.filter(pl.col("file") == file).head(n_rows).collect() for file in read]
    return [Wanted(*row) for frame in frames for row in frame.iter_rows()]


def _by_files(files: DatasetFiles, first: list[Wanted], image_root: str | None) -> tuple[Way | None, str]:
    """The way to pictures on this disk that finds most of the first rows' pictures, and what is told of it."""
    if image_root is None:
        ways: list[Way] = [ByColumn(files), ByTar(files), ByFolder(files, None, "path")]
    elif Path(image_root).is_dir():
        ways = [ByFolder(files, Path(image_root), key) for key in KEYS]
    else:
        raise UsageError(f"{shown(image_root)} is no folder", "--image-root names one", "check the spelling")
    best, most, reasons = None, 0, Counter[str]()
    for way in ways:
        found = [picture for *_, picture in _decoded(way, first, LOOK_SIZE)]
        reasons.update(picture for picture in found if isinstance(picture, str))
        n_found = sum(not isinstance(picture, str) for picture in found)
        if n_found > most:
            best, most = way, n_found
    if best is not None:
        return best, f"{best.told} ({most} of the first {len(first)} rows have theirs)"
    # In which ways that did not apply end.
    for dull in (
        "no column of keys",
        "no column of pictures",
        "no tars",
        "no reference",
    ):
        if len(reasons) > 1:
            del reasons[dull]
    where = "" if image_root is None else f" in {shown(image_root)}, looked for by {', '.join(KEYS)}"
    return None, f"none{where}: {reasons.most_common(1)[0][0]}"


def _by_url(files: DatasetFiles, first: list[Wanted], download: Downloads | bool, told: str) -> tuple[Way | None, str]:
    """Downloads, where the first rows have URLs and `download` allows it; else none, and what would help."""
    n_urls = sum("://" in name for name in files.named(first))
    if not n_urls:
        return None, told
    if download is False:
        return None, "none: references are URLs; --download fetches them, --image-root names a folder that has them"
    downloads = Downloads() if download is True else download
    return ByUrl(files, downloads), f"downloaded ({n_urls} of the first {len(first)} rows have a URL)"
