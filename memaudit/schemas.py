"""Every frame of an audit, declared once. Columns may be added, never renamed or retyped.

A frame is a polars `DataFrame` with exactly these columns in this order; `conform` makes and checks one. Columns that
may hold nulls are listed in `NULLABLE`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT_VERSION = 1

KINDS = ("exact", "near", "template")
SEVERITIES = ("info", "low", "medium", "high", "critical")  # ascending
CONFIDENCES = ("low", "medium", "high")

KIND = pl.Enum(KINDS)
SEVERITY = pl.Enum(SEVERITIES)
CONFIDENCE = pl.Enum(CONFIDENCES)

PROMPT_KINDS = ("caption", "unseen", "trigger", "control")
VERDICT_NAMES = ("verbatim", "template", "not_replicated", "screened", "not_run", "error")
RELATIONS = ("trained", "finetuned", "unrelated")  # of a model to the dataset
COPIED = ("verbatim", "template", "none", "unjudged")  # what one picture is

PROMPT_KIND = pl.Enum(PROMPT_KINDS)
VERDICT = pl.Enum(VERDICT_NAMES)

SLOT = pl.Struct({"type": pl.String, "distinct": pl.UInt32, "values": pl.List(pl.String), "counts": pl.List(pl.UInt32)})

FEATURES = (
    *("rows", "texts", "images", "fixed_bits", "fixed_share", "slot_entropy", "domain_focus", "trigger_purity"),
    *("shapes", "boilerplate"),
)
"""What can add to a risk, in the order reports show it (the weights are in rules/risk.toml)."""

SIGNALS = (
    *("magnitude", "magnitude_rank"),  # mean over seeds; share of controls below it
    "distance",  # median over pictures: tiled l2 to the nearest picture of the cluster
    *("region_distance", "region_share"),  # the same in the copied region; its share of the picture
    "agreement",  # median over pairs of pictures of one prompt: tiled l2 between seeds
    *("seed_agreement", "seed_agreement_rank"),  # SSIM of the best pair of first predictions; share of controls below
    *("caption_rate", "unseen_rate", "trigger_rate"),  # copies among the pictures of one kind of prompt
)
"""What a verdict was told from, where it was measured."""

WORD_WEIGHT = pl.Struct({"word": pl.String, "weight": pl.Float32})


def _schema(columns: dict[str, Any]) -> pl.Schema:
    """A mixture of data types and their classes, which polars' own signature does not admit."""
    return pl.Schema(columns)


FILES = _schema(
    {
        "file": pl.UInt32,
        "path": pl.String,
        "size": pl.UInt64,  # bytes
        "rows": pl.UInt64,  # physical records read, skipped ones included
        "skipped": pl.UInt64,  # records with no usable caption
        "reason": pl.String,  # why records, or the whole file, were skipped: "12 null, 3 empty"
    }
)

TEXTS = _schema(
    {
        "text_id": pl.UInt32,  # 0..n-1 in the order of first occurrence
        "key_lo": pl.UInt64,  # the two halves of the 128-bit hash of the normalised words
        "key_hi": pl.UInt64,
        "file": pl.UInt32,  # where the text first occurs
        "row": pl.UInt64,
        "n_rows": pl.UInt32,
        "weight": pl.Float32,  # sum of the weight columns over rows; equals n_rows without any
        "n_images": pl.UInt32,  # distinct image hashes, or references where there are no hashes
        "n_words": pl.UInt32,
        "column": pl.UInt8,  # which caption column of that row
    }
)

MEMBERS = _schema(
    {
        "file": pl.UInt32,
        "row": pl.UInt64,  # 0-based physical record; nulls counted, a CSV header not
        "column": pl.UInt8,  # index into the caption columns of that file
        "text_id": pl.UInt32,
        "id": pl.String,
        "image": pl.UInt64,  # hash of the image hash or reference
        "domain": pl.UInt32,  # hash of the host of the image reference
    }
)

CLUSTERS = _schema(
    {
        "cluster_id": pl.UInt32,
        "kind": KIND,
        "text_id": pl.UInt32,
        "similarity": pl.Float32,  # to the representative; exact 1, near Jaccard, template share of fixed bits
    }
)

TEMPLATES = _schema(
    {
        "cluster_id": pl.UInt32,
        "parent": pl.UInt32,
        "template": pl.String,
        "n_slots": pl.UInt8,
        "support_rows": pl.UInt64,
        "support_texts": pl.UInt32,
        "slot_entropy": pl.Float32,  # bits
        "fixed_share": pl.Float32,  # share of a member's bits that the fixed words hold, mean over members
        "fixed_bits": pl.Float32,
        "slots": pl.List(SLOT),
    }
)

