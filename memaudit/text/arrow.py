"""Arrow string columns as the kernels see them, and hashes of image references."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memaudit.jit import kernel, leaf
from memaudit.text.hashing import mix64

if TYPE_CHECKING:
    import pyarrow as pa

_P = np.uint64(0x9E3779B97F4A7C15)


def buffers(values: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(data uint8, offsets int64 (n + 1,), valid bool (n,)) of a large_binary or large_string array; zero-copy but for
    `valid`."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    valid = values.is_valid().to_numpy(zero_copy_only=False) if values.null_count else np.ones(len(values), np.bool_)
    return content, bounds, valid


@leaf
def _eight_bytes(data, at):
    """Bytes at to at + 7 as one number; the compiler makes one load of it."""
    word = np.uint64(0)
    for k in range(8):
        word |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return word


@leaf
def _hash_bytes(data, low, high):
    h, at = np.uint64(high - low) * _P, low
    while at + 8 <= high:
        h = (h ^ _eight_bytes(data, at)) * _P
        h ^= h >> np.uint64(32)
        at += 8
    rest = np.uint64(0)
    while at < high:
        rest = (rest << np.uint64(8)) | np.uint64(data[at])
        at += 1
    h = (h ^ rest) * _P
    h ^= h >> np.uint64(32)
    return mix64(h)


@kernel
def hash_values(data, offsets):
    """uint64 (n,): hash of each value's bytes, never 0."""
    out = np.empty(len(offsets) - 1, np.uint64)
    for i in range(len(out)):
        out[i] = _hash_bytes(data, offsets[i], offsets[i + 1]) | np.uint64(1)
    return out


@leaf
def _host(data, low, high):
    """Bounds of the host in a URL; an empty range where there is none ("a/b.jpg")."""
    start = -1
    for i in range(low, high - 2):
        if data[i] == 58 and data[i + 1] == 47 and data[i + 2] == 47:  # ://
            start = i + 3
            break
        if data[i] == 47 or data[i] == 63 or data[i] == 35:
            break
    if start < 0:
        return low, low
    end = start
    while end < high and data[end] != 47 and data[end] != 63 and data[end] != 35:
        end += 1
        if data[end - 1] == 64:  # user@
            start = end
    for i in range(start, end):
        if data[i] == 58:  # :port
            return start, i
    return start, end


@leaf
def _site(data, start, end):
    """Start of the registrable part of a host: its last two labels, three where the last two are short ("co.uk").

    An approximation of the public suffix list, which changes monthly: "img1.shop.com" and "img2.shop.com" are one site.
    """
    dots, last = 0, end
    for i in range(end - 1, start - 1, -1):
        if data[i] == 46:
            dots += 1
            if dots == 1:
                last = i
            elif dots == 2:
                if not (end - last <= 3 and last - i <= 4):
                    return i + 1
            elif dots == 3:
                return i + 1
    return start


@kernel
def hash_sites(data, offsets):
    """uint32 (n,): hash of the site each URL points to, ASCII case folded; 0 where there is no host."""
    out = np.zeros(len(offsets) - 1, np.uint32)
    for k in range(len(out)):
        start, end = _host(data, offsets[k], offsets[k + 1])
        if start == end:
            continue
        h = np.uint64(0)
        for i in range(_site(data, start, end), end):
            c = data[i]
            c = c + 32 if 65 <= c <= 90 else c
            h = (h ^ np.uint64(c)) * _P
            h ^= h >> np.uint64(29)
        out[k] = max(np.uint32(mix64(h) >> np.uint64(32)), np.uint32(1))
    return out
