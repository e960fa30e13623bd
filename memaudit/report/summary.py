"""An audit as one plain dict: what every format shows. It reads stored frames and the manifest and recomputes nothing.

The dict holds JSON types only and the texts as they are: escaping is each format's own business (`escape`).
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.report.entries import entries, ranked
from memaudit.report.listing import listing
from memaudit.report.lookup import find
from memaudit.report.members import members, members_of
from memaudit.report.overview import overview
from memaudit.report.prevalence import expected_precision, note
from memaudit.report.stored import plain
from memaudit.report.verification import CAVEAT, attach, by_rate, copies, runs, samples, samples_of
from memaudit.report.verification import counts as counts_by_verdict
from memaudit.schemas import KINDS, SEVERITIES
from memaudit.verdicts import judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.allow import Entry
    from memaudit.store import Audit
    from memaudit.verdicts import Judged

VERSION = 1
BAD_FILES = 20  # unreadable files that are named
VALUES = 20  # of a slot, where it is shown in full
CARD_MEMBERS, CARD_SAMPLES = 8, 6  # members, and pictures of each model, of a finding on a page
PICTURES = 10  # generated pictures that `show` names, unless as many members are asked for
WORTH_ASKING = ("medium", "high", "critical")  # severities for which a model is worth its time

NOTES = (
    "Risk is a rank score, not a probability, and not comparable between datasets.",
    "Text alone never yields critical: that takes image evidence or a verdict.",
)
NO_FINDINGS = (
    "No repetition above the info band.",
    "That is not the same as safe: one picture under unlike captions, skipped rows and files, and repetition below the "
    "band are not in this report, and no model was asked.",
)
_SKIPPED = re.compile(r"(\d[\d,]*) ([^,;:]+)(?:, |$)")


def summary(audit: Audit, top: int | None = 20, lines: int = 0) -> dict[str, Any]:
    """The report of an audit as a dict of JSON types. Raises BadInput for an audit with missing or damaged frames.

    top: families listed under "findings", the riskiest first, suppressed ones last, and findings under "replicated",
    the most often copied first; None for all. lines: more than 0 for a page: adds "overview", "listing" of at
    most so many findings, and "cards", what is listed with its members and pictures.
    Costs the findings frame in memory.
    """
    now = judged(audit)
    findings = now.findings
    families = ranked(findings)
    told = runs(audit, now.verdicts)
    most = len(findings) if top is None else max(0, top)
    listed = entries(audit, findings, families.head(most), VALUES if lines else 5)
    confirmed = entries(audit, findings, by_rate(findings, now.verdicts).head(most), VALUES if lines else 5)
    attach([*listed, *confirmed], now, told)
    page = _whole(audit, now, families, [*listed, *confirmed], lines) if lines else {}
    return {
        "version": VERSION,
        "tool": str(audit.manifest.get("tool", "")),
        "folder": str(audit.folder),
        "config": audit.manifest.get("config", {}),
        "inputs": _inputs(audit),
        "totals": _totals(audit),
        "repeats": _repeats(audit),
        "counts": {**_counts(findings, len(families)), "by_verdict": counts_by_verdict(findings, now.verdicts)},
        "allow_list": {"unmatched": _named(now.now.unmatched), "expired": _named(now.now.expired)},
        "verification": told,
        "replicated": copies(confirmed),
        "findings": listed,
        "expected_precision": expected_precision(),
        "notes": [
            *now.now.notes(),
            *_strangers(now.unmatched),
            *_as_trained(audit),
            *_placeholders(audit),
            *_about(len(findings), bool(told)),
        ],
        "next": _next_for_report(audit, listed, confirmed, bool(told)),
        **page,
    }


def _whole(
    audit: Audit, now: Judged, families: pl.DataFrame, shown: Sequence[dict[str, Any]], lines: int
) -> dict[str, Any]:
    """What a page shows beyond a list: "overview", "listing" (of at most so many lines), and "cards", the entries
    `shown`, each once, with their "members" and "samples"."""
    cards = list({entry["fingerprint"]: entry for entry in shown}.values())
    clusters = [{key: card[key] for key in ("cluster_id", "kind", "n_rows", "n_texts")} for card in cards]
    found = members_of(audit, clusters, CARD_MEMBERS) if cards else []
    drawn = samples_of(audit, [card["fingerprint"] for card in cards], CARD_SAMPLES)
    for card, members_, samples_ in zip(cards, found, drawn, strict=True):
        card.update(members=members_, samples=samples_)
    return {
        "overview": overview(audit, now.findings),
        "listing": listing(audit, now, families, lines),
        "cards": cards,
    }


def _about(n_findings: int, asked: bool) -> tuple[str, ...]:
    return (*NOTES, *([CAVEAT] if asked else []), note()) if n_findings else NO_FINDINGS


def _strangers(n: int) -> list[str]:
    if not n:
        return []
    return [
        f"{n:,} clusters with a verdict match no finding." if n > 1 else "1 cluster with a verdict matches no finding."
    ]


def _placeholders(audit: Audit) -> list[str]:
    found = audit.manifest.get("totals", {}).get("placeholders") or {"pictures": 0}
    if not found["pictures"]:
        return []
    pictures = f"{found['pictures']:,} placeholder picture{'s' if found['pictures'] > 1 else ''}"
    return [f"{pictures} on {found['rows']:,} rows, under captions that share nothing: no evidence of anything."]


def finding(audit: Audit, cluster: int | str, most_members: int = 10) -> dict[str, Any]:
    """One cluster in full: an entry of `summary` with all stored slot values, and up to `most_members` members.

    cluster: a cluster_id, a fingerprint, or a start of one that no other has. Raises UsageError, naming what comes
    near, when it means no finding or several; BadInput for a damaged audit. What cannot be read back is a note.
    """
    now = judged(audit)
    chosen = find(audit.folder, now.findings, cluster)
    entry = entries(audit, now.findings, chosen, VALUES)[0]
    attach([entry], now, runs(audit, now.verdicts))
    pictures = max(PICTURES, most_members) if most_members else 0
    return {
        "version": VERSION,
        "tool": str(audit.manifest.get("tool", "")),
        "folder": str(audit.folder),
        **entry,
        "members": members(audit, chosen.to_dicts()[0], most_members),
        "samples": samples(audit, entry["fingerprint"], pictures),
        "notes": [*NOTES, *([CAVEAT] if entry["verdicts"] else [])],
        "next": [_command("rules", entry["rule"]["code"]), _command("report", str(audit.folder))],
    }


def _as_trained(audit: Audit) -> list[str]:
    """That findings count rows by their weights, where that makes a difference."""
    totals = audit.manifest.get("totals", {})
    counted = totals.get("rows_as_trained")
    if counted in (None, totals.get("captions")):
        return []
    return [f"Findings count rows as training sees them: by weights and repeats of folders, {counted:,} in all."]


def _named(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Entries of the allow-list that suppress nothing."""
    return [
        {
            **{key: getattr(entry, key) for key in ("fingerprint", "template", "reason")},
            "expires": entry.expires.isoformat() if entry.expires else None,
        }
        for entry in entries
    ]


