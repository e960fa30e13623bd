"""A comparison as one plain dict, which every format shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit import __version__
from memaudit.diff.changes import ORDER, PAIRED, at_least

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memaudit.diff import Diff

VERSION = 1
SHORTEST = 8  # hex digits of a fingerprint that reports print at least
_SIDES = ("old", "new")


def summary(found: Diff, top: int | None = 10, min_severity: str = "info", only_worse: bool = False) -> dict[str, Any]:
    """The comparison as a dict of JSON types.

    min_severity: findings below it in both audits are left out, of the counts too. top: families listed of each change,
    one finding for each; None lists every finding. only_worse: list only what should stop a gate. Findings that are as
    they were are only counted.
    """
    frame = found.frame.filter(at_least("severity_old", min_severity) | at_least("severity_new", min_severity))
    frame = frame.with_columns(altered=_altered())
    listed = frame.filter(pl.col("worse") if only_worse else (pl.col("change") != "same") | pl.col("altered"))
    families = listed.with_columns(variants=pl.len().over("change", _family()) - 1)
    one = families.unique(["change", _family()], keep="first", maintain_order=True)
    shown = (
        listed.with_columns(variants=pl.lit(None))
        if top is None
        else one.group_by("change", maintain_order=True).head(top)
    )
    digits = _digits(found.frame)
    return {
        "version": VERSION,
        "tool": __version__,
        "min_severity": min_severity,
        **{side: getattr(found, side) for side in _SIDES},
        "counts": _counts(frame),
        "families": dict(one["change"].value_counts().sort("change").iter_rows()),
        "changes": [_entry(row, digits) for row in shown.iter_rows(named=True)],
        "notes": list(found.notes),
    }


def _altered() -> pl.Expr:
    """Whether a finding that is in both audits has another severity or verdict, or is suppressed in one only."""
    pairs = [(pl.col(f"{name}_old"), pl.col(f"{name}_new")) for name in ("severity", "verdict", "suppressed")]
    there = pl.col("fingerprint_old").is_not_null() & pl.col("fingerprint_new").is_not_null()
    return there & pl.any_horizontal(old.ne_missing(new) for old, new in pairs)


def _family() -> pl.Expr:
    return pl.coalesce("family_new", "family_old")


def _digits(frame: pl.DataFrame) -> int:
    """How many digits tell all fingerprints apart."""
    known = pl.concat([frame[f"fingerprint_{side}"].drop_nulls() for side in _SIDES]).unique()
    lengths = range(SHORTEST, 16)
    return next((n for n in lengths if known.str.head(n).n_unique() == len(known)), 16)


def _counts(frame: pl.DataFrame) -> dict[str, Any]:
    """Findings by change; then how many are of a higher or lower severity, have another verdict, are suppressed in the
    new audit (else the old), and would stop a gate."""
    by_change = dict(frame["change"].value_counts().iter_rows())
    old, new = (pl.col(f"severity_{side}").to_physical() for side in _SIDES)
    both = pl.col("fingerprint_old").is_not_null() & pl.col("fingerprint_new").is_not_null()
    told = frame.select(
        raised=(new > old).sum(),
        lowered=(new < old).sum(),
        verdicts=(both & pl.col("verdict_old").ne_missing(pl.col("verdict_new"))).sum(),
        suppressed=pl.coalesce("suppressed_new", "suppressed_old").sum(),
        worse=pl.col("worse").sum(),
    )
    return {**{name: by_change.get(name, 0) for name in ORDER}, **told.to_dicts()[0]}


def _entry(row: dict[str, Any], digits: int) -> dict[str, Any]:
    sides = {side: dict(_side(row, side)) or None for side in _SIDES}
    own = row["fingerprint_new"] or row["fingerprint_old"]
    held = row["held_by"]
    return {
        **{name: row[name] for name in ("change", "kind", "text", "matched_by")},
        "jaccard": None if row["jaccard"] is None else round(row["jaccard"], 4),
        "fingerprint": own,
        "short": own[:digits],
        **sides,
        "held_by": held if held is None else held[:digits],
        "rows_there": row["rows_there"],
        "worse": row["worse"],
        "variants": row["variants"],
    }


def _side(row: dict[str, Any], side: str) -> Iterator[tuple[str, Any]]:
    if row[f"fingerprint_{side}"] is not None:
        for name in PAIRED:
            value = row[f"{name}_{side}"]
            yield name, round(value, 4) if name == "risk" else value
