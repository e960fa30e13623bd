"""`memaudit report` and `memaudit show`: what a stored audit says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memaudit.cli.root import ALLOW, AUDIT, note, note_idle, opened_audit
from memaudit.errors import UsageError
from memaudit.streams import STDOUT, colored, deliver, width

if TYPE_CHECKING:
    from memaudit.store import Audit

FORMATS = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}


@click.command()
@AUDIT
@click.option(
    "--format",
    "-f",
    type=click.Choice(("terminal", "md", "json", "html")),
    help="Default: by FILE's name, else terminal.",
)
@click.option("--output", "-o", default=STDOUT, metavar="FILE", help="Default: stdout.")
@click.option("--top", type=click.IntRange(min=0), help="Findings to list; in full, of html. Default: 20, html 100.")
@click.option("--pictures", is_flag=True, help="html: embed the nearest training pictures beside generated ones.")
@click.option("--redact", is_flag=True, help="html: a page to share, without captions, pictures, paths, ids or sites.")
@click.option("--image-root", type=click.Path(), metavar="DIR", help="For --pictures: as verify was told.")
@click.option("--image-column", metavar="NAME", help="For --pictures: as verify was told.")
@ALLOW
@click.pass_context
def report(
    ctx: click.Context,
    /,
    audit: str,
    format: str | None,  # noqa: A002
    output: str,
    top: int | None,
    allow: str | None,
    redact: bool,
    **asked: Any,
) -> None:
    """Show a finished audit; nothing is computed again.

    html is one page that loads nothing: charts, a table of all findings, and a card for each of the first --top. It
    holds generated pictures, and training pictures only with --pictures.
    """
    from memaudit.report import next_commands, render_report

    format = format or FORMATS.get(Path(output).suffix.lower(), "terminal")  # noqa: A001
    if format != "html" and (redact or any(asked.values())):
        raise UsageError(
            "--pictures, --redact and --image-* are for html", f"this is {format}", "-f html -o report.html"
        )
    opened, color = opened_audit(audit, allow), output == STDOUT and colored(sys.stdout)
    if format == "html":
        deliver(_page(opened, 100 if top is None else top, redact, **asked), output)
    else:
        deliver(render_report(opened, format, width(), color, 20 if top is None else top), output)
    note_idle(ctx, opened)
    if format == "terminal":
        note(ctx, next_commands(opened))


def _page(
    audit: Audit, top: int, redact: bool, pictures: bool, image_root: str | None, image_column: str | None
) -> str:
    from memaudit.report import render_page

    if redact and pictures:
        raise UsageError("--redact and --pictures exclude each other", "a redacted page holds no pictures")
    if (image_root or image_column) and not pictures:
        raise UsageError("--image-root and --image-column are for --pictures", "", "add --pictures")
    if redact:
        return render_page(audit, top, redact=True)
    from memaudit.gallery import gallery

    return render_page(audit, top, lambda cards: gallery(audit, cards, pictures, image_root, image_column))


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
