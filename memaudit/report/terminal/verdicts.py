"""What models did, on a terminal: the runs, the findings that replicate, and one finding's verdicts and pictures.

Names of models, reasons and prompts come from strangers; each is escaped here before it becomes a `Text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.padding import Padding
from rich.text import Text

from memaudit.report import escape
from memaudit.report.terminal.pieces import QUIET, TITLE, WIDE, end, fit, flow, grid, shown
from memaudit.report.verdict_words import (
    RELATION_WORDS,
    by_prompt,
    copied,
    counted,
    heaviest,
    interval,
    run_facts,
    shades,
    signals,
    title,
)
from memaudit.report.words import number, percent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

STYLES = {
    "verbatim": "bold red",
    "template": "bold red",
    "not_replicated": "",
    "screened": "dim",
    "not_run": "dim",
    "error": "yellow",
}
MODEL = 24  # cells of a model's name before its verdict
WHY = 600  # characters of a reason
HEAVY, LIGHT = 0.6, 0.2  # share of the largest weight: words from here on are bold, below here dim


# The page


def models(summary: dict[str, Any], width: int) -> list[RenderableType]:
    """Per model its verdicts and what they rest on."""
    out: list[RenderableType] = [Text("What the model did", TITLE)]
    several = len(summary["verification"]) > 1
    for i, run in enumerate(summary["verification"]):
        out += [""] if i else []
        out += [Padding(line, (0, 0, 0, 2)) for line in _run(run, width - 2)]
    told = set(summary["notes"])
    for note in dict.fromkeys(note for run in summary["verification"] for note in run["notes"] if note not in told):
        whose = [run["model"] for run in summary["verification"] if note in run["notes"]]
        name = f"{_name(whose[0], MODEL)}: " if several and len(whose) == 1 else ""
        out.append(Padding(Text(name + escape.terminal(note, WHY), QUIET), (0, 0, 0, 2)))
    return out


def _run(run: dict[str, Any], width: int) -> list[Text]:
    facts = [RELATION_WORDS.get(run["relation"], "")]
    facts += [f"reference model {_name(run['reference_model'], MODEL)}"] if run["reference_model"] else []
    rest = " · ".join(filter(None, facts))
    lines = [Text(_name(run["model"], width), TITLE)]
    if rest and lines[0].cell_len + cell_len(rest) + 2 <= width:
        lines[0].append(f"  {rest}", "not bold dim")
    elif rest:
        lines += [Text(line, QUIET) for line in flow(_known(facts), width)]
    told = [(text, STYLES.get(name, "")) for name, text in counted(run)] or [("no verdicts", QUIET)]
    lines += _flowed(told, width)
    return lines + [Text(line, QUIET) for line in flow([escape.terminal(fact) for fact in run_facts(run)], width)]


def _known(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if text]


def _flowed(items: Iterable[tuple[str, str]], width: int) -> list[Text]:
    """Styled items in lines, broken only between them."""
    lines: list[Text] = []
    for text, style in items:
        if lines and lines[-1].cell_len + 3 + cell_len(text) <= width:
            lines[-1].append(" · ").append(text, style)
        else:
            lines.append(Text().append(fit(text, width), style))
    return lines


def _name(model: str, cells: int) -> str:
    return end(escape.terminal(model), cells)


def replicated(summary: dict[str, Any], width: int) -> list[RenderableType]:
    """The findings that a model copies, by rate: a table where there is room, else two lines each."""
    listed = summary["replicated"]
    n = sum(summary["counts"]["by_verdict"][name] for name in ("verbatim", "template"))
    heading = Text.assemble(("Replicated", "bold red"), ("  by the share of samples that copy", QUIET))
    left = n - sum(not entry["suppressed"] for entry in listed)
    more = [Text(f"and {number(left)} more", QUIET)] if left > 0 else []
    return [heading, _table(listed, width) if width >= WIDE else _pairs(listed, width), *more]


COLUMNS = ("verdict", "rate", "copies", "interval", "controls", "reference")
FIRST_TO_GO = ("copies", "interval", "reference", "controls")  # columns of a narrow terminal


def _cells(entry: dict[str, Any]) -> dict[str, str]:
    """One row of the table, by its column."""
    between, shares = interval(entry["low"], entry["high"]), ("rate", "control_rate", "reference_rate")
    rate, controls, reference = (percent(entry[key]) for key in shares)
    return dict(zip(COLUMNS, (title(entry["verdict"]), rate, copied(entry), between, controls, reference), strict=True))


def _table(listed: list[dict[str, Any]], width: int) -> RenderableType:
    """Captions beside the numbers."""
    table = grid("right", "left", *["right"] * (len(COLUMNS) - 1), "left", "left")
    table.add_row(*(Text(name, QUIET) for name in ("", *COLUMNS, "template or caption", "show")))
    rows = [_cells(entry) for entry in listed]
    sizes = _sizes(rows)
    cells = width - 4 - sum(size + 2 for size in sizes.values()) - max(len(e["short"]) for e in listed) - 2
    for rank, (entry, row) in enumerate(zip(listed, rows, strict=True), 1):
        verdict = Text(row.pop("verdict"), STYLES[entry["verdict"]])
        aside = [Text("suppressed", QUIET)] if entry["suppressed"] else []
        text = Text(" ").join([shown(entry, cells - 11 * len(aside)), *aside])
        table.add_row(str(rank), verdict, *row.values(), text, Text(entry["short"], QUIET))
    return table


def _sizes(rows: list[dict[str, str]]) -> dict[str, int]:
    return {name: max(len(name), *(cell_len(row[name]) for row in rows)) for name in COLUMNS}


def _pairs(listed: list[dict[str, Any]], width: int) -> RenderableType:
    """Captions under the numbers."""
    rows, handles = [_cells(entry) for entry in listed], max(len(entry["short"]) for entry in listed)
    sizes = _sizes(rows)
    for name in FIRST_TO_GO:
        if 2 + sum(size + 2 for size in sizes.values()) + 2 + handles > width:
            del sizes[name]
    heads = {name: name for name in COLUMNS}
    out = _line("", heads, "", sizes, "show" + " " * (handles - 4), width)
    out.stylize(QUIET)
    for rank, (entry, row) in enumerate(zip(listed, rows, strict=True), 1):
        line = _line(str(rank), row, STYLES[entry["verdict"]], sizes, entry["short"], width)
        out.append("\n").append_text(line).append("\n    ").append_text(shown(entry, width - 4))
        if entry["suppressed"]:
            out.append("\n    suppressed", QUIET)
    return out


def _line(rank: str, row: dict[str, str], style: str, sizes: dict[str, int], handle: str, width: int) -> Text:
    line = Text(f"{rank:>2}")
    for name, size in sizes.items():
        left = name == COLUMNS[0]
        line.append("  ").append(row[name].ljust(size) if left else row[name].rjust(size), style if left else "")
    return line.append(" " * max(2, width - line.cell_len - len(handle))).append(handle, QUIET)


def verdict_lines(summary: dict[str, Any], entry: dict[str, Any], width: int) -> list[Text]:
    """The verdicts of an entry of the list, a line or two each; that there is none, where a model was asked."""
    several = len(summary["verification"]) > 1
    if summary["verification"] and not entry["verdicts"]:
        return [Text("not verified", QUIET)]
    out = []
    for verdict in entry["verdicts"]:
        parts = escape.terminal(verdict["says"], 2 * width).split(", ")
        if several:
            parts[0] = f"{_name(verdict['model'], MODEL)}: {parts[0]}"
        style, lines = STYLES.get(verdict["verdict"], ""), flow(parts, width, ", ")
        if verdict["replicated"]:  # loud is what it says, not the numbers behind it
            first = Text(lines[0])
            first.stylize(style, 0, first.plain.find(" (") if " (" in first.plain else len(first))
            out += [first, *map(Text, lines[1:])]
            continue
        out += [Text(line, style) for line in lines]
    return out


# One finding


def explained(finding: dict[str, Any], width: int) -> RenderableType:
    """The verdict of each model in full."""
    lines: list[Text] = []
    for i, verdict in enumerate(finding["verdicts"]):
        lines += [Text()] if i else []
        lines.append(Text(escape.terminal(verdict["says"], WHY), STYLES.get(verdict["verdict"], "")))
        facts = _known([_name(verdict["model"], width // 2), RELATION_WORDS.get(verdict["relation"], "")])
        facts += [f"{number(verdict['unet_calls'])} U-Net calls"] if verdict["unet_calls"] else []
        lines += [Text(line, QUIET) for line in flow(facts, width)]
        lines += map(Text, flow(signals(verdict), width))
        if told := by_prompt(verdict):
            lines += map(Text, flow([f"copies from {told[0]}", *told[1:]], width))
        lines += _weights(verdict, width)
        if verdict["nearest_image"]:
            lines.append(_nearest(verdict, width))
        if verdict["why"] and verdict["why"] not in verdict["says"]:
            lines.append(Text(escape.terminal(verdict["why"], WHY), QUIET))
    return Text("\n").join(lines)


def _nearest(verdict: dict[str, Any], width: int) -> Text:
    known = verdict["best_similarity"]
    similar = "" if known is None else f"  similarity {known:.2f}"
    name = end(escape.terminal(verdict["nearest_image"]), max(8, width - len("nearest picture  ") - len(similar)))
    return Text.assemble(("nearest picture  ", QUIET), name, (similar, QUIET))


def _weights(verdict: dict[str, Any], width: int) -> list[Text]:
    """The prompt's words, shaded by what each adds to the magnitude, and the heaviest in numbers: colour is not all."""
    line = Text()
    for word, share in shades(verdict):
        style = "bold" if share >= HEAVY else QUIET if share < LIGHT else ""
        line.append(" " if line else "").append(escape.terminal(word, 60), style)
    best = [f"{escape.terminal(word, 60)} {share}" for word, share in heaviest(verdict)]
    if not best:
        return []
    line.truncate(3 * width, overflow="ellipsis")
    return [
        Text.assemble(("words that steer it  ", QUIET), line),
        *(Text(text) for text in flow([f"heaviest: {best[0]}", *best[1:]], width)),
    ]


