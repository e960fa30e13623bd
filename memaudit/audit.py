"""The scan on one page: DATA -> unique texts -> exact, near and template clusters -> ranked findings in an audit
folder.

Every stage is a function that takes what earlier stages left and leaves arrays or frames; this module composes them
and computes nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memaudit import store
from memaudit.clusters import (
    Clusters,
    Pictures,
    assemble,
    chosen_ids,
    describe,
    score_all,
    select,
    write_clusters,
)
from memaudit.detect.chosen import choose, total
from memaudit.detect.expected import expected_tokens, informing
from memaudit.detect.grams import Tokens, tables_for
from memaudit.detect.near import PROGRESS, Streams, near_edges
from memaudit.detect.placeholders import find_placeholders
from memaudit.detect.slots import describe_slots
from memaudit.detect.stars import Stars, cut_stars
from memaudit.detect.templates import Templates, mine_templates
from memaudit.entities import opened
from memaudit.errors import BadInput
from memaudit.findings import findings_frames
from memaudit.ingest import ingest, is_whole, load_rows, load_texts
from memaudit.jit import FirstUse
from memaudit.progress import Progress, Silent
from memaudit.ragged import pick
from memaudit.rank import TEMPLATE, Scores
from memaudit.readback import Library
from memaudit.repeats import as_trained
from memaudit.scratch import KeptSteps, read_column
from memaudit.sources import ColumnChoice, Source, discover, fingerprints, shown
from memaudit.suppression import entries_of, flag_stored
from memaudit.writeout import count, forget_read, write_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from memaudit.config import ScanConfig
    from memaudit.entities import Recogniser
    from memaudit.ingest import Rows, Texts
    from memaudit.tally import Tally


_RANKED = ("clusters.parquet", "templates.parquet", "triggers.parquet", "findings.parquet")


@dataclass(frozen=True)
class ScanResult:
    """What a scan leaves: the audit, and what could not be read of its input."""

    audit: store.Audit
    bad_files: list[tuple[str, str]]  # (path, why)
    already_done: bool = False


def scan(
    data: Sequence[str],
    out: Path,
    config: ScanConfig,
    fresh: bool = False,
    progress: Progress | None = None,
    allow: Path | None = None,
) -> ScanResult:
    """Audit the captions of `data` into the folder `out`.

    data: files, globs, folders. fresh: replace an audit of other input or configuration; without it the same input and
    configuration continue an interrupted scan or return the finished one. allow: the allow-list, where it is not beside
    `out`. Raises BadInput when nothing can be read, UsageError when `out` is refused.
    """
    progress, started = progress or Silent(), time.monotonic()
    choice = ColumnChoice.of(config.identity())
    sources = discover(data, exclude=(out,))
    audit = store.begin(out, config.identity(), _inputs(sources), fresh)
    audit.allow = allow
    entries_of(audit)  # a list that cannot be used is refused before the work, not after it
    if audit.complete:
        return ScanResult(audit, _bad_files(audit), already_done=True)
    recogniser = opened(config.entities(), progress.note)
    with FirstUse(progress.note) as first_use:
        found = detect(audit, sources, choice, config, progress)
        first_use.wait()
        library = Library(sources, choice, found.texts)
        _rank(audit, found, library, recogniser, config, progress)
    _refuse_changed(audit, sources, "scan again with --fresh when it no longer changes")
    audit.close(started)
    return ScanResult(audit, _bad_files(audit))


class Detected(NamedTuple):
    """What the stages before ranking leave."""

    texts: Texts
    stars: Stars
    templates: Templates
    bits: np.ndarray  # float32 by text: its information


def detect(
    audit: store.Audit, sources: list[Source], choice: ColumnChoice, config: ScanConfig, progress: Progress
) -> Detected:
    """Stages 1 to 3: what repeats. Finished ones are not done again."""
    _read(audit, sources, choice, config, progress)
    texts = load_texts(audit.work)
    stars = _near(audit, texts, config, progress)
    return Detected(texts, stars, *_templates(audit, texts, config, progress))


def _bad_files(audit: store.Audit) -> list[tuple[str, str]]:
    return [(path, why) for path, why in audit.manifest["bad_files"]]


def _read(
    audit: store.Audit, sources: list[Source], choice: ColumnChoice, config: ScanConfig, progress: Progress
) -> None:
    """Stage 1: files, texts and members; the token streams of unique texts in work/."""
    if audit.has("read") and is_whole(audit.work):
        return
    audit.forget("read")
    started = time.monotonic()
    with progress.stage("reading captions") as advance:
        tally = ingest(sources, choice, audit.work, config.worker_count(), advance)
        _refuse_nothing(audit, tally)
        _refuse_changed(audit, sources, "run the same command again when it no longer changes")
        counts = count(audit.work, tally.has_images)
        write_frames(audit, counts)
    for columns in tally.columns():
        progress.note(f"captions read from: {shown(columns)}")
    audit.write("files", tally.frame())
    skipped = sum((f.skipped for f in tally.files), Counter[str]())
    audit.manifest["bad_files"] = [(f.path, f.error) for f in tally.files if f.error]
    audit.manifest["columns"] = tally.columns()
    audit.manifest["pictures"] = tally.pictures()
    audit.manifest["totals"] = {
        "rows": sum(f.rows for f in tally.files),
        "skipped": dict(skipped),
        "captions": tally.captions,
        "texts": len(counts.n_rows),
    }
    audit.finish(
        "read", ("files.parquet", "texts.parquet", "members.parquet"), time.monotonic() - started, tally.captions
    )
    forget_read(audit.work)


def _refuse_nothing(audit: store.Audit, tally: Tally) -> None:
    broken = [f for f in tally.files if f.error]
    if broken and len(broken) == len(tally.files):
        forget_read(audit.work)
        more = f" (and {len(broken) - 1} more files)" if len(broken) > 1 else ""
        raise BadInput(f"nothing could be read{more}", broken[0].error or "", broken[0].hint or "check the files")


def _inputs(sources: list[Source]) -> list[dict[str, Any]]:
    """What identifies each input, for the manifest."""
    found = zip(sources, fingerprints(sources), strict=True)
    return [{"path": source.path, "size": source.size, "fingerprint": fingerprint} for source, fingerprint in found]


def _refuse_changed(audit: store.Audit, sources: list[Source], hint: str) -> None:
    """Raise BadInput when an input is no longer what it was when the scan began: two states of it would be mixed."""
    for source, begun, now in zip(sources, audit.manifest["inputs"], fingerprints(sources), strict=True):
        if now != begun["fingerprint"]:
            forget_read(audit.work)
            why = "what was read of it may be from before or from after"
            raise BadInput(f"{shown(source.path)} changed while it was scanned", why, hint)


def _near(audit: store.Audit, texts: Texts, config: ScanConfig, progress: Progress) -> Stars:
    """Stage 2: checked edges, components, stars."""
    if audit.has("near"):
        return Stars(**audit.read_arrays("near"))
    started = time.monotonic()
    streams = Streams(texts.words, texts.word_at, texts.key_lo, texts.key_hi)
    threads, memory, steps = config.worker_count(), config.memory_budget(), KeptSteps(audit.work, "near")
    with progress.stage("near duplicates", PROGRESS * len(texts.key_lo)) as advance:
        edges, label = near_edges(streams, config.threshold, threads, memory, steps, advance)
        stars = cut_stars(streams, edges, label, config.threshold)
    file = audit.write_arrays("near", stars._asdict())
    audit.finish("near", (file,), time.monotonic() - started, len(edges.left))
    return stars


def _templates(
    audit: store.Audit, texts: Texts, config: ScanConfig, progress: Progress
) -> tuple[Templates, np.ndarray]:
    """Stage 3: caption templates, and the information of every text."""
    if audit.has("templates"):
        arrays = audit.read_arrays("templates")
        return Templates(**arrays), read_column(audit.work / "text_bits", "f4")
    started = time.monotonic()
    streams, kept = Tokens(texts.tokens, texts.token_at), KeptSteps(audit.work, "templates")
    threads, memory = config.worker_count(), config.memory_budget()
    work = (1 + tables_for(len(texts.tokens), memory).passes) * len(texts.key_lo)
    with progress.stage("caption templates", work) as advance:
        expected = expected_tokens(config.expected_triggers) if config.expected_triggers else None
        templates, bits = mine_templates(
            streams, config.min_support, threads, memory, audit.work, kept, advance, expected
        )
        if expected is not None:
            templates = informing(templates)
    file = audit.write_arrays("templates", templates._asdict())
    audit.finish("templates", (file, "work/text_bits"), time.monotonic() - started, len(templates))
    return templates, bits


def _rank(
    audit: store.Audit,
    found: Detected,
    library: Library,
    recogniser: Future[Recogniser | None],
    config: ScanConfig,
    progress: Progress,
) -> None:
    """Stage 4: evidence from rows, risk, and findings in words."""
    started, threads = time.monotonic(), config.worker_count()
    texts, stars, templates, bits = found
    n_rows = texts.n_rows
    with progress.stage("ranking") as advance:
        rows, streams = load_rows(audit.work), Tokens(texts.tokens, texts.token_at)
        pictures = pictures_of(audit, texts, rows)
        if config.repeats:
            texts, rows = as_trained(texts, rows)
            audit.manifest["totals"]["rows_as_trained"] = len(rows.text)
        clusters = assemble(texts.n_rows, stars, templates, bits)
        scores = score_all(clusters, templates, texts, rows, pictures, threads)
        clusters, templates, scores, ids = select(clusters, templates, scores, chosen_ids(scores))
        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(write_clusters, audit, clusters)
            describing = pool.submit(describe_slots, templates, streams, threads)
            findings = describe(clusters, templates, ids, texts, rows, pictures, threads)
            slots = describing.result()
            writing.result()
        frames = findings_frames(findings, templates, slots, texts, library, recogniser.result(), threads)
        frames["findings"] = flag_stored(audit, frames["findings"], frames["templates"])
        for name, frame in frames.items():
            audit.write(name, frame)
        audit.manifest["totals"].update(_totals(clusters, scores, n_rows))
        n_clusters = int(clusters.firsts()[-1])
        advance(n_clusters)
    audit.finish("rank", _RANKED, time.monotonic() - started, n_clusters)


def pictures_of(audit: store.Audit, texts: Texts, rows: Rows) -> Pictures:
    """Placeholder pictures, which are told in the manifest."""
    kind = audit.manifest["pictures"]
    if kind is None:
        return Pictures(None, hashed=False)
    found = find_placeholders(rows.image, rows.text, texts.words, texts.word_at)
    audit.manifest["totals"]["placeholders"] = {"pictures": len(found.image), "rows": int(found.n_rows.sum())}
    return Pictures(found.image, hashed=kind == "hashes")


def _totals(clusters: Clusters, scores: Scores, n_rows: np.ndarray) -> dict[str, Any]:
    """How much repeats, by kind: clusters, texts and rows. Templates in the info band are left out: half of a
    language's phrases."""
    shown = np.flatnonzero(scores.severity[clusters.firsts()[TEMPLATE] :] > 0)
    listed = pick(clusters.template.text, clusters.template.at, shown).values
    parts = {
        "exact": (len(clusters.exact), clusters.exact.text),
        "near": (len(clusters.near), clusters.near.text),
        "template": (len(shown), listed),
    }
    out: dict[str, Any] = {name: {"clusters": n, **_repeated(n_rows, texts)} for name, (n, texts) in parts.items()}
    return {**out, "any": _repeated(n_rows, *(texts for _, texts in parts.values()))}


def _repeated(n_rows: np.ndarray, *texts: np.ndarray) -> dict[str, int]:
    """Distinct texts, and their rows."""
    held = choose(len(n_rows), texts)
    return {"texts": len(held), "rows": total(held, n_rows)}
