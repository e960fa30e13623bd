"""Findings as plain dicts: what the summary lists and `show` explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from memaudit import rules
from memaudit.errors import UsageError
from memaudit.report.lookup import short
from memaudit.report.stored import by_cluster, plain
from memaudit.report.words import why

if TYPE_CHECKING:
    from memaudit.store import Audit

VARIANTS = 5  # other members of a family that an entry names


def ranked(findings: pl.DataFrame) -> pl.DataFrame:
    """One finding per family, by risk descending; families that are suppressed altogether come last.

    The head stands for its family (`family == cluster_id`); where only the head is suppressed, the riskiest other does.
    """
    order = ["suppressed", "risk", "cluster_id"]
    inside = findings.with_columns(head=pl.col("family") == pl.col("cluster_id"))
    inside = inside.sort(["suppressed", "head", "risk", "cluster_id"], descending=[False, True, True, False])
    one = inside.unique("family", keep="first", maintain_order=True)
    return one.sort(order, descending=[False, True, False]).drop("head")


def entries(audit: Audit, findings: pl.DataFrame, chosen: pl.DataFrame, values: int = 5) -> list[dict[str, Any]]:
    """A dict for each row of `chosen` (FINDINGS), in that order. values: most frequent values shown of a slot."""
    families = _families(findings, chosen)
    wanted = {*chosen["cluster_id"], *(row["cluster_id"] for rows in families.values() for row in rows)}
    templates = {cluster: rows[0] for cluster, rows in by_cluster(audit, "templates", wanted).items()}
    triggers = by_cluster(audit, "triggers", chosen["cluster_id"])
    out = []
    for row in chosen.iter_rows(named=True):
        entry = _entry(row, templates.get(row["cluster_id"]), triggers.get(row["cluster_id"], []), values)
        entry["short"] = short(row["fingerprint"], findings)
        entry["family"] = _family(row, families[row["family"]], templates)
        out.append(entry)
    return out


def _entry(
    row: dict[str, Any], template: dict[str, Any] | None, triggers: list[dict[str, Any]], values: int
) -> dict[str, Any]:
    """One finding, without what needs its neighbours ("short", "family")."""
    entry = {
        **{key: row[key] for key in ("cluster_id", "fingerprint", "kind", "severity", "confidence")},
        "rule": _rule(row["rule"]),
        "risk": plain(row["risk"]),
        "representative": row["representative"],
        "template": template["template"] if template else None,
        **{key: row[key] for key in ("n_rows", "n_texts", "n_images", "n_domains")},
        **{key: plain(template[key]) if template else None for key in ("fixed_bits", "fixed_share", "slot_entropy")},
        "features": {name: plain(value) for name, value in row["features"].items() if value is not None},
        "slots": [_slot(slot, values) for slot in (template["slots"] if template else [])],
        "triggers": [_trigger(trigger) for trigger in triggers],
        "suppressed": row["suppressed"],
        "reason": row["reason"],
    }
    entry["why"] = why(entry)
    return entry


def _rule(code: str) -> dict[str, str]:
    try:
        found = rules.rule(code)
    except UsageError:  # an audit of a version with other rules
        return {"code": code, "title": "a rule that this version does not know", "what": "", "remedy": ""}
    return {"code": found.code, "title": found.title, "what": found.what, "remedy": found.remedy}


def _slot(slot: dict[str, Any], values: int) -> dict[str, Any]:
    most = zip(slot["values"][:values], slot["counts"][:values], strict=False)
    return {"type": slot["type"], "distinct": slot["distinct"], "values": [{"value": v, "count": n} for v, n in most]}


def _trigger(row: dict[str, Any]) -> dict[str, Any]:
    shares = {key: plain(row[key]) for key in ("purity", "coverage")}
    return {"words": row["words"], **shares, "n_texts": row["n_texts"]}


def _families(findings: pl.DataFrame, chosen: pl.DataFrame) -> dict[int, list[dict[str, Any]]]:
    """Per family of `chosen` the riskiest members, which an entry may name; each with the family's "size"."""
    wanted = findings.filter(pl.col("family").is_in(chosen["family"].implode()))
    columns = ["family", "cluster_id", "fingerprint", "kind", "representative", "n_rows", "risk", "size"]
    sized = wanted.with_columns(size=pl.len().over("family")).sort(["risk", "cluster_id"], descending=[True, False])
    # One more than is named: the entry itself may be among them, or not (a family whose head is suppressed).
    few = sized.group_by("family", maintain_order=True).head(VARIANTS + 1).select(columns)
    out: dict[int, list[dict[str, Any]]] = {}
    for row in few.iter_rows(named=True):
        out.setdefault(row["family"], []).append(row)
    return out


def _family(row: dict[str, Any], family: list[dict[str, Any]], templates: dict[int, dict[str, Any]]) -> dict[str, Any]:
    others = [other for other in family if other["cluster_id"] != row["cluster_id"]][:VARIANTS]
    named = [
        {
            **{key: other[key] for key in ("cluster_id", "fingerprint", "kind", "n_rows")},
            "risk": plain(other["risk"]),
            "text": templates.get(other["cluster_id"], {}).get("template", other["representative"]),
        }
        for other in others
    ]
    return {"head": row["family"], "size": family[0]["size"], "others": named}
