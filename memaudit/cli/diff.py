"""`memaudit diff`: two audits beside each other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from memaudit.cli.root import ALLOW, SEVERITIES, note, opened_audit
from memaudit.errors import EXIT_FINDINGS, EXIT_OK
from memaudit.streams import STDOUT, colored, deliver, width

if TYPE_CHECKING:
    from memaudit.diff import Diff


@click.command()
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--format", "-f", type=click.Choice(("terminal", "md", "json")), default="terminal", show_default=True)
@click.option("--output", "-o", default=STDOUT, metavar="FILE", help="Default: stdout.")
@click.option(
    "--top", type=click.IntRange(min=0), help="Families to list of each change. Default: 10; json: all findings."
)
@click.option(
    "--min-severity", type=click.Choice(SEVERITIES), default="info", show_default=True, help="In either audit."
)
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit with 1 if a finding from here on is new or worse.")
@ALLOW
@click.pass_context
def diff(
    ctx: click.Context,
    old: str,
    new: str,
    format: str,  # noqa: A002
    output: str,
    top: int | None,
    min_severity: str,
    fail_on: str | None,
    allow: str | None,
) -> None:
    """Show which findings of the audit NEW are new since the audit OLD, and which are gone, grown or shrunk.

    Findings are matched by fingerprint and, where that fails, by the captions that both audits hold. --fail-on counts
    what is new or grown since OLD, of a higher severity, or no longer suppressed.
    """
    from memaudit.diff import diff as compare

    found = compare(opened_audit(old, allow), opened_audit(new, allow))
    shown = top if top is not None or format == "json" else 10
    deliver(rendered(found, format, output == STDOUT and colored(sys.stdout), shown, min_severity), output)
    ctx.exit(gate(ctx, found, fail_on))


def rendered(
    found: Diff,
    format: str,  # noqa: A002
    color: bool,
    top: int | None,
    min_severity: str = "info",
    short: bool = False,
) -> str:
    """A comparison as text. short: only what is worse is listed."""
    from memaudit.diff.told import summary
    from memaudit.report.changes import render_changes

    return render_changes(summary(found, top, min_severity, short), format, width(), color)


def gate(ctx: click.Context, found: Diff, fail_on: str | None) -> int:
    """The exit code: whether something at or above `fail_on` is new or worse."""
    if fail_on is None:
        return EXIT_OK
    from memaudit.diff import worse

    n = worse(found, fail_on)
    if n:
        are = "finding is" if n == 1 else "findings are"
        note(ctx, f"{n:,} {are} new or worse since {found.old['folder']}, {fail_on} or above")
    return EXIT_FINDINGS if n else EXIT_OK
