"""A summary that can be shared: built anew from what is allowed, so that what nobody thought of stays out.

Kept are counts, kinds, severities, risks, rates and the page's own words. Words of captions become blocks of their
length; paths, ids, references, domains, names of models and columns, reasons that people or machines wrote, pictures
and weights of words are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from memaudit.report.verdict_words import costs, says
from memaudit.report.verification import CAVEAT
from memaudit.report.words import why
from memaudit.rules import slot_rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLOCK, LONGEST_WORD, MOST_WORDS = "▇", 12, 40
HIDDEN = "redacted"
SKIPPED = ("null", "without words", "bad line", "not downloaded", "unreadable", "empty")
_PLACEHOLDER = re.compile(r"<(?:\*|num|size|roman|code)>|[\^$]")
_ENTRY = (
    *("cluster_id", "fingerprint", "short", "kind", "severity", "severity_by_text", "confidence", "risk", "n_rows"),
    *("n_texts", "n_images", "n_domains", "fixed_bits", "fixed_share", "slot_entropy", "features", "suppressed"),
    *("verdict", "replicated", "rule"),
)
_VERDICT = (
    *("verdict", "relation", "rate", "low", "high", "control_rate", "reference_rate", "best_similarity", "e_value"),
    *("n_samples", "n_copies", "unet_calls", "replicated", "confirms", "explained_by_reference", "signals"),
)
_RUN = (
    *("relation", "steps", "guidance", "size", "seed", "max_samples", "claim", "alpha", "unet_calls", "full_calls"),
    *("seconds", "times_fewer", "counts"),
)
_LINE = (
    *("cluster_id", "fingerprint", "kind", "severity", "risk", "rule", "n_rows", "n_texts", "n_images", "n_domains"),
    *("suppressed", "head", "variants", "verdict", "rate"),
)


def veiled(text: str) -> str:
    """The shape of a caption: each word as blocks, at most `LONGEST_WORD` of them; at most `MOST_WORDS` words."""
    words = text.split()
    out = [BLOCK * min(len(word), LONGEST_WORD) for word in words[:MOST_WORDS]]
    return " ".join([*out, "…"] if len(words) > MOST_WORDS else out)


def veiled_template(template: str) -> str:
    """The shape of a template: its slots and ends as they are, words as blocks."""
    words = template.split()
    out = [w if _PLACEHOLDER.fullmatch(w) else veiled(w) for w in words[:MOST_WORDS]]
    return " ".join([*out, "…"] if len(words) > MOST_WORDS else out)


def redacted(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What `summary(audit, top, lines)` returned, of the same form."""
    models = [run["model"] for run in summary["verification"]]
    runs = [_run(run, _name(models, run["model"])) for run in summary["verification"]]
    cards = [_entry(card, models, runs) for card in summary["cards"]]
    by_name = {card["fingerprint"]: card for card in cards}
    inputs, allowed = summary["inputs"], summary["allow_list"]
    return {
        **{key: summary[key] for key in ("version", "totals", "repeats", "counts", "expected_precision")},
        "tool": summary["tool"] if re.fullmatch(r"[0-9.]+[a-z0-9.]*", summary["tool"]) else "",
        "folder": "",
        "config": {},
        "inputs": {
            **{key: inputs[key] for key in ("files", "bytes", "rows", "skipped", "n_bad_files")},
            "skipped_reasons": _reasons(inputs["skipped_reasons"]),
            "bad_files": [],
        },
        "allow_list": {key: [{} for _ in entries] for key, entries in allowed.items()},
        "verification": runs,
        "replicated": [],
        "findings": [by_name[entry["fingerprint"]] for entry in summary["findings"]],
        "cards": cards,
        "notes": summary["notes"],
        "next": [],
        "listing": {
            "total": summary["listing"]["total"],
            "rows": [{**{key: row[key] for key in _LINE}, **_texts(row)} for row in summary["listing"]["rows"]],
        },
        "overview": _overview(summary["overview"]),
    }


