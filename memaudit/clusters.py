"""Clusters of all kinds side by side: members, what is known of each, risk and family."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from memaudit.detect.evidence import Evidence, RowsByText, evidence
from memaudit.detect.families import families
from memaudit.detect.templates import Templates, tightest
from memaudit.ragged import Pieces, joined, offsets_of, owners, pick
from memaudit.rank import EXACT, NEAR, TEMPLATE, Measures, Ranked, rank
from memaudit.rules import risk_model
from memaudit.schemas import KIND, KINDS, conform

if TYPE_CHECKING:
    from memaudit.detect.stars import Stars
    from memaudit.ingest import Texts


@dataclass(frozen=True)
class Clusters:
    """All clusters in the order of their ids: exact, near, template."""

    members: Pieces  # uint32 text ids
    similarity: np.ndarray  # float32 by member: to the representative
    representative: np.ndarray  # text id by cluster
    source: np.ndarray  # int64 by cluster: which star or template it is; the text itself for exact ones
    measures: Measures
    evidence: Evidence
    ranked: Ranked
    family: np.ndarray  # int64 by cluster: id of its family's head

    def __len__(self) -> int:
        return len(self.representative)

    def texts_of(self, which: np.ndarray) -> np.ndarray:
        """Member texts of the clusters where `which` (bool, by cluster) holds, repeats included."""
        texts: np.ndarray = self.members.values[which[owners(self.members.at)]]
        return texts

    def findings(self) -> np.ndarray:
        """Clusters that become findings, by descending risk: all above the info band, and of those in it the
        riskiest."""
        found = np.flatnonzero(self.ranked.severity >= 0)
        found = found[np.argsort(-self.ranked.risk[found], kind="stable")]
        severe = self.ranked.severity[found] > 0
        place = np.cumsum(~severe) + severe.sum()
        listed: np.ndarray = found[severe | (place <= risk_model()["info"]["most"])]
        return listed


def assemble(
    n_rows: np.ndarray,
    stars: Stars,
    templates: Templates,
    bits: np.ndarray,
    rows: RowsByText,
    texts: Texts,
    threads: int,
) -> Clusters:
    """Put the three kinds side by side, measure and rank them. bits: information of every text."""
    repeated = np.flatnonzero(n_rows >= 2).astype(np.uint32)
    exact = Pieces(offsets_of(np.ones(len(repeated), np.int64)), repeated)
    near, template = Pieces(stars.member_at, stars.text), Pieces(templates.member_at, templates.text)
    members = joined(exact, near, template)
    similarity = np.concatenate([np.ones(len(repeated), np.float32), stars.similarity, templates.share])
    kind = np.repeat(np.array([EXACT, NEAR, TEMPLATE], np.int8), [len(exact), len(near), len(template)])
    representative = np.concatenate([repeated, stars.text[stars.member_at[:-1]], tightest(templates, texts.key_lo)])
    rows_evidence = evidence(members.at, members.values, rows, threads)
    measures = Measures(
        kind,
        rows_evidence.n_rows.astype(np.int64),
        np.diff(members.at),
        np.concatenate([bits[representative[kind != TEMPLATE]], templates.bits]),
        _means(similarity, members.at),
        rows_evidence.focus,
    )
    ranked = rank(measures)
    source = np.concatenate([repeated, np.arange(len(near)), np.arange(len(template))]).astype(np.int64)
    return Clusters(
        members, similarity, representative, source, measures, rows_evidence, ranked, np.full(len(kind), -1)
    )


def _means(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    means: np.ndarray = (sums[at[1:]] - sums[at[:-1]]) / np.maximum(np.diff(at), 1)
    return means


def select(clusters: Clusters, templates: Templates, texts: Texts) -> tuple[Clusters, Templates]:
    """Without the templates that become no finding: phrases of the language, which would swamp the frame. Families are
    told here, among findings."""
    keep = np.union1d(np.flatnonzero(clusters.measures.kind != TEMPLATE), clusters.findings())
    kept_templates = clusters.source[keep][clusters.measures.kind[keep] == TEMPLATE]
    own = pick(np.arange(len(templates.text)), templates.member_at, kept_templates)
    templates = Templates(
        own.at,
        templates.text[own.values],
        templates.span[own.values],
        templates.share[own.values],
        templates.bits[kept_templates],
    )
    member_keep = np.isin(owners(clusters.members.at), keep)
    r = clusters.ranked
    source = clusters.source[keep]
    source[clusters.measures.kind[keep] == TEMPLATE] = np.arange(len(kept_templates))
    selected = Clusters(
        Pieces(offsets_of(np.diff(clusters.members.at)[keep]), clusters.members.values[member_keep]),
        clusters.similarity[member_keep],
        clusters.representative[keep],
        source,
        Measures(*(column[keep] for column in clusters.measures)),
        Evidence(*(column[keep] for column in clusters.evidence)),
        Ranked(
            r.risk[keep],
            r.severity[keep],
            r.rule[keep],
            r.confidence[keep],
            {k: v[keep] for k, v in r.features.items()},
        ),
        np.full(len(keep), -1),
    )
    return replace(selected, family=_families(selected, texts)), templates


def _families(clusters: Clusters, texts: Texts) -> np.ndarray:
    """Families of the findings, heads from the broadest to the narrowest; ties by risk, then by key."""
    m, found = clusters.measures, clusters.findings()
    order = np.lexsort((texts.key_lo[clusters.representative], -clusters.ranked.risk, -m.n_rows, -m.n_texts))
    order = order[np.isin(order, found)]
    at, members = clusters.members
    return families(order, clusters.ranked.risk, at, members, len(texts.key_lo))


def cluster_frame(clusters: Clusters) -> pl.DataFrame:
    """CLUSTERS."""
    owner = owners(clusters.members.at)
    kinds = pl.Series(clusters.measures.kind[owner].astype(np.uint32)).cast(pl.UInt32)
    names = pl.Series(list(KINDS), dtype=KIND)
    return conform(
        "clusters",
        pl.DataFrame(
            {
                "cluster_id": owner.astype(np.uint32),
                "kind": names.gather(kinds),
                "text_id": clusters.members.values.astype(np.uint32),
                "similarity": clusters.similarity,
            }
        ),
    )
