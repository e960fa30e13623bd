"""Which findings remove rows, and what that means for every text of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from memaudit.clean.survivors import EMPTY, Rules
from memaudit.errors import UsageError
from memaudit.verdicts import at_least, confirms, judged, of_findings

if TYPE_CHECKING:
    from memaudit.clean.settings import CleanConfig
    from memaudit.store import Audit

TOLD = ("cluster_id", "kind", "fingerprint", "template", "risk", "severity", "verdict")


@dataclass(frozen=True)
class Acting:
    """findings: those that remove rows, one row of `TOLD` each, the riskiest first. texts: uint32, ascending, the texts
    of any; rules: by place in `texts`. templates: uint32, cluster of each template number of the rules."""

    findings: pl.DataFrame
    texts: np.ndarray
    rules: Rules
    templates: np.ndarray


def acting(audit: Audit, config: CleanConfig) -> Acting:
    """The findings at or above the severity that are not suppressed; of a text in several exact and near ones the near
    one counts, which holds the exact one's rows too. Costs the clusters of these findings in memory."""
    findings = _findings(audit, config)
    inside = audit.scan("clusters").select("cluster_id", "text_id")
    entries = audit.collect(inside.join(findings.lazy().select("cluster_id"), on="cluster_id", how="semi"), "clusters")
    number = findings.select("cluster_id", "kind", rank=pl.int_range(pl.len(), dtype=pl.UInt32))
    entries = entries.join(number, on="cluster_id", how="left").unique(["cluster_id", "text_id"])
    texts = entries["text_id"].unique().sort()
    at = pl.DataFrame({"text_id": texts, "at": np.arange(len(texts), dtype=np.uint32)})
    entries = entries.join(at, on="text_id").sort("at", "rank")
    pairs = entries.filter(pl.col("kind") != "template").sort("at", pl.col("kind") == "exact", "rank")
    pairs = pairs.unique("at", keep="first", maintain_order=True)
    pair = np.full(len(texts), EMPTY, np.uint32)
    pair[pairs["at"].to_numpy()] = pairs["cluster_id"].to_numpy()
    framed = entries.filter(pl.col("kind") == "template")
    templates = findings.filter(pl.col("kind") == "template")["cluster_id"]
    numbers = pl.DataFrame({"cluster_id": templates, "n": np.arange(len(templates), dtype=np.uint32)})
    framed = framed.join(numbers, on="cluster_id", maintain_order="left")
    first = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.bincount(framed["at"].to_numpy(), minlength=len(texts)), out=first[1:])
    rules = Rules(pair, first, framed["n"].to_numpy().astype(np.uint32))
    return Acting(findings, texts.to_numpy(), rules, templates.to_numpy())


def _findings(audit: Audit, config: CleanConfig) -> pl.DataFrame:
    now = judged(audit)
    found = now.findings.filter(~pl.col("suppressed"), at_least(config.min_severity))
    if config.only_verified:
        if now.verdicts.is_empty():
            why = "no model was asked yet, which is not the same as no copies"
            raise UsageError("this audit has no verdicts", why, f"memaudit verify {audit.folder} --model MODEL")
        proven = now.verdicts.filter(confirms())["fingerprint"].unique()
        found = found.filter(pl.col("fingerprint").is_in(proven.implode()))
    templates = audit.frame("templates").select("cluster_id", "template").unique("cluster_id")
    found = found.join(of_findings(now.verdicts).select("fingerprint", "verdict"), on="fingerprint", how="left")
    found = found.join(templates, on="cluster_id", how="left").sort("risk", "cluster_id", descending=[True, False])
    return found.with_columns(pl.col("kind", "severity").cast(pl.String)).select(TOLD)
