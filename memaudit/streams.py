"""Where text goes: results to stdout or a file, everything else to stderr, and nothing fails on an odd encoding."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from memaudit.errors import UsageError

STDOUT = "-"
WIDTH = 100  # cells of a report that goes to no terminal


def silence_stdout() -> None:
    """Nobody reads stdout any more: let the interpreter's last flush succeed."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """A line on stderr; what its encoding cannot hold is escaped."""
    put(text + "\n", sys.stderr)


def put(text: str, stream: Any) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    said = text.encode(encoding, "backslashreplace").decode(encoding)
    if stream is not sys.stderr:
        stream.write(said)
        stream.flush()
        return
    with contextlib.suppress(OSError, ValueError):  # a note that nobody reads must not end the work
        stream.write(said)
        stream.flush()


def colored(stream: Any) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR (no-color.org) or a dumb terminal says no."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    return shutil.get_terminal_size((WIDTH, 24)).columns


def deliver(text: str, output: str) -> None:
    """Write a report to stdout or, whole or not at all, to a file."""
    if output == STDOUT:
        put(text, sys.stdout)
        return
    from memaudit.store import write_atomically

    try:
        write_atomically(Path(output), text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"cannot write {output}", error.strerror or str(error), "another name after -o") from error
