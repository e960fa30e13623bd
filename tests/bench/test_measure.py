"""Timing of child processes, tables, and the generated parts of pages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench.machine import machine, today, versions
from tests.bench.measure import disk_used, finished_stages, measure
from tests.bench.table import megabytes, put_between, rate, seconds, table, times


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_memory_is_the_childs_own_and_not_that_of_this_process() -> None:
    held = bytearray(300 << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    small = measure(python("pass")).peak
    large = measure(python("x = b'x' * (200 << 20)")).peak
    assert small < 100
    assert 200 < large < 300


def test_cpu_and_output_of_children_of_the_child() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**7))']); print('{\"a\": 1}')"
    found = measure(python(code))
    assert found.cpu > 0.05
    assert found.seconds > 0
    assert found.said() == {"a": 1}
    assert measure(python("print('no')")).said() == {}


def test_failures() -> None:
    with pytest.raises(RuntimeError, match="exit code 3"):
        measure(python("raise SystemExit(3)"))
    found = measure(python("import sys; sys.exit('what went wrong')"), check=False)
    assert (found.code, found.errors.strip()) == (1, "what went wrong")
    assert measure(python("import os; os.kill(os.getpid(), 9)"), check=False).code == -9


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_watched_folder(tmp_path: Path) -> None:
    code = f"""
import json, pathlib, time
folder = pathlib.Path({str(tmp_path)!r})
(folder / "work").mkdir()
(folder / "work" / "spill").write_bytes(b"x" * 10_000_000)
time.sleep(1)
(folder / "work" / "spill").unlink()
(folder / "manifest.json").write_text(json.dumps({{"stages": {{"read": {{}}}}}}))
time.sleep(1)
(folder / "manifest.json").write_text(json.dumps({{"stages": {{"read": {{}}, "near": {{}}}}}}))
"""
    found = measure(python(code), watch=tmp_path)
    assert 10 <= found.disk < 20
    assert list(found.stages) == ["read", "near"]
    assert all(stage["seconds"] > 0 and stage["peak"] > 1 for stage in found.stages.values())
    assert sum(stage["cpu"] for stage in found.stages.values()) == pytest.approx(found.cpu)


def test_stages_of_an_unreadable_manifest(tmp_path: Path) -> None:
    assert finished_stages(tmp_path) == []
    (tmp_path / "manifest.json").write_text('{"stages": {"read"')
    assert finished_stages(tmp_path) == []


def test_holes_take_no_disk(tmp_path: Path) -> None:
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(100 << 20)
    assert disk_used(tmp_path) < 1 << 20
    assert disk_used(tmp_path / "missing") == 0


def test_table() -> None:
    assert table(("a", "b"), [["1", "x|y"]]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |"
    with pytest.raises(ValueError, match="cells"):
        table(("a", "b"), [["1"]])


def test_numbers() -> None:
    assert [seconds(v) for v in (0.123, 6.64, 42.2, 120, 1200)] == ["0.12 s", "6.6 s", "42.2 s", "120 s", "20 min"]
    assert [megabytes(v) for v in (640.4, 1520, 2.3e6)] == ["640 MB", "1.52 GB", "2.30 TB"]
    assert [rate(v) for v in (0, 98.7, 151_234, 1_234_567)] == ["–", "99", "151,000", "1,230,000"]
    assert [times(v) for v in (0.5, 3.24, 412)] == ["0.50 x", "3.2 x", "412 x"]


def test_the_prose_around_a_generated_part_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x -->\nold\n<!-- /x -->\nafter\n")
    for new in ("new \\1", "newer"):
        put_between(page, "x", new)
        assert page.read_text() == f"before\n<!-- x -->\n\n{new}\n\n<!-- /x -->\nafter\n"
    with pytest.raises(ValueError, match="one pair"):
        put_between(page, "y", "text")


def test_the_machine_is_described_without_its_name() -> None:
    import platform

    text = machine()
    assert "cores" in text
    assert "GiB" in text
    assert platform.node() not in text or len(platform.node()) < 3
    assert today().count("-") == 2


def test_versions_here_and_of_another_interpreter() -> None:
    assert set(versions(("numpy", "no-such-thing"))) == {"numpy"}
    same = f"{Path(sys.executable).parent}/./{Path(sys.executable).name}"  # asked as a process of its own
    assert versions(("numpy", "no-such-thing"), same) == versions(("numpy",))
