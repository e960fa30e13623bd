"""A progress for tests: silent, and keeps what it was told."""

from __future__ import annotations

from memaudit.progress import Silent


class Heard(Silent):
    """Keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)
