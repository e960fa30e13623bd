"""One finding in full on a terminal; `memaudit show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from memaudit.report import escape
from memaudit.report.terminal.pieces import (
    QUIET,
    TITLE,
    bar,
    clamped,
    end,
    fit,
    flow,
    footer,
    grid,
    printed,
    section,
    severity,
    shown,
    suppressed,
)
from memaudit.report.terminal.verdicts import explained, pictures
from memaudit.report.words import FEATURE_TITLES, counts, number, percent, places, plural, reason
from memaudit.schemas import FEATURES

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


def render_finding(finding: dict[str, Any], width: int | None = None, color: bool = False) -> str:
    """One cluster in full, as text for a terminal."""
    width = clamped(width)
    parts: list[RenderableType] = [*_title(finding, width), ""]
    if finding["verdicts"]:
        parts += section("What the model did", explained(finding, width - 2))
    if finding["samples"]["shown"]:
        parts += section(*pictures(finding, width - 2))
    parts += section("Why this risk (log-odds added)", _features(finding))
    if finding["slots"]:
        parts += section("What the slots hold", _slots(finding, width))
    if finding["triggers"]:
        parts += section("Words that select it", _triggers(finding, width))
    if finding["family"]["others"]:
        parts += section(f"Family of {plural(finding['family']['size'], 'finding')}", _family(finding, width))
    found = finding["members"]
    total = plural(found["total"], found["unit"])
    heading = f"Members: {number(len(found['shown']))} of {total}" if found["shown"] else f"Members: {total}"
    parts += section(heading, _members(found, width))
    parts += section("What to do", Text(finding["rule"]["remedy"] or "Look at the members.", overflow="fold"))
    return printed([*parts, *footer(finding)], width, color)


def _title(finding: dict[str, Any], width: int) -> list[RenderableType]:
    rule = finding["rule"]
    line = Text.assemble(
        severity(finding["severity"]), "  ", (f"{finding['risk']:.2f}", TITLE), f"  {finding['kind']}  "
    )
    line.append(escape.terminal(f"{rule['code']} {rule['title']}"))
    name = Text(f"cluster {finding['cluster_id']} · {finding['fingerprint']}", QUIET)
    facts = [*counts(finding), *places(finding), f"confidence {finding['confidence']}"]
    out: list[RenderableType] = [line, name, "", Padding(shown(finding), (0, 0, 0, 2)), ""]
    if finding["template"] is not None:
        example = Text(fit(escape.terminal(finding["representative"]), width - 15))
        out.insert(4, Padding(Text.assemble(("for example  ", QUIET), example), (0, 0, 0, 2)))
    out += map(Text, flow(facts, width))
    if finding["severity"] != finding["severity_by_text"]:
        said = f"{finding['severity']} by the verdict of a model; by its text alone {finding['severity_by_text']}"
        out += map(Text, flow([said], width))
    return [*out, *(Text(text, "yellow") for text in suppressed(finding))]


def _features(finding: dict[str, Any]) -> Table:
    """What each feature added or took, the largest first."""
    table = grid("left", "right", "left", "left")
    added = {name: value for name in FEATURES if (value := finding["features"].get(name))}
    most = max(map(abs, added.values()), default=1.0)
    for name, value in sorted(added.items(), key=lambda item: -item[1]):
        sign = Text(f"{value:+.2f}".replace("-", "−"), "" if value > 0 else QUIET)
        table.add_row(FEATURE_TITLES[name], sign, bar(abs(value) / most, 10), Text(reason(name, finding)))
    return table


def _slots(finding: dict[str, Any], width: int) -> Table:
    table = grid("right", "left", "left", "left")
    kinds = max(len(slot["type"][:20]) for slot in finding["slots"])
    for i, slot in enumerate(finding["slots"], 1):
        values = [f"{escape.terminal(v['value'], 60) or '(nothing)'} ({number(v['count'])})" for v in slot["values"]]
        body = "\n".join(flow(values, width - 26 - kinds)[:3])
        kind = Text(escape.terminal(slot["type"], 20), QUIET if slot["type"] == "text" else "")
        table.add_row(str(i), kind, f"{number(slot['distinct'])} different", Text(body))
    return table


def _triggers(finding: dict[str, Any], width: int) -> Table:
    table = grid("left", "right", "right", "right")
    titles = ("captions with them", "of those here", "of the cluster")
    table.add_row("", *(Text(title, QUIET) for title in titles))
    for trigger in finding["triggers"]:
        words = Text(fit(escape.terminal(" ".join(trigger["words"])), max(26, width - 54)))
        table.add_row(words, number(trigger["n_texts"]), percent(trigger["purity"]), percent(trigger["coverage"]))
    return table


def _family(finding: dict[str, Any], width: int) -> Table:
    table = grid("right", "right", "left")
    for other in finding["family"]["others"]:
        other = {
            "template": other["text"] if other["kind"] == "template" else None,
            "representative": other["text"],
            **other,
        }
        rows = plural(other["n_rows"], "row")
        table.add_row(f"{other['risk']:.2f}", rows, shown(other, width - 8 - len(rows) - 4))
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
        out.append("".join(f"  {line}\n" for line in flow(_where(member, width - 4), width - 4)), QUIET)
    for note in members["notes"]:
        out.append(f"{escape.terminal(note)}\n", "yellow")
    out.rstrip()
    return out


def _where(member: dict[str, Any], width: int) -> list[str]:
    out = [f"{end(escape.terminal(member['path']), width - 16)} row {member['row']}"]
    out += [f"id {escape.terminal(member['id'], 80)}"] if member["id"] else []
    out += [plural(member["n_rows"], "row")] if member["n_rows"] > 1 else []
    out += [f"similarity {member['similarity']:.2f}"] if member["similarity"] < 1 else []
    return out + ([fit(escape.terminal(member["image"], 300), width)] if member["image"] else [])
