"""JSON objects, one a line: through Arrow's parser; what it refuses is read line by line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PARSE = 4 << 20  # bytes that Arrow parses at once


class ObjectParser:
    """Reads the same fields of any number of objects."""

    def __init__(self, names: Iterable[str], as_stored: Iterable[str], fields: Mapping[str, pa.DataType]) -> None:
        """names: the fields to read; as_stored: those of them whose bytes are kept as they are, captions and image
        references; fields: what is known of their types."""
        self._readers: dict[str, Callable[[Any], Any]] = {}
        types: dict[str, pa.DataType] = {}
        for name in names:
            if name in as_stored:
                self._readers[name], types[name] = _stored_bytes, pa.large_binary()
            else:
                numeric = pa.types.is_integer(fields[name]) or pa.types.is_floating(fields[name])
                self._readers[name], types[name] = word, fields[name] if numeric else pa.large_string()
        self._schema = pa.schema(types)

    def parse(self, block: bytes) -> tuple[dict[str, pa.Array], np.ndarray]:
        """Columns of the good lines, and a mask of all records (true: good). Blank lines are no records."""
        return self._fast(block) or self._line_by_line(block)

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
            record = object_on(line)
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


def object_on(line: bytes) -> dict[str, Any] | None:
    """The object on a line, or None. Bytes that are not UTF-8 survive as surrogates until `_stored_bytes`."""
    try:
        record = json.loads(line.decode("utf-8", errors="surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _stored_bytes(value: Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return value.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:  # the line itself says "\ud800"
        return value.encode("utf-8", errors="surrogatepass")


def word(value: Any) -> str | None:
    """The text of an id, a hash or a weight."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode("utf-8")
    return str(value) if isinstance(value, int | float) else None


def fields_of(records: Iterable[dict[str, Any]]) -> dict[str, pa.DataType]:
    """Fields of objects with the type of their values; text wins over other types, which mark stray values."""
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
