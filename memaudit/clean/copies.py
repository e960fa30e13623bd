"""A cleaned copy of one file, in the format that it has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from memaudit.clean.lines import is_blank, pieces
from memaudit.clean.parquet import copy_parquet
from memaudit.sources.files import picture_pairs
from memaudit.sources.jsonl import JsonlReader
from memaudit.sources.separated import SeparatedReader
from memaudit.sources.storage import COMPRESSED, is_remote, open_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from memaudit.sources import ColumnChoice, Source

HEADER = -1  # number of the first record of a CSV file


def is_copied(source: Source) -> bool:
    """Whether there is a copy of such a source: of tars and of folders of pictures in a store only the lists say what
    stays."""
    return source.format in _COPIES or (source.format == "pictures" and not is_remote(source.path))


def copy_without(source: Source, choice: ColumnChoice, out: Path, gone: np.ndarray) -> tuple[int, int]:
    """Write the records of `source` but those in `gone` (uint64, ascending, distinct) to `out`, which is there only
    when it is whole. Returns how many records were read and written. Raises BadInput for a damaged file, NoSpace where
    the disk is full."""
    if source.format == "pictures":
        return _copy_pictures(source, out, gone)
    temporary = out.with_name(f".{out.name}.tmp")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        counts = _COPIES[source.format](source, choice, temporary, gone)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return counts


def _copy_lines(source: Source, choice: ColumnChoice, out: Path, gone: np.ndarray) -> tuple[int, int]:
    """JSON lines as they stand, malformed ones too; blank lines, which are no records, go."""
    n_read = n_written = 0
    with _sink(out, source.path) as sink:
        for start, lines in JsonlReader(source, choice).lines():
            low, high = np.searchsorted(gone, [start, start + len(lines)])
            drop = set((gone[low:high] - np.uint64(start)).tolist())
            kept = [line for i, line in enumerate(lines) if i not in drop]
            sink.write(b"".join(line + b"\n" for line in kept))
            n_read, n_written = n_read + len(lines), n_written + len(kept)
    return n_read, n_written


def _copy_records(source: Source, choice: ColumnChoice, out: Path, gone: np.ndarray) -> tuple[int, int]:
    """Records of a CSV file as they stand, malformed ones too, after its header."""
    delimiter, drop = SeparatedReader(source, choice).delimiter, set(gone.tolist())
    n_read, n_dropped, kept = HEADER, 0, True
    with open_stream(source.path) as stream, _sink(out, source.path) as sink:
        for some in pieces(stream, delimiter):
            parts = []
            for piece in some:
                if not is_blank(piece):
                    kept = n_read not in drop
                    n_read, n_dropped = n_read + 1, n_dropped + (not kept)
                if kept:  # a blank line goes with the record before it
                    parts.append(piece)
            sink.write(b"".join(parts))
    return n_read, n_read - n_dropped


def _sink(out: Path, like: str) -> Any:
    """A stream that compresses as the name `like` says."""
    file = pa.OSFile(os.fsencode(out), "wb")
    codec = COMPRESSED.get(Path(like).suffix.lower())
    return pa.CompressedOutputStream(file, codec) if codec else file


def _copy_pictures(source: Source, out: Path, gone: np.ndarray) -> tuple[int, int]:
    """Pictures that stay, with their .txt; a link becomes the file that it leads to."""
    pairs, drop = picture_pairs(source.path), set(gone.tolist())
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    kept = [pair for i, pair in enumerate(pairs) if i not in drop]
    for name in dict.fromkeys(n for pair in kept for n in (pair.picture, pair.text)):
        shutil.copy2(Path(source.path, name), temporary / name)
    temporary.replace(out)
    return len(pairs), len(kept)


_COPIES: dict[str, Callable[[Source, ColumnChoice, Path, np.ndarray], tuple[int, int]]] = {
    "parquet": lambda source, _, out, gone: copy_parquet(source.path, out, gone),
    "csv": _copy_records,
    "jsonl": _copy_lines,
}


def names_of(paths: list[str]) -> list[Path]:
    """Where the copies go: paths below the folder that all inputs share, so that no two collide."""
    local = [path.split("://", 1)[-1] for path in paths]
    absolute = [os.path.abspath(path) for path in local]  # noqa: PTH100 (links are not followed: names, not files)
    if not absolute:
        return []
    base = os.path.commonpath([os.path.dirname(path) for path in absolute])  # noqa: PTH120
    return [Path(os.path.relpath(path, base)) for path in absolute]
