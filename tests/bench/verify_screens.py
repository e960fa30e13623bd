"""The screen's signals beside each other on worlds: what each is worth, and what it costs (docs/verify.md).

    python -m tests.bench.verify_screens WORLD...

AUC of prompts that replicate against harmless ones, as `verify_world` groups them, and the share of the first that lies
above the value that a tenth of the unique captions exceeds. The anisotropy is signed: more is taken for more memorised.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from memaudit.verify.models import load
from memaudit.verify.screen import screen
from tests.bench.fit import areas
from tests.bench.verify_world import COPIES, GUIDANCE, HARMLESS, STEPS, cases_of

SEEDS = (1, 2, 3, 4)
PASSING = 0.10  # of unique captions


def signals_of(world: Path) -> dict[str, tuple[float, float]]:
    """By signal: AUC, and recall where `PASSING` of the unique captions passes."""
    cases, _ = cases_of(pl.read_parquet(world / "truth.parquet"))
    model = load(str(world / "model"), "cpu", steps=STEPS, guidance=GUIDANCE)
    found = screen(model, [c.caption for c in cases], SEEDS, anisotropy=True, agreement=True)
    copies, harmless, unique = (
        np.array([test(c) for c in cases])
        for test in (lambda c: c.truth == COPIES, lambda c: c.truth == HARMLESS, lambda c: c.group == "unique")
    )
    out = {}
    for name, values in (
        ("magnitude", found.magnitude), ("seed agreement", found.agreement), ("anisotropy", found.anisotropy)
    ):  # fmt: skip
        assert values is not None
        cut = np.quantile(values[unique], 1 - PASSING)
        out[name] = (float(areas(values[copies], values[harmless]).mean()), float((values[copies] > cut).mean()))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="+", type=Path)
    for world in parser.parse_args().worlds:
        for name, (area, recall) in signals_of(world).items():
            print(f"{world.name:<12} {name:<16} AUC {area:.3f}   recall {recall:.2f}", flush=True)


if __name__ == "__main__":
    main()
