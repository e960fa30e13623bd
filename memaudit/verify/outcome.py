"""What a verification leaves: verdicts and samples as frames, and the run in the manifest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.rules import verify_rules
from memaudit.schemas import conform
from memaudit.verify.evidence import fixed_upper_limit
from memaudit.verify.trial import PATTERN, numbered
from memaudit.verify.verdict import replicated, sample_rows, verdict_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.store import Audit
    from memaudit.verify.prompts import Cluster
    from memaudit.verify.screening import Screening
    from memaudit.verify.settings import VerifyConfig

RUNS = "verify"  # in manifest.json: a list of runs, one per model
FULL_SEEDS = 50  # what sampling everything would take a prompt, for comparison


def stored(audit: Audit, key: str) -> dict[str, Any] | None:
    """The finished run with this key, if its frames are there and nothing in it failed."""
    for run in audit.manifest.get(RUNS, []):
        if (
            run["key"] == key
            and not run["counts"].get("error")
            and audit.has_frame("verdicts")
            and audit.has_frame("samples")
        ):
            return dict(run)
    return None


def store_run(audit: Audit, run: dict[str, Any], records: Sequence[dict[str, Any]]) -> None:
    """Write the verdicts and samples of a run, in place of those of the same model, then enter it in the manifest."""
    model, relation = run["model"], run["relation"]
    found = replicated(records, run["hypotheses"]).tolist()
    verdicts = [verdict_row(r, model, relation, copied) for r, copied in zip(records, found, strict=True)]
    run["counts"] = dict(Counter(row["verdict"] for row in verdicts))
    samples = [row for record in records for row in sample_rows(record, model)]
    for name, rows in (("samples", samples), ("verdicts", verdicts)):
        others = audit.frame(name).filter(pl.col("model") != model)
        new = (
            pl.DataFrame(rows, schema_overrides=dict(others.schema), infer_schema_length=None)
            if rows
            else others.clear()
        )
        audit.write(name, pl.concat([others, conform(name, new)]))
    audit.manifest[RUNS] = [one for one in audit.manifest.get(RUNS, []) if one["model"] != model] + [run]
    audit.save()


def about_run(
    key: str,
    config: VerifyConfig,
    model: dict[str, Any],
    clusters: Sequence[Cluster],
    screened: Screening,
    records: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """What the manifest says of a run, but for pictures, controls, calls and seconds, which the caller adds."""
    rules = verify_rules()["sample"]
    found = dict(zip((r["fingerprint"] for r in records), replicated(records, len(clusters)).tolist(), strict=True))
    prompts = sum(len(numbered(c, PATTERN)) for c in clusters)
    rows = 2 if model["guidance"] > 1 else 1
    cleared = len(clusters) - len(screened.passed)
    return {
        "key": key,
        **model,
        "relation": config.relation,
        "reference_model": config.reference_model,
        "seed": config.seed,
        "max_samples": config.samples,
        "claim": rules["claim"],
        "alpha": rules["alpha"],
        "hypotheses": len(clusters),
        "screen": {
            "on": config.screen,
            "threshold": screened.threshold,  # by signal
            "controls": screened.controls,
            "passed": len(screened.passed),
            "cleared": cleared,
            "audited": len(screened.audited),
            "missed": sum(found[name] for name in screened.audited),
        },
        "full_calls": prompts * FULL_SEEDS * model["steps"] * rows,
    }


def about_controls(screened: Screening, own_hits: int, n: int) -> dict[str, Any]:
    """Controls: how many were screened and sampled, and how many samples count as copies of their own pictures."""
    high = fixed_upper_limit(own_hits, n, verify_rules()["sample"]["alpha"]) if n else 1.0
    rate = own_hits / n if n else None
    return {"screened": screened.controls, "sampled": n, "hits": own_hits, "rate": rate, "high": high}
