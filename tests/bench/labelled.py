"""Labelled captions as the fit sees them: what ranking knows of every cluster, and which captions are memorised.

A labelled file is a parquet with the columns caption, url and label: `background`, `coco` (hand-written, no templates)
and memorised ones; only caption and url are shown to the scan.
"""

from __future__ import annotations

import re
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import polars as pl

from memaudit import store
from memaudit.audit import detect, pictures_of
from memaudit.clusters import assemble, for_all
from memaudit.config import ScanConfig
from memaudit.ingest import load_rows
from memaudit.progress import Silent
from memaudit.rank import terms
from memaudit.sources import ColumnChoice, discover

POSITIVE = "TM"
FAMILY = 0.3  # Jaccard of word sets above which two captions are of one family, linked transitively


@dataclass
class Labelled:
    """terms: float64 (clusters, terms); entries (text, cluster), by text; text by row; masks and families by row."""

    terms: np.ndarray
    first: np.ndarray  # int64: where the entries of a text begin
    held: np.ndarray  # int64: the texts that have entries
    cluster: np.ndarray  # int64 by entry
    n_texts: int
    text: np.ndarray  # int64 by row
    label: np.ndarray
    family: np.ndarray  # int64 by row of the positive label: number of its family; -1 for other rows
    fold: np.ndarray  # int64 by row: families and, of other rows, hosts stay together

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Log-odds by row, up to a constant: the highest of its clusters, -20 in none."""
        own = self.terms @ weights
        best = np.full(self.n_texts, -20.0)
        if len(self.held):
            best[self.held] = np.maximum.reduceat(own[self.cluster], self.first)
        return best[self.text]


def read(path: Path, folds: int) -> Labelled:
    """Scan a labelled file up to ranking."""
    frame = pl.read_parquet(path, columns=["caption", "url", "label"])
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder) / "captions.parquet"
        frame.select("caption", "url").write_parquet(shown)
        measured, entries, text, rows = _scan(shown, Path(folder) / "audit")
    label, captions = frame["label"].to_numpy()[rows], [frame["caption"][int(r)] for r in rows]
    hosts = [urlparse(frame["url"][int(r)] or "").netloc for r in rows]
    family = np.full(len(rows), -1)
    own = np.flatnonzero(label == POSITIVE)
    family[own] = families([captions[i] for i in own])
    fold = np.array([zlib.crc32((h or c).encode()) % folds for h, c in zip(hosts, captions, strict=True)])
    fold[own] = _family_folds([captions[i] for i in own], family[own], folds)
    order = np.lexsort((entries[1], entries[0]))
    texts, clusters = entries[0][order], entries[1][order]
    first = np.flatnonzero(np.concatenate([[True], texts[1:] != texts[:-1]]))
    return Labelled(measured, first, texts[first], clusters, int(text.max()) + 1, text, label, family, fold)


def _scan(path: Path, out: Path) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """(terms of all clusters, (text, cluster) of all entries, text by scanned row, number of that row)."""
    config = ScanConfig()
    choice = ColumnChoice.of(config.identity())
    sources = discover([str(path)])
    inputs = [{"path": s.path, "size": s.size, "fingerprint": s.fingerprint()} for s in sources]
    audit = store.begin(out, config.identity(), inputs, False)
    found = detect(audit, sources, choice, config, Silent())
    rows = load_rows(audit.work)
    clusters = assemble(found.texts.n_rows, found.stars, found.templates, found.bits)
    pictures = pictures_of(audit, found.texts, rows)
    threads = config.worker_count()
    parts = list(for_all(clusters, found.templates, found.texts, rows, pictures, threads, terms))
    text = np.concatenate([group.text for group in clusters]).astype(np.int64)
    sizes = np.concatenate([np.diff(group.at) for group in clusters])
    record = audit.frame("members")["row"].to_numpy().astype(np.int64)
    measured = np.concatenate(parts)
    return measured, (text, np.repeat(np.arange(len(sizes)), sizes)), np.array(rows.text, np.int64), record


def families(captions: list[str]) -> np.ndarray:
    """int64: components of captions whose word sets have a Jaccard above `FAMILY`."""
    words = [frozenset(re.findall(r"[^\W_]+", caption.lower())) for caption in captions]
    number = np.arange(len(words))
    for i, one in enumerate(words):
        for k in range(i):
            union = len(one | words[k])
            if number[i] != number[k] and union and len(one & words[k]) / union > FAMILY:
                number[number == number[i]] = number[k]
    return number


def _family_folds(captions: list[str], family: np.ndarray, folds: int) -> np.ndarray:
    """A fold for each caption: that of its family's alphabetically first one, so that thinner sets agree."""
    heads = {number: min(c for c, f in zip(captions, family, strict=True) if f == number) for number in set(family)}
    return np.array([zlib.crc32(heads[number].encode()) % folds for number in family])
