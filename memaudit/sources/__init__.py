"""DATA -> batches of captions: what the user names is discovered, opened and streamed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from memaudit.sources.batches import Batch, Reader, joined
from memaudit.sources.columns import ColumnChoice, Columns
from memaudit.sources.discover import discover
from memaudit.sources.files import Source, shown, table_format
from memaudit.sources.jsonl import JsonlReader
from memaudit.sources.parquet import ParquetReader
from memaudit.sources.pictures import AT_ONCE, PicturesReader
from memaudit.sources.separated import SeparatedReader
from memaudit.sources.storage import is_remote
from memaudit.sources.tars import TarReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "Batch",
    "ColumnChoice",
    "Columns",
    "Reader",
    "Source",
    "discover",
    "fingerprints",
    "joined",
    "open_source",
    "shown",
    "source_at",
]

_READERS: Mapping[str, Callable[[Source, ColumnChoice], Reader]] = {
    "parquet": ParquetReader,
    "csv": SeparatedReader,
    "jsonl": JsonlReader,
    "pictures": PicturesReader,
    "tar": TarReader,
}


def source_at(path: str) -> Source:
    """The source that a finished audit knows by its path. Its size is not looked up: readers ask whether it is zero."""
    return Source(path, table_format(path) or "pictures", 1)


def fingerprints(sources: Sequence[Source]) -> list[str]:
    """`Source.fingerprint` of each; of those in a store, where each costs some round trips, many at once."""
    if not any(is_remote(source.path) for source in sources):
        return [source.fingerprint() for source in sources]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(Source.fingerprint, sources))


def open_source(source: Source, choice: ColumnChoice) -> Reader:
    """A reader of `source`, its columns found.

    Reads a footer, a header or the first lines. Raises BadInput when the source cannot be read, is not what its name
    says or has no caption column.
    """
    return _READERS[source.format](source, choice)
