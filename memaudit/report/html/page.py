"""The page: what stands where, rendered with jinja2, which escapes whatever is not made here.

The page loads nothing. Its policy allows the one style sheet and the two scripts by their hashes, and pictures as data;
the table's rows are a JSON block that no caption can close.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from memaudit.report import escape
from memaudit.report.html import charts
from memaudit.report.html.pictures import MOST_ALL, Embedder, Gallery
from memaudit.report.html.safe import clip_end
from memaudit.report.html.views import card, lines
from memaudit.report.redaction import redacted
from memaudit.report.verdict_words import RELATION_WORDS, run_facts, title
from memaudit.report.words import number, percent, plural, seconds
from memaudit.schemas import KINDS, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
VERDICTS = ("verbatim", "template", "not_replicated", "screened", "not_run", "error", "unverified")
NEEDED = ("overview", "listing", "cards")


def render(summary: Mapping[str, Any], gallery: Gallery | None = None, redact: bool = False) -> str:
    """A summary made with `lines` as one page; the same summary and pictures give the same bytes.

    redact: what can be shared (`redaction`); pictures are left out then. Raises ValueError for another summary.
    """
    if missing := [name for name in NEEDED if name not in summary]:
        raise ValueError(f"a page needs a summary made with lines; it lacks {', '.join(missing)}")
    shown = redacted(summary) if redact else summary
    gallery = gallery if gallery is not None and not redact else Gallery()
    embed = Embedder()
    css, early, js = _file("style.css"), _file("early.js"), _file("report.js")
    cards = [card(entry, gallery, embed) for entry in shown["cards"]]
    context = {
        **_head(shown),
        **_charts(shown),
        "cards": cards,
        "data": _data(shown, {one["fingerprint"] for one in cards}),
        "notes": [escape.terminal(note, 600) for note in shown["notes"]],
        "next": [escape.terminal(command, 300) for command in shown["next"]],
        "pictures_told": _pictures_told(gallery, embed),
        "redact": redact,
        "css": Markup(css),
        "early": Markup(early),
        "js": Markup(js),
        "policy": _policy(css, early, js),
    }
    return _environment().get_template("page.html.j2").render(context)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"number": number, "percent": percent, "plural": plural, "title": title, "breakable": _breakable}
    made.globals |= {"severities": tuple(reversed(SEVERITIES)), "kinds": KINDS, "key": charts.key}
    return made


def _breakable(path: str) -> Markup:
    """A path that may break after its slashes."""
    return Markup("/<wbr>").join(path.split("/"))


@cache
def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _policy(css: str, *scripts: str) -> str:
    style, *allowed = (base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (css, *scripts))
    script = " ".join(f"'sha256-{one}'" for one in allowed)
    rules = f"default-src 'none'; style-src 'sha256-{style}'; script-src {script}; img-src data:"
    return f"{rules}; base-uri 'none'; form-action 'none'"


def _data(summary: Mapping[str, Any], cards: set[str]) -> Markup:
    """What report.js needs, as JSON in which no text can end the block, whatever it holds."""
    told = {
        "rows": lines(summary["listing"]["rows"], cards),
        "total": summary["listing"]["total"],
        "audit": escape.terminal(shlex.quote(summary["folder"] or "AUDIT"), 300),
    }
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def _head(summary: Mapping[str, Any]) -> dict[str, Any]:
    inputs, totals, counts = summary["inputs"], summary["totals"], summary["counts"]
    folder = summary["folder"]
    copies = sum(counts["by_verdict"][name] for name in ("verbatim", "template"))
    asked = copies + counts["by_verdict"]["not_replicated"]
    return {
        "name": clip_end(Path(folder).name or folder, 60) if folder else "",
        "folder": clip_end(folder, 120),
        "tool": escape.terminal(summary["tool"], 20),
        "inputs": inputs,
        "skipped": [f"{number(n)} {escape.terminal(why, 60)}" for why, n in inputs["skipped_reasons"].items()],
        "bad_files": [(clip_end(f["path"]), escape.terminal(f["reason"], 200)) for f in inputs["bad_files"]],
        "totals": totals,
        "took": seconds(totals["seconds"]),
        "counts": counts,
        "repeat": summary["repeats"]["any"],
        "copies": copies,
        "asked": asked,
        "config": _config(summary["config"]),
        "verified": bool(summary["verification"]),
        "listing": summary["listing"],
        "files": _files(summary),
        "domains": _domains(summary),
    }


def _config(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the scan was told, less what was left at none."""
    out = []
    for name, value in sorted(config.items()):
        said = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
        out += [(escape.terminal(name.replace("_", " "), 40), escape.terminal(said, 120))] if said else []
    return out


