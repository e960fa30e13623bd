"""An audit at a glance, as HTML for notebooks: how many findings, and the riskiest. The report is another matter."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from memaudit.report import escape
from memaudit.report.words import number, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 160  # characters of a caption


def glance(summary: dict[str, Any]) -> str:
    """A paragraph and a table; captions are escaped twice over, for what acts on a screen and for HTML."""
    counts, inputs = summary["counts"], summary["inputs"]
    said = ", ".join(f"{number(n)} {name}" for name, n in counts["by_severity"].items() if n) or "none"
    facts = f"{plural(inputs['rows'], 'row', False)}, {plural(counts['findings'], 'finding', False)}: {said}"
    verified = bool(summary["verification"])
    titles = ["severity", "risk", "kind", "template or caption", "rows", *(["verdict"] if verified else []), "show"]
    rows = "".join(_row(_cells(entry, verified)) for entry in summary["findings"])
    head = "".join(f"<th>{title}</th>" for title in titles)
    notes = html.escape(" ".join(summary["notes"]))
    return (
        f"<p><b>memaudit</b> {_shown(summary['folder'])}: {facts}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p><small>{notes}</small></p>"
    )


def _cells(entry: dict[str, Any], verified: bool) -> Iterable[str]:
    text = entry["representative"] if entry["template"] is None else entry["template"]
    severity = entry["severity"] + (" (suppressed)" if entry["suppressed"] else "")
    verdicts = [one["verdict"] for one in entry["verdicts"][:1]] or ["not asked"]
    yield from (severity, f"{entry['risk']:.2f}", entry["kind"], f"<code>{_shown(text)}</code>")
    yield from (number(entry["n_rows"]), *(verdicts if verified else []), f"<code>{entry['short']}</code>")


def _row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _shown(text: str) -> str:
    return html.escape(escape.terminal(text, LONGEST))
