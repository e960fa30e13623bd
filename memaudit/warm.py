"""What a second process compiles at first use: `python -m memaudit.warm`, started by `jit.FirstUse`.

A scan needs the kernels of reading first and those of templates and ranking last, so this starts at that end.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np

from memaudit.audit import scan
from memaudit.config import ScanConfig
from memaudit.detect.grams import Tokens
from memaudit.detect.templates import mine_templates
from memaudit.scratch import Column, KeptSteps, read_column
from memaudit.text.alphabet import FIRST_WORD

WORDS = ("amber", "birch", "coral", "delta", "ember", "flint", "grove", "heath")


def compile_late_stages(folder: Path) -> None:
    """Mine templates in made-up streams, then scan a small file: by then the scan that started this has compiled the
    stages in between."""
    columns = {"tokens": np.tile(np.arange(12, dtype=np.uint32) + np.uint32(FIRST_WORD), 40)}
    columns["tokens"][5::12] += np.arange(40, dtype=np.uint32)
    columns["token_at"] = np.arange(0, 12 * 40 + 1, 12, dtype=np.int64)
    for name, values in columns.items():
        with Column(folder / name, values.dtype.str) as column:
            column.append(values)
    streams = Tokens(*(read_column(folder / name, values.dtype.str) for name, values in columns.items()))
    mine_templates(streams, 3, 1, 1 << 30, folder, KeptSteps(folder, "templates"))
    _scan(folder)


def _scan(folder: Path) -> None:
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["caption", "url"])
        for i in range(64):
            words = f"{WORDS[i % 8]} {WORDS[i // 8]} fern {i} cm curtain with a long hem – ÉTÉ"
            rows.writerow([words, f"https://shop{i % 3}.example/{i // 2}.jpg"])
    scan([str(folder / "captions.csv")], folder / "audit", ScanConfig(threads=1))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        compile_late_stages(Path(scratch))
