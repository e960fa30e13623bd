"""docs/verify.md: its script draws a plan with a real pipeline, and its commands plan and judge."""

from __future__ import annotations

import csv
import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from memaudit.cli import main  # noqa: E402
from memaudit.rules import verify_rules  # noqa: E402
from tests.test_docs import ROOT, blocks  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit

PAGE = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
SMALL = ["--top", "2", "--samples", "4", "--seed", "7"]


def command(naming: str, **filled: str) -> list[str]:
    """The page's command that has this option, its capitals filled in."""
    line = next(line for line in PAGE.splitlines() if line.startswith("memaudit verify") and naming in line)
    return [filled.get(word, word) for word in shlex.split(line)[1:]]


def test_a_plan_is_drawn_by_the_script_and_judged(audit: Audit, tiny_models: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    folder.mkdir()
    filled = {"AUDIT": str(audit.folder), "FOLDER": str(folder), "plan.csv": str(folder / "plan.csv")}
    planned = CliRunner().invoke(main, [*command("--plan", **filled), *SMALL, "--steps", "2", "--guidance", "3"])
    assert planned.exit_code == 0, planned.output
    script = next(blocks(PAGE, "python"))
    for word, meant in (("MODEL", str(tiny_models["sd"])), ("FOLDER", str(folder)), ("cuda", "cpu")):
        assert script.count(f'"{word}"') == 1
        script = script.replace(f'"{word}"', repr(meant))
    exec(compile(script, "docs/verify.md", "exec"), {})
    with (folder / "plan.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["steps"] for row in rows} == {"2"}
    assert all((folder / row["file"]).is_file() for row in rows)
    judged = CliRunner().invoke(main, [*command("--generated", **filled), *SMALL])
    assert judged.exit_code == 0, judged.output
    (run,) = json.loads((audit.folder / "manifest.json").read_text())["verify"]
    assert run["counts"] == {"not_replicated": 2}  # a model of random weights copies nothing
    assert run["controls"]["sampled"] == sum(row["kind"] == "control" for row in rows) > 0


def test_numbers_of_the_page_are_those_of_the_rules() -> None:
    rules = verify_rules()
    told = {
        "screened": (rules["screen"]["controls"], r"(\d+) are\s+screened"),
        "sampled": (rules["sample"]["controls"], r"screened, (\d+) sampled"),
        "claim": (round(100 * rules["sample"]["claim"]), r"the largest of (\d+) %"),
        "region": (round(100 * rules["copy"]["least_region"]), r"hold less than (\d+) %"),
        "quantile": (round(100 * rules["screen"]["pass_share"] / 2), r"quantile 1 - \.(\d+)/k"),
        "descriptor": (round(100 * rules["copy"]["descriptor"]), r"inner product of\s+\.(\d+)"),
    }
    for name, (value, pattern) in told.items():
        found = re.search(pattern, PAGE)
        assert found, name
        assert int(found[1]) == value, name
    assert rules["copy"]["whole"] == rules["copy"]["region"] == 0.5  # "half of the controls' median"
    assert rules["screen"]["seeds"] == rules["sample"]["references"] == 4  # "four"
    assert 1 / rules["copy"]["sharing"] == 5  # "a fifth"
