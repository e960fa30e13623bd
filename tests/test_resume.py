"""A scan that is cut off, at whatever moment and by whatever, goes on and ends with the bytes of an undisturbed one."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import memaudit.audit
import memaudit.ingest
import memaudit.reading
import memaudit.sources.jsonl
import memaudit.sources.parquet
import memaudit.sources.separated
import memaudit.store
from memaudit.audit import scan
from memaudit.config import ScanConfig
from memaudit.errors import BadInput, NoSpace, UsageError
from memaudit.ingest import ingest
from memaudit.scratch import Column
from memaudit.sources import ColumnChoice, discover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COLOURS = "crimson teal ochre ivory cobalt umber saffron jade mauve russet".split()


def captions(rng: np.random.Generator, n: int) -> list[str | None]:
    """Repetition of all kinds, and nothing now and then."""
    noise = [" ".join(f"noise{rng.integers(9000)}" for _ in range(int(rng.integers(2, 11)))) for _ in range(n)]
    family = [f"Harbour Mills {c} shower curtain {i}x200" for c in COLOURS for i in range(180, 200)]
    near = [text + " extra" for text in noise[: n // 9]]
    texts: list[str | None] = [*noise, *near, *family, *["a quiet morning"] * (n // 20), *noise[: n // 4], None, "..."]
    return [texts[i] for i in rng.permutation(len(texts))]


def write_data(folder: Path, n: int) -> Path:
    """Files of all formats; ids and urls in some of them; one that breaks off, one that is none."""
    folder.mkdir()
    rng = np.random.default_rng(3)

    def frame(**more: Callable[[int], Any]) -> pl.DataFrame:
        texts = captions(rng, n)
        columns = {name: make(len(texts)) for name, make in more.items()}
        return pl.DataFrame({"caption": texts, "times": rng.random(len(texts)), **columns})

    plain = frame()
    plain.write_parquet(folder / "a.parquet", row_group_size=n // 3)
    frame(url=lambda k: [f"http://s{i % 7}.org/{i % 99}" for i in range(k)]).write_csv(folder / "b.csv")
    frame(uid=lambda k: [f"u{i}" if i % 5 else None for i in range(k)]).write_ndjson(folder / "c.jsonl")
    every = frame(uid=range, md5=lambda k: [str(i % 50) for i in range(k)])
    every.write_parquet(folder / "d.parquet", row_group_size=n // 2)
    plain.write_parquet(folder / "e.parquet")
    whole = (folder / "e.parquet").read_bytes()
    (folder / "e.parquet").write_bytes(whole[:-9])
    (folder / "f.csv").write_text("caption,times\n" + "red fox in snow,7\n" * 50 + '"never closed,8\n' * 3)
    return folder


SMALL: list[tuple[Any, str, Any]] = [
    (memaudit.ingest, "CHECKPOINT_ROWS", 900),
    (memaudit.reading, "BUNDLE", 250),
    (memaudit.sources.parquet, "BATCH_ROWS", 300),
    (memaudit.sources.parquet, "SPAN_ROWS", 500),
    (memaudit.sources.jsonl, "BLOCK", 20_000),
    (memaudit.sources.separated, "BLOCKS", (20_000, 1 << 20)),
]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of some hundred captions, and a checkpoint every few batches."""
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("resume") / "data", 1200)


SETTINGS = ScanConfig(weight_columns=("times",), threads=2)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def audit_content(folder: Path) -> dict[str, Any]:
    """All of an audit but the seconds it took."""
    assert not (folder / "work").exists()
    files: dict[str, Any] = content(folder)
    manifest = json.loads(files.pop("manifest.json"))
    for entry in (manifest, *manifest["stages"].values()):
        entry.pop("seconds")
    return files | {"manifest": manifest}


def assert_goes_on(data: Path, tmp_path: Path) -> None:
    """The scan in tmp_path / "audit" ends as an undisturbed one does."""
    resumed, fresh = (scan([str(data)], tmp_path / name, SETTINGS).audit.folder for name in ("audit", "fresh"))
    assert audit_content(resumed) == audit_content(fresh)


class Cut(BaseException):
    """Stands for a process that dies: nothing is tidied up by code that handles errors."""


def read_all(data: Path, work: Path, threads: int = 2) -> dict[str, Any]:
    work.mkdir(exist_ok=True)
    tally = ingest(discover([str(data)]), ColumnChoice(weights=("times",)), work, threads, lambda _: None)
    files: dict[str, Any] = content(work)
    return files | {"tally": tally.frame().to_dict(as_series=False), "columns": tally.columns()}


