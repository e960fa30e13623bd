"""What models did, as plain dicts: per finding its verdicts and pictures, per model the run that gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit.report.stored import plain
from memaudit.report.verdict_words import costs, says
from memaudit.schemas import COPIED, VERDICT_NAMES
from memaudit.verdicts import WORST_FIRST, confirms, explained, of_findings, replicated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memaudit.store import Audit
    from memaudit.verdicts import Judged

MANIFEST_KEY = "verify"  # in manifest.json: one dict per model
CAVEAT = "A verdict is evidence about this model, not about others; not_replicated is not safe."
_SHORT = (
    *("cluster_id", "fingerprint", "short", "kind", "severity", "risk", "representative", "template", "n_rows"),
    "suppressed",
)
_RUN = (
    *("model", "digest", "family", "relation", "reference_model", "scheduler", "prediction_type", "steps", "guidance"),
    *("size", "device", "dtype", "seed", "max_samples", "claim", "alpha", "unet_calls", "full_calls", "seconds"),
)
_COUNTED = {
    "controls": ("screened", "sampled", "hits", "rate", "high"),
    "screen": ("threshold", "passed", "cleared", "audited", "missed"),
    "pictures": ("kind", "found", "missing"),
}


def runs(audit: Audit, verdicts: pl.DataFrame) -> list[dict[str, Any]]:
    """One dict per model, in the order of the runs; models that only the verdicts know come last.

    Counts are those of the stored verdicts; what the manifest does not say is None.
    """
    known = [run for run in audit.manifest.get(MANIFEST_KEY) or [] if isinstance(run, dict)]
    told: dict[str, dict[str, Any]] = {run["model"]: run for run in known if isinstance(run.get("model"), str)}
    for model in verdicts["model"].unique(maintain_order=True):
        told.setdefault(model, {"model": model})
    return [_run(run, verdicts.filter(pl.col("model") == model)) for model, run in told.items()]


def _run(run: dict[str, Any], verdicts: pl.DataFrame) -> dict[str, Any]:
    out: dict[str, Any] = {key: _json(run.get(key)) for key in _RUN}
    for key, names in _COUNTED.items():
        part = run.get(key)
        out[key] = {name: _json(part.get(name) if isinstance(part, dict) else None) for name in names}
    if out["relation"] is None and len(verdicts):
        out["relation"] = verdicts["relation"][0]
    calls, full = out["unet_calls"], out["full_calls"]
    out["times_fewer"] = plain(full / calls, 1) if calls and full else None
    audited, missed = out["screen"]["audited"], out["screen"]["missed"]
    out["screen"]["miss_rate"] = plain(missed / audited) if audited and missed is not None else None
    counted = dict(verdicts["verdict"].cast(pl.String).value_counts().iter_rows())
    out["counts"] = {name: counted.get(name, 0) for name in VERDICT_NAMES}
    out["notes"] = list(dict.fromkeys([*costs(out["pictures"]), *map(str, run.get("notes") or []), CAVEAT]))
    return out


def _json(value: Any) -> Any:
    """Numbers that JSON can hold, and texts; the manifest may be of another version."""
    if isinstance(value, float):
        return plain(value, 6)
    if isinstance(value, dict):
        return {str(key): _json(inner) for key, inner in value.items()}
    return value if value is None or isinstance(value, int | str) else str(value)


def attach(entries: Sequence[dict[str, Any]], now: Judged, told: Sequence[dict[str, Any]]) -> None:
    """Give entries of findings their "verdicts" (the worst first, one per model), "verdict", the one that counts, and
    "severity_by_text", which is the stored one. told: what `runs` returned."""
    by_model = {run["model"]: run for run in told}
    rows: dict[str, list[dict[str, Any]]] = {}
    wanted = pl.Series([entry["fingerprint"] for entry in entries], dtype=pl.String)
    stored = now.now.findings.filter(pl.col("fingerprint").is_in(wanted.implode()))
    by_text = dict(stored.select("fingerprint", "severity").iter_rows())
    marked = now.verdicts.with_columns(replicated=replicated(), explained=explained(), confirms=confirms())
    for row in marked.filter(pl.col("fingerprint").is_in(wanted.implode())).iter_rows(named=True):
        rows.setdefault(row["fingerprint"], []).append(_verdict(row, by_model.get(row["model"])))
    for entry in entries:
        entry["verdicts"] = rows.get(entry["fingerprint"], [])
        entry["verdict"] = entry["verdicts"][0]["verdict"] if entry["verdicts"] else None
        entry["severity_by_text"] = by_text[entry["fingerprint"]]
        entry["replicated"] = any(one["replicated"] for one in entry["verdicts"])


def _verdict(row: dict[str, Any], run: dict[str, Any] | None) -> dict[str, Any]:
    numbers = ("rate", "low", "high", "control_rate", "reference_rate", "best_similarity", "e_value")
    signals = {name: plain(value) for name, value in (row["signals"] or {}).items()}
    weights = [{"word": w["word"], "weight": plain(w["weight"])} for w in row["word_weights"] or [] if w is not None]
    out = {
        **{key: row[key] for key in ("model", "verdict", "relation")},
        **{key: plain(row[key]) for key in numbers},
        **{key: row[key] for key in ("n_samples", "n_copies", "nearest_image", "why", "unet_calls")},
        "replicated": row["replicated"],
        "confirms": row["confirms"],
        "explained_by_reference": row["replicated"] and row["explained"],
        "signals": {name: value for name, value in signals.items() if value is not None},
        "word_weights": [w for w in weights if w["word"] is not None],
    }
    out["says"] = says(out, run)
    return out


def copies(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of entries that are replicated the short form, with the worst verdict's words and numbers, in their order."""
    keys = ("verdict", "model", "rate", "low", "high", "control_rate", "reference_rate", "n_samples", "n_copies")
    return [
        {**{key: entry[key] for key in _SHORT}, **{key: entry["verdicts"][0][key] for key in (*keys, "says")}}
        for entry in entries
    ]


