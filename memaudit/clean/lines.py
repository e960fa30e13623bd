"""Records of a CSV file as they stand, byte for byte: cut at line ends outside of quotes, as Arrow's parser cuts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from memaudit.jit import leaf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

CHUNK = 8 << 20
_START, _PLAIN, _QUOTED, _CLOSING = range(4)
_QUOTE, _LF, _CR = ord('"'), ord("\n"), ord("\r")


@leaf
def _cut(data, delimiter, state, ends):
    """Positions after line ends outside of quotes; returns how many and the state at the end. A quote opens a value
    only at its start; two within one are a character of it."""
    n = 0
    for i in range(len(data)):
        byte = data[i]
        if state == _QUOTED:
            if byte == _QUOTE:
                state = _CLOSING
        elif state == _CLOSING and byte == _QUOTE:
            state = _QUOTED
        elif byte in (_LF, _CR):
            ends[n] = i + 1
            n += 1
            state = _START
        elif byte == delimiter:
            state = _START
        elif state == _START and byte == _QUOTE:
            state = _QUOTED
        else:
            state = _PLAIN
    return n, state


def pieces(stream: BinaryIO, delimiter: str) -> Iterator[list[bytes]]:
    """The bytes of a stream in pieces, some `CHUNK` bytes of them at a time: each is a record with its line end, or a
    blank line (the second half of a Windows line end is one)."""
    rest, state = b"", _START
    ends = np.empty(CHUNK, np.int64)
    while chunk := stream.read(CHUNK):
        n, state = _cut(np.frombuffer(chunk, np.uint8), ord(delimiter), state, ends)
        cuts = [0, *ends[:n].tolist()]
        found = [chunk[a:b] for a, b in itertools.pairwise(cuts)]
        if found:
            found[0], rest = rest + found[0], b""
            yield found
        rest += chunk[cuts[-1] :]
    if rest:
        yield [rest]


def is_blank(piece: bytes) -> bool:
    """Whether a piece is no record."""
    return piece in (b"\n", b"\r", b"\r\n")
