"""The report for other programs and for pages: JSON and GitHub-flavoured Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from memaudit.report import escape
from memaudit.report.verdict_words import RELATION_WORDS, copied, interval, run_facts, title
from memaudit.report.words import number, percent, plural, seconds, spelled_reasons, spelled_slots, spelled_trigger

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST, _VALUE = 300, 40  # characters of a caption, and of a slot's value, in a table


def to_json(report: dict[str, Any]) -> str:
    """A summary, or one finding, as JSON: exact texts, but nothing in it acts on a terminal. Versioned by "version"."""
    return escape.json_text(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"


def to_markdown(summary: dict[str, Any]) -> str:
    """A summary as a page of Markdown with tables."""
    parts = [_head(summary), _repeats(summary["repeats"]), _severities(summary["counts"])]
    if summary["verification"]:
        parts.append(_models(summary))
    if summary["replicated"]:
        parts.append(_replicated(summary["replicated"]))
    if summary["findings"]:
        heading = ["## By risk"] if summary["verification"] else []
        parts += [*heading, _findings(summary["findings"], bool(heading)), _remedies(summary["findings"])]
    parts.append("\n\n".join(summary["notes"]))
    if summary["next"]:
        parts.append("Next:\n\n" + "\n".join(f"    {escape.terminal(command)}" for command in summary["next"]))
    return "\n\n".join(parts) + "\n"


def _table(titles: str, rows: Iterable[Iterable[str]]) -> str:
    """titles: "kind | rows:", columns by "|"; a colon at the end aligns right."""
    heads = [title.strip() for title in titles.split("|")]
    lines = [
        " | ".join(head.rstrip(":") for head in heads),
        " | ".join("---:" if h.endswith(":") else "---" for h in heads),
    ]
    return "\n".join(f"| {line} |" for line in [*lines, *(" | ".join(row) for row in rows)])


def _head(summary: dict[str, Any]) -> str:
    inputs, totals = summary["inputs"], summary["totals"]
    facts = [plural(inputs["files"], "file", False), plural(inputs["rows"], "row", False)]
    facts += [plural(totals["captions"], "caption", False)] if totals["captions"] is not None else []
    facts += [f"{number(totals['texts'])} distinct", seconds(totals["seconds"])]
    lines = [f"# memaudit: {escape.markdown(summary['folder'])}", "", ", ".join(facts) + "."]
    if inputs["skipped"]:
        reasons = ", ".join(f"{number(n)} {escape.markdown(why)}" for why, n in inputs["skipped_reasons"].items())
        lines += ["", f"{plural(inputs['skipped'], 'row', False)} skipped: {reasons}."]
    if inputs["n_bad_files"]:
        lines += ["", f"{plural(inputs['n_bad_files'], 'file')} not read, or not to the end:", ""]
        lines += [f"- {escape.markdown(f['path'])}: {escape.markdown(f['reason'])}" for f in inputs["bad_files"]]
    return "\n".join(lines)


def _repeats(repeats: dict[str, dict[str, Any]]) -> str:
    rows = [
        ["any of them" if kind == "any" else kind]
        + [number(counts[key]) if counts[key] is not None else "" for key in ("clusters", "texts", "rows")]
        + [percent(counts["share"], 1)]
        for kind, counts in repeats.items()
    ]
    return "## What repeats\n\n" + _table("kind | clusters: | captions: | rows: | of rows:", rows)


def _severities(counts: dict[str, Any]) -> str:
    if not counts["findings"]:
        return "## No findings"
    said = [f"{number(n)} {name}" for name, n in counts["by_severity"].items() if n]
    said += [f"{number(counts['suppressed'])} suppressed"] if counts["suppressed"] else []
    families = plural(counts["families"], "family")
    return f"## Findings\n\n{plural(counts['findings'], 'finding')} in {families}: {', '.join(said)}."


def _models(summary: dict[str, Any]) -> str:
    """Per model its verdicts and what they rest on."""
    names = list(summary["verification"][0]["counts"])
    rows, told = [], []
    for run in summary["verification"]:
        relation, counts = RELATION_WORDS.get(run["relation"], ""), [number(run["counts"][name]) for name in names]
        rows.append([escape.markdown(run["model"], _LONGEST), relation, *counts])
        facts = (
            [f"reference model {escape.markdown(run['reference_model'], _LONGEST)}"] if run["reference_model"] else []
        )
        facts += [_prose(fact) for fact in run_facts(run)]
        told.append(f"- {rows[-1][0]}: {'; '.join(facts)}.")
        told += [f"  - {_prose(note)}" for note in run["notes"] if note not in summary["notes"]]
    titles = "model | relation | " + " | ".join(f"{title(name)}:" for name in names)
    return "## What the model did\n\n" + _table(titles, rows) + "\n\n" + "\n".join(told)


def _prose(text: str) -> str:
    """A sentence, which may hold a stranger's words: plain where nothing in it acts on Markdown, else as code."""
    return escape.markdown(text, 600) if _acts(text) else text


