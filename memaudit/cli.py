"""The command line: parse, call, choose the exit code. It computes nothing and loads libraries where they are used."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from memaudit import __version__
from memaudit.errors import (
    EXIT_BAD_INPUT,
    EXIT_FINDINGS,
    EXIT_INCOMPLETE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    MemauditError,
    UsageError,
)
from memaudit.review import review
from memaudit.streams import STDOUT, colored, deliver, say, silence_stdout, width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memaudit.audit import ScanResult
    from memaudit.progress import Progress
    from memaudit.store import Audit

SEVERITIES = ("info", "low", "medium", "high", "critical")  # as in schemas, which would load polars
PRESETS = ("web", "finetune")
VIEWS = ("rows", "members", "clusters", "patterns")
EXPORT_SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".json": "json", ".jsonl": "json"}

_Command = TypeVar("_Command", bound="Callable[..., Any]")


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
    verb = "continue" if "scan" in again else "try again"
    return f"interrupted\n  nothing unfinished is taken for finished\n  {verb}: {shlex.join(['memaudit', *again])}"


def _option(*names: str, **settings: Any) -> Callable[[_Command], _Command]:
    """An option of `scan` that MEMAUDIT_SCAN_X and, shorter, MEMAUDIT_X set."""
    name = max(names, key=len).lstrip("-").upper().replace("-", "_")
    return click.option(*names, envvar=[f"MEMAUDIT_SCAN_{name}", f"MEMAUDIT_{name}"], **settings)


def _progress(ctx: click.Context) -> Progress:
    from memaudit.progress import for_terminal

    return for_terminal(quiet=bool(ctx.find_root().params["quiet"]))


def _note(ctx: click.Context, text: str) -> None:
    if not ctx.find_root().params["quiet"]:
        say(text)


def _open(folder: str, allow: str | None) -> Audit:
    from memaudit.store import open_audit

    return open_audit(folder, None if allow is None else Path(allow))


def _note_idle(ctx: click.Context, audit: Audit) -> None:
    """Name the entries of the allow-list that suppress nothing."""
    from memaudit.report import idle_entries

    for line in idle_entries(audit):
        _note(ctx, line)


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


@main.command()
@click.argument("data", nargs=-1, required=True, type=click.Path())
@click.option("--output", "-o", metavar="AUDIT", help="Folder for the audit; made if it is missing.")
@_option("--column", multiple=True, metavar="NAME", help="Caption column; repeat for several. Default: found by name.")
@_option("--id-column", metavar="NAME", help="Column that names a row; passed through to every export.")
@_option("--image-column", metavar="NAME", help="Column with the url or path of the picture.")
@_option("--hash-column", metavar="NAME", help="Column with a hash of the picture: phash, md5, sha256.")
@_option("--weight-column", multiple=True, metavar="NAME", help="How often a row is seen in training; repeatable.")
@_option("--preset", type=click.Choice(PRESETS), default="web", show_default=True, help="finetune: for small sets.")
@_option("--threshold", type=float, help="Jaccard similarity of near duplicates. Default: 0.7.")
@_option("--min-support", type=int, help="Distinct captions that make a template. Default: 3; finetune: 4.")
@_option("--expected-trigger", multiple=True, metavar="WORDS", help="Meant to repeat: no finding. Repeatable.")
@_option(
    "--ner",
    metavar="MODEL",
    help="spaCy model (package or folder) that types slots; ruler or none. Default: as installed.",
)
@_option("--memory", metavar="SIZE", help="Budget such as 8GB. Default: half of the machine.")
@_option("--threads", type=click.IntRange(min=1), help="Default: all cores.")
@_option("--fresh", is_flag=True, help="Replace an audit of other input or configuration in that folder.")
@click.option("--dry-run", is_flag=True, help="Forecast time, memory, disk and exact repetition; writes nothing.")
@_option(
    "--fail-on", type=click.Choice(SEVERITIES), help="Exit with 1 if there is a finding of this severity or above."
)
@ALLOW
@click.pass_context
def scan(
    ctx: click.Context,
    /,
    data: tuple[str, ...],
    output: str | None,
    fresh: bool,
    dry_run: bool,
    fail_on: str | None,
    allow: str | None,
    **asked: Any,
) -> None:
    """Find repeated captions in DATA and rank them by risk.

    DATA: files (parquet, csv, tsv, jsonl), patterns, and folders, which are read recursively; folders of pictures with
    .txt files beside them too. The audit goes into a folder, the report to stdout. The same command again continues a
    scan that was interrupted.
    """
    if output == STDOUT:
        raise UsageError("an audit does not go to stdout", "it is a folder of several files", "-o AUDIT")
    if dry_run:
        ctx.exit(_forecast(data, output, _config(**asked)))
    if output is None:
        raise UsageError("no folder for the audit", "a scan writes one", "-o AUDIT, or --dry-run for a forecast")
    from memaudit.interrupt import interruptible

    with interruptible(EXIT_INTERRUPTED):
        from memaudit.audit import scan as run
        from memaudit.report import next_commands, render_report

        given = None if allow is None else Path(allow)
        result = run(data, Path(output), _config(**asked), fresh=fresh, progress=_progress(ctx), allow=given)
    if result.already_done:
        _note(ctx, f"{output} already holds this audit; --fresh would scan again")
    for path, why in result.bad_files:
        say(f"not read: {path}: {why}" if path not in why else f"not read: {why}")
    deliver(render_report(result.audit, "terminal", width(), colored(sys.stdout)), STDOUT)
    _note_idle(ctx, result.audit)
    _note(ctx, next_commands(result.audit))
    ctx.exit(_exit_code(result, fail_on))


def _forecast(data: Sequence[str], output: str | None, config: Any) -> int:
    """Print what a scan would take; returns the exit code."""
    from memaudit.forecast import forecast
    from memaudit.report.outlook import render

    found = forecast(data, config, None if output is None else Path(output))
    deliver(render(found, width(), colored(sys.stdout)), STDOUT)
    return EXIT_INCOMPLETE if found["bad_files"] else EXIT_OK


def _config(
    column: tuple[str, ...],
    weight_column: tuple[str, ...],
    expected_trigger: tuple[str, ...],
    memory: str | None,
    preset: str,
    **same: Any,
) -> Any:  # ScanConfig, whose module is not loaded yet
    from memaudit.config import PRESETS, ScanConfig, parse_size

    size = None if memory is None else parse_size(memory)
    given = {name: value for name, value in same.items() if value is not None}
    lists: dict[str, Any] = {
        "columns": column, "weight_columns": weight_column, "expected_triggers": expected_trigger
    }  # fmt: skip
    return ScanConfig(preset=preset, memory=size, **lists, **{**PRESETS[preset], **given})


def _exit_code(result: ScanResult, fail_on: str | None) -> int:
    if result.bad_files:
        return EXIT_INCOMPLETE
    if fail_on is None:
        return EXIT_OK
    from memaudit.suppression import current

    found = current(result.audit).findings.filter(suppressed=False)["severity"].cast(str).to_list()
    return EXIT_FINDINGS if set(found) & set(SEVERITIES[SEVERITIES.index(fail_on) :]) else EXIT_OK


@main.command()
@AUDIT
@click.option("--format", "-f", type=click.Choice(("terminal", "md", "json")), default="terminal", show_default=True)
@click.option("--output", "-o", default=STDOUT, metavar="FILE", help="Default: stdout.")
@click.option("--top", type=click.IntRange(min=0), default=20, show_default=True, help="Findings to list.")
@ALLOW
@click.pass_context
def report(ctx: click.Context, audit: str, format: str, output: str, top: int, allow: str | None) -> None:  # noqa: A002
    """Show a finished audit; nothing is computed again."""
    from memaudit.report import next_commands, render_report

    opened, color = _open(audit, allow), output == STDOUT and colored(sys.stdout)
    deliver(render_report(opened, format, width(), color, top), output)
    _note_idle(ctx, opened)
    if format == "terminal":
        _note(ctx, next_commands(opened))


@main.command()
@AUDIT
@click.option("--view", type=click.Choice(VIEWS), default="rows", show_default=True, help="What to list.")
@click.option("--min-severity", type=click.Choice(SEVERITIES), help="Default: high for rows, info for the others.")
@click.option(
    "--format", "-f", type=click.Choice(("csv", "parquet", "json")), help="Default: by the name of FILE, else csv."
)
@click.option("--output", "-o", default=STDOUT, metavar="FILE", help="Default: stdout.")
@click.option("--raw", is_flag=True, help="CSV cells as they are, even those that a spreadsheet would run.")
@ALLOW
@click.pass_context
def export(
    ctx: click.Context,
    audit: str,
    view: str,
    min_severity: str | None,
    format: str | None,  # noqa: A002
    output: str,
    raw: bool,
    allow: str | None,
) -> None:
    """Write a blocklist, the members of all findings, the findings, or patterns.

    rows: the rows to drop; an anti-join on (file, row) or id keeps one of every exact and near cluster. members: every
    row of every finding, to keep or to drop. clusters: the findings. patterns: regular expressions (RE2).
    """
    from memaudit.export import export as write

    chosen = format or EXPORT_SUFFIXES.get(Path(output).suffix.lower(), "csv")
    if chosen == "parquet" and output == STDOUT and sys.stdout.isatty():
        raise UsageError("parquet is not for terminals", "stdout is one", "-o blocklist.parquet")
    out = None if output == STDOUT else Path(output)
    written = write(_open(audit, allow), view, chosen, out, min_severity, raw, _progress(ctx))
    _note(ctx, f"{written.lines:,} lines written{'' if out is None else f' to {output}'}")
    ctx.exit(EXIT_OK if written.complete else EXIT_INCOMPLETE)


@main.command()
@AUDIT
@click.argument("cluster")
@click.option("--format", "-f", type=click.Choice(("terminal", "json")), default="terminal", show_default=True)
@click.option("--members", type=click.IntRange(min=0), default=10, show_default=True, help="Members to list.")
@ALLOW
@click.pass_context
def show(ctx: click.Context, audit: str, cluster: str, format: str, members: int, allow: str | None) -> None:  # noqa: A002
    """One finding in full. CLUSTER: its number, its fingerprint, or the start of it."""
    if format == "json":
        from memaudit.report.machine import to_json
        from memaudit.report.summary import finding

        deliver(to_json(finding(_open(audit, allow), cluster, members)), STDOUT)
        return
    from memaudit.report import next_commands, render_cluster

    opened = _open(audit, allow)
    deliver(render_cluster(opened, cluster, width(), colored(sys.stdout), members), STDOUT)
    _note(ctx, next_commands(opened, cluster))


main.add_command(review)


@main.command()
@click.argument("code", required=False)
def rules(code: str | None) -> None:
    """The rule catalogue: what a finding means and what to do about it."""
    from memaudit.rules import catalogue, rule

    if code is None:
        lines = [f"{r.code}  {r.kind:<9} {r.title}" for r in catalogue().values()]
        deliver("\n".join([*lines, "", "memaudit rules CODE says more."]) + "\n", STDOUT)
        return
    one = rule(code)
    facts = {"kind": one.kind, "what": one.what, "example": one.example, "remedy": one.remedy}
    if one.references:
        facts["see"] = ", ".join(one.references)
    body = [click.wrap_text(text, width(), f"{name:<9}", " " * 9) for name, text in facts.items()]
    deliver("\n".join([f"{one.code}  {one.title}", "", *body]) + "\n", STDOUT)


@main.command()
def doctor() -> None:
    """Versions, devices, memory, what is missing and how to get it."""
    from memaudit.doctor import report_lines

    deliver("\n".join(report_lines()) + "\n", STDOUT)
