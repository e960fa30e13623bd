"""memaudit in Python: the commands as functions and methods, silent unless asked.

    import memaudit

    audit = memaudit.scan("captions.parquet", output="audit")
    audit.findings.filter(severity="high")

Keyword arguments are named after the flags (`--min-severity` is `min_severity`); docs/api.md shows each at work. Errors
are those of `memaudit.errors`. Settings files and MEMAUDIT_* are the command line's: here only arguments count.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import polars as pl

from memaudit import diff as differ
from memaudit import store
from memaudit.config import asked_for
from memaudit.errors import UsageError
from memaudit.progress import Silent, for_terminal
from memaudit.schemas import FRAMES, SEVERITIES
from memaudit.verdicts import judged, of_findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.check.answers import Match
    from memaudit.check.guard import Guard
    from memaudit.clean.run import Cleaned
    from memaudit.export import Exported
    from memaudit.progress import Progress

    Paths = str | Path | Sequence[str | Path]
    Names = str | Sequence[str]

ON_A_PAGE = 10  # findings that a notebook shows


class Incomplete(UserWarning):
    """Something could not be read, or a model could not be asked; the rest is there. The command line's exit code 4."""


def scan(
    data: Paths,
    *,
    output: str | Path,
    column: Names = (),
    id_column: str | None = None,
    image_column: str | None = None,
    hash_column: str | None = None,
    weight_column: Names = (),
    preset: str = "web",
    threshold: float | None = None,
    min_support: int | None = None,
    expected_trigger: Names = (),
    ner: str | None = None,
    memory: str | int | None = None,
    threads: int | None = None,
    fresh: bool = False,
    allow: str | Path | None = None,
    progress: bool | Progress = False,
) -> Audit:
    """Find repeated captions in `data`, rank them by risk, and write an audit folder; `memaudit scan`.

    data: files, patterns, folders, one or several. output: the folder; an audit of the same data and arguments that is
    there is continued, or opened where it is finished. column, weight_column, expected_trigger: one or several. memory:
    bytes, or such as "8GB". Warns (`Incomplete`) of files that could not be read. Raises UsageError for arguments that
    cannot be used and for a folder that holds another audit (unless `fresh`), BadInput where nothing can be read.

        audit = memaudit.scan("captions/*.parquet", output="audit", column="text", hash_column="phash")
    """
    from memaudit.audit import scan as run

    config = asked_for(
        preset=preset, memory=memory, column=_several(column), weight_column=_several(weight_column),
        expected_trigger=_several(expected_trigger), id_column=id_column, image_column=image_column,
        hash_column=hash_column, threshold=threshold, min_support=min_support, ner=ner, threads=threads,
    )  # fmt: skip
    paths = [str(path) for path in ([data] if isinstance(data, str | Path) else data)]
    result = run(paths, Path(output), config, fresh, _speaking(progress), _path(allow))
    if result.bad_files:
        path, why = result.bad_files[0]
        n = len(result.bad_files)
        _warn(f"{n} {'file' if n == 1 else 'files'} not read, or not to the end; {path}: {why}")
    return Audit(result.audit)


def open(audit: str | Path, *, allow: str | Path | None = None) -> Audit:  # noqa: A001 (memaudit.open)
    """Open a finished audit. allow: an allow-list that is not beside it. Raises BadInput where there is none.

    audit = memaudit.open("audit")
    """
    return Audit(store.open_audit(audit, _path(allow)))


