"""The synthetic audits as fixtures, in a current folder of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.report.synthetic import TOTALS, captions, clusters, write_audit
from tests.report.verified import verify

if TYPE_CHECKING:
    from memaudit.store import Audit


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands run in, so that paths in a report are short and the same everywhere."""
    monkeypatch.chdir(tmp_path)
    return Path()


@pytest.fixture
def audit(here: Path) -> Audit:
    return write_audit(here / "audit", captions(), clusters(), TOTALS, "2 null, 1 without words")


@pytest.fixture
def empty_audit(here: Path) -> Audit:
    return write_audit(
        here / "audit", ["A lone heron at dusk"], [], {"rows": 1, "skipped": {}, "captions": 1, "texts": 1}
    )


@pytest.fixture
def verified_audit(audit: Audit) -> Audit:
    return verify(audit)
