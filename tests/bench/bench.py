"""memaudit and its peers on the same captions in one run: time, memory, recall, side by side.

    make bench
    python -m tests.bench.bench --peers .bench-venv/bin/python [--rows 10000000] [--runs 3] [--page docs/performance.md]

Runs are interleaved (A B C A B C ...), each a process of its own; medians are shown. Peers that are not installed are
left out. Some fifteen minutes at the default sizes, two GB of disk in --folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tests.bench import page, quality, scaling
from tests.bench.cases import Case, captions_file, run_in_turn, scan, script
from tests.bench.machine import machine, today, versions
from tests.bench.measure import measure
from tests.bench.table import put_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.cases import Result

ROOT = Path(__file__).parents[2]
PEERS = {"datasketch": "datasketch", "rensa": "rensa", "datatrove": "datatrove"}  # key of a case: distribution
OURS = ("memaudit-captions", "polars", "pyarrow", "numba", "numpy")
SMALL = 20_000  # rows of the scan that is the first use
MARK = "bench"


def cases_of(arguments: argparse.Namespace, installed: Sequence[str]) -> list[Case]:
    """Everything that is measured in turn. The order is that of the table."""
    folder, rows, some = arguments.folder, arguments.rows, arguments.peer_rows
    big, middle = captions_file(folder, rows), captions_file(folder, some)
    cases = [
        scan("scan", f"memaudit scan, {short(rows)}", big, rows, folder),
        script("floor", f"floor, {short(rows)}", sys.executable, "floor", big, rows, folder),
        scan("peer scan", f"memaudit scan, {short(some)}", middle, some, folder),
        *peer_cases(arguments, installed, middle),
    ]
    if "datatrove" in installed:
        few, n = captions_file(folder, arguments.small_rows), arguments.small_rows
        cases.append(scan("small scan", f"memaudit scan, {short(n)}", few, n, folder))
        title = "datatrove MinHash stages"
        cases.append(script("datatrove", title, arguments.peers, "datatrove_minhash", few, n, folder))
    for language in ("ascii", "multilingual"):
        file = captions_file(folder, some, language)
        cases.append(scan(language, f"memaudit scan, {short(some)}, {language}", file, some, folder))
    return cases


def peer_cases(arguments: argparse.Namespace, installed: Sequence[str], file: Path) -> list[Case]:
    """datasketch, and rensa in three ways, on the file of `--peer-rows`."""
    rows, python, folder = arguments.peer_rows, arguments.peers, arguments.folder
    cases = []
    if "rensa" in installed:
        ways = {"rensa": ("32 bands", ()), "rensa, 16 bands": ("16 bands", ("--bands", "16"))}
        ways["rensa, repeats"] = ("32 bands, exact repeats hashed too", ("--repeats",))
        for key, (how, options) in ways.items():
            title = f"polars + rensa flags, {how}"
            cases.append(script(key, title, python, "rensa_flags", file, rows, folder, *options))
    if "datasketch" in installed:
        title, limit = f"datasketch MinHash + LSH, stopped after {arguments.seconds:g} s", str(arguments.seconds)
        options = ("--seconds", limit)
        cases.append(script("datasketch", title, python, "datasketch_lsh", file, rows, folder, *options))
    return cases


def first_use(folder: Path) -> dict[str, Result]:
    """A scan with empty caches of compiled kernels and tables, once, and again with what the first one left."""
    file = captions_file(folder, SMALL)
    with tempfile.TemporaryDirectory(dir=folder) as caches:
        places = {"NUMBA_CACHE_DIR": f"{caches}/numba", "XDG_CACHE_HOME": f"{caches}/user"}
        titles = {page.FIRST: "with empty caches", page.AGAIN: "again"}
        found = {}
        for key, title in titles.items():
            case = scan(key, f"memaudit scan, {short(SMALL)}, {title}", file, SMALL, folder, **places)
            found[key] = run_in_turn([replace(case, start=())], 1)[key]
        return found


def recall(arguments: argparse.Namespace, installed: Sequence[str]) -> dict[str, list[quality.Score]]:
    """Every tool on generated captions, and on real ones where they are present."""
    generated = pl.read_parquet(captions_file(arguments.folder, arguments.small_rows))["caption"]
    sets = {f"generated, {short(arguments.small_rows)}": generated}
    if real := quality.real_captions(arguments.shared):
        sets["real, with edits"] = pl.Series(real)
    return {name: recall_on(captions, arguments, installed) for name, captions in sets.items()}


def recall_on(captions: pl.Series, arguments: argparse.Namespace, installed: Sequence[str]) -> list[quality.Score]:
    truth = quality.truth_of(captions)
    folder, n = arguments.folder, len(truth.captions)
    file = folder / "distinct.parquet"
    truth.captions.to_frame().write_parquet(file)
    ours = scan("recall", "", file, n, folder)
    measure(ours.command)
    scores = quality.edge_scores(truth, len(os.sched_getaffinity(0)))
    scores.append(
        quality.score_labels("memaudit, clusters of the audit", quality.audit_labels(folder / "audit-recall", n), truth)
    )
    for who, name, options in PROPOSERS:
        if name.partition("_")[0] in installed:
            case = script(name, who, arguments.peers, name, file, n, folder, *options)
            scores += proposed(who, case.command, folder, truth)
    return scores


PROPOSERS = (
    ("datasketch", "datasketch_lsh", ()),
    ("rensa, 32 bands", "rensa_flags", ("--bands", "32")),
    ("rensa, 16 bands", "rensa_flags", ("--bands", "16")),
    ("datatrove, 5-word shingles", "datatrove_minhash", ()),
    ("datatrove, 2-word shingles", "datatrove_minhash", ("--ngrams", "2")),
)


def proposed(who: str, command: Sequence[str | Path], folder: Path, truth: quality.Truth) -> list[quality.Score]:
    """Run a peer and score what it proposes."""
    out = folder / "proposed.npz"
    measure([*command, "--out", out])
    with np.load(out) as found:
        arrays = dict(found)
    if "flags" in arrays:
        return [quality.score_flags(who, arrays["flags"], truth)]
    scores = [quality.score_pairs(who, arrays["pairs"], truth)]
    if "labels" in arrays:
        labels = arrays["labels"]
        alone = labels < 0
        labels = np.where(alone, labels.max(initial=0) + 1 + np.arange(len(labels)), labels)
        scores.append(quality.score_labels(who, labels, truth))
    return scores


def short(n: int) -> str:
    """10 M, 50,000."""
    return f"{n / 1e6:g} M" if n >= 1e6 else f"{n:,}"


def rendered(
    arguments: argparse.Namespace,
    results: dict[str, Result],
    sets: dict[str, list[quality.Score]],
    asked: Sequence[page.Target],
) -> str:
    """The generated part of the page."""
    found = versions(OURS) | (versions(list(PEERS.values()), arguments.peers) if arguments.peers else {})
    named = ", ".join(f"{name} {version}" for name, version in found.items())
    runs = f"Medians of {arguments.runs} interleaved runs (first use: one), whole processes."
    parts = [
        f"Measured {today()} on {machine()} with {named}. {runs}",
        page.target_table(asked),
        page.speed_table(results),
        page.stage_table(results, ("scan", "peer scan", "multilingual")),
        page.quality_table(sets),
    ]
    return "\n\n".join(parts)


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench", description="Compare memaudit with its peers.")
    parser.add_argument("--peers", type=Path, help="python of the peers' environment; without it no peers")
    parser.add_argument("--rows", type=int, default=10_000_000, help="memaudit and the floor")
    parser.add_argument("--peer-rows", type=int, default=1_000_000, help="rensa, datasketch and languages")
    parser.add_argument("--small-rows", type=int, default=50_000, help="datatrove and recall")
    parser.add_argument("--seconds", type=float, default=20, help="after which datasketch stops")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "memaudit-bench")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "data", help="real captions")
    parser.add_argument("--page", type=Path, help="page whose generated part is replaced")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> str:
    arguments = arguments_of(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    installed = list(versions(list(PEERS.values()), arguments.peers)) if arguments.peers else []
    cases = cases_of(arguments, installed)
    measure(cases[0].start)  # compiles what is not compiled yet
    sets = recall(arguments, installed)
    used = first_use(arguments.folder)
    results = run_in_turn(cases, arguments.runs) | used
    text = rendered(arguments, results, sets, page.targets(results, scaling.summary(arguments.folder)))
    print(text)
    if arguments.page:
        put_between(arguments.page, MARK, text)
    return text


if __name__ == "__main__":
    main()
