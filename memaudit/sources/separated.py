"""CSV and TSV: streamed through Arrow's parser, whatever the bytes; malformed lines are counted, not fatal."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from memaudit.errors import BadInput
from memaudit.sources.batches import after, gather_captions, gather_images, make_batch, split, stream_captions
from memaudit.sources.columns import find_columns
from memaudit.sources.files import BOM, refusal, shown, unreadable
from memaudit.sources.storage import COMPRESSED, open_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memaudit.sources.batches import Batch
    from memaudit.sources.columns import ColumnChoice, Columns
    from memaudit.sources.files import Source

DELIMITERS = (",", ";", "|", "\t")  # in order of preference
HEAD = 1 << 20  # bytes in which the header must end
BLOCKS = (8 << 20, 128 << 20, 1 << 30)  # parse sizes; a record must fit into one, so failures move on to the next
HEADER_NUMBER = 1  # Arrow counts records from 1, the header with them, blank lines not


class SeparatedReader:
    """Reads one CSV or TSV file, plain or compressed. The first record is the header."""

    columns: Columns
    n_rows: int | None = None

    def __init__(self, source: Source, choice: ColumnChoice) -> None:
        """Reads the header. Raises BadInput when the file is empty, not text, or has no caption column."""
        self.path = source.path
        try:
            with open_stream(self.path) as stream:
                head = stream.read(HEAD)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self.path, error) from error
        self._bom = head.startswith(BOM)
        self._delimiter, self.header = _header(head.removeprefix(BOM), self.path)
        positions = {name: str(at) for at, name in reversed(list(enumerate(self.header)))}
        self._positions = {name: positions[name] for name in self.header}  # of equal names the first counts
        self.columns = find_columns(dict.fromkeys(self.header, pa.string()), choice, self.path)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """See `Reader.batches`. Records with another number of fields than the header are skipped as "bad line"."""
        return after(self._batches(), start)

    def records(self, names: Sequence[str]) -> Iterator[tuple[np.ndarray, list[pa.Array]]]:
        """See `Reader.records`; of columns with one name the first."""
        yield from ((rows, values) for rows, values, _ in self._passes([self._positions[name] for name in names]))

    @property
    def delimiter(self) -> str:
        return self._delimiter

    def _batches(self) -> Iterator[Batch]:
        names = self.columns.names()
        for rows, arrays, n_bad in self._passes([self._positions[name] for name in names]):
            values = dict(zip(names, arrays, strict=True))
            yield from split(make_batch(self.columns, rows, values, {"bad line": n_bad} if n_bad else {}))

    def _passes(self, positions: list[str]) -> Iterator[tuple[np.ndarray, list[pa.Array], int]]:
        done = 0
        for block in BLOCKS:
            numbering = _Numbering()
            try:
                for part in self._parse(block, positions, numbering, done):
                    yield part
                    done = numbering.next
                break
            except (OSError, pa.ArrowException) as error:
                if refused := refusal(self.path, error):
                    raise refused from error
                if "straddling" not in str(error) or block == BLOCKS[-1]:
                    raise self._damaged(error, done) from error
        if numbering.unclosed is not None:
            raise self._damaged(None, numbering.unclosed)

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

    def _parse(
        self, block: int, positions: list[str], numbering: _Numbering, done: int
    ) -> Iterator[tuple[np.ndarray, list[pa.Array], int]]:
        """One pass with parse size `block`; records before `done` were handed out by an earlier pass."""
        with open_stream(self.path) as stream:
            if self._bom:
                stream.read(len(BOM))
            for record in self._open(stream, block, positions, numbering):
                rows, n_bad = numbering.place(len(record), done)
                record = record.slice(len(record) - len(rows))
                if len(rows) or n_bad:
                    yield rows, [_as_stored(record.column(at)) for at in positions], n_bad
            if n_bad := numbering.rest(done):
                yield np.empty(0, np.uint64), [pa.nulls(0) for _ in positions], n_bad

    def _open(
        self, stream: pa.NativeFile, block: int, positions: list[str], numbering: _Numbering
    ) -> pc.CSVStreamingReader:
        wanted = list(dict.fromkeys(positions))
        return pc.open_csv(
            stream,
            # Every byte is a character of Latin-1. As UTF-8, a malformed line that is not UTF-8 would end the read:
            # Arrow decodes it for the handler, and fails. `_as_stored` undoes this.
            pc.ReadOptions(
                column_names=[str(at) for at in range(len(self.header))],
                block_size=block,
                use_threads=False,  # row numbers are only known to a serial parser
                encoding="latin-1",
            ),
            pc.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=numbering.handle_bad_line
            ),
            pc.ConvertOptions(
                check_utf8=False,
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.large_binary()),
                strings_can_be_null=False,
            ),
        )

    def _damaged(self, error: Exception | None, row: int) -> BadInput:
        endless = error is None or "straddling" in str(error)
        why = "a quoted value does not end" if endless else shown(str(error))[:200]
        what = f"{shown(self.path)} is damaged at about row {row:,}"
        return BadInput(what, why, "mend the line, or leave the file out")


class _Numbering:
    """Physical record numbers of what the parser lets through, given the numbers of what it does not."""

    def __init__(self) -> None:
        self.next = -1  # the header is record -1
        self.unclosed: int | None = None  # a malformed last record that runs over several lines: its quote never closes
        self._bad: list[int] = []

    def handle_bad_line(self, line: pc.InvalidRow) -> str:
        """Arrow calls this for each record with the wrong number of fields, ahead of the batch that follows it."""
        number = line.number - HEADER_NUMBER - 1
        self._bad.append(number)
        open_ended = line.text.count('"') % 2 == 1 and "\n" in line.text.rstrip("\r\n")
        self.unclosed = number if open_ended else None
        return "skip"

    def place(self, n_good: int, done: int) -> tuple[np.ndarray, int]:
        """Numbers (uint64) of the next `n_good` good records, and how many bad ones lie before the last of them.

        The header and records before `done` are left out of both.
        """
        if not n_good:
            return np.empty(0, np.uint64), 0
        bad = np.array(self._bad, dtype=np.int64)
        order = np.arange(n_good, dtype=np.int64)
        n_before = np.searchsorted(bad - self.next - np.arange(len(bad)), order, side="right")  # bad ones before each
        rows = order + self.next + n_before
        n_bad = int(n_before[-1])
        first = max(done, 0)
        n_new_bad = int(np.count_nonzero(bad[:n_bad] >= first))
        del self._bad[:n_bad]
        self.next = int(rows[-1]) + 1
        if self.unclosed is not None and self.unclosed < self.next:
            self.unclosed = None
        return rows[rows >= first].astype(np.uint64), n_new_bad

    def rest(self, done: int) -> int:
        """How many bad records follow the last good one."""
        n_bad = sum(number >= max(done, 0) for number in self._bad)
        self.next = max(self.next, self._bad[-1] + 1) if self._bad else self.next
        self._bad.clear()
        return n_bad


def _as_stored(values: pa.Array) -> pa.Array:
    """The file's own bytes from a large_binary column whose bytes the parser read as Latin-1 and wrote as UTF-8.

    ASCII passes without a copy; else 5 bytes of memory per byte of the column.
    """
    _, offsets_buffer, data_buffer = values.buffers()
    if data_buffer is None or not len(values):
        return values
    offsets = np.frombuffer(offsets_buffer, np.int64)[values.offset : values.offset + len(values) + 1]
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    if not len(data) or data.max() < 0x80:
        return values
    stored = data.tobytes().decode("utf-8").encode("latin-1")
    characters = np.zeros(len(data) + 1, dtype=np.int32)  # before each byte; a block is below 2^31 bytes
    np.cumsum((data & 0xC0) != 0x80, out=characters[1:])
    moved = characters[offsets - offsets[0]].astype(np.int64)
    return pa.Array.from_buffers(pa.large_binary(), len(values), [None, pa.py_buffer(moved), pa.py_buffer(stored)])


def _header(head: bytes, path: str) -> tuple[str, list[str]]:
    """Delimiter and column names from the first bytes of a file."""
    if not head.strip():
        raise BadInput(f"{shown(path)} is empty", "there is no header line", "write it again, or leave it out")
    text = head.decode("utf-8", errors="replace")
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    is_tsv = ".tsv" in suffixes[-2:] and (suffixes[-1] == ".tsv" or suffixes[-1] in COMPRESSED)
    rows = {delimiter: _first_record(text, delimiter) for delimiter in (("\t",) if is_tsv else DELIMITERS)}
    best = max(rows, key=lambda delimiter: len(rows[delimiter]))  # of equals the first
    if not rows[best]:
        raise BadInput(f"{shown(path)} has no header", f"no line ends in its first {HEAD:,} bytes", "check the file")
    if any("\0" in name for name in rows[best]):
        why = "there are zero bytes in its header: it may be UTF-16, or no text at all"
        raise BadInput(f"{shown(path)} is not a UTF-8 text file", why, "save it as UTF-8 CSV")
    return best, rows[best]


def _first_record(text: str, delimiter: str) -> list[str]:
    """Fields of the first line that is not blank; none when there is no such line or it is too long."""
    try:
        return next((row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row), [])
    except csv.Error:
        return []
