"""What became of every finding, as one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.diff.matching import Side
from memaudit.schemas import KIND, SEVERITIES, SEVERITY
from memaudit.verdicts import judged, of_findings

if TYPE_CHECKING:
    from memaudit.diff.matching import Matches
    from memaudit.store import Audit

ORDER = ("new", "grown", "split", "listed", "same", "shrunk", "merged", "unlisted", "gone")
"""What a finding can be. With a match: grown has more rows or captions, shrunk fewer of one and more of neither.

Without one: split and merged, where at least half of its captions stand in one finding of its kind in the other audit;
listed and unlisted, where none holds them but they have at least half of its rows there, so that it was, or is,
repetition below the band of what is listed; else new and gone.
"""

LEAST_ROWS = 0.5  # of a finding's rows that its captions have in the other audit, for listed and unlisted

PAIRED: dict[str, Any] = {
    "cluster_id": pl.UInt32,
    "fingerprint": pl.String,
    "severity": SEVERITY,
    "risk": pl.Float32,
    "n_rows": pl.UInt64,
    "n_texts": pl.UInt32,
    "suppressed": pl.Boolean,
    "verdict": pl.String,
    "family": pl.UInt32,
}

_COLUMNS: dict[str, Any] = {
    "change": pl.Enum(ORDER),
    "kind": KIND,
    "text": pl.String,  # template, else the representative caption; of the new audit where it is there
    "matched_by": pl.String,  # fingerprint, members; null where there is no match
    "jaccard": pl.Float32,  # where members matched
    **{f"{name}_{side}": kind for side in ("old", "new") for name, kind in PAIRED.items()},
    "held_by": pl.String,  # of merged and split: fingerprint, in the other audit, of the finding that holds it
    "rows_there": pl.UInt64,  # rows that its captions have in the other audit; where there is no match
    "worse": pl.Boolean,  # see `_worse`
}
CHANGES = pl.Schema(_COLUMNS)
"""Null in the columns of a side where the finding is not there."""


def side_of(audit: Audit) -> Side:
    """An audit's findings as allow-list and verdicts leave them, with their templates."""
    now = judged(audit)
    templates = audit.collect(audit.scan("templates").select("cluster_id", "template"), "templates")
    found = now.findings.join(templates, on="cluster_id", how="left", maintain_order="left")
    told = of_findings(now.verdicts).select("fingerprint", "verdict")
    found = found.join(told, on="fingerprint", how="left", maintain_order="left")
    return Side(audit, found.with_columns(text=pl.coalesce("template", "representative")), now.verdicts)


def changes(old: Side, new: Side, found: Matches) -> pl.DataFrame:
    """`CHANGES`, one row a finding of either audit: what needs a look first (`ORDER`, suppressed ones last, then by
    severity, by how many rows came or went, and by fingerprint)."""
    was, now = _columns(old.findings, "old"), _columns(new.findings, "new")
    by = pl.when(pl.col("jaccard").is_null()).then(pl.lit("fingerprint")).otherwise(pl.lit("members"))
    pairs = (
        found.pairs.with_columns(matched_by=by)
        .join(was, left_on="old", right_on="cluster_id_old", coalesce=False)
        .join(now, left_on="new", right_on="cluster_id_new", coalesce=False)
        .drop("kind_old", "text_old")
        .rename({"kind_new": "kind", "text_new": "text"})
        .with_columns(change=_grown())
    )
    gone = _alone(found.gone, was, "old", new.findings, ("merged", "unlisted", "gone"))
    fresh = _alone(found.fresh, now, "new", old.findings, ("split", "listed", "new"))
    frame = pl.concat([pairs, fresh, gone], how="diagonal")
    frame = frame.with_columns(worse=_worse())
    return _sorted(frame.select(pl.col(name).cast(kind) for name, kind in CHANGES.items()))


def at_least(column: str, severity: str) -> pl.Expr:
    """Rows whose severity in `column` is this one or above; null is below all."""
    above = SEVERITIES[SEVERITIES.index(severity) :]
    return pl.col(column).cast(pl.String).is_in(above).fill_null(False)


def _columns(findings: pl.DataFrame, side: str) -> pl.DataFrame:
    return findings.select(pl.col(name).alias(f"{name}_{side}") for name in (*PAIRED, "kind", "text"))


def _grown() -> pl.Expr:
    pairs = [(pl.col(f"{name}_old"), pl.col(f"{name}_new")) for name in ("n_rows", "n_texts")]
    more = pl.any_horizontal(new > old for old, new in pairs)
    fewer = pl.any_horizontal(new < old for old, new in pairs)
    return pl.when(more).then(pl.lit("grown")).when(fewer).then(pl.lit("shrunk")).otherwise(pl.lit("same"))


def _alone(
    left: pl.DataFrame, own: pl.DataFrame, side: str, others: pl.DataFrame, names: tuple[str, str, str]
) -> pl.DataFrame:
    """Findings without a match. names: what one is that another finding holds, that is there unlisted, that is not."""
    holders = others.select(held="cluster_id", held_by="fingerprint", severity_held="severity")
    joined = left.join(holders, on="held", how="left").join(
        own, left_on="cluster_id", right_on=f"cluster_id_{side}", coalesce=False
    )
    held, there = pl.col("held").is_not_null(), pl.col("rows_there") >= LEAST_ROWS * pl.col("rows_here")
    change = pl.when(held).then(pl.lit(names[0])).when(there).then(pl.lit(names[1])).otherwise(pl.lit(names[2]))
    return joined.rename({f"kind_{side}": "kind", f"text_{side}": "text"}).with_columns(change=change)


def _worse() -> pl.Expr:
    """Whether a gate should stop at it: not suppressed, and new, grown, of a higher severity, or no longer suppressed.

    Split and listed findings are compared with what their captions were: worse where these have more rows now, or a
    higher severity than that of the finding that held them (info, where none did).
    """
    now, before = pl.col("severity_new").to_physical(), pl.coalesce("severity_old", "severity_held").to_physical()
    split = pl.col("change").is_in(["split", "listed"])
    bad = pl.any_horizontal(
        pl.col("change").is_in(["new", "grown"]),
        split & (pl.col("rows_there") < pl.col("rows_here")),
        now > before.fill_null(0),
        pl.col("suppressed_old"),
    )
    return (bad & ~pl.col("suppressed_new")).fill_null(False)


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    rows = [pl.col(f"n_rows_{side}").cast(pl.Int64).fill_null(0) for side in ("new", "old")]
    return frame.sort(
        pl.col("change").to_physical(),
        pl.coalesce("suppressed_new", "suppressed_old"),
        pl.coalesce("severity_new", "severity_old").to_physical(),
        (rows[0] - rows[1]).abs(),
        pl.coalesce("fingerprint_new", "fingerprint_old"),
        descending=[False, False, True, True, False],
    )
