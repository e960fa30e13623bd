"""`memaudit --help` answers at once: nothing heavy is imported until a command needs it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

import pytest

HEAVY = ("numpy", "polars", "pyarrow", "numba", "rich", "torch", "datasketch", "rapidfuzz", "scipy", "spacy", "ray")


@pytest.mark.parametrize(
    "module", ["memaudit.cli", "memaudit", "memaudit.config", "memaudit.progress", "memaudit.rules"]
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(json.loads(run.stdout))


def test_help_starts_fast(capsys: pytest.CaptureFixture[str]) -> None:
    times = []
    for _ in range(5):
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "memaudit", "--help"], capture_output=True, check=True)
        times.append(time.monotonic() - started)
    with capsys.disabled():
        print(f"\nmemaudit --help: {statistics.median(times):.3f} s, median of {len(times)} (budget 0.25 s)")
