"""Which finding of one audit is which of the other: by fingerprint, else by the captions that both audits hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from memaudit.store import Audit

LEAST_COMMON = 0.5
"""Jaccard similarity, over the captions that both audits hold, from which two findings are the same one (docs/diff.md
says how it was chosen)."""

LEAST_SHARED = {"near": 1, "template": 2}
"""Captions that a match needs: a near cluster owns its captions alone, templates share them."""

LEAST_HELD = (
    0.5  # of a finding's captions: the finding of the other audit that holds so many took it up, or gave it away
)

KEY = ("key_lo", "key_hi")


class Side(NamedTuple):
    """An audit and its findings as they stand (`judged`), with "text" (template, else caption) and "verdict"."""

    audit: Audit
    findings: pl.DataFrame
    verdicts: pl.DataFrame


class Matches(NamedTuple):
    """Which finding is which, and what is told of those without a match.

    pairs: old, new (cluster ids), jaccard (null where the fingerprints are equal). gone, fresh: findings of the old and
    of the new audit without a match: cluster_id, rows_here and rows_there (rows that its captions have in its own and
    in the other audit), held (cluster id there of the finding of the same kind that holds at least half of its
    captions, null for none).
    """

    pairs: pl.DataFrame
    gone: pl.DataFrame
    fresh: pl.DataFrame


def matched(old: Side, new: Side) -> Matches:
    """Match findings one to one.

    Equal fingerprints first. Of the rest, near and template findings of one kind by descending Jaccard similarity of
    their captions, counted over the captions that both audits hold, so that a cluster is found again in a dataset ten
    times as large; between equals the similarity of all their captions decides, then how many they share.
    """
    same = _by_fingerprint(old.findings, new.findings)
    lost = old.findings.join(same, left_on="cluster_id", right_on="old", how="anti")
    found = new.findings.join(same, left_on="cluster_id", right_on="new", how="anti")
    was, now = _members(old, lost, new.audit), _members(new, found, old.audit)
    forward = _shared(was, new).rename({"own": "old", "other": "new"})
    backward = _shared(now, old).rename({"own": "new", "other": "old"})
    again = _by_members(forward, _sizes(was), _sizes(now))
    pairs = pl.concat([same.with_columns(jaccard=pl.lit(None, pl.Float32)), again])
    return Matches(
        pairs,
        _left(lost, was, forward.rename({"old": "own", "new": "other"}), again["old"], new.findings),
        _left(found, now, backward.rename({"new": "own", "old": "other"}), again["new"], old.findings),
    )


def _by_fingerprint(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """old, new: cluster ids."""
    one, other = (
        side.select("fingerprint", pl.col("cluster_id").alias(name)).unique("fingerprint", keep="first")
        for side, name in ((old, "old"), (new, "new"))
    )
    return one.join(other, on="fingerprint").select("old", "new").sort("new")


def _members(side: Side, findings: pl.DataFrame, other: Audit) -> pl.DataFrame:
    """Member texts of some findings: cluster_id, kind, rows_here, and text_there (text_id) and rows_there in the other
    audit, null where it lacks them."""
    own = findings.lazy().select("cluster_id", "kind")
    inside = side.audit.scan("clusters").select("cluster_id", "text_id").join(own, on="cluster_id")
    keyed = inside.join(side.audit.scan("texts").select("text_id", *KEY, rows_here="n_rows"), on="text_id")
    members = side.audit.collect(keyed.drop("text_id"), "texts", "clusters", engine="streaming")
    texts = other.scan("texts").select(*KEY, text_there="text_id", rows_there="n_rows")
    known = texts.join(members.lazy().select(KEY).unique(), on=KEY, how="semi")
    there = other.collect(known, "texts", engine="streaming")
    return members.join(there, on=KEY, how="left").drop(KEY)


def _shared(members: pl.DataFrame, other: Side) -> pl.DataFrame:
    """Pairs of findings of one kind, exact ones apart, that share captions: own, other (cluster ids), shared (how
    many). members: as of `_members`."""
    mine = members.filter(pl.col("kind") != "exact", pl.col("text_there").is_not_null())
    mine = mine.select("kind", own="cluster_id", text_id="text_there")
    listed = other.findings.lazy().select("cluster_id", "kind")
    known = mine.lazy().select("text_id").unique()  # first: a hundred times faster than the join on both columns alone
    inside = other.audit.scan("clusters").select("cluster_id", "text_id").join(known, on="text_id", how="semi")
    found = inside.join(listed, on="cluster_id").join(mine.lazy(), on=["kind", "text_id"])
    pairs = found.group_by("own", other="cluster_id").agg(shared=pl.len())
    return other.audit.collect(pairs, "clusters", engine="streaming")


def _sizes(members: pl.DataFrame) -> pl.DataFrame:
    """cluster_id, kind, texts, common: captions, and those that the other audit holds too."""
    return members.group_by("cluster_id", "kind").agg(texts=pl.len(), common=pl.col("text_there").count())


def _by_members(shared: pl.DataFrame, was: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """Pairs among the findings that no fingerprint matches: old, new, jaccard. was, now: as of `_sizes`."""
    least = pl.col("kind").cast(pl.String).replace_strict(LEAST_SHARED, default=1, return_dtype=pl.UInt32)
    sized = shared.join(was, left_on="old", right_on="cluster_id").join(
        now.drop("kind"), left_on="new", right_on="cluster_id", suffix="_new"
    )
    scored = (
        sized.with_columns(jaccard=_jaccard("common"), whole=_jaccard("texts"))
        .filter(pl.col("jaccard") >= LEAST_COMMON, pl.col("shared") >= least)
        .sort("jaccard", "whole", "shared", "old", "new", descending=[True, True, True, False, False])
    )
    taken: tuple[set[int], set[int]] = (set(), set())
    kept: list[tuple[Any, ...]] = []
    for old, new, jaccard in scored.select("old", "new", "jaccard").iter_rows():
        if old not in taken[0] and new not in taken[1]:
            taken[0].add(old)
            taken[1].add(new)
            kept.append((old, new, jaccard))
    return pl.DataFrame(kept, schema={"old": pl.UInt32, "new": pl.UInt32, "jaccard": pl.Float32}, orient="row")


def _jaccard(size: str) -> pl.Expr:
    union = pl.col(size).cast(pl.Int64) + pl.col(f"{size}_new").cast(pl.Int64) - pl.col("shared").cast(pl.Int64)
    return (pl.col("shared") / union).cast(pl.Float32)


def _left(
    findings: pl.DataFrame, members: pl.DataFrame, shared: pl.DataFrame, taken: pl.Series, others: pl.DataFrame
) -> pl.DataFrame:
    """What is told of findings that have no match; see `Matches`."""
    left = findings.filter(~pl.col("cluster_id").is_in(taken.implode())).select("cluster_id", "n_texts")
    rows = members.group_by("cluster_id").agg(pl.col("rows_here", "rows_there").cast(pl.UInt64).sum())
    sizes = others.select(other="cluster_id", size="n_texts")
    held = (
        shared.join(left, left_on="own", right_on="cluster_id")
        .filter(pl.col("shared") >= LEAST_HELD * pl.col("n_texts"))
        .join(sizes, on="other")
        .sort("shared", "size", "other", descending=[True, False, False])
        .unique("own", keep="first", maintain_order=True)
        .select(cluster_id="own", held="other")
    )
    return left.drop("n_texts").join(rows, on="cluster_id", how="left").join(held, on="cluster_id", how="left")
