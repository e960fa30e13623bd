"""Pieces of lines and tables. Captions reach rich as `Text`, never as markup."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from memaudit.report import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

NARROWEST, WIDEST = 40, 180  # longer lines are no pleasure to read
WIDE = 140  # from here on the findings are a table
SEVERITY_STYLES = {
    "critical": "bold white on red",
    "high": "bold red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
}
TITLE, QUIET, SHAPE, BAR = "bold", "dim", "magenta", "blue"
SHAPES = frozenset({"<num>", "<size>", "<roman>", "<code>"})
SLOT = "<*>"
VALUE = 24  # cells of a slot's value in the list of findings
WORD = 12  # characters that may be given up to cut between words
_EIGHTHS = " ▏▎▍▌▋▊▉"


def clamped(width: int | None) -> int:
    return min(max(width or shutil.get_terminal_size((80, 24)).columns, NARROWEST), WIDEST)


def printed(parts: Iterable[RenderableType], width: int, color: bool) -> str:
    """Renderables as one string; without colour also without blanks at the ends of lines."""
    console = Console(
        file=io.StringIO(), width=width, color_system="standard" if color else None, force_terminal=color,
        no_color=not color, highlight=False, markup=False, emoji=False, legacy_windows=False, _environ={},
    )  # fmt: skip
    for part in parts:
        whole = isinstance(part, Text) and part.no_wrap  # which rich forgets when it joins texts
        console.print(part, crop=False, no_wrap=whole or None, overflow="ignore" if whole else None)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    return text if color else "\n".join(line.rstrip() for line in text.split("\n"))


# Pieces of lines


def fit(text: str, cells: int) -> str:
    """`text`, already escaped, in at most so many cells; "…" stands for the middle of what is longer."""
    if cell_len(text) <= cells:
        return text
    room = max(0, cells - 3)
    head, tail = set_cell_size(text, room - room // 3).rstrip(), text[-cells:]
    while cell_len(tail) > room // 3:
        tail = tail[1:]
    if " " in head[-WORD:] and len(head) > WORD and text[len(head) : len(head) + 1] != " ":
        head = head[: head.rindex(" ")]
    if " " in tail[:WORD] and len(tail) > WORD and text[-len(tail) - 1] != " ":
        tail = tail[tail.index(" ") + 1 :]
    gap = " … " if " " in text else "…"
    return set_cell_size(f"{head}{gap}{tail.lstrip()}", cells).rstrip()


def end(path: str, cells: int) -> str:
    """A path, already escaped, of which only the end is kept where it is long."""
    if cell_len(path) <= cells:
        return path
    path = path[-cells:]  # a character takes a cell or two; measuring the whole again and again costs its square
    while cell_len(path) > cells - 1:
        path = path[1:]
    return f"…{path}"


def shown(entry: dict[str, Any], cells: int | None = None) -> Text:
    """The template, else the caption of a finding or variant, on one line of `cells`."""
    template = entry.get("template")
    text = escape.terminal(entry["representative"] if template is None else template)
    text = fit(text, cells) if cells else text
    return Text(text) if template is None else styled(text)


def styled(template: str) -> Text:
    """A template with its slots, ends and shapes set apart from its words."""
    out = Text()
    words = template.split(" ")
    for i, word in enumerate(words):
        quiet = word in (SLOT, "…") or (word, i) == ("^", 0) or (word, i) == ("$", len(words) - 1)
        out.append(word, QUIET if quiet else SHAPE if word in SHAPES else "")
        out.append(" " if i < len(words) - 1 else "")
    return out


def flow(items: Sequence[str], width: int, between: str = " · ") -> list[str]:
    """Items joined into lines of at most `width` cells, broken only between items."""
    lines: list[str] = []
    for item in items:
        if lines and cell_len(lines[-1]) + cell_len(between) + cell_len(item) <= width:
            lines[-1] += between + item
        else:
            lines.append(fit(item, width))
    return lines


def bar(share: float | None, cells: int) -> Text:
    """A bar of eighths of a cell; whatever is above zero can be seen."""
    eighths = max(round((share or 0) * cells * 8), 1 if share else 0)
    return Text("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip(), BAR)


def severity(name: str) -> Text:
    return Text(name, SEVERITY_STYLES.get(name, ""))


def grid(*columns: str, gap: int = 2) -> Table:
    """A table without lines. columns: "left" or "right"."""
    table = Table.grid(padding=(0, gap, 0, 0))
    for justify in columns:
        table.add_column(justify="right" if justify == "right" else "left", no_wrap=True, overflow="ellipsis")
    return table


def section(title: str, body: RenderableType) -> list[RenderableType]:
    return [Text(title, TITLE), Padding(body, (0, 0, 1, 2))]


def suppressed(entry: dict[str, Any]) -> list[str]:
    why = f": {escape.terminal(entry['reason'], 200)}" if entry["reason"] else ""
    return [f"suppressed{why}"] if entry["suppressed"] else []


def quoted(words: str) -> str:
    return f'"{escape.terminal(words, 120)}"'


def footer(report: dict[str, Any]) -> list[RenderableType]:
    return [Text(note, QUIET) for note in report["notes"]]
