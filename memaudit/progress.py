"""Progress as a protocol: the library is silent unless a caller passes something that speaks.

The command line passes `RichProgress` on a terminal and `PlainProgress` elsewhere, both on stderr, so that results on
stdout stay clean.
"""

from __future__ import annotations

import contextlib
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Progress(Protocol):
    """What a stage tells the person who waits."""

    def stage(self, name: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
        """Open a stage; the callable it yields takes how many more units are done. `total` None: unknown."""
        ...

    def note(self, message: str) -> None:
        """Say one line that should stay on the screen."""
        ...


class Silent:
    """The default: says nothing."""

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        yield lambda _: None

    def note(self, message: str) -> None:
        pass


class PlainProgress:
    """One line when a stage ends: for logs and pipes, where a bar would be noise."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        started, done = time.monotonic(), 0

        def advance(units: int) -> None:
            nonlocal done
            done += units

        yield advance
        # a known total counts steps, which tell nobody anything
        count = f"{done:,} in " if done and total is None else ""
        self.note(f"{name}: {count}{time.monotonic() - started:.1f} s")

    def note(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads: the work goes on all the same
            print(message, file=self.stream, flush=True)


class RichProgress:
    """A bar per stage on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("[bold]{task.description:<22}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self.console, transient=False) as bar:
            task = bar.add_task(name, total=total)
            yield lambda units: bar.advance(task, units)
            if total is None:
                bar.update(task, total=bar.tasks[0].completed)

    def note(self, message: str) -> None:
        self.console.print(message, markup=False, highlight=False)


def for_terminal(quiet: bool = False) -> Progress:
    """The progress that suits this process's stderr."""
    if quiet:
        return Silent()
    return RichProgress() if sys.stderr.isatty() else PlainProgress()
