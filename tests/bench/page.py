"""What a benchmark found, as the generated part of docs/performance.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.table import megabytes, rate, seconds, table, times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.cases import Result
    from tests.bench.quality import Score

FIRST, AGAIN = "first use", "used again"
"""Keys of the cases that scan a small file with empty caches, and with what that left."""


@dataclass(frozen=True)
class Target:
    """A figure that was asked for. more: whether a higher value is better."""

    what: str
    goal: float
    least: float
    value: float | None
    unit: str = ""
    more: bool = True

    def row(self) -> list[str]:
        if self.value is None:
            verdict = "not measured"
        else:
            verdict = "goal" if self._reaches(self.goal) else "least" if self._reaches(self.least) else "missed"
        return [self.what, *(self._shown(v) for v in (self.goal, self.least, self.value)), verdict]

    def _reaches(self, wanted: float) -> bool:
        assert self.value is not None
        return self.value >= wanted if self.more else self.value <= wanted

    def _shown(self, value: float | None) -> str:
        if value is None:
            return "–"
        shown = {"x": times, "s": seconds, "MB": megabytes, "captions/s": lambda v: f"{rate(v)} captions/s"}
        return shown[self.unit](value) if self.unit else f"{value:.2f}"


def targets(results: Mapping[str, Result], scaling: Mapping[str, float]) -> list[Target]:
    """The table of what was asked for; what was not run is not measured.

    scaling: "peak" (MB) and "ratio" of 100 M rows, from `scaling.py`, where it ran.
    """
    big, first = results.get("scan"), results.get(FIRST)
    rows = f"{big.captions:,} captions" if big else "the scan"
    steady, peak, start = (big.steady, big.peak, big.start) if big else (None, None, None)
    return [
        Target(f"scan, steady state, {rows}", 1e6, 5e5, steady, "captions/s"),
        Target("against datasketch", 200, 100, ratio(results, "peer scan", "datasketch"), "x"),
        Target("against polars + rensa, flags only", 6, 3, ratio(results, "peer scan", "rensa"), "x"),
        Target("time, in times of the floor", 1.5, 4, ratio(results, "floor", "scan"), "x", more=False),
        Target("multilingual against ASCII", 0.8, 0.5, ratio(results, "multilingual", "ascii"), "x"),
        Target(f"peak memory, {rows}", 1500, 2000, peak, "MB", more=False),
        Target("peak memory, 100 M captions, --memory 4GB", 3000, 4000, scaling.get("peak"), "MB", more=False),
        Target("time, 100 M against 10 M captions", 10.5, 11, scaling.get("ratio"), "x", more=False),
        Target("first use, with the compiling of kernels", 8, 15, first.seconds if first else None, "s", more=False),
        Target("a scan of 1,000 rows after that", 0.5, 1, start, "s", more=False),
    ]


def ratio(results: Mapping[str, Result], one: str, other: str) -> float | None:
    """Steady rate of one case against that of another; None where one is not known."""
    ours, theirs = (results[key].steady if key in results else None for key in (one, other))
    return ours / theirs if ours and theirs else None


AGAINST = {"floor": "scan", "datatrove": "small scan"}
"""Which scan a peer is compared with; the others with that of their file."""


def speed_table(results: Mapping[str, Result]) -> str:
    """All runs side by side; the last column is memaudit's steady rate on the same captions against each peer's."""
    rows = []
    for key, result in results.items():
        ours = None if result.case.audit else ratio(results, AGAINST.get(key, "peer scan"), key)
        times_taken = [seconds(result.seconds), seconds(result.start), seconds(result.cpu)]
        figures = [megabytes(result.peak), rate(result.rate), rate(result.steady or 0), times(ours) if ours else ""]
        rows.append([result.case.title, f"{result.captions:,}", *times_taken, *figures])
    head = (
        "",
        "captions",
        "wall",
        "of it start",
        "CPU",
        "peak memory",
        "captions/s",
        "steady",
        "memaudit is faster by",
    )
    return table(head, rows)


def stage_table(results: Mapping[str, Result], keys: Sequence[str]) -> str:
    """Seconds of each stage of some scans, from their manifests; the rest is starting and reporting."""
    shown = [results[key] for key in keys if key in results]
    names = list(dict.fromkeys(name for result in shown for name in result.stages))
    rows = [[name, *(seconds(r.stages.get(name, 0.0)) for r in shown)] for name in names]
    rest = [seconds(max(0.0, r.seconds - sum(r.stages.values()))) for r in shown]
    return table(("stage", *(r.case.title for r in shown)), [*rows, ["start and report", *rest]])


def quality_table(sets: Mapping[str, Sequence[Score]]) -> str:
    """Recall and precision, one row a tool and set of captions."""
    rows = [
        [
            name,
            score.who,
            score.unit,
            f"{score.recall:.4f}",
            "–" if score.precision is None else f"{score.precision:.4f}",
        ]
        for name, scores in sets.items()
        for score in scores
    ]
    return table(("captions", "tool", "measured on its", "recall", "precision"), rows)


def target_table(asked: Sequence[Target]) -> str:
    return table(("what", "goal", "least", "measured", "reached"), [target.row() for target in asked])
