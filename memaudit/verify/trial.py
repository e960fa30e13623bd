"""One cluster on trial: pictures are drawn until the evidence suffices, and each is judged.

Everything here works on pictures; `draw` says where they come from (a model, or a folder that somebody filled
elsewhere). A trial's record is JSON, so that a run can be resumed and a reference model can be asked the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from memaudit.rules import verify_rules
from memaudit.verify.calibration import calibrate, judged
from memaudit.verify.descriptors import SSCD_SIDE, nearest, open_descriptor
from memaudit.verify.evidence import e_value, enough
from memaudit.verify.likeness import fitted, tiled_l2_matrix
from memaudit.verify.replication import originals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from memaudit.verify.calibration import Calibrated, Controls
    from memaudit.verify.descriptors import Descriptor
    from memaudit.verify.prompts import Cluster, Prompt
    from memaudit.verify.replication import Compared, Copies, Originals
    from memaudit.verify.settings import VerifyConfig

PATTERN = ("caption", "unseen")  # prompts whose samples count; triggers tell more, once a cluster replicates


class Wanted(NamedTuple):
    """One picture to draw: the prompt, its number among the cluster's of its kind, the seed."""

    prompt: Prompt
    number: int
    seed: int

    def file(self) -> str:
        return f"{self.prompt.kind}-{self.number}-{self.seed}.png"


class Drawing(Protocol):
    """Where pictures come from."""

    def __call__(self, wanted: Sequence[Wanted]) -> list[np.ndarray | None]:
        """uint8 (H, W, 3) for each, None where there is none (a folder that lacks it)."""
        ...


@dataclass(frozen=True)
class Terms:
    """What all trials of a run have in common. hypotheses: clusters that the false discovery rate counts; samples: at
    most so many of a cluster; size: px at which pictures are compared; seed: the first one; early_stop: whether to end
    when the evidence suffices; descriptor: file of a copy detector, None for the built-in descriptor; described: px at
    which pictures are described."""

    hypotheses: int
    samples: int
    size: int
    seed: int
    early_stop: bool = True
    descriptor: str | None = None
    described: int = 128

    @classmethod
    def of(cls, config: VerifyConfig, hypotheses: int, size: int, side: int) -> Terms:
        """size: px at which pictures are compared; side: px that there are to describe."""
        described = size if config.descriptor is None else min(side, SSCD_SIDE)
        return cls(hypotheses, config.samples, size, config.seed, descriptor=config.descriptor, described=described)


