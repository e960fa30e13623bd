"""The group of all commands: what they share, and what becomes of their errors."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memaudit import __version__
from memaudit.errors import EXIT_BAD_INPUT, EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_OK, MemauditError
from memaudit.streams import say, silence_stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.progress import Progress
    from memaudit.store import Audit

SEVERITIES = ("info", "low", "medium", "high", "critical")  # as in schemas, which would load polars


class Root(click.Group):
    """The group of all commands: what they raise becomes three lines on stderr and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.obj = list(args)  # as typed, for the command that resumes
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except (click.exceptions.Exit, click.ClickException):
            raise
        except BrokenPipeError:
            silence_stdout()
            ctx.exit(EXIT_OK)
        except KeyboardInterrupt:
            say(_how_to_resume(ctx.obj))
            ctx.exit(EXIT_INTERRUPTED)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            lines, code = _message(error)
            say("\n".join(lines))
            ctx.exit(code)


def _message(error: Exception) -> tuple[list[str], int]:
    """What, why and what to try of any exception, and the exit code."""
    if isinstance(error, MemauditError):
        return error.lines(), error.exit_code
    why = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    if isinstance(error, MemoryError):
        return ["error: out of memory", f"  {why}", "  try: --memory with less, or fewer files"], EXIT_INCOMPLETE
    if isinstance(error, OSError):
        what = f"cannot read or write {error.filename}" if error.filename else "the system refused"
        return [
            f"error: {what}",
            f"  {error.strerror or why}",
            "  try: check the path and its permissions",
        ], EXIT_BAD_INPUT
    hint = "  try: memaudit --debug COMMAND, and report what it prints"
    return ["error: memaudit failed; this is a fault in memaudit", f"  {why}", hint], EXIT_INCOMPLETE


def _how_to_resume(args: Sequence[str]) -> str:
    again = [arg for arg in args if arg != "--fresh"]
    verb = "continue" if {"scan", "verify", "clean"} & set(again) else "try again"
    return f"interrupted\n  nothing unfinished is taken for finished\n  {verb}: {shlex.join(['memaudit', *again])}"


def progress_for(ctx: click.Context) -> Progress:
    from memaudit.progress import for_terminal

    return for_terminal(quiet=bool(ctx.find_root().params["quiet"]))


def note(ctx: click.Context, text: str) -> None:
    if not ctx.find_root().params["quiet"]:
        say(text)


def opened_audit(folder: str, allow: str | None) -> Audit:
    from memaudit.store import open_audit

    return open_audit(folder, None if allow is None else Path(allow))


def note_idle(ctx: click.Context, audit: Audit) -> None:
    """Name the entries of the allow-list that suppress nothing."""
    from memaudit.report import idle_entries

    for line in idle_entries(audit):
        note(ctx, line)


CONTEXT = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MEMAUDIT", "max_content_width": 100}
AUDIT = click.argument("audit", type=click.Path())
ALLOW = click.option(
    "--allow", type=click.Path(), metavar="FILE", help="Allow-list. Default: memaudit-allow.toml beside the audit."
)


@click.group(cls=Root, context_settings=CONTEXT)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes on stderr; errors still.")
@click.version_option(__version__, "--version", "-V", message="memaudit %(version)s")
@click.pass_context
def main(ctx: click.Context, debug: bool, quiet: bool) -> None:  # noqa: ARG001 (both are read from the context)
    """Find the repeated captions that text-to-image models memorise, before training.

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 findings at or above --fail-on, 2 usage,
    3 bad input, 4 incomplete, 130 interrupted.
    """
    if ctx.invoked_subcommand == "scan":
        from memaudit.config import load_settings

        ctx.default_map = {"scan": _defaults(load_settings())}


def _defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as click's parameter names; one column is a list of one."""
    lists = ("column", "weight-column", "expected-trigger")
    return {
        key.replace("-", "_"): [value] if key in lists and isinstance(value, str) else value
        for key, value in settings.items()
    }