def events(data: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many times an undisturbed read takes something."""
    taken, take = [], memaudit.ingest._Reading.take
    with monkeypatch.context() as patch:
        patch.setattr(memaudit.ingest._Reading, "take", lambda self, event: (taken.append(event), take(self, event)))
        read_all(data, work)
    return len(taken)


def test_a_read_that_is_cut_goes_on_from_its_last_checkpoint(
    data: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = events(data, tmp_path / "whole", monkeypatch)
    assert n > 20
    want = read_all(data, tmp_path / "again", threads=1)
    assert {**want, "read.json": b""} == {**read_all(data, tmp_path / "whole"), "read.json": b""}
    take, rng, taken = memaudit.ingest._Reading.take, np.random.default_rng(1), 0
    for run in range(12):
        work = tmp_path / f"cut{run}"
        for _ in range(3):
            taken, last = 0, int(rng.integers(1, n))

            def cut(self: Any, *event: Any, last: int = last) -> None:
                nonlocal taken
                taken += 1
                take(self, *event)
                if taken == last:
                    raise Cut

            with monkeypatch.context() as patch, contextlib.suppress(Cut):
                patch.setattr(memaudit.ingest._Reading, "take", cut)
                read_all(data, work)
        got = read_all(data, work)
        assert got.keys() == want.keys()
        for name, value in want.items():
            assert got[name] == value, (run, name)


def test_columns_that_are_shorter_than_noted_are_not_trusted(data: Path, tmp_path: Path, small: None) -> None:
    want = read_all(data, tmp_path / "work")
    tokens = tmp_path / "work" / "tokens"
    tokens.write_bytes(tokens.read_bytes()[:-4])
    assert read_all(data, tmp_path / "work") == want


RUN = """
import os, signal, sys, threading
import memaudit.audit, memaudit.cli, memaudit.reading, memaudit.report
{patches}
print("ready", file=sys.stderr, flush=True)
memaudit.cli.main(["--quiet", "scan", sys.argv[1], "-o", sys.argv[2], *sys.argv[3:]])
"""


def started(data: Path, out: Path, more: str = "", *options: str) -> subprocess.Popen[str]:
    """A scan in a process of its own that has loaded its libraries."""
    patches = "\n".join([*(f"{m.__name__}.{name} = {value!r}" for m, name, value in SMALL), more])
    command = [sys.executable, "-c", RUN.format(patches=patches), str(data), str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_killed_at_thirty_random_moments(tmp_path: Path) -> None:
    data, rng = write_data(tmp_path / "data", 6000), np.random.default_rng(11)
    started(data, tmp_path / "fresh").communicate()  # compiles what is not compiled yet
    want = audit_content(tmp_path / "fresh")
    with started(data, tmp_path / "timed") as process:
        begun = time.monotonic()
        process.communicate()
        life = time.monotonic() - begun
    out, kills = tmp_path / "audit", 0
    while kills < 30:
        with started(data, out) as process:
            try:
                process.wait(timeout=float(rng.uniform(0, life)))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
                continue
        assert audit_content(out) == want
        shutil.rmtree(out)
    started(data, out).communicate()
    assert audit_content(out) == want


INTERRUPTED = """
take = memaudit.ingest._Reading.take
taken = 0
def interrupted(self, *event):
    global taken
    taken += 1
    if taken == 13:
        os.kill(os.getpid(), signal.{signal})
    take(self, *event)
memaudit.ingest._Reading.take = interrupted
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_keeps_what_is_read_and_says_how_to_go_on(name: str, data: Path, tmp_path: Path) -> None:
    process = started(data, tmp_path / "audit", INTERRUPTED.format(signal=name), "--threads", "2")
    _, err = process.communicate()
    assert process.returncode == 130
    assert f"scan {data} -o {tmp_path / 'audit'} --threads 2" in err
    assert "Traceback" not in err
    assert json.loads((tmp_path / "audit" / "work" / "read.json").read_text())["tally"]["captions"] > 0
    for out in ("audit", "fresh"):
        assert started(data, tmp_path / out, "", "--threads", "2").wait() == 4  # two files cannot be read
    assert audit_content(tmp_path / "audit") == audit_content(tmp_path / "fresh")


STUCK = """
from concurrent.futures import ThreadPoolExecutor
def stuck(*_):
    with ThreadPoolExecutor(1) as pool:
        try:
            waiting = pool.submit(threading.Event().wait)
            print("stuck", file=sys.stderr, flush=True)
            waiting.result()
        except KeyboardInterrupt:
            print("asked once", file=sys.stderr, flush=True)
            raise
memaudit.audit._near = stuck
"""


def test_a_second_interrupt_ends_at_once(data: Path, tmp_path: Path) -> None:
    with started(data, tmp_path / "audit", STUCK) as process:
        assert process.stderr is not None
        for line in ("stuck\n", "asked once\n"):
            assert process.stderr.readline() == line
            process.send_signal(signal.SIGINT)
        assert process.wait() == 130


@contextlib.contextmanager
def cut_while_reading(monkeypatch: pytest.MonkeyPatch, at: int = 15) -> Iterator[None]:
    take, taken = memaudit.ingest._Reading.take, 0

    def cut(self: Any, *event: Any) -> None:
        nonlocal taken
        taken += 1
        if taken == at:
            raise Cut
        take(self, *event)

    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(memaudit.ingest._Reading, "take", cut)
        yield


def test_an_input_that_changes_while_a_scan_is_interrupted_is_refused(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_data(tmp_path / "data", 900)
    with cut_while_reading(monkeypatch):
        scan([str(data)], tmp_path / "audit", SETTINGS)
    kept = (data / "d.parquet").read_bytes()
    pl.DataFrame({"caption": ["something else"] * 9}).write_parquet(data / "d.parquet")
    with pytest.raises(UsageError, match="another input"):
        scan([str(data)], tmp_path / "audit", SETTINGS)
    (data / "d.parquet").write_bytes(kept)  # as it was: the time of its change does not count
    with pytest.raises(UsageError, match="another configuration"):
        scan([str(data)], tmp_path / "audit", ScanConfig(threshold=0.9))
    assert_goes_on(data, tmp_path)


def test_an_input_that_changes_while_it_is_read_is_noticed(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_data(tmp_path / "data", 900)
    refuse = memaudit.audit._refuse_nothing

    def changing(*arguments: Any) -> None:
        (data / "b.csv").open("a").write("one more,\n")
        refuse(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(memaudit.audit, "_refuse_nothing", changing)
        with pytest.raises(BadInput, match="changed while"):
            scan([str(data)], tmp_path / "audit", SETTINGS)
    assert_goes_on(data, tmp_path)  # reads everything anew


FULL: dict[str, tuple[Any, str, Callable[..., Exception]]] = {
    "columns": (Column, "flush", lambda: OSError(errno.ENOSPC, "No space left on device")),
    "texts": (pq.ParquetWriter, "write_table", lambda: OSError("[Errno 28] Error writing bytes to file")),
    "frames": (pl.DataFrame, "write_parquet", lambda: pl.exceptions.ComputeError("No space left on device")),
    "arrays": (np, "savez", lambda: OSError("1000 requested and 12 written: no space left on device")),
    "manifest": (memaudit.store, "write_atomically", lambda: OSError(errno.EDQUOT, "Disk quota exceeded")),
}


@pytest.mark.parametrize("place", FULL)
@pytest.mark.parametrize("calls", [0, 1])
def test_a_full_disk_is_said_clearly_and_leaves_what_can_go_on(
    place: str, calls: int, data: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, error = FULL[place]
    original, called = getattr(owner, name), 0

    def full(*arguments: Any, **more: Any) -> Any:
        nonlocal called
        called += 1
        if called <= calls:
            return original(*arguments, **more)
        with memaudit.store.no_space_is_clear(tmp_path):
            raise error()

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        with pytest.raises(NoSpace) as raised:
            scan([str(data)], tmp_path / "audit", SETTINGS)
    assert raised.value.exit_code == 4
    assert len(raised.value.lines()) == 3
    assert_goes_on(data, tmp_path)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_kill_while_an_audit_is_begun_or_ended(
    fresh: bool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders, renames and removals are the moments at which an audit changes its state."""
    want = audit_content(scan([str(data)], tmp_path / "want", SETTINGS).audit.folder)

    steps, last = 0, -1

    def counting(patch: pytest.MonkeyPatch) -> None:
        for owner, name in ((Path, "mkdir"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            original = getattr(owner, name)

            def step(*arguments: Any, original: Any = original, **more: Any) -> Any:
                nonlocal steps
                if steps == last:
                    raise Cut
                steps += 1
                return original(*arguments, **more)

            patch.setattr(owner, name, step)

    def begun(out: Path) -> None:
        if fresh:  # over an audit of another configuration
            shutil.copytree(old, out)

    old = scan([str(data)], tmp_path / "old", ScanConfig(threshold=0.9)).audit.folder
    begun(tmp_path / "counted")
    with monkeypatch.context() as patch:
        counting(patch)
        scan([str(data)], tmp_path / "counted", SETTINGS, fresh=fresh)
    moments = sorted({*range(14), *range(steps - 8, steps), *range(0, steps, 9)})
    for last in moments:
        out, steps = tmp_path / f"audit{last}", 0
        begun(out)
        with monkeypatch.context() as patch, pytest.raises(Cut):
            counting(patch)
            scan([str(data)], out, SETTINGS, fresh=fresh)
        assert audit_content(scan([str(data)], out, SETTINGS, fresh=fresh).audit.folder) == want, last


def test_columns_that_are_gone_are_read_again_whatever_the_manifest_says(
    data: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(memaudit.audit, "_rank", lambda *_: (_ for _ in ()).throw(Cut))
        scan([str(data)], tmp_path / "audit", SETTINGS)
    (tmp_path / "audit" / "work" / "words").unlink()
    with cut_while_reading(monkeypatch):
        scan([str(data)], tmp_path / "audit", SETTINGS)
    assert_goes_on(data, tmp_path)