def schedule(cluster: Cluster, terms: Terms) -> list[Wanted]:
    """What is drawn of a cluster, in this order: every prompt at one seed, then at the next, up to `samples`, in whole
    rounds so that no prompt counts more than another."""
    prompts = numbered(cluster, PATTERN)
    if not prompts:
        return []
    rounds = max(1, -(-terms.samples // len(prompts)))
    return [Wanted(prompt, number, terms.seed + s) for s in range(rounds) for prompt, number in prompts]


def numbered(cluster: Cluster, kinds: Sequence[str]) -> list[tuple[Prompt, int]]:
    """Prompts of these kinds, each with its number among its kind."""
    out, seen = [], dict.fromkeys(kinds, 0)
    for prompt in cluster.prompts:
        if prompt.kind in seen:
            out.append((prompt, seen[prompt.kind]))
            seen[prompt.kind] += 1
    return out


@cache
def _descriptor(path: str | None) -> Descriptor:
    """Opened once a process."""
    return open_descriptor(path)


def stand_ins(drawn: Sequence[np.ndarray], names: Sequence[str], prompts: Sequence[int], size: int) -> Originals:
    """First samples of each prompt in place of training pictures: a model that draws the same again copies something.

    prompts: the prompt that each picture is of; regions are shared between prompts, not between seeds of one.
    """
    pictures = np.stack([fitted(picture, size) for picture in drawn])
    return originals(pictures, tuple(names), np.asarray(prompts))


class Trial:
    """The state of one cluster's trial: what was drawn, what copies."""

    def __init__(
        self, cluster: Cluster, training: np.ndarray, names: Sequence[str], controls: Controls, terms: Terms
    ) -> None:
        """training: the cluster's pictures, uint8 (m, S, S, 3), and their names; none: its first samples stand for
        them."""
        self.cluster, self.controls, self.terms = cluster, controls, terms
        self.training, self.names = training, tuple(names)
        self.samples: list[dict[str, Any]] = []
        self.pictures: list[np.ndarray] = []  # of the samples, at the size of comparison
        self.standard: Originals | None = None
        self.vectors = np.zeros((0, 1), np.float32)  # of the originals
        self.calibrated: Calibrated | None = None

    def run(self, draw: Drawing, keep: Callable[[Wanted, np.ndarray], str]) -> dict[str, Any]:
        """Draw until `enough`, or `samples`. keep: stores a picture and returns its path. Returns the record."""
        waiting = schedule(self.cluster, self.terms)
        if len(self.training):
            pictures = np.stack([fitted(picture, self.terms.size) for picture in self.training])
            self.compare_with(originals(pictures, self.names), list(self.training))
        else:
            waiting = self._first(waiting, draw, keep)
        n_prompts = len(numbered(self.cluster, PATTERN))
        least = int(verify_rules()["sample"]["round"])
        size = n_prompts * -(-least // n_prompts) if n_prompts else least
        for start in range(0, len(waiting), size):
            self._judge(waiting[start : start + size], draw, keep)
            if self.terms.early_stop and self.enough():
                break
        if self.terms.early_stop and self.enough():
            self._triggers(draw, keep)
        return self.record()

    def compare_with(self, standard: Originals, pictures: Sequence[np.ndarray]) -> None:
        """Set what samples are compared with, and calibrate it by the controls. pictures: the same, not yet fitted."""
        self.standard, self.vectors = standard, self._described(pictures)
        self.calibrated = calibrate(self.controls, standard, self.controls.own(len(standard)))

    def _first(self, waiting: list[Wanted], draw: Drawing, keep: Callable[[Wanted, np.ndarray], str]) -> list[Wanted]:
        """Draw stand-ins for training pictures, at seeds of their own; returns what is left to draw."""
        n = int(verify_rules()["sample"]["references"])
        prompts = numbered(self.cluster, PATTERN)
        wanted = [Wanted(p, i, self.terms.seed + s) for s in range(n) for p, i in prompts]
        drawn = [(w, picture) for w, picture in zip(wanted, draw(wanted), strict=True) if picture is not None]
        names = [keep(w, picture) for w, picture in drawn]
        numbers = [prompts.index((w.prompt, w.number)) for w, _ in drawn]
        pictures = [p for _, p in drawn]
        standard = stand_ins(pictures, names, numbers, self.terms.size) if drawn else _nothing(self.terms.size)
        self.compare_with(standard, pictures)
        for (w, _), name in zip(drawn, names, strict=True):
            self.samples.append(_entry(w, name, "unjudged"))
        return [w._replace(seed=w.seed + n) for w in waiting]

    def _judge(self, wanted: Sequence[Wanted], draw: Drawing, keep: Callable[[Wanted, np.ndarray], str]) -> None:
        drawn = [(w, picture) for w, picture in zip(wanted, draw(wanted), strict=True) if picture is not None]
        if not drawn:
            return
        assert self.standard is not None and self.calibrated is not None
        pictures = np.stack([fitted(picture, self.terms.size) for _, picture in drawn])
        compared, copied = judged(pictures, self.standard, self.calibrated.limits)
        likeness = self._likeness([picture for _, picture in drawn])
        copied = self._with_descriptor(copied, likeness)
        self.pictures += list(pictures)
        for i, (w, picture) in enumerate(drawn):
            entry = _entry(w, keep(w, picture), _said(copied, i))
            told: dict[str, bool | float] = {"whole": bool(copied.whole[i]), "region": bool(copied.region[i])}
            told |= {"similarity": float(likeness[i])} if len(likeness) else {}
            self.samples.append(entry | told | _measured(compared, i, self.standard))

    def _described(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        if not len(pictures):
            return np.zeros((0, 1), np.float32)
        at = np.stack([fitted(picture, self.terms.described) for picture in pictures])
        return _descriptor(self.terms.descriptor).describe(at)

    def _likeness(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """float32 (n,): inner product with the most like original; empty where there is none."""
        if not len(self.vectors):
            return np.zeros(0, np.float32)
        return np.asarray(nearest(self._described(pictures), self.vectors, 1)[0][:, 0])

    def _with_descriptor(self, copied: Copies, likeness: np.ndarray) -> Copies:
        """A copy detector that was asked for finds copies too; the built-in descriptor only measures."""
        if self.terms.descriptor is None or not len(likeness):
            return copied
        return copied._replace(whole=copied.whole | (likeness >= verify_rules()["copy"]["descriptor"]))

    def _triggers(self, draw: Drawing, keep: Callable[[Wanted, np.ndarray], str]) -> None:
        """The trigger words alone, where the captions copy."""
        n = int(verify_rules()["sample"]["triggers"])
        wanted = [Wanted(p, i, self.terms.seed + s) for s in range(n) for p, i in numbered(self.cluster, ("trigger",))]
        if wanted:
            self._judge(wanted, draw, keep)

    def counted(self) -> list[dict[str, Any]]:
        """Samples that count: judged ones of captions and unseen slot values."""
        return [s for s in self.samples if s["copied"] != "unjudged" and s["kind"] in PATTERN]

    def score(self) -> tuple[int, int]:
        """Copies, and samples that count."""
        counted = self.counted()
        return sum(s["copied"] != "none" for s in counted), len(counted)

    def evidence(self) -> float:
        """The e-value against "copies no more often than the null rate"."""
        return 1.0 if self.calibrated is None else e_value(*self.score(), self.calibrated.null)

    def enough(self) -> bool:
        """Whether e-BH rejects this hypothesis whatever the others do."""
        if self.calibrated is None:
            return False
        alpha, (hits, n) = verify_rules()["sample"]["alpha"], self.score()
        return enough(hits, n, self.calibrated.null, self.terms.hypotheses, alpha)

    def record(self) -> dict[str, Any]:
        """What is known of the cluster, in JSON types."""
        counted, calibrated, (hits, n) = self.counted(), self.calibrated, self.score()
        assert calibrated is not None
        return {
            "fingerprint": self.cluster.fingerprint,
            "status": "sampled" if counted else "not_run",
            "n": n,
            "hits": hits,
            "whole": sum(s["whole"] for s in counted),
            "region": sum(s["region"] for s in counted),
            "e_value": min(self.evidence(), 1e300),
            "limits": list(calibrated.limits),
            "null": calibrated.null,
            "controls": [calibrated.hits, calibrated.n],
            "gallery": len(self.training),
            "agreement": _agreement(self.pictures[: len(counted)], counted),
            "samples": self.samples,
        }


def _nothing(size: int) -> Originals:
    return originals(np.zeros((0, size, size, 3), np.uint8), ())


def _entry(w: Wanted, path: str, copied: str) -> dict[str, Any]:
    return {
        "kind": w.prompt.kind,
        "number": w.number,
        "prompt": w.prompt.text,
        "seed": w.seed,
        "path": path,
        "copied": copied,
    }


def _said(copied: Copies, i: int) -> str:
    """A region that several originals share explains the copy, else the whole picture does."""
    return "template" if copied.region[i] else "verbatim" if copied.whole[i] else "none"


def _measured(compared: Compared, i: int, with_: Originals) -> dict[str, Any]:
    nearest = int(compared.nearest[i])
    return {
        "distance": _finite(compared.whole[i]),
        "region_distance": _finite(compared.region[i]),
        "region_share": float(compared.share[i]),
        "nearest": with_.names[nearest] if nearest >= 0 else None,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _agreement(pictures: Sequence[np.ndarray], counted: Sequence[dict[str, Any]]) -> float | None:
    """Median tiled l2 between samples of one prompt at different seeds; None where no prompt has two."""
    keys = np.array([hash((s["kind"], s["number"])) for s in counted])
    if len(keys) < 2:
        return None
    distances = tiled_l2_matrix(np.stack(pictures), np.stack(pictures))
    pairs = (keys[:, None] == keys) & np.triu(np.ones(distances.shape, np.bool_), 1)
    return float(np.median(distances[pairs])) if pairs.any() else None
