"""JSON lines: blocks of whole lines through Arrow's parser; a block it refuses is read line by line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from memaudit.errors import BadInput
from memaudit.sources.batches import after, gather_captions, gather_images, make_batch, split, stream_captions
from memaudit.sources.columns import find_columns
from memaudit.sources.files import open_stream, shown, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from memaudit.sources.batches import Batch
    from memaudit.sources.columns import ColumnChoice, Columns
    from memaudit.sources.files import Source

BLOCK = 16 << 20  # bytes that are read at once
PARSE = 4 << 20  # bytes that Arrow parses at once
MAX_LINE = 1 << 30
PROBED_LINES = 500
PROBED_BYTES = 16 << 20
BOM = b"\xef\xbb\xbf"


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
        self._readers, self._schema = self._plan(fields)

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """See `Reader.batches`. Lines that are no object are skipped as "bad line"; a number as caption is null."""
        return after(self._batches(), start)

    def _batches(self) -> Iterator[Batch]:
        start = 0
        for block in self._blocks():
            values, kept = self._fast(block) or self._line_by_line(block)
            if not len(kept):
                continue
            rows = np.arange(start, start + len(kept), dtype=np.uint64)[kept]
            start += len(kept)
            n_bad = len(kept) - len(rows)
            yield from split(make_batch(self.columns, rows, values, {"bad line": n_bad} if n_bad else {}))

    def records(self, names: Sequence[str]) -> Iterator[tuple[np.ndarray, list[pa.Array]]]:
        """See `Reader.records`: values as text, whatever their type. Some 5 us a line."""
        for start, lines in self.lines():
            objects = [(i, found) for i, line in enumerate(lines) if (found := _object(line)) is not None]
            rows = np.array([start + i for i, _ in objects], np.uint64)
            yield rows, [pa.array([_word(o.get(name)) for _, o in objects], pa.large_string()) for name in names]

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

    def _plan(self, fields: dict[str, pa.DataType]) -> tuple[dict[str, Callable[[Any], Any]], pa.Schema]:
        """How each wanted field is read: in Python, and as what by Arrow."""
        readers: dict[str, Callable[[Any], Any]] = {}
        types: dict[str, pa.DataType] = {}
        for name in self.columns.names():
            if name in self.columns.captions or name == self.columns.image:
                readers[name], types[name] = _stored_bytes, pa.large_binary()
            else:
                numeric = pa.types.is_integer(fields[name]) or pa.types.is_floating(fields[name])
                readers[name], types[name] = _word, fields[name] if numeric else pa.large_string()
        return readers, pa.schema(types)

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

    def _fast(self, block: bytes) -> tuple[dict[str, pa.Array], np.ndarray] | None:
        """Columns and a mask of all records (all true); None when a line might not be exactly one object that fits."""
        shape = _object_lines(block)
        if shape is None:
            return None
        n_lines, longest = shape
        if not n_lines:
            return {}, np.empty(0, dtype=bool)
        try:
            table = pj.read_json(
                pa.BufferReader(block),
                pj.ReadOptions(len(block) > PARSE, min(max(PARSE, 2 * longest), 2**31 - 1)),  # threads only if it pays
                pj.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="ignore"),
            )
        except pa.ArrowException:
            return None
        if table.num_rows != n_lines:  # two objects on one line
            return None
        values = {name: pa.concat_arrays(table.column(name).chunks) for name in self._schema.names}
        return values, np.ones(n_lines, dtype=bool)

    def _line_by_line(self, block: bytes) -> tuple[dict[str, pa.Array], np.ndarray]:
        """Columns of the good lines, and a mask of all records (true: good). Some 5 us a line."""
        values: dict[str, list[Any]] = {name: [] for name in self._readers}
        kept: list[bool] = []
        for line in block.split(b"\n"):
            if not line.strip():
                continue
            record = _object(line)
            kept.append(record is not None)
            if record is not None:
                for name, read in self._readers.items():
                    values[name].append(read(record.get(name)))
        types = {
            name: pa.large_binary() if read is _stored_bytes else pa.large_string()
            for name, read in self._readers.items()
        }
        arrays = {name: pa.array(column, types[name]) for name, column in values.items()}
        return arrays, np.array(kept, dtype=bool)


def _object_lines(block: bytes) -> tuple[int, int] | None:
    """How many lines are not blank, and the longest one's bytes; None unless each of them is {...} to the eye.

    No object that runs over several lines passes: within one, } and { cannot meet at a line break.
    """
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    if not len(ends) or ends[-1] != len(data) - 1:
        ends = np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1] + 1])
    ends = ends - ((ends > starts) & (data[ends - 1] == ord("\r")))
    starts, ends = starts[ends > starts], ends[ends > starts]
    if not len(starts):
        return 0, 0
    whole = (data[starts] == ord("{")) & (data[ends - 1] == ord("}"))
    return (len(starts), int((ends - starts).max())) if whole.all() else None


def _object(line: bytes) -> dict[str, Any] | None:
    """The object on a line, or None. Bytes that are not UTF-8 survive as surrogates until `_stored_bytes`."""
    try:
        record = json.loads(line.decode("utf-8", errors="surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _stored_bytes(value: Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return value.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:  # the line itself says "\ud800"
        return value.encode("utf-8", errors="surrogatepass")


def _word(value: Any) -> str | None:
    """The text of an id, a hash or a weight."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode("utf-8")
    return str(value) if isinstance(value, int | float) else None


def _probe(head: bytes, path: str) -> dict[str, pa.DataType]:
    """Fields of the first lines with the type of their values; text wins over other types, which mark stray values."""
    lines = [line for line in head.split(b"\n", PROBED_LINES)[:PROBED_LINES] if line.strip()]
    records = [record for line in lines if (record := _object(line)) is not None]
    is_array = lines[0].lstrip().startswith(b"[") and (not records or not _is_json(lines[0]))
    if not records or is_array:
        why = "it is one JSON array" if is_array else f"none of its first {len(lines)} lines is a JSON object"
        raise BadInput(f"{shown(path)} is no JSON lines file", why, "jq -c '.[]' FILE > FILE.jsonl" if is_array else "")
    fields: dict[str, pa.DataType] = {}
    for record in records:
        for name, value in record.items():
            fields[name] = _wider(fields.get(name, pa.null()), _type_of(value))
    return fields


def _type_of(value: Any) -> pa.DataType:
    simple = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64(), dict: pa.struct([])}
    if isinstance(value, list):
        return pa.list_(_type_of(value[0]) if value else pa.null())
    return simple.get(type(value), pa.null())


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    for kind in (pa.string(), pa.float64()):
        if kind in (one, other):
            return kind
    return other if pa.types.is_null(one) else one
