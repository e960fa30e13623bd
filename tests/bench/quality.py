"""What memaudit and its peers find, against all pairs of captions with Jaccard >= .7 (word unigrams and bigrams).

The words are those of `peers.words`, the same for everybody. Captions differ in their words, so that row and text are
one; pairs of exact repeats are no achievement and are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from memaudit.detect.near import near_edges
from memaudit.scratch import Steps
from tests.bench.edits import read_captions, with_edits
from tests.bench.near_recall import brute_force_pairs, pair_recall
from tests.bench.peers.words import word_lists
from tests.detect.conftest import streams_of
from tests.text.test_lexer import lexed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

THRESHOLD = 0.7
MEMORY = 1 << 30  # bytes for the near stage; does not change what it finds


@dataclass(frozen=True)
class Score:
    """recall: share of the true pairs (of flags: of the captions in one) that were found. precision: share of what was
    proposed that is true; None where a tool does not say what it proposes."""

    who: str
    unit: str
    recall: float
    precision: float | None


@dataclass(frozen=True)
class Truth:
    """Captions with different words, and all their pairs at `THRESHOLD`: int64 (m, 2), i < j."""

    captions: pl.Series
    pairs: np.ndarray


def truth_of(captions: Sequence[str] | pl.Series) -> Truth:
    """Exact, by an inverted index over rare shingles; 40,000 captions take seconds."""
    frame = pl.DataFrame({"caption": captions}).with_columns(words=word_lists(pl.Series(captions)).list.join(" "))
    frame = frame.filter(pl.col("words") != "").unique("words", keep="first", maintain_order=True)
    return Truth(frame["caption"], brute_force_pairs([w.split(" ") for w in frame["words"]], THRESHOLD))


def real_captions(folder: Path) -> list[str]:
    """The real captions of a shared folder and one- and two-word edits of them; none where they are absent."""
    files = [folder / "laion_alt_text_10k.parquet", folder / "coco2014_val_10000.csv"]
    if not all(file.is_file() for file in files):
        return []
    return with_edits([c for file in files for c in read_captions(file)], per_caption=2, seed=0)["caption"].to_list()


def score_pairs(who: str, proposed: np.ndarray, truth: Truth) -> Score:
    """Of pairs int64 (m, 2) in any order, which may repeat."""
    n = len(truth.captions)
    found = _codes(proposed, n)
    hits = int(np.isin(found, _codes(truth.pairs, n), assume_unique=True).sum())
    return Score(who, "pairs", hits / max(1, len(truth.pairs)), hits / len(found) if len(found) else None)


def score_flags(who: str, flags: np.ndarray, truth: Truth) -> Score:
    """Of one flag a caption, bool (n,)."""
    true = np.zeros(len(truth.captions), np.bool_)
    true[truth.pairs.ravel()] = True
    hits = int((flags & true).sum())
    return Score(who, "flags", hits / max(1, int(true.sum())), hits / int(flags.sum()) if flags.any() else None)


def score_labels(who: str, labels: np.ndarray, truth: Truth) -> Score:
    """Of clusters: int64 (n,), equal for captions of one cluster."""
    return Score(who, "clusters", pair_recall(truth.pairs, labels), None)


def _codes(pairs: np.ndarray, n: int) -> np.ndarray:
    """Each pair once as one number, its smaller end first."""
    return np.unique(pairs.min(axis=1, initial=n) * n + pairs.max(axis=1, initial=0)) if len(pairs) else np.empty(0)


def audit_labels(audit: Path, n: int) -> np.ndarray:
    """Which captions an audit of one file of `n` rows puts together: near cluster, else text; int64 (n,)."""
    members = pl.read_parquet(audit / "members.parquet", columns=["row", "text_id"])
    near = pl.scan_parquet(audit / "clusters.parquet").filter(pl.col("kind").cast(pl.String) == "near")
    near = near.select("text_id", cluster="cluster_id").collect().unique("text_id")
    joined = members.join(near, on="text_id", how="left").with_columns(
        label=pl.coalesce(pl.col("cluster").cast(pl.Int64), -1 - pl.col("text_id").cast(pl.Int64))
    )
    labels = np.arange(n) + (1 << 40)  # rows without words are alone
    labels[joined["row"].to_numpy().astype(np.int64)] = joined["label"].to_numpy()
    return labels


def edge_scores(truth: Truth, threads: int) -> list[Score]:
    """Of the near stage alone: checked edges, and their components before they are cut into stars."""
    batch = lexed([c.encode() for c in truth.captions])
    keys = pl.DataFrame({"lo": batch.key_lo, "hi": batch.key_hi}).with_row_index("row")
    first = keys.unique(["lo", "hi"], keep="first", maintain_order=True).with_row_index("text")
    text = keys.join(first.drop("row"), on=["lo", "hi"], how="left").sort("row")["text"].to_numpy()
    rows = first["row"].to_numpy().astype(np.int64)
    streams = streams_of(truth.captions.gather(rows).to_list())
    edges, label = near_edges(streams, THRESHOLD, threads, MEMORY, Steps())
    pairs = np.stack([rows[edges.left], rows[edges.right]], axis=1)
    precision = score_pairs("", pairs, truth).precision
    return [Score("memaudit, near stage", "components", pair_recall(truth.pairs, np.asarray(label)[text]), precision)]