def by_rate(findings: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The replicated ones of FINDINGS, by rate, then risk; suppressed ones last."""
    worst = of_findings(verdicts.filter(replicated())).select("fingerprint", "rate", "low")
    found = findings.join(worst, on="fingerprint", how="inner", maintain_order="left")
    order = ["suppressed", "rate", "low", "risk", "cluster_id"]
    down = [False, True, True, True, False]
    return found.sort(order, descending=down, nulls_last=True).select(findings.columns)


def counts(findings: pl.DataFrame, verdicts: pl.DataFrame) -> dict[str, int]:
    """Findings that are not suppressed by the verdict that counts; "unverified" where no model was asked."""
    active = findings.filter(~pl.col("suppressed")).select("fingerprint")
    joined = active.join(of_findings(verdicts), on="fingerprint", how="left")["verdict"]
    found = dict(joined.value_counts().iter_rows())
    return {**{name: found.get(name, 0) for name in WORST_FIRST}, "unverified": found.get(None, 0)}


def samples(audit: Audit, fingerprint: str, most: int) -> dict[str, Any]:
    """Up to `most` pictures that were generated for a finding: {"total", "shown"}; copies first, one prompt after
    the other."""
    frame = _samples(audit, [fingerprint])
    return {"total": len(frame), "shown": _plain_samples(frame.head(most))}


def samples_of(audit: Audit, fingerprints: Sequence[str], most: int) -> list[dict[str, Any]]:
    """`samples` of several findings in one pass, up to `most` of each model."""
    by_finding = {key[0]: rows for key, rows in _samples(audit, fingerprints).group_by("fingerprint")}
    out = []
    for fingerprint in fingerprints:
        if (rows := by_finding.get(fingerprint)) is None:
            out.append({"total": 0, "shown": []})
            continue
        few = rows.group_by("model", maintain_order=True).head(most)
        out.append({"total": len(rows), "shown": _plain_samples(few.select(rows.columns))})
    return out


def _samples(audit: Audit, fingerprints: Sequence[str]) -> pl.DataFrame:
    """SAMPLES of findings in the order they are shown: copies first, one prompt after the other."""
    wanted = pl.Series(fingerprints, dtype=pl.String).implode()
    frame = audit.collect(audit.scan("samples").filter(pl.col("fingerprint").is_in(wanted)), "samples")
    rank = pl.col("copied").replace_strict(COPIED, (0, 1, 3, 2), default=4, return_dtype=pl.UInt8)
    return frame.sort("model", rank, "prompt_kind", "prompt", "distance", "path", nulls_last=True)


def _plain_samples(rows: pl.DataFrame) -> list[dict[str, Any]]:
    return [{**row, "distance": plain(row["distance"])} for row in rows.drop("fingerprint").to_dicts()]
