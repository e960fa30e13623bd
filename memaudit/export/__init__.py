"""Blocklists and tables for other tools: views of a stored audit, streamed; nothing is detected again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from memaudit.export.lines import blocked, findings_of, member_lines, plan
from memaudit.export.patterns import finding_patterns
from memaudit.originals import Originals
from memaudit.progress import Silent
from memaudit.schemas import FEATURES, FINDINGS
from memaudit.sources import shown
from memaudit.verdicts import CHOICES as VERDICTS
from memaudit.verdicts import at_least, chosen, judged
from memaudit.writers import FORMATS, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from memaudit.export.lines import Plan
    from memaudit.progress import Progress
    from memaudit.store import Audit
    from memaudit.writers import Writer

__all__ = ["DEFAULT_SEVERITY", "FORMATS", "LINES", "VERDICTS", "VIEWS", "Exported", "export"]

VIEWS = ("rows", "members", "clusters", "patterns")
DEFAULT_SEVERITY = {"rows": "high", "members": "info", "clusters": "info", "patterns": "info"}
CHUNK = 200_000  # lines that are held with their captions

LINES = pl.Schema(
    {
        "file": pl.String,  # the path, as scanned
        "row": pl.UInt64,
        "id": pl.String,
        "caption": pl.String,
        "image_ref": pl.String,
        "action": pl.String,  # keep, drop
        "kind": pl.String,
        "cluster_id": pl.UInt32,
        "fingerprint": pl.String,
        "template": pl.String,
        "risk": pl.Float32,
        "severity": pl.String,
        "verdict": pl.String,
        "reason": pl.String,
    }
)
"""Columns of the views rows and members."""

PATTERNS = pl.Schema(
    {
        "pattern": pl.String,  # RE2 syntax
        "type": pl.String,  # trigger, template
        "purity": pl.Float32,  # of a trigger; null for a template, where it has not been counted
        "coverage": pl.Float32,
        "risk": pl.Float32,
        "fingerprint": pl.String,
    }
)

TOLD = ("verdict", "rate", "low", "high")
"""Columns of the view clusters after those of FINDINGS."""

_HIDDEN = ("text_id", "family")  # columns of FINDINGS that mean something only inside an audit
_TEXTS = ("kind", "severity", "confidence")  # enums there, plain text in an export


class Exported(NamedTuple):
    """What an export wrote."""

    lines: int
    complete: bool  # False: captions are missing because an original is gone, changed or damaged


def export(
    audit: Audit,
    view: str,
    format: str,  # noqa: A002
    out: Path | None = None,
    min_severity: str | None = None,
    raw: bool = False,
    progress: Progress | None = None,
    verdicts: Sequence[str] = (),
) -> Exported:
    """Write one view of an audit to the file `out` (None: stdout).

    view: of `VIEWS`. *rows* is the blocklist: only rows to drop, one line per row and cluster. *members* lists every
    row of every finding with the action that the blocklist takes (of `min_severity`, else of its default), so that the
    two never disagree: `drop`, or `keep` for the rows that stay (`lines.plan` says which) and wherever the finding is
    suppressed. *clusters* are the findings, *patterns* regular expressions for raw prompts. verdicts: of `VERDICTS`;
    only findings with one of these. min_severity: None means `DEFAULT_SEVERITY`, or any where verdicts are named:
    severities are those that verdicts raise to critical. format: of `FORMATS`; JSON is one object a line. raw: CSV
    cells as they are, even those that a spreadsheet would run.

    A caption whose original cannot be read back is null, a note says why, and the result is not `complete`; so is an
    id in *rows* that a kept row shares (an anti-join on it would drop that row), which is only noted. Raises
    UsageError where `out` cannot be written and where the audit has no verdicts to choose by, BadInput for a damaged
    audit. Cost: one pass over members and the files
    that have lines; memory for the clusters, the kept rows and one window of records.
    """
    progress, now = progress or Silent(), judged(audit)
    only = chosen(verdicts, shown(str(audit.folder)), now.verdicts)
    default = dict.fromkeys(VIEWS, "info") if only else DEFAULT_SEVERITY
    severity = min_severity or default[view]
    for note in now.now.notes():
        progress.note(note)
    if view in ("rows", "members"):
        with opened(out, format, LINES, raw) as writer:
            decided = plan(audit, severity, min_severity or default["rows"], only)
            return _write_lines(audit, view, decided, writer, progress)
    findings = findings_of(audit, only).filter(at_least(severity))
    frame = _clusters(findings, format) if view == "clusters" else _patterns(audit, findings)
    with opened(out, format, frame.schema, raw) as writer:
        writer.write(frame)
    return Exported(len(frame), True)


def _write_lines(audit: Audit, view: str, decided: Plan, writer: Writer, progress: Progress) -> Exported:
    originals = Originals(audit)
    n_lines, n_shared = 0, 0
    with progress.stage(f"exporting {view}") as advance:
        for found in member_lines(audit, decided):
            if view == "rows":
                found, n = blocked(found, decided)
                n_shared += n
            for chunk in found.iter_slices(CHUNK):
                writer.write(_with_originals(chunk, originals))
                advance(len(chunk))
            n_lines += len(found)
    if n_shared:
        progress.note(f"{n_shared:,} lines have no id, because a row that stays has the same one: join on file and row")
    _say_unread(originals.unread, progress)
    return Exported(n_lines, not originals.unread)


def _say_unread(unread: dict[str, str], progress: Progress) -> None:
    if unread:
        path, why = next(iter(unread.items()))
        more = f" and {len(unread) - 1:,} more files" if len(unread) > 1 else ""
        progress.note(f"captions missing: {shown(path)}{more} could not be read back ({shown(why)})")


def _with_originals(found: pl.DataFrame, originals: Originals) -> pl.DataFrame:
    """Lines in the declared columns, captions and image references read back."""
    return pl.concat(_per_file(found, originals)) if len(found) else LINES.to_frame()


def _per_file(found: pl.DataFrame, originals: Originals) -> Iterator[pl.DataFrame]:
    for part in found.partition_by("file", maintain_order=True):
        file = part["file"][0]
        read = originals.read(file, part["row"].to_numpy(), part["column"].to_numpy())
        yield part.with_columns(
            file=pl.lit(originals.paths[file]),
            caption=read.captions,
            image_ref=read.images,
        ).select(pl.col(name).cast(kind) for name, kind in LINES.items())


def _clusters(findings: pl.DataFrame, format: str) -> pl.DataFrame:  # noqa: A002
    """FINDINGS and `TOLD` with plain types; in CSV the features as "name=value name=value"."""
    columns = [*(name for name in FINDINGS if name not in _HIDDEN), *TOLD]
    frame = findings.select(columns).with_columns(pl.col(_TEXTS).cast(pl.String))
    if format != "csv":
        return frame
    values = [pl.format(f"{name}={{}}", pl.col("features").struct.field(name).round(4)) for name in FEATURES]
    return frame.with_columns(features=pl.concat_str(values, separator=" ", ignore_nulls=True))


def _patterns(audit: Audit, findings: pl.DataFrame) -> pl.DataFrame:
    """Patterns of findings that are not suppressed, the riskiest finding first, its triggers before its template."""
    chosen = findings.filter(~pl.col("suppressed")).sort("risk", "cluster_id", descending=[True, False])
    triggers = audit.frame("triggers").rows_by_key("cluster_id", named=True, include_key=False)
    templates = dict(audit.frame("templates").select("cluster_id", "template").iter_rows())
    rows = [
        {**pattern._asdict(), "risk": finding["risk"], "fingerprint": finding["fingerprint"]}
        for finding in chosen.select("cluster_id", "risk", "fingerprint").iter_rows(named=True)
        for pattern in finding_patterns(triggers.get(finding["cluster_id"], []), templates.get(finding["cluster_id"]))
    ]
    return pl.DataFrame(rows, schema=PATTERNS)
