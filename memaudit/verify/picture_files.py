"""Where the pictures of a dataset lie: files in a folder that nothing leads out of, and bytes in a parquet column."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.sources.columns import IMAGE_NAMES, match
from memaudit.sources.files import PICTURES, is_hidden
from memaudit.sources.storage import opened
from memaudit.verify.decoding import MAX_BYTES, Unusable

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES_NAMES = (*IMAGE_NAMES, "jpg", "jpeg", "png", "webp", "img", "picture", "image_bytes", "bytes")
ROWS_AT_ONCE = 8  # of a column of pictures
READ_BUFFER = 1 << 20
DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError)  # see sources.parquet


class PictureFolder:
    """A folder in which pictures are looked up; links and `..` are followed only where they stay inside."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real = root.resolve()

    def at(self, reference: str) -> Path:
        """The file at a path, absolute or relative to the folder, with its links resolved. Raises Unusable."""
        try:
            real = (self.root / reference).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a zero byte, a loop of links
            raise Unusable("unreadable file") from error
        if not real.is_relative_to(self._real):
            raise Unusable("outside the folder")
        return real

    def named(self, name: str) -> Path:
        """The one picture of this file name anywhere in the folder. Raises Unusable."""
        return self._one(self._by_name.get(name, ""))

    def of_stem(self, stem: str) -> Path:
        """The one picture anywhere in the folder whose name less its suffix is `stem`. Raises Unusable."""
        return self._one(self._by_stem.get(stem, ""))

    def _one(self, found: str | None) -> Path:
        if found is None:
            raise Unusable("several files of that name")
        if not found:
            raise Unusable("no such file")
        return self.at(found)

    @cached_property
    def _listed(self) -> list[str]:
        """Paths of the pictures, relative to the folder; linked folders are not entered. Costs one walk."""
        paths = []
        for here, folders, names in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not is_hidden(name))
            inside = os.path.relpath(here, self.root)
            paths += [
                os.path.join(inside, name)  # noqa: PTH118 (a million Path objects cost seconds)
                for name in sorted(names)
                if not is_hidden(name) and Path(name).suffix.lower() in PICTURES
            ]
        return paths

    @cached_property
    def _by_name(self) -> dict[str, str | None]:
        return _unambiguous([(PurePosixPath(path).name, path) for path in self._listed])

    @cached_property
    def _by_stem(self) -> dict[str, str | None]:
        return _unambiguous([(PurePosixPath(path).stem, path) for path in self._listed])


def _unambiguous(pairs: list[tuple[str, str]]) -> dict[str, str | None]:
    """key -> path; None where several share the key: the wrong picture is worse than none."""
    found: dict[str, str | None] = {}
    for key, path in pairs:
        found[key] = None if key in found else path
    return found


def last_name(reference: str) -> str:
    """The file name that a path or a URL ends with."""
    try:
        path = unquote(urlsplit(reference).path) if "://" in reference else reference
    except ValueError:
        path = reference
    return PurePosixPath(path.replace("\\", "/")).name


def picture_column(path: str, name: str | None, references: str | None) -> str | None:
    """The column of a parquet file that can hold encoded pictures, dotted for a struct's `bytes`; None without one.

    name: the column that the user named; None looks by `BYTES_NAMES`. references: the column that holds urls or paths,
    and no pictures. Raises Unusable for a damaged file.
    """
    fields = {field.name: field.type for field in _schema(path)}
    for wanted in BYTES_NAMES if name is None else (name, name.removesuffix(".path"), name.removesuffix(".bytes")):
        field = match(fields, wanted)
        if field is None or field == references:
            continue
        kind = fields[field]
        if pa.types.is_struct(kind) and (at := kind.get_field_index("bytes")) >= 0 and _is_binary(kind.field(at).type):
            return f"{field}.bytes"
        if _is_binary(kind):
            return field
    return None


def has_column(path: str, name: str) -> bool:
    """Whether a parquet file has a column of exactly this name. Raises Unusable for a damaged file."""
    return name in _schema(path).names


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _schema(path: str) -> pa.Schema:
    try:
        with opened(path) as handle:
            return pq.ParquetFile(handle).schema_arrow
    except DAMAGE as error:
        raise Unusable("dataset file is damaged or gone") from error


def column_values(path: str, name: str, rows: np.ndarray) -> Iterator[tuple[int, Any]]:
    """(row, value) of one column of a parquet file, in the order of the file.

    rows: uint64, distinct. Only the row groups that hold them are read, `ROWS_AT_ONCE` rows at a time; a value above
    `MAX_BYTES` comes out cut just above it, for whoever decodes it to refuse. Raises Unusable for a damaged file.
    """
    wanted = np.unique(rows)
    try:
        with opened(path) as handle:
            file = pq.ParquetFile(handle, buffer_size=READ_BUFFER, pre_buffer=False, page_checksum_verification=True)
            stop = 0
            for group in range(file.metadata.num_row_groups):
                start, stop = stop, stop + file.metadata.row_group(group).num_rows
                here = wanted[(wanted >= start) & (wanted < stop)].astype(np.int64) - start
                if len(here):
                    yield from ((start + row, value) for row, value in _of_group(file, group, name, here))
    except DAMAGE as error:
        raise Unusable("dataset file is damaged or gone") from error


def _of_group(file: pq.ParquetFile, group: int, name: str, rows: np.ndarray) -> Iterator[tuple[int, Any]]:
    start = 0
    for record in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=[name], use_threads=False):
        column = record.column(0)
        if pa.types.is_struct(column.type):
            column = column.flatten()[0]  # the only child that was read
        for row in rows[(rows >= start) & (rows < start + len(record))].tolist():
            value = column[row - start].as_py()
            yield row, value[: MAX_BYTES + 1] if isinstance(value, bytes) else value
        start += len(record)
        if start > rows[-1]:
            return
