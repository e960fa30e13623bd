"""The scan against the planted truth of sample_data: grouping and the text of templates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from memaudit.store import Audit

TRUTH = Path(__file__).parents[1] / "sample_data" / "truth" / "truth.parquet"
ROW = ["name", "row"]


@pytest.fixture(scope="module")
def clustered(sample_audit: Audit) -> pl.DataFrame:
    """One line per row and cluster: name of the file, row, kind, cluster_id."""
    names = sample_audit.frame("files").select("file", name=pl.col("path").str.split("/").list.last())
    members = sample_audit.frame("members").join(names, on="file")
    return members.join(sample_audit.frame("clusters"), on="text_id").select(*ROW, "kind", "cluster_id")


def best_f1(clustered: pl.DataFrame, kind: str) -> pl.Series:
    """For every planted group the F1 of the cluster that fits it best."""
    truth = pl.read_parquet(TRUTH).filter(pl.col("kind") == kind)
    planted = truth.select(pl.col("file").alias("name"), pl.col("row").cast(pl.UInt64), "group").unique()
    own = clustered.filter(pl.col("kind") == kind)
    shared = planted.join(own, on=ROW).group_by("group", "cluster_id").len("both")
    sizes = shared.join(own.group_by("cluster_id").len("found"), on="cluster_id")
    sizes = sizes.join(planted.group_by("group").len("planted"), on="group")
    f1 = sizes.with_columns(f1=2 * pl.col("both") / (pl.col("found") + pl.col("planted")))
    best = f1.group_by("group").agg(pl.col("f1").max())
    every = planted.select("group").unique().join(best, on="group", how="left")
    return every["f1"].fill_null(0.0)


@pytest.mark.parametrize(
    ("kind", "groups", "least"), [("exact", 230, 1.0), ("near", 259, 0.98), ("template", 47, 0.98)]
)
def test_planted_groups_are_found(clustered: pl.DataFrame, kind: str, groups: int, least: float) -> None:
    f1 = best_f1(clustered, kind)
    print(f"\n{kind}: {len(f1)} groups, mean F1 {f1.mean():.3f}")
    assert len(f1) == groups
    assert float(f1.mean()) >= least  # type: ignore[arg-type]


def test_templates_read_as_they_were_planted(sample_audit: Audit) -> None:
    planted = set(pl.read_parquet(TRUTH).filter(pl.col("kind") == "template")["template"])
    found = set(sample_audit.frame("templates")["template"])
    print(f"\n{len(planted & found)} of {len(planted)} template texts found word for word")
    assert len(planted & found) >= 0.95 * len(planted)


def test_boilerplate_does_not_lead(sample_audit: Audit) -> None:
    """Of the thirty riskiest families none is a planted stock tail or page furniture."""
    truth = pl.read_parquet(TRUTH).filter(pl.col("kind") == "boilerplate")
    names = sample_audit.frame("files").select("file", name=pl.col("path").str.split("/").list.last())
    rows = truth.select(pl.col("file").alias("name"), pl.col("row").cast(pl.UInt64)).join(names, on="name")
    boilerplate = set(rows.join(sample_audit.frame("members"), on=["file", "row"])["text_id"])
    heads = (
        sample_audit.frame("findings").filter(pl.col("family") == pl.col("cluster_id")).sort("risk", descending=True)
    )
    members = sample_audit.frame("clusters").filter(pl.col("cluster_id").is_in(heads["cluster_id"].head(30).implode()))
    for (cluster,), part in members.group_by("cluster_id"):
        share = len(set(part["text_id"]) & boilerplate) / len(part)
        assert share < 0.5, heads.filter(pl.col("cluster_id") == cluster)["representative"].item()
