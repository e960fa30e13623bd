"""What a scan read, file by file: rows, rows skipped with their reasons, columns, and what could not be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.schemas import FILES
from memaudit.sources import Columns, shown

if TYPE_CHECKING:
    from memaudit.sources import Source


@dataclass
class FileTally:
    """What was read of one source."""

    path: str
    size: int
    rows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    error: str | None = None
    hint: str = ""  # what the error says to try
    columns: Columns | None = None  # what was taken for captions, ids, ...

    def as_row(self, file: int) -> dict[str, object]:
        reasons = [f"{n:,} {why}" for why, n in sorted(self.skipped.items())] + ([self.error] if self.error else [])
        return {
            "file": file,
            "path": _utf8(self.path),
            "size": self.size,
            "rows": self.rows,
            "skipped": sum(self.skipped.values()),
            "reason": ", ".join(reasons) or None,
        }


def _utf8(path: str) -> str:
    """The path itself, so that it can be opened again; escaped where it is no valid text."""
    return path if path.isascii() or path.encode(errors="replace").decode() == path else shown(path)


@dataclass
class Tally:
    """What was read in all."""

    files: list[FileTally] = field(default_factory=list)
    captions: int = 0
    has_images: bool = False

    @classmethod
    def of(cls, sources: list[Source]) -> Tally:
        """Nothing read yet of these."""
        return cls([FileTally(s.path, s.size) for s in sources])

    def state(self, last: int) -> dict[str, Any]:
        """As plain JSON types, files behind `last` left out: nothing of them is known yet."""
        files = [
            {
                "rows": f.rows,
                "skipped": dict(f.skipped),
                "error": f.error,
                "hint": f.hint,
                "columns": f.columns and asdict(f.columns),
            }
            for f in self.files[: last + 1]
        ]
        return {"captions": self.captions, "has_images": self.has_images, "files": files}

    def with_state(self, state: dict[str, Any]) -> Tally:
        """The same files with what `state` said of them."""
        self.captions, self.has_images = state["captions"], state["has_images"]
        for file, kept in zip(self.files, state["files"], strict=False):
            columns = kept["columns"] and {
                k: tuple(v) if isinstance(v, list) else v for k, v in kept["columns"].items()
            }
            file.rows, file.skipped = kept["rows"], Counter(kept["skipped"])
            file.error, file.hint = kept["error"], kept["hint"]
            file.columns = Columns(**columns) if columns else None
        return self

    def pictures(self) -> str | None:
        """What tells pictures apart: "hashes" where any source has them, "references", or nothing."""
        hashed = any(f.columns is not None and f.columns.hash is not None for f in self.files)
        return ("hashes" if hashed else "references") if self.has_images else None

    def columns(self) -> list[str]:
        """What was read as what, each way once: "caption (id uid, image url, hash phash)"."""
        told: dict[str, None] = {}
        for columns in (f.columns for f in self.files if f.columns):
            roles = {"id": columns.id, "image": columns.image, "hash": columns.hash}
            extra = [f"{role} {name}" for role, name in roles.items() if name]
            extra += [f"weight {name}" for name in columns.weights]
            told[", ".join(columns.captions) + (f" ({', '.join(extra)})" if extra else "")] = None
        return list(told)

    def frame(self) -> pl.DataFrame:
        return pl.DataFrame([tally.as_row(i) for i, tally in enumerate(self.files)], schema=FILES)
