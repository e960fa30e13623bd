"""`memaudit scan`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from memaudit.cli.root import ALLOW, SEVERITIES, note, note_idle, opened_audit, progress_for
from memaudit.errors import EXIT_FINDINGS, EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_OK, UsageError
from memaudit.streams import STDOUT, colored, deliver, say, width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memaudit.audit import ScanResult
    from memaudit.store import Audit

PRESETS = ("web", "finetune")
SHORT = 3  # families of each change since a baseline

_Command = TypeVar("_Command", bound="Callable[..., Any]")


def _option(*names: str, **settings: Any) -> Callable[[_Command], _Command]:
    """An option of `scan` that MEMAUDIT_SCAN_X and, shorter, MEMAUDIT_X set."""
    name = max(names, key=len).lstrip("-").upper().replace("-", "_")
    return click.option(*names, envvar=[f"MEMAUDIT_SCAN_{name}", f"MEMAUDIT_{name}"], **settings)


@click.command()
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
@click.option(
    "--baseline",
    type=click.Path(),
    metavar="OLD",
    help="Compare with this audit; --fail-on counts what is worse since.",
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
    baseline: str | None,
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
    from memaudit.config import asked_for

    if dry_run:
        ctx.exit(_forecast(data, output, asked_for(**asked)))
    if output is None:
        raise UsageError("no folder for the audit", "a scan writes one", "-o AUDIT, or --dry-run for a forecast")
    old = None if baseline is None else _baseline(baseline, output, allow)
    from memaudit.interrupt import interruptible

    with interruptible(EXIT_INTERRUPTED):
        from memaudit.audit import scan as run
        from memaudit.report import next_commands, render_report

        given = None if allow is None else Path(allow)
        result = run(data, Path(output), asked_for(**asked), fresh=fresh, progress=progress_for(ctx), allow=given)
    if result.already_done:
        note(ctx, f"{output} already holds this audit; --fresh would scan again")
    for path, why in result.bad_files:
        say(f"not read: {path}: {why}" if path not in why else f"not read: {why}")
    deliver(render_report(result.audit, "terminal", width(), colored(sys.stdout)), STDOUT)
    since = None if old is None else _compare(ctx, old, result.audit, fail_on)
    note_idle(ctx, result.audit)
    note(ctx, next_commands(result.audit))
    ctx.exit(_exit_code(result, fail_on) if since is None or result.bad_files else since)


def _baseline(folder: str, output: str, allow: str | None) -> Audit:
    """The audit to compare with, opened before the work. Raises UsageError where the scan would write into it."""
    if Path(folder).resolve() == Path(output).resolve():
        raise UsageError("the baseline is the folder that the scan writes", folder, "another folder after -o")
    return opened_audit(folder, allow)


def _compare(ctx: click.Context, old: Audit, new: Audit, fail_on: str | None) -> int:
    """Print what changed since the baseline, in short; returns the exit code."""
    from memaudit.cli.diff import gate, rendered
    from memaudit.diff import diff

    found = diff(old, new)
    deliver("\n" + rendered(found, "terminal", colored(sys.stdout), SHORT, short=True), STDOUT)
    note(ctx, f"in full: {shlex.join(['memaudit', 'diff', str(old.folder), str(new.folder)])}")
    return gate(ctx, found, fail_on)


def _forecast(data: Sequence[str], output: str | None, config: Any) -> int:
    """Print what a scan would take; returns the exit code."""
    from memaudit.forecast import forecast
    from memaudit.report.outlook import render

    found = forecast(data, config, None if output is None else Path(output))
    deliver(render(found, width(), colored(sys.stdout)), STDOUT)
    return EXIT_INCOMPLETE if found["bad_files"] else EXIT_OK


def _exit_code(result: ScanResult, fail_on: str | None) -> int:
    if result.bad_files:
        return EXIT_INCOMPLETE
    if fail_on is None:
        return EXIT_OK
    from memaudit.verdicts import judged

    found = judged(result.audit).findings.filter(suppressed=False)["severity"].cast(str).to_list()
    return EXIT_FINDINGS if set(found) & set(SEVERITIES[SEVERITIES.index(fail_on) :]) else EXIT_OK
