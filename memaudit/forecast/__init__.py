"""What a scan will cost and how much repeats, from footers and a sample. Nothing is written.

Time, memory and disk follow the table in `costs`, scaled by how fast this machine lexes the sample. Exact repetition is
extrapolated in `growth`. Template risk and near duplicates are not: a sample thins every cluster, and a template with
three captions in a million has none in a sample of them.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from memaudit.errors import BadInput
from memaudit.forecast.costs import predict
from memaudit.forecast.growth import Repetition, repetition
from memaudit.forecast.sample import draw
from memaudit.sources import ColumnChoice, discover

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from memaudit.config import ScanConfig

__all__ = ["forecast"]


def forecast(data: Sequence[str], config: ScanConfig, out: Path | None = None) -> dict[str, Any]:
    """The forecast of a scan of `data` as one plain dict (`report.outlook` renders it).

    Keys: "data", "files", "rows", "rows_known", "captions", "texts", "sample", "repetition", "seconds" (by stage),
    "machine", "threads", "memory", "budget", "work", "audit" (bytes), "output", "free" (bytes where the audit would
    lie; None without `out`), "bad_files". Raises BadInput as a scan does when nothing can be read. Some two seconds for
    a file of 10 M captions.
    """
    sources = discover(data, exclude=() if out is None else (out,))
    sample = draw(sources, ColumnChoice.of(config.identity()))
    if not sample.readable:
        path, what, hint = sample.bad_files[0]
        more = f" (and {len(sample.bad_files) - 1} more files)" if len(sample.bad_files) > 1 else ""
        raise BadInput(f"nothing could be read{more}", what or path, hint or "check the files")
    repeats = repetition(sample.keys, sample.captions)
    outlook = predict(sample, repeats.texts, config.worker_count(), config.memory_budget())
    return {
        "data": list(data),
        "files": len(sources),
        "bad_files": [(path, what) for path, what, _ in sample.bad_files],
        "rows": sample.rows,
        "rows_known": sample.rows_known,
        "captions": sample.captions,
        "texts": repeats.texts,
        "sample": {"captions": len(sample.keys), "whole": sample.whole, "heads": sample.heads},
        "repetition": _shares(repeats),
        "seconds": outlook.seconds,
        "machine": outlook.machine,
        "threads": config.worker_count(),
        "memory": outlook.memory,
        "budget": config.memory_budget(),
        "work": outlook.work,
        "audit": outlook.audit,
        "output": None if out is None else str(out),
        "free": None if out is None else free_space(out),
    }


def _shares(repeats: Repetition) -> dict[str, Any]:
    return {"at_least": repeats.at_least, "estimate": repeats.estimate, "exact": repeats.exact}


def free_space(out: Path) -> int:
    """Bytes that are free where `out` lies or would lie."""
    place = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    return shutil.disk_usage(place).free
