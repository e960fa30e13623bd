"""Lists for people and other tools: what was removed and why, and what stays."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from memaudit.originals import Originals
from memaudit.sources import open_source, shown, source_at
from memaudit.sources.batches import as_text
from memaudit.sources.parquet import ParquetReader
from memaudit.writers import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from memaudit.clean.acting import Acting
    from memaudit.progress import Progress
    from memaudit.sources import ColumnChoice
    from memaudit.store import Audit

CHUNK = 200_000  # lines that are held with their captions

REMOVED = pl.Schema(
    {
        "file": pl.String,
        "row": pl.UInt64,
        "id": pl.String,
        "caption": pl.String,
        "reason": pl.String,
        "kind": pl.String,  # exact, near, template
        "cluster_id": pl.UInt32,
        "fingerprint": pl.String,
        "template": pl.String,
        "risk": pl.Float32,
        "severity": pl.String,
        "verdict": pl.String,
        "kept_file": pl.String,
        "kept_row": pl.UInt64,
    }
)
"""Columns of removed.csv and plan.csv; kept_file and kept_row name a row that stays in its place."""

KEEP = pl.Schema({"file": pl.String, "row": pl.UInt64, "id": pl.String})

UID = r"^[0-9a-fA-F]{32}$"  # DataComp's


def write_removed(
    audit: Audit, acting: Acting, decisions: Path, out: Path, keep: int, captions_only: bool, progress: Progress
) -> None:
    """One line a row that goes, in the order of the data. Captions that cannot be read back are empty, and a note says
    so."""
    originals = Originals(audit)
    told = acting.findings.drop("kind")
    words = reasons(keep, captions_only)
    with opened(out, "csv", REMOVED, raw=False) as writer, progress.stage("listing removed rows") as advance:
        for part in _slices(decisions):
            lines = part.join(told, on="cluster_id", how="left", maintain_order="left")
            captions = pl.concat(
                [_captions(originals, rows) for rows in part.partition_by("file", maintain_order=True)]
            )
            paths = pl.col("file"), pl.col("kept_file")
            lines = lines.with_columns(
                *(p.replace_strict(originals.paths, return_dtype=pl.String) for p in paths),
                caption=captions,
                kind=pl.col("how"),
                reason=pl.col("how").replace_strict(words, return_dtype=pl.String),
            )
            writer.write(lines.select(pl.col(name).cast(kind) for name, kind in REMOVED.items()))
            advance(len(part))
    for path, why in originals.unread.items():
        progress.note(f"captions missing in {out.name}: {shown(path)} could not be read back ({shown(why)})")


def reasons(keep: int, captions_only: bool) -> dict[str, str]:
    """Why a row goes, in words."""
    rows = "a row" if keep == 1 else f"{keep:,} rows"
    picture = "" if captions_only else " and the same picture"
    return {
        "exact": f"the same caption{picture} as a row that stays",
        "near": f"nearly the same caption{picture} as a row that stays",
        "template": f"the same caption template as {rows} that stay{'s' if keep == 1 else ''}",
    }


def _slices(decisions: Path) -> Iterator[pl.DataFrame]:
    whole = pl.scan_parquet(decisions, glob=False)
    n = int(whole.select(pl.len()).collect().item())
    for start in range(0, n, CHUNK):
        yield whole.slice(start, CHUNK).collect()


def _captions(originals: Originals, rows: pl.DataFrame) -> pl.Series:
    return originals.read(rows["file"][0], rows["row"].to_numpy(), rows["column"].to_numpy()).captions


def gone_of(decisions: Path, file: int) -> np.ndarray:
    """uint64, ascending: the rows of one file that go."""
    found = pl.scan_parquet(decisions, glob=False).filter(pl.col("file") == file).select("row").collect()
    return np.asarray(found["row"].to_numpy())


def write_keep(audit: Audit, choice: ColumnChoice, decisions: Path, folder: Path, progress: Progress) -> bool:
    """keep.parquet: every record that stays, with its id where there is one; and keep.npy where all ids are DataComp's
    uids. Returns whether keep.npy was written; it takes 40 bytes of memory a row."""
    uids: list[np.ndarray] | None = []
    with (
        opened(folder / "keep.parquet", "parquet", KEEP, raw=False) as writer,
        progress.stage("listing kept rows") as advance,
    ):
        for file, path, n_rows in audit.frame("files").select("file", "path", "rows").iter_rows():
            gone = gone_of(decisions, file)
            for rows, ids in _ids(path, choice, n_rows):
                stays = ~among(rows, gone)
                frame = pl.DataFrame({"file": path, "row": rows[stays], "id": ids.filter(pl.Series(stays))})
                frame = frame.select(pl.col(name).cast(kind) for name, kind in KEEP.items())
                writer.write(frame)
                uids = _with_uids(uids, frame["id"])
                advance(len(frame))
    if not uids:
        return False
    _write_npy(np.concatenate(uids), folder / "keep.npy")
    return True


def among(rows: np.ndarray, some: np.ndarray) -> np.ndarray:
    """bool (n,): which of `rows` are in `some`; both ascending and distinct."""
    out = np.zeros(len(rows), np.bool_)
    if len(rows):
        low, high = np.searchsorted(some, [rows[0], rows[-1] + np.uint64(1)])
        at = np.searchsorted(rows, some[low:high])
        out[at[rows[at] == some[low:high]]] = True
    return out


def _ids(path: str, choice: ColumnChoice, n_rows: int) -> Iterator[tuple[np.ndarray, pl.Series]]:
    """Record numbers and ids, in order; records that a scan skips too, where the format numbers them without them."""
    reader = open_source(source_at(path), choice)
    if isinstance(reader, ParquetReader):
        column = reader.columns.id
        if column is None:
            for start in range(0, n_rows, CHUNK):
                rows = np.arange(start, min(start + CHUNK, n_rows), dtype=np.uint64)
                yield rows, pl.Series([None], dtype=pl.String).new_from_index(0, len(rows))
            return
        for rows, (values,) in reader.records([column]):
            yield rows, pl.Series(as_text(values), dtype=pl.String)
        return
    for batch in reader.batches():
        ids = pa.nulls(len(batch), pa.large_string()) if batch.ids is None else batch.ids
        yield batch.rows, pl.Series(ids, dtype=pl.String)


def _with_uids(known: list[np.ndarray] | None, ids: pl.Series) -> list[np.ndarray] | None:
    """The uids so far, as pairs of 64-bit halves, with these; None once an id is no uid."""
    if known is None or ids.null_count() or not ids.str.contains(UID).all():
        return None
    halves = [ids.str.slice(at, 16).str.to_integer(base=16, dtype=pl.UInt64).to_numpy() for at in (0, 16)]
    pairs = np.empty(len(ids), "u8,u8")
    pairs["f0"], pairs["f1"] = halves
    return [*known, pairs]


def _write_npy(pairs: np.ndarray, out: Path) -> None:
    """What DataComp's resharder reads: a sorted array of (u8, u8)."""
    temporary = out.with_name(f".{out.name}.tmp")
    with temporary.open("wb") as file:
        np.save(file, pairs[np.lexsort((pairs["f1"], pairs["f0"]))])
    os.replace(temporary, out)  # noqa: PTH105