class Audit:
    """A finished audit: what `scan` returns and `open` opens.

    Frames are read from the folder when they are asked for, so that a changed allow-list and new verdicts show at once.
    """

    def __init__(self, stored: store.Audit) -> None:
        self._stored = stored

    @property
    def folder(self) -> Path:
        return self._stored.folder

    @property
    def findings(self) -> pl.DataFrame:
        """Findings as they stand, the riskiest first and suppressed ones last: FINDINGS with the allow-list and the
        verdicts applied; then `template` (null for other kinds) and, of the verdict that counts, `verdict`, `rate`,
        `low` and `high` (null where no model was asked).

            audit.findings.filter(pl.col("severity") >= "high", ~pl.col("suppressed"))
        """
        now = judged(self._stored)
        template = self.frame("templates").select("cluster_id", "template")
        return (
            now.findings.join(template, on="cluster_id", how="left")
            .join(of_findings(now.verdicts), on="fingerprint", how="left")
            .sort("suppressed", "risk", "cluster_id", descending=[False, True, False])
        )

    @property
    def verdicts(self) -> pl.DataFrame:
        """VERDICTS: what models did, by fingerprint, the worst first; empty where none was asked."""
        return judged(self._stored).verdicts

    def frame(self, name: str) -> pl.DataFrame:
        """A frame as it is stored: "texts", "members", "clusters", "templates" and so on (docs/audit-folder.md)."""
        return self.scan_frame(name).collect()

    def scan_frame(self, name: str) -> pl.LazyFrame:
        """`frame`, lazily: for those that are larger than memory."""
        if name not in FRAMES:
            raise UsageError(f"an audit has no frame {name!r}", f"known: {', '.join(FRAMES)}")
        return self._stored.scan(name)

    def summary(self, *, top: int = 20) -> dict[str, Any]:
        """What every report shows, as a dict of JSON types; `memaudit report -f json`. top: families listed."""
        from memaudit.report.summary import summary

        return summary(self._stored, top)

    def report(
        self, *, format: str | None = None, top: int | None = None, width: int | None = 100, pictures: bool = False,  # noqa: A002
        redact: bool = False, image_root: str | Path | None = None, image_column: str | None = None,
    ) -> str:  # fmt: skip
        """The report as text; `memaudit report`. format: terminal (None), md, json, html. width: cells of a terminal.

        top: findings listed, in full in html; None is 20, and 100 in html. pictures (with image_root, image_column):
        the page shows training pictures; redact: it can be shared (docs/report.md).
        """
        from memaudit.report import render_page, render_report

        if format != "html":
            return render_report(self._stored, format or "terminal", width, False, 20 if top is None else top)
        shown = 100 if top is None else top
        if redact:
            return render_page(self._stored, shown, redact=True)
        from memaudit.gallery import gallery

        root = _text(image_root)
        return render_page(
            self._stored, shown, lambda cards: gallery(self._stored, cards, pictures, root, image_column)
        )

    def show(self, cluster: int | str, *, members: int = 10) -> dict[str, Any]:
        """One finding in full, as a dict; `memaudit show -f json`.

        cluster: its number, its fingerprint, or the start of it. Captions are read back from the originals. Raises
        UsageError where no finding, or more than one, is called that.
        """
        from memaudit.report.summary import finding

        return finding(self._stored, cluster, members)

    @overload
    def export(
        self, *, view: str = ..., output: None = ..., min_severity: str | None = ..., format: None = ...,
        verdict: Names = ..., raw: bool = ..., progress: bool | Progress = ...,
    ) -> pl.DataFrame: ...  # fmt: skip

    @overload
    def export(
        self, *, view: str = ..., output: str | Path, min_severity: str | None = ..., format: str | None = ...,
        verdict: Names = ..., raw: bool = ..., progress: bool | Progress = ...,
    ) -> Exported: ...  # fmt: skip

    def export(
        self, *, view: str = "rows", output: str | Path | None = None, min_severity: str | None = None,
        format: str | None = None, verdict: Names = (), raw: bool = False, progress: bool | Progress = False,  # noqa: A002
    ) -> pl.DataFrame | Exported:  # fmt: skip
        """A blocklist or table, as a frame or into the file `output`; `memaudit export`.

        view: rows, members, clusters, patterns. min_severity: by default high for rows, info for the others. verdict:
        one or several, "replicated" for verbatim or template. Into a file: format csv, parquet or json, by default by
        its name, and the lines written are returned. Warns (`Incomplete`) where captions could not be read back.

            blocklist = audit.export(min_severity="medium")
        """
        from memaudit.export import VIEWS
        from memaudit.export import export as write
        from memaudit.writers import format_of

        if view not in VIEWS:
            raise UsageError(f"unknown view {view!r}", f"known: {', '.join(VIEWS)}")
        lowest = None if min_severity is None else _severity(min_severity)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "lines.parquet" if output is None else Path(output)
            kind = format or format_of(out.name)
            written = write(self._stored, view, kind, out, lowest, raw, _speaking(progress), verdicts=_several(verdict))
            if not written.complete:
                _warn("captions are missing: an original is gone or has changed since the scan")
            return pl.read_parquet(out) if output is None else written

    def verify(
        self,
        *,
        model: str | Path,
        relation: str,
        reference_model: str | Path | None = None,
        top: int = 100,
        min_severity: str = "info",
        samples: int = 16,
        steps: int | None = None,
        guidance: float | None = None,
        seed: int = 0,
        device: str | None = None,
        dtype: str | None = None,
        image_root: str | Path | None = None,
        image_column: str | None = None,
        download: bool = False,
        descriptor: str | Path | None = None,
        no_screen: bool = False,
        generated: str | Path | None = None,
        progress: bool | Progress = False,
    ) -> pl.DataFrame:
        """Ask a model about the riskiest findings and store its verdicts; `memaudit verify`. Returns them: VERDICTS.

        relation: trained, finetuned, unrelated. generated: a folder of pictures drawn from a plan
        (`memaudit verify --plan`), which are judged instead. Warns (`Incomplete`) where a finding's verdict is `error`.
        Raises UsageError where the extra [verify] is missing, BadInput for a model that cannot be used.
        """
        from memaudit.verify import libraries
        from memaudit.verify.settings import VerifyConfig

        libraries.require(libraries.ALL if generated is None else libraries.JUDGING)
        config = VerifyConfig(
            model=str(model), relation=relation, reference_model=_text(reference_model), top=top,
            min_severity=min_severity, samples=samples, seed=seed, steps=steps, guidance=guidance,
            screen=not no_screen, image_root=_text(image_root), image_column=image_column, download=download,
            descriptor=_text(descriptor), dtype=dtype, device=device,
        )  # fmt: skip
        done = self._verify(config, generated, _speaking(progress))
        if done["counts"].get("error"):
            _warn(f"verdicts that are 'error': {done['counts']['error']}; the column why says what happened")
        self._stored = store.open_audit(self.folder, self._stored.allow)
        return self.verdicts.filter(pl.col("model") == done["model"])

    def _verify(self, config: Any, generated: str | Path | None, progress: Progress) -> dict[str, Any]:
        if generated is None:
            from memaudit.verify.run import verify

            return verify(self._stored, config, progress)
        from memaudit.verify.elsewhere import judge_generated

        return judge_generated(self._stored, config, Path(generated), progress)

    def clean(
        self,
        *,
        output: str | Path | None = None,
        min_severity: str = "high",
        keep: int = 1,
        only_verified: bool = False,
        captions_only: bool = False,
        keep_by: str | None = None,
        list_only: bool = False,
        dry_run: bool = False,
        fresh: bool = False,
        progress: bool | Progress = False,
    ) -> Cleaned:
        """Write the dataset without its dangerous repetition into the folder `output`; `memaudit clean`.

        Returns the folder and a summary, whose "status" says whether it is "cleaned", a "plan" or a "dry run".
        """
        from memaudit.clean.run import clean
        from memaudit.clean.settings import CleanConfig

        config = CleanConfig(min_severity, keep, only_verified, captions_only, keep_by, list_only)
        return clean(self._stored, output, config, _speaking(progress), dry_run, fresh)

    def check(self, prompt: str, *, min_severity: str = "info") -> Match | None:
        """The worst finding that a prompt matches; `memaudit check`. None: no match in this audit, which is no proof.

        For more than one prompt make a `guard` once.
        """
        return self.guard(min_severity=min_severity).check(prompt)

    def guard(self, *, min_severity: str = "info") -> Guard:
        """The findings ready for prompts, for serving code: `memaudit.Guard` of this audit (docs/check.md)."""
        from memaudit.check.guard import Guard

        return Guard(self._stored, min_severity=min_severity)

    def diff(self, old: Audit | str | Path) -> Changes:
        """What became of findings since the audit `old`; `memaudit diff OLD NEW`, of which this is NEW.

        changes = audit.diff("audit-of-may")
        changes.frame.filter("worse", pl.col("severity_new") >= "high")
        """
        before = old._stored if isinstance(old, Audit) else store.open_audit(old)
        return Changes(differ.diff(before, self._stored))

    def __repr__(self) -> str:
        return f"memaudit.open({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        from memaudit.report.glance import glance

        return glance(self.summary(top=ON_A_PAGE))


