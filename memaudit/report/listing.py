"""Every finding in a line: what a table lists, beside the few that are shown in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.report.stored import plain
from memaudit.verdicts import of_findings, replicated

if TYPE_CHECKING:
    from memaudit.store import Audit
    from memaudit.verdicts import Judged

COLUMNS = (
    *("cluster_id", "fingerprint", "kind", "severity", "risk", "rule", "n_rows", "n_texts", "n_images", "n_domains"),
    *("suppressed", "representative"),
)


def listing(audit: Audit, now: Judged, families: pl.DataFrame, most: int) -> dict[str, Any]:
    """{"total", "rows"}: findings by risk, suppressed ones last, all variants of a family among them.

    families: the finding that stands for each (`entries.ranked`). Where there are more than `most`, those that a model
    copies and those that stand for a family come before variants.
    """
    heads = families["cluster_id"].implode()
    copied = now.verdicts.filter(replicated())["fingerprint"].unique().implode()
    findings = now.findings.with_columns(
        head=pl.col("cluster_id").is_in(heads),
        first=pl.col("cluster_id").is_in(heads) | pl.col("fingerprint").is_in(copied),
        variants=pl.len().over("family") - 1,
    )
    order = ["suppressed", "risk", "cluster_id"]
    down = [False, True, False]
    if len(findings) > most:
        findings = findings.sort(["first", *order], descending=[True, *down]).head(most)
    judged = of_findings(now.verdicts).select("fingerprint", "verdict", "rate")
    listed = findings.join(judged, on="fingerprint", how="left").sort(order, descending=down)
    templates = _templates(audit, listed)
    columns = (*COLUMNS, "head", "variants", "verdict", "rate")
    rows = [
        {
            **row,
            "risk": plain(row["risk"]),
            "rate": plain(row["rate"]),
            "template": templates.get(row["cluster_id"]),
        }
        for row in listed.select(columns).iter_rows(named=True)
    ]
    return {"total": len(now.findings), "rows": rows}


def _templates(audit: Audit, findings: pl.DataFrame) -> dict[int, str]:
    wanted = findings["cluster_id"].implode()
    query = audit.scan("templates").filter(pl.col("cluster_id").is_in(wanted)).select("cluster_id", "template")
    return dict(audit.collect(query, "templates").iter_rows())
