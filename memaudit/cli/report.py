"""`memaudit report` and `memaudit show`: what a stored audit says."""

from __future__ import annotations

import sys

import click

from memaudit.cli.root import ALLOW, AUDIT, note, note_idle, opened_audit
from memaudit.streams import STDOUT, colored, deliver, width


@click.command()
@AUDIT
@click.option("--format", "-f", type=click.Choice(("terminal", "md", "json")), default="terminal", show_default=True)
@click.option("--output", "-o", default=STDOUT, metavar="FILE", help="Default: stdout.")
@click.option("--top", type=click.IntRange(min=0), default=20, show_default=True, help="Findings to list.")
@ALLOW
@click.pass_context
def report(ctx: click.Context, audit: str, format: str, output: str, top: int, allow: str | None) -> None:  # noqa: A002
    """Show a finished audit; nothing is computed again."""
    from memaudit.report import next_commands, render_report

    opened, color = opened_audit(audit, allow), output == STDOUT and colored(sys.stdout)
    deliver(render_report(opened, format, width(), color, top), output)
    note_idle(ctx, opened)
    if format == "terminal":
        note(ctx, next_commands(opened))


@click.command()
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

        deliver(to_json(finding(opened_audit(audit, allow), cluster, members)), STDOUT)
        return
    from memaudit.report import next_commands, render_cluster

    opened = opened_audit(audit, allow)
    deliver(render_cluster(opened, cluster, width(), colored(sys.stdout), members), STDOUT)
    note(ctx, next_commands(opened, cluster))
