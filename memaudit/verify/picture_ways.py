"""The ways from rows of a dataset to encoded pictures: files that references name, a parquet column, URLs."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from memaudit.errors import BadInput
from memaudit.sources import ColumnChoice, open_source, shown, source_at
from memaudit.sources.files import PICTURES, table_format
from memaudit.sources.storage import is_remote
from memaudit.verify.decoding import Unusable, read_file
from memaudit.verify.picture_files import PictureFolder, column_values, has_column, last_name, picture_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from memaudit.sources import Reader
    from memaudit.store import Audit
    from memaudit.verify.download import Downloads

KEYS = ("path", "id", "key", "name", "stem")
"""What can name a file below --image-root: the reference as a path, the row's id, img2dataset's key, the reference's
last part, and that part less its suffix. All rows go by the one that finds most."""

KEY_COLUMN = "key"  # img2dataset's
OPEN_FILES = 64  # readers kept


class Wanted(NamedTuple):
    """A row whose picture is wanted; rows of one slot show the same picture, or serve as well."""

    slot: int
    text_id: int
    file: int
    row: int
    id: str | None


class Way(Protocol):
    """One way to pictures."""

    kind: str  # "folder", "bytes", "tar" or "download"
    told: str

    def fetch(self, wanted: Sequence[Wanted]) -> Iterator[tuple[int, str, bytes | Unusable]]:
        """Position in `wanted`, the picture's name, and its encoded bytes or why there are none; in any order, each
        once."""
        ...


class DatasetFiles:
    """The files that were scanned, opened when a row of theirs is wanted and only if they are as they were."""

    def __init__(self, audit: Audit, image_column: str | None) -> None:
        """image_column: overrides the scan's."""
        frame = audit.frame("files")
        config = audit.manifest.get("config", {})
        self._paths: dict[int, str] = dict(zip(frame["file"].to_list(), frame["path"].to_list(), strict=True))
        self._known = {entry.get("path"): entry.get("fingerprint") for entry in audit.manifest.get("inputs", [])}
        self.image_column = image_column or config.get("image_column")
        self._choice = replace(ColumnChoice.of(config), image=self.image_column)
        self._readers: dict[int, Reader | Unusable] = {}
        self._references: dict[tuple[int, int], str | None] = {}

    def path(self, file: int) -> str:
        return self._paths[file]

    def format(self, file: int) -> str:
        return table_format(self._paths[file]) or "pictures"

    def reader(self, file: int) -> Reader:
        """Raises Unusable where the file is gone, changed or damaged."""
        if file not in self._readers:
            if len(self._readers) >= OPEN_FILES:
                self._readers.clear()
            self._readers[file] = self._opened(file)
        found = self._readers[file]
        if isinstance(found, Unusable):
            raise found
        return found

    def _opened(self, file: int) -> Reader | Unusable:
        path = self.path(file)
        try:
            source = source_at(path)
            if self._known.get(path) not in (None, source.fingerprint()):
                return Unusable("dataset file has changed")
            return open_source(source, self._choice)
        except BadInput as error:
            named = self.image_column is not None and "column" in error.what
            return Unusable("no such image column" if named else "dataset file is damaged or gone")

    def remember(self, wanted: Iterable[Wanted]) -> None:
        """Keep the references of these rows, read in one pass of each file."""
        self._references.clear()
        for file, own in by_file(list(dict.fromkeys(wanted))):
            try:
                found = self.references(file, [one.row for _, one in own])
            except Unusable:
                continue
            self._references |= {(file, one.row): text for (_, one), text in zip(own, found, strict=True)}

    def references(self, file: int, rows: Sequence[int]) -> list[str | None]:
        """The image references of rows of one file. Raises Unusable."""
        if all((file, row) in self._references for row in rows):
            return [self._references[file, row] for row in rows]
        try:
            return self.reader(file).take_images(np.array(rows, np.uint64))
        except (BadInput, IndexError) as error:
            raise Unusable("dataset file is damaged or gone") from error

    def named(self, wanted: Sequence[Wanted]) -> list[str]:
        """What to call the pictures of these rows: the reference, else FILE#ROW."""
        names = [""] * len(wanted)
        for file, own in by_file(wanted):
            found: list[str | None] = [None] * len(own)
            with contextlib.suppress(Unusable):
                found = self.references(file, [one.row for _, one in own])
            for (at, one), reference in zip(own, found, strict=True):
                names[at] = reference or f"{Path(self.path(file)).name}#{one.row}"
        return names


def by_file(wanted: Sequence[Wanted]) -> Iterator[tuple[int, list[tuple[int, Wanted]]]]:
    """Rows by file, with their positions."""
    grouped: dict[int, list[tuple[int, Wanted]]] = {}
    for at, one in enumerate(wanted):
        grouped.setdefault(one.file, []).append((at, one))
    yield from grouped.items()


