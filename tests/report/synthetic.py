"""A small audit, written frame by frame beside a real CSV: what the reports in these tests show."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit import store
from memaudit.config import ScanConfig
from memaudit.schemas import FEATURES, FRAMES, SCANNED, conform
from memaudit.sources import discover

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from memaudit.store import Audit


@dataclass
class Cluster:
    """One cluster and its finding. texts: distinct captions, the representative first."""

    kind: str
    texts: list[str]
    severity: str
    risk: float
    fingerprint: str
    rule: str = "EX01"
    features: dict[str, float] = field(default_factory=dict)
    template: str | None = None
    slots: list[dict[str, Any]] = field(default_factory=list)
    triggers: list[tuple[list[str], float, float, int]] = field(default_factory=list)
    family: int | None = None
    n_domains: int | None = 1
    suppressed: bool = False
    reason: str | None = None


SHAW = [
    f"Shaw Floors {name} III 15' Pewter 0070{i}_5E267" for i, name in enumerate(("Solidify", "Anchor", "Sleek", "Dyer"))
]
OAK = ["Red oak side table with drawer", "Red oak side table with two drawers"]
SOON = "Image coming soon"


def clusters() -> list[Cluster]:
    codes = {"type": "text", "distinct": 4, "values": ["solidify", "anchor", "sleek", ""], "counts": [2, 1, 1, 1]}
    return [
        Cluster(
            "template", SHAW, "high", 0.634, "3f9a21c07d5e4b18", "TE01",
            {"texts": 0.21, "fixed_bits": 0.64, "fixed_share": 0.35, "domain_focus": 0.0},
            "^ shaw floors <*> <roman> <size> <num> <code> $", [codes], [(["shaw", "floors"], 0.98, 1.0, 4)],
        ),
        Cluster(
            "exact", [SOON], "medium", 0.41, "a07700000000beef", "EX01",
            {"rows": 0.45, "fixed_bits": 0.02, "fixed_share": 0.69, "domain_focus": -0.42}, n_domains=4,
        ),
        Cluster(
            "near", OAK, "info", 0.19, "a0771234567890ab", "NE01",
            {"rows": -0.35, "fixed_bits": 0.3, "fixed_share": 0.39},
        ),
        Cluster(
            "template", SHAW[:3], "low", 0.3, "5500000000000001", "TE01", {"fixed_bits": 0.1},
            "shaw floors <*> pewter", family=0,
        ),
        Cluster(
            "template", ["Royalty free photo 1", "Royalty free photo 2", "Royalty free photo 3"], "low", 0.37,
            "77aa000000000002", "TE02", {"fixed_bits": -0.3, "slot_entropy": -0.69}, "<*> royalty free <num> $",
            suppressed=True, reason="stock photo page furniture",
        ),
    ]  # fmt: skip


def captions() -> list[str]:
    return (
        [SOON] * 5 + SHAW + [SHAW[0]] + OAK + [f"Royalty free photo {i}" for i in (1, 2, 3)] + ["A lone heron at dusk"]
    )


def frames(rows: Sequence[str], found: Sequence[Cluster], csv_path: Path, skipped: str | None) -> dict[str, Any]:
    """Every frame of an audit over the captions `rows` of one CSV."""
    ids = {caption: i for i, caption in enumerate(dict.fromkeys(rows))}
    first = {caption: rows.index(caption) for caption in ids}
    n = len(ids)
    n_skipped = 3 if skipped else 0
    out: dict[str, Any] = {name: pl.DataFrame(schema=schema) for name, schema in FRAMES.items() if name in SCANNED}
    out["files"] = {
        "file": [0], "path": [str(csv_path)], "size": [csv_path.stat().st_size], "rows": [len(rows) + n_skipped],
        "skipped": [n_skipped], "reason": [skipped],
    }  # fmt: skip
    out["texts"] = {
        "text_id": list(ids.values()), "key_lo": list(range(n)), "key_hi": [0] * n, "file": [0] * n,
        "row": list(first.values()), "n_rows": [rows.count(c) for c in ids], "weight": [1.0] * n,
        "n_images": [None] * n, "n_words": [len(c.split()) for c in ids], "column": [0] * n,
    }  # fmt: skip
    out["members"] = {
        "file": [0] * len(rows), "row": list(range(len(rows))), "column": [0] * len(rows),
        "text_id": [ids[c] for c in rows],
        "id": [f"id-{i}" for i in range(len(rows))], "image": [None] * len(rows), "domain": [None] * len(rows),
    }  # fmt: skip
    pairs = [(k, c.kind, ids[t], 1.0 if i == 0 else 0.76) for k, c in enumerate(found) for i, t in enumerate(c.texts)]
    if found:
        out["clusters"] = pl.DataFrame(pairs, schema=FRAMES["clusters"].names(), orient="row")
        out["findings"] = pl.DataFrame(
            [_finding(k, c, ids, rows) for k, c in enumerate(found)], infer_schema_length=None
        )
    templates = [_template(k, c) for k, c in enumerate(found) if c.template is not None]
    if templates:
        out["templates"] = pl.DataFrame(templates, schema=dict(FRAMES["templates"]))
    triggers = [(k, *trigger) for k, c in enumerate(found) for trigger in c.triggers]
    if triggers:
        out["triggers"] = pl.DataFrame(triggers, schema=dict(FRAMES["triggers"]), orient="row")
    return out


def _finding(k: int, c: Cluster, ids: dict[str, int], rows: Sequence[str]) -> dict[str, Any]:
    return {
        "cluster_id": k, "fingerprint": c.fingerprint, "kind": c.kind, "rule": c.rule, "severity": c.severity,
        "confidence": "medium", "risk": c.risk, "representative": c.texts[0],
        "n_rows": sum(rows.count(t) for t in c.texts),
        "n_texts": len(c.texts), "n_images": None, "n_domains": c.n_domains,
        "features": {name: float(c.features.get(name, 0.0)) for name in FEATURES}, "suppressed": c.suppressed,
        "reason": c.reason, "text_id": ids[c.texts[0]], "family": k if c.family is None else c.family,
    }  # fmt: skip


def _template(k: int, c: Cluster) -> dict[str, Any]:
    return {
        "cluster_id": k, "parent": c.family, "template": c.template, "n_slots": len(c.slots), "support_rows": 5,
        "support_texts": len(c.texts), "slot_entropy": 1.9, "fixed_share": 0.71, "fixed_bits": 38.0, "slots": c.slots,
    }  # fmt: skip


TOTALS = {
    "rows": 19, "skipped": {"null": 2, "without words": 1}, "captions": 16, "texts": 11,
    "exact": {"clusters": 1, "texts": 1, "rows": 5}, "near": {"clusters": 1, "texts": 2, "rows": 2},
    "template": {"clusters": 3, "texts": 7, "rows": 8}, "any": {"rows": 15},
}  # fmt: skip


def write_audit(
    folder: Path, rows: Sequence[str], found: Sequence[Cluster], totals: dict[str, Any], skipped: str | None = None
) -> Audit:
    """An audit in `folder` of captions.csv beside it, which is written too."""
    csv_path = folder.parent / "captions.csv"
    with csv_path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "caption", "url"])
        writer.writerows([f"id-{i}", caption, f"https://shop.example/{i}.jpg"] for i, caption in enumerate(rows))
    sources = discover([str(csv_path)])
    inputs = [{"path": s.path, "size": s.size, "fingerprint": s.fingerprint()} for s in sources]
    audit = store.begin(folder, ScanConfig().identity(), inputs)
    for name, data in frames(rows, found, csv_path, skipped).items():
        audit.write(name, conform(name, data))
    audit.manifest.update(totals=totals, tool="0.1.0")
    audit.close(time.monotonic())
    audit.manifest["seconds"] = 0.25
    audit.save()
    return store.open_audit(folder)
