"""What an unfinished verification has found so far: one small file per step, so that a killed run loses one cluster."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from memaudit.store import JOURNAL, no_space_is_clear, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit


class Journal:
    """A folder of JSON files by step ("screen", "controls", "cluster-<fingerprint>")."""

    def __init__(self, audit: Audit, key: str) -> None:
        """key: 16 hex digits of everything that decides the result; another key is another journal."""
        self.folder: Path = audit.work / f"{JOURNAL}{key}"
        with no_space_is_clear(audit.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def read(self, step: str) -> dict[str, Any] | None:
        """What a finished step left, or None. A file that does not parse counts as not there."""
        try:
            found = json.loads((self.folder / f"{step}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, step: str, data: dict[str, Any]) -> None:
        text = json.dumps(data, ensure_ascii=False)
        write_atomically(self.folder / f"{step}.json", text.encode("utf-8", "surrogateescape"))

    def total(self, name: str) -> int:
        """The sum of an entry over all steps, those of earlier sessions included."""
        steps = (self.read(path.stem) or {} for path in self.folder.glob("*.json"))
        return sum(int(step.get(name, 0)) for step in steps)

    def drop(self) -> None:
        """The verification is complete and stored."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()
