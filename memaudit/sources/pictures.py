"""Folders of pictures with a .txt of the same stem beside each: what fine-tuners collect."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from memaudit.errors import BadInput, Unreachable
from memaudit.sources.batches import after, as_text, gather_captions, gather_images, make_batch, split, stream_captions
from memaudit.sources.columns import Columns
from memaudit.sources.files import caption_of, picture_pairs, shown, unreadable
from memaudit.sources.storage import is_remote, opened, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memaudit.sources.batches import Batch
    from memaudit.sources.columns import ColumnChoice
    from memaudit.sources.files import Pair, Source

FILES_PER_BATCH = 4096
AT_ONCE = 16  # requests to a store
REPEATS = re.compile(r"(\d{1,6})_")
"""How fine-tuners say how often a folder's pictures are seen in an epoch: "10_ohwx man"."""


class PicturesReader:
    """Reads one folder: record = picture, in the order of their names; caption = the whole .txt, stripped."""

    columns: Columns
    n_rows: int | None

    def __init__(self, source: Source, choice: ColumnChoice) -> None:
        """Lists the folder; named columns do not apply. Raises BadInput when it cannot be listed or holds no pair."""
        self.path = source.path
        # In a store without its scheme: a bucket is not the site that a picture comes from.
        self._root = self.path.partition("://")[2] if is_remote(self.path) else self.path
        self._repeats = folder_repeats(self.path) if choice.repeats else None
        weights = () if self._repeats is None else ("repeats",)
        self.columns = Columns(captions=("txt",), id="stem", image="picture", weights=weights)
        try:
            self._pairs = picture_pairs(self.path)
        except OSError as error:
            raise unreadable(self.path, error) from error
        if not self._pairs:
            why = "no picture in it has a .txt of the same name beside it"
            raise BadInput(f"no captions in {shown(self.path)}", why, "put cat.txt beside cat.jpg")
        self.n_rows = len(self._pairs)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """See `Reader.batches`. A .txt that cannot be read is skipped as "unreadable"."""
        return after(self._batches(), start)

    def _batches(self) -> Iterator[Batch]:
        for start in range(0, len(self._pairs), FILES_PER_BATCH):
            yield from self._batch(start, self._pairs[start : start + FILES_PER_BATCH])

    def take(self, rows: np.ndarray, column: int) -> list[str | None]:
        """See `Reader.take`; opens the wanted files only."""
        return gather_captions(self._only(rows), rows, column)

    def stream(self, rows: np.ndarray, column: int) -> Iterator[tuple[np.ndarray, pa.Array]]:
        """See `Reader.stream`."""
        return stream_captions(self._only(rows), rows, column)

    def starts(self) -> np.ndarray:
        """See `Reader.starts`."""
        return np.zeros(1, np.uint64)

    def take_images(self, rows: np.ndarray) -> list[str | None]:
        """See `Reader.take_images`."""
        return gather_images(self._only(rows), rows)

    def _only(self, rows: np.ndarray) -> Iterator[Batch]:
        for row in np.unique(np.asarray(rows, dtype=np.uint64)).tolist():
            yield from self._batch(row, self._pairs[row : row + 1])

    def _batch(self, start: int, pairs: list[Pair]) -> Iterator[Batch]:
        texts = self._captions(pairs)
        good = [i for i, text in enumerate(texts) if text is not None]
        names = [Path(pairs[i].picture) for i in good]
        values = {
            "txt": pa.array([texts[i] for i in good], pa.large_binary()),
            "stem": as_text(pa.array([bytes(Path(name.stem)) for name in names], pa.large_binary())),
            "picture": pa.array([os.fsencode(within(self._root, str(name))) for name in names], pa.large_binary()),
        }
        if self._repeats is not None:
            values["repeats"] = pa.repeat(pa.scalar(self._repeats), len(good))
        skipped = {"unreadable": len(pairs) - len(good)} if len(good) < len(pairs) else {}
        rows = np.array(good, dtype=np.uint64) + np.uint64(start)
        yield from split(make_batch(self.columns, rows, values, skipped))

    def _captions(self, pairs: list[Pair]) -> list[bytes | None]:
        """The .txt of each, None where it cannot be read; of a store some at once."""
        paths = [within(self.path, pair.text) for pair in pairs]
        if not is_remote(self.path):
            return [_caption(path) for path in paths]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(_caption, paths))


def _caption(path: str) -> bytes | None:
    try:
        with opened(path) as file:
            return caption_of(file.read())
    except OSError as error:
        if is_remote(path) and isinstance(refused := unreadable(path, error), Unreachable):
            raise refused from error
        return None


def folder_repeats(path: str) -> int | None:
    """How often an epoch sees the pictures of a folder, where its name says so: 10 of "10_ohwx man"."""
    found = REPEATS.match(Path(path).resolve().name)
    return int(found[1]) if found else None