def _files(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "path": clip_end(one["path"], 70),
            **{key: one[key] for key in ("rows", "skipped", "in_findings")},
            "reason": "" if one["reason"] is None else escape.terminal(one["reason"], 200),
            **_part(one["in_findings"], one["rows"] - one["skipped"]),
        }
        for one in summary["overview"]["files"]["shown"]
    ]


def _domains(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "domain": "" if one["domain"] is None else escape.terminal(one["domain"], 60),
            **{key: one[key] for key in ("captions", "in_findings")},
            **_part(one["in_findings"], one["captions"]),
        }
        for one in summary["overview"]["domains"]["shown"]
    ]


def _part(some: int, of: int) -> dict[str, Any]:
    share = min(1.0, some / of) if of else 0.0
    return {"share": percent(share), "bar": charts.share(share, f"{percent(share)} in findings", width=80)}


def _charts(summary: Mapping[str, Any]) -> dict[str, Any]:
    counts, overview = summary["counts"], summary["overview"]
    by_severity = [(name, counts["by_severity"][name]) for name in reversed(SEVERITIES)]
    by_verdict = [(name, counts["by_verdict"][name]) for name in VERDICTS]
    severity = [*by_severity, ("suppressed", counts["suppressed"])]
    precision: dict[str, dict[float, str]] = {}
    for one in summary["expected_precision"]:
        precision.setdefault(one["severity"], {})[one["assumed"]] = percent(one["precision"])
    return {
        "severity": severity,
        "severity_bar": charts.stacked(severity, "Findings by severity", "s-"),
        "by_verdict": by_verdict,
        "verdict_bar": charts.stacked([*by_verdict, ("suppressed", counts["suppressed"])], "By verdict", "v-"),
        "histogram": charts.histogram(overview["risk"]) if counts["findings"] else "",
        "risk_bins": overview["risk"],
        "sizes_chart": charts.sizes(overview["sizes"]) if any(overview["sizes"].values()) else "",
        "sizes": overview["sizes"],
        "repeats": [_repeat(kind, told) for kind, told in summary["repeats"].items()],
        "runs": [_run(run) for run in summary["verification"]],
        "precision": precision,
        "file_total": overview["files"]["total"],
        "domain_total": overview["domains"]["total"],
    }


def _repeat(kind: str, told: Mapping[str, Any]) -> dict[str, Any]:
    name = "any of them" if kind == "any" else kind
    bar = charts.share(told["share"], f"{name}: {percent(told['share'], 1)} of rows", f"fill k-{kind}")
    return {"kind": kind, "name": name, "bar": bar, "share": percent(told["share"], 1), **{
        key: number(told[key]) if told[key] is not None else "" for key in ("clusters", "texts", "rows")
    }}  # fmt: skip


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    facts = [f"{number(run['steps'])} steps"] if run["steps"] else []
    facts += [f"guidance {run['guidance']:g}"] if isinstance(run["guidance"], int | float) else []
    facts += [f"{run['size']} px"] if isinstance(run["size"], int) else []
    facts += [f"first seed {run['seed']}"] if isinstance(run["seed"], int) else []
    return {
        "model": clip_end(run["model"]),
        "relation": RELATION_WORDS.get(run["relation"], ""),
        "reference": "" if run["reference_model"] is None else clip_end(run["reference_model"]),
        "counts": [(name, n) for name, n in run["counts"].items() if n],
        "facts": [escape.terminal(fact, 200) for fact in [*run_facts(run), *facts]],
        "notes": [escape.terminal(note, 600) for note in run["notes"]],
    }


def _pictures_told(gallery: Gallery, embed: Embedder) -> list[str]:
    told = [escape.terminal(one, 300) for one in gallery.told]
    if embed.refused:
        what = f"{number(embed.refused)} pictures are not embedded: too large, no PNG or JPEG, or past "
        told.append(f"{what}{MOST_ALL >> 20} MiB in all.")
    return told
