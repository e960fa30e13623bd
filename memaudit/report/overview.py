"""How an audit is spread: risks, cluster sizes, files and domains, counted from the stored frames for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl

from memaudit.report.members import read_back
from memaudit.schemas import KINDS, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memaudit.store import Audit

BINS = 20  # of the risk histogram
MOST_FILES, MOST_DOMAINS = 12, 12
_ROW_BITS = 1 << 40  # file and row as one number, to find the first


def overview(audit: Audit, findings: pl.DataFrame) -> dict[str, Any]:
    """{"risk", "sizes", "files", "domains"} as JSON types. findings: FINDINGS as judged.

    Costs passes over CLUSTERS, TEXTS and MEMBERS that hold group counts and, of the findings, one number a text.
    """
    held = _held(audit, findings.filter(~pl.col("suppressed")))
    return {
        "risk": risk(findings),
        "sizes": sizes(audit),
        "files": _files(audit, held),
        "domains": _domains(audit, held),
    }


def risk(findings: pl.DataFrame) -> list[dict[str, Any]]:
    """Per bin of width 1 / `BINS`: its "start", and findings by severity and "suppressed"."""
    at = (pl.col("risk") * BINS).floor().clip(0, BINS - 1).cast(pl.UInt8)
    name = pl.when("suppressed").then(pl.lit("suppressed")).otherwise(pl.col("severity").cast(pl.String))
    counted = {(b, n): c for b, n, c in findings.group_by(at.alias("bin"), name.alias("name")).len().iter_rows()}
    names = (*SEVERITIES, "suppressed")
    return [{"start": b / BINS, **{n: counted.get((b, n), 0) for n in names}} for b in range(BINS)]


def sizes(audit: Audit) -> dict[str, list[dict[str, int]]]:
    """Per kind the clusters whose captions stand on 2^k to 2^(k+1) - 1 rows: [{"rows": 2^k, "clusters"}]; also those
    below the info band."""
    rows = audit.scan("texts").select("text_id", "n_rows")
    query = audit.scan("clusters").select("cluster_id", "kind", "text_id").join(rows, on="text_id")
    query = query.group_by("cluster_id", "kind").agg(pl.col("n_rows").cast(pl.UInt64).sum())
    power = (pl.col("n_rows").cast(pl.Float64).log(2) + 1e-9).floor().cast(pl.UInt8)
    counted = audit.collect(query.group_by("kind", power.alias("power")).len().sort("power"), "clusters")
    out: dict[str, list[dict[str, int]]] = {kind: [] for kind in KINDS}
    for kind, k, n in counted.iter_rows():
        out[kind].append({"rows": 2**k, "clusters": n})
    return out


def _held(audit: Audit, findings: pl.DataFrame) -> pl.DataFrame:
    """text_id of the captions in any of these findings."""
    wanted = findings.select("cluster_id").lazy()
    inside = audit.scan("clusters").join(wanted, on="cluster_id", how="semi").select(pl.col("text_id").unique())
    return audit.collect(inside, "clusters")


def _files(audit: Audit, held: pl.DataFrame) -> dict[str, Any]:
    """The files with most captions in findings: {"total", "shown": [{"path", "rows", "skipped", "reason",
    "in_findings"}]}."""
    inside = audit.scan("members").join(held.lazy(), on="text_id", how="semi")
    counted = audit.collect(inside.group_by("file").agg(in_findings=pl.len()), "members")
    files = audit.frame("files").join(counted, on="file", how="left").with_columns(pl.col("in_findings").fill_null(0))
    shown = files.sort(["in_findings", "rows", "file"], descending=[True, True, False]).head(MOST_FILES)
    return {
        "total": len(files),
        "shown": shown.select("path", "rows", "skipped", "reason", "in_findings").to_dicts(),
    }


def _domains(audit: Audit, held: pl.DataFrame) -> dict[str, Any]:
    """The domains of pictures with most captions in findings: {"total", "shown": [{"domain", "captions",
    "in_findings"}]}.

    MEMBERS holds hashes of domains only; the name is read back from one reference of each, None where that fails.
    """
    known = audit.scan("members").filter(pl.col("domain").is_not_null())
    first = (pl.col("file").cast(pl.UInt64) * _ROW_BITS + pl.col("row")).min()
    every = audit.collect(known.group_by("domain").agg(captions=pl.len(), at=first), "members")
    inside = known.join(held.lazy(), on="text_id", how="semi").group_by("domain").agg(in_findings=pl.len())
    both = every.join(audit.collect(inside, "members"), on="domain", how="left")
    both = both.with_columns(pl.col("in_findings").fill_null(0))
    found = both.sort(["in_findings", "captions", "at"], descending=[True, True, False]).head(MOST_DOMAINS).to_dicts()
    rows = [{"file": one["at"] // _ROW_BITS, "row": one["at"] % _ROW_BITS, "column": 0} for one in found]
    read_back(audit, rows)
    shown = [
        {"domain": domain(row["image"]), "captions": one["captions"], "in_findings": one["in_findings"]}
        for one, row in zip(found, rows, strict=True)
    ]
    return {"total": len(both), "shown": shown}


def domain(reference: str | None) -> str | None:
    """What a picture's URL is counted under: the last two labels of its host, three where the last two are short
    ("co.uk"), as `text.arrow.hash_sites`. None where there is no host."""
    if reference is None or "://" not in reference:
        return None
    try:
        host = (urlsplit(reference).hostname or "").lower()
    except ValueError:
        return None
    labels = host.split(".")
    short = len(labels) > 2 and len(labels[-1]) <= 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if short else -2 :]) or None


def named_domains(references: Iterable[str | None]) -> list[tuple[str, int]]:
    """Sites of some references with their counts, the commonest first."""
    counted: dict[str, int] = {}
    for reference in references:
        if (name := domain(reference)) is not None:
            counted[name] = counted.get(name, 0) + 1
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
