"""The benchmarks run, at a small size: nobody notices else when they rot. Peers only where they are installed."""

from __future__ import annotations

import dataclasses
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from memaudit.forecast.costs import Cost
from tests.bench import bad_inputs, bench, page, quality, scaling
from tests.bench.cases import Case, Result, captions_file, run_in_turn, scan, script
from tests.bench.near_recall import brute_force_pairs
from tests.bench.peers.words import read_captions, word_lists

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
FIRST_USE = "memaudit scan, 20,000, with empty caches"
CAPTIONS = [
    "a red oak side table with two drawers and brass handles",
    "a red oak side table with two drawers and brass knobs",
    "a small boat on the lake at dawn near the village",
    "a small boat on the lake at dawn near the old village",
    "nothing like the others",
    "A red OAK side table with two drawers and brass handles!",
]


@pytest.fixture(scope="module")
def truth() -> quality.Truth:
    return quality.truth_of(CAPTIONS)


# Quality


def test_truth_counts_texts_that_differ_in_words(truth: quality.Truth) -> None:
    assert truth.captions.to_list() == CAPTIONS[:5]
    assert truth.pairs.tolist() == [[0, 1], [2, 3]]


def test_scores(truth: quality.Truth) -> None:
    pairs = quality.score_pairs("x", np.array([[1, 0], [0, 1], [0, 4]]), truth)
    assert (pairs.recall, pairs.precision) == (0.5, 0.5)
    assert quality.score_pairs("x", np.empty((0, 2), np.int64), truth).precision is None
    flags = quality.score_flags("x", np.array([True, True, True, False, True]), truth)
    assert (flags.recall, flags.precision) == (0.75, 0.75)
    assert quality.score_labels("x", np.array([7, 7, 1, 2, 3]), truth).recall == 0.5


def test_the_near_stage_finds_the_pairs(truth: quality.Truth) -> None:
    (score,) = quality.edge_scores(truth, 2)
    assert (score.recall, score.precision) == (1.0, 1.0)


def test_words_are_those_of_memaudit() -> None:
    captions = pl.Series(["Ünïted 山水 x-ray", "山", "l'été 3.5 €", "", "かな kana"])
    assert word_lists(captions).to_list() == [
        ["ünïted", "山", "水", "x", "ray"],
        ["山"],
        ["l", "été", "3", "5"],
        [],
        ["か", "な", "kana"],
    ]


def test_exact_repeats_are_collapsed(tmp_path: Path) -> None:
    pl.DataFrame({"caption": ["b", "a", "b", "c"]}).write_parquet(tmp_path / "a.parquet")
    frame, n = read_captions(tmp_path / "a.parquet")
    assert (frame["caption"].to_list(), frame["row"].to_list(), n) == (["b", "a", "c"], [0, 1, 3], 4)
    assert len(read_captions(tmp_path / "a.parquet", repeats=True)[0]) == 4
    assert read_captions(tmp_path / "a.parquet", limit=2)[1] == 2


# Speed


