"""How a scan grows: time, memory, disk and the cost of every stage at several sizes, and what that means for more rows.

    python -m tests.bench.scaling --rows 1000000 10000000 100000000 --memory 4GB [--folder DIR] [--page docs/scaling.md]
    python -m tests.bench.scaling --table-only      the table of earlier runs again
    python -m tests.bench.scaling --constants       the figures for memaudit/forecast/costs.py

Runs are kept in DIR/scaling.json by rows, so sizes can be measured one by one. 100 M rows: 6 minutes and 4.3 GB for the
captions, which are kept too.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memaudit.forecast.costs import PER_CAPTION, PER_TEXT
from memaudit.forecast.sample import Sample, draw
from memaudit.sources import ColumnChoice, discover
from tests.bench.cases import captions_file, manifest_seconds, scan
from tests.bench.machine import machine, today, versions
from tests.bench.measure import MEGABYTE, disk_used, measure
from tests.bench.table import megabytes, put_between, rate, seconds, table

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK = "scaling"
LAION_2B_EN = 2_300_000_000  # rows
REST = "start and report"

Run = dict[str, Any]
"""rows, texts, memory (as asked), date, seconds, cpu, stages: name -> seconds, cpu, peak (MB so far); and in MB: peak,
disk (in work/ at most), audit, members (of it), input."""


def run_at(rows: int, folder: Path, memory: str | None) -> Run:
    """Scan `rows` generated captions and say what it took."""
    file = captions_file(folder, rows)
    options = ("--memory", memory) if memory else ()
    case = scan("scaling", f"{rows:,} rows", file, rows, folder, *options)
    assert case.audit is not None
    shutil.rmtree(case.audit, ignore_errors=True)  # stages of an earlier run would be taken for this one's
    found = measure(case.command, watch=case.audit)
    manifest = json.loads((case.audit / "manifest.json").read_bytes())
    stages = {
        name: {**found.stages.get(name, {"cpu": 0.0, "peak": 0.0}), "seconds": took}
        for name, took in manifest_seconds(case.audit).items()
    }
    return {
        "rows": rows,
        "texts": manifest["totals"]["texts"],
        "memory": memory,
        "date": today(),
        "seconds": found.seconds,
        "cpu": found.cpu,
        "peak": found.peak,
        "disk": found.disk,
        "audit": disk_used(case.audit) / MEGABYTE,
        "members": (case.audit / "members.parquet").stat().st_size / MEGABYTE,
        "input": file.stat().st_size / MEGABYTE,
        "stages": stages,
    }


def load(folder: Path) -> list[Run]:
    """Earlier runs, by rows."""
    try:
        return sorted(json.loads((folder / "scaling.json").read_text()), key=lambda run: run["rows"])
    except OSError:
        return []


def keep(folder: Path, run: Run) -> None:
    """Remember a run; one of the same size is replaced."""
    runs = [other for other in load(folder) if other["rows"] != run["rows"]]
    (folder / "scaling.json").write_text(json.dumps([*runs, run], indent=1))


def stage_seconds(run: Run) -> dict[str, float]:
    """Seconds by stage, and of the rest."""
    found = {name: stage["seconds"] for name, stage in run["stages"].items()}
    return {**found, REST: max(0.0, run["seconds"] - sum(found.values()))}


def exponent(small: float, large: float, factor: float) -> float:
    """How cost grows with size: 1 is in proportion. factor: of the sizes."""
    return math.log(max(large, 1e-9) / max(small, 1e-9)) / math.log(factor)


def extrapolated(small: Run, large: Run, rows: int) -> dict[str, float]:
    """Seconds by stage at `rows`: each stage grows from `large` on as it did from `small`, and at least in proportion
    (what does not grow, such as starting, is no help further on)."""
    one, other, factor = stage_seconds(small), stage_seconds(large), large["rows"] / small["rows"]
    found = {REST: other.pop(REST)}
    for name, took in other.items():
        found[name] = took * (rows / large["rows"]) ** max(1.0, exponent(one.get(name, 0.0), took, factor))
    return found


def summary(folder: Path) -> dict[str, float]:
    """What the table of targets takes from here: peak (MB) at 100 M rows and time(100 M) / time(10 M)."""
    runs = {run["rows"]: run for run in load(folder)}
    large, small = runs.get(100_000_000), runs.get(10_000_000)
    found = {"peak": large["peak"]} if large else {}
    return {**found, "ratio": large["seconds"] / small["seconds"]} if large and small else found


def sizes_table(runs: Sequence[Run]) -> str:
    head = ("rows", "texts", "--memory", "wall", "CPU", "captions/s", "peak memory", "work/ at most", "audit", "input")
    rows = []
    for run in runs:
        sizes = [megabytes(run[name]) for name in ("peak", "disk", "audit", "input")]
        times = [seconds(run["seconds"]), seconds(run["cpu"]), rate(run["rows"] / run["seconds"])]
        rows.append([f"{run['rows']:,}", f"{run['texts']:,}", run["memory"] or "default", *times, *sizes])
    return table(head, rows)


def cost_table(runs: Sequence[Run]) -> str:
    """Seconds a million captions (wall / CPU) of every stage, and its growth between the last two sizes."""
    last = runs[-1]
    rows = []
    for name in stage_seconds(last):
        cells = []
        for run in runs:
            millions = run["rows"] / 1e6
            cpu = run["stages"].get(name, {}).get("cpu")
            wall = stage_seconds(run).get(name, 0.0) / millions
            cells.append(f"{wall:.3f}" + (f" / {cpu / millions:.3f}" if cpu else ""))
        grown = "–"
        if len(runs) > 1 and name != REST:
            one, other = (stage_seconds(run).get(name, 0.0) for run in runs[-2:])
            grown = f"{exponent(one, other, last['rows'] / runs[-2]['rows']):.2f}"
        rows.append([name, *cells, grown])
    head = ("s per million captions, wall / CPU", *(f"{run['rows']:,} rows" for run in runs), "growth exponent")
    return table(head, rows)


def memory_table(runs: Sequence[Run]) -> str:
    """Peak memory of the process when each stage had ended."""
    names = list(runs[-1]["stages"])
    rows = [[name, *(megabytes(run["stages"].get(name, {}).get("peak", 0.0)) for run in runs)] for name in names]
    return table(("peak memory by the end of", *(f"{run['rows']:,} rows" for run in runs)), rows)


def check_table(runs: Sequence[Run]) -> str:
    """What the two sizes before each size foretold of it."""
    rows = []
    for small, large, found in zip(runs, runs[1:], runs[2:], strict=False):
        told = extrapolated(small, large, found["rows"])
        for name, took in [*stage_seconds(found).items(), ("all", found["seconds"])]:
            value = told.get(name, 0.0) if name != "all" else sum(told.values())
            error = f"{value / max(took, 1e-9) - 1:+.0%}"
            rows.append([f"{found['rows']:,}", name, seconds(value), seconds(took), error])
    return table(("rows", "stage", "foretold by the two sizes before", "measured", "error"), rows)


def far_table(runs: Sequence[Run], rows: int = LAION_2B_EN) -> str:
    """Every stage at `rows` on one such machine; disk and memory grow as between the last two sizes."""
    small, large = runs[-2:]
    told = extrapolated(small, large, rows)
    lines = [[name, hours(took)] for name, took in [*told.items(), ("all stages", sum(told.values()))]]
    for name, title in (("peak", "peak memory"), ("disk", "work/ at most"), ("audit", "audit"), ("input", "input")):
        lines.append([title, megabytes(linear(small, large, name, rows))])
    return table((f"{rows:,} rows, one machine", "extrapolated"), lines)


def linear(small: Run, large: Run, name: str, rows: int) -> float:
    """MB at `rows`, on the line through two runs."""
    slope = (large[name] - small[name]) / (large["rows"] - small["rows"])
    return float(large[name] + max(0.0, slope) * (rows - large["rows"]))


def hours(value: float) -> str:
    return f"{value / 3600:.1f} h" if value >= 3600 else seconds(value)


def rendered(runs: Sequence[Run]) -> str:
    """The generated part of docs/scaling.md."""
    found = versions(("memaudit-captions", "polars", "numba"))
    named = ", ".join(f"{name} {version}" for name, version in found.items())
    dates = ", ".join(sorted({run["date"] for run in runs}))
    parts = [f"Measured {dates} on {machine()} with {named}, one run a size.", sizes_table(runs), cost_table(runs)]
    parts.append(memory_table(runs))
    if len(runs) > 2:
        parts.append(check_table(runs))
    if len(runs) > 1:
        parts.append(far_table(runs))
    return "\n\n".join(parts)


def constants(runs: Sequence[Run], drawn: Sample) -> str:
    """The table of `memaudit.forecast.costs`, to be put there: costs a million captions at the last size, growth from
    the size before. What two cores share is told apart by Amdahl's law: wall = serial + parallel / 2.

    drawn: a sample of these captions, timed.
    """
    small, large = runs[-2:]
    millions, factor = large["rows"] / 1e6, large["rows"] / small["rows"]
    lines = [f"# measured {large['date']} at {large['rows']:,} rows, {machine()}"]
    lines += [f"REFERENCE_ROWS = {large['rows']:_}", f"REFERENCE_LEX = {drawn.lex_seconds / len(drawn.keys) * 1e6:.3f}"]
    lines.append("COSTS = {")
    for name, stage in large["stages"].items():
        wall, cpu = stage["seconds"], max(stage["cpu"], stage["seconds"])
        serial = max(0.0, 2 * wall - cpu)
        grown = max(1.0, exponent(small["stages"][name]["seconds"], wall, factor))
        each, shared = serial / millions, 2 * (wall - serial) / millions
        lines.append(f'    "{name}": Cost({each:.3f}, {shared:.3f}, {grown:.2f}),')
    return "\n".join([*lines, "}", f"START = {stage_seconds(runs[0])[REST]:.1f}", *byte_constants(runs, drawn)])


def byte_constants(runs: Sequence[Run], drawn: Sample) -> list[str]:
    """What `costs` says of bytes: scratch and audit at the last size, memory between the first two, where the budget
    does not bind."""
    large, texts = runs[-1], runs[-1]["texts"]
    known = texts * (PER_TEXT + 4 * (drawn.words + drawn.tokens)) + large["rows"] * PER_CAPTION
    scratch = max(0.0, large["disk"] * MEGABYTE - known) / texts
    row = max(0.0, large["members"] * MEGABYTE / large["rows"] - drawn.id_bytes)
    text = (large["audit"] - large["members"]) * MEGABYTE / texts
    slope = (runs[1]["peak"] - runs[0]["peak"]) * MEGABYTE / (runs[1]["texts"] - runs[0]["texts"])
    base = max(0.0, runs[0]["peak"] - slope * runs[0]["texts"] / MEGABYTE)
    return [
        f"SCRATCH = {scratch:.0f}",
        f"AUDIT_ROW, AUDIT_TEXT = {row:.0f}, {text:.0f}",
        f"MEMORY, MEMORY_TEXT = {base:.0f} * 10**6, {slope:.0f}",
        f"# of a budget of {large['memory']} the last size took {megabytes(large['peak'])}",
    ]


def timed_sample(file: Path) -> Sample:
    """A sample of `file`, whose lexing took the least of three."""
    return min((draw(discover([str(file)]), ColumnChoice()) for _ in range(3)), key=lambda drawn: drawn.lex_seconds)


def main(words: Sequence[str] | None = None) -> str:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scaling", description="Measure how a scan grows.")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--memory", help="budget of the scans; default: that of memaudit")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "memaudit-bench")
    parser.add_argument("--page", type=Path, help="page whose generated part is replaced")
    parser.add_argument("--table-only", action="store_true", help="measure nothing")
    parser.add_argument("--constants", action="store_true", help="print constants for the forecast; measure nothing")
    arguments = parser.parse_args(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for rows in () if arguments.table_only or arguments.constants else arguments.rows:
        run = run_at(rows, arguments.folder, arguments.memory)
        keep(arguments.folder, run)
        print(f"{rows:,} rows: {run['seconds']:.1f} s, {run['peak']:,.0f} MB", file=sys.stderr, flush=True)
    runs = load(arguments.folder)
    if not runs:
        raise SystemExit("error: no runs yet\n  try: python -m tests.bench.scaling --rows 1000000 10000000")
    if arguments.constants:
        text = constants(runs, timed_sample(captions_file(arguments.folder, runs[0]["rows"])))
    else:
        text = rendered(runs)
    print(text)
    if arguments.page and not arguments.constants:
        put_between(arguments.page, MARK, text)
    return text


if __name__ == "__main__":
    main()