TRIGGERS = _schema(
    {
        "cluster_id": pl.UInt32,
        "words": pl.List(pl.String),
        "purity": pl.Float32,  # texts of the cluster among all texts that hold the words
        "coverage": pl.Float32,  # texts of the cluster that hold the words
        "n_texts": pl.UInt32,  # texts that hold the words, whole dataset
    }
)

FINDINGS = _schema(
    {
        "cluster_id": pl.UInt32,
        "fingerprint": pl.String,  # 16 hex digits
        "kind": KIND,
        "rule": pl.String,
        "severity": SEVERITY,
        "confidence": CONFIDENCE,
        "risk": pl.Float32,  # rank score in [0, 1]; not a probability
        "representative": pl.String,
        "n_rows": pl.UInt64,
        "n_texts": pl.UInt32,
        "n_images": pl.UInt64,
        "n_domains": pl.UInt32,
        "features": pl.Struct(dict.fromkeys(FEATURES, pl.Float32)),
        "suppressed": pl.Boolean,
        "reason": pl.String,
        "text_id": pl.UInt32,  # the representative's text
        "family": pl.UInt32,  # cluster_id of the finding that stands for this one's family; its own when it is the head
    }
)

SAMPLES = _schema(
    {
        "fingerprint": pl.String,  # of the finding that was tested; "" for controls that stand for none
        "model": pl.String,
        "prompt_kind": PROMPT_KIND,
        "prompt": pl.String,
        "seed": pl.UInt64,
        "path": pl.String,  # relative to the audit folder
        "copied": pl.String,  # of COPIED
        "distance": pl.Float32,  # tiled l2 to the nearest picture
        "nearest_image": pl.String,
    }
)

VERDICTS = _schema(
    {
        "fingerprint": pl.String,
        "model": pl.String,
        "verdict": VERDICT,
        "rate": pl.Float32,  # copies among the samples; NaN where none was drawn
        "low": pl.Float32,  # interval of the rate, valid at any time; 0 to 1 where nothing was drawn
        "high": pl.Float32,
        "control_rate": pl.Float32,  # NaN where it is not known
        "reference_rate": pl.Float32,  # of the reference model
        "n_samples": pl.UInt16,
        "best_similarity": pl.Float32,  # of a sample to a picture of the cluster, inner product of descriptors
        "nearest_image": pl.String,
        "signals": pl.Struct(dict.fromkeys(SIGNALS, pl.Float32)),
        "word_weights": pl.List(WORD_WEIGHT),
        "why": pl.String,
        "relation": pl.String,  # of RELATIONS
        "n_copies": pl.UInt16,
        "e_value": pl.Float32,  # evidence against "copies no more often than controls"
        "unet_calls": pl.UInt32,
    }
)

NULLABLE = frozenset(
    {"FILES.reason", "TEXTS.n_images", "MEMBERS.id", "MEMBERS.image", "MEMBERS.domain", "TEMPLATES.parent"}
    | {"FINDINGS.n_images", "FINDINGS.n_domains", "FINDINGS.reason"}
    | {"SAMPLES.distance", "SAMPLES.nearest_image"}
    | {f"VERDICTS.{name}" for name in ("reference_rate", "best_similarity", "nearest_image", "signals")}
    | {f"VERDICTS.{name}" for name in ("word_weights", "why", "e_value")}
)

FRAMES: Mapping[str, pl.Schema] = {
    "files": FILES,
    "texts": TEXTS,
    "members": MEMBERS,
    "clusters": CLUSTERS,
    "templates": TEMPLATES,
    "triggers": TRIGGERS,
    "findings": FINDINGS,
    "samples": SAMPLES,
    "verdicts": VERDICTS,
}

OPTIONAL = ("samples", "verdicts")  # written by verify: a finished audit may lack them
SCANNED = tuple(name for name in FRAMES if name not in OPTIONAL)


def conform(name: str, data: Mapping[str, object] | pl.DataFrame) -> pl.DataFrame:
    """A frame of the schema called `name` ("texts", ...), columns cast and in order.

    Raises ValueError when a column is missing or a column that may not hold nulls does.
    """
    schema = FRAMES[name]
    frame = data if isinstance(data, pl.DataFrame) else pl.DataFrame(data, strict=False)
    missing = [c for c in schema if c not in frame.columns]
    if missing:
        raise ValueError(f"{name}: columns missing: {', '.join(missing)}")
    frame = frame.select(pl.col(c).cast(t) for c, t in schema.items())
    nulls = [c for c in schema if f"{name.upper()}.{c}" not in NULLABLE and frame[c].null_count()]
    if nulls:
        raise ValueError(f"{name}: unexpected nulls in {', '.join(nulls)}")
    return frame
