"""DATA -> batches of captions: what the user names is discovered, opened and streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memaudit.sources.batches import Batch, Reader, joined
from memaudit.sources.columns import ColumnChoice, Columns
from memaudit.sources.discover import discover
from memaudit.sources.files import Source, shown
from memaudit.sources.jsonl import JsonlReader
from memaudit.sources.parquet import ParquetReader
from memaudit.sources.pictures import PicturesReader
from memaudit.sources.separated import SeparatedReader
from memaudit.sources.tars import TarReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Batch", "ColumnChoice", "Columns", "Reader", "Source", "discover", "joined", "open_source", "shown"]

_READERS: Mapping[str, Callable[[Source, ColumnChoice], Reader]] = {
    "parquet": ParquetReader,
    "csv": SeparatedReader,
    "jsonl": JsonlReader,
    "pictures": PicturesReader,
    "tar": TarReader,
}


def open_source(source: Source, choice: ColumnChoice) -> Reader:
    """A reader of `source`, its columns found.

    Reads a footer, a header or the first lines. Raises BadInput when the source cannot be read, is not what its name
    says or has no caption column.
    """
    return _READERS[source.format](source, choice)
