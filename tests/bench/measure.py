"""Times one command as a process of its own: wall and CPU seconds, peak memory, and what a watched audit folder held.

A small launcher starts the command, because Linux counts the memory of the process that forks towards the peak of the
child: a benchmark that holds data would measure itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POLL = 0.2  # seconds between two looks at a watched folder
MEGABYTE = 1e6


@dataclass(frozen=True)
class Measured:
    """One run. seconds: wall; cpu: user and system seconds, children included; peak: MB of the largest process.

    disk: MB that the watched folder's work/ held at most, and stages: what each finished stage took, where a folder was
    watched. output: stdout; errors: the last lines of stderr.
    """

    seconds: float
    cpu: float
    peak: float
    code: int
    output: str = ""
    errors: str = ""
    disk: float = 0.0
    stages: dict[str, dict[str, float]] = field(default_factory=dict)

    def said(self) -> dict[str, Any]:
        """The JSON object on the last line of stdout; empty where there is none."""
        lines = self.output.strip().splitlines()
        return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


def measure(
    command: Sequence[str | Path],
    *,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    watch: Path | None = None,
) -> Measured:
    """Run `command` and wait. watch: the audit folder that it writes.

    Raises RuntimeError with the end of its stderr when it fails, unless `check` is false.
    """
    launcher = [sys.executable, "-S", "-E", __file__, str(watch or ""), *map(str, command)]
    done = subprocess.run(launcher, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise RuntimeError(f"the launcher failed: {done.stderr[-2000:]}")
    *output, last = done.stdout.rstrip("\n").split("\n")
    found = Measured(**json.loads(last), output="\n".join(output), errors=done.stderr[-2000:])
    if check and found.code:
        raise RuntimeError(f"exit code {found.code}: {' '.join(map(str, command))}\n{found.errors}")
    return found


class Watch:
    """Looks at an audit folder and a process again and again: disk in work/, CPU and peak memory when a stage ends."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder, self.pid = folder, pid
        self.disk = 0
        self.stages: dict[str, dict[str, float]] = {}
        self._before = (0.0, 0.0)  # wall seconds, CPU seconds at the end of the last stage
        self._started = time.perf_counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(POLL):
            self.disk = max(self.disk, disk_used(self.folder / "work"))
            try:
                self._look(process_cpu(self.pid), process_peak(self.pid))
            except OSError:  # it is gone
                return

    def _look(self, cpu: float, peak: float) -> None:
        new = [name for name in finished_stages(self.folder) if name not in self.stages]
        for name in new:
            now = time.perf_counter() - self._started
            self.stages[name] = {"seconds": now - self._before[0], "cpu": cpu - self._before[1], "peak": peak}
            self._before = (now, cpu)

    def close(self, cpu: float, peak: float) -> None:
        """The process has ended: what it took in all goes to the stages that were not seen to end."""
        self._stop.set()
        self._thread.join()
        self._look(cpu, peak)


def finished_stages(folder: Path) -> list[str]:
    """Stages that the manifest of an audit lists, none while it cannot be read."""
    try:
        return list(json.loads((folder / "manifest.json").read_bytes())["stages"])
    except (OSError, ValueError, KeyError):
        return []


def disk_used(folder: Path) -> int:
    """Bytes that the files below `folder` take on disk (holes do not count)."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(path, name)).st_blocks * 512  # noqa: PTH116, PTH118 (20,000 files)
            except OSError:
                continue
    return total


def process_cpu(pid: int) -> float:
    """User and system seconds of a process so far, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def process_peak(pid: int) -> float:
    """Peak resident MB of a process so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    return 0.0


def launch(watch: str, command: list[str]) -> None:
    """Run `command`, its output passed on, and print what it took as the last line."""
    started = time.perf_counter()
    process = subprocess.Popen(command)
    watching = Watch(Path(watch), process.pid) if watch and Path("/proc/self/stat").exists() else None
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MEGABYTE
    found = {"seconds": seconds, "cpu": cpu, "peak": peak, "code": os.waitstatus_to_exitcode(status)}
    if watching:
        watching.close(cpu, peak)
        found |= {"disk": watching.disk / MEGABYTE, "stages": watching.stages}
    print("\n" + json.dumps(found), flush=True)


if __name__ == "__main__":
    launch(sys.argv[1], sys.argv[2:])
