"""`Batch`: captions on their way into the scan, and the Arrow conversions that every format shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from memaudit.sources.columns import Columns

MAX_ROWS = 65_536 * 4
MAX_BYTES = 64 << 20  # captions of one batch; a single longer caption still passes
_ZERO = pa.scalar(0, pa.int64())  # made once: Arrow looks for pandas each time it is given a plain number


@dataclass(frozen=True)
class Batch:
    """Up to `MAX_ROWS` consecutive records of one source, less the skipped ones.

    Empty ids, image references and hashes count as null: an empty cell says nothing, and must not look like one picture
    shared by all. An empty caption stays an empty caption. A batch may hold no rows and only `skipped`.
    """

    rows: np.ndarray  # uint64 (n,): 0-based physical record numbers, ascending
    captions: tuple[
        pa.Array, ...
    ]  # per caption column large_binary (n,): bytes as stored, UTF-8 not validated, nulls kept
    ids: pa.Array | None = None  # large_string (n,)
    images: pa.Array | None = None  # large_binary (n,): url or path; None when the source has no references
    hashes: pa.Array | None = None  # large_binary (n,)
    weights: np.ndarray | None = None  # float64 (n,): product of the weight columns, finite and >= 0; see `as_weights`
    skipped: Mapping[str, int] = field(default_factory=dict)  # reason -> records that have no entry in `rows`

    def __len__(self) -> int:
        return len(self.rows)


class Reader(Protocol):
    """One opened source. `batches` and `take` open the file anew each time, so a reader holds no file handle."""

    columns: Columns
    n_rows: int | None  # records, when the file says so without being read

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """All records in order, streamed. Raises BadInput when the file turns out to be damaged on the way.

        start: how many records are left out; they must be those of the first batches of a whole pass. Parquet leaves
        most of them unread.
        """
        ...

    def take(self, rows: np.ndarray, column: int) -> list[str | None]:
        """Texts of caption column `column` (index into `columns.captions`) at these record numbers.

        rows: uint64, any order, may repeat. Bytes that are not UTF-8 become U+FFFD; null captions None. Parquet reads
        only the row groups that hold the rows, pictures only their files, CSV and JSONL stream up to the last of them.
        Raises IndexError for a record that does not exist (a skipped bad line is none), BadInput for a damaged file.
        """
        ...

    def stream(self, rows: np.ndarray, column: int) -> Iterator[tuple[np.ndarray, pa.Array]]:
        """`take` piece by piece, not decoded: positions in `rows` (ascending, distinct) and captions, large_binary."""
        ...

    def starts(self) -> np.ndarray:
        """uint64: record numbers at which `stream` can begin without reading what lies before them."""
        ...

    def take_images(self, rows: np.ndarray) -> list[str | None]:
        """The image references of these records, by the same rules; all None when the source has none."""
        ...


def after(batches: Iterable[Batch], start: int) -> Iterator[Batch]:
    """The batches less those that hold the first `start` records, skipped ones counted."""
    seen = 0
    for batch in batches:
        if seen >= start:
            yield batch
        seen += len(batch) + sum(batch.skipped.values())


def split(batch: Batch) -> Iterator[Batch]:
    """The batch in pieces of at most `MAX_ROWS` rows and about `MAX_BYTES` of captions; zero-copy."""
    n = len(batch)
    if n <= 1 or (n <= MAX_ROWS and sum(c.nbytes for c in batch.captions) <= MAX_BYTES):
        yield batch
        return
    half = n // 2
    yield from split(_slice(batch, 0, half))
    yield from split(replace(_slice(batch, half, n), skipped={}))


def _slice(batch: Batch, start: int, stop: int) -> Batch:
    def cut(values: Any) -> Any:
        return None if values is None else values[start:stop]

    return replace(
        batch,
        rows=batch.rows[start:stop],
        captions=tuple(cut(c) for c in batch.captions),
        ids=cut(batch.ids),
        images=cut(batch.images),
        hashes=cut(batch.hashes),
        weights=cut(batch.weights),
    )


def joined(batches: list[Batch]) -> Batch:
    """Batches with the same columns as one. `rows` are no longer ascending, and what was skipped is left out."""

    def join(values: list[Any]) -> Any:
        return None if values[0] is None else np.concatenate(values)

    def chain(values: list[Any]) -> Any:
        return None if values[0] is None else pa.concat_arrays(values)

    return Batch(
        rows=join([b.rows for b in batches]),
        captions=tuple(chain(list(column)) for column in zip(*(b.captions for b in batches), strict=True)),
        ids=chain([b.ids for b in batches]),
        images=chain([b.images for b in batches]),
        hashes=chain([b.hashes for b in batches]),
        weights=join([b.weights for b in batches]),
    )


def make_batch(columns: Columns, rows: np.ndarray, values: Mapping[str, pa.Array], skipped: Mapping[str, int]) -> Batch:
    """A batch from the raw arrays of one source's columns.

    rows: uint64 (n,). values: column name -> array (n,) of any type that `columns.find_columns` accepts.
    """
    return Batch(
        rows=rows,
        captions=tuple(as_bytes(values[name]) for name in columns.captions),
        ids=as_text(values[columns.id]) if columns.id else None,
        images=_empty_is_null(as_bytes(values[columns.image])) if columns.image else None,
        hashes=_empty_is_null(as_bytes(values[columns.hash])) if columns.hash else None,
        weights=as_weights([values[name] for name in columns.weights]) if columns.weights else None,
        skipped=skipped,
    )


def as_bytes(values: pa.Array) -> pa.Array:
    """large_binary: bytes as stored; dictionaries decoded, other scalars as their text. At most copies the offsets."""
    values = _storage(values)
    kind = values.type
    if pa.types.is_dictionary(kind):
        # The dictionary is widened before it is decoded: decoded 32-bit offsets could overflow.
        values = pa.DictionaryArray.from_arrays(values.indices, as_bytes(values.dictionary)).dictionary_decode()
    elif not is_textual(kind):
        values = values.cast(pa.large_string())
    return values.cast(pa.large_binary())


def as_text(values: pa.Array) -> pa.Array:
    """large_string for ids: numbers in decimal, fixed-size binary (a UUID, a digest) in hex, empty as null."""
    values = _storage(values)
    if pa.types.is_fixed_size_binary(values.type):
        return pa.array([v and v.hex() for v in values.to_pylist()], pa.large_string())
    raw = _empty_is_null(as_bytes(values))
    try:
        return raw.cast(pa.large_string())
    except pa.ArrowInvalid:  # not UTF-8
        return pa.array([decoded(v) for v in raw.to_pylist()], pa.large_string())


def as_weights(columns: list[pa.Array]) -> np.ndarray:
    """float64 (n,): the product of the columns; what is null, NaN, infinite, negative or not a number counts as 1."""
    product = np.ones(len(columns[0]), dtype=np.float64)
    for values in columns:
        numbers = _numbers(_storage(values))
        usable = np.isfinite(numbers) & (numbers >= 0)
        product *= np.where(usable, numbers, 1.0)
    return product


def _numbers(values: pa.Array) -> np.ndarray:
    if not is_textual(values.type) and not pa.types.is_dictionary(values.type):
        return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    raw = as_text(values)
    try:
        return np.asarray(pc.utf8_trim_whitespace(raw).cast(pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        return np.array([_number(v) for v in raw.to_pylist()], dtype=np.float64)


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def _storage(values: pa.Array) -> pa.Array:
    return values.storage if isinstance(values, pa.ExtensionArray) else values


def _empty_is_null(values: pa.Array) -> pa.Array:
    empty = pc.equal(pc.binary_length(values), _ZERO)
    return pc.if_else(empty, pa.scalar(None, values.type), values) if pc.any(empty).as_py() else values


def is_textual(kind: pa.DataType) -> bool:
    """Whether values of this type are bytes or text; the null type counts, dictionaries do not."""
    t = pa.types
    return bool(
        t.is_string(kind)
        or t.is_large_string(kind)
        or t.is_string_view(kind)
        or t.is_binary(kind)
        or t.is_large_binary(kind)
        or t.is_binary_view(kind)
        or t.is_fixed_size_binary(kind)
        or t.is_null(kind)
    )


def decoded(value: bytes | None) -> str | None:
    """Text of stored bytes; what is not UTF-8 becomes U+FFFD."""
    return None if value is None else value.decode("utf-8", errors="replace")


def gather(parts: Iterable[tuple[np.ndarray, pa.Array]], rows: np.ndarray) -> list[str | None]:
    """Texts at record numbers `rows` (uint64, any order, may repeat), from `parts` that come in ascending order.

    parts: (record numbers uint64 (n,), values (n,)) pairs; reading stops at the last wanted record. Raises IndexError
    when a record does not occur.
    """
    wanted, back = np.unique(np.asarray(rows, dtype=np.uint64), return_inverse=True)
    found: list[str | None] = [None] * len(wanted)
    for positions, values in pick(parts, wanted):
        for i, value in zip(positions.tolist(), values.to_pylist(), strict=True):
            found[i] = decoded(value)
    return [found[i] for i in back]


def pick(parts: Iterable[tuple[np.ndarray, pa.Array]], wanted: np.ndarray) -> Iterator[tuple[np.ndarray, pa.Array]]:
    """Of each part the records that are `wanted` (uint64, ascending, distinct): positions in `wanted`, and values as
    large_binary. Parts and errors as with `gather`."""
    n_seen = 0
    for have, values in parts if len(wanted) else ():
        if not len(have):
            continue
        low, high = np.searchsorted(wanted, have[0]), np.searchsorted(wanted, have[-1], side="right")
        at = np.searchsorted(have, wanted[low:high])
        hits = np.flatnonzero(have[at] == wanted[low:high])
        if len(hits):
            yield hits + low, as_bytes(values.take(pa.array(at[hits])))
        n_seen += len(hits)
        if have[-1] >= wanted[-1]:
            break
    if n_seen < len(wanted):
        raise IndexError(f"{len(wanted) - n_seen} of {len(wanted)} records do not exist")


def gather_captions(batches: Iterable[Batch], rows: np.ndarray, column: int) -> list[str | None]:
    """`Reader.take` for formats that can only be streamed."""
    return gather(((batch.rows, batch.captions[column]) for batch in batches), rows)


def stream_captions(batches: Iterable[Batch], rows: np.ndarray, column: int) -> Iterator[tuple[np.ndarray, pa.Array]]:
    """`Reader.stream` for formats that can only be streamed."""
    return pick(((batch.rows, batch.captions[column]) for batch in batches), rows)


def gather_images(batches: Iterable[Batch], rows: np.ndarray) -> list[str | None]:
    """`Reader.take_images` for formats that can only be streamed, where the source has references."""
    return gather(((batch.rows, batch.images) for batch in batches), rows)
