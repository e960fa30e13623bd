"""Webdataset archives: a record is a sample, its caption a .txt or .caption member or a field of its .json."""

from __future__ import annotations

import contextlib
import itertools
import os
from array import array
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from memaudit.errors import BadInput
from memaudit.sources.archive import Damaged, Walk, window
from memaudit.sources.batches import MAX_BYTES, after, gather, make_batch, pick, split
from memaudit.sources.columns import find_columns, match
from memaudit.sources.files import BOM, caption_of, shown, unreadable
from memaudit.sources.objects import ObjectParser, fields_of, object_on
from memaudit.sources.samples import is_picture, samples
from memaudit.sources.storage import packing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from memaudit.sources.batches import Batch
    from memaudit.sources.columns import ColumnChoice, Columns
    from memaudit.sources.files import Source
    from memaudit.sources.samples import Sample

PROBED = 64  # samples in which columns are looked for
PIECE = 4096  # samples that are read at once
NEAR_ROWS = 64  # wanted records that are closer are read in one go
KEY, PICTURE, JSON = "__key__", "picture", "json"


class TarReader:
    """Reads one .tar, plain or compressed. Nothing is extracted; pictures are passed over.

    A pass over a plain archive leaves an index, 8 bytes a sample, by which later ones start where they need to.
    """

    columns: Columns
    n_rows: int | None = None

    def __init__(self, source: Source, choice: ColumnChoice) -> None:
        """Finds the columns in the first samples. Raises BadInput when there are none, or no caption among them."""
        self.path = source.path
        self._is_packed = packing(self.path) is not None
        self._starts, self._lock = array("Q"), Lock()
        first, self._probed = self._probe()
        if not first:
            why = "webdataset's are 000.jpg, 000.txt, 000.json; the part before the dot is the sample"
            raise BadInput(f"no samples in {shown(self.path)}", why, "leave it out")
        fields, self._routes = _fields(first)
        self.columns = _columns(fields, choice, self.path)
        as_stored = {self._routes[n][1] for n in (*self.columns.captions, self.columns.image) if n in self._routes}
        needed = {name: self._routes[name] for name in self.columns.names() if name in self._routes}
        inner = {name: fields[outer] for outer, (where, name) in needed.items() if where == JSON}
        self._parser = ObjectParser(inner, as_stored, inner) if inner else None
        self._wanted = frozenset(_member(*route) for route in needed.values())
        self._captions = [_member(*self._routes[name]) for name in self.columns.captions]
        self._only_json = set(self._captions) == {b"json"}

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """See `Reader.batches`. Samples are skipped as "no caption", "bad json", "link" (the caption is one), "too
        large" or "two members of one name"."""
        return after(self._pass([(0, None)]), start)

    def take(self, rows: np.ndarray, column: int) -> list[str | None]:
        """See `Reader.take`; reads what lies before the rows only once, and never of a compressed archive less."""
        return gather(((b.rows, b.captions[column]) for b in self._around(rows)), rows)

    def stream(self, rows: np.ndarray, column: int) -> Iterator[tuple[np.ndarray, pa.Array]]:
        """See `Reader.stream`."""
        return pick(((b.rows, b.captions[column]) for b in self._around(rows)), rows)

    def starts(self) -> np.ndarray:
        """See `Reader.starts`."""
        return np.zeros(1, np.uint64)

    def take_images(self, rows: np.ndarray) -> list[str | None]:
        """See `Reader.take_images`."""
        if self.columns.image is None:
            return [None] * len(rows)
        return gather(((b.rows, b.images) for b in self._around(rows)), rows)

    def take_pictures(self, rows: np.ndarray) -> Iterator[tuple[int, bytes | None]]:
        """Record numbers and encoded pictures, ascending; None where a sample has none, or one above `MAX_CONTENT`.

        Raises BadInput, and IndexError for a record that does not exist.
        """
        wanted = np.unique(np.asarray(rows, np.uint64)).tolist()
        if wanted and not self._is_packed:
            self._index(wanted[-1])
        left = iter([*wanted, None])
        row = next(left)
        for at, sample in self._samples(self._runs(wanted, 1), frozenset(), pictures=True):
            if at == row:
                yield at, next(iter(sample.contents.values()), None)
                row = next(left)
        if row is not None:
            raise IndexError(f"record {row:,} does not exist")

    def rows_by_key(self) -> dict[str, int]:
        """Record number of every key, the first where several have it; nothing but headers is read. Keys that are not
        UTF-8 are left out."""
        found: dict[str, int] = {}
        for row, sample in self._samples([(0, None)], frozenset()):
            with contextlib.suppress(UnicodeDecodeError):
                found.setdefault(sample.key.decode(), row)
        return found

    def estimated_rows(self, size: int) -> int:
        """Samples of the whole archive, of so many bytes, judged by the first."""
        n, n_bytes = self._probed
        return self.n_rows if self.n_rows is not None else max(n, round(n * size / max(1, n_bytes)))

    def _probe(self) -> tuple[list[Sample], tuple[int, int]]:
        """The first samples, and how many there are in how many bytes."""
        found: list[Sample] = []
        try:
            found.extend(sample for _, sample in self._samples([(0, PROBED - 1)], frozenset({b"json"})))
            self.n_rows = len(found) if len(found) < PROBED else None
        except BadInput:
            if not found:  # else the pass will say so, after what is whole
                raise
        return found, (max(1, len(found) - 1), found[-1].start - found[0].start if found else 0)

    def _around(self, rows: np.ndarray) -> Iterator[Batch]:
        """Batches that hold these records, ascending."""
        wanted = np.unique(np.asarray(rows, np.uint64)).tolist()
        return self._pass(self._runs(wanted, NEAR_ROWS))

    def _runs(self, rows: list[int], gap: int) -> list[tuple[int, int | None]]:
        """First and last of ascending numbers that are at most `gap` apart; of all, where no index tells them."""
        if not rows or self._is_packed or rows[-1] >= len(self._starts):
            return [(rows[0], rows[-1])] if rows else []
        cuts = np.flatnonzero(np.diff(rows) > gap)
        firsts, lasts = [0, *(cuts + 1).tolist()], [*cuts.tolist(), len(rows) - 1]
        return [(rows[first], rows[last]) for first, last in zip(firsts, lasts, strict=True)]

    def _pass(self, runs: list[tuple[int, int | None]]) -> Iterator[Batch]:
        for piece in _pieces(self._samples(runs, self._wanted)):
            if piece:
                yield from split(self._batch(piece))

    def _index(self, row: int) -> None:
        """See to it that the index knows this record, if there is one; nothing but headers is read."""
        if row >= len(self._starts):
            for _ in self._samples([(row, row)], frozenset()):
                pass

    def _samples(
        self, runs: list[tuple[int, int | None]], wanted: frozenset[bytes], pictures: bool = False
    ) -> Iterator[tuple[int, Sample]]:
        """Records from the first to the last of each run (None: to the end), ascending.

        Raises BadInput at damage, after the samples before it.
        """
        row = 0
        try:
            with window(self.path) as source:
                for first, last in runs:
                    row = at = 0
                    if self._starts:
                        row = min(first, len(self._starts) - 1)
                        at = self._starts[row]
                    walk = Walk(source, at)
                    found = enumerate(samples(walk, source, wanted, pictures), row)
                    for piece in _sound(walk, found if last is None else itertools.islice(found, last - row + 1)):
                        self._remember(row, piece)
                        row += len(piece)
                        yield from ((number, sample) for number, sample in piece if number >= first)
        except Damaged as error:
            raise self._damaged(str(error), row) from error
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self.path, error) from error

    def _damaged(self, why: str, row: int) -> BadInput:
        what = f"{shown(self.path)} is damaged at about row {row:,}" if row else f"{shown(self.path)} is no tar archive"
        return BadInput(what, why, "write or download it again, or leave it out")

    def _remember(self, row: int, piece: list[tuple[int, Sample]]) -> None:
        if not self._is_packed:
            with self._lock:
                self._starts.extend(sample.start for _, sample in piece[len(self._starts) - row :])

    def _batch(self, piece: list[tuple[int, Sample]]) -> Batch:
        reasons = [self._reason(sample) for _, sample in piece]
        skipped = Counter(reason for reason in reasons if reason is not None)
        rows = np.array([row for (row, _), reason in zip(piece, reasons, strict=True) if reason is None], np.uint64)
        kept = [sample for (_, sample), reason in zip(piece, reasons, strict=True) if reason is None]
        values: dict[str, pa.Array] = {}
        if self._parser is not None:
            values, good = _objects(self._parser, kept)
            if self._only_json and not good.all():
                skipped["bad json"] = int((~good).sum())
                rows, kept = rows[good], [sample for sample, is_good in zip(kept, good, strict=True) if is_good]
                values = {name: column.filter(pa.array(good)) for name, column in values.items()}
        named = {name: self._column(name, kept, values) for name in self.columns.names()}
        return make_batch(self.columns, rows, named, dict(skipped))

    def _reason(self, sample: Sample) -> str | None:
        """Why a sample is left out."""
        if sample.wrong is not None:
            return sample.wrong
        return None if any(name in sample.contents for name in self._captions) else "no caption"

    def _column(self, name: str, kept: list[Sample], objects: Mapping[str, pa.Array]) -> pa.Array:
        if name == KEY:
            return pa.array([sample.key for sample in kept], pa.large_binary())
        if name == PICTURE:
            tar = os.fsencode(PurePosixPath(self.path).name) + b"/"
            names = (None if s.picture is None else s.picture.name.rpartition(b"/")[2] for s in kept)
            return pa.array([None if name is None else tar + name for name in names], pa.large_binary())
        where, inner = self._routes[name]
        if where == JSON:
            return objects[inner]
        texts = (sample.contents.get(_member(where, inner)) for sample in kept)
        return pa.array([None if text is None else caption_of(text) for text in texts], pa.large_binary())


