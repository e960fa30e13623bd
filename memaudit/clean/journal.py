"""The output folder: what a cleaning has written there, so that it goes on where it stopped and harms nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memaudit.errors import UsageError
from memaudit.store import checksum, no_space_is_clear, write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from memaudit.clean.settings import CleanConfig
    from memaudit.store import Audit

NAME = "clean.json"
WORK = ".work"
DATA = "data"  # where the copies lie, apart from the lists: other tools read whole folders
REMOVED, PLAN, KEEP, KEEP_NPY = "removed.csv", "plan.csv", "keep.parquet", "keep.npy"
LISTS = (REMOVED, PLAN, KEEP, KEEP_NPY)
DONE, RUNNING = "complete", "running"


@dataclass
class Journal:
    """clean.json: "key" (what decides the result), "status", "files" (output name -> {"rows", "kept"}), "summary"."""

    folder: Path
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        return self.folder / WORK

    @property
    def complete(self) -> bool:
        return bool(self.content.get("status") == DONE)

    def counts(self, name: str) -> tuple[int, int] | None:
        """Records read and written of a copy that is done."""
        known = self.content["files"].get(name)
        return (known["rows"], known["kept"]) if known and (self.folder / name).exists() else None

    def finish_file(self, name: str, rows: int, kept: int) -> None:
        self.content["files"][name] = {"rows": rows, "kept": kept}
        self._save()

    def close(self, summary: dict[str, Any]) -> None:
        self.content |= {"status": DONE, "summary": summary}
        self._save()
        shutil.rmtree(self.work, ignore_errors=True)

    def _save(self) -> None:
        text = json.dumps(self.content, indent=1, ensure_ascii=False)
        write_atomically(self.folder / NAME, text.encode("utf-8", errors="surrogateescape"))


def key_of(audit: Audit, config: CleanConfig, allowed: Sequence[str]) -> str:
    """16 hex digits of everything that decides what is removed. allowed: fingerprints that the allow-list accepts."""
    frames = ("members", "clusters", "findings", "verdicts")
    sums = [checksum(audit.path(name)) for name in frames if audit.has_frame(name)]
    told = [config.identity(), audit.manifest.get("inputs"), sums, sorted(allowed)]
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()


def begin(folder: Path, key: str, fresh: bool) -> Journal:
    """Start a cleaning in `folder`, or go on with the one that is there.

    One of anything else is refused (UsageError) unless `fresh`, which removes what that one wrote; a plan is replaced.
    A folder that holds anything but a cleaning is refused always.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", "the cleaned dataset is a folder", "another name after -o")
    known = _read(folder)
    if known is None and folder.is_dir() and any(p.name != f".{NAME}.tmp" for p in folder.iterdir()):
        why = "nothing there is touched, so that no input can be overwritten"
        raise UsageError(f"{folder} is not empty and holds no cleaned dataset", why, "another folder after -o")
    if known is not None and known["key"] == key and not fresh:
        return Journal(folder, known)
    if known is not None:
        if not fresh and known["files"]:
            why = "the audit, its verdicts, the allow-list or an option has changed since"
            raise UsageError(f"{folder} holds another cleaned dataset", why, "another -o, or --fresh to replace it")
        _drop(folder, known)
    journal = Journal(folder, {"key": key, "status": RUNNING, "files": {}})
    with no_space_is_clear(folder):
        journal.work.mkdir(parents=True, exist_ok=True)
        journal._save()
    return journal


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / NAME).read_bytes())
        return content if {"key", "status", "files"} <= set(content) else None
    except (OSError, ValueError, TypeError):
        return None


def _drop(folder: Path, known: dict[str, Any]) -> None:
    """Remove what an earlier cleaning wrote, by name; folders that become empty too."""
    root = folder.resolve()
    for name in [*known["files"], *LISTS]:
        path = (folder / name).resolve()
        if root not in path.parents:  # a journal that somebody changed
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        while path.parent != root and path.parent.is_dir() and not any(path.parent.iterdir()):
            path = path.parent
            path.rmdir()
    shutil.rmtree(folder / WORK, ignore_errors=True)
