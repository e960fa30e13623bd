"""A comparison of two audits on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from memaudit.report import escape
from memaudit.report.changes import TITLES, counted, facts, remarks, risks, sizes
from memaudit.report.terminal.pieces import QUIET, TITLE, clamped, end, fit, flow, printed, severity, styled
from memaudit.report.words import number, plural

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(told: dict[str, Any], width: int | None = None, color: bool = False) -> str:
    """A comparison (`diff.told.summary`) as text for a terminal of `width` cells (None: this one's)."""
    width = clamped(width)
    parts: list[RenderableType] = [Text("memaudit diff", TITLE)]
    parts += [_audit(told[side], side, width) for side in ("old", "new")]
    parts += ["", *_counts(told, width)]
    for change, title in TITLES.items():
        entries = [entry for entry in told["changes"] if entry["change"] == change]
        parts += _section(title, entries, told["families"].get(change, 0), width)
    parts += ["", *(Text(escape.terminal(note), QUIET) for note in told["notes"])]
    return printed(parts, width, color)


def _audit(audit: dict[str, Any], side: str, width: int) -> Text:
    what = facts(audit)
    folder = end(escape.terminal(audit["folder"]), max(8, width - len(what) - 7))
    return Text.assemble((f"{side.upper()}  ", QUIET), folder, "  ", (what, QUIET), no_wrap=True)


def _counts(told: dict[str, Any], width: int) -> list[Text]:
    title = "Findings" if told["min_severity"] == "info" else f"Findings from {told['min_severity']}"
    first, *rest = flow(counted(told["counts"]), width - len(title) - 2)
    return [Text.assemble((title, TITLE), "  ", first), *(Text(" " * (len(title) + 2) + line) for line in rest)]


def _section(title: str, entries: list[dict[str, Any]], families: int, width: int) -> list[RenderableType]:
    if not entries:
        return []
    out: list[RenderableType] = ["", Text(title, TITLE)]
    for entry in entries:
        out += _entry(entry, width)
    left = families - len(entries)
    more = f"  and {number(left)} more {'family' if left == 1 else 'families'}"
    return [*out, *([Text(more, QUIET)] if left > 0 else [])]


def _entry(entry: dict[str, Any], width: int) -> list[RenderableType]:
    """Two or three lines: severity, kind, size and name; the text; what else there is to say."""
    name = (entry["new"] or entry["old"])["severity"]
    line = Text("  ").append_text(severity(name)).append(f"{' ' * (8 - len(name))}  {entry['kind']:<8}  ")
    told = [*sizes(entry), *([f"+{plural(entry['variants'], 'variant')}"] if entry["variants"] else [])]
    first, *rest = flow(told, max(8, width - line.cell_len - len(entry["short"]) - 2))
    line.append(first)
    line.append(" " * max(2, width - line.cell_len - len(entry["short"])))
    line.append(entry["short"], QUIET)
    text = fit(escape.terminal(entry["text"]), width - 4)
    body = styled(text) if entry["kind"] == "template" else Text(text)
    more = flow([*rest, *remarks(entry), f"risk {risks(entry)}"], width - 4)
    return [line, *(Padding(part, (0, 0, 0, 4)) for part in (body, *(Text(part, QUIET) for part in more)))]
