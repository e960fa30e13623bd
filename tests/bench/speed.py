"""How fast a scan is, as a user meets it: whole processes on one generated file, medians of several runs.

    python tests/bench/speed.py [--rows 1000000] [--runs 3] [--folder DIR]

Prints seconds, captions a second and peak memory per run and their medians, then the seconds of each stage (from the
manifest). The first run is not counted: it compiles the kernels where they are not cached. Figures of record:
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GENERATE = Path(__file__).with_name("generate.py")


def timed(command: list[str]) -> tuple[float, float]:
    """(seconds, peak MB of the largest process so far) of one command; its output is thrown away."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return time.perf_counter() - started, peak / 1024


def main(rows: int, runs: int, folder: Path) -> None:
    data, audit = folder / f"captions-{rows}.parquet", folder / "audit"
    if not data.exists():
        subprocess.run([sys.executable, str(GENERATE), str(data), "--rows", str(rows)], check=True)
    scan = [sys.executable, "-m", "memaudit", "--quiet", "scan", str(data), "-o", str(audit), "--fresh"]
    timed(scan)
    figures = []
    for run in range(runs):
        seconds, peak = timed(scan)
        figures.append(seconds)
        print(f"run {run + 1}: {seconds:6.2f} s  {rows / seconds:9,.0f} captions/s  peak {peak:,.0f} MB", flush=True)
    median = statistics.median(figures)
    print(f"median: {median:.2f} s  {rows / median:,.0f} captions/s")
    stages = json.loads((audit / "manifest.json").read_text())["stages"]
    print("last run: " + ", ".join(f"{name} {stage['seconds']:.2f} s" for name, stage in stages.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "memaudit-bench")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    main(args.rows, args.runs, args.folder)