def _command(*words: str) -> str:
    return shlex.join(["memaudit", *words])


def _next_for_report(
    audit: Audit, listed: Sequence[dict[str, Any]], confirmed: Sequence[dict[str, Any]], asked: bool
) -> list[str]:
    """What to type next: what replicated, where a model was asked; else a model, where a finding is worth it."""
    folder = str(audit.folder)
    if not listed:
        return []
    worth = any(entry["severity"] in WORTH_ASKING and not entry["suppressed"] for entry in listed)
    chosen = ["--verdict", "replicated"] if confirmed else []
    return [
        _command("show", folder, (confirmed or listed)[0]["short"]),
        *([_command("verify", folder, "--model", "MODEL")] if worth and not asked else []),
        _command("report", folder, "-f", "md", "-o", "report.md"),
        _command("export", folder, "--view", "rows", *chosen, "-o", "blocklist.csv"),
    ]


def _inputs(audit: Audit) -> dict[str, Any]:
    """Files read, records in them, and what was left out, with the reasons."""
    files = audit.frame("files")
    skipped: dict[str, int] = {}
    bad = []
    for row in files.filter(pl.col("reason").is_not_null()).iter_rows(named=True):
        counted, error = _reasons(row["reason"], row["skipped"])
        for reason, n in counted.items():
            skipped[reason] = skipped.get(reason, 0) + n
        if error:
            bad.append({"path": row["path"], "reason": error})
    bad = [{"path": path, "reason": why} for path, why in audit.manifest.get("bad_files", [])] or bad
    told = audit.manifest.get("totals", {}).get("skipped")
    reasons = dict(told) if isinstance(told, dict) else skipped
    return {
        "files": len(files),
        "bytes": int(files["size"].sum()),
        "rows": int(files["rows"].sum()),
        "skipped": int(files["skipped"].sum()),
        "skipped_reasons": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        "n_bad_files": len(bad),
        "bad_files": bad[:BAD_FILES],
    }


