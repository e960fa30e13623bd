"""Files of prompts, streamed in order: one a line, or a caption column of a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from memaudit.errors import BadInput
from memaudit.streams import STDOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

BLOCK = 4096  # prompts
CHUNK = 1 << 20  # bytes read at a time
LONGEST = 64 << 20  # bytes of a line


def blocks(path: str, column: str | None = None) -> Iterator[list[bytes]]:
    """The prompts of a file, `BLOCK` at a time, bytes as they are; a null is an empty prompt.

    path: "-" is stdin; tables by their suffix as a scan takes them (csv, tsv, jsonl, parquet), anything else is text
    with one prompt a line. column: of a table, found by name by default. Raises BadInput for a file that cannot be
    read or holds a line longer than `LONGEST`; of a table whose columns cannot be found as `sources.open_source`.
    """
    from memaudit.sources.files import table_format

    if path == STDOUT:
        yield from _grouped(_lines(sys.stdin.buffer))
    elif kind := table_format(path):
        yield from _of_table(path, kind, column)
    else:
        yield from _grouped(_of_text(path))


def _of_text(path: str) -> Iterator[list[bytes]]:
    from memaudit.sources.files import unreadable
    from memaudit.sources.storage import open_stream

    try:
        with open_stream(path) as file:
            yield from _lines(file)
    except OSError as error:
        raise unreadable(path, error) from error


def _lines(file: Any) -> Iterator[list[bytes]]:
    """The lines of a stream, chunk by chunk, without their ends; what follows the last line feed counts if it is not
    empty."""
    rest: list[bytes] = []
    size = 0
    while chunk := file.read(CHUNK):
        size += len(chunk)
        if b"\n" not in chunk:
            rest.append(chunk)
            if size > LONGEST:
                raise BadInput("a line is longer than 64 MiB", "one prompt a line is wanted", "is this a text file?")
            continue
        lines = b"".join([*rest, chunk]).split(b"\n")
        rest, size = [lines.pop()], len(lines[-1])
        yield [line.removesuffix(b"\r") for line in lines]
    if last := b"".join(rest):
        yield [last.removesuffix(b"\r")]


def _of_table(path: str, kind: str, column: str | None) -> Iterator[list[bytes]]:
    from memaudit.sources import ColumnChoice, Source, open_source
    from memaudit.sources.files import unreadable

    try:
        size = Path(path).stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error
    reader = open_source(Source(path, kind, size), ColumnChoice(captions=(column,) if column else ()))
    for batch in reader.batches():
        captions = batch.captions[0]
        for first in range(0, len(captions), BLOCK):
            yield [value or b"" for value in captions[first : first + BLOCK].to_pylist()]


def _grouped(pieces: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    """Pieces of at most `BLOCK` prompts, cut from larger ones."""
    for piece in pieces:
        for first in range(0, len(piece), BLOCK):
            yield piece[first : first + BLOCK]
