"""What several tests share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from memaudit.store import Audit

settings.register_profile("memaudit", deadline=None)  # the first example compiles kernels
settings.load_profile("memaudit")

SAMPLE = Path(__file__).parent.parent / "sample_data" / "captions"


@pytest.fixture(scope="session")
def sample_audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """A finished audit of the sample captions; not to be written to."""
    from memaudit.audit import scan
    from memaudit.config import ScanConfig

    return scan([str(SAMPLE)], tmp_path_factory.mktemp("sample") / "audit", ScanConfig()).audit
