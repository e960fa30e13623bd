"""What every stage costs: one table of measured constants, and the arithmetic that applies it to a dataset.

The constants are those that `python -m tests.bench.scaling --constants` prints after its runs (docs/scaling.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from memaudit.forecast.sample import Sample


class Cost(NamedTuple):
    """Seconds a million captions at `REFERENCE_ROWS`: on one thread whatever the cores, and of one core where all work.
    growth: exponent with the number of captions."""

    serial: float
    parallel: float
    growth: float


REFERENCE_ROWS = 100_000_000
REFERENCE_LEX = 0.337  # seconds of one core to lex a million of its captions: 10 words, 61 bytes, 5 % not ASCII
COSTS = {
    "read": Cost(0.423, 0.946, 1.13),
    "near": Cost(0.324, 1.270, 1.24),
    "templates": Cost(0.233, 2.375, 1.13),
    "rank": Cost(0.181, 0.246, 1.05),
}
START = 1.1  # seconds: imports, compiled kernels from their cache, the report

PER_TEXT = 53  # bytes under work/ of a distinct caption: keys, place, counts; 4 more a word and a token
PER_CAPTION = 16  # bytes under work/ of a caption: its text, picture and site
SCRATCH = 124  # bytes a distinct caption that stages spill at most beside that
AUDIT_ROW, AUDIT_TEXT = 15, 21  # bytes of the finished audit a caption and a distinct caption, without ids
MEMORY, MEMORY_TEXT = 534 * 10**6, 80  # bytes at rest, and a distinct caption, until the budget is reached
OVER_BUDGET = 0.83  # of --memory that a scan takes when the budget decides


@dataclass(frozen=True)
class Outlook:
    """seconds: by stage, "start" among them. machine: seconds here over seconds of the reference. The rest in bytes."""

    seconds: dict[str, float]
    machine: float
    memory: int
    work: int
    audit: int


def predict(sample: Sample, texts: int, threads: int, budget: int) -> Outlook:
    """The outlook of a scan of `sample.captions` captions, `texts` of them distinct.

    Captions that take longer to lex (more words, other scripts, a slower machine) take longer everywhere.
    """
    millions, size = sample.captions / 1e6, max(sample.captions, 1) / REFERENCE_ROWS
    machine = sample.lex_seconds / max(len(sample.keys), 1) * 1e6 / REFERENCE_LEX if len(sample.keys) else 1.0
    seconds = {
        name: millions * (cost.serial + cost.parallel / threads) * size ** (cost.growth - 1) * machine
        for name, cost in COSTS.items()
    }
    streams = 4 * (sample.words + sample.tokens) * texts
    work = streams + texts * (PER_TEXT + SCRATCH) + sample.captions * PER_CAPTION
    audit = sample.captions * (AUDIT_ROW + sample.id_bytes) + texts * AUDIT_TEXT
    memory = min(MEMORY + MEMORY_TEXT * texts, max(MEMORY, int(OVER_BUDGET * budget)))
    return Outlook({"start": START, **seconds}, machine, int(memory), int(work), int(audit))
