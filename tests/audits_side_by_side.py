"""Two small audits that share captions: `audit_of` writes one whose texts have the keys that their words would have."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.schemas import conform
from tests.report.synthetic import Cluster, write_audit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from memaudit.store import Audit


def found(kind: str, texts: Sequence[str], severity: str = "high", **more: Any) -> Cluster:
    """A finding over these captions; its fingerprint is that of its kind and content, as a scan would make it."""
    content = more.get("template") or (min(texts) if kind == "near" else texts[0])
    digest = hashlib.blake2b(f"{kind} {content}".encode(), digest_size=8).hexdigest()
    return Cluster(kind, list(texts), severity, more.pop("risk", 0.4), digest, **more)


def audit_of(folder: Path, rows: Sequence[str], clusters: Sequence[Cluster]) -> Audit:
    """An audit in `folder` (made anew, with its parents) over the captions `rows`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    totals = {"rows": len(rows), "captions": len(rows), "texts": len(set(rows)), "skipped": {}}
    audit = write_audit(folder, rows, clusters, totals)
    keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8) for text in dict.fromkeys(rows)]
    lo = pl.Series("key_lo", [int.from_bytes(key.digest()) for key in keys], dtype=pl.UInt64)
    audit.write("texts", conform("texts", audit.frame("texts").with_columns(key_lo=lo, key_hi=~lo)))
    return audit
