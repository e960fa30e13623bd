"""What a card and a line of the table show: entries of the summary as words, shares and marks, every text made safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memaudit.report import escape
from memaudit.report.html import charts
from memaudit.report.html.safe import LINE, clip_end, clipped, pieces
from memaudit.report.overview import named_domains
from memaudit.report.verdict_words import (
    RELATION_WORDS,
    beside,
    by_prompt,
    copied,
    heaviest,
    interval,
    shades,
    signals,
    title,
)
from memaudit.report.words import FEATURE_TITLES, number, percent, places, plural, reason
from memaudit.schemas import FEATURES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from memaudit.report.html.pictures import Embedder, Gallery, Picture

VALUE, WORD, DOMAINS = 80, 60, 8  # characters of a slot's value, of a word, and domains of a card
STEPS = 9  # shades of a word
COPIED_WORDS = {"none": "no copy", "unjudged": "not judged"}


def card(entry: Mapping[str, Any], gallery: Gallery, embed: Embedder) -> dict[str, Any]:
    """One finding in full."""
    counted = [plural(entry["n_rows"], "row", False)]
    counted += [plural(entry["n_texts"], "caption", False)] if entry["kind"] != "exact" else []
    return {
        **{key: entry[key] for key in ("fingerprint", "short", "cluster_id", "kind", "severity", "suppressed")},
        "risk": f"{entry['risk']:.2f}",
        "rule": entry["rule"],
        "pieces": _pieces(entry),
        "example": clipped(entry["representative"]) if entry["template"] is not None else "",
        "facts": [*counted, *places(entry), f"confidence {entry['confidence']}"],
        "raised": entry["severity_by_text"] if entry["severity"] != entry["severity_by_text"] else "",
        "reason": clipped(entry["reason"], 300) if entry["suppressed"] and entry["reason"] else "",
        "verdict": entry["verdict"],
        "says": escape.terminal(entry["verdicts"][0]["says"], 300) if entry["verdicts"] else "",
        "verdicts": [verdict(one) for one in entry["verdicts"]],
        "pictures": pictures(entry, gallery, embed),
        "features": features(entry),
        "slots": [_slot(i, slot) for i, slot in enumerate(entry["slots"], 1)],
        "triggers": [_trigger(trigger) for trigger in entry["triggers"]],
        "family": _family(entry["family"]),
        "members": members(entry["members"]),
    }


def _pieces(entry: Mapping[str, Any]) -> list[dict[str, str]]:
    if entry["template"] is None:
        return [{"kind": "word", "text": clipped(entry["representative"]), "says": ""}]
    return pieces(entry["template"], entry["slots"])


def features(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each feature added or took, the largest first."""
    added = {name: value for name in FEATURES if (value := entry["features"].get(name))}
    most = max(map(abs, added.values()), default=1.0)
    return [
        {
            "name": FEATURE_TITLES[name],
            "added": f"{value:+.2f}".replace("-", "−"),
            "bar": charts.feature(value, most, f"{FEATURE_TITLES[name]}: {value:+.2f}"),
            "reason": reason(name, entry),
        }
        for name, value in sorted(added.items(), key=lambda item: -item[1])
    ]


def _slot(at: int, slot: Mapping[str, Any]) -> dict[str, Any]:
    most = max((v["count"] for v in slot["values"]), default=1)
    values = [
        {
            "value": clipped(v["value"], VALUE),
            "count": number(v["count"]),
            "step": max(1, round(5 * v["count"] / most)),
        }
        for v in slot["values"]
    ]
    return {
        "at": at,
        "type": escape.terminal(slot["type"], 20),
        "distinct": plural(slot["distinct"], "different value", False),
        "held": values,
        "more": slot["distinct"] - len(values) if values else 0,
    }


def _trigger(trigger: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "words": clipped(" ".join(trigger["words"]), 2 * WORD),
        "texts": number(trigger["n_texts"]),
        "purity": percent(trigger["purity"]),
        "coverage": percent(trigger["coverage"]),
        "bar": charts.share(trigger["purity"], f"purity {percent(trigger['purity'])}", width=60),
    }


def _family(family: Mapping[str, Any]) -> dict[str, Any]:
    others = [
        {
            "fingerprint": other["fingerprint"],
            "kind": other["kind"],
            "risk": f"{other['risk']:.2f}",
            "rows": plural(other["n_rows"], "row"),
            "pieces": pieces(other["text"], [], LINE)
            if other["kind"] == "template"
            else [{"kind": "word", "text": clipped(other["text"], LINE), "says": ""}],
        }
        for other in family["others"]
    ]
    return {"size": family["size"], "others": others, "more": family["size"] - 1 - len(others)}


