"""hf:// by a file system in memory, gs:// by a server that speaks as much of Google's as reading needs."""

from __future__ import annotations

import io
import json
import sys
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from memaudit.errors import MemauditError, Unreachable, UsageError
from memaudit.sources import ColumnChoice, discover, open_source, remote
from tests.sources.conftest import load_source
from tests.sources.stores import answering

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("huggingface_hub")


def parquet(captions: list[str]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"caption": captions}), out, row_group_size=2)
    return out.getvalue()


@pytest.fixture
def hub(monkeypatch):
    """A hub of one dataset in two revisions."""
    from memaudit.sources import hub as module

    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    memory.store, memory.pseudo_dirs = {}, [""]
    memory.root_marker = ""
    for place, captions in (("datasets/me/set", ["a", "b", "c"]), ("datasets/me/set@v1", ["old"])):
        memory.pipe(f"{place}/data/train-0.parquet", parquet(captions))
        memory.pipe(f"{place}/data/test.csv", b"caption\nx\n")
        memory.pipe(f"{place}/README.md", b"x")
    monkeypatch.setattr(module, "HfFileSystem", lambda: memory)
    remote._connected.cache_clear()
    yield memory
    remote._connected.cache_clear()


def test_datasets_of_the_hub(hub):
    found = discover(["hf://datasets/me/set"])
    assert [s.path for s in found] == [
        "hf://datasets/me/set/data/test.csv",
        "hf://datasets/me/set/data/train-0.parquet",
    ]
    assert [load_source(source).captions for source in found] == [[b"x"], [b"a", b"b", b"c"]]
    assert len({source.fingerprint() for source in found}) == 2
    (old,) = discover(["hf://datasets/me/set@v1/**/*.parquet"])
    assert load_source(old).captions == [b"old"]
    assert discover(["hf://datasets/me/set/data/train-*.parquet"]) == found[1:]


@pytest.mark.parametrize(
    ("error", "kind", "what", "hint"),
    [
        (RuntimeError("boom"), MemauditError, "cannot read hf://datasets/me/set", "address"),
        (ConnectionError("no route"), Unreachable, "cannot reach hf://", "HF_ENDPOINT"),
        (PermissionError("gated"), MemauditError, "cannot read", "HF_TOKEN"),
        (OSError("401 Client Error. GatedRepoError"), MemauditError, "cannot read", "HF_TOKEN"),
        (OSError("RepositoryNotFoundError: 404"), MemauditError, "no such repository", "spelling"),
    ],
)
def test_what_the_hub_says(hub, monkeypatch, error, kind, what, hint):
    def info(path: str) -> None:
        raise error

    monkeypatch.setattr(hub, "info", info)
    with pytest.raises(kind) as caught:
        discover(["hf://datasets/me/set"])
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_a_read_that_fails_on_the_way(hub, monkeypatch):
    (source,) = discover(["hf://datasets/me/set/data/test.csv"])
    plain = hub.open

    class ConnectTimeout(Exception):  # as httpx's: no OSError
        pass

    def fail(*args: object) -> bytes:
        raise ConnectTimeout("Connection timed out")

    def opened(*args: object, **options: object) -> object:
        file = plain(*args, **options)
        file.read = fail
        return file

    monkeypatch.setattr(hub, "open", opened)
    with pytest.raises(Unreachable):
        open_source(source, ColumnChoice())


def test_without_the_extra(monkeypatch):
    remote._connected.cache_clear()
    monkeypatch.delitem(sys.modules, "memaudit.sources.hub", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError) as caught:
        discover(["hf://datasets/me/set"])
    assert caught.value.lines() == [
        "error: hf:// needs huggingface_hub",
        "  it is not installed",
        "  try: pip install 'memaudit-captions[hf]'",
    ]


@pytest.fixture
def gcs(monkeypatch):
    """Objects by name, served under Google's paths."""
    objects: dict[str, bytes] = {}

    def respond(handler) -> None:
        url = urlsplit(handler.path)
        asked, name = parse_qs(url.query), unquote(url.path.partition("/o/")[2] or url.path.partition("/bucket/")[2])
        if url.path.endswith("/o"):
            prefix = asked.get("prefix", [""])[0]
            content = json.dumps({"items": [facts(n) for n in sorted(objects) if n.startswith(prefix)]}).encode()
        elif name not in objects:
            handler.send_error(404)
            return
        elif "/o/" in url.path and asked.get("alt") != ["media"]:
            content = json.dumps(facts(name)).encode()
        else:
            content = objects[name]
        whole, status = len(content), 200
        if given := handler.headers.get("Range"):
            first, _, last = given.removeprefix("bytes=").partition("-")
            content, status = content[int(first) : int(last) + 1 if last else None], 206
        handler.send_response(status)
        if given:
            handler.send_header("Content-Range", f"bytes {first}-{int(first) + len(content) - 1}/{whole}")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(content)

    def facts(name: str) -> dict[str, str]:
        size = str(len(objects[name]))
        return {"kind": "storage#object", "bucket": "bucket", "name": name, "size": size, "generation": "1"}

    with answering(respond) as place:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{place}")
        remote._connected.cache_clear()
        yield objects
    remote._connected.cache_clear()


@pytest.mark.skipif(not hasattr(pafs, "GcsFileSystem"), reason="this pyarrow has no GCS")
def test_google_cloud_storage(gcs):
    gcs["set/a.csv"] = b"caption\nx\ny\n"
    gcs["set/deep/b.parquet"] = parquet(["p", "q", "r"])
    gcs["set/notes.md"] = b"x"
    found = discover(["gs://bucket/set"])
    assert [s.path for s in found] == ["gs://bucket/set/a.csv", "gs://bucket/set/deep/b.parquet"]
    assert [load_source(source).captions for source in found] == [[b"x", b"y"], [b"p", b"q", b"r"]]
    assert found[0].size == 12
    assert len(found[1].fingerprint()) == 16
    assert discover(["gs://bucket/set/*.csv"]) == found[:1]