def _pieces(found: Iterator[tuple[int, Sample]]) -> Iterator[list[tuple[int, Sample]]]:
    """Samples by the `PIECE`, or fewer where they are large. What ends them is raised after the last piece."""
    piece: list[tuple[int, Sample]] = []
    n_bytes = 0
    try:
        for row, sample in found:
            piece.append((row, sample))
            n_bytes += sum(map(len, sample.contents.values()))
            if len(piece) == PIECE or n_bytes >= MAX_BYTES:
                yield piece
                piece, n_bytes = [], 0
    except (Damaged, BadInput, OSError, pa.ArrowException):
        yield piece
        raise
    yield piece


def _sound(walk: Walk, found: Iterator[tuple[int, Sample]]) -> Iterator[list[tuple[int, Sample]]]:
    """`_pieces` up to the first header that is wrong."""
    for piece in _pieces(found):
        if (n_right := walk.sound()) < walk.n_headers:
            yield [(row, sample) for row, sample in piece if sample.header <= n_right]
            raise Damaged("the checksum of a header is wrong")
        yield piece


def _objects(parser: ObjectParser, kept: list[Sample]) -> tuple[dict[str, pa.Array], np.ndarray]:
    """Fields of the samples' .json, nulls where there is none, and which are objects or missing."""
    lines = [_line(sample.contents.get(b"json", b"{}")) for sample in kept]
    values, good = parser.parse(b"\n".join(lines))
    if not good.all():
        place = pa.array(np.cumsum(good) - 1, mask=~good)
        values = {name: column.take(place) for name, column in values.items()}
    return values, good