def members(found: Mapping[str, Any]) -> dict[str, Any]:
    """Members grouped by caption, since rows of an exact cluster all have one."""
    groups: list[dict[str, Any]] = []
    for member in found["shown"]:
        caption = None if member["caption"] is None else clipped(member["caption"])
        if not groups or groups[-1]["caption"] != caption:
            groups.append({"caption": caption, "rows": []})
        groups[-1]["rows"].append(_where(member))
    domains = named_domains(member["image"] for member in found["shown"])
    told = [f"{escape.terminal(domain, WORD)} ({number(n)})" for domain, n in domains[:DOMAINS]]
    return {
        "heading": f"{number(len(found['shown']))} of {plural(found['total'], found['unit'], False)}",
        "groups": groups,
        "domains": told + [f"{number(len(domains) - DOMAINS)} more"] * (len(domains) > DOMAINS),
        "notes": [escape.terminal(note, 300) for note in found["notes"]],
    }


def _where(member: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "count": f"× {number(member['n_rows'])}" if member["n_rows"] > 1 else "",
        "similar": f"{member['similarity']:.2f} alike" if (member["similarity"] or 0) < 1 else "",
        "path": "" if member["path"] is None else f"{clip_end(member['path'], 60)} row {number(member['row'])}",
        "id": "" if not member["id"] else escape.terminal(member["id"], 80),
        "image": "" if not member["image"] else clip_end(member["image"], 90),
    }


def verdict(one: Mapping[str, Any]) -> dict[str, Any]:
    """What one model did."""
    measured = one["rate"] is not None and one["n_samples"]
    weights = shades(one)
    return {
        "verdict": one["verdict"],
        "title": title(one["verdict"]),
        "says": escape.terminal(one["says"], 600),
        "model": clip_end(one["model"]),
        "relation": RELATION_WORDS.get(one["relation"], ""),
        "replicated": one["replicated"],
        "copied": copied(one) if measured else "",
        "rate": percent(one["rate"]) if measured else "",
        "interval": interval(one["low"], one["high"]) if measured else "",
        "beside": beside(one, None),
        "chart": charts.interval(one) if measured else "",
        "signals": signals(one),
        "prompts": by_prompt(one),
        "words": [
            {"word": escape.terminal(word, WORD), "step": round(STEPS * share), "share": percent(share)}
            for word, share in weights
        ],
        "heaviest": [{"word": escape.terminal(word, WORD), "share": share} for word, share in heaviest(one)],
        "similarity": "" if one["best_similarity"] is None else f"{one['best_similarity']:.2f}",
        "nearest": "" if one["nearest_image"] is None else clip_end(one["nearest_image"]),
        "why": escape.terminal(one["why"], 600) if one["why"] and one["why"] not in one["says"] else "",
        "calls": plural(one["unet_calls"], "U-Net call", False) if one["unet_calls"] else "",
    }


def pictures(entry: Mapping[str, Any], gallery: Gallery, embed: Embedder) -> dict[str, Any]:
    """Generated pictures, each beside its nearest training picture where that is there, by prompt."""
    groups: list[dict[str, Any]] = []
    for sample in entry["samples"]["shown"]:
        drawn = gallery.generated.get(sample["path"])
        near = gallery.training.get((entry["fingerprint"], sample["nearest_image"] or ""))
        one = {
            "copied": sample["copied"],
            "says": COPIED_WORDS.get(sample["copied"], f"{escape.terminal(sample['copied'], 20)} copy"),
            "seed": sample["seed"],
            "distance": "" if sample["distance"] is None else f"{sample['distance']:.2f}",
            "nearest": "" if sample["nearest_image"] is None else clip_end(sample["nearest_image"], 40),
            "path": clip_end(sample["path"], 90),
            **_embedded("drawn", drawn, embed),
            **_embedded("training", near, embed),
        }
        key = (sample["model"], sample["prompt_kind"], sample["prompt"])
        if not groups or groups[-1]["key"] != key:
            prompt = clipped(sample["prompt"], 400)
            groups.append({"key": key, "kind": sample["prompt_kind"], "prompt": prompt, "shown": []})
        groups[-1]["shown"].append(one)
    n = len(entry["samples"]["shown"])
    return {"total": entry["samples"]["total"], "n": n, "groups": groups}


def _embedded(name: str, picture: Picture | None, embed: Embedder) -> dict[str, Any]:
    uri = embed.uri(picture)
    known = picture is not None and uri
    return {
        name: uri,
        f"{name}_small": bool(known and picture and 0 < picture.size <= 96),
        f"{name}_outline": picture.outline if known and picture else "",
        f"{name}_whole": bool(known and picture and picture.whole),
    }


def lines(rows: Sequence[Mapping[str, Any]], cards: Collection[str]) -> list[list[Any]]:
    """Rows of the table as arrays, in the order that report.js names; `cards`: fingerprints that have one."""
    return [
        [
            *(row["fingerprint"], row["kind"], row["severity"], row["risk"]),
            clipped(row["template"] if row["template"] is not None else row["representative"], LINE),
            *(row["n_rows"], row["n_texts"], row["n_images"], row["n_domains"], row["verdict"], row["rate"]),
            *(int(row["suppressed"]), int(row["head"]), row["variants"], row["rule"], row["cluster_id"]),
            int(row["fingerprint"] in cards),
        ]
        for row in rows
    ]