class ByFolder:
    """References, ids or keys that name files in a folder."""

    kind = "folder"

    def __init__(self, files: DatasetFiles, root: Path | None, key: str) -> None:
        """root: None is the folder of each dataset file. key: one of `KEYS`."""
        self._files, self._key = files, key
        self._root = None if root is None else PictureFolder(root)
        by = {"path": "reference", "name": "the reference's file name", "stem": "the reference's name less its suffix"}
        where = "beside the dataset" if root is None else f"in {shown(str(root))}"
        self.told = f"files {where}, by {by.get(key, key)}"

    def fetch(self, wanted: Sequence[Wanted]) -> Iterator[tuple[int, str, bytes | Unusable]]:
        names = self._files.named(wanted)
        for file, own in by_file(wanted):
            try:
                keys = self._keys(file, [one for _, one in own])
            except Unusable as error:
                yield from ((at, names[at], error) for at, _ in own)
                continue
            for (at, _), key in zip(own, keys, strict=True):
                try:
                    yield at, names[at], read_file(self._located(file, key))
                except Unusable as error:
                    yield at, names[at], error

    def _keys(self, file: int, rows: list[Wanted]) -> list[str | None]:
        """What names each row's file. Raises Unusable."""
        if self._key == "id":
            return [one.id for one in rows]
        if self._key != "key":
            return self._files.references(file, [one.row for one in rows])
        self._files.reader(file)  # the file is as it was
        path = self._files.path(file)
        if self._files.format(file) != "parquet" or not has_column(path, KEY_COLUMN):
            raise Unusable("no column of keys")
        found = dict(column_values(path, KEY_COLUMN, np.array([one.row for one in rows], np.uint64)))
        return [None if (value := found.get(one.row)) is None else str(value) for one in rows]

    def _located(self, file: int, key: str | None) -> Path:
        """Raises Unusable."""
        if not key:
            raise Unusable("no reference")
        if self._root is None and is_remote(self._files.path(file)):
            raise Unusable("pictures lie in a store: copy them, and name the folder with --image-root")
        if self._root is None and self._files.format(file) == "pictures":
            return Path(key)  # from a listing of the folder that the user named, not from a stranger
        if self._key == "path":
            if "://" in key:
                raise Unusable("reference is a URL")
            folder = self._root or PictureFolder(Path(self._files.path(file)).parent)
            return folder.at(key)
        assert self._root is not None
        if self._key == "stem":
            return self._root.of_stem(Path(last_name(key)).stem)
        if self._key == "name" or Path(key).suffix.lower() in PICTURES:
            return self._root.named(last_name(key))
        return self._root.of_stem(key)


def from_rows(
    files: DatasetFiles,
    wanted: Sequence[Wanted],
    read: Callable[[int, list[int]], Iterator[tuple[int, Any]]],
    nothing: str,
) -> Iterator[tuple[int, str, bytes | Unusable]]:
    """`Way.fetch` where rows of the dataset's own files hold the pictures.

    read: rows of one file and what they hold, of which only bytes are pictures; may raise Unusable for all that are
    left. nothing: why there is no picture, where `read` does not say.
    """
    names = files.named(wanted)
    for file, own in by_file(wanted):
        left: dict[int, list[int]] = {}  # a row with two captions is two texts' picture
        for at, one in own:
            left.setdefault(one.row, []).append(at)
        reason = Unusable(nothing)
        try:
            for row, value in read(file, list(left)):
                if isinstance(value, bytes):
                    yield from ((at, names[at], value) for at in left.pop(row))
        except Unusable as error:
            reason = error
        yield from ((at, names[at], reason) for positions in left.values() for at in positions)


class ByColumn:
    """Encoded pictures in a column of parquet files."""

    kind = "bytes"
    told = "bytes in the dataset's parquet files"

    def __init__(self, files: DatasetFiles) -> None:
        self._files = files

    def fetch(self, wanted: Sequence[Wanted]) -> Iterator[tuple[int, str, bytes | Unusable]]:
        return from_rows(self._files, wanted, self._values, "no bytes")

    def _values(self, file: int, rows: list[int]) -> Iterator[tuple[int, Any]]:
        reader = self._files.reader(file)
        if self._files.format(file) != "parquet":
            raise Unusable("no column of pictures")
        column = picture_column(self._files.path(file), self._files.image_column, reader.columns.image)
        if column is None:
            raise Unusable("no column of pictures")
        yield from column_values(self._files.path(file), column, np.array(rows, np.uint64))


class ByUrl:
    """References that are URLs."""

    kind = "download"
    told = "downloaded"

    def __init__(self, files: DatasetFiles, downloads: Downloads) -> None:
        self._files, self._downloads = files, downloads

    def fetch(self, wanted: Sequence[Wanted]) -> Iterator[tuple[int, str, bytes | Unusable]]:
        names = self._files.named(wanted)
        with_url = [at for at, name in enumerate(names) if "://" in name]
        yield from ((at, names[at], Unusable("no URL")) for at in set(range(len(names))) - set(with_url))
        fetched = self._downloads.fetch_all([names[at] for at in with_url])
        yield from ((at, names[at], found) for at, found in zip(with_url, fetched, strict=True))