def _acts(text: str) -> bool:
    return "www." in text.lower() or not all(c.isascii() and (c.isalnum() or c in " .,;:()%'-") for c in text)


def _replicated(listed: list[dict[str, Any]]) -> str:
    """The findings that a model copies, by rate."""
    rows = []
    for rank, entry in enumerate(listed, 1):
        text = entry["representative"] if entry["template"] is None else entry["template"]
        rates = [percent(entry[key]) for key in ("control_rate", "reference_rate")]
        numbers = [percent(entry["rate"]), copied(entry), interval(entry["low"], entry["high"]), *rates]
        name = entry["verdict"] + (" (suppressed)" if entry["suppressed"] else "")
        rows.append([str(rank), name, *numbers, escape.markdown(text, _LONGEST), f"`{entry['short']}`"])
    titles = "# | verdict | rate: | copies: | interval: | controls: | reference: | template or caption | show"
    return "## Replicated\n\n" + _table(titles, rows)


def _findings(findings: list[dict[str, Any]], verified: bool) -> str:
    verdict = "verdict | " if verified else ""
    what = f"# | severity | risk: | kind | template or caption | {verdict}why"
    titles = f"{what} | rows: | captions: | domains: | variants: | show"
    return _table(titles, (_row(rank, entry, verified) for rank, entry in enumerate(findings, 1)))


def _verdict(entry: dict[str, Any]) -> str:
    """The verdict that counts in bold or plain, and in a sentence what it rests on; of further models too."""
    if not entry["verdicts"]:
        return "not verified"
    out = []
    for one in entry["verdicts"]:
        name, _, rest = one["says"].partition(": ")
        said = f"**{name}**" if one["replicated"] else name
        told = f"{said}: {_prose(rest)}" if rest else said
        several = len(entry["verdicts"]) > 1
        out.append(f"{escape.markdown(one['model'], _LONGEST)} {told}" if several else told)
    return "; ".join(out)


def _row(rank: int, entry: dict[str, Any], verified: bool) -> list[str]:
    text = entry["representative"] if entry["template"] is None else entry["template"]
    severity = entry["severity"] + (" (suppressed)" if entry["suppressed"] else "")
    why = ", ".join(spelled_reasons(entry, ("rows", "texts")))
    if entry["suppressed"] and entry["reason"]:
        why += f"; suppressed: {escape.markdown(entry['reason'], _LONGEST)}"
    said = [spelled_trigger(trigger, escape.markdown) for trigger in entry["triggers"]]
    said += spelled_slots(entry, lambda value: escape.markdown(value, _VALUE))
    why = "; ".join([why, *said])
    numbers = [number(entry["n_rows"]), number(entry["n_texts"])]
    numbers += [number(entry["n_domains"]) if entry["n_domains"] is not None else ""]
    numbers += [f"+{number(entry['family']['size'] - 1)}" if entry["family"]["size"] > 1 else ""]
    kind, risk = entry["kind"], f"{entry['risk']:.2f}"
    shown = [escape.markdown(text, _LONGEST), *([_verdict(entry)] if verified else []), why]
    return [str(rank), severity, risk, kind, *shown, *numbers, f"`{entry['short']}`"]


def _remedies(findings: list[dict[str, Any]]) -> str:
    seen = {entry["rule"]["code"]: entry["rule"] for entry in findings}
    lines = [f"- **{code}** {rule['title']}: {rule['remedy']}" for code, rule in sorted(seen.items())]
    return "## What to do\n\n" + "\n".join(lines)
