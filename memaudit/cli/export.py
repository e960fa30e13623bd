"""`memaudit export`: blocklists and tables for other programs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from memaudit.cli.root import ALLOW, AUDIT, SEVERITIES, note, opened_audit, progress_for
from memaudit.errors import EXIT_INCOMPLETE, EXIT_OK, UsageError
from memaudit.streams import STDOUT

VIEWS = ("rows", "members", "clusters", "patterns")
VERDICTS = ("replicated", "verbatim", "template", "not_replicated", "screened", "not_run", "error")
"""As in `verdicts`, which would load polars."""


@click.command()
@AUDIT
@click.option("--view", type=click.Choice(VIEWS), default="rows", show_default=True, help="What to list.")
@click.option("--min-severity", type=click.Choice(SEVERITIES), help="Default: high for rows, info for the others.")
@click.option(
    "--format", "-f", type=click.Choice(("csv", "parquet", "json")), help="Default: by the name of FILE, else csv."
)
@click.option(
    "--verdict",
    multiple=True,
    type=click.Choice(VERDICTS),
    help="Only findings with this verdict; replicated is verbatim or template. Repeatable.",
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
    verdict: tuple[str, ...],
    output: str,
    raw: bool,
    allow: str | None,
) -> None:
    """Write a blocklist, the members of all findings, the findings, or patterns.

    rows: the rows to drop; an anti-join on (file, row) or id keeps one of every exact and near cluster. members: every
    row of every finding, to keep or to drop. clusters: the findings. patterns: regular expressions (RE2). Where
    --verdict is given and --min-severity is not, the verdict alone decides.
    """
    from memaudit.export import export as write
    from memaudit.writers import format_of

    chosen = format or format_of(output)
    if chosen == "parquet" and output == STDOUT and sys.stdout.isatty():
        raise UsageError("parquet is not for terminals", "stdout is one", "-o blocklist.parquet")
    out = None if output == STDOUT else Path(output)
    written = write(
        opened_audit(audit, allow), view, chosen, out, min_severity, raw, progress_for(ctx), verdicts=verdict
    )
    note(ctx, f"{written.lines:,} lines written{'' if out is None else f' to {output}'}")
    ctx.exit(EXIT_OK if written.complete else EXIT_INCOMPLETE)
