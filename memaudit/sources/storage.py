"""Files by path or URL: opened, listed and measured the same way, on this disk or in a store."""

from __future__ import annotations

import os

import pyarrow as pa

COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
TAR_GZ = ".tgz"


def is_remote(path: str) -> bool:
    """Whether this names something in a store: "s3://bucket/a.csv"."""
    return path.startswith(("s3://", "gs://", "hf://"))


def opened(path: str) -> pa.NativeFile:
    """The file, for reading anywhere in it. Raises OSError.

    A path on this disk goes to Arrow as bytes: names that are not UTF-8 exist.
    """
    return pa.OSFile(os.fsencode(path))


def packing(path: str) -> str | None:
    """The codec that a file's suffix stands for."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 (may be a URL)
    return "gzip" if suffix == TAR_GZ else COMPRESSED.get(suffix)


def unpacked(file: pa.NativeFile, codec: str | None) -> pa.NativeFile:
    """What a file holds, from where it stands, as a stream."""
    return pa.CompressedInputStream(file, codec) if codec else file
