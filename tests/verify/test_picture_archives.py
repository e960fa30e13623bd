"""Training pictures from webdataset tars: of the tar that was scanned, and of one beside img2dataset's parquet."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet as pq
import pytest

from memaudit.audit import scan
from memaudit.config import ScanConfig
from memaudit.verify.pictures import find_pictures
from tests.conftest import SAMPLE
from tests.sources.conftest import write_tar
from tests.verify.test_pictures import colours, encoded

if TYPE_CHECKING:
    from pathlib import Path

WORLD = SAMPLE.parent / "world" / "captions.parquet"
PICTURES = [encoded((40 * i, 255 - 40 * i, 0)) for i in range(6)]


def members(with_json: bool) -> list[tuple[str, bytes]]:
    out = []
    for i, picture in enumerate(PICTURES):
        out += [(f"{i:05d}.png", picture), (f"{i:05d}.txt", b"a lone red fox on a hill")]
        if with_json:
            out.append((f"{i:05d}.json", json.dumps({"url": f"https://a.org/{i}.png"}).encode()))
    return out


@pytest.mark.parametrize("name", ["0.tar", "0.tar.gz"])
@pytest.mark.parametrize("with_json", [False, True])
def test_of_the_tar_that_was_scanned(tmp_path: Path, name: str, with_json: bool) -> None:
    write_tar(tmp_path / name, members(with_json))
    source = find_pictures(scan([str(tmp_path / name)], tmp_path / "audit", ScanConfig()).audit)
    assert source.kind == "tar"
    assert source.told == "the dataset's tars (6 of the first 6 rows have theirs)"
    gallery = source.gallery([0], 16)
    assert sorted(colours(gallery)) == [(40 * i, 255 - 40 * i, 0) for i in range(6)]
    expected = [f"https://a.org/{i}.png" if with_json else f"{name}/{i:05d}.png" for i in range(6)]
    assert sorted(gallery.names) == expected


def test_of_a_tar_beside_the_parquet(tmp_path: Path) -> None:
    keys = [f"{i:05d}" for i in range(7)]
    frame = pl.DataFrame({"caption": ["a lone red fox"] * 7, "key": keys, "status": ["success"] * 6 + ["failed"]})
    frame.write_parquet(tmp_path / "00000.parquet")
    write_tar(tmp_path / "00000.tar", members(with_json=False)[2:])  # the first picture is missing
    source = find_pictures(scan([str(tmp_path / "00000.parquet")], tmp_path / "audit", ScanConfig()).audit)
    assert source.kind == "tar"
    gallery = source.gallery([0], 16)
    assert sorted(colours(gallery)) == [(40 * i, 255 - 40 * i, 0) for i in range(1, 6)]
    assert gallery.reasons == {"no picture in the tar": 1}


def test_a_tar_that_has_changed(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", members(with_json=False))
    audit = scan([str(tmp_path / "0.tar")], tmp_path / "audit", ScanConfig()).audit
    write_tar(tmp_path / "0.tar", members(with_json=True))
    assert find_pictures(audit).told == "none: dataset file has changed"


def test_the_worlds_pictures(tmp_path: Path) -> None:
    """The same galleries from a tar as from the column of the parquet."""
    table = pq.read_table(WORLD).slice(0, 60)
    rows = table.to_pylist()
    pq.write_table(table, tmp_path / "world.parquet")
    samples = (((f"{i}.png", r["image"]["bytes"]), (f"{i}.txt", r["caption"].encode())) for i, r in enumerate(rows))
    write_tar(tmp_path / "t.tar", itertools.chain.from_iterable(samples))
    sources = []
    for name in ("world.parquet", "t.tar"):
        audit = scan([str(tmp_path / name)], tmp_path / f"audit-{name}", ScanConfig()).audit
        sources.append((find_pictures(audit), audit.frame("texts").sort("file", "row")["text_id"].to_list()))
    assert [source.kind for source, _ in sources] == ["bytes", "tar"]
    one, other = (source.one_each(ids[:8], 32).pictures for source, ids in sources)
    assert len(one) == 8
    assert (one == other).all()
