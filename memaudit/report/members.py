"""Members of clusters, their captions read back from the originals: the one place where a report opens the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from memaudit.errors import BadInput
from memaudit.report.stored import plain
from memaudit.sources import ColumnChoice, open_source, shown, source_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memaudit.store import Audit


def members(audit: Audit, cluster: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Up to `most` members of a cluster (a row of FINDINGS) as {"unit", "total", "shown", "notes"}.

    Of an exact cluster every row is a member; of others every distinct caption, at its first occurrence, the most
    frequent first. A caption that cannot be read back is None and a note says why: files move and change.
    """
    return members_of(audit, [cluster], most)[0]


def members_of(audit: Audit, clusters: Sequence[Mapping[str, Any]], most: int) -> list[dict[str, Any]]:
    """`members` of several clusters, each stored frame searched and each original opened once."""
    exact = [c["cluster_id"] for c in clusters if c["kind"] == "exact"]
    others = [c["cluster_id"] for c in clusters if c["kind"] != "exact"]
    frames = [
        *([_rows(audit, _texts(audit, exact, None), most)] if exact else []),
        *([_first_rows(audit, _texts(audit, others, most))] if others else []),
    ]
    found = [row for frame in frames for row in frame.iter_rows(named=True)]
    failed = read_back(audit, found)
    by_cluster: dict[int, list[dict[str, Any]]] = {}
    for row in found:
        by_cluster.setdefault(row["cluster_id"], []).append(row)
    return [_told(c, by_cluster.get(c["cluster_id"], []), failed) for c in clusters]


def _told(
    cluster: Mapping[str, Any], rows: list[dict[str, Any]], failed: Mapping[tuple[int, int], str]
) -> dict[str, Any]:
    exact = cluster["kind"] == "exact"
    notes = [failed[at] for at in sorted({(row["file"], row["column"]) for row in rows}) if at in failed]
    shown_members = [
        {
            **{key: row[key] for key in ("path", "row", "id", "caption", "image")},
            "similarity": plain(row["similarity"]),
            "n_rows": row["n_rows"],
        }
        for row in rows
    ]
    total = cluster["n_rows"] if exact else cluster["n_texts"]
    unit = "row" if exact else "caption"
    return {"unit": unit, "total": total, "shown": shown_members, "notes": list(dict.fromkeys(notes))}


def _texts(audit: Audit, clusters: Sequence[int], most: int | None) -> pl.DataFrame:
    """Texts of clusters, `most` of each: cluster_id, text_id, similarity, n_rows, file, row, column."""
    wanted = pl.Series(clusters, dtype=pl.UInt32).implode()
    inside = audit.scan("clusters").filter(pl.col("cluster_id").is_in(wanted))
    texts = audit.scan("texts").select("text_id", "n_rows", "file", "row", "column")
    query = inside.select("cluster_id", "text_id", "similarity").join(texts, on="text_id")
    query = query.sort(["n_rows", "similarity", "text_id"], descending=[True, True, False])
    if most is None:
        return audit.collect(query, "texts")
    if len(clusters) == 1:  # of a giant only the head is held
        return audit.collect(query.head(most), "texts")
    return audit.collect(query, "texts").group_by("cluster_id", maintain_order=True).head(most)


def _rows(audit: Audit, texts: pl.DataFrame, most: int) -> pl.DataFrame:
    """The first rows that hold one of `texts`, `most` of each cluster, each as a member of its own."""
    wanted = texts.select("cluster_id", "text_id", "similarity").lazy()
    rows = audit.scan("members").join(wanted, on="text_id").with_columns(n_rows=pl.lit(1, pl.UInt32))
    rows = rows.select("cluster_id", "file", "row", "column", "id", "similarity", "n_rows").sort(
        "file", "row", "column"
    )
    if texts["cluster_id"].n_unique() == 1:
        return audit.collect(rows.head(most), "members")
    return audit.collect(rows, "members").group_by("cluster_id", maintain_order=True).head(most)


def _first_rows(audit: Audit, texts: pl.DataFrame) -> pl.DataFrame:
    """`texts` with the id of the row where each first occurs, order kept."""
    at = ["file", "row", "column"]
    ids = audit.scan("members").select(*at, "id").join(texts.select(at).unique().lazy(), on=at, how="semi")
    return texts.join(audit.collect(ids, "members"), on=at, how="left", maintain_order="left")


def read_back(audit: Audit, rows: list[dict[str, Any]]) -> dict[tuple[int, int], str]:
    """Add "path", "caption" and "image" to every row ("file", "row", "column").

    Returns by (file, column) why it could not be read back; its captions and images are None.
    """
    paths = audit.collect(audit.scan("files").select("file", "path"), "files")
    files: dict[int, str] = dict(paths.iter_rows())
    grouped: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in rows:
        row.update(path=files.get(row["file"], "?"), caption=None, image=None)
        grouped.setdefault((row["file"], row["column"]), []).append(row)
    failed = {}
    for (file, column), here in sorted(grouped.items(), key=lambda item: item[0]):
        try:
            _take(audit, here[0]["path"], column, here)
        except BadInput as error:
            failed[file, column] = "; ".join(filter(None, (error.what, error.why)))
        except IndexError:
            failed[file, column] = f"{shown(here[0]['path'])} has changed since the scan: its records are others"
    return failed


def _take(audit: Audit, path: str, column: int, rows: list[dict[str, Any]]) -> None:
    source = source_at(path)
    known = {entry.get("path"): entry.get("fingerprint") for entry in audit.manifest.get("inputs", [])}
    if known.get(path) not in (None, source.fingerprint()):
        raise BadInput(f"{shown(path)} has changed since the scan", "its captions are not shown")
    reader = open_source(source, ColumnChoice.of(audit.manifest.get("config", {})))
    at = np.array([row["row"] for row in rows], dtype=np.uint64)
    captions, images = reader.take(at, column), reader.take_images(at)
    for row, caption, image in zip(rows, captions, images, strict=True):
        row.update(caption=caption, image=image)
