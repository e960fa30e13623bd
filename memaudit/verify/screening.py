"""Tier 0 over all clusters: which are worth sampling, by this run's controls; and which are sampled all the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memaudit.rules import verify_rules
from memaudit.verify.trial import PATTERN, numbered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.progress import Progress
    from memaudit.verify.journal import Journal
    from memaudit.verify.models import Model
    from memaudit.verify.prompts import Cluster, Prompt

SCREEN_SEEDS = 1_000_000  # added to the run's seed: sampling must not see the noise that the screen chose by
PROMPTS_AT_ONCE = 64


@dataclass(frozen=True)
class Screening:
    """magnitude: by fingerprint, the largest over the cluster's prompts; rank: share of controls below it. passed,
    audited: fingerprints that go on, because of their magnitude, and by lot."""

    magnitude: dict[str, float]
    rank: dict[str, float]
    passed: list[str]
    audited: list[str]
    controls: int
    threshold: float | None

    @property
    def sampled(self) -> set[str]:
        return {*self.passed, *self.audited}


def everything(clusters: Sequence[Cluster]) -> Screening:
    """No screen: all clusters are sampled."""
    return Screening({}, {}, [c.fingerprint for c in clusters], [], 0, None)


def screen_clusters(
    model: Model,
    clusters: Sequence[Cluster],
    controls: Sequence[Prompt],
    seed: int,
    journal: Journal,
    progress: Progress,
) -> Screening:
    """Magnitudes of all prompts and controls, and what follows from them.

    A cluster passes when one of its k prompts exceeds the controls' quantile 1 - pass_share / k, so that clusters of
    many prompts pass by chance no more often than those of one.
    """
    from memaudit.verify.screen import threshold

    rules = verify_rules()["screen"]
    prompts = {c.fingerprint: [p.text for p, _ in numbered(c, PATTERN)] for c in clusters}
    texts = list(dict.fromkeys([*(p.text for p in controls), *(t for some in prompts.values() for t in some)]))
    seeds = [seed + SCREEN_SEEDS + i for i in range(int(rules["seeds"]))]
    known = _measured(model, texts, seeds, journal, progress)
    of_controls = np.array([known[p.text] for p in controls], np.float64)
    of_controls = of_controls[np.isfinite(of_controls)]
    largest = {name: max((known[t] for t in some), default=0.0) for name, some in prompts.items()}
    passed = [
        name for name, some in prompts.items()
        if not largest[name] <= threshold(of_controls, 1 - rules["pass_share"] / max(1, len(some)))
    ]  # fmt: skip
    rank = {name: float((of_controls < value).mean()) if len(of_controls) else 1.0 for name, value in largest.items()}
    return Screening(
        magnitude=largest,
        rank=rank,
        passed=passed,
        audited=_lot([c.fingerprint for c in clusters if c.fingerprint not in passed], seed),
        controls=len(of_controls),
        threshold=threshold(of_controls, 1 - rules["pass_share"]),
    )


def _measured(
    model: Model, texts: Sequence[str], seeds: Sequence[int], journal: Journal, progress: Progress
) -> dict[str, float]:
    """Magnitude by prompt; what the journal holds is not measured again."""
    from memaudit.verify.screen import magnitudes

    with progress.stage("screening prompts", len(texts)) as advance:
        known: dict[str, float] = {}
        for start in range(0, len(texts), PROMPTS_AT_ONCE):
            some = texts[start : start + PROMPTS_AT_ONCE]
            step = f"screen-{start}"
            found: dict[str, Any] | None = journal.read(step)
            if found is None:
                before = model.calls
                values = magnitudes(model, some, seeds).astype(float).tolist()
                found = {"magnitude": values, "unet_calls": model.calls - before}
                journal.write(step, found)
            known |= dict(zip(some, found["magnitude"], strict=True))
            advance(len(some))
    return known


def _lot(cleared: Sequence[str], seed: int) -> list[str]:
    """A random share of the cleared clusters, for the screen's miss rate."""
    rules = verify_rules()["screen"]
    n = min(len(cleared), max(int(rules["audit_least"]), round(rules["audit_share"] * len(cleared))))
    chosen = np.random.default_rng(seed).permutation(len(cleared))[:n]
    return [cleared[i] for i in sorted(chosen.tolist())]
