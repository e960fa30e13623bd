"""What a severity is worth: the precision to expect, given how many captions of a dataset were memorised.

Recall and false positives are those of labelled captions that the ranking did not see when it was fitted
(rules/risk.toml, docs/risk.md). Another dataset has others, so this is a guide and no promise.
"""

from __future__ import annotations

from typing import Any

from memaudit.report.words import percent
from memaudit.rules import risk_model


def expected_precision() -> list[dict[str, Any]]:
    """By severity and assumed share of memorised captions: {"severity", "assumed", "precision"}; a severity stands for
    itself and those above."""
    figures = dict(risk_model()["validation"])
    shares = figures.pop("assumed")
    return [
        {"severity": severity, "assumed": share, "precision": round(_precision(share, **rates), 4)}
        for severity, rates in figures.items()
        for share in shares
    ]


def _precision(share: float, recall: float, false: float) -> float:
    """Memorised among flagged captions, by Bayes' rule."""
    flagged = share * recall + (1 - share) * false
    return share * recall / flagged if flagged else 0.0


def note() -> str:
    """The same for `high` in words."""
    told = [e for e in expected_precision() if e["severity"] == "high"]
    rates = ", ".join(f"{percent(e['precision'])} if 1 in {1 / e['assumed']:,.0f} captions is memorised" for e in told)
    return f"Of captions at high or above, expect as memorised: {rates} (labelled LAION captions, docs/risk.md)."
