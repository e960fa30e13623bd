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


SIGNALS = ("magnitude", "seed_agreement")
"""What the screen looks at: both come from the same U-Net calls (docs/verify.md has the ablation)."""


@dataclass(frozen=True)
class Screening:
    """value: by signal and fingerprint, the largest over the cluster's prompts; rank: share of controls below it.
    passed, audited: fingerprints that go on, because of a signal, and by lot. threshold: by signal, for one prompt."""

    value: dict[str, dict[str, float]]
    rank: dict[str, dict[str, float]]
    passed: list[str]
    audited: list[str]
    controls: int
    threshold: dict[str, float | None]

    @property
    def sampled(self) -> set[str]:
        return {*self.passed, *self.audited}

    def seen(self, fingerprint: str) -> dict[str, float]:
        """What was measured of a cluster: each signal and its rank among controls."""
        names = [name for name in self.value if fingerprint in self.value[name]]
        ranks = {f"{name}_rank": self.rank[name][fingerprint] for name in names}
        return {name: self.value[name][fingerprint] for name in names} | ranks


def everything(clusters: Sequence[Cluster]) -> Screening:
    """No screen: all clusters are sampled."""
    return Screening({}, {}, [c.fingerprint for c in clusters], [], 0, {})


def screen_clusters(
    model: Model,
    clusters: Sequence[Cluster],
    controls: Sequence[Prompt],
    seed: int,
    journal: Journal,
    progress: Progress,
) -> Screening:
    """The signals of all prompts and controls, and what follows from them.

    A cluster passes when one of its k prompts exceeds the controls' quantile 1 - share / k in one of the two signals,
    share being half of pass_share: so that neither two signals nor many prompts let more pass by chance. A value that
    is not a number passes, and without controls everything does.
    """
    rules = verify_rules()["screen"]
    prompts = {c.fingerprint: [p.text for p, _ in numbered(c, PATTERN)] for c in clusters}
    texts = list(dict.fromkeys([*(p.text for p in controls), *(t for some in prompts.values() for t in some)]))
    seeds = [seed + SCREEN_SEEDS + i for i in range(int(rules["seeds"]))]
    known = _measured(model, texts, seeds, journal, progress)
    share, value, rank, cut = rules["pass_share"] / len(SIGNALS), {}, {}, {}
    passed: set[str] = set()
    for name in SIGNALS:
        of_controls = np.array([known[name][p.text] for p in controls], np.float64)
        of_controls = of_controls[np.isfinite(of_controls)]
        value[name] = {c: _largest([known[name][t] for t in some]) for c, some in prompts.items()}
        rank[name] = {
            c: float((of_controls < x).mean()) if len(of_controls) and np.isfinite(x) else 1.0
            for c, x in value[name].items()
        }
        cuts = {k: _quantile(of_controls, 1 - share / k) for k in {1, *(len(some) or 1 for some in prompts.values())}}
        cut[name] = cuts[1] if np.isfinite(cuts[1]) else None
        passed |= {c for c, some in prompts.items() if not value[name][c] <= cuts[len(some) or 1]}
    cleared = [c for c in prompts if c not in passed]
    audited = _lot(cleared, seed)
    return Screening(value, rank, [c for c in prompts if c in passed], audited, len(of_controls), cut)


def _largest(values: Sequence[float]) -> float:
    """NaN where one is: what could not be measured is not cleared."""
    return float(np.max(values)) if values else 0.0


def _quantile(of_controls: np.ndarray, share: float) -> float:
    from memaudit.verify.screen import threshold

    return threshold(of_controls, share)


def _measured(
    model: Model, texts: Sequence[str], seeds: Sequence[int], journal: Journal, progress: Progress
) -> dict[str, dict[str, float]]:
    """By signal and prompt; what the journal holds is not measured again."""
    from memaudit.verify.screen import screen

    known: dict[str, dict[str, float]] = {name: {} for name in SIGNALS}
    with progress.stage("screening prompts", len(texts)) as advance:
        for start in range(0, len(texts), PROMPTS_AT_ONCE):
            some = texts[start : start + PROMPTS_AT_ONCE]
            step = f"screen-{start}"
            found: dict[str, Any] | None = journal.read(step)
            if found is None:
                before, seen = model.calls, screen(model, some, seeds, agreement=True)
                assert seen.agreement is not None
                values = (seen.magnitude.astype(float).tolist(), seen.agreement.astype(float).tolist())
                found = dict(zip(SIGNALS, values, strict=True)) | {"unet_calls": model.calls - before}
                journal.write(step, found)
            for name in SIGNALS:
                known[name] |= dict(zip(some, found[name], strict=True))
            advance(len(some))
    return known


def _lot(cleared: Sequence[str], seed: int) -> list[str]:
    """A random share of the cleared clusters, for the screen's miss rate."""
    rules = verify_rules()["screen"]
    n = min(len(cleared), max(int(rules["audit_least"]), round(rules["audit_share"] * len(cleared))))
    chosen = np.random.default_rng(seed).permutation(len(cleared))[:n]
    return [cleared[i] for i in sorted(chosen.tolist())]
