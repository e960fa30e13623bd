"""Clusters -> risk, severity, rule and confidence. The model is a product of few factors, with its numbers in
rules/risk.toml.

In log-odds the factors add up, so a finding can say what each feature added:

    logit(risk) = base + fixed_bits + fixed_share + (rows | texts) + domain_focus + slot_entropy
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from memaudit.rules import risk_model
from memaudit.schemas import FEATURES, KINDS, SEVERITIES

EXACT, NEAR, TEMPLATE = range(len(KINDS))

REFERENCE = {"bits": 20.0, "share": 0.5, "support": 4.0}
"""The cluster that every feature adds 0 to: contributions are told relative to it."""


class Measures(NamedTuple):
    """What is known of each cluster, one array each."""

    kind: np.ndarray  # int8: EXACT, NEAR, TEMPLATE
    n_rows: np.ndarray
    n_texts: np.ndarray
    bits: np.ndarray  # fixed information of the representative
    share: np.ndarray  # mean over members: fixed share (template), similarity (near), 1 (exact)
    focus: np.ndarray  # share of the largest site; NaN where it is not known


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
    odds, _ = _log_odds(m, risk_model())
    return _scores(m, odds, risk_model())


def _scores(m: Measures, odds: dict[str, np.ndarray], model: dict[str, Any]) -> Scores:
    strength = sum(odds.values()) + _base(model)
    risk = (1 / (1 + np.exp(-strength))).astype(np.float32)
    severity = np.searchsorted([model["severity"][name] for name in SEVERITIES[1:-1]], risk, side="right").astype(
        np.int8
    )
    severity[risk < np.array([model["info"][name] for name in KINDS])[m.kind]] = -1
    return Scores(risk, severity)


def rank(m: Measures) -> Ranked:
    """`score`, and what findings say of it."""
    model = risk_model()
    odds, boilerplate = _log_odds(m, model)
    rule = np.array(["EX01", "NE01", "TE01"])[m.kind]
    rule[boilerplate] = "TE02"
    witnesses = np.where(m.kind == EXACT, m.n_rows, m.n_texts)
    confidence = np.searchsorted([model["confidence"]["medium"], model["confidence"]["high"]], witnesses, side="right")
    features = {name: odds[name].astype(np.float32) for name in FEATURES}
    return Ranked(*_scores(m, odds, model), rule, confidence.astype(np.int8), features)


def _support(m: Measures) -> np.ndarray:
    """Repeats of an exact or near cluster's rows; distinct captions of a template, whose rows may be one caption
    repeated."""
    return np.where(m.kind == TEMPLATE, m.n_texts, m.n_rows - 1).astype(np.float64)


def _base(model: dict[str, dict[str, float]]) -> float:
    w = model["model"]
    strength = (
        REFERENCE["bits"] * REFERENCE["share"] ** w["share_power"] * np.log2(REFERENCE["support"]) ** w["support_power"]
    )
    return float(np.log(strength / w["half"]))


def _log_odds(m: Measures, model: dict[str, dict[str, float]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    w, edge = model["model"], model["boilerplate"]
    odds = {name: np.zeros(len(m.kind)) for name in FEATURES}
    bits = np.clip(m.bits, 0.5, w["bits_cap"])
    odds["fixed_bits"] = np.log(bits / REFERENCE["bits"])
    odds["fixed_share"] = w["share_power"] * np.log(np.clip(m.share, 0.01, 1) / REFERENCE["share"])
    support = np.log2(np.maximum(_support(m), 1.1)) / np.log2(REFERENCE["support"])
    pull = w["support_power"] * np.log(support)
    odds["texts"], odds["rows"] = np.where(m.kind == TEMPLATE, pull, 0), np.where(m.kind == TEMPLATE, 0, pull)
    odds["domain_focus"] = np.log(1 - w["domain_weight"] * (1 - np.nan_to_num(m.focus, nan=w["unknown_focus"])))
    boilerplate = (m.kind == TEMPLATE) & ((m.share < edge["fixed_share"]) | (m.bits < edge["bits"]))
    odds["slot_entropy"] = np.where(boilerplate, np.log(edge["factor"]), 0)
    kind_factor = np.log([model["kinds"][name] for name in KINDS])[m.kind]
    odds["rows"] = odds["rows"] + kind_factor
    return odds, boilerplate
