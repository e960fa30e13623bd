"""The report on a terminal. The only module that imports rich, and captions reach it as `Text`, never as markup."""

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
from memaudit.report.words import (
    FEATURE_TITLES,
    compact,
    counts,
    number,
    percent,
    places,
    plural,
    reason,
    seconds,
    spelled_reasons,
    spelled_slots,
    spelled_trigger,
)
from memaudit.schemas import FEATURES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

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


def render(summary: dict[str, Any], width: int | None = None, color: bool = False) -> str:
    """The summary of an audit as text for a terminal of `width` cells (None: this one's)."""
    width = _width(width)
    parts: list[RenderableType] = [*_header(summary, width), "", _repeats(summary, width), ""]
    parts += _severities(summary["counts"], width)
    if summary["findings"]:
        parts += ["", *(_wide(summary, width) if width >= WIDE else _narrow(summary, width))]
    return _printed([*parts, "", *_footer(summary)], width, color)


def render_finding(finding: dict[str, Any], width: int | None = None, color: bool = False) -> str:
    """One cluster in full, as text for a terminal."""
    width = _width(width)
    parts: list[RenderableType] = [*_title(finding, width), ""]
    parts += _section("Why this risk (log-odds added)", _features(finding))
    if finding["slots"]:
        parts += _section("What the slots hold", _slots(finding, width))
    if finding["triggers"]:
        parts += _section("Words that select it", _triggers(finding, width))
    if finding["family"]["others"]:
        parts += _section(f"Family of {plural(finding['family']['size'], 'finding')}", _family(finding, width))
    found = finding["members"]
    total = plural(found["total"], found["unit"])
    heading = f"Members: {number(len(found['shown']))} of {total}" if found["shown"] else f"Members: {total}"
    parts += _section(heading, _members(found, width))
    parts += _section("What to do", Text(finding["rule"]["remedy"] or "Look at the members.", overflow="fold"))
    return _printed([*parts, *_footer(finding)], width, color)


def _width(width: int | None) -> int:
    return min(max(width or shutil.get_terminal_size((80, 24)).columns, NARROWEST), WIDEST)


def _printed(parts: Iterable[RenderableType], width: int, color: bool) -> str:
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


def _end(path: str, cells: int) -> str:
    """A path, already escaped, of which only the end is kept where it is long."""
    if cell_len(path) <= cells:
        return path
    while cell_len(path) > cells - 1:
        path = path[1:]
    return f"…{path}"


def _shown(entry: dict[str, Any], cells: int | None = None) -> Text:
    """The template, else the caption of a finding or variant, on one line of `cells`."""
    template = entry.get("template")
    text = escape.terminal(entry["representative"] if template is None else template)
    text = fit(text, cells) if cells else text
    return Text(text) if template is None else _styled(text)


def _styled(template: str) -> Text:
    """A template with its slots, ends and shapes set apart from its words."""
    out = Text()
    words = template.split(" ")
    for i, word in enumerate(words):
        quiet = word in (SLOT, "…") or (word, i) == ("^", 0) or (word, i) == ("$", len(words) - 1)
        out.append(word, QUIET if quiet else SHAPE if word in SHAPES else "")
        out.append(" " if i < len(words) - 1 else "")
    return out


def _flow(items: Sequence[str], width: int, between: str = " · ") -> list[str]:
    """Items joined into lines of at most `width` cells, broken only between items."""
    lines: list[str] = []
    for item in items:
        if lines and cell_len(lines[-1]) + cell_len(between) + cell_len(item) <= width:
            lines[-1] += between + item
        else:
            lines.append(fit(item, width))
    return lines


