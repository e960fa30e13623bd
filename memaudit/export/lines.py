"""Which rows an export lists, and what it says of each: the decision keep or drop, made once for both views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from memaudit.originals import windows
from memaudit.verdicts import at_least, judged, of_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memaudit.store import Audit

PLACE = ("file", "row")


@dataclass(frozen=True)
class Plan:
    """What decides every line of an export.

    findings: one row per listed cluster (cluster_id and what a line says of it); entries: (text_id, cluster_id) of
    their members; kept: (file, row) that no blocklist may name; kept_ids: the ids of these rows.
    """

    findings: pl.DataFrame
    entries: pl.DataFrame
    kept: pl.DataFrame
    kept_ids: pl.DataFrame
    acting: pl.Expr  # which of the findings drop rows


def findings_of(audit: Audit, verdicts: frozenset[str] = frozenset()) -> pl.DataFrame:
    """FINDINGS as they stand now, with verdict, rate, low and high of the model that copies most, null where no model
    was asked. verdicts: only those of these names; none means all."""
    now = judged(audit)
    found = now.findings.join(of_findings(now.verdicts), on="fingerprint", how="left", maintain_order="left")
    return found.filter(pl.col("verdict").is_in(verdicts)) if verdicts else found


def plan(audit: Audit, listed: str, acting: str, verdicts: frozenset[str] = frozenset()) -> Plan:
    """Decide which rows stay. Findings from severity `listed` on are listed, those from `acting` on drop rows; where
    `verdicts` are named, only findings with one of them.

    A blocklist names every row of the acting clusters but these: the first row of each template finding's
    representative, and the first row of *every* exact and near cluster's representative, listed or not, so that no
    list of rows at any severity removes all of an exact or near cluster. A template family of 1,000 captions that
    occur twice each therefore keeps 1,000 rows.
    """
    findings = findings_of(audit, verdicts).filter(at_least(listed))
    acts = at_least(acting) & ~pl.col("suppressed")
    clusters = audit.scan("clusters").select("cluster_id", "text_id")
    inside = clusters.join(findings.lazy().select("cluster_id"), on="cluster_id", how="semi")
    kept = _kept(audit, findings.filter(acts))
    ids = audit.scan("members").join(kept.lazy(), on=PLACE, how="semi").select("id").drop_nulls().unique()
    entries, kept_ids = audit.collect(inside, "clusters"), audit.collect(ids, "members")
    return Plan(_labelled(audit, findings), entries, kept, kept_ids, acts)


def _kept(audit: Audit, acting: pl.DataFrame) -> pl.DataFrame:
    """(file, row) of the representatives that stay, each once."""
    clusters = audit.scan("clusters").filter(pl.col("kind") != "template")
    known = audit.scan("findings").select("cluster_id", chosen="text_id")
    # A cluster without a finding names no representative: the member that is most like it, the first one of equals.
    best = (
        clusters.group_by("cluster_id")
        .agg(pl.col("text_id").sort_by("similarity", "text_id", descending=[True, False]).first())
        .join(known, on="cluster_id", how="left")
        .select(pl.coalesce("chosen", "text_id").alias("text_id"))
    )
    templates = acting.lazy().filter(pl.col("kind") == "template").select("text_id")
    texts = pl.concat([best, templates]).unique()
    return audit.collect(audit.scan("texts").join(texts, on="text_id", how="semi").select(PLACE).unique(), "texts")


def _labelled(audit: Audit, findings: pl.DataFrame) -> pl.DataFrame:
    """What a line says of its cluster."""
    templates = audit.collect(audit.scan("templates").select("cluster_id", "template"), "templates")
    chosen = findings.select("cluster_id", "kind", "fingerprint", "risk", "severity", "suppressed", "reason", "verdict")
    return chosen.join(templates.unique("cluster_id"), on="cluster_id", how="left")


def member_lines(audit: Audit, plan: Plan) -> Iterator[pl.DataFrame]:
    """Lines in the order of the data, a window of records at a time: (file, row, cluster) each once.

    Columns: file (index), row, column, id, action, risk (the highest over the row's lines), and those of
    `Plan.findings`. Memory follows the window, the clusters and the kept rows, not the dataset.
    """
    for window in windows(audit):
        members = audit.scan("members").filter(window).select(*PLACE, "column", "text_id", "id")
        found = audit.collect(members.join(plan.entries.lazy(), on="text_id"), "members")
        if found.is_empty():
            continue
        found = found.sort(*PLACE, "column", "cluster_id")
        found = found.unique([*PLACE, "cluster_id"], keep="first", maintain_order=True)
        found = found.join(plan.findings, on="cluster_id", how="left", maintain_order="left")
        found = found.join(plan.kept.with_columns(kept=True), on=PLACE, how="left", maintain_order="left")
        # a row's lines agree, those of suppressed findings apart
        drop = pl.col("kept").is_null() & ~pl.col("suppressed") & plan.acting.any().over(PLACE)
        yield found.with_columns(
            action=pl.when(drop).then(pl.lit("drop")).otherwise(pl.lit("keep")), risk=pl.col("risk").max().over(PLACE)
        )


def blocked(found: pl.DataFrame, plan: Plan) -> tuple[pl.DataFrame, int]:
    """Only the lines to drop, and how many ids were left out: an id that a kept row has too would drop that row."""
    dropped = found.filter(pl.col("action") == "drop")
    shared = dropped.select(pl.col("id").is_in(plan.kept_ids["id"].implode())).to_series().fill_null(False)
    ids = pl.when(~shared).then(pl.col("id"))
    return dropped.with_columns(id=ids), int(shared.sum())
