"""Errors as a user reads them: what happened, why, and what to try. Each class fixes an exit code."""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_BAD_INPUT = 3
EXIT_INCOMPLETE = 4
EXIT_INTERRUPTED = 130


class MemauditError(Exception):
    """Base of every error that memaudit raises on purpose.

    what: one sentence that names the thing that went wrong;
    why: what was found where something else was expected;
    hint: a command or change that would help.
    """

    exit_code: ClassVar[int] = EXIT_BAD_INPUT

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def line(self) -> str:
        """What and why in one line, for tables."""
        return ": ".join(part for part in (self.what, self.why) if part)

    def lines(self) -> list[str]:
        """The message in at most three lines, without colour."""
        out = [f"error: {self.what}"]
        if self.why:
            out.append(f"  {self.why}")
        if self.hint:
            out.append(f"  try: {self.hint}")
        return out


class UsageError(MemauditError):
    """The command line or the configuration cannot be carried out as written."""

    exit_code = EXIT_USAGE


class BadInput(MemauditError):
    """A file, a folder or an audit is not what the command needs."""


class Unreachable(BadInput):
    """A store does not answer. A scan stops there instead of taking all files that follow for damaged."""


class NoSpace(MemauditError):
    """The disk is full; what was finished is kept and can be resumed."""

    exit_code = EXIT_INCOMPLETE