def _reasons(text: str, skipped: int) -> tuple[dict[str, int], str]:
    """FILES.reason taken apart: records skipped by reason (they add up to `skipped`), and why the file broke off."""
    counted: dict[str, int] = {}
    at, left = 0, skipped
    while left > 0 and (found := _SKIPPED.match(text, at)):
        n = int(found[1].replace(",", ""))
        counted[found[2]] = counted.get(found[2], 0) + n
        at, left = found.end(), left - n
    return counted, text[at:]


def _totals(audit: Audit) -> dict[str, Any]:
    """Captions, distinct captions, seconds. None where the manifest does not say."""
    told = audit.manifest.get("totals", {})
    captions, texts = told.get("captions"), told.get("texts")
    stages = audit.manifest.get("stages", {}).values()
    # A resumed scan's own seconds leave out the stages that an earlier run did.
    took = max(audit.manifest.get("seconds") or 0.0, sum(stage.get("seconds", 0.0) for stage in stages))
    rate = captions / took if captions and took else None
    return {
        "captions": captions,
        "texts": audit_rows(audit, "texts") if texts is None else texts,
        "seconds": plain(took, 3),
        "captions_per_second": plain(rate, 0),
    }


def audit_rows(audit: Audit, name: str) -> int:
    """Rows of a stored frame, from its footer."""
    return int(audit.collect(audit.scan(name).select(pl.len()), name).item())


def _repeats(audit: Audit) -> dict[str, dict[str, Any]]:
    """Per kind, and in any: clusters, captions and rows that repeat, and their share of the rows that were scanned."""
    told = audit.manifest.get("totals", {})
    files = audit.frame("files")
    scanned = int(files["rows"].sum()) - int(files["skipped"].sum())
    out = {}
    for kind in (*KINDS, "any"):
        counts = told.get(kind) or {}
        rows = counts.get("rows")
        share = rows / scanned if rows is not None and scanned else None
        out[kind] = {
            "clusters": counts.get("clusters"),
            "texts": counts.get("texts"),
            "rows": rows,
            "share": plain(share, 6),
        }
    return out


def _counts(findings: pl.DataFrame, families: int) -> dict[str, Any]:
    """Findings by severity and by kind, suppressed ones apart."""
    active = findings.filter(~pl.col("suppressed"))
    by = {column: dict(active[column].value_counts().iter_rows()) for column in ("severity", "kind")}
    return {
        "findings": len(findings),
        "families": families,
        "suppressed": len(findings) - len(active),
        "by_severity": {name: by["severity"].get(name, 0) for name in reversed(SEVERITIES)},
        "by_kind": {name: by["kind"].get(name, 0) for name in KINDS},
    }
