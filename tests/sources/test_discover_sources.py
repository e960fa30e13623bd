"""What DATA arguments stand for: order, repeats, what is left out, what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memaudit.errors import BadInput
from memaudit.sources import ColumnChoice, Source, discover, open_source, shown


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("caption\nx\n")


def paths(*data: object, exclude: tuple[Path, ...] = ()) -> list[str]:
    return [source.path for source in discover([str(d) for d in data], exclude)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_suffixes_and_formats(here):
    known = {"a.parquet": "parquet", "b.PQ": "parquet", "c.csv": "csv", "d.TSV": "csv", "e.jsonl": "jsonl"}
    known |= {"k.tar": "tar", "l.TAR.gz": "tar", "m.tgz": "tar", "n.tar.zst": "tar"}
    known |= {"f.ndjson": "jsonl", "g.csv.gz": "csv", "h.tsv.zst": "csv", "i.JSONL.bz2": "jsonl", "j.csv.lz4": "csv"}
    touch(here, *known, "x.json", "x.txt", "x.parquet.gz", "x.tgz.gz", "x.md", "x.gz", "noext", "x_stats.json")
    assert {s.path: s.format for s in discover(["."])} == known
    assert discover(["c.csv"]) == [Source("c.csv", "csv", 10)]


def test_order_is_by_argument_then_path_and_relative_stays_relative(here):
    touch(here, "b/2.csv", "b/10.csv", "a/x/1.csv", "a/z.csv")
    assert paths("b", "a/") == ["b/10.csv", "b/2.csv", "a/x/1.csv", "a/z.csv"]
    assert paths(here / "a" / "z.csv") == [str(here / "a" / "z.csv")]


def test_what_is_named_twice_counts_once(here):
    touch(here, "a/1.csv", "a/2.csv")
    (here / "link.csv").symlink_to(here / "a" / "2.csv")
    (here / "loop").symlink_to(here)
    assert paths("a/1.csv", "a", "./a/../a/1.csv", "link.csv", "a/*.csv", ".") == ["a/1.csv", "a/2.csv"]


def test_links_to_folders_are_followed(here):
    touch(here, "far/1.csv")
    (here / "set").mkdir()
    (here / "set" / "near").symlink_to(here / "far")
    assert paths("set") == ["set/near/1.csv"]


def test_hidden_files_and_folders_are_left_out(here):
    touch(here, "d/1.csv", "d/.hidden.csv", "d/_SUCCESS", "d/_metadata.parquet", "d/.git/2.csv", "d/_temporary/3.csv")
    assert paths("d") == ["d/1.csv"]
    assert paths("d/**/*.csv") == ["d/1.csv"]
    assert paths("d/_temporary/3.csv") == ["d/_temporary/3.csv"]  # named is named


def test_audits_and_excluded_folders_are_left_out(here):
    touch(here, "d/1.csv", "d/audit/texts.csv", "d/audit/deep/x.csv", "d/out/rows.csv", "d/other/2.csv")
    (here / "d/audit/manifest.json").write_text(json.dumps({"memaudit": "0.1.0"}))
    (here / "d/other/manifest.json").write_text(json.dumps({"name": "not an audit"}))
    for argument in ("d", "d/**/*.csv", "d/*"):
        assert paths(argument, exclude=(Path("d/out"),)) == ["d/1.csv", "d/other/2.csv"]
    assert "d/out/rows.csv" in paths("d")
    with pytest.raises(BadInput) as caught:
        discover(["d/audit"])
    assert caught.value.why == "it is an audit"


def test_globs(here):
    touch(here, "d/a-1.csv", "d/a-2.csv", "d/b.csv", "d/deep/er/a-3.csv", "d/notes.md")
    assert paths("d/a-*.csv") == ["d/a-1.csv", "d/a-2.csv"]
    assert paths("d/**/a-[13].csv") == ["d/a-1.csv", "d/deep/er/a-3.csv"]
    assert paths("d/*") == ["d/a-1.csv", "d/a-2.csv", "d/b.csv", "d/deep/er/a-3.csv"]
    assert paths(f"{here}/d/?.csv") == [f"{here}/d/b.csv"]


def test_a_path_with_glob_characters_that_exists_wins(here):
    touch(here, "a[1].csv", "a1.csv", "set[2]/x.csv", "set2/y.csv")
    assert paths("a[1].csv") == ["a[1].csv"]
    assert paths("set[2]") == ["set[2]/x.csv"]
    assert paths("set[2]/*.csv") == ["set[2]/x.csv"]


def test_an_img2dataset_shard_counts_once(here):
    table = pa.table({"caption": ["a"], "key": ["000000000"], "status": ["success"]})
    for shard in ("00000", "00001"):
        (here / "set" / shard).mkdir(parents=True)
        pq.write_table(table, here / "set" / f"{shard}.parquet")
        touch(
            here / "set", f"{shard}_stats.json", f"{shard}/000000000.jpg", f"{shard}/000000000.txt", f"{shard}/0.json"
        )
    (here / "set" / "00001.tar").touch()
    touch(here / "set", "own/cat.jpg", "own/cat.txt")
    expected = ["set/00000.parquet", "set/00001.parquet", "set/own"]
    assert paths("set") == expected
    assert paths("set/*") == expected
    assert paths("set/00000.parquet", "set/00000") == ["set/00000.parquet"]
    assert paths("set/00000") == ["set/00000"]  # alone, the folder is what was asked for
    assert paths("set/00001.tar") == ["set/00001.parquet"]
    (here / "set" / "00002.tar").touch()
    (here / "set" / "00001.tar.gz").touch()
    assert paths("set") == ["set/00000.parquet", "set/00001.parquet", "set/00002.tar", "set/own"]
    assert paths("set/*.tar*") == ["set/00001.parquet", "set/00002.tar"]


def test_tables_beside_pictures_and_in_a_folder_named_like_a_parquet(here):
    touch(here, "d/cat.jpg", "d/cat.txt", "d/more.csv", "d/train.parquet", "d/train/part.csv")
    assert paths("d") == ["d", "d/more.csv", "d/train.parquet", "d/train/part.csv"]


@pytest.mark.parametrize(
    ("argument", "what", "hint"),
    [
        ("gone.csv", "no such file: gone.csv", "spelling"),
        ("", "no such file: ''", "spelling"),
        ("x/*.csv", "no file matches x/*.csv", "pattern"),
        ("empty", "nothing readable in empty", "name the folder"),
        ("docs/*", "nothing readable matches docs/*", "pattern"),
        ("pics/*", "nothing readable matches pics/*", "name the folder"),
        ("pics/a.jpg", "pics/a.jpg is of no known kind", "name the folder"),
        ("docs/a.md", "docs/a.md is of no known kind", "convert"),
        ("docs/a.json", "docs/a.json is of no known kind", "jq -c"),
        ("docs/a.parquet.gz", "docs/a.parquet.gz is of no known kind", "convert"),
        ("https://x.org/a.csv?X-Amz-Signature=abc", "https:// is not supported", "curl -LO https://x.org/a.csv"),
        ("S3://bucket/a.csv", "s3:// is not supported", "small letters"),
        ("ftp://x.org/a.csv", "ftp:// is not supported", "download it first"),
    ],
)
def test_refusals_say_what_why_and_what_to_try(here, argument, what, hint):
    (here / "empty" / ".cache").mkdir(parents=True)
    touch(here, "docs/a.md", "docs/a.json", "docs/a.parquet.gz", "pics/a.jpg", "pics/a.txt")
    with pytest.raises(BadInput) as caught:
        discover([argument])
    assert caught.value.what == what
    assert hint in caught.value.hint
    assert len(caught.value.lines()) == 3
    assert "\n" not in "".join(caught.value.lines())
    assert "Signature" not in "".join(caught.value.lines())


def test_an_empty_data_file_and_a_broken_link_are_found_and_refused_when_opened(here):
    touch(here, "d/1.csv")
    (here / "d" / "2.csv").touch()
    (here / "d" / "3.csv").symlink_to("gone.csv")
    sources = discover(["d"])
    assert [source.size for source in sources] == [10, 0, 0]
    for source, what in zip(sources[1:], ("d/2.csv is empty", "cannot read d/3.csv"), strict=True):
        with pytest.raises(BadInput) as caught:
            open_source(source, ColumnChoice())
        assert caught.value.what == what


@pytest.mark.parametrize("name", [b"new\nline\x1b[2J", b"not utf8 \xff", "right\u202eleft".encode()], ids=ascii)
def test_hostile_file_names_are_read_and_escaped(here, name):
    table = pa.table({"caption": ["x"]})
    with open(name + b".parquet", "wb") as file:  # noqa: PTH123 (bytes)
        pq.write_table(table, file)
    for suffix, text in (
        (b".csv", b"caption\nx\n"),
        (b".jsonl", b'{"caption": "x"}\n'),
        (b".txt", b"x"),
        (b".jpg", b""),
    ):
        Path(os.fsdecode(name + suffix)).write_bytes(text)
    sources = discover(["."])
    assert [source.format for source in sources] == ["pictures", "csv", "jsonl", "parquet"]
    for source in sources:
        assert len(source.fingerprint()) == 16
        reader = open_source(source, ColumnChoice())
        assert reader.take(np.array([0], np.uint64), 0) == ["x"]
        with pytest.raises(BadInput) as caught:
            open_source(Source(source.path + "\n\udcff", source.format, 1), ColumnChoice())
        assert all(line.isprintable() for line in caught.value.lines())


def test_shown_leaves_ordinary_names_alone():
    assert shown("Bilder/Größe 猫's [1].csv") == "Bilder/Größe 猫's [1].csv"
    assert shown("a\tb\n") == "a\\tb\\n"


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_the_fingerprint_follows_both_ends_and_the_size(here, name):
    path = here / name
    content = bytearray(os.urandom(1 << 10)) * (3 << 10)  # 3 MiB
    path.write_bytes(content)
    source = Source(name, "parquet" if "parquet" in name else name[2:], len(content))
    first = source.fingerprint()
    os.utime(path, (1, 1))
    assert source.fingerprint() == first
    assert len(first) == 16
    assert int(first, 16) >= 0
    for at, is_seen in ((-1, True), (0, "parquet" not in name), (1_500_000, False)):
        changed = content.copy()
        changed[at] ^= 1
        path.write_bytes(changed)
        assert (source.fingerprint() != first) == is_seen
    path.write_bytes(content[:1] + content)
    assert source.fingerprint() != first
    path.unlink()
    with pytest.raises(BadInput, match="cannot read"):
        source.fingerprint()
