"""hf:// by a file system in memory; of gs:// the settings and the words, as nothing here serves it."""

from __future__ import annotations

import io
import sys

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from memaudit.errors import BadInput, MemauditError, Unreachable, UsageError
from memaudit.sources import ColumnChoice, discover, open_source, remote
from tests.sources.conftest import load_source

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


@pytest.mark.parametrize("setting", ["GS_NO_SIGN_REQUEST", "STORAGE_EMULATOR_HOST"])
def test_what_google_cloud_storage_is_reached_with(monkeypatch, setting):
    made = []
    monkeypatch.setattr(pafs, "GcsFileSystem", lambda **options: made.append(options))
    for name in remote.SETTINGS["gs"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(setting, "http://localhost:4443" if "HOST" in setting else "YES")
    remote._connected.cache_clear()
    assert remote.filesystem("gs://bucket/a/b.csv")[1] == "bucket/a/b.csv"
    remote._connected.cache_clear()
    place = {"scheme": "http", "endpoint_override": "localhost:4443"} if "HOST" in setting else {}
    assert made == [{"anonymous": True, "retry_time_limit": remote.GCS_PATIENCE, **place}]


@pytest.mark.parametrize(
    ("words", "kind", "hint"),
    [
        (
            "google::cloud::Status(UNAVAILABLE: with a last message of CURL error [7])",
            Unreachable,
            "network",
        ),
        ("google::cloud::Status(PERMISSION_DENIED: does not have storage.objects.get access)", BadInput, "gcloud auth"),
        ("google::cloud::Status(UNAVAILABLE: Could not create a OAuth2 access token)", BadInput, "GS_NO_SIGN_REQUEST"),
        ("google::cloud::Status(NOT_FOUND: The specified bucket does not exist.)", BadInput, "address"),
    ],
)
def test_what_google_cloud_storage_says(words, kind, hint):
    told = remote.told(OSError(words), "gs://bucket/a.csv")
    assert type(told) is kind
    assert hint in told.hint
