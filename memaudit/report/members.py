"""Members of one cluster, their captions read back from the originals: the one place where a report opens the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from memaudit.errors import BadInput
from memaudit.report.stored import plain
from memaudit.sources import ColumnChoice, open_source, shown, source_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memaudit.store import Audit


def members(audit: Audit, cluster: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Up to `most` members of a cluster (a row of FINDINGS) as {"unit", "total", "shown", "notes"}.

    Of an exact cluster every row is a member; of others every distinct caption, at its first occurrence, the most
    frequent first. A caption that cannot be read back is None and a note says why: files move and change.
    """
    exact = cluster["kind"] == "exact"
    texts = _texts(audit, cluster["cluster_id"], None if exact else most)
    frame = _rows(audit, texts, most) if exact else _first_rows(audit, texts)
    found = frame.to_dicts()
    notes = _read_back(audit, found)
    shown_members = [
        {
            **{key: row[key] for key in ("path", "row", "id", "caption", "image")},
            "similarity": plain(row["similarity"]),
            "n_rows": row["n_rows"],
        }
        for row in found
    ]
    total = cluster["n_rows"] if exact else cluster["n_texts"]
    return {"unit": "row" if exact else "caption", "total": total, "shown": shown_members, "notes": notes}


def _texts(audit: Audit, cluster_id: int, most: int | None) -> pl.DataFrame:
    """Texts of a cluster: text_id, similarity, n_rows, file, row, column."""
    inside = audit.scan("clusters").filter(pl.col("cluster_id") == cluster_id).select("text_id", "similarity")
    texts = audit.scan("texts").select("text_id", "n_rows", "file", "row", "column")
    query = texts.join(inside, on="text_id").sort(["n_rows", "similarity", "text_id"], descending=[True, True, False])
    return audit.collect(query if most is None else query.head(most), "texts")


def _rows(audit: Audit, texts: pl.DataFrame, most: int) -> pl.DataFrame:
    """The first rows that hold one of `texts`, each as a member of its own."""
    wanted = texts.select("text_id", "similarity").lazy()
    rows = audit.scan("members").join(wanted, on="text_id").with_columns(n_rows=pl.lit(1, pl.UInt32))
    return audit.collect(rows.sort(["file", "row", "column"]).head(most), "members")


def _first_rows(audit: Audit, texts: pl.DataFrame) -> pl.DataFrame:
    """`texts` with the id of the row where each first occurs, order kept."""
    at = ["file", "row", "column"]
    ids = audit.scan("members").select(*at, "id").join(texts.select(at).lazy(), on=at, how="semi")
    return texts.join(audit.collect(ids, "members"), on=at, how="left", maintain_order="left")


def _read_back(audit: Audit, rows: list[dict[str, Any]]) -> list[str]:
    """Add "path", "caption" and "image" to every row. Returns a note for each file that could not be read back."""
    paths = audit.collect(audit.scan("files").select("file", "path"), "files")
    files: dict[int, str] = dict(paths.iter_rows())
    notes = []
    for row in rows:
        row.update(path=files.get(row["file"], "?"), caption=None, image=None)
    for file, column in sorted({(row["file"], row["column"]) for row in rows}):
        here = [row for row in rows if (row["file"], row["column"]) == (file, column)]
        try:
            _take(audit, here[0]["path"], column, here)
        except BadInput as error:
            notes.append("; ".join(filter(None, (error.what, error.why))))
        except IndexError:
            notes.append(f"{shown(here[0]['path'])} has changed since the scan: its records are others")
    return list(dict.fromkeys(notes))


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