@dataclass(frozen=True)
class Changes:
    """What became of findings between two audits; docs/diff.md says what the words mean."""

    found: differ.Diff

    @property
    def frame(self) -> pl.DataFrame:
        """One row a finding of either audit; columns of a side are null where it is not there."""
        return self.found.frame

    @property
    def notes(self) -> list[str]:
        """What to know of the comparison: differing options, missing verdicts."""
        return self.found.notes

    def summary(self, *, top: int | None = 10, min_severity: str = "info") -> dict[str, Any]:
        """The comparison as a dict of JSON types. top: families of each change; None: all findings that changed."""
        from memaudit.diff.told import summary

        return summary(self.found, top, _severity(min_severity))

    def report(
        self, *, format: str = "terminal", top: int | None = 10, min_severity: str = "info", width: int | None = 100  # noqa: A002
    ) -> str:  # fmt: skip
        """The comparison as text; `memaudit diff`. format: terminal, md, json."""
        from memaudit.report.changes import render_changes

        return render_changes(self.summary(top=top, min_severity=min_severity), format, width)

    def __repr__(self) -> str:
        counts = dict(self.frame["change"].value_counts(sort=True).iter_rows())
        return f"Changes({', '.join(f'{n} {name}' for name, n in counts.items())})"


def _several(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _severity(name: str) -> str:
    if name not in SEVERITIES:
        raise UsageError(f"unknown severity {name!r}", f"known: {', '.join(SEVERITIES)}")
    return name


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _text(given: str | Path | None) -> str | None:
    return None if given is None else str(given)


def _speaking(progress: bool | Progress) -> Progress:
    if isinstance(progress, bool):
        return for_terminal() if progress else Silent()
    return progress


def _warn(what: str) -> None:
    warnings.warn(what, Incomplete, stacklevel=3)
