"""Two audits beside each other: which findings are new, gone, grown or shrunk, matched by fingerprint or by members.

Nothing is detected again, and no original is read: both audits hold the keys of their texts, which are the same for the
same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from memaudit.diff.changes import CHANGES, at_least, changes, side_of
from memaudit.diff.matching import matched

if TYPE_CHECKING:
    import polars as pl

    from memaudit.diff.matching import Side
    from memaudit.store import Audit

__all__ = ["CHANGES", "Diff", "at_least", "diff", "worse"]


class Diff(NamedTuple):
    """What became of findings between two audits. frame: `CHANGES`, the gravest first; old, new: facts of the audits,
    JSON types; notes: what a reader must know of the comparison."""

    frame: pl.DataFrame
    old: dict[str, Any]
    new: dict[str, Any]
    notes: list[str]


def diff(old: Audit, new: Audit) -> Diff:
    """Compare two audits as the allow-list and the verdicts of each leave them.

    Raises BadInput for a damaged audit, UsageError for an allow-list that cannot be used. Cost: a pass over TEXTS and
    CLUSTERS of both; memory for the members of findings that no fingerprint matches.
    """
    before, after = side_of(old), side_of(new)
    frame = changes(before, after, matched(before, after))
    return Diff(
        frame, about(old, len(before.findings)), about(new, len(after.findings)), _notes(old, new, before, after)
    )


def about(audit: Audit, n_findings: int) -> dict[str, Any]:
    """What identifies an audit beside another."""
    totals = audit.manifest.get("totals", {})
    return {
        "folder": str(audit.folder),
        "tool": str(audit.manifest.get("tool", "")),
        **{key: totals.get(key) for key in ("rows", "captions", "texts")},
        "findings": n_findings,
    }


def worse(found: Diff, severity: str) -> int:
    """How many findings at or above `severity` a gate should stop at: see the column `worse` of `CHANGES`."""
    return int(found.frame.filter("worse", at_least("severity_new", severity)).height)


def _notes(old: Audit, new: Audit, before: Side, after: Side) -> list[str]:
    out = ["Risk is a rank score within one audit: it is shown for each, and a difference of two means nothing."]
    here, there = (audit.manifest.get("config", {}) for audit in (old, new))
    differ = (key for key in sorted({*here, *there}) if here.get(key) != there.get(key))
    out += [f"The scans differ in {key}: {here.get(key)!r} in OLD, {there.get(key)!r} in NEW." for key in differ]
    if old.manifest.get("tool") != new.manifest.get("tool"):
        versions = f"{old.manifest.get('tool')} in OLD, {new.manifest.get('tool')} in NEW"
        out.append(f"Written by different versions of memaudit: {versions}.")
    for name, one, other in (("NEW", after, before), ("OLD", before, after)):
        if one.verdicts.is_empty() and not other.verdicts.is_empty():
            out.append(f"{name} has no verdicts: no model was asked about it.")
    return out
