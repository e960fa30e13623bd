"""Frames of the findings: FINDINGS, TEMPLATES and TRIGGERS, with their words read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from memaudit.describe import (
    DETAILED,
    describe_template,
    fingerprint,
    normalised,
    slot_examples,
    template_text,
    triggers,
)
from memaudit.detect.frames import unpack
from memaudit.ragged import pick
from memaudit.rank import EXACT, NEAR, TEMPLATE
from memaudit.schemas import CONFIDENCES, FRAMES, KINDS, SEVERITIES, SLOT, conform

if TYPE_CHECKING:
    from memaudit.clusters import Clusters
    from memaudit.detect.slots import Slots
    from memaudit.detect.templates import Templates
    from memaudit.ingest import Texts
    from memaudit.readback import Library

TRIGGERED = 1000  # findings, by risk, whose triggers are counted


def findings_frames(
    clusters: Clusters, templates: Templates, slots: Slots, texts: Texts, library: Library, threads: int
) -> dict[str, pl.DataFrame]:
    """FINDINGS (by descending risk), TEMPLATES and TRIGGERS of all clusters in the info band or above."""
    found = clusters.findings()
    detailed = [c for c in found if clusters.measures.kind[c] == TEMPLATE][:DETAILED]
    library.fetch(_needed(clusters, templates, slots, found, detailed))
    written = {
        int(c): _template_text(clusters, templates, slots, int(c), library) for c in found if _is_template(clusters, c)
    }
    prints = [_fingerprint(clusters, int(c), written, library) for c in found]
    frames = {
        "findings": _findings(clusters, found, prints, library),
        "templates": _templates(clusters, templates, slots, written, set(map(int, detailed)), library),
        "triggers": _triggers(clusters, templates, texts, found[:TRIGGERED], library, threads),
    }
    return {name: conform(name, frame) for name, frame in frames.items()}


def _is_template(clusters: Clusters, c: int) -> bool:
    return bool(clusters.measures.kind[c] == TEMPLATE)


def _needed(clusters: Clusters, templates: Templates, slots: Slots, found: np.ndarray, detailed: list[int]) -> set[int]:
    """Texts to read back: representatives, members of near clusters (for their fingerprints), examples of slot
    values."""
    needed = set(clusters.representative[found].tolist())
    for c in found[clusters.measures.kind[found] == NEAR]:
        needed.update(clusters.members.piece(c).tolist())
    for c in detailed:
        needed.update(slot_examples(templates, slots, int(clusters.source[c])))
    return needed


def _template_text(clusters: Clusters, templates: Templates, slots: Slots, c: int, library: Library) -> str:
    k = int(clusters.source[c])
    return template_text(
        library.spelled(int(clusters.representative[c])), _span(clusters, templates, c), slots.exists[k]
    )


def _span(clusters: Clusters, templates: Templates, c: int) -> int:
    """Where the runs of a template lie in its representative."""
    k = int(clusters.source[c])
    first = int(templates.member_at[k])
    own = templates.text[first : int(templates.member_at[k + 1])]
    return int(templates.span[first + int(np.searchsorted(own, clusters.representative[c]))])


def _fingerprint(clusters: Clusters, c: int, written: dict[int, str], library: Library) -> str:
    kind = clusters.measures.kind[c]
    if kind == TEMPLATE:
        return fingerprint("template", written[c])
    if kind == EXACT:
        return fingerprint("exact", normalised(library.spelled(int(clusters.representative[c]))))
    return fingerprint("near", min(normalised(library.spelled(int(t))) for t in clusters.members.piece(c)))


def _findings(clusters: Clusters, found: np.ndarray, prints: list[str], library: Library) -> pl.DataFrame:
    m, e, r = clusters.measures, clusters.evidence, clusters.ranked
    known_images, known_sites = e.n_images[found] > 0, e.n_sites[found] > 0
    features = pl.DataFrame({name: values[found] for name, values in r.features.items()})
    return pl.DataFrame(
        {
            "cluster_id": found.astype(np.uint32),
            "fingerprint": pl.Series(prints, dtype=pl.String),
            "kind": pl.Series([KINDS[k] for k in m.kind[found]], dtype=pl.String),
            "rule": pl.Series(r.rule[found].tolist(), dtype=pl.String),
            "severity": pl.Series([SEVERITIES[s] for s in r.severity[found]], dtype=pl.String),
            "confidence": pl.Series([CONFIDENCES[k] for k in r.confidence[found]], dtype=pl.String),
            "risk": r.risk[found],
            "representative": pl.Series(
                [library.caption(int(t)) for t in clusters.representative[found]], dtype=pl.String
            ),
            "n_rows": m.n_rows[found],
            "n_texts": m.n_texts[found],
            "n_images": pl.Series(e.n_images[found].astype(np.uint64)).set(pl.Series(~known_images), None),
            "n_domains": pl.Series(e.n_sites[found]).set(pl.Series(~known_sites), None),
            "features": features.to_struct(),
            "suppressed": np.zeros(len(found), np.bool_),
            "reason": pl.Series([None] * len(found), dtype=pl.String),
            "text_id": clusters.representative[found],
            "family": clusters.family[found],
        }
    )


def _templates(
    clusters: Clusters, templates: Templates, slots: Slots, written: dict[int, str], detailed: set[int],
    library: Library,
) -> pl.DataFrame:  # fmt: skip
    ids = np.fromiter(written, np.int64, len(written))
    k, heads = clusters.source[ids], clusters.family[ids]
    described = [
        describe_template(templates, slots, source, library if c in detailed else None)
        for c, source in zip(written, k.tolist(), strict=True)
    ]
    parents = [h if h != c and h in written else None for c, h in zip(written, heads.tolist(), strict=True)]
    return pl.DataFrame(
        {
            "cluster_id": ids,
            "parent": pl.Series(parents, dtype=pl.UInt32),
            "template": pl.Series(list(written.values()), dtype=pl.String),
            "n_slots": pl.Series([len(d) for d in described], dtype=pl.UInt8),
            "support_rows": clusters.measures.n_rows[ids],
            "support_texts": clusters.measures.n_texts[ids],
            "slot_entropy": slots.entropy[k],
            "fixed_share": clusters.measures.share[ids],
            "fixed_bits": templates.bits[k],
            "slots": _slot_lists(described),
        }
    )


def _slot_lists(described: list[list[dict[str, Any]]]) -> pl.Series:
    """A list of structs per template, built flat: polars is slow on nested Python objects."""
    flat = [slot for slots in described for slot in slots]
    structs = pl.DataFrame(
        {name: pl.Series([s[name] for s in flat], dtype=kind) for name, kind in SLOT.to_schema().items()}
    )
    at = np.repeat(np.arange(len(described)), [len(d) for d in described])
    grouped = pl.DataFrame({"at": at, "slots": structs.to_struct()}).group_by("at", maintain_order=True).agg("slots")
    every = pl.DataFrame({"at": np.arange(len(described))}).join(grouped, on="at", how="left", maintain_order="left")
    return every["slots"].fill_null([]).cast(pl.List(SLOT))


def _triggers(
    clusters: Clusters, templates: Templates, texts: Texts, found: np.ndarray, library: Library, threads: int
) -> pl.DataFrame:
    spelled = [library.spelled(int(t)) for t in clusters.representative[found]]
    spans = [
        unpack(_span(clusters, templates, int(c))) if _is_template(clusters, c) else [(0, len(s.token_hashes))]
        for c, s in zip(found, spelled, strict=True)
    ]
    members = pick(clusters.members.values, clusters.members.at, found)
    rows = [
        {"cluster_id": int(c), "words": words, "purity": purity, "coverage": coverage, "n_texts": n}
        for c, best in zip(found, triggers(spelled, spans, members, texts, threads), strict=True)
        for words, purity, coverage, n in best
    ]
    return pl.DataFrame(rows, schema=FRAMES["triggers"])