def _line(text: bytes) -> bytes:
    return text.removeprefix(BOM).replace(b"\n", b" ").replace(b"\r", b" ").strip() or b"null"


def _member(where: str, name: str) -> bytes:
    """The extension of the member that holds a field."""
    return b"json" if where == JSON else name.encode("utf-8", "surrogateescape")


def _fields(first: list[Sample]) -> tuple[dict[str, pa.DataType], dict[str, tuple[str, str]]]:
    """Fields of samples with their types, and where each is: an extension or a field of the .json; the latter is called
    json.NAME where both have the same name."""
    extensions = dict.fromkeys(name for sample in first for name in sample.extensions)
    names = [name.decode("utf-8", "surrogateescape") for name in extensions if name != b"json" and not is_picture(name)]
    fields: dict[str, pa.DataType] = dict.fromkeys(names, pa.string())
    routes = {name: ("member", name) for name in names}
    lines = (_line(sample.contents[b"json"]) for sample in first if b"json" in sample.contents)
    for name, kind in fields_of(record for line in lines if (record := object_on(line)) is not None).items():
        outer = f"{JSON}.{name}" if name in fields else name
        fields[outer], routes[outer] = kind, (JSON, name)
    return fields, routes


def _columns(fields: Mapping[str, pa.DataType], choice: ColumnChoice, path: str) -> Columns:
    """As `find_columns`, but .txt comes first, the key names a sample, and a sample without a url has its picture's
    name."""
    captions = tuple(name if match(fields, name) else name.removeprefix(".") for name in choice.captions)
    if not captions and "txt" in fields:
        captions = ("txt",)
    own_id, own_image = choice.id in (None, KEY), choice.image == PICTURE and PICTURE not in fields
    asked = replace(
        choice, captions=captions, id=None if own_id else choice.id, image=None if own_image else choice.image
    )
    found = find_columns(fields, asked, path)
    return replace(
        found, id=KEY if own_id else found.id, image=PICTURE if own_image or found.image is None else found.image
    )
