"""Tar archives read in place: headers are walked, contents passed over, and nothing is ever extracted.

Python's tarfile makes an object of every header, at a third of the speed, and keeps all of them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.sources.storage import FAR, buffered, is_remote, opened, packing, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

BLOCK = 512  # tar's own
NEAR, PACKED = 8 << 10, 1 << 20  # bytes read at once: from a disk, of a compressed archive
MOST_META = 1 << 20  # bytes of a long name or of a member's attributes
ZERO = bytes(BLOCK)
CUT = "it is cut off"
FILES, NO_CONTENT = frozenset(b"0\0007"), frozenset(b"123456")
LONG_NAME, ATTRIBUTES, SPARSE, SKIPPED = ord("L"), ord("x"), ord("S"), frozenset(b"KgXVMN")
DIRECTORY = ord("5")


class Damaged(Exception):
    """An archive breaks off, or holds what no archive does. The message says what."""


class Member(NamedTuple):
    """A file, or what stands for one, in an archive."""

    name: bytes
    start: int  # where its headers begin
    at: int  # where its content begins
    size: int  # bytes of content
    plain: bool  # not a link, a device or a sparse file: those have no content of their own


class Window:
    """The bytes of an archive, decompressed, a stretch of them held. What is compressed is read forwards only."""

    def __init__(self, file: pa.NativeFile, block: int, codec: str | None) -> None:
        self._file, self._block, self.is_packed = file, block, codec is not None
        self.end = None if codec else file.size()  # None: only reading tells
        self._stream = unpacked(buffered(file), codec) if codec else file
        self._start = self._stop = 0
        self._held = b""

    def read(self, at: int, n: int) -> bytes:
        """`n` bytes from an offset, fewer at the end. Raises OSError and ArrowException."""
        if at < self._start or at + n > self._stop:
            self._load(at, n)
        return self._held[at - self._start : at - self._start + n]

    def _load(self, at: int, n: int) -> None:
        if not self.is_packed:
            self._held = self._file.read_at(max(n, self._block), at)
            self._start, self._stop = at, at + len(self._held)
            return
        assert at >= self._start, "compressed archives are read forwards"
        rest = self._held[at - self._start :]
        while self._stop < at + n and (more := self._stream.read(max(self._block, n - len(rest)))):
            rest = rest + more if self._stop >= at else more[at - self._stop :]
            self._stop += len(more)
        self._held, self._start = rest, min(at, self._stop)
        if self._stop < at + n:
            self.end = self._stop


@contextmanager
def window(path: str) -> Iterator[Window]:
    """The archive at a path or URL, opened. Raises OSError and ArrowException."""
    codec = packing(path)
    with opened(path) as file:
        yield Window(file, PACKED if codec else FAR if is_remote(path) else NEAR, codec)


class Walk:
    """Members in order, from an offset at which headers begin."""

    def __init__(self, source: Window, at: int = 0) -> None:
        self._source, self._at = source, at
        self._headers = bytearray()  # whose checksums are still to be compared
        self.n_headers = 0  # seen so far

    def members(self) -> Iterator[Member]:
        """Up to the end mark or the end of the file. Raises Damaged; checksums are left to `sound`."""
        source, headers = self._source, self._headers
        read, at, start = source.read, self._at, self._at
        told = _NOTHING  # by headers that precede the one they belong to
        while (header := read(at, BLOCK)) != ZERO:
            if len(header) < BLOCK:
                if header or self._is_behind(at):
                    raise Damaged(CUT)
                break
            headers += header
            self.n_headers += 1
            kind, content = header[156], at + BLOCK
            n = _number(header[124:136]) if told.size < 0 else told.size
            if kind not in FILES:
                n = 0 if kind in NO_CONTENT else n
                content = self._behind_map(at) if kind == SPARSE else content
            at = content + n + -n % BLOCK
            if (end := source.end) is not None and at > end:
                raise Damaged(CUT)
            if kind in FILES:
                yield Member(told.name or _name(header), start, content, n, not told.sparse)
                told, start = _NOTHING, at
            elif kind == LONG_NAME:
                told = told._replace(name=self._meta(content, n).partition(b"\0")[0])
            elif kind == ATTRIBUTES:
                told = _attributes(self._meta(content, n), told)
            elif kind not in SKIPPED:
                if kind != DIRECTORY:
                    yield Member(told.name or _name(header), start, content, n, False)
                told, start = _NOTHING, at

    def _is_behind(self, at: int) -> bool:
        return self._source.end is not None and at > self._source.end

    def _behind_map(self, at: int) -> int:
        """Where the content of a sparse file begins: its map of holes goes on in further blocks."""
        goes_on, content = self._source.read(at + 482, 1), at + BLOCK
        while goes_on == b"\1":
            goes_on, content = self._source.read(content + 504, 1), content + BLOCK
        return content

    def sound(self) -> int:
        """How many headers of all seen so far are right: fewer than `n_headers` where one does not have the sum of its
        bytes."""
        table = np.frombuffer(bytes(self._headers), np.uint8).reshape(-1, BLOCK)
        fields = table[:, 148:156]
        others = table.sum(axis=1, dtype=np.int64) - fields.sum(axis=1, dtype=np.int64) + 8 * ord(" ")
        stated = np.zeros(len(table), np.int64)
        for digit in fields.T.astype(np.int64) - ord("0"):
            stated = np.where((digit >= 0) & (digit < 8), 8 * stated + digit, stated)
        wrong = np.flatnonzero(stated != others)
        if len(wrong):  # some old tars took bytes for signed
            signed = others - 256 * ((table >= 128).sum(axis=1) - (fields >= 128).sum(axis=1))
            wrong = wrong[stated[wrong] != signed[wrong]]
        if len(wrong):
            return self.n_headers - len(table) + int(wrong[0])
        self._headers.clear()
        return self.n_headers

    def _meta(self, at: int, n: int) -> bytes:
        if n > MOST_META:
            raise Damaged(f"a name or attribute of {n:,} bytes")
        return self._source.read(at, n)


class _Told(NamedTuple):
    """What headers say of the one that follows them."""

    name: bytes = b""
    size: int = -1
    sparse: bool = False


_NOTHING = _Told()


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if header[345] and header[257:263] == b"ustar\0":
        return header[345:500].partition(b"\0")[0] + b"/" + name
    return name


def _number(field: bytes) -> int:
    """Octal digits, or the GNU form for large numbers: the first bit set, big-endian."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << 95) - 1)
        if field[0] & 0x40:
            raise Damaged("a size below zero")
        return value
    try:
        value = int(field.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        value = -1
    if value < 0:
        raise Damaged("a size that is no number")
    return value


def _attributes(records: bytes, told: _Told) -> _Told:
    """`told` with what a PAX header says, each record of it "LENGTH KEY=VALUE\\n"."""
    while records.strip(b"\0"):
        length, _, _ = records.partition(b" ")
        n = _decimal(length)
        if n < len(length) + 3 or n > len(records):
            raise Damaged("attributes that cannot be read")
        key, _, value = records[len(length) + 1 : n - 1].partition(b"=")
        if key == b"path":
            told = told._replace(name=value)
        elif key == b"size":
            told = told._replace(size=_decimal(value))
        elif key.startswith(b"GNU.sparse."):
            told = told._replace(sparse=True)
        records = records[n:]
    return told


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise Damaged("a number that is none")
    return int(digits)
