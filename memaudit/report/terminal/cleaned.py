"""What a cleaning removed, or would, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from memaudit.report import escape
from memaudit.report.terminal.pieces import QUIET, TITLE, bar, clamped, fit, flow, grid, printed
from memaudit.report.words import percent, plural

if TYPE_CHECKING:
    from rich.console import RenderableType

BAR_CELLS = 24
HOW = {
    "exact": ("exact", "same caption and picture"),
    "near": ("near", "nearly the same caption, same picture"),
    "template": ("template", "beyond the rows of a template that stay"),
}
VERB = {"cleaned": "removed", "plan": "would be removed", "dry run": "would be removed"}


def render_cleaned(summary: dict[str, Any], folder: str | None, width: int | None = None, color: bool = False) -> str:
    """The summary of `clean.run.clean`; folder: where it was written, as the user named it."""
    width = clamped(width)
    rows, removed = summary["rows"], summary["removed"]
    where = "" if folder is None or summary["status"] == "dry run" else f"  {escape.terminal(folder)}"
    parts: list[RenderableType] = [Text(fit(f"memaudit clean{where}", width), TITLE)]
    parts += [Text(line) for line in flow(_head(summary), width)]
    parts += ["", _table(summary, rows), ""]
    if not removed:
        parts.append(Text("No row goes: no finding at this severity repeats both caption and picture."))
    parts += [Text(note[0].upper() + note[1:] + ".", QUIET) for note in summary["notes"]]
    parts += [Text(line, QUIET) for line in _written(summary)]
    return printed(parts, width, color)


def _head(summary: dict[str, Any]) -> list[str]:
    verb, share = VERB[summary["status"]], summary["removed"] / summary["rows"] if summary["rows"] else 0
    return [
        f"{summary['rows']:,} rows",
        f"{summary['removed']:,} {verb} ({percent(share)})",
        f"{summary['kept']:,} stay",
        f"{summary['findings']['that_removed']:,} of {plural(summary['findings']['acting'], 'finding')} acted",
    ]


def _table(summary: dict[str, Any], rows: int) -> Padding:
    table = grid("left", "right", "left", "left")
    for how, n in summary["removed_by"].items():
        name, what = HOW[how]
        if summary["config"]["captions_only"]:
            what = what.replace(" and picture", "").replace(", same picture", "")
        table.add_row(Text(name), Text(f"{n:,}"), bar(n / rows if rows else 0, BAR_CELLS), Text(what, QUIET))
    return Padding(table, (0, 0, 0, 2))


def _written(summary: dict[str, Any]) -> list[str]:
    if summary["status"] == "plan":
        return ["plan.csv lists these rows and why."]
    if summary["status"] == "dry run":
        return []
    lists = "removed.csv says why each row went; keep.parquet lists what stays"
    return [f"{lists}, keep.npy its uids for DataComp." if summary.get("uids") else f"{lists}."]
