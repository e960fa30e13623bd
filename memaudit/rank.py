"""Clusters -> risk, severity, rule and confidence. The model is a sum of few features, with its weights in
rules/risk.toml.

In log-odds the features add up, so a finding can say what each of them added:

    logit(risk) = base + fixed_bits + fixed_share + (rows | texts) + domain_focus + shapes + boilerplate + images
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from memaudit.rules import risk_model
from memaudit.schemas import FEATURES, KINDS, SEVERITIES

EXACT, NEAR, TEMPLATE = range(len(KINDS))
CRITICAL = SEVERITIES.index("critical")

REFERENCE = {"bits": 20.0, "share": 0.5, "support": 4.0}
"""The cluster that every feature adds 0 to: contributions are told relative to it."""

TERMS = ("bits", "share", "support", "domains", "boilerplate", "shapes", "near", "exact")
"""What the weights of rules/risk.toml multiply, in the order of `terms`."""


class Measures(NamedTuple):
    """What is known of each cluster, one array each."""

    kind: np.ndarray  # int8: EXACT, NEAR, TEMPLATE
    n_rows: np.ndarray
    n_texts: np.ndarray
    bits: np.ndarray  # fixed information of the representative
    share: np.ndarray  # mean over members: fixed share (template), similarity (near), 1 (exact)
    focus: np.ndarray  # share of the largest site; NaN where it is not known
    furniture: np.ndarray  # share of the fixed words that are about the page, the file or the offer
    shapes: np.ndarray  # share of the fixed words that are numbers, sizes, codes
    style: np.ndarray  # int8: which table of furniture words holds most of them, -1 where they are fewer than half
    n_pictured: np.ndarray  # rows with a picture
    n_images: np.ndarray  # distinct ones among them
    n_placeholders: np.ndarray  # rows whose picture is a placeholder
    n_shown: np.ndarray  # texts with a picture that is no placeholder
    n_repeating: np.ndarray  # those of them whose pictures, most of them, repeat in the cluster
    hashed: bool  # whether pictures are told apart by hashes of what they show, not by references


class Ranked(NamedTuple):
    """By cluster: risk float32 in [0, 1]; severity int8 (index in SEVERITIES, -1 below info); rule codes; confidence
    int8 (0..2); features: log-odds by name of `FEATURES`."""

    risk: np.ndarray
    severity: np.ndarray
    rule: np.ndarray
    confidence: np.ndarray
    features: dict[str, np.ndarray]


class Scores(NamedTuple):
    """By cluster: risk float32 in [0, 1]; severity int8 (index in SEVERITIES, -1 below info)."""

    risk: np.ndarray
    severity: np.ndarray


def score(m: Measures) -> Scores:
    """Risk by the model of rules/risk.toml, and nothing else: for all clusters, of which few become findings. Text
    alone never yields `critical`."""
    return _scores(m, _log_odds(m, risk_model()), risk_model())


def rank(m: Measures) -> Ranked:
    """`score`, and what findings say of it."""
    model = risk_model()
    odds = _log_odds(m, model)
    witnesses = np.where(m.kind == EXACT, m.n_rows, m.n_texts)
    confidence = np.searchsorted([model["confidence"]["medium"], model["confidence"]["high"]], witnesses, side="right")
    features = {name: odds[name].astype(np.float32) for name in FEATURES}
    return Ranked(*_scores(m, odds, model), _rules(m, model), confidence.astype(np.int8), features)


def terms(m: Measures) -> np.ndarray:
    """float64 (clusters, len(TERMS)): what the weights multiply."""
    model = risk_model()["model"]
    support = np.log2(np.maximum(_support(m), 1.1)) / np.log2(REFERENCE["support"])
    columns = (
        np.log(np.clip(m.bits, 0.5, model["bits_cap"]) / REFERENCE["bits"]),
        np.log(np.clip(m.share, 0.01, 1) / REFERENCE["share"]),
        np.log(support),
        _domains(m, model["unknown_domain"]),
        m.furniture,
        m.shapes,
        m.kind == NEAR,
        m.kind == EXACT,
    )
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)


def _domains(m: Measures, unknown: float) -> np.ndarray:
    """How far one site dominates. The words of a page stand on its own site anyway: there it is no evidence."""
    above = np.nan_to_num(m.focus, nan=unknown) - unknown
    out: np.ndarray = np.where(above > 0, above * (1 - m.furniture), above)
    return out


def repeated(m: Measures) -> tuple[np.ndarray, np.ndarray]:
    """(share of what repeats a picture of the cluster, less the first, in [0, 1], NaN where fewer than two have one;
    how many rows repeat the picture of another). Rows are asked, but of a template its captions: the rows of one do not
    speak for the others. Placeholders count as no picture."""
    known = (m.n_pictured - m.n_placeholders).astype(np.float64)
    again = known - (m.n_images - (m.n_placeholders > 0))
    by_text = m.kind == TEMPLATE
    asked = np.where(by_text, m.n_shown, known)
    yes = np.where(by_text, np.maximum(m.n_repeating - 1, 0), again)
    share = np.divide(yes, asked - 1, out=np.full(len(known), np.nan), where=asked > 1)
    return share, again


def _support(m: Measures) -> np.ndarray:
    """Repeats of an exact or near cluster's rows; distinct captions of a template, whose rows may be one caption
    repeated."""
    return np.where(m.kind == TEMPLATE, m.n_texts, m.n_rows - 1).astype(np.float64)


def _log_odds(m: Measures, model: dict[str, Any]) -> dict[str, np.ndarray]:
    added = dict(zip(TERMS, (terms(m) * [model["weights"][name] for name in TERMS]).T, strict=True))
    odds = {name: np.zeros(len(m.kind)) for name in FEATURES}
    odds["fixed_bits"], odds["fixed_share"] = added["bits"], added["share"]
    odds["texts"] = np.where(m.kind == TEMPLATE, added["support"], 0)
    odds["rows"] = np.where(m.kind == TEMPLATE, 0, added["support"]) + added["near"] + added["exact"]
    odds["domain_focus"] = added["domains"]
    odds["boilerplate"], odds["shapes"] = added["boilerplate"], added["shapes"]
    odds["images"] = _pictures(m, model["pictures"])
    return odds


def _pictures(m: Measures, w: dict[str, float]) -> np.ndarray:
    """The same picture under many captions is the worst case; different ones under one caption are harmless."""
    share, again = repeated(m)
    pull = w["same"] * share * np.minimum(np.log2(np.maximum(again, 0) + 1) / np.log2(w["enough"] + 1), 1)
    pull += w["distinct"] * (1 - share) * m.hashed
    return np.where(_is_placeholder(m), w["placeholder"], np.nan_to_num(pull))


def _is_placeholder(m: Measures) -> np.ndarray:
    mostly: np.ndarray = (m.n_placeholders > 0) & (2 * m.n_placeholders >= m.n_pictured)
    return mostly


def _scores(m: Measures, odds: dict[str, np.ndarray], model: dict[str, Any]) -> Scores:
    risk = (1 / (1 + np.exp(-(sum(odds.values()) + model["model"]["base"])))).astype(np.float32)
    severity = np.searchsorted([model["severity"][name] for name in SEVERITIES[1:]], risk, side="right").astype(np.int8)
    seen = np.nan_to_num(repeated(m)[0]) >= model["pictures"]["critical"]
    severity = np.where(seen, severity, np.minimum(severity, CRITICAL - 1)).astype(np.int8)
    severity[risk < np.array([model["info"][name] for name in KINDS])[m.kind]] = -1
    return Scores(risk, severity)


def _rules(m: Measures, model: dict[str, Any]) -> np.ndarray:
    """Codes of rules/catalogue.toml, the most special last."""
    edge = model["boilerplate"]
    rule: np.ndarray = np.array(["EX01", "NE01", "TE01"])[m.kind]
    around = (m.kind == TEMPLATE) & ((m.share < edge["fixed_share"]) | (m.bits < edge["bits"]))
    rule[around] = "TE02"
    for table, code in enumerate(model["styles"]):
        rule[(m.kind == TEMPLATE) & (m.style == table)] = code
    rule[_is_placeholder(m)] = "PI01"
    return rule
