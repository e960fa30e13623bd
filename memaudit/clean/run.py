"""A cleaning on one page: decide, copy, list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from memaudit.clean import journal as journals
from memaudit.clean.acting import acting
from memaudit.clean.copies import copy_without, is_copied, names_of
from memaudit.clean.decisions import decide, write_decisions
from memaudit.clean.journal import DATA, begin, key_of
from memaudit.clean.lists import gone_of, write_keep, write_removed
from memaudit.errors import EXIT_INTERRUPTED, BadInput, UsageError
from memaudit.interrupt import interruptible
from memaudit.progress import Silent
from memaudit.sources import ColumnChoice, fingerprints, shown, source_at
from memaudit.store import no_space_is_clear
from memaudit.verdicts import judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memaudit.clean.acting import Acting
    from memaudit.clean.journal import Journal
    from memaudit.clean.settings import CleanConfig
    from memaudit.progress import Progress
    from memaudit.store import Audit

NO_PICTURES = (
    "the dataset has no column of picture hashes or references, and captions alone prove nothing about pictures: "
    "this is a plan, nothing was removed"
)
BY_REFERENCE = "pictures are told apart by their reference: one picture at two addresses counts as two"


class Cleaned(NamedTuple):
    """summary: JSON types; "status" is "cleaned", "plan" or "dry run", "rows" = "kept" + "removed"."""

    folder: Path | None
    summary: dict[str, Any]


def clean(
    audit: Audit, out: str | Path | None, config: CleanConfig, progress: Progress | None = None,
    dry_run: bool = False, fresh: bool = False,
) -> Cleaned:  # fmt: skip
    """Write the dataset of an audit without the rows that its findings make superfluous.

    Exact and near duplicates of caption *and* picture of findings at or above `config.min_severity` go but for one row;
    of each template of such findings `config.keep` rows stay. out: a new folder, or one in which the same cleaning was
    interrupted; None with `dry_run`, which writes nothing. Where pictures are not known, it gets the plan only, unless
    `config.captions_only`. Raises UsageError for a folder that holds anything else, BadInput where an original has
    changed since the scan, is damaged or gone, NoSpace where the disk is full.
    """
    progress = progress or Silent()
    known = audit.manifest.get("pictures")
    planned = known is None and not config.captions_only
    acts = acting(audit, config)
    if planned:
        config = replace(config, captions_only=True)
    if dry_run:
        parts = decide(audit, acts, config, progress)
        return Cleaned(None, _summary(audit, acts, _count(parts), "dry run", known, config, planned))
    if out is None:
        raise UsageError("no folder to write to", "the cleaned dataset is a folder", "-o DIR, or --dry-run")
    folder = Path(out)
    with interruptible(EXIT_INTERRUPTED), no_space_is_clear(folder):
        return _clean(audit, folder, config, acts, known, planned, fresh, progress)


def _clean(
    audit: Audit, folder: Path, config: CleanConfig, acts: Acting, known: str | None, planned: bool, fresh: bool,
    progress: Progress,
) -> Cleaned:  # fmt: skip
    accepted = judged(audit).findings.filter(pl.col("suppressed"))["fingerprint"].to_list()
    _refuse_inside(audit, folder)
    journal = begin(folder, key_of(audit, config, [*accepted, f"planned {planned}"]), fresh)
    if journal.complete:
        progress.note(f"{folder} is done already")
        return Cleaned(folder, journal.content["summary"])
    _refuse_changed(audit)
    decisions = journal.work / "decisions.parquet"
    if not decisions.is_file():
        write_decisions(decide(audit, acts, config, progress), decisions)
    counts = _count(iter([pl.read_parquet(decisions, columns=["how", "cluster_id"])]))
    listed = folder / (journals.PLAN if planned else journals.REMOVED)
    if not planned and not config.list_only:
        _copy_all(audit, decisions, journal, progress)
    write_removed(audit, acts, decisions, listed, config.keep, config.captions_only, progress)
    uids = False
    if not planned:
        uids = write_keep(audit, ColumnChoice.of(audit.manifest.get("config", {})), decisions, folder, progress)
    summary = _summary(audit, acts, counts, "plan" if planned else "cleaned", known, config, planned)
    summary["uids"] = uids
    journal.close(summary)
    return Cleaned(folder, summary)


def _copy_all(audit: Audit, decisions: Path, journal: Journal, progress: Progress) -> None:
    """Copies of all files; those that an earlier run finished stay."""
    files = audit.frame("files").sort("file")
    choice = ColumnChoice.of(audit.manifest.get("config", {}))
    with progress.stage("copying", int(files["rows"].sum())) as advance:
        for (file, path, n_rows), name in zip(
            files.select("file", "path", "rows").iter_rows(), _names(files["path"].to_list()), strict=True
        ):
            source = source_at(path)
            if not is_copied(source):
                progress.note(f"{shown(path)} is not copied; keep.parquet lists what stays of it")
                continue
            gone = gone_of(decisions, file)
            counts = journal.counts(str(name))
            if counts is None:
                counts = copy_without(source, choice, journal.folder / name, gone)
                _assert_whole(path, n_rows, counts, len(gone))
                journal.finish_file(str(name), *counts)
            advance(n_rows)


def _names(paths: list[str]) -> list[Path]:
    """Of the copies, below the folder."""
    return [Path(DATA, name) for name in names_of(paths)]


def _assert_whole(path: str, n_rows: int, counts: tuple[int, int], n_gone: int) -> None:
    """Rows in = kept + removed."""
    n_read, n_kept = counts
    if n_read != n_rows or n_read != n_kept + n_gone:
        why = f"{n_rows:,} rows were scanned, {n_read:,} read, {n_kept:,} kept, {n_gone:,} removed"
        raise BadInput(f"the copy of {shown(path)} does not add up", why, "scan again with --fresh; report this")


def _count(parts: Iterator[pl.DataFrame]) -> dict[str, int]:
    """Rows by how they go; and "clusters", how many findings removed any."""
    counts: dict[str, int] = {"exact": 0, "near": 0, "template": 0}
    clusters: set[int] = set()
    for part in parts:
        for how, n in part["how"].value_counts().iter_rows():
            counts[how] += n
        clusters.update(part["cluster_id"].unique().to_list())
    return {**counts, "clusters": len(clusters)}


def _summary(
    audit: Audit, acts: Acting, counts: dict[str, int], status: str, pictures: str | None, config: CleanConfig,
    planned: bool,
) -> dict[str, Any]:  # fmt: skip
    rows = int(audit.frame("files")["rows"].sum())
    removed = sum(counts[how] for how in ("exact", "near", "template"))
    notes = (
        [NO_PICTURES] if planned else [BY_REFERENCE] if pictures == "references" and not config.captions_only else []
    )
    return {
        "status": status,
        "audit": str(audit.folder),
        "config": config.identity(),
        "pictures": pictures,
        "rows": rows,
        "kept": rows - removed,
        "removed": removed,
        "removed_by": {how: counts[how] for how in ("exact", "near", "template")},
        "findings": {"acting": len(acts.findings), "that_removed": counts["clusters"]},
        "files": len(audit.frame("files")),
        "notes": notes,
    }


def _refuse_changed(audit: Audit) -> None:
    """Raise BadInput where an original is gone or no longer what was scanned: rows would be other rows."""
    inputs = audit.manifest.get("inputs", [])
    for entry, now in zip(inputs, fingerprints([source_at(entry["path"]) for entry in inputs]), strict=True):
        if now != entry["fingerprint"]:
            what = f"{shown(entry['path'])} has changed since the scan"
            raise BadInput(what, "its rows may be other rows now", "scan again, or put the file back")


def _refuse_inside(audit: Audit, folder: Path) -> None:
    """Raise UsageError where a copy would lie on an original, or in the audit."""
    target = folder.resolve()
    paths = audit.frame("files")["path"].to_list()
    for path, name in zip(paths, _names(paths), strict=True):
        if (target / name).resolve() == Path(path).resolve() or target == Path(path).resolve().parent:
            raise UsageError(f"{folder} holds the originals", "the input is never overwritten", "another -o")
    if target == audit.folder.resolve() or audit.folder.resolve() in target.parents:
        raise UsageError(f"{folder} is the audit or lies in it", "an audit holds nothing else", "another -o")
