"""Rows of a stored frame, by cluster or text, without loading the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memaudit.store import Audit


def rows_where(audit: Audit, name: str, column: str, values: Iterable[int]) -> list[dict[str, Any]]:
    """Rows of a frame whose `column` (uint32) is among `values`, as dicts in stored order."""
    wanted = pl.Series(list(values), dtype=pl.UInt32)
    return audit.collect(audit.scan(name).filter(pl.col(column).is_in(wanted.implode())), name).to_dicts()


def by_cluster(audit: Audit, name: str, clusters: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    """Rows of a frame by cluster_id."""
    out: dict[int, list[dict[str, Any]]] = {}
    for row in rows_where(audit, name, "cluster_id", clusters):
        out.setdefault(row["cluster_id"], []).append(row)
    return out


def plain(value: float | None, digits: int = 4) -> float | None:
    """A float that JSON can hold: rounded; None for NaN and infinities."""
    return None if value is None or not -1e300 < value < 1e300 else round(float(value), digits)
