"""The forecast: counts that can be checked are right, estimates are near, nothing is written, errors are clear."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from memaudit.cli import main
from memaudit.config import ScanConfig
from memaudit.errors import BadInput
from memaudit.forecast import forecast, sample
from memaudit.forecast.costs import COSTS, predict
from memaudit.forecast.growth import repetition, share_new
from memaudit.report.outlook import render
from tests.bench.generate import generate

if TYPE_CHECKING:
    from click.testing import Result

CAPTIONS = [f"{n % 60} red tables and {n % 7} chairs" for n in range(200)]
DISTINCT = len(set(CAPTIONS))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"uid": range(200), "caption": CAPTIONS}).write_parquet("data.parquet")
    return Path("data.parquet")


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["scan", *args, "--dry-run"])


# Growth


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 500))
def test_repetition_stays_within_its_bounds(keys: list[int], more: int) -> None:
    found = repetition(np.array(keys, np.uint64), len(keys) + more)
    assert 0 <= found.at_least <= 1
    assert len(set(keys)) <= found.texts <= len(set(keys)) + more
    assert found.exact == (more == 0)
    if found.exact:
        assert found.estimate == found.at_least == 1 - len(set(keys)) / len(keys)


def test_nothing_sampled() -> None:
    assert repetition(np.empty(0, np.uint64), 0).texts == 0


def test_share_new_is_what_thinning_the_sample_shows() -> None:
    rng = np.random.default_rng(0)
    keys = rng.zipf(1.5, 4_000)
    counts = np.unique(keys, return_counts=True)[1]
    assert share_new(counts, 4_000, 4_000) == np.mean(counts == 1) * len(counts) / 4_000  # Good and Turing
    shuffled = [rng.permutation(keys) for _ in range(300)]
    assert share_new(counts, 4_000, 500) == pytest.approx(
        np.mean([len(np.unique(s[:501])) - len(np.unique(s[:500])) for s in shuffled]), abs=0.06
    )


@pytest.mark.parametrize("shape", [0.5, 0.9, 1.3])
def test_power_laws_are_continued(shape: float) -> None:
    keys = (np.random.default_rng(1).pareto(shape, 400_000) * 1_000).astype(np.uint64)
    drawn = np.random.default_rng(2).choice(keys, 20_000, replace=False)
    found, truth = repetition(drawn, len(keys)), 1 - len(np.unique(keys)) / len(keys)
    assert found.at_least < truth
    assert found.estimate == pytest.approx(truth, abs=0.02)


def test_all_different_and_all_equal() -> None:
    assert repetition(np.arange(1_000, dtype=np.uint64), 10**6).estimate == pytest.approx(0, abs=1e-9)
    assert repetition(np.zeros(1_000, np.uint64), 10**6).texts == 1


# Sampling


def told(*paths: str | Path, **settings: Any) -> dict[str, Any]:
    return forecast([str(path) for path in paths], ScanConfig(**settings))


def test_small_input_is_read_whole(data: Path) -> None:
    found = told(data)
    assert (found["rows"], found["captions"], found["texts"]) == (200, 200, DISTINCT)
    assert found["rows_known"]
    assert found["repetition"] == {"at_least": 1 - DISTINCT / 200, "estimate": 1 - DISTINCT / 200, "exact": True}


def test_every_format_is_counted(data: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(data)
    frame.write_csv("data.csv")
    frame.write_ndjson("data.jsonl")
    Path("data.csv.gz").write_bytes(gzip.compress(Path("data.csv").read_bytes()))
    Path("pictures").mkdir()
    for i, caption in enumerate(CAPTIONS):
        Path(f"pictures/{i}.txt").write_text(caption)
        Path(f"pictures/{i}.jpg").write_bytes(b"")
    for path in ("data.csv", "data.jsonl", "data.csv.gz", "pictures"):
        found = told(path)
        assert (found["rows"], found["texts"], found["sample"]["whole"]) == (200, DISTINCT, True), path
    assert told("data.csv", "data.jsonl", "data.parquet")["rows"] == 600


def test_empty_and_null_captions_count_as_rows_only(tmp_path: Path) -> None:
    pl.DataFrame({"caption": ["a cat", None, "", "a dog", "a cat"]}).write_parquet(tmp_path / "a.parquet")
    found = told(tmp_path / "a.parquet")
    assert (found["rows"], found["captions"], found["texts"]) == (5, 3, 2)


def test_several_caption_columns(tmp_path: Path) -> None:
    pl.DataFrame({"one": ["a cat", "a dog"], "two": ["a cat", None]}).write_parquet(tmp_path / "a.parquet")
    found = told(tmp_path / "a.parquet", columns=("one", "two"))
    assert (found["rows"], found["captions"], found["texts"]) == (2, 3, 2)


@pytest.mark.parametrize("rows", [100, 10**6])
def test_failed_downloads_are_rows_but_no_captions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(sample, "ROWS", rows)
    status = ["success", "failed_to_download"] * 1_000
    frame = pl.DataFrame({"key": range(2_000), "caption": [f"cat {i}" for i in range(2_000)], "status": status})
    frame.write_parquet(tmp_path / "00000.parquet")
    found = told(tmp_path)
    assert (found["rows"], found["captions"]) == (2_000, 1_000)


@pytest.mark.parametrize("decoded", [10**9, 5_000])
def test_a_sample_of_generated_captions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: int) -> None:
    monkeypatch.setattr(sample, "ROWS", 4_000)
    monkeypatch.setattr(sample, "DECODED", decoded)
    generate(tmp_path / "a.parquet", 40_000)
    truth = 1 - pl.read_parquet(tmp_path / "a.parquet")["caption"].str.to_lowercase().n_unique() / 40_000
    found = told(tmp_path / "a.parquet")
    assert found["rows"] == 40_000
    assert 4_000 <= found["sample"]["captions"] <= 4_100
    assert found["repetition"]["at_least"] < truth
    assert found["repetition"]["estimate"] == pytest.approx(truth, abs=0.1)
    assert told(tmp_path / "a.parquet")["texts"] == found["texts"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "csv.gz"])
def test_rows_of_text_are_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(sample, "ROWS", 1_000)
    monkeypatch.setattr(sample, "HEAD", 1 << 19)
    generate(tmp_path / "a.parquet", 30_000)
    frame, path = pl.read_parquet(tmp_path / "a.parquet"), tmp_path / f"b.{suffix}"
    text = frame.write_ndjson() if suffix == "jsonl" else frame.write_csv()
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    found = told(path)
    assert not found["rows_known"]
    assert found["sample"]["heads"]
    assert found["rows"] == pytest.approx(
        30_000, rel=0.3 if suffix.endswith("gz") else 0.1
    )  # Arrow reads 64 kB of it at once


def test_many_files_are_looked_at_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "FILES", 10)
    for i in range(50):
        pl.DataFrame({"caption": CAPTIONS[:20]}).write_parquet(tmp_path / f"{i:02d}.parquet")
    found = told(tmp_path)
    assert (found["files"], found["rows"], found["rows_known"]) == (50, 1_000, False)
    assert found["captions"] == 1_000


# Costs


def test_costs_grow_with_the_data_and_shrink_with_cores(data: Path) -> None:
    drawn = sample.draw(sample_sources(data), sample_choice())
    drawn.lex_seconds = 1e-4
    few, one = predict(drawn, 100, 4, 8 << 30), predict(drawn, 100, 1, 8 << 30)
    drawn.captions *= 1000
    many = predict(drawn, 100_000, 4, 8 << 30)
    for name in COSTS:
        assert few.seconds[name] <= one.seconds[name]
        assert many.seconds[name] >= 999 * few.seconds[name]
    assert many.work > few.work
    assert many.audit > few.audit


def test_the_budget_bounds_the_memory(data: Path) -> None:
    drawn = sample.draw(sample_sources(data), sample_choice())
    assert predict(drawn, 10**10, 2, 4 << 30).memory <= 4 << 30


def sample_sources(data: Path) -> list[Any]:
    from memaudit.sources import discover

    return discover([str(data)])


def sample_choice() -> Any:
    from memaudit.sources import ColumnChoice

    return ColumnChoice()


# The command


def test_a_forecast_writes_nothing(data: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = run(str(data))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "200 rows" in result.stdout
    assert "cannot be estimated from a sample" in result.stdout
    assert "free there" not in result.stdout
    assert "free there" in run(str(data), "-o", "new/audit").stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_an_audit_folder_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("x")
    assert run(str(data), "-o", "mine").exit_code == 0


def test_errors(data: Path) -> None:
    assert run("nowhere").exit_code == 3
    pl.DataFrame({"x": [1.5]}).write_parquet("other.parquet")
    refused = run("other.parquet")
    assert refused.exit_code == 3
    assert len(refused.stderr.rstrip().splitlines()) == 3
    partly = run("other.parquet", str(data))
    assert partly.exit_code == 4
    assert "not read: " in partly.stdout
    with pytest.raises(BadInput):
        told("other.parquet")


def test_without_an_output_folder_only_a_forecast_works(data: Path) -> None:
    result = CliRunner().invoke(main, ["scan", str(data)])
    assert result.exit_code == 2
    assert "--dry-run" in result.stderr


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_fit_and_captions_of_paths_are_escaped(data: Path, width: int) -> None:
    found = told(data) | {"data": ["a\x1b[31mb" * 20], "free": 10, "rows_known": False}
    found["sample"]["heads"] = True
    found["repetition"]["exact"] = False
    text = render(found, width)
    assert max(map(len, text.splitlines())) <= min(width, 100)
    assert "\x1b" not in text
    assert "Not enough space" in " ".join(text.split())
    assert "\x1b[1m" in render(found, width, color=True)