def pictures(finding: dict[str, Any], width: int) -> tuple[str, RenderableType]:
    """The heading, and per generated picture where it lies and what it was made from."""
    found, out, last = finding["samples"], Text(), ""
    several = len({verdict["model"] for verdict in finding["verdicts"]}) > 1
    for sample in found["shown"]:
        style = STYLES["verbatim"] if sample["copied"] in ("verbatim", "template") else QUIET
        what = {"none": "no copy", "unjudged": "not judged"}.get(
            sample["copied"], escape.terminal(sample["copied"], 20)
        )
        prompt = Text(fit(escape.terminal(sample["prompt"]), 2 * width - 8))
        if prompt.plain != last:  # pictures of one prompt follow each other
            out.append_text(prompt).append("\n")
        last = prompt.plain
        out.append(f"  {what:<10}", style)
        out.append(f"  {end(escape.terminal(sample['path']), max(16, width - 14))}\n")
        facts = [f"{sample['prompt_kind']} prompt", f"seed {sample['seed']}"]
        facts += [f"distance {sample['distance']:.2f}"] if sample["distance"] is not None else []
        near = sample["nearest_image"]
        facts += [f"nearest {end(escape.terminal(near), max(8, width - 24))}"] if near else []
        facts += [_name(sample["model"], MODEL)] if several else []
        for line in flow(facts, width - 14):
            out.append(f"{'':<14}{line}\n", QUIET)
    out.rstrip()
    heading = f"Pictures: {number(len(found['shown']))} of {number(found['total'])}"
    return f"{heading}, in {end(escape.terminal(finding['folder']), max(8, width - len(heading) - 5))}", out