def test_runs_are_interleaved(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def case(key: str) -> Case:
        write = "import sys; open(sys.argv[1], 'a').write(sys.argv[2]); print('{\"captions\": 7}')"
        return Case(key, key, [sys.executable, "-c", write, log, key], 5, [sys.executable, "-c", write, log, "s"])

    found = run_in_turn([case("a"), case("b")], 2)
    assert log.read_text() == "sabsab"
    assert found["a"].captions == 7


def test_a_peer_that_fails_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    good = Case("good", "good", [sys.executable, "-c", ""], 5)
    bad = Case("bad", "bad", [sys.executable, "-c", "raise SystemExit('no such option')"], 5)
    assert list(run_in_turn([bad, good], 2)) == ["good"]
    assert "no such option" in capfd.readouterr().err
    with pytest.raises(RuntimeError):
        run_in_turn([dataclasses.replace(bad, audit=Path("a"))], 1)


def result(key: str, seconds: float, start: float = 0.5, captions: int = 1000, audit: bool = False) -> Result:
    case = Case(key, key, [], captions, audit=Path("a") if audit else None)
    return Result(case, seconds, start, seconds, 100.0, captions, {"read": 0.1, "near": 0.2} if audit else {})


def test_rates_leave_the_start_out_on_both_sides() -> None:
    results = {"peer scan": result("peer scan", 1.5, audit=True), "rensa": result("rensa", 4.0, 1.0)}
    assert page.ratio(results, "peer scan", "rensa") == 3.0
    assert page.ratio(results, "peer scan", "datasketch") is None
    assert result("x", 0.6).steady is None
    assert "3.0 x" in page.speed_table(results)


def test_targets_say_what_is_reached() -> None:
    results = {"scan": result("scan", 10.5, captions=10**7, audit=True), "floor": result("floor", 5.5, captions=10**7)}
    rows = {target.what: target.row()[-1] for target in page.targets(results, {"peak": 3500.0, "ratio": 12.0})}
    assert rows["scan, steady state, 10,000,000 captions"] == "goal"
    assert rows["time, in times of the floor"] == "least"
    assert rows["against datasketch"] == "not measured"
    assert rows["peak memory, 100 M captions, --memory 4GB"] == "least"
    assert rows["time, 100 M against 10 M captions"] == "missed"


@pytest.mark.slow
def test_the_whole_benchmark_without_peers(tmp_path: Path) -> None:
    target = tmp_path / "page.md"
    target.write_text("before\n<!-- bench -->\n<!-- /bench -->\nafter\n")
    sizes = ["--rows", "3000", "--peer-rows", "2000", "--small-rows", "1500", "--runs", "1"]
    text = small_bench(tmp_path, [*sizes, "--page", str(target)])
    for part in ("| floor, 3,000 |", FIRST_USE, "| templates |", "| memaudit, near stage |"):
        assert part in text
    assert str(tmp_path) not in text
    assert target.read_text().startswith("before\n<!-- bench -->\n\nMeasured ")
    assert target.read_text().endswith("<!-- /bench -->\nafter\n")


def small_bench(folder: Path, words: Sequence[str]) -> str:
    """Without the first use, which compiles for half a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            bench, "first_use", lambda _: {page.FIRST: result("memaudit scan, 20,000, with empty caches", 9.0)}
        )
        return bench.main([*words, "--folder", str(folder), "--shared", str(folder / "none")])


def test_a_first_use_has_caches_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Case] = []
    monkeypatch.setattr(bench, "SMALL", 50)

    def run(cases: Sequence[Case], _: int) -> dict[str, Result]:
        ran.extend(cases)
        return {case.key: result(case.key, 1.0) for case in cases}

    monkeypatch.setattr(bench, "run_in_turn", run)
    assert list(bench.first_use(tmp_path)) == [page.FIRST, page.AGAIN]
    assert ran[0].environment == ran[1].environment
    assert set(ran[0].environment) == {"NUMBA_CACHE_DIR", "XDG_CACHE_HOME"}


# Scaling


def run_of(rows: int, seconds: float) -> scaling.Run:
    stages = {"read": {"seconds": seconds, "cpu": 1.5 * seconds, "peak": 50.0}}
    sizes = {
        "peak": 100 + rows / 1e4,
        "disk": rows / 1e4,
        "audit": rows / 1e5,
        "members": rows / 2e5,
        "input": rows / 1e5,
    }
    return {"rows": rows, "texts": rows, "memory": None, "date": "2026-01-01", "seconds": seconds + 1, "cpu": seconds,
            "stages": stages, **sizes}  # fmt: skip


def test_growth_is_continued() -> None:
    small, large = run_of(10**6, 1.0), run_of(10**7, 20.0)
    assert scaling.exponent(1.0, 20.0, 10) == pytest.approx(1.301, abs=1e-3)
    assert scaling.extrapolated(small, large, 10**8)["read"] == pytest.approx(400.0)
    assert scaling.extrapolated(small, large, 10**8)[scaling.REST] == 1.0
    assert scaling.extrapolated(small, run_of(10**7, 5.0), 10**8)["read"] == pytest.approx(50.0)
    assert scaling.linear(small, large, "peak", 10**8) == pytest.approx(100 + 1e4)


def test_tables_of_runs(tmp_path: Path) -> None:
    assert scaling.load(tmp_path) == []
    assert scaling.summary(tmp_path) == {}
    for rows, took in ((10**8, 900.0), (10**6, 9.0), (10**7, 89.0), (10**8, 989.0)):
        scaling.keep(tmp_path, run_of(rows, took))
    runs = scaling.load(tmp_path)
    assert [run["rows"] for run in runs] == [10**6, 10**7, 10**8]
    assert scaling.summary(tmp_path) == {"peak": 100 + 1e4, "ratio": 11.0}
    text = scaling.rendered(runs)
    for part in ("| 100,000,000 |", "growth exponent", "foretold", "2,300,000,000 rows"):
        assert part in text


def test_constants_are_python(tmp_path: Path) -> None:
    drawn = scaling.timed_sample(captions_file(tmp_path, 1000))
    drawn.lex_seconds = 0.0003 * len(drawn.keys) / 1000
    found: dict[str, Any] = {"Cost": Cost}
    exec(scaling.constants([run_of(10**6, 9.0), run_of(10**7, 90.0)], drawn), found)
    assert found["COSTS"] == {"read": Cost(4.5, 9.0, 1.0)}
    assert found["REFERENCE_LEX"] == pytest.approx(0.3, abs=1e-3)
    assert set(found) >= {"REFERENCE_ROWS", "START", "SCRATCH", "AUDIT_ROW", "AUDIT_TEXT", "MEMORY", "MEMORY_TEXT"}


def test_a_small_scaling_run(tmp_path: Path) -> None:
    text = scaling.main(["--rows", "1000", "3000", "--memory", "2GB", "--folder", str(tmp_path)])
    assert "| 1,000 |" in text
    assert scaling.main(["--table-only", "--folder", str(tmp_path)]) == text
    (one, two) = scaling.load(tmp_path)
    assert set(one["stages"]) == {"read", "near", "templates", "rank"}
    assert two["audit"] > 0
    assert two["cpu"] > 0
    assert "Cost(" in scaling.main(["--constants", "--folder", str(tmp_path)])


def test_without_runs_there_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no runs yet"):
        scaling.main(["--table-only", "--folder", str(tmp_path)])


# Bad input


@pytest.mark.parametrize("name", bad_inputs.CASES)
def test_bad_input_at_a_small_size(tmp_path: Path, name: str) -> None:
    what, _, _, code, _ = bad_inputs.run(name, tmp_path, 0.001)
    assert what
    assert code == "0"
    assert list(tmp_path.iterdir()) == []


# Peers


def peer_output(tmp_path: Path, name: str, *options: str) -> dict[str, np.ndarray]:
    file = tmp_path / "captions.parquet"
    pl.DataFrame({"caption": CAPTIONS[:5] * 2}).write_parquet(file)
    case = script(name, name, sys.executable, name, file, 10, tmp_path, *options)
    out = tmp_path / "out.npz"
    bench.measure([*case.command, "--out", out])
    with np.load(out) as found:
        return dict(found)


@pytest.mark.skipif(find_spec("datasketch") is None, reason="datasketch is not installed")
def test_datasketch(tmp_path: Path) -> None:
    pairs = peer_output(tmp_path, "datasketch_lsh")["pairs"]
    assert [2, 3] in pairs.tolist()
    assert pairs.max() < 5


@pytest.mark.skipif(find_spec("rensa") is None, reason="rensa is not installed")
def test_rensa(tmp_path: Path) -> None:
    assert peer_output(tmp_path, "rensa_flags")["flags"].tolist() == [True] * 4 + [False] * 6


@pytest.mark.skipif(find_spec("datatrove") is None, reason="datatrove is not installed")
def test_datatrove(tmp_path: Path) -> None:
    assert [0, 5] in peer_output(tmp_path, "datatrove_minhash", "--workers", "1")["pairs"].tolist()


def test_the_floor(tmp_path: Path) -> None:
    file = captions_file(tmp_path, 1000)
    assert captions_file(tmp_path, 1000) == file
    found = bench.measure(script("floor", "", sys.executable, "floor", file, 1000, tmp_path).command).said()
    assert found == {"captions": 1000, "distinct": pl.read_parquet(file)["caption"].n_unique()}


def test_peers_are_pinned() -> None:
    lines = (ROOT / "tests" / "bench" / "peers.txt").read_text().splitlines()
    assert all("==" in line for line in lines if not line.startswith("#"))


def test_labels_of_an_audit(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pl.DataFrame({"caption": [*CAPTIONS, "!!"]}).write_parquet(file)
    bench.measure(scan("x", "", file, 7, tmp_path).command)
    labels = quality.audit_labels(tmp_path / "audit-x", 7)
    assert labels[0] == labels[1] == labels[5]
    assert labels[2] == labels[3]
    assert len(set(labels.tolist())) == 4
    assert brute_force_pairs([], 0.7).shape == (0, 2)
