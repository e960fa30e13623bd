"""Controls at tier 1: what the samples of harmless captions look like beside pictures, so that a copy stands out.

Two questions, both asked of pictures that this run's model drew for captions in no cluster. *Own*: how near comes a
sample to the pictures of its own caption, in a gallery as large as the cluster's? *Other*: how near does it come to
the cluster's own pictures, with which it has nothing to do?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from memaudit.rules import verify_rules
from memaudit.verify.evidence import fixed_upper_limit
from memaudit.verify.likeness import tiled_l2_matrix
from memaudit.verify.replication import Compared, Copies, Limits, Originals, compare, copies, limits

SHUFFLE = 2312  # seed of which controls' pictures fill a gallery


@dataclass(frozen=True)
class Controls:
    """Samples of control captions and the pictures of these captions.

    samples: uint8 (n, S, S, 3); of: int (n,), the control that a sample is of. gallery: uint8 (g, S, S, 3); owner: int
    (g,). Without training pictures the gallery is each control's first samples.
    """

    samples: np.ndarray
    of: np.ndarray
    gallery: np.ndarray
    owner: np.ndarray

    @cached_property
    def _distances(self) -> np.ndarray:
        """The same for every cluster."""
        return tiled_l2_matrix(self.samples, self.gallery)

    def own(self, size: int) -> np.ndarray:
        """float32 (n,): tiled l2 of each sample to the nearest picture of a gallery of `size`: its own pictures, and
        pictures of other controls drawn at random; NaN where a control has none of its own."""
        if not len(self.gallery) or not len(self.samples):
            return np.full(len(self.samples), np.nan, np.float32)
        rng, out = np.random.default_rng(SHUFFLE), np.full(len(self.samples), np.nan, np.float32)
        for i, control in enumerate(self.of.tolist()):
            mine = np.flatnonzero(self.owner == control)
            others = rng.permutation(np.flatnonzero(self.owner != control))[: max(0, size - len(mine))]
            if len(mine):
                out[i] = self._distances[i, np.concatenate([mine[:size], others])].min()
        return out


class Calibrated(NamedTuple):
    """What counts as a copy of one cluster's pictures, and how often it happens to controls.

    hits, n: control samples that count as copies, of so many, for the worse of the two questions. null: the rate that a
    cluster's samples must exceed.
    """

    limits: Limits
    hits: int
    n: int
    null: float

    @property
    def rate(self) -> float:
        return self.hits / self.n if self.n else float("nan")


def calibrate(controls: Controls, of_cluster: Originals, own: np.ndarray) -> Calibrated:
    """Limits for one cluster. own: `Controls.own` for a gallery as large as the cluster's.

    The null is the largest of the claim and the upper 95 % limits of the two control rates (Clopper and Pearson: the
    number of controls is fixed beforehand). The limits follow the controls' medians, on which single copies among the
    controls have no hold, so the same controls may judge them. Without controls only Carlini's distance counts.
    """
    rules = verify_rules()
    claim = rules["sample"]["claim"]
    other = compare(controls.samples, of_cluster)
    own = own[np.isfinite(own)]
    if not len(other.whole):
        return Calibrated(Limits(rules["copy"]["strict"], 0.0), 0, 0, claim)
    limit = limits(own, other)
    counts = [(int((own < limit.whole).sum()), len(own)), (int(copies(other, limit).any.sum()), len(other.whole))]
    hits, n = max((c for c in counts if c[1]), key=lambda c: c[0] / c[1])
    null = max(claim, *(fixed_upper_limit(h, m, rules["sample"]["alpha"]) for h, m in counts if m))
    return Calibrated(limit, hits, n, min(null, 0.99))


def judged(samples: np.ndarray, with_: Originals, limit: Limits) -> tuple[Compared, Copies]:
    """Samples compared, and which of them copy."""
    compared = compare(samples, with_)
    return compared, copies(compared, limit)
