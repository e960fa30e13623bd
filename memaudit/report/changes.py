"""A comparison of two audits as text: what every format says of a change, and the page of Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memaudit.report import escape
from memaudit.report.words import compact, number, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = ("terminal", "md", "json")

TITLES = {
    "new": "New",
    "grown": "Grown",
    "split": "Split from another finding",
    "listed": "Newly listed; its captions were there",
    "same": "As large as before, judged otherwise",
    "shrunk": "Shrunk",
    "merged": "Merged into another finding",
    "unlisted": "No longer listed; its captions are there",
    "gone": "Gone",
}
"""Headings by change, in the order in which they are shown."""


def render_changes(told: dict[str, Any], format: str, width: int | None = None, color: bool = False) -> str:  # noqa: A002
    """A comparison (`diff.told.summary`) as text that ends in a newline.

    format: of `FORMATS`; width (cells; None: as wide as the terminal) and color matter to "terminal" only.
    """
    if format == "terminal":
        from memaudit.report.terminal.changes import render

        return render(told, width, color)
    if format == "json":
        from memaudit.report.machine import to_json

        return to_json(told)
    return to_markdown(told)


def counted(counts: dict[str, Any]) -> list[str]:
    """How many findings are what: ["54 new", "7 grown", ...], then what else changed."""
    out = [f"{number(counts[name])} {name}" for name in TITLES if counts[name]] or ["none in either audit"]
    more = (
        ("raised", "of a higher severity"),
        ("lowered", "of a lower severity"),
        ("verdicts", "with another verdict"),
    )
    out += [f"{number(counts[key])} {what}" for key, what in more if counts[key]]
    return out + ([f"{number(counts['suppressed'])} suppressed"] if counts["suppressed"] else [])


def facts(audit: dict[str, Any]) -> str:
    """1,000 rows, 700 distinct captions, 41 findings."""
    known = ((audit["rows"], "row"), (audit["texts"], "distinct caption"), (audit["findings"], "finding"))
    return ", ".join(plural(n, noun, False) for n, noun in known if n is not None)


def sizes(entry: dict[str, Any]) -> list[str]:
    """Rows and distinct captions before and after: ["120 → 340 rows", "40 captions"]."""
    names = (("n_rows", "row"), *((("n_texts", "caption"),) if entry["kind"] != "exact" else ()))
    return [_before_after(entry, key, noun) for key, noun in names]


def _before_after(entry: dict[str, Any], key: str, noun: str) -> str:
    known = [entry[side][key] for side in ("old", "new") if entry[side]]
    old, new = known[0], known[-1]
    if old == new:
        return plural(new, noun)
    return f"{compact(old)} → {plural(new, noun)}"


def risks(entry: dict[str, Any]) -> str:
    """Risk in each audit it is in, never their difference: "0.41", "0.41 in OLD, 0.44 in NEW"."""
    known = {side: entry[side]["risk"] for side in ("old", "new") if entry[side]}
    if len(known) == 1:
        return f"{next(iter(known.values())):.2f}"
    return f"{known['old']:.2f} in OLD, {known['new']:.2f} in NEW"


def remarks(entry: dict[str, Any]) -> list[str]:
    """What else is to be said of a change: severity and verdict before and after, where its captions are, how it was
    matched. Plain words; nothing in it comes from a dataset."""
    return [*_judged(entry), *_elsewhere(entry), *_matched(entry)]


def _judged(entry: dict[str, Any]) -> Iterator[str]:
    old, new = entry["old"], entry["new"]
    if old and new:
        if old["severity"] != new["severity"]:
            yield f"{old['severity']} → {new['severity']}"
        if old["verdict"] != new["verdict"]:
            yield f"verdict: {old['verdict'] or 'not asked'} → {new['verdict'] or 'not asked'}"
        if old["suppressed"] != new["suppressed"]:
            yield "suppressed now" if new["suppressed"] else "no longer suppressed"
            return
    elif (one := old or new)["verdict"]:
        yield f"verdict: {one['verdict']}"
    if (new or old)["suppressed"]:
        yield "suppressed"


def _elsewhere(entry: dict[str, Any]) -> Iterator[str]:
    rows, gone = entry["rows_there"], entry["new"] is None
    have, where = ("have", "NEW") if gone else ("had", "OLD")
    if entry["held_by"]:
        yield f"its captions {'are now' if gone else 'were'} in {entry['held_by']}, with {plural(rows, 'row')}"
    elif rows:
        yield f"its captions {have} {plural(rows, 'row')} in {where}"


def _matched(entry: dict[str, Any]) -> Iterator[str]:
    if entry["matched_by"] == "members":
        yield f"was {entry['old']['fingerprint'][: len(entry['short'])]}, matched by captions ({entry['jaccard']:.2f})"


def to_markdown(told: dict[str, Any]) -> str:
    """A comparison as a page of Markdown with a table for each change."""
    sides = [
        f"- {side.upper()}: {escape.markdown(told[side]['folder'])}, {facts(told[side])}" for side in ("old", "new")
    ]
    parts = ["# memaudit diff", "\n".join(sides), f"Findings: {', '.join(counted(told['counts']))}."]
    for change, title in TITLES.items():
        entries = [entry for entry in told["changes"] if entry["change"] == change]
        if entries:
            parts += [f"## {title}", _table(entries), *_more(told, change, entries)]
    return "\n\n".join([*parts, "\n\n".join(escape.terminal(note) for note in told["notes"])]) + "\n"


def _table(entries: list[dict[str, Any]]) -> str:
    lines = [
        "| severity | kind | risk | size | template or caption | more | show |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entry in entries:
        severity = (entry["new"] or entry["old"])["severity"]
        variants = [f"+{plural(entry['variants'], 'variant')}"] if entry["variants"] else []
        cells = [severity, entry["kind"], risks(entry), ", ".join(sizes(entry))]
        cells += [escape.markdown(entry["text"], 300), "; ".join([*remarks(entry), *variants]), f"`{entry['short']}`"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _more(told: dict[str, Any], change: str, entries: list[dict[str, Any]]) -> list[str]:
    left = told["families"][change] - len(entries)
    return [f"And {number(left)} more {'family' if left == 1 else 'families'}."] if left > 0 else []