def _bar(share: float | None, cells: int) -> Text:
    """A bar of eighths of a cell; whatever is above zero can be seen."""
    eighths = max(round((share or 0) * cells * 8), 1 if share else 0)
    return Text("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip(), BAR)


def _severity(name: str) -> Text:
    return Text(name, SEVERITY_STYLES.get(name, ""))


def _grid(*columns: str, gap: int = 2) -> Table:
    """A table without lines. columns: "left" or "right"."""
    table = Table.grid(padding=(0, gap, 0, 0))
    for justify in columns:
        table.add_column(justify="right" if justify == "right" else "left", no_wrap=True, overflow="ellipsis")
    return table


def _section(title: str, body: RenderableType) -> list[RenderableType]:
    return [Text(title, TITLE), Padding(body, (0, 0, 1, 2))]


# The summary


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
    lines += map(Text, _flow([*facts, plural(totals["texts"], "distinct caption", False)], width))
    if inputs["skipped"]:
        reasons = ", ".join(f"{number(n)} {escape.terminal(why)}" for why, n in inputs["skipped_reasons"].items())
        lines.append(Text(f"{plural(inputs['skipped'], 'row', False)} skipped" + (f": {reasons}" if reasons else "")))
    if inputs["n_bad_files"]:
        lines.append(Text(f"{plural(inputs['n_bad_files'], 'file')} not read, or not to the end", "yellow"))
    for bad in inputs["bad_files"][:3]:
        path = _end(escape.terminal(bad["path"]), width // 2)
        lines.append(Text(fit(f"  {path}  {escape.terminal(bad['reason'])}", width)))
    if inputs["n_bad_files"] > 3:
        lines.append(Text(f"  and {number(inputs['n_bad_files'] - 3)} more"))
    return lines


def _repeats(summary: dict[str, Any], width: int) -> Table:
    table = _grid("left", "right", "right", "right", "right", "left")
    table.add_row(
        Text("What repeats", TITLE), *(Text(t, QUIET) for t in ("clusters", "captions", "rows", "of rows")), ""
    )
    cells = min(30, max(8, width - 62))
    for kind, found in summary["repeats"].items():
        numbers = [number(found[k]) if found[k] is not None else "" for k in ("clusters", "texts", "rows")]
        share = percent(found["share"], 1)
        table.add_row("any of them" if kind == "any" else kind, *numbers, share, _bar(found["share"], cells))
    return table


def _severities(totals: dict[str, Any], width: int) -> list[Text]:
    if not totals["findings"]:
        return [Text("No findings", TITLE)]
    line = Text.assemble(("Findings", TITLE), "  ")
    line.append(f"{number(totals['findings'])} in {plural(totals['families'], 'family')}: ")
    for i, (name, n) in enumerate((name, n) for name, n in totals["by_severity"].items() if n):
        line.append(f"{' · ' if i else ''}{number(n)} ").append_text(_severity(name))
    if totals["suppressed"]:
        line.append(f" · {number(totals['suppressed'])} suppressed")
    return [line] if line.cell_len <= width else list(line.wrap(Console(width=width, file=io.StringIO()), width))


def _suppressed(entry: dict[str, Any]) -> list[str]:
    why = f": {escape.terminal(entry['reason'], 200)}" if entry["reason"] else ""
    return [f"suppressed{why}"] if entry["suppressed"] else []


def _reasons(entry: dict[str, Any], known: Collection[str]) -> list[str]:
    """That it is suppressed, why it is risky (less the features `known`), the words that select it, and its slots."""
    out = [*_suppressed(entry), *spelled_reasons(entry, known)]
    out += [spelled_trigger(trigger, _quoted) for trigger in entry["triggers"]]
    return out + spelled_slots(entry, lambda value: f'"{fit(escape.terminal(value), VALUE)}"')


def _quoted(words: str) -> str:
    return f'"{escape.terminal(words, 120)}"'


def _more(summary: dict[str, Any]) -> list[RenderableType]:
    left = summary["counts"]["families"] - len(summary["findings"])
    return ["", Text(f"and {compact(left)} more {'family' if left == 1 else 'families'}", QUIET)] if left else []


def _narrow(summary: dict[str, Any], width: int) -> list[RenderableType]:
    """Two or three lines a finding."""
    out: list[RenderableType] = []
    for rank, entry in enumerate(summary["findings"], 1):
        line = Text(f"{rank:>2}  ")
        line.append_text(_severity(entry["severity"])).append(" " * (8 - len(entry["severity"])))
        line.append(f"  {entry['risk']:.2f}", TITLE).append(f"  {entry['kind']:<8}  ")
        room = width - line.cell_len - len(entry["short"]) - 2
        first, *rest = _flow(counts(entry), max(room, 8))
        line.append(first).append(" " * max(2, width - line.cell_len - len(entry["short"])))
        out += [line.append(entry["short"], QUIET), Padding(_shown(entry, width - 4), (0, 0, 0, 4))]
        out += [
            Padding(Text(text, QUIET), (0, 0, 0, 4))
            for text in _flow([*rest, *_reasons(entry, ("rows", "texts"))], width - 4)
        ]
        out.append("")
    return [*out[:-1], *_more(summary)]


def _wide(summary: dict[str, Any], width: int) -> list[RenderableType]:
    """A table, two lines a finding."""
    listed = summary["findings"]
    optional = {"n_images": "pictures", "n_domains": "domains"}
    known = [key for key in optional if any(entry[key] is not None for entry in listed)]
    table = _grid("right", "left", "right", "left", "left", *["right"] * (3 + len(known)), "left")
    numbers = ["rows", "captions", *(optional[key] for key in known), "variants"]
    titles = ["", "severity", "risk", "kind", "template or caption, and why", *numbers, "show"]
    table.add_row(*(Text(title, QUIET) for title in titles))
    handles = max(len(entry["short"]) for entry in listed)
    cells = width - len("20  critical  0.00  template    ") - sum(max(len(t), 6) + 2 for t in numbers) - handles
    for rank, entry in enumerate(listed, 1):
        if rank > 1:
            table.add_row()
        body = _shown(entry, cells)
        for line in _flow(_reasons(entry, ("rows", "texts", "domain_focus")), cells):
            body.append("\n").append(line, QUIET)
        variants = f"+{number(entry['family']['size'] - 1)}" if entry["family"]["size"] > 1 else ""
        values = [compact(entry[key]) if entry[key] is not None else "" for key in ("n_rows", "n_texts", *known)]
        risk = Text(f"{entry['risk']:.2f}", TITLE)
        handle = Text(entry["short"], QUIET)
        table.add_row(str(rank), _severity(entry["severity"]), risk, entry["kind"], body, *values, variants, handle)
    return [table, *_more(summary)]


def _footer(report: dict[str, Any]) -> list[RenderableType]:
    return [Text(note, QUIET) for note in report["notes"]]


# One finding


def _title(finding: dict[str, Any], width: int) -> list[RenderableType]:
    rule = finding["rule"]
    line = Text.assemble(
        _severity(finding["severity"]), "  ", (f"{finding['risk']:.2f}", TITLE), f"  {finding['kind']}  "
    )
    line.append(escape.terminal(f"{rule['code']} {rule['title']}"))
    name = Text(f"cluster {finding['cluster_id']} · {finding['fingerprint']}", QUIET)
    facts = [*counts(finding), *places(finding), f"confidence {finding['confidence']}"]
    out: list[RenderableType] = [line, name, "", Padding(_shown(finding), (0, 0, 0, 2)), ""]
    if finding["template"] is not None:
        example = Text(fit(escape.terminal(finding["representative"]), width - 15))
        out.insert(4, Padding(Text.assemble(("for example  ", QUIET), example), (0, 0, 0, 2)))
    out += map(Text, _flow(facts, width))
    return [*out, *(Text(text, "yellow") for text in _suppressed(finding))]


def _features(finding: dict[str, Any]) -> Table:
    """What each feature added or took, the largest first."""
    table = _grid("left", "right", "left", "left")
    added = {name: value for name in FEATURES if (value := finding["features"].get(name))}
    most = max(map(abs, added.values()), default=1.0)
    for name, value in sorted(added.items(), key=lambda item: -item[1]):
        sign = Text(f"{value:+.2f}".replace("-", "−"), "" if value > 0 else QUIET)
        table.add_row(FEATURE_TITLES[name], sign, _bar(abs(value) / most, 10), Text(reason(name, finding)))
    return table


def _slots(finding: dict[str, Any], width: int) -> Table:
    table = _grid("right", "left", "left", "left")
    kinds = max(len(slot["type"][:20]) for slot in finding["slots"])
    for i, slot in enumerate(finding["slots"], 1):
        values = [f"{escape.terminal(v['value'], 60) or '(nothing)'} ({number(v['count'])})" for v in slot["values"]]
        body = "\n".join(_flow(values, width - 26 - kinds)[:3])
        kind = Text(escape.terminal(slot["type"], 20), QUIET if slot["type"] == "text" else "")
        table.add_row(str(i), kind, f"{number(slot['distinct'])} different", Text(body))
    return table


def _triggers(finding: dict[str, Any], width: int) -> Table:
    table = _grid("left", "right", "right", "right")
    titles = ("captions with them", "of those here", "of the cluster")
    table.add_row("", *(Text(title, QUIET) for title in titles))
    for trigger in finding["triggers"]:
        words = Text(fit(escape.terminal(" ".join(trigger["words"])), max(26, width - 54)))
        table.add_row(words, number(trigger["n_texts"]), percent(trigger["purity"]), percent(trigger["coverage"]))
    return table


def _family(finding: dict[str, Any], width: int) -> Table:
    table = _grid("right", "right", "left")
    for other in finding["family"]["others"]:
        other = {
            "template": other["text"] if other["kind"] == "template" else None,
            "representative": other["text"],
            **other,
        }
        rows = plural(other["n_rows"], "row")
        table.add_row(f"{other['risk']:.2f}", rows, _shown(other, width - 8 - len(rows) - 4))
    return table


def _members(members: dict[str, Any], width: int) -> RenderableType:
    """Per member its caption, and under it where it stands."""
    out, last = Text(), ""
    for member in members["shown"]:
        caption = member["caption"]
        text = Text("(not read back)", QUIET) if caption is None else Text(fit(escape.terminal(caption), 2 * width - 8))
        if text.plain != last:  # rows of one exact caption follow each other
            out.append_text(text).append("\n")
        last = text.plain
        out.append("".join(f"  {line}\n" for line in _flow(_where(member, width - 4), width - 4)), QUIET)
    for note in members["notes"]:
        out.append(f"{escape.terminal(note)}\n", "yellow")
    out.rstrip()
    return out


def _where(member: dict[str, Any], width: int) -> list[str]:
    out = [f"{_end(escape.terminal(member['path']), width - 16)} row {member['row']}"]
    out += [f"id {escape.terminal(member['id'], 80)}"] if member["id"] else []
    out += [plural(member["n_rows"], "row")] if member["n_rows"] > 1 else []
    out += [f"similarity {member['similarity']:.2f}"] if member["similarity"] < 1 else []
    return out + ([fit(escape.terminal(member["image"], 300), width)] if member["image"] else [])
