"""What a cleaning is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from memaudit.errors import UsageError
from memaudit.schemas import SEVERITIES


@dataclass(frozen=True)
class CleanConfig:
    """min_severity: of findings that remove rows. keep: rows of a template that stay. only_verified: only findings
    that a verdict confirms. captions_only: a caption alone makes a duplicate, whatever its picture. keep_by: column
    whose largest value survives ("-column": the smallest). list_only: no copies of the files, only the lists."""

    min_severity: str = "high"
    keep: int = 1
    only_verified: bool = False
    captions_only: bool = False
    keep_by: str | None = None
    list_only: bool = False

    def __post_init__(self) -> None:
        if self.min_severity not in SEVERITIES:
            known = f"known: {', '.join(SEVERITIES)}"
            raise UsageError(f"unknown severity {self.min_severity!r}", known, "--min-severity high")
        if self.keep < 1:
            raise UsageError(f"cannot keep {self.keep} rows of a template", "at least one stays", "--keep 1")

    def identity(self) -> dict[str, Any]:
        """Plain JSON types; a cleaning that was interrupted goes on only with the same."""
        return asdict(self)
