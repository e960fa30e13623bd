"""The bench of published prompts runs, on a random model and a made list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.bench import verify_published as bench
from tests.verify import tiny

if TYPE_CHECKING:
    from pathlib import Path


def test_auc_by_hand() -> None:
    positive = np.array([True, True, False, False])
    assert bench.auc(np.array([3.0, 2.0, 1.0, 0.0]), positive) == 1
    assert bench.auc(np.array([1.0, 2.0, 1.0, 2.0]), positive) == 0.5


def test_judges_a_made_list(tmp_path: Path) -> None:
    (tmp_path / bench.MEMORISED).write_text("Caption;URL;type\nred cat;u;VM\nblue dog case;u;TM\n")
    (tmp_path / bench.OTHER).write_text("Caption;URL\n" + "".join(f"plain thing {i};u\n" for i in range(6)))
    prompts = bench.prompts_of(tmp_path)
    assert [kind for kind, _ in prompts] == ["VM", "TM", *["other"] * 6]
    model = tiny.stable_diffusion(tmp_path / "model")
    out = bench.judge(str(model), prompts, 4, {"device": "cpu", "steps": 2, "seed": 0})
    assert set(out["verdicts"]) == {"VM", "TM", "other"}
    assert sum(sum(counts.values()) for counts in out["verdicts"].values()) == 4
    assert set(out["signals"]) == {"magnitude", "seed_agreement"}


def test_says_at_once_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["verify_published"])
    with pytest.raises(SystemExit, match="no CUDA device"):
        bench.main()
