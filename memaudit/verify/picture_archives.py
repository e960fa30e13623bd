"""Training pictures in webdataset tars: those that were scanned, and those beside img2dataset's parquet files."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from memaudit.errors import BadInput
from memaudit.sources import ColumnChoice, open_source, source_at
from memaudit.sources.files import shard
from memaudit.sources.storage import is_remote
from memaudit.sources.tars import TarReader
from memaudit.verify.decoding import Unusable
from memaudit.verify.picture_files import column_values, has_column
from memaudit.verify.picture_ways import KEY_COLUMN, from_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memaudit.verify.picture_ways import DatasetFiles, Wanted


class ByTar:
    """Pictures beside the captions in tars, and in the tar beside a parquet by img2dataset's key."""

    kind = "tar"
    told = "the dataset's tars"

    def __init__(self, files: DatasetFiles) -> None:
        self._files = files

    def fetch(self, wanted: Sequence[Wanted]) -> Iterator[tuple[int, str, bytes | Unusable]]:
        """See `Way.fetch`."""
        return from_rows(self._files, wanted, self._pictures, "no picture in the tar")

    def _pictures(self, file: int, rows: list[int]) -> Iterator[tuple[int, bytes | None]]:
        """Rows of one dataset file and their pictures. Raises Unusable."""
        reader = self._files.reader(file)
        try:
            if isinstance(reader, TarReader):
                yield from reader.take_pictures(np.array(rows, np.uint64))
            else:
                yield from self._beside(file, rows)
        except (BadInput, IndexError) as error:
            raise Unusable("tar is damaged or gone") from error

    def _beside(self, file: int, rows: list[int]) -> Iterator[tuple[int, bytes | None]]:
        path = self._files.path(file)
        is_near = not is_remote(path)  # in a store its whole tar would be fetched for a few pictures
        if not is_near or self._files.format(file) != "parquet" or not has_column(path, KEY_COLUMN):
            raise Unusable("no tars")
        reader, known = _tar_of(shard(path))
        of_key = {str(key): row for row, key in column_values(path, KEY_COLUMN, np.array(rows, np.uint64))}
        of_sample = {known[key]: row for key, row in of_key.items() if key in known}
        for sample, picture in reader.take_pictures(np.array(list(of_sample), np.uint64)):
            yield of_sample[sample], picture


@functools.lru_cache(maxsize=16)
def _tar_of(stem: str) -> tuple[TarReader, dict[str, int]]:
    """The tar of an img2dataset shard, and where its keys are. Raises Unusable where there is none."""
    try:
        # Any member will do for a caption: only pictures are read.
        reader = open_source(source_at(f"{stem}.tar"), ColumnChoice())
    except BadInput as error:
        raise Unusable("no tars") from error
    assert isinstance(reader, TarReader)
    return reader, reader.rows_by_key()
