"""Captions as training sees them: a row with a weight counts as so many rows, beside the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from memaudit.ingest import Rows, Texts


def as_trained(texts: Texts, rows: Rows) -> tuple[Texts, Rows]:
    """Texts and rows with every row as often as training sees it, in units of the typical row (`typical`), at least
    once. Rows without weights stay as they are.

    A fine-tuner who repeats every picture 10 times repeats nothing: only what is seen more often than the rest counts.
    Makes at most three times the rows, all in memory: meant for small sets.
    """
    if rows.weight is None or not len(rows.weight):
        return texts, rows
    times = np.maximum(np.rint(rows.weight / typical(rows.weight)), 1).astype(np.int64)
    seen = rows._replace(**{name: np.repeat(getattr(rows, name), times) for name in ("text", "image", "site")})
    n_rows = np.bincount(seen.text, minlength=len(texts.n_rows)).astype(np.uint32)
    return texts._replace(n_rows=n_rows), seen


def typical(weight: np.ndarray) -> float:
    """The weight of the row that training sees in the middle of an epoch, the rows sorted by weight: at least half of
    what it sees has this weight or less, so that the sum of weight / typical is at most twice the rows."""
    ascending = np.sort(weight.astype(np.float64))
    seen = np.cumsum(ascending)
    if not seen[-1] > 0:
        return 1.0
    return float(ascending[np.searchsorted(seen, seen[-1] / 2)])
