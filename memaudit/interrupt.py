"""Interrupts: the first one ends a scan in order, at a moment at which nothing is half done; the second one at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(status: int) -> Iterator[None]:
    """The first SIGINT or SIGTERM in the block raises KeyboardInterrupt; another one ends the process with `status`.

    Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        nonlocal asked
        if asked:
            os._exit(status)
        asked = True
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, handle) for number in _ours()}
    try:
        yield
    finally:
        if not asked:  # else the handlers stay: a second signal must not wait for threads that end their work
            _restore(previous)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off what SIGINT and SIGTERM do until the block ends. Costs some microseconds; does nothing outside the main
    thread, where no handler can be set."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.signal(number, lambda n, frame: came.append((n, frame))) for number in _ours()}
    try:
        yield
    finally:
        _restore(handlers)
        for number, _ in came[:1]:
            signal.raise_signal(number)


def _ours() -> list[int]:
    """The signals whose handlers Python knows, and can put back."""
    return [number for number in SIGNALS if signal.getsignal(number) is not None]


def _restore(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
