"""Texts come back from where they first occur, whatever the format and however many threads read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memaudit.readback import JOB, Library, Requests, requests
from memaudit.sources import ColumnChoice, discover, open_source
from memaudit.text.spelling import WORDS

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.ingest import Texts

N = 3 * JOB


class Pointers:
    """The columns of `Texts` that reading back needs: text i is record i // 2 of file i % 2."""

    def __init__(self) -> None:
        i = np.arange(2 * N)
        self.file, self.row, self.column = (
            (i % 2).astype(np.uint32),
            (i // 2).astype(np.uint64),
            np.zeros(2 * N, np.uint8),
        )


@pytest.fixture
def captions(tmp_path: Path) -> list[list[bytes]]:
    """By file; one parquet of small row groups with bytes that are no UTF-8, one CSV."""
    first = [b"Caf\xc3\xa9 No. %d" % i if i % 7 else b"broken \xff %d" % i for i in range(N)]
    second = [b"caption %d, plain" % (N - i) for i in range(N)]
    pq.write_table(pa.table({"caption": pa.array(first, pa.binary())}), tmp_path / "a.parquet", row_group_size=500)
    (tmp_path / "b.csv").write_bytes(b"caption\n" + b"".join(b'"%s"\n' % c for c in second))
    return [first, second]


def library(folder: Path) -> Library:
    texts: Texts = Pointers()  # type: ignore[assignment]
    return Library(discover([str(folder)]), ColumnChoice(), texts)


@pytest.mark.parametrize("threads", [1, 3])
def test_everything_asked_for_comes_back(tmp_path: Path, captions: list[list[bytes]], threads: int) -> None:
    rng = np.random.default_rng(5)
    shown, spelled = rng.permutation(2 * N)[:5000].astype(np.uint32), rng.integers(0, 2 * N, 40).astype(np.uint32)
    asked = rng.integers(0, 2 * N, 9000).astype(np.uint32)
    answer = rng.integers(0, 6000, 9000)
    wanted: Requests = requests(asked, WORDS, answer)
    back = library(tmp_path).read(wanted, shown, spelled, threads)

    def caption(t: int) -> str:
        return captions[t % 2][t // 2].decode("utf-8", errors="replace")

    def words(t: int) -> str:
        return " ".join("".join(c if c.isalnum() else " " for c in caption(t).lower()).split())

    assert back.captions.to_pylist() == [caption(t) for t in shown.tolist()]
    assert {t: " ".join(s.words) for t, s in back.spelled.items()} == {t: words(t) for t in spelled.tolist()}
    want: dict[int, str] = {}
    for t, at in zip(asked.tolist(), answer.tolist(), strict=True):
        want[at] = min(words(t), want.get(at, words(t)))
    assert back.strings == [want.get(at, "") for at in range(int(answer.max()) + 1)]


@pytest.mark.usefixtures("captions")
def test_nothing_asked_for_reads_nothing(tmp_path: Path) -> None:
    nothing = np.empty(0, np.uint32)
    back = library(tmp_path).read(requests(nothing, WORDS, np.empty(0, np.int64)), nothing, nothing, 2)
    assert (back.strings, len(back.captions), back.spelled) == ([], 0, {})


def test_reading_may_begin_at_every_row_group(tmp_path: Path, captions: list[list[bytes]]) -> None:
    sources = discover([str(tmp_path)])
    parquet, separated = (open_source(s, ColumnChoice()) for s in sources)
    assert parquet.starts().tolist() == list(range(0, N, 500))
    assert separated.starts().tolist() == [0]
    rows = np.array([3, 499, 500, N - 1], np.uint64)
    for reader, own in zip((parquet, separated), captions, strict=True):
        pieces = list(reader.stream(rows, 0))
        assert np.concatenate([at for at, _ in pieces]).tolist() == [0, 1, 2, 3]
        assert [c for _, values in pieces for c in values.to_pylist()] == [own[r] for r in rows.tolist()]
