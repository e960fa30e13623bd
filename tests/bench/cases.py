"""What is measured: commands of memaudit and its peers on the same files, run in turn."""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.generate import generate
from tests.bench.measure import Measured, measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).parent
STAGES = ("read", "near", "templates", "rank")
TINY = 1_000  # rows whose scan measures the start


@dataclass(frozen=True)
class Case:
    """One command on one file. captions: rows of the file; a peer that stops early says how many it took. start: the
    same command on 1,000 rows, which is what starting costs."""

    key: str
    title: str
    command: Sequence[str | Path]
    captions: int
    start: Sequence[str | Path] = ()
    audit: Path | None = None  # what it writes, where it is a scan
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """Medians of a case's runs: seconds, those of the start, CPU seconds, MB, captions that were done, seconds by
    stage."""

    case: Case
    seconds: float
    start: float
    cpu: float
    peak: float
    captions: int
    stages: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Captions a second, of the whole process."""
        return self.captions / self.seconds

    @property
    def steady(self) -> float | None:
        """Captions a second without the time of the start: what more captions would take; None where starting is most
        of it, so that their difference is noise."""
        return self.captions / (self.seconds - self.start) if self.start < self.seconds / 2 else None


def captions_file(folder: Path, rows: int, language: str = "mixed") -> Path:
    """The generated file of so many rows, made where it is missing."""
    path = folder / f"captions-{rows}-{language}.parquet"
    if not path.exists():
        temporary = path.with_suffix(".tmp")
        generate(temporary, rows, language=language)
        temporary.replace(path)
    return path


def scan(key: str, title: str, file: Path, rows: int, folder: Path, *options: str, **environment: str) -> Case:
    """A whole `memaudit scan --fresh` of `file`, without spaCy: that is an extra, here only for the tests."""

    def command(data: Path, audit: Path) -> list[str | Path]:
        return [
            sys.executable,
            "-m",
            "memaudit",
            "--quiet",
            "scan",
            data,
            "-o",
            audit,
            "--fresh",
            "--ner",
            "none",
            *options,
        ]

    audit, start = (
        folder / f"audit-{key.replace(' ', '-')}",
        command(captions_file(folder, TINY), folder / "audit-start"),
    )
    return Case(key, title, command(file, audit), rows, start, audit, environment)


def script(
    key: str, title: str, python: str | Path, name: str, file: Path, rows: int, folder: Path, *options: str
) -> Case:
    """A script of peers/, run by the peers' interpreter."""
    path = HERE / "peers" / f"{name}.py"
    start = [python, path, captions_file(folder, TINY), *options]
    return Case(key, title, [python, path, file, *options], rows, start)


def run_in_turn(cases: Sequence[Case], runs: int) -> dict[str, Result]:
    """Every case once, then every case again, `runs` times (A B C A B C ...), so that a slow minute hits all alike.

    Before each case its start is measured, once a round where several share it. A peer that fails is left out.
    """
    done: dict[str, list[Measured]] = {case.key: [] for case in cases}
    starts: dict[str, list[float]] = {case.key: [] for case in cases}
    stages: dict[str, list[dict[str, float]]] = {case.key: [] for case in cases}
    for number in range(runs):
        started: dict[tuple[str | Path, ...], float] = {}
        for case in [case for case in cases if case.key in done]:
            command = tuple(case.start)
            try:
                if command and command not in started:
                    started[command] = measure(command, environment=case.environment).seconds
                found = measure(case.command, environment=case.environment)
            except RuntimeError as error:
                if case.audit:
                    raise
                _say(f"left out: {case.title}: {error}")
                del done[case.key]
                continue
            starts[case.key].append(started.get(command, 0.0))
            done[case.key].append(found)
            stages[case.key].append(manifest_seconds(case.audit) if case.audit else {})
            _say(f"{number + 1}/{runs}  {case.title}: {found.seconds:.2f} s, {found.peak:,.0f} MB")
    return {c.key: _medians(c, done[c.key], starts[c.key], stages[c.key]) for c in cases if c.key in done}


def _medians(
    case: Case, runs: Sequence[Measured], starts: Sequence[float], stages: Sequence[Mapping[str, float]]
) -> Result:
    median = statistics.median
    return Result(
        case,
        median(run.seconds for run in runs),
        median(starts),
        median(run.cpu for run in runs),
        median(run.peak for run in runs),
        int(median(run.said().get("captions", case.captions) for run in runs)),
        {name: median(s.get(name, 0.0) for s in stages) for name in stages[0]},
    )


def manifest_seconds(audit: Path) -> dict[str, float]:
    """Seconds of each stage, as the audit's manifest says, in the order of a scan."""
    stages = json.loads((audit / "manifest.json").read_bytes())["stages"]
    ordered = sorted(stages, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES))
    return {name: float(stages[name]["seconds"]) for name in ordered}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