def _reasons(counted: Mapping[str, int]) -> dict[str, int]:
    out: dict[str, int] = {}
    for reason, n in counted.items():
        known = reason if reason in SKIPPED else "for another reason"
        out[known] = out.get(known, 0) + n
    return out


def _name(models: Sequence[str], model: str) -> str:
    return f"model {models.index(model) + 1}" if model in models else "a model"


def _texts(entry: Mapping[str, Any]) -> dict[str, Any]:
    template = entry["template"]
    shape = None if template is None else veiled_template(template)
    return {"representative": veiled(entry["representative"]), "template": shape}


def _run(run: Mapping[str, Any], name: str) -> dict[str, Any]:
    kind = run["pictures"]["kind"]
    pictures = {**run["pictures"], "kind": kind if kind in ("none", "folder", "bytes", "download") else None}
    out = {key: run[key] for key in _RUN}
    out |= dict.fromkeys(("digest", "family", "scheduler", "prediction_type", "device", "dtype"))
    return {
        **out,
        "model": name,
        "reference_model": None if run["reference_model"] is None else HIDDEN,
        "controls": run["controls"],
        "screen": {**run["screen"], "threshold": None},
        "pictures": pictures,
        "notes": [*costs(pictures), CAVEAT],
    }


def _entry(entry: Mapping[str, Any], models: Sequence[str], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    by_model = {run["model"]: run for run in runs}
    members, family = entry["members"], entry["family"]
    out = {
        **{key: entry[key] for key in _ENTRY},
        **_texts(entry),
        "reason": None,
        "slots": [{"type": _slot_type(s["type"]), "distinct": s["distinct"], "values": []} for s in entry["slots"]],
        "triggers": [{**t, "words": [veiled(word) for word in t["words"]]} for t in entry["triggers"]],
        "family": {**family, "others": [_other(other) for other in family["others"]]},
        "members": {**members, "shown": [_member(m) for m in members["shown"]], "notes": []},
        "samples": {"total": entry["samples"]["total"], "shown": []},
        "verdicts": [_verdict(one, models, by_model) for one in entry["verdicts"]],
    }
    return {**out, "why": why(out)}


def _other(other: Mapping[str, Any]) -> dict[str, Any]:
    shape = veiled_template if other["kind"] == "template" else veiled
    return {**{key: other[key] for key in ("cluster_id", "fingerprint", "kind", "n_rows", "risk")},
            "text": shape(other["text"])}  # fmt: skip


def _member(member: Mapping[str, Any]) -> dict[str, Any]:
    caption = member["caption"]
    return {
        **{key: member[key] for key in ("similarity", "n_rows")},
        "caption": None if caption is None else veiled(caption),
        **dict.fromkeys(("path", "row", "id", "image")),
    }


def _verdict(verdict: Mapping[str, Any], models: Sequence[str], runs: Mapping[str, Any]) -> dict[str, Any]:
    name = _name(models, verdict["model"])
    out = {key: verdict[key] for key in _VERDICT}
    out |= {"model": name, "why": None, "nearest_image": None, "word_weights": []}
    return {**out, "says": says(out, runs.get(name))}


def _slot_type(name: str) -> str:
    """Types of the rules; what an NER model called something else is not told."""
    rules = slot_rules()
    known = {"text", *(table["name"] for table in rules["type"]), *(rules["labels"].values())}
    return name if name in known else "text"


def _overview(overview: Mapping[str, Any]) -> dict[str, Any]:
    files, domains = overview["files"], overview["domains"]
    return {
        "risk": overview["risk"],
        "sizes": overview["sizes"],
        "files": {
            "total": files["total"],
            "shown": [
                {"path": f"file {i}", "reason": None, **{key: one[key] for key in ("rows", "skipped", "in_findings")}}
                for i, one in enumerate(files["shown"], 1)
            ],
        },
        "domains": {
            "total": domains["total"],
            "shown": [
                {"domain": f"domain {i}", **{key: one[key] for key in ("captions", "in_findings")}}
                for i, one in enumerate(domains["shown"], 1)
            ],
        },
    }
