"""The scan on one page: DATA -> unique texts -> exact, near and template clusters -> ranked findings in an audit
folder.

Every stage is a function that takes what earlier stages left and leaves arrays or frames; this module composes them
and computes nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from memaudit import store
from memaudit.clusters import Clusters, assemble, cluster_frame, select
from memaudit.detect.evidence import rows_by_text
from memaudit.detect.near import Streams, near_edges
from memaudit.detect.slots import describe_slots
from memaudit.detect.stars import Stars, cut_stars
from memaudit.detect.templates import Templates, Tokens, mine_templates
from memaudit.errors import BadInput
from memaudit.findings import findings_frames
from memaudit.ingest import ingest, load_texts
from memaudit.progress import Progress, Silent
from memaudit.rank import TEMPLATE
from memaudit.readback import Library
from memaudit.schemas import KINDS, conform
from memaudit.scratch import Scratch
from memaudit.sources import ColumnChoice, Source, discover, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.config import ScanConfig
    from memaudit.ingest import Texts
    from memaudit.tally import Tally


_RANKED = ("clusters.parquet", "templates.parquet", "triggers.parquet", "findings.parquet")


@dataclass(frozen=True)
class ScanResult:
    """What a scan leaves: the audit, and what could not be read of its input."""

    audit: store.Audit
    bad_files: list[tuple[str, str]]  # (path, why)
    already_done: bool = False


def scan(
    data: Sequence[str], out: Path, config: ScanConfig, fresh: bool = False, progress: Progress | None = None
) -> ScanResult:
    """Audit the captions of `data` into the folder `out`.

    data: files, globs, folders. fresh: replace an audit of other input or configuration; without it the same input and
    configuration continue an interrupted scan or return the finished one. Raises BadInput when nothing can be read,
    UsageError when `out` is refused.
    """
    progress, started = progress or Silent(), time.monotonic()
    choice = ColumnChoice.of(config.identity())
    sources = discover(data, exclude=(out,))
    inputs = [{"path": s.path, "size": s.size, "fingerprint": s.fingerprint()} for s in sources]
    audit = store.begin(out, config.identity(), inputs, fresh)
    if audit.complete:
        return ScanResult(audit, _bad_files(audit), already_done=True)
    if not any((Path(__file__).parent / "text" / "__pycache__").glob("*.nbi")):
        progress.note("first use: the kernels are compiled now, which takes most of a minute, once")
    _read(audit, sources, choice, config, progress)
    texts = load_texts(audit.work)
    stars = _near(audit, texts, config, progress)
    templates, bits = _templates(audit, texts, config, progress)
    _rank(audit, Library(sources, choice, texts), texts, stars, templates, bits, config.worker_count(), progress)
    audit.close(started)
    return ScanResult(audit, _bad_files(audit))


def _bad_files(audit: store.Audit) -> list[tuple[str, str]]:
    return [(path, why) for path, why in audit.manifest["bad_files"]]


def _read(
    audit: store.Audit, sources: list[Source], choice: ColumnChoice, config: ScanConfig, progress: Progress
) -> None:
    """Stage 1: files, texts and members; the token streams of unique texts in work/."""
    if audit.has("read"):
        return
    started = time.monotonic()
    with progress.stage("reading captions") as advance:
        tally, n_rows, weight = ingest(sources, choice, audit, config.worker_count(), advance)
    _refuse_nothing(tally)
    for columns in tally.columns():
        progress.note(f"captions read from: {shown(columns)}")
    texts = load_texts(audit.work)
    audit.write("files", tally.frame())
    audit.write("texts", _texts_frame(audit, texts, n_rows, weight, tally.has_images))
    skipped = sum((f.skipped for f in tally.files), Counter[str]())
    audit.manifest["bad_files"] = [(f.path, f.error) for f in tally.files if f.error]
    audit.manifest["columns"] = tally.columns()
    audit.manifest["totals"] = {
        "rows": sum(f.rows for f in tally.files),
        "skipped": dict(skipped),
        "captions": tally.captions,
        "texts": len(n_rows),
    }
    audit.finish(
        "read", ("files.parquet", "texts.parquet", "members.parquet"), time.monotonic() - started, tally.captions
    )


def _refuse_nothing(tally: Tally) -> None:
    broken = [f for f in tally.files if f.error]
    if broken and len(broken) == len(tally.files):
        more = f" (and {len(broken) - 1} more files)" if len(broken) > 1 else ""
        raise BadInput(f"nothing could be read{more}", broken[0].error or "", broken[0].hint or "check the files")


def _texts_frame(
    audit: store.Audit, texts: Texts, n_rows: np.ndarray, weight: np.ndarray, has_images: bool
) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "text_id": np.arange(len(n_rows), dtype=np.uint32),
            "key_lo": texts.key_lo,
            "key_hi": texts.key_hi,
            "file": texts.file,
            "row": texts.row,
            "n_rows": n_rows,
            "weight": weight,
            "n_words": texts.n_words,
            "column": texts.column,
        }
    )
    if not has_images:
        return conform("texts", frame.with_columns(n_images=pl.lit(None, pl.UInt32)))
    images = audit.scan("members").group_by("text_id").agg(n_images=pl.col("image").drop_nulls().n_unique())
    return conform("texts", frame.lazy().join(images, on="text_id", how="left").sort("text_id").collect())


def _near(audit: store.Audit, texts: Texts, config: ScanConfig, progress: Progress) -> Stars:
    """Stage 2: checked edges, components, stars."""
    if audit.has("near"):
        return Stars(**audit.read_arrays("near"))
    started = time.monotonic()
    streams = Streams(texts.words, texts.word_at, texts.key_lo, texts.key_hi)
    with progress.stage("near duplicates", 25 * len(texts.key_lo)) as advance:
        edges, _ = near_edges(
            streams,
            config.threshold,
            config.worker_count(),
            Scratch(audit.work, config.memory_budget()).allocate,
            advance,
        )
        stars = cut_stars(streams, edges, config.threshold)
    file = audit.write_arrays("near", stars._asdict())
    audit.finish("near", (file,), time.monotonic() - started, len(edges.left))
    return stars


def _templates(
    audit: store.Audit, texts: Texts, config: ScanConfig, progress: Progress
) -> tuple[Templates, np.ndarray]:
    """Stage 3: caption templates, and the information of every text."""
    if audit.has("templates"):
        arrays = audit.read_arrays("templates")
        bits = arrays.pop("text_bits")
        return Templates(**arrays), bits
    started = time.monotonic()
    with progress.stage("caption templates", 2 * len(texts.key_lo)) as advance:
        templates, bits = mine_templates(
            Tokens(texts.tokens, texts.token_at), config.min_support, config.worker_count(), advance
        )
    file = audit.write_arrays("templates", {**templates._asdict(), "text_bits": bits})
    audit.finish("templates", (file,), time.monotonic() - started, len(templates))
    return templates, bits


def _rank(
    audit: store.Audit,
    library: Library,
    texts: Texts,
    stars: Stars,
    templates: Templates,
    bits: np.ndarray,
    threads: int,
    progress: Progress,
) -> None:
    """Stage 4: evidence from rows, risk, and findings in words."""
    started = time.monotonic()
    with progress.stage("ranking") as advance:
        n_rows = audit.frame("texts")["n_rows"].to_numpy()
        members = audit.scan("members").select("text_id", pl.col("image", "domain").fill_null(0)).collect()
        rows = rows_by_text(n_rows, *(members[c].to_numpy() for c in ("text_id", "image", "domain")))
        clusters, templates = select(assemble(n_rows, stars, templates, bits, rows, texts, threads), templates, texts)
        slots = describe_slots(templates, Tokens(texts.tokens, texts.token_at))
        audit.write("clusters", cluster_frame(clusters))
        for name, frame in findings_frames(clusters, templates, slots, texts, library, threads).items():
            audit.write(name, frame)
        audit.manifest["totals"].update(_totals(clusters, n_rows))
        advance(len(clusters))
    audit.finish("rank", _RANKED, time.monotonic() - started, len(clusters))


def _totals(clusters: Clusters, n_rows: np.ndarray) -> dict[str, Any]:
    """How much repeats, by kind: clusters, texts and rows. Templates in the info band are left out: half of a
    language's phrases."""
    out: dict[str, Any] = {}
    kind, above_info = clusters.measures.kind, clusters.ranked.severity > 0
    touched = np.zeros(len(n_rows), np.bool_)
    for number, name in enumerate(KINDS):
        which = (kind == number) & (above_info if number == TEMPLATE else True)
        held = np.zeros(len(n_rows), np.bool_)
        held[clusters.texts_of(which)] = True
        touched |= held
        out[name] = {"clusters": int(which.sum()), "texts": int(held.sum()), "rows": int(n_rows[held].sum())}
    out["any"] = {"texts": int(touched.sum()), "rows": int(n_rows[touched].sum())}
    return out
