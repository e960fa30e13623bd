"""What this machine offers and what is missing: versions, cores, memory, caches, extras."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
from pathlib import Path

from memaudit import __version__
from memaudit.config import ScanConfig

DISTRIBUTION = "memaudit-captions"
EXTRAS = {
    "verify": "samples a model",
    "entities": "types slots as people and places",
    "distributed": "scans on several machines",
}
_REQUIREMENT = re.compile(r"""([A-Za-z0-9._-]+)[^;]*(?:;.*extra\s*==\s*['"]([\w-]+)['"])?""")


def report_lines() -> list[str]:
    """The report, a line a fact."""
    needs = requirements()
    lines = [
        f"memaudit    {__version__}",
        f"python      {platform.python_version()} on {platform.platform(terse=True)}",
    ]
    lines += [f"{name:<11} {version(name) or 'missing: reinstall memaudit'}" for name in needs.get("", [])]
    lines += [
        "",
        f"cores       {ScanConfig().worker_count()}",
        f"memory      {_memory()}",
        f"numba cache {_numba_cache()}",
    ]
    lines += [f"gpu         {_gpu()}", ""]
    for extra, purpose in EXTRAS.items():
        missing = [name for name in needs.get(extra, []) if version(name) is None]
        lines.append(
            f"[{extra}]".ljust(15) + (f"missing: {', '.join(missing)}" if missing else "installed") + f" ({purpose})"
        )
        if missing:
            lines.append(f"  try: {_install(extra)}")
    return lines


def requirements() -> dict[str, list[str]]:
    """Distributions that memaudit needs, by extra ("" for the base), as its metadata says; empty without metadata."""
    found: dict[str, list[str]] = {}
    try:
        declared = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return found
    for line in declared:
        if match := _REQUIREMENT.match(line):
            found.setdefault(match[2] or "", []).append(match[1])
    return found


def version(distribution: str) -> str | None:
    """The installed version of a distribution, found without importing it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _install(extra: str) -> str:
    if (Path(__file__).parent.parent / "constraints.txt").is_file():
        return f"pip install -c constraints.txt -e '.[{extra}]'"
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def _memory() -> str:
    from memaudit.config import machine_memory

    total = machine_memory()
    return f"{total / 2**30:.1f} GiB, of which a scan takes up to half" if total else "unknown"


def _numba_cache() -> str:
    """Compiled kernels are kept beside the package, where that is writable, else in the user's cache."""
    asked = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(asked) if asked else Path(__file__).parent
    if os.access(folder, os.W_OK):
        return "writable"
    where = (
        "NUMBA_CACHE_DIR cannot be written"
        if asked
        else "beside the package cannot be written; the user's cache is used"
    )
    return f"{where} (try: NUMBA_CACHE_DIR=FOLDER)"


def _gpu() -> str:
    """What torch sees; torch is loaded only where it is installed."""
    if importlib.util.find_spec("torch") is None:
        return "unknown: needs torch ([verify])"
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return "Apple (mps)" if torch.backends.mps.is_available() else "none: verify would run on the CPU"
