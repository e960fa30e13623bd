"""What the tests of every format share: read a file whole, and check what must hold for any of them."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from memaudit.sources import ColumnChoice, discover, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from memaudit.sources import Batch, Reader, Source


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], **options: Any) -> None:
    """An archive of files with these names and contents, compressed by its suffix."""
    mode = "w:gz" if path.suffix in (".gz", ".tgz") else "w:bz2" if path.suffix == ".bz2" else "w"
    with tarfile.open(path, mode, **options) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@dataclass
class Loaded:
    reader: Reader
    batches: list[Batch]
    rows: list[int] = field(default_factory=list)
    captions: list[bytes | None] = field(default_factory=list)  # of the first caption column
    ids: list[str | None] = field(default_factory=list)
    images: list[bytes | None] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)


def load_file(path: Path, **choice: object) -> Loaded:
    (source,) = discover([str(path)])
    return load_source(source, **choice)


def load_source(source: Source, **choice: object) -> Loaded:
    reader = open_source(source, ColumnChoice(**choice))  # type: ignore[arg-type]
    loaded = Loaded(reader, list(reader.batches()))
    for batch in loaded.batches:
        assert batch.rows.dtype == np.uint64
        assert len(batch.captions) == len(reader.columns.captions)
        assert all(c.type == pa.large_binary() and len(c) == len(batch.rows) for c in batch.captions)
        loaded.rows += batch.rows.tolist()
        loaded.captions += batch.captions[0].to_pylist()
        loaded.ids += batch.ids.to_pylist() if batch.ids is not None else []
        loaded.images += batch.images.to_pylist() if batch.images is not None else []
        for reason, n in batch.skipped.items():
            loaded.skipped[reason] = loaded.skipped.get(reason, 0) + n
    assert loaded.rows == sorted(set(loaded.rows))
    check_take(loaded)
    return loaded


def check_take(loaded: Loaded) -> None:
    """`take` gives back what `batches` gave: out of order, repeated, one and none."""
    texts = [None if c is None else c.decode("utf-8", errors="replace") for c in loaded.captions]
    order = np.random.default_rng(1).permutation(len(loaded.rows))[:200].tolist()
    for picks in (order + order[:3], order[-1:], []):
        rows = np.array([loaded.rows[i] for i in picks], dtype=np.uint64)
        assert loaded.reader.take(rows, 0) == [texts[i] for i in picks]
        if loaded.images:
            expected = [v and v.decode() for v in (loaded.images[i] for i in picks)]
            assert loaded.reader.take_images(rows) == expected
        else:
            assert loaded.reader.take_images(rows) == [None] * len(picks)


@pytest.fixture
def load() -> Callable[..., Loaded]:
    """Reads a file whole; arguments by name are fields of `ColumnChoice`."""
    return load_file
