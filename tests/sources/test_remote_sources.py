"""Sources in a store: found, read and fingerprinted like the same files on a disk; refusals that say what to do."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memaudit.audit import scan
from memaudit.config import ScanConfig
from memaudit.errors import BadInput, MemauditError, Unreachable, UsageError
from memaudit.originals import Originals
from memaudit.report.summary import finding
from memaudit.sources import ColumnChoice, Source, discover, open_source, parquet, remote
from memaudit.store import open_audit
from tests.sources.conftest import load_source, write_tar
from tests.sources.stores import S3, SECRET, answering, running_s3

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with running_s3() as store:
        yield store


@pytest.fixture
def s3(server, monkeypatch, tmp_path):
    for names in remote.SETTINGS.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.aws
    server.clear()
    return server


def write_dataset(root: Path) -> None:
    """Every format, with captions that repeat across files."""
    captions = [f"royalty free vector of a {w} on white" for w in "cat dog owl fox hen bee ant elk yak cow".split()] * 3
    captions += [f"the {n}th picture of {n * 7}" for n in range(60)]
    table = {"caption": captions, "url": [f"https://h{i % 4}.org/{i}.jpg" for i in range(len(captions))]}
    (root / "more").mkdir(parents=True)
    pq.write_table(pa.table(table), root / "a.parquet", row_group_size=7)
    lines = "".join(f'"{caption}",{i}\n' for i, caption in enumerate(captions))
    (root / "more" / "b.csv").write_text("caption,id\n" + lines)
    (root / "more" / "b.csv.gz").write_bytes(gzip.compress(b"caption\nan exact repeat\nan exact repeat\n"))
    (root / "more" / "c.jsonl").write_text("".join(json.dumps({"caption": c}) + "\n" for c in captions[::2]))
    members = [m for i, c in enumerate(captions) for m in ((f"{i}.jpg", b"x" * 900), (f"{i}.txt", c.encode()))]
    write_tar(root / "d.tar", members)
    write_tar(root / "e.tar.gz", members)
    (root / "pictures").mkdir()
    for i, caption in enumerate(captions[:5]):
        (root / "pictures" / f"{i}.jpg").write_bytes(b"x")
        (root / "pictures" / f"{i}.txt").write_text(caption)
    for name in (".hidden.csv", "_temporary/x.csv", "notes.md", "old/manifest.json", "old/texts.csv"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text('{"memaudit": 1}' if name.endswith("json") else "caption\nx\n")


def test_every_format_reads_as_on_a_disk(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "FAR_ROWS", 20)
    write_dataset(tmp_path / "set")
    s3.put_folder(tmp_path / "set", "deep/set")
    local, far = discover([str(tmp_path / "set")]), discover(["s3://bucket/deep/set/"])
    assert [s.path for s in far] == [s.path.replace(str(tmp_path), "s3://bucket/deep") for s in local]
    assert [(s.format, s.size) for s in far] == [(s.format, s.size) for s in local]
    assert {s.format for s in far} == {"parquet", "csv", "jsonl", "tar", "pictures"}
    for one, other in zip(local, far, strict=True):
        a, b = load_source(one), load_source(other)
        assert (a.rows, a.captions, a.ids, a.skipped) == (b.rows, b.captions, b.ids, b.skipped)
        if one.format != "pictures":  # their times differ
            assert a.images == b.images
            assert one.fingerprint() == other.fingerprint()


def test_patterns_and_folders(s3):
    names = ("d/a-1.csv", "d/a-2.csv", "d/b.csv", "d/deep/er/a-3.csv", "d/.x/a-4.csv", "d/_t.csv", "d/1.jpg", "d/1.txt")
    for name in names:
        s3.put(name, b"caption\nx\n")

    def paths(*data: str) -> list[str]:
        return [source.path.removeprefix("s3://bucket/") for source in discover(data)]

    assert paths("s3://bucket/d/a-*.csv") == ["d/a-1.csv", "d/a-2.csv"]
    assert paths("s3://bucket/d/**/a-[13].csv") == ["d/a-1.csv", "d/deep/er/a-3.csv"]
    assert paths("s3://bucket/*/deep/*") == ["d/deep/er/a-3.csv"]
    assert paths("s3://bucket/d/b.csv", "s3://bucket/d/?.csv") == ["d/b.csv"]
    assert paths("s3://bucket/d/_*.csv") == ["d/_t.csv"]
    everything = ["d", "d/a-1.csv", "d/a-2.csv", "d/b.csv", "d/deep/er/a-3.csv"]
    assert paths("s3://bucket") == paths("s3://bucket/d/**") == paths("s3://bucket/*") == everything
    s3.put("shards/0.parquet", b"x")
    s3.put("shards/0.tar", b"x")
    s3.put("shards/1.tar", b"x")
    assert paths("s3://bucket/shards") == ["shards/0.parquet", "shards/1.tar"]
    assert paths("s3://bucket/shards/0.tar") == ["shards/0.parquet"]


def test_a_scan_of_a_store_equals_that_of_the_same_files(s3, tmp_path, monkeypatch):
    write_dataset(tmp_path / "set")
    s3.put_folder(tmp_path / "set", "set")
    monkeypatch.chdir(tmp_path)
    config = ScanConfig(threads=1)
    here = scan(["set"], Path("here"), config).audit
    far = scan(["s3://bucket/set"], Path("far"), config).audit
    pictures = pl.col("file") == len(here.frame("files")) - 1  # whose references are their paths
    for name in ("texts", "clusters", "members", "templates", "triggers", "findings"):
        frames = [audit.frame(name) for audit in (here, far)]
        if name == "members":
            frames = [f.with_columns(image=pl.when(~pictures).then("image")) for f in frames]
            assert far.frame(name).filter(pictures)["domain"].null_count() == 5
        assert frames[0].equals(frames[1]), name
    assert far.frame("files")["path"].to_list() == [
        f"s3://bucket/{path}" for path in here.frame("files")["path"].to_list()
    ]
    for file in range(len(far.frame("files"))):
        rows, columns = np.arange(2, dtype=np.uint64), np.zeros(2, np.uint8)
        found = Originals(far).read(file, rows, columns)
        assert found.captions.equals(Originals(here).read(file, rows, columns).captions)
        assert found.captions.null_count() == 0
    top = str(far.frame("findings")["cluster_id"][0])
    shown = [finding(open_audit(folder), top)["members"]["shown"] for folder in ("here", "far")]
    assert [m["caption"] for m in shown[0]] == [m["caption"] for m in shown[1]]
    assert all(m["caption"] for m in shown[1])
    assert scan(["s3://bucket/set"], Path("far"), config).already_done
    written = b"".join(path.read_bytes() for path in Path("far").rglob("*") if path.is_file())
    assert SECRET.encode() not in written
    assert b"AKIAEXAMPLE" not in written
    s3.put("set/more/b.csv", b"caption\nother\n")
    with pytest.raises(UsageError):
        scan(["s3://bucket/set"], Path("far"), config)
    changed = far.frame("files")["path"].to_list().index("s3://bucket/set/more/b.csv")
    assert Originals(far).read(changed, rows, columns).captions.null_count() == 2


def test_requests_are_few(s3, tmp_path):
    """Of a parquet with 200 row groups: its footer, and all of its columns in some pieces."""
    n = 20_000
    table = pa.table({"caption": [f"c {i}" for i in range(n)], "id": range(n)})
    pq.write_table(table, tmp_path / "a", row_group_size=100)
    s3.put("a.parquet", (tmp_path / "a").read_bytes())
    (source,) = discover(["s3://bucket/a.parquet"])
    reader = open_source(source, ColumnChoice())
    s3.requests.clear()
    assert sum(len(batch) for batch in reader.batches()) == n
    assert 0 < s3.requests.total() <= 10


def test_a_store_that_falls_silent_stops_the_scan_which_goes_on_later(s3, tmp_path, monkeypatch):
    for i in range(3):
        s3.put(f"set/{i}.csv", b"caption\n" + b"".join(b"caption %d of %d\n" % (n, i) for n in range(50)))
    config, out = ScanConfig(threads=1), tmp_path / "audit"
    plain = remote.opened_remote

    def silent(url: str) -> pa.NativeFile:
        if url.endswith("2.csv") and fell_silent:
            raise OSError("AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 28, Timeout was reached")
        return plain(url)

    fell_silent = False
    reads = iter((False,) * 3 + (True,) * 100)  # fingerprints come first

    def opened(url: str) -> pa.NativeFile:
        nonlocal fell_silent
        fell_silent = next(reads)
        return silent(url)

    monkeypatch.setattr(remote, "opened_remote", opened)
    with pytest.raises(Unreachable) as caught:
        scan(["s3://bucket/set"], out, config)
    assert caught.value.lines()[0] == "error: cannot reach s3://"
    monkeypatch.setattr(remote, "opened_remote", plain)
    result = scan(["s3://bucket/set"], out, config)
    assert result.bad_files == []
    assert result.audit.manifest["totals"]["rows"] == 150


@pytest.mark.parametrize(
    ("argument", "what", "why", "hint"),
    [
        ("s3://bucket/gone.csv", "no such object: s3://bucket/gone.csv", "neither an object", "spelling"),
        ("s3://nobucket/*.csv", "no such bucket: s3://nobucket/*.csv", "does not know", "spelling"),
        ("s3://bucket/x/*.csv", "no such object: s3://bucket/x/*.csv", "does not know", "spelling"),
        ("s3://bucket/docs", "nothing readable in s3://bucket/docs", "known: .parquet", "name the folder"),
        ("s3://bucket/docs/*", "nothing readable matches s3://bucket/docs/*", "known: .parquet", "pattern"),
        ("s3://bucket/docs/*.csv", "no object matches s3://bucket/docs/*.csv", "known: .parquet", "pattern"),
        ("s3://bucket/docs/a.md", "s3://bucket/docs/a.md is of no known kind", "known: .parquet", "convert"),
        ("s3://bucket/docs/a.jpg", "s3://bucket/docs/a.jpg is of no known kind", "known: .parquet", "name the folder"),
        ("s3://", "s3:// names no bucket", "wanted", "s3://BUCKET"),
        ("s3://b*/a.csv", "s3://b*/a.csv names no bucket", "below a bucket", "s3://BUCKET/*"),
        ("s3://key:pass@bucket/a.csv", "s3:// URLs do not take credentials here", "kept in the audit", "AWS_ACCESS"),
        ("hf://owner/name", "hf://owner/name is no dataset", "owner and name", "hf://datasets/OWNER/NAME"),
    ],
)
def test_refusals(s3, argument, what, why, hint):
    s3.put("docs/a.md", b"x")
    s3.put("docs/a.jpg", b"x")
    with pytest.raises(MemauditError) as caught:
        discover([argument])
    assert caught.value.what == what
    assert why in caught.value.why
    assert hint in caught.value.hint
    assert "pass" not in "".join(caught.value.lines())


def test_damaged_and_vanished_objects(s3):
    for name in ("a.parquet", "a.csv", "a.jsonl", "a.tar"):
        s3.put(name, b"\0 damage \xff" * 100)
        (source,) = discover([f"s3://bucket/{name}"])
        with pytest.raises(BadInput) as caught:
            open_source(source, ColumnChoice())
        assert not isinstance(caught.value, Unreachable)
        with pytest.raises(BadInput, match="no such object"):
            open_source(Source(f"s3://bucket/gone-{name}", source.format, 1), ColumnChoice())


@pytest.mark.parametrize(
    ("status", "headers", "setting", "what", "why", "hint"),
    [
        (
            403,
            {},
            {},
            "cannot read s3://b/a.csv",
            "AWS_ACCESS_KEY_ID and AWS_PROFILE are not set",
            "AWS_NO_SIGN_REQUEST",
        ),
        (
            403,
            {},
            {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": SECRET},
            "cannot read",
            "asked with AWS_ACC",
            "AWS_",
        ),
        (403, {}, {"AWS_NO_SIGN_REQUEST": "YES"}, "cannot read", "asked without signature", "AWS_ACCESS_KEY_ID"),
        (301, {"x-amz-bucket-region": "eu-west-1"}, {}, "cannot read", "lies in eu-west-1", "AWS_REGION=eu-west-1"),
    ],
)
def test_no_access_and_wrong_region(s3, monkeypatch, status, headers, setting, what, why, hint):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    signed = []

    def respond(handler):
        signed.append("Authorization" in handler.headers)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with answering(respond) as place:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{place}")
        with pytest.raises(BadInput) as caught:
            discover(["s3://b/a.csv"])
    assert what in caught.value.what
    assert why in caught.value.why
    assert hint in caught.value.hint
    assert set(signed) == {"AWS_ACCESS_KEY_ID" in setting}
    assert SECRET not in "".join(caught.value.lines())


def test_no_network(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(remote, "ATTEMPTS", 1)  # the pauses between them take seconds
    with pytest.raises(Unreachable) as caught:
        discover(["s3://bucket/a.csv"])
    assert caught.value.why == "7, Could not connect to server"
    assert "AWS_ENDPOINT_URL" in caught.value.hint


@pytest.mark.parametrize("endpoint", ["http://user:pass@host", "ftp://host", "http://host/path", "http://"])
def test_endpoints_that_are_none(s3, monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(UsageError) as caught:
        discover(["s3://bucket/a.csv"])
    assert "pass" not in "".join(caught.value.lines())


def test_secrets_in_a_stores_words_are_blotted_out(s3):
    error = OSError(f"AWS Error UNKNOWN during X operation: odd header AKIAEXAMPLE {SECRET}")
    told = remote.told(error, "s3://bucket/a.csv")
    assert told.why == "odd header $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY"
