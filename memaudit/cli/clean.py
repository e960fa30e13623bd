"""`memaudit clean`: the dataset without its dangerous repetition."""

from __future__ import annotations

import shlex
import sys

import click

from memaudit.cli.root import ALLOW, AUDIT, SEVERITIES, note, opened_audit, progress_for
from memaudit.streams import STDOUT, colored, deliver, width


@click.command()
@AUDIT
@click.option("--output", "-o", metavar="DIR", help="New folder for the cleaned files and the lists.")
@click.option(
    "--min-severity",
    type=click.Choice(SEVERITIES),
    default="high",
    show_default=True,
    help="Findings that remove rows: from here on.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="K",
    help="Rows of a template that stay.",
)
@click.option("--only-verified", is_flag=True, help="Only findings that a verdict confirms.")
@click.option("--captions-only", is_flag=True, help="The same caption is a duplicate whatever its picture.")
@click.option(
    "--keep-by",
    metavar="COLUMN",
    help="Of duplicates the row with the highest value stays (-COLUMN: the lowest). Default: the first row.",
)
@click.option("--list-only", is_flag=True, help="Write the lists (removed.csv, keep.parquet) and copy no file.")
@click.option("--dry-run", is_flag=True, help="Say what would go; write nothing.")
@click.option("--fresh", is_flag=True, help="Replace another cleaned dataset in DIR.")
@click.option("--format", "-f", type=click.Choice(("terminal", "json")), default="terminal", show_default=True)
@ALLOW
@click.pass_context
def clean(
    ctx: click.Context,
    audit: str,
    output: str | None,
    min_severity: str,
    keep: int,
    only_verified: bool,
    captions_only: bool,
    keep_by: str | None,
    list_only: bool,
    dry_run: bool,
    fresh: bool,
    format: str,  # noqa: A002
    allow: str | None,
) -> None:
    """Write the cleaned dataset, or the plan for it.

    Of rows with the same (or nearly the same) caption and the same picture one stays, of each caption template K rows;
    only findings from --min-severity on count, suppressed ones never. Each file is copied without the rows that go:
    its schema, order and compression stay. removed.csv says why each row went, keep.parquet lists what stays. Where the
    dataset has no pictures' hashes or references, DIR gets plan.csv only, unless --captions-only.
    """
    from memaudit.clean.run import clean as write
    from memaudit.clean.settings import CleanConfig
    from memaudit.report.machine import to_json
    from memaudit.report.terminal import render_cleaned

    config = CleanConfig(min_severity, keep, only_verified, captions_only, keep_by, list_only)
    done = write(opened_audit(audit, allow), output, config, progress_for(ctx), dry_run, fresh)
    if format == "json":
        deliver(to_json(done.summary), STDOUT)
        return
    deliver(render_cleaned(done.summary, output, width(), colored(sys.stdout)), STDOUT)
    for line in _next(done.summary, audit, output):
        note(ctx, line)


def _next(summary: dict[str, object], audit: str, output: str | None) -> list[str]:
    if summary["status"] == "plan":
        command = ["memaudit", "clean", audit, "-o", output or "DIR", "--captions-only"]
        return [f"next  {shlex.join(command)}"]
    if summary["status"] == "cleaned" and output:
        return [f"next  {shlex.join(['memaudit', 'scan', output, '-o', f'{output}-audit', '--baseline', audit])}"]
    return []
