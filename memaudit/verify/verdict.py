"""Records of trials -> verdicts: what is said of each cluster, over all clusters at once.

A verdict is evidence about one model. `not_replicated` is an upper limit at so many seeds, `screened` a quick look,
`not_run` and `error` are nothing at all: none of them is clean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from memaudit.rules import verify_rules
from memaudit.verify.evidence import confidence_sequence, e_bh
from memaudit.verify.trial import PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def replicated(records: Sequence[Mapping[str, Any]], hypotheses: int) -> np.ndarray:
    """bool, by record: which clusters e-BH finds to copy more often than their null rate.

    hypotheses: all clusters that could have been found, screened ones too: those count as e-values of 0, so the false
    discovery rate is that of the whole report.
    """
    values = np.zeros(max(hypotheses, len(records)))
    values[: len(records)] = [r.get("e_value") or 0.0 for r in records]
    return np.asarray(e_bh(values, verify_rules()["sample"]["alpha"])[: len(records)])


def kind_of(record: Mapping[str, Any]) -> str:
    """How a replicating cluster copies: a region that its pictures share explains at least as many samples as whole
    pictures do, or not."""
    return "template" if record["region"] and record["region"] >= record["whole"] else "verbatim"


def verdict_of(record: Mapping[str, Any], found: bool, relation: str) -> tuple[str, str | None]:
    """(verdict, why) of one record; found: see `replicated`."""
    status = record["status"]
    if status != "sampled":
        return status, record.get("why")
    if found:
        return kind_of(record), _notes(record)
    if relation == "unrelated":
        return (
            "not_run",
            f"the model never saw this dataset: {record['hits']} of {record['n']} samples copy, which says little",
        )
    if record["hits"]:
        few = f"{record['hits']} of {record['n']} samples copy, too few to tell from chance"
        return "not_replicated", _joined(few, _notes(record))
    return "not_replicated", _notes(record)


def _notes(record: Mapping[str, Any]) -> str | None:
    parts = [record.get("why")]
    if not record["gallery"]:
        parts.append("judged without training pictures: seeds that agree, not copies that were seen")
    if record.get("cut"):
        parts.append(f"prompts longer than the model reads: {record['cut']}")
    if record.get("reference_hits") and record["reference_n"]:
        parts.append(f"the reference model copies in {record['reference_hits']} of {record['reference_n']} samples")
    if record.get("reference_why"):
        parts.append(f"the reference model could not be asked: {record['reference_why']}")
    return _joined(*parts)


def _joined(*parts: str | None) -> str | None:
    return "; ".join(part for part in parts if part) or None


def verdict_row(record: Mapping[str, Any], model: str, relation: str, found: bool) -> dict[str, Any]:
    """One row of VERDICTS."""
    verdict, why = verdict_of(record, found, relation)
    n, hits = record.get("n", 0), record.get("hits", 0)
    low, high = confidence_sequence(hits, n, verify_rules()["sample"]["alpha"]) if n else (0.0, 1.0)
    control_hits, control_n = record.get("controls") or (0, 0)
    judged = _judged(record)
    nearest = min(judged, key=lambda s: s["distance"], default=None)
    reference_n = record.get("reference_n") or 0
    return {
        "fingerprint": record["fingerprint"],
        "model": model,
        "verdict": verdict,
        "rate": hits / n if n else float("nan"),
        "low": low,
        "high": high,
        "control_rate": control_hits / control_n if control_n else float("nan"),
        "reference_rate": record["reference_hits"] / reference_n if reference_n else None,
        "n_samples": n,
        "best_similarity": max((s["similarity"] for s in judged if "similarity" in s), default=None),
        "nearest_image": nearest["nearest"] if nearest else None,
        "signals": _signals(record),
        "word_weights": [{"word": w, "weight": x} for w, x in record["word_weights"]]
        if "word_weights" in record
        else None,
        "why": why,
        "relation": relation,
        "n_copies": hits,
        "e_value": record.get("e_value"),
        "unet_calls": record.get("unet_calls", 0),
    }


def _judged(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [s for s in record.get("samples", []) if s.get("distance") is not None]


def _signals(record: Mapping[str, Any]) -> dict[str, float | None]:
    judged = [s for s in _judged(record) if s["kind"] in PATTERN]
    regions = [s for s in judged if s["region_distance"] is not None]
    rates = {f"{kind}_rate": _rate(record, kind) for kind in (*PATTERN, "trigger")}
    return {
        **{name: record.get(name) for name in ("magnitude", "magnitude_rank", "seed_agreement", "seed_agreement_rank")},
        "distance": _median([s["distance"] for s in judged]),
        "region_distance": _median([s["region_distance"] for s in regions]),
        "region_share": _median([s["region_share"] for s in regions]),
        "agreement": record.get("agreement"),
        **rates,
    }


def _rate(record: Mapping[str, Any], kind: str) -> float | None:
    judged = [s["copied"] != "none" for s in _judged(record) if s["kind"] == kind]
    return float(np.mean(judged)) if judged else None


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def sample_rows(record: Mapping[str, Any], model: str) -> list[dict[str, Any]]:
    """Rows of SAMPLES."""
    keys = {"prompt_kind": "kind", "prompt": "prompt", "seed": "seed", "path": "path", "copied": "copied"}
    more = {"distance": "distance", "nearest_image": "nearest"}
    return [
        {"fingerprint": record["fingerprint"], "model": model}
        | {to: s[key] for to, key in keys.items()}
        | {to: s.get(key) for to, key in more.items()}
        for s in record.get("samples", [])
    ]
