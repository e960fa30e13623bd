"""The report of an audit on a terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from memaudit.report import escape
from memaudit.report.terminal.pieces import (
    QUIET,
    TITLE,
    VALUE,
    WIDE,
    bar,
    clamped,
    end,
    fit,
    flow,
    footer,
    grid,
    printed,
    quoted,
    severity,
    shown,
    suppressed,
)
from memaudit.report.terminal.verdicts import models, replicated, verdict_lines
from memaudit.report.words import (
    compact,
    counts,
    number,
    percent,
    plural,
    seconds,
    spelled_reasons,
    spelled_slots,
    spelled_trigger,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from rich.console import RenderableType
    from rich.table import Table


def render(summary: dict[str, Any], width: int | None = None, color: bool = False) -> str:
    """The summary of an audit as text for a terminal of `width` cells (None: this one's)."""
    width = clamped(width)
    parts: list[RenderableType] = [*_header(summary, width), "", _repeats(summary, width), ""]
    parts += _severities(summary["counts"], width)
    if summary["verification"]:
        parts += ["", *models(summary, width)]
    if summary["replicated"]:
        parts += ["", *replicated(summary, width)]
    if summary["findings"]:
        parts += ["", *([Text("By risk", TITLE)] if summary["replicated"] else [])]
        parts += [*(_wide(summary, width) if width >= WIDE else _narrow(summary, width))]
    return printed([*parts, "", *footer(summary)], width, color)


def _header(summary: dict[str, Any], width: int) -> list[Text]:
    inputs, totals = summary["inputs"], summary["totals"]
    name, time = f"memaudit {escape.terminal(summary['tool'])}".rstrip(), seconds(totals["seconds"])
    if totals["captions_per_second"] is not None:
        time += f" · {number(totals['captions_per_second'])} captions/s"
    folder = fit(escape.terminal(summary["folder"]), max(8, width - len(name) - len(time) - 4))
    lines = [
        Text.assemble((name, TITLE), "  ", folder, " " * max(2, width - len(name) - cell_len(folder) - len(time) - 2))
    ]
    lines[0].append(time, QUIET)
    facts = [plural(inputs["files"], "file", False), plural(inputs["rows"], "row", False)]
    if totals["captions"] not in (None, inputs["rows"], inputs["rows"] - inputs["skipped"]):
        facts.append(plural(totals["captions"], "caption", False))
    lines += map(Text, flow([*facts, plural(totals["texts"], "distinct caption", False)], width))
    if inputs["skipped"]:
        reasons = ", ".join(f"{number(n)} {escape.terminal(why)}" for why, n in inputs["skipped_reasons"].items())
        lines.append(Text(f"{plural(inputs['skipped'], 'row', False)} skipped" + (f": {reasons}" if reasons else "")))
    if inputs["n_bad_files"]:
        lines.append(Text(f"{plural(inputs['n_bad_files'], 'file')} not read, or not to the end", "yellow"))
    for bad in inputs["bad_files"][:3]:
        path = end(escape.terminal(bad["path"]), width // 2)
        lines.append(Text(fit(f"  {path}  {escape.terminal(bad['reason'])}", width)))
    if inputs["n_bad_files"] > 3:
        lines.append(Text(f"  and {number(inputs['n_bad_files'] - 3)} more"))
    return lines


def _repeats(summary: dict[str, Any], width: int) -> Table:
    table = grid("left", "right", "right", "right", "right", "left")
    table.add_row(
        Text("What repeats", TITLE), *(Text(t, QUIET) for t in ("clusters", "captions", "rows", "of rows")), ""
    )
    cells = min(30, max(8, width - 62))
    for kind, found in summary["repeats"].items():
        numbers = [number(found[k]) if found[k] is not None else "" for k in ("clusters", "texts", "rows")]
        share = percent(found["share"], 1)
        table.add_row("any of them" if kind == "any" else kind, *numbers, share, bar(found["share"], cells))
    return table


def _severities(totals: dict[str, Any], width: int) -> list[Text]:
    if not totals["findings"]:
        return [Text("No findings", TITLE)]
    line = Text.assemble(("Findings", TITLE), "  ")
    line.append(f"{number(totals['findings'])} in {plural(totals['families'], 'family')}: ")
    for i, (name, n) in enumerate((name, n) for name, n in totals["by_severity"].items() if n):
        line.append(f"{' · ' if i else ''}{number(n)} ").append_text(severity(name))
    if totals["suppressed"]:
        line.append(f" · {number(totals['suppressed'])} suppressed")
    return [line] if line.cell_len <= width else list(line.wrap(Console(width=width, file=io.StringIO()), width))


def _reasons(entry: dict[str, Any], known: Collection[str]) -> list[str]:
    """That it is suppressed, why it is risky (less the features `known`), the words that select it, and its slots."""
    out = [*suppressed(entry), *spelled_reasons(entry, known)]
    out += [spelled_trigger(trigger, quoted) for trigger in entry["triggers"]]
    return out + spelled_slots(entry, lambda value: f'"{fit(escape.terminal(value), VALUE)}"')


def _more(summary: dict[str, Any]) -> list[RenderableType]:
    left = summary["counts"]["families"] - len(summary["findings"])
    return ["", Text(f"and {compact(left)} more {'family' if left == 1 else 'families'}", QUIET)] if left else []


def _narrow(summary: dict[str, Any], width: int) -> list[RenderableType]:
    """Three or four lines a finding."""
    out: list[RenderableType] = []
    for rank, entry in enumerate(summary["findings"], 1):
        line = Text(f"{rank:>2}  ")
        line.append_text(severity(entry["severity"])).append(" " * (8 - len(entry["severity"])))
        line.append(f"  {entry['risk']:.2f}", TITLE).append(f"  {entry['kind']:<8}  ")
        room = width - line.cell_len - len(entry["short"]) - 2
        first, *rest = flow(counts(entry), max(room, 8))
        line.append(first).append(" " * max(2, width - line.cell_len - len(entry["short"])))
        out += [line.append(entry["short"], QUIET), Padding(shown(entry, width - 4), (0, 0, 0, 4))]
        out += [Padding(line, (0, 0, 0, 4)) for line in verdict_lines(summary, entry, width - 4)]
        out += [
            Padding(Text(text, QUIET), (0, 0, 0, 4))
            for text in flow([*rest, *_reasons(entry, ("rows", "texts"))], width - 4)
        ]
        out.append("")
    return [*out[:-1], *_more(summary)]


def _wide(summary: dict[str, Any], width: int) -> list[RenderableType]:
    """A table, two or three lines a finding."""
    listed = summary["findings"]
    optional = {"n_images": "pictures", "n_domains": "domains"}
    known = [key for key in optional if any(entry[key] is not None for entry in listed)]
    table = grid("right", "left", "right", "left", "left", *["right"] * (3 + len(known)), "left")
    numbers = ["rows", "captions", *(optional[key] for key in known), "variants"]
    titles = ["", "severity", "risk", "kind", "template or caption, and why", *numbers, "show"]
    table.add_row(*(Text(title, QUIET) for title in titles))
    handles = max(len(entry["short"]) for entry in listed)
    cells = width - len("20  critical  0.00  template    ") - sum(max(len(t), 6) + 2 for t in numbers) - handles
    for rank, entry in enumerate(listed, 1):
        if rank > 1:
            table.add_row()
        body = Text("\n").join([shown(entry, cells), *verdict_lines(summary, entry, cells)])
        for line in flow(_reasons(entry, ("rows", "texts", "domain_focus")), cells):
            body.append("\n").append(line, QUIET)
        variants = f"+{number(entry['family']['size'] - 1)}" if entry["family"]["size"] > 1 else ""
        values = [compact(entry[key]) if entry[key] is not None else "" for key in ("n_rows", "n_texts", *known)]
        risk = Text(f"{entry['risk']:.2f}", TITLE)
        handle = Text(entry["short"], QUIET)
        table.add_row(str(rank), severity(entry["severity"]), risk, entry["kind"], body, *values, variants, handle)
    return [table, *_more(summary)]
