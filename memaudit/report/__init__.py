"""Reports: a stored audit becomes one plain dict, and the dict becomes text. Nothing is recomputed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memaudit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memaudit.report.html import Gallery
    from memaudit.store import Audit

FORMATS = ("terminal", "md", "json", "html")
LINES = 5000  # findings that the table of a page holds at most


def render_report(audit: Audit, format: str, width: int | None = None, color: bool = False, top: int = 20) -> str:  # noqa: A002
    """The report of an audit as text that ends in a newline.

    format: one of `FORMATS`. width (cells; None: as wide as the terminal) and color matter to "terminal" only; NO_COLOR
    is the caller's business. top: families shown. Raises UsageError for an unknown format, BadInput for a bad audit.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown report format {format!r}", f"known: {', '.join(FORMATS)}", "-f terminal")
    if format == "html":
        return render_page(audit, top)
    from memaudit.report.summary import summary

    report = summary(audit, top)
    if format == "terminal":
        from memaudit.report.terminal import render

        return render(report, width, color)
    from memaudit.report import machine

    return machine.to_json(report) if format == "json" else machine.to_markdown(report)


def render_page(
    audit: Audit,
    top: int = 100,
    pictures: Callable[[Sequence[dict[str, Any]]], Gallery] | None = None,
    redact: bool = False,
) -> str:
    """The report of an audit as one self-contained HTML page; the same audit gives the same bytes.

    top: families shown in full, and findings that a model copies. pictures: what to embed for these (`gallery.gallery`
    makes it); None for none. redact: what can be shared, without captions, pictures, paths, ids and sites. Raises
    BadInput for a bad audit.
    """
    from memaudit.report.html import render
    from memaudit.report.summary import summary

    report = summary(audit, top, LINES)
    return render(report, pictures(report["cards"]) if pictures and not redact else None, redact)


def next_commands(audit: Audit, cluster: int | str | None = None) -> str:
    """What to type next, one command a line, after a report or after `show` of a cluster; escaped for a terminal."""
    from memaudit.report import escape
    from memaudit.report.summary import finding, summary

    told = summary(audit, 1) if cluster is None else finding(audit, cluster, 0)
    return "\n".join(f"{'next  ' if i == 0 else '      '}{escape.terminal(c)}" for i, c in enumerate(told["next"]))


def idle_entries(audit: Audit, most: int = 5) -> list[str]:
    """Entries of the allow-list that suppress nothing, and why; escaped for a terminal."""
    from memaudit.report import escape
    from memaudit.suppression import current

    now, out = current(audit), []
    for entries, why in ((now.unmatched, "matches no finding"), (now.expired, "has expired")):
        for entry in entries[:most]:
            date = f" on {entry.expires}" if entry in now.expired else ""
            said = f": {escape.terminal(entry.reason, 80)}" if entry.reason else ""
            out.append(f"allow-list: {escape.terminal(entry.name, 80)} {why}{date}{said}")
        out += [f"allow-list: {len(entries) - most:,} more that {why}"] if len(entries) > most else []
    return out


def render_cluster(
    audit: Audit, cluster: int | str, width: int | None = None, color: bool = False, members: int = 10
) -> str:
    """One cluster in full for the terminal; `memaudit show`. Raises as `summary.finding` does."""
    from memaudit.report.summary import finding
    from memaudit.report.terminal import render_finding

    return render_finding(finding(audit, cluster, members), width, color)
