"""What models did, finding by finding: which verdict counts, and what it makes of a severity.

Verdicts belong to findings by fingerprint. Whoever reads findings with them goes through `judged`, so that reports,
exports and filters agree. Nothing here writes: the stored severity stays what the text alone said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from memaudit.errors import UsageError
from memaudit.schemas import SEVERITIES, VERDICT_NAMES
from memaudit.suppression import Current, current

if TYPE_CHECKING:
    from collections.abc import Collection

    from memaudit.store import Audit

REPLICATED = ("verbatim", "template")
WORST_FIRST = ("verbatim", "template", "not_replicated", "screened", "error", "not_run")
"""A copy of one model is not undone by another's silence, and what was tried says more than what was not."""

CHOICES = ("replicated", *VERDICT_NAMES)
"""What a filter may name; "replicated" is both of `REPLICATED`."""

RAISED = "critical"  # the severity that a verdict makes


class Judged(NamedTuple):
    """Findings as they stand now.

    findings: FINDINGS, the allow-list applied, `severity` what the verdicts make of it; their order is the stored one.
    verdicts: VERDICTS of these findings and of others, the worst of each fingerprint first. unmatched: verdicts of no
    finding. now: the same findings before the verdicts spoke, with what the allow-list says.
    """

    findings: pl.DataFrame
    verdicts: pl.DataFrame
    unmatched: int
    now: Current


def judged(audit: Audit) -> Judged:
    """The findings of an audit with what models did. Raises as `suppression.current` does."""
    now, verdicts = current(audit), worst_first(audit.frame("verdicts"))
    known = pl.col("fingerprint").is_in(now.findings["fingerprint"].implode())
    unmatched = verdicts.filter(~known)["fingerprint"].n_unique()
    return Judged(raised(now.findings, verdicts), verdicts, unmatched, now)


def at_least(severity: str, column: str = "severity") -> pl.Expr:
    """Rows of FINDINGS at or above a severity."""
    return pl.col(column).cast(pl.String).is_in(SEVERITIES[SEVERITIES.index(severity) :])


def worst_first(verdicts: pl.DataFrame) -> pl.DataFrame:
    """VERDICTS by fingerprint, the worst first (`WORST_FIRST`, then the higher rate, then the model's name)."""
    order = (
        pl.col("verdict").cast(pl.String).replace_strict(WORST_FIRST, range(len(WORST_FIRST)), return_dtype=pl.UInt8)
    )
    rate = pl.col("rate").fill_nan(-1)
    return verdicts.sort("fingerprint", order, rate, "model", descending=[False, False, True, False])


def of_findings(verdicts: pl.DataFrame) -> pl.DataFrame:
    """The verdict that counts of each fingerprint, the worst over models: fingerprint, verdict (str), rate, low, high,
    null where no rate is known."""
    one = worst_first(verdicts).unique("fingerprint", keep="first", maintain_order=True)
    return one.select(
        "fingerprint", pl.col("verdict").cast(pl.String), *(pl.col(c).fill_nan(None) for c in ("rate", "low", "high"))
    )


def replicated() -> pl.Expr:
    """Rows of VERDICTS that say that a model copies."""
    return pl.col("verdict").cast(pl.String).is_in(REPLICATED)


def explained() -> pl.Expr:
    """Rows of VERDICTS where the reference model, which has not seen the data, copies about as often.

    About: its rate reaches the interval of the model's own rate, so the data cannot be told from what was there before.
    """
    reference = pl.col("reference_rate").fill_nan(None)
    return ((reference > 0) & (reference >= pl.col("low"))).fill_null(False)


def confirms() -> pl.Expr:
    """Rows of VERDICTS that prove a finding: a model of this dataset copies, and its base does not explain it.

    A model that never saw the data (`unrelated`) can only show that two datasets overlap.
    """
    return replicated() & pl.col("relation").is_in(("trained", "finetuned")) & ~explained()


def raised(findings: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """FINDINGS with severity critical where a verdict confirms the finding; pure, no other severity changes.

    Text alone never yields critical. A suppressed finding stays suppressed.
    """
    proven = verdicts.filter(confirms())["fingerprint"].unique()
    if not len(proven):
        return findings
    kind = findings.schema["severity"]
    here = pl.col("fingerprint").is_in(proven.implode())
    severity = pl.when(here).then(pl.lit(RAISED, dtype=kind)).otherwise(pl.col("severity"))
    return findings.with_columns(severity=severity)


def chosen(names: Collection[str], folder: str, verdicts: pl.DataFrame) -> frozenset[str]:
    """Verdicts that a filter means by `names` (of `CHOICES`), none for no filter.

    folder: of the audit, for the message. Raises UsageError for an unknown name, and where there is no verdict to
    choose by: an empty blocklist would read as a clean dataset.
    """
    unknown = [name for name in names if name not in CHOICES]
    if unknown:
        raise UsageError(f"unknown verdict {unknown[0]!r}", f"known: {', '.join(CHOICES)}", "--verdict replicated")
    if names and verdicts.is_empty():
        raise UsageError(
            "this audit has no verdicts to choose by",
            "no model was asked yet, which is not the same as no copies",
            f"memaudit verify {folder} --model MODEL",
        )
    return frozenset(name for one in names for name in (REPLICATED if one == "replicated" else (one,)))
