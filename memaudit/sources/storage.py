"""Files by path or URL: opened the same way on this disk and in a store."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
TAR_GZ = ".tgz"
FAR = 8 << 20  # bytes asked for at once of a store, where a request costs as much as some MiB


def is_remote(path: str) -> bool:
    """Whether this names something in a store: "s3://bucket/a.csv"."""
    return path.startswith(("s3://", "gs://", "hf://"))


def opened(path: str) -> pa.NativeFile:
    """The file, for reading anywhere in it. Raises OSError.

    A path on this disk goes to Arrow as bytes: names that are not UTF-8 exist.
    """
    if is_remote(path):
        from memaudit.sources.remote import opened_remote  # the stores' libraries are loaded for those who use them

        return opened_remote(path)
    return pa.OSFile(os.fsencode(path))


def packing(path: str) -> str | None:
    """The codec that a file's suffix stands for."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 (may be a URL)
    return "gzip" if suffix == TAR_GZ else COMPRESSED.get(suffix)


def buffered(file: pa.NativeFile) -> pa.NativeFile:
    """A file for reading forwards in small steps: codecs ask for 64 KiB at a time, which a store would answer one by
    one."""
    return file if isinstance(file, pa.OSFile) else pa.BufferedInputStream(file, FAR)


def unpacked(file: pa.NativeFile, codec: str | None) -> pa.NativeFile:
    """What a file holds, from where it stands, as a stream."""
    return pa.CompressedInputStream(file, codec) if codec else file


def open_stream(path: str) -> pa.NativeFile:
    """The file's bytes from the start, decompressed by its suffix. Raises OSError."""
    codec = packing(path)
    return unpacked(buffered(opened(path)), codec) if codec else opened(path)


def within(folder: str, name: str) -> str:
    """The path of a file in a folder."""
    return f"{folder}/{name}" if is_remote(folder) else str(Path(folder, name))
