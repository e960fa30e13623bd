"""Folders of pictures with .txt files beside them."""

from __future__ import annotations

import os

import pytest

from memaudit.errors import BadInput
from memaudit.sources import ColumnChoice, Source, discover, open_source, pictures


def fill(folder, **files: str | bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_a_record_is_a_picture_with_a_txt(tmp_path, load, monkeypatch):
    monkeypatch.setattr(pictures, "FILES_PER_BATCH", 2)
    fill(tmp_path / "set", b__PNG="", b__txt="\ufeff \n sks dog, on a beach\n\n", a__jpg="", a__txt="tabs\tand\nlines")
    fill(
        tmp_path / "set",
        README__txt="no caption",
        lonely__webp="",
        c__jxl="",
        c__txt="",
        d__jpg="",
        d__txt=b" caf\xe9\n",
    )
    loaded = load(tmp_path / "set")
    assert loaded.captions == [b"tabs\tand\nlines", b"sks dog, on a beach", b"", b"caf\xe9"]
    assert loaded.ids == ["a", "b", "c", "d"]
    assert loaded.images == [os.fsencode(tmp_path / "set" / name) for name in ("a.jpg", "b.PNG", "c.jxl", "d.jpg")]
    assert loaded.reader.n_rows == 4


def test_each_folder_is_one_source(tmp_path):
    fill(tmp_path / "set" / "x", a__jpg="", a__txt="12345")
    fill(tmp_path / "set" / "y" / "z", b__jpg="", b__txt="123")
    fill(tmp_path / "set", only__jpg="")
    assert discover([str(tmp_path / "set")]) == [
        Source(str(tmp_path / "set" / "x"), "pictures", 5),
        Source(str(tmp_path / "set" / "y" / "z"), "pictures", 3),
    ]


def test_a_txt_that_cannot_be_read_is_skipped_with_a_reason(tmp_path, load):
    fill(tmp_path, a__jpg="", a__txt="a", b__jpg="", b__txt="b", c__jpg="", c__txt="c")
    reader = open_source(discover([str(tmp_path)])[0], ColumnChoice())
    (tmp_path / "b.txt").unlink()
    (batch,) = reader.batches()
    assert batch.rows.tolist() == [0, 2]
    assert batch.captions[0].to_pylist() == [b"a", b"c"]
    assert batch.skipped == {"unreadable": 1}


def test_the_fingerprint_follows_names_and_texts(tmp_path):
    fill(tmp_path, a__jpg="", a__txt="a")
    (source,) = discover([str(tmp_path)])
    seen = [source.fingerprint(), source.fingerprint()]
    assert seen[0] == seen[1]
    fill(tmp_path, a__txt="longer")
    seen.append(source.fingerprint())
    fill(tmp_path, b__jpg="", b__txt="b")
    seen.append(source.fingerprint())
    assert len(set(seen)) == 3


def test_a_folder_that_lost_its_pairs(tmp_path):
    with pytest.raises(BadInput, match="no captions in"):
        open_source(Source(str(tmp_path), "pictures", 0), ColumnChoice())
    with pytest.raises(BadInput, match="cannot read"):
        open_source(Source(str(tmp_path / "gone"), "pictures", 0), ColumnChoice())
