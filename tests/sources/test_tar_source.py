"""Webdataset archives: samples as webdataset groups them, captions and references, and archives that lie."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.errors import BadInput
from memaudit.sources import ColumnChoice, Source, archive, open_source, samples, tars
from memaudit.sources.samples import key_and_extension
from tests.sources.conftest import check_take, write_tar

JPEG = b"\xff\xd8" + bytes(range(256)) * 40


def img2dataset(n: int) -> list[tuple[str, bytes]]:
    """Members as img2dataset writes them."""
    members = []
    for i in range(n):
        facts = {"caption": f"caption {i}", "url": f"https://a.org/{i}.jpg", "key": f"{i:09d}", "md5": f"{i % 3:032x}"}
        members += [(f"{i:09d}.jpg", JPEG), (f"{i:09d}.json", json.dumps(facts, indent=4).encode())]
        members.append((f"{i:09d}.txt", f"caption {i}".encode()))
    return members


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2"])
def test_img2dataset(tmp_path, load, name):
    write_tar(tmp_path / name, img2dataset(200))
    loaded = load(tmp_path / name)
    assert loaded.captions == [b"caption %d" % i for i in range(200)]
    assert loaded.ids == [f"{i:09d}" for i in range(200)]
    assert loaded.images == [b"https://a.org/%d.jpg" % i for i in range(200)]
    assert loaded.batches[0].hashes.to_pylist()[:4] == [b"%032x" % i for i in (0, 1, 2, 0)]
    assert loaded.skipped == {}
    own = load(tmp_path / name, captions=("caption",), image="picture", id="url")
    assert own.captions == loaded.captions
    assert own.ids == [f"https://a.org/{i}.jpg" for i in range(200)]
    assert own.images == [f"{name}/{i:09d}.jpg".encode() for i in range(200)]


def test_captions_of_every_kind(tmp_path, load):
    members = [("a.caption", "\ufeff  ä\n".encode()), ("a.png", b""), ("b.caption", b"\xff \n"), ("b.cls", b"3")]
    write_tar(tmp_path / "a.tar", members)
    loaded = load(tmp_path / "a.tar")
    assert loaded.captions == ["ä".encode(), b"\xff"]
    assert loaded.images == [b"a.tar/a.png", None]
    assert load(tmp_path / "a.tar", captions=(".cls",)).captions == [b"3"]
    write_tar(tmp_path / "b.tar", [("a.json", b'{"caption": "of json"}'), ("a.caption", b"of member"), ("a.jpg", b"")])
    assert load(tmp_path / "b.tar").captions == [b"of member"]
    both = load(tmp_path / "b.tar", captions=("json.caption", "caption"))
    assert [column.to_pylist() for column in both.batches[0].captions] == [[b"of json"], [b"of member"]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"a/b.c/7.seg.PNG", (b"a/b.c/7", b"seg.png")),
        (b"./7.txt", (b"./7", b"txt")),
        (b"7.", (b"7", b"")),
        (b"7", None),
        (b".hidden.txt", None),
        (b"a/._7.jpg", None),
        (b"a.b/", None),
        (b"", None),
    ],
)
def test_key_and_extension(name, expected):
    assert key_and_extension(name) == expected


NAMES = st.sampled_from(["a.txt", "a.jpg", "a.json", "b.txt", "b.jpg", "d/a.txt", "a.d/a.txt", "a", ".x", "c.seg.txt"])


@settings(max_examples=150, deadline=None)
@given(names=st.lists(NAMES, max_size=25), kind=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_grouping_is_webdatasets(names, kind):
    members = [
        (name, b'{"caption": "j"}' if name.endswith("json") else str(i).encode()) for i, name in enumerate(names)
    ]
    keyed = [(*split, content) for name, content in members if (split := key_and_extension(name.encode()))]
    groups = [list(group) for _, group in itertools.groupby(keyed, key=lambda member: member[0])]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tars, "PIECE", 3)
        path = Path(folder) / "a.tar"
        write_tar(path, members, format=kind)
        try:
            reader = open_source(Source(str(path), "tar", 1), ColumnChoice(captions=("txt",)))
        except BadInput:
            assert not any(extension == b"txt" for _, extension, _ in keyed)
            return
        found = list(reader.batches())
    expected = {}
    for row, group in enumerate(groups):
        parts = {extension: content for _, extension, content in group}
        if len(parts) == len(group) and b"txt" in parts:
            expected[row] = (group[0][0].decode(), parts[b"txt"])
    rows = [row for batch in found for row in batch.rows.tolist()]
    values = [pair for b in found for pair in zip(b.ids.to_pylist(), b.captions[0].to_pylist(), strict=True)]
    assert dict(zip(rows, values, strict=True)) == expected
    assert len(rows) + sum(sum(batch.skipped.values()) for batch in found) == len(groups)


def test_reasons(tmp_path, load, monkeypatch):
    monkeypatch.setattr(samples, "MAX_CONTENT", 1000)
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:

        def add(name: str, content: bytes = b"", **facts: object) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in facts.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(content))

        add("0.jpg", JPEG)
        add("0.txt", b"fine")
        add("1.jpg", JPEG)
        add("2.txt", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add("3.txt", type=tarfile.LNKTYPE, linkname="0.txt")
        add("4.txt", b"x" * 1001)
        add("5.txt", b"one")
        add("5.txt", b"two")
        add("dir.txt", type=tarfile.DIRTYPE)
        add("fifo.txt", type=tarfile.FIFOTYPE)
        add("7.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add("7.txt", b"picture is a link")
        add("../../8.txt", b"outside")
    loaded = load(path)
    assert dict(zip(loaded.rows, loaded.captions, strict=True)) == {
        0: b"fine",
        7: b"picture is a link",
        8: b"outside",
    }
    assert loaded.skipped == {"no caption": 1, "link": 3, "too large": 1, "two members of one name": 1}
    assert loaded.images == [b"a.tar/0.jpg", None, None]
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]  # nothing was extracted


def test_bad_json_is_a_reason_only_where_captions_are_in_it(tmp_path, load):
    bodies = [b'{"caption": "a", "url": "u"}', b"{", b"", b"[1]", b'{"caption": 3}', b"\xef\xbb\xbf{\n}"]
    write_tar(tmp_path / "a.tar", [(f"{i}.json", body) for i, body in enumerate(bodies)])
    loaded = load(tmp_path / "a.tar")
    assert dict(zip(loaded.rows, loaded.captions, strict=True)) == {0: b"a", 4: None, 5: None}
    assert loaded.skipped == {"bad json": 3}
    members = [(f"{i}.{e}", b) for i, body in enumerate(bodies) for e, b in (("json", body), ("txt", b"t"))]
    write_tar(tmp_path / "b.tar", members)
    loaded = load(tmp_path / "b.tar")
    assert loaded.captions == [b"t"] * 6
    assert loaded.images == [b"u", *[None] * 5]


def test_long_names_large_numbers_and_attributes(tmp_path, load):
    long = "folder/" * 30 + "é" * 60
    for name, kind in (("a.tar", tarfile.GNU_FORMAT), ("b.tar", tarfile.PAX_FORMAT)):
        write_tar(tmp_path / name, [("0.txt", b"x"), (f"{long}.txt", b"caption"), ("2.txt", b"y")], format=kind)
        loaded = load(tmp_path / name)
        assert loaded.captions == [b"x", b"caption", b"y"]
        assert loaded.ids == ["0", long, "2"]
    write_tar(tmp_path / "c.tar", [(f"{'d' * 90}/{'e' * 90}.txt", b"c")], format=tarfile.USTAR_FORMAT)
    assert load(tmp_path / "c.tar").ids == [f"{'d' * 90}/{'e' * 90}"]
    with tarfile.open(tmp_path / "d.tar", "w", pax_headers={"comment": "global"}) as tar:
        member = tarfile.TarInfo("0.txt")
        member.size, member.pax_headers = 2, {"size": "2", "GNU.sparse.major": "1"}
        tar.addfile(member, io.BytesIO(b"ab"))
        member = tarfile.TarInfo("1.txt")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"c"))
    loaded = load(tmp_path / "d.tar")
    assert loaded.captions == [b"c"]
    assert loaded.skipped == {"link": 1}


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """A header with its checksum, whatever is in it."""
    block = bytearray(512)
    block[: len(name)], block[124 : 124 + len(size)], block[156:157], block[148:156] = name, size, kind, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


GOOD = header(b"0.txt", b"3") + b"abc".ljust(512, b"\0")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "are 000.jpg"),
        (bytes(1024), "are 000.jpg"),
        (b"no archive at all" * 100, "checksum"),
        (b"short", "cut off"),
        (header(b"0.txt", b"77777777777"), "cut off"),
        (header(b"0.txt", b"\x80" + bytes(3) + b"\xff" * 8), "cut off"),
        (header(b"0.txt", b"\xff" * 12), "below zero"),
        (header(b"0.txt", b"-1"), "no number"),
        (header(b"0.txt", b"9z"), "no number"),
        (header(b"0.txt", b"40000000", b"L") + bytes(1 << 23), "a name or attribute of 8,388,608 bytes"),
        (header(b"x", b"7", b"x") + b"99 a=b\n".ljust(512, b"\0"), "attributes that cannot be read"),
        (header(b"x", b"17", b"x") + b"15 size=-1000000\n"[:15].ljust(512, b"\0"), "a number that is none"),
        (GOOD[:150] + b"7" + GOOD[151:], "checksum"),
    ],
)
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_archives_that_lie_are_refused(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(BadInput) as caught:
        open_source(Source(str(tmp_path / name), "tar", 1), ColumnChoice())
    assert why in caught.value.why
    assert len(caught.value.lines()) == 3


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_what_is_whole_of_a_cut_archive_is_read_first(tmp_path, monkeypatch, name):
    monkeypatch.setattr(archive, "PACKED", 512)
    write_tar(tmp_path / name, [(f"{i}.txt", b"c") for i in range(300)])
    whole = (tmp_path / name).read_bytes()
    raw = gzip.decompress(whole) if name.endswith("gz") else whole
    for n in (250 * 1024 + 700, 250 * 1024, 250 * 1024 + 100):
        (tmp_path / name).write_bytes(gzip.compress(raw[:n]) if name.endswith("gz") else raw[:n])
        reader, rows, damage = open_source(Source(str(tmp_path / name), "tar", 1), ColumnChoice()), [], ""
        try:
            for batch in reader.batches():
                rows += batch.rows.tolist()
        except BadInput as error:
            damage = error.what
        least = 250 if n == 250 * 1024 else 249  # the sample before the damage may lack members
        assert rows == list(range(len(rows)))
        assert least <= len(rows) <= 250
        assert ("is damaged at about row" in damage) == (n != 250 * 1024)  # cut between members: as good as an end mark


def test_a_bad_checksum_on_the_way_ends_the_pass_there(tmp_path):
    path = tmp_path / "a.tar"
    write_tar(path, [(f"{i}.txt", b"c") for i in range(300)])
    content = bytearray(path.read_bytes())
    content[200 * 1024] ^= 1  # the name of member 200
    path.write_bytes(content)
    rows = []
    with pytest.raises(BadInput) as caught:
        for batch in open_source(Source(str(path), "tar", 1), ColumnChoice()).batches():
            rows += batch.rows.tolist()
    assert rows == list(range(200))
    assert "checksum" in caught.value.why


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_pictures_are_read_by_record(tmp_path, monkeypatch, name):
    members = [m for i in range(150) for m in ((f"{i}.jpg", b"%d" % i * 700), (f"{i}.txt", b"c"))]
    write_tar(tmp_path / name, [*members, ("x.txt", b"no picture")])
    source = Source(str(tmp_path / name), "tar", 1)
    rows = np.array([149, 3, 3, 77, 78, 150], np.uint64)
    expected = [(i, b"%d" % i * 700) for i in (3, 77, 78, 149)] + [(150, None)]
    reader = open_source(source, ColumnChoice())
    assert list(reader.take_pictures(rows)) == expected
    assert list(reader.take_pictures(rows)) == expected
    assert list(reader.take_pictures(rows[:0])) == []
    with pytest.raises(IndexError):
        list(reader.take_pictures(np.array([3, 151], np.uint64)))
    monkeypatch.setattr(samples, "MAX_CONTENT", 1000)
    assert dict(open_source(source, ColumnChoice()).take_pictures(rows))[77] is None


def test_take_seeks_after_a_pass_and_streams_before(tmp_path, monkeypatch, load):
    monkeypatch.setattr(tars, "NEAR_ROWS", 2)
    write_tar(tmp_path / "a.tar", img2dataset(300))
    loaded = load(tmp_path / "a.tar")
    reads = []
    plain = archive.Window.read
    monkeypatch.setattr(archive.Window, "read", lambda self, at, n: reads.append(at) or plain(self, at, n))
    check_take(loaded)
    reads.clear()
    assert loaded.reader.take(np.array([250], np.uint64), 0) == ["caption 250"]
    assert len(reads) < 10
    fresh = open_source(Source(str(tmp_path / "a.tar"), "tar", 1), ColumnChoice())
    assert fresh.estimated_rows((tmp_path / "a.tar").stat().st_size) == pytest.approx(300, rel=0.05)
    assert fresh.take(np.array([250], np.uint64), 0) == ["caption 250"]
    with pytest.raises(IndexError):
        fresh.take(np.array([300], np.uint64), 0)
