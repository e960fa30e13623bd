"""What a scan is asked to do: one frozen value, filled from flags, the environment and TOML (in that order of
weight)."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memaudit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

RULER, NO_ENTITIES = "ruler", "none"  # values of `ner` that are no models


@dataclass(frozen=True)
class ScanConfig:
    """Everything that decides the result of a scan, and two settings (memory, threads) that do not."""

    preset: str = "web"  # of PRESETS; what it sets is in the other fields, but see `repeats`
    columns: tuple[str, ...] = ()  # caption columns; () finds one by name
    id_column: str | None = None
    image_column: str | None = None
    hash_column: str | None = None
    weight_columns: tuple[str, ...] = ()
    threshold: float = 0.7  # near duplicates: Jaccard in (0, 1]
    min_support: int = 3  # templates: distinct captions that must share a frame
    ner: str | None = None  # types of slots: a spaCy model, RULER or NO_ENTITIES; None: RULER where spaCy is installed
    expected_triggers: tuple[str, ...] = ()  # words that are meant to repeat
    memory: int | None = field(default=None, metadata={"result": False})  # bytes; None: half of the machine
    threads: int | None = field(default=None, metadata={"result": False})  # None: all cores

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            near = difflib.get_close_matches(self.preset, PRESETS, n=1)
            known = f"known: {', '.join(PRESETS)}"
            raise UsageError(f"unknown preset {self.preset!r}", known, f"--preset {near[0] if near else 'web'}")
        if not 0 < self.threshold <= 1:
            raise UsageError(
                f"threshold {self.threshold} is not a similarity", "it must lie in (0, 1]", "--threshold 0.7"
            )
        if self.min_support < 2:
            raise UsageError(
                "a template needs at least two captions", f"min_support is {self.min_support}", "--min-support 3"
            )
        if len(self.columns) > 255:
            raise UsageError("more than 255 caption columns", f"{len(self.columns)} given")

    @property
    def repeats(self) -> bool:
        """Whether a caption counts as often as training sees it (weights, repeats of folders), not once a row."""
        return self.preset == "finetune"

    def worker_count(self) -> int:
        """Threads to use: as asked, else the cores this process may run on."""
        return (
            self.threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
        )

    def memory_budget(self) -> int:
        """Bytes to use: as asked, else half of the machine."""
        return self.memory or (machine_memory() or 8 << 30) // 2

    def entities(self) -> str:
        """What types slots: as asked, else the entity ruler where spaCy is installed (it is not loaded to know)."""
        return self.ner or (RULER if importlib.util.find_spec("spacy") else NO_ENTITIES)

    def identity(self) -> dict[str, Any]:
        """The part that decides the result, as plain JSON types; resume compares it."""
        told = {
            f.name: list(v) if isinstance(v := getattr(self, f.name), tuple) else v
            for f in fields(self)
            if f.metadata.get("result", True)
        }
        return {**told, "ner": self.entities()}

    def digest(self) -> str:
        """16 hex digits of `identity`."""
        return hashlib.blake2b(json.dumps(self.identity(), sort_keys=True).encode(), digest_size=8).hexdigest()


PRESETS: dict[str, dict[str, Any]] = {
    "web": {},
    "finetune": {"min_support": 4},
}
"""Settings that go together, where they differ from the defaults; what is set by name wins. In small sets three
captions share a frame by accident: of 300 made ones (docs/finetune.md) support 3 listed 45 families, 4 listed 25."""


def asked_for(
    *,
    preset: str = "web",
    memory: str | int | None = None,
    column: Sequence[str] = (),
    weight_column: Sequence[str] = (),
    expected_trigger: Sequence[str] = (),
    **same: Any,
) -> ScanConfig:
    """The configuration that flags ask for, by their names; None is "not given". memory: bytes, or such as "4GB".

    Raises UsageError for values that cannot be used.
    """
    size = parse_size(memory) if isinstance(memory, str) else memory
    given = {**PRESETS.get(preset, {}), **{name: value for name, value in same.items() if value is not None}}
    return ScanConfig(
        preset=preset,
        memory=size,
        columns=tuple(column),
        weight_columns=tuple(weight_column),
        expected_triggers=tuple(expected_trigger),
        **given,
    )


SETTINGS = {
    "preset": str,
    "column": list,
    "id-column": str,
    "image-column": str,
    "hash-column": str,
    "weight-column": list,
    "threshold": float,
    "min-support": int,
    "ner": str,
    "expected-trigger": list,
    "memory": str,
    "threads": int,
}
"""Keys of the `[scan]` table in memaudit.toml; the same words as the flags."""


def load_settings(folder: Path | None = None) -> dict[str, Any]:
    """Settings of `memaudit.toml`, else `[tool.memaudit]` of pyproject.toml, in `folder` (default: the current one).

    Settings stand in a table `scan` or directly. Returns flag names to values. Raises UsageError for a file that is
    not TOML, a key that does not exist (with the nearest one that does) or a value of the wrong type.
    """
    base = folder or Path.cwd()
    for path, keys in ((base / "memaudit.toml", ()), (base / "pyproject.toml", ("tool", "memaudit"))):
        if not path.is_file():
            continue
        table = _table(path, keys)
        if table is not None:
            scan, flat = table.get("scan", {}), {key: value for key, value in table.items() if key != "scan"}
            return _checked({**flat, **scan} if isinstance(scan, dict) else scan, path)
    return {}


def _table(path: Path, keys: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not valid TOML", str(error), "mend the file or move it away") from error
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else None


def _checked(settings: Any, path: Path) -> dict[str, Any]:
    if not isinstance(settings, dict):
        raise UsageError(f"[scan] in {path.name} is not a table", f"found {type(settings).__name__}")
    for key, value in settings.items():
        if key not in SETTINGS and isinstance(value, dict):
            raise UsageError(f"unknown table [{key}] in {path.name}", "known: [scan]", "move the settings under [scan]")
        if key not in SETTINGS:
            near = difflib.get_close_matches(key.replace("_", "-"), SETTINGS, n=1)
            known = f"known: {', '.join(SETTINGS)}"
            raise UsageError(f"unknown setting {key!r} in {path.name}", known, f"{near[0]} = ..." if near else "")
        kind = SETTINGS[key]
        fits = isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)
        if kind is list:
            fits = isinstance(value, (str, list)) and all(isinstance(v, str) for v in value)
        if not fits:
            raise UsageError(
                f"setting {key!r} in {path.name} has the wrong type", f"found {value!r}, wanted {kind.__name__}"
            )
    return settings


def machine_memory() -> int:
    """Bytes of physical memory of this machine, 0 where that is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def parse_size(text: str) -> int:
    """Bytes of "4GB", "512MiB", "1.5g" or a plain number. Raises UsageError for anything else."""
    units = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
    cleaned = text.strip().lower().removesuffix("b")
    number = cleaned.rstrip("kmgti")
    unit = cleaned[len(number) :]
    try:
        size = int(float(number) * units[unit])
    except (KeyError, ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not a size", "wanted a number with an optional unit", "--memory 4GB") from error
    if size <= 0:
        raise UsageError(f"{text!r} is not a size", "it must be above zero", "--memory 4GB")
    return size
