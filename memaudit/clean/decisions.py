"""Every row that goes, with the reason, written to one scratch file in the order of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from memaudit.clean.scores import scores_of
from memaudit.clean.survivors import (
    STAYS,
    TEMPLATE,
    Entries,
    empty_seats,
    first_entries,
    no_templates,
    room_for,
    settle,
)
from memaudit.originals import windows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from memaudit.clean.acting import Acting
    from memaudit.clean.settings import CleanConfig
    from memaudit.clean.survivors import Outcome
    from memaudit.progress import Progress
    from memaudit.store import Audit

DECISIONS = pl.Schema(
    {
        "file": pl.UInt32,
        "row": pl.UInt64,
        "column": pl.UInt8,
        "id": pl.String,
        "cluster_id": pl.UInt32,
        "how": pl.String,  # exact, near, template
        "kept_file": pl.UInt32,
        "kept_row": pl.UInt64,
    }
)
FIRST_SEATS = 1 << 16


def decide(audit: Audit, acting: Acting, config: CleanConfig, progress: Progress) -> Iterator[pl.DataFrame]:
    """The rows that go, `DECISIONS`, ascending by file and row, a window of records at a time.

    Without `keep_by` memory follows the pictures and templates of acting findings; with it also their rows, of which
    some 100 bytes each are held while they are put in order.
    """
    parts = _entries(audit, acting)
    if config.keep_by is not None:
        parts = _all_at_once(parts)
    seats, taken, templates = empty_seats(FIRST_SEATS), 0, no_templates(len(acting.templates))
    with progress.stage("deciding") as advance:
        for frame in parts:
            entries = _arrays(frame, acting)
            order = first_entries(entries)
            if config.keep_by is not None:
                order = order[_preferred(scores_of(audit, config.keep_by, frame[order]))]
            seats = room_for(seats, taken, len(frame))
            out, more = settle(entries, order, acting.rules, seats, templates, config.keep, config.captions_only)
            taken += more
            advance(len(frame))
            yield _told(frame, out, acting)


def _entries(audit: Audit, acting: Acting) -> Iterator[pl.DataFrame]:
    """Captions of acting findings in the order of the data."""
    wanted = pl.LazyFrame({"text_id": pl.Series(acting.texts, dtype=pl.UInt32)})
    columns = ("file", "row", "column", "text_id", "id", "image")
    for window in windows(audit):
        found = audit.scan("members").filter(window).select(columns).join(wanted, on="text_id", how="semi")
        frame = audit.collect(found, "members")
        if len(frame):
            yield frame.sort("file", "row", "column")


def _all_at_once(parts: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    whole = list(parts)
    if whole:
        yield pl.concat(whole)


def _arrays(frame: pl.DataFrame, acting: Acting) -> Entries:
    ids = frame["text_id"].to_numpy()
    return Entries(
        frame["file"].to_numpy(),
        frame["row"].to_numpy(),
        np.searchsorted(acting.texts, ids).astype(np.uint32),
        ids,
        frame["image"].fill_null(0).to_numpy(),
    )


def _preferred(scores: np.ndarray) -> np.ndarray:
    """Positions by score, the highest first, rows without one last; ties in the order of the data."""
    return np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")


def _told(frame: pl.DataFrame, out: Outcome, acting: Acting) -> pl.DataFrame:
    gone = np.flatnonzero(out.reason != STAYS)
    reason = out.reason[gone]
    by_template = reason >= TEMPLATE
    cluster = np.where(by_template, 0, reason).astype(np.uint32)
    if by_template.any():
        cluster[by_template] = acting.templates[reason[by_template] - TEMPLATE]
    how = np.where(by_template, "template", np.where(out.same[gone], "exact", "near"))
    return (
        frame[gone]
        .select("file", "row", "column", "id")
        .with_columns(
            cluster_id=pl.Series(cluster, dtype=pl.UInt32),
            how=pl.Series(how.astype(object), dtype=pl.String),
            kept_file=pl.Series(out.file[gone]),
            kept_row=pl.Series(out.row[gone]),
        )
        .select(pl.col(name).cast(kind) for name, kind in DECISIONS.items())
    )


def write_decisions(parts: Iterator[pl.DataFrame], path: Path) -> None:
    """One parquet file, a row group a part, so that a file's rows are found without reading the others'."""
    level = pl.CompatLevel.oldest()
    temporary = path.with_name(f".{path.name}.tmp")
    with pq.ParquetWriter(temporary, DECISIONS.to_frame().to_arrow(compat_level=level).schema) as writer:
        for part in parts:
            if len(part):
                writer.write_table(part.to_arrow(compat_level=level))
    temporary.replace(path)
