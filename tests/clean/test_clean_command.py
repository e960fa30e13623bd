"""`memaudit clean` as it is typed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from memaudit.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit


def test_what_would_go_is_what_goes(sample_audit: Audit, tmp_path: Path) -> None:
    audit, out = str(sample_audit.folder), str(tmp_path / "out")
    planned = CliRunner().invoke(main, ["-q", "clean", audit, "--dry-run", "-f", "json"])
    assert planned.exit_code == 0
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(main, ["-q", "clean", audit, "-o", out, "-f", "json"])
    assert done.exit_code == 0
    first, second = (json.loads(result.stdout) for result in (planned, done))
    assert first["removed_by"] == second["removed_by"]
    assert second["rows"] == second["kept"] + second["removed"]
    assert second["removed"] > 0


def test_the_page_says_how_much_went_and_what_to_type_next(sample_audit: Audit, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["clean", str(sample_audit.folder), "-o", str(tmp_path / "out"), "--list-only"])
    assert result.exit_code == 0
    assert "20,000 rows" in result.stdout
    assert "removed.csv says why" in result.stdout
    assert "--baseline" in result.stderr


def test_a_cleaning_needs_a_folder(sample_audit: Audit) -> None:
    result = CliRunner().invoke(main, ["clean", str(sample_audit.folder)])
    assert result.exit_code == 2
    assert "-o DIR, or --dry-run" in result.stderr
