"""What a figure was measured on: processor, cores, memory, versions, date. Never a host name or a path."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ASK = """
import json, sys
from importlib import metadata
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def machine() -> str:
    """One line: processor, cores of this process, memory, system and Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor()}, {cores} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def processor() -> str:
    """The model that the kernel names, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def versions(names: Sequence[str], python: str | Path = sys.executable) -> dict[str, str]:
    """Versions of the distributions among `names` that are installed for the interpreter `python`."""
    if str(python) == sys.executable:
        return {name: found for name in names if (found := _version(name))}
    asked = subprocess.run([str(python), "-c", _ASK, *names], capture_output=True, text=True, check=True)
    return dict(json.loads(asked.stdout))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
