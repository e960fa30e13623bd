"""JSON lines: blocks of whole lines, streamed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from memaudit.errors import BadInput
from memaudit.sources.batches import after, gather_captions, gather_images, make_batch, split, stream_captions
from memaudit.sources.columns import find_columns
from memaudit.sources.files import BOM, shown, unreadable
from memaudit.sources.objects import ObjectParser, fields_of, object_on, word
from memaudit.sources.storage import open_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memaudit.sources.batches import Batch
    from memaudit.sources.columns import ColumnChoice, Columns
    from memaudit.sources.files import Source

BLOCK = 16 << 20  # bytes that are read at once
MAX_LINE = 1 << 30
PROBED_LINES = 500
PROBED_BYTES = 16 << 20


class JsonlReader:
    """Reads one file of JSON lines, plain or compressed. Blank lines are no records."""

    columns: Columns
    n_rows: int | None = None

    def __init__(self, source: Source, choice: ColumnChoice) -> None:
        """Finds the columns in the first lines. Raises BadInput when there is no record or no caption among them."""
        self.path = source.path
        head = self._head()
        if not head.strip():
            raise BadInput(f"{shown(self.path)} is empty", "there is no line in it", "write it again, or leave it out")
        fields = _probe(head, self.path)
        self.columns = find_columns(fields, choice, self.path)
        self.fields = tuple(fields)
        as_stored = {*self.columns.captions, self.columns.image or ""}
        self._parser = ObjectParser(self.columns.names(), as_stored, fields)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """See `Reader.batches`. Lines that are no object are skipped as "bad line"; a number as caption is null."""
        return after(self._batches(), start)

    def _batches(self) -> Iterator[Batch]:
        start = 0
        for block in self._blocks():
            values, kept = self._parser.parse(block)
            if not len(kept):
                continue
            rows = np.arange(start, start + len(kept), dtype=np.uint64)[kept]
            start += len(kept)
            n_bad = len(kept) - len(rows)
            yield from split(make_batch(self.columns, rows, values, {"bad line": n_bad} if n_bad else {}))

    def records(self, names: Sequence[str]) -> Iterator[tuple[np.ndarray, list[pa.Array]]]:
        """See `Reader.records`: values as text, whatever their type. Some 5 us a line."""
        for start, lines in self.lines():
            objects = [(i, found) for i, line in enumerate(lines) if (found := object_on(line)) is not None]
            rows = np.array([start + i for i, _ in objects], np.uint64)
            yield rows, [pa.array([word(o.get(name)) for _, o in objects], pa.large_string()) for name in names]

    def lines(self) -> Iterator[tuple[int, list[bytes]]]:
        """The file as it stands, without blank lines: the number of the first record, and whole lines without their
        ends, some `BLOCK` bytes at a time."""
        start = 0
        for block in self._blocks():
            lines = [line for line in block.split(b"\n") if line.strip()]
            yield start, lines
            start += len(lines)

    def take(self, rows: np.ndarray, column: int) -> list[str | None]:
        """See `Reader.take`; streams up to the last of `rows`."""
        return gather_captions(self.batches(), rows, column)

    def stream(self, rows: np.ndarray, column: int) -> Iterator[tuple[np.ndarray, pa.Array]]:
        """See `Reader.stream`."""
        return stream_captions(self.batches(), rows, column)

    def starts(self) -> np.ndarray:
        """See `Reader.starts`."""
        return np.zeros(1, np.uint64)

    def take_images(self, rows: np.ndarray) -> list[str | None]:
        """See `Reader.take_images`; streams up to the last of `rows`."""
        return gather_images(self.batches(), rows) if self.columns.image else [None] * len(rows)

    def _blocks(self) -> Iterator[bytes]:
        """The file in pieces of whole lines, some `BLOCK` bytes each, the byte order mark removed."""
        pending: list[bytes] = []
        size = 0
        try:
            with open_stream(self.path) as stream:
                chunk = stream.read(BLOCK).removeprefix(BOM)
                while chunk:
                    cut = chunk.rfind(b"\n") + 1
                    if cut:
                        yield b"".join([*pending, chunk[:cut]])
                        pending, size = [], 0
                    pending.append(chunk[cut:])
                    size += len(chunk) - cut
                    if size > MAX_LINE:
                        why = f"a line of more than {MAX_LINE:,} bytes"
                        raise BadInput(f"{shown(self.path)} is no JSON lines file", why, "write one object per line")
                    chunk = stream.read(BLOCK)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self.path, error) from error
        if size:
            yield b"".join(pending)

    def _head(self) -> bytes:
        """Enough whole lines to find the columns in."""
        head = bytearray()
        for block in self._blocks():
            head += block
            if len(head) >= PROBED_BYTES or head.count(b"\n") >= PROBED_LINES:
                break
        return bytes(head)


def _probe(head: bytes, path: str) -> dict[str, pa.DataType]:
    """Fields of the first lines, with types."""
    lines = [line for line in head.split(b"\n", PROBED_LINES)[:PROBED_LINES] if line.strip()]
    records = [record for line in lines if (record := object_on(line)) is not None]
    is_array = lines[0].lstrip().startswith(b"[") and (not records or not _is_json(lines[0]))
    if not records or is_array:
        why = "it is one JSON array" if is_array else f"none of its first {len(lines)} lines is a JSON object"
        raise BadInput(f"{shown(path)} is no JSON lines file", why, "jq -c '.[]' FILE > FILE.jsonl" if is_array else "")
    return fields_of(records)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
