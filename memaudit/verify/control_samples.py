"""Pictures of control captions at tier 1: which are drawn, what they are compared with, what is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from memaudit.rules import verify_rules
from memaudit.verify.calibration import Controls
from memaudit.verify.outcome import about_controls
from memaudit.verify.trial import Wanted
from memaudit.verify.work import LOOKED_AT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.verify.prompts import Cluster, Prompt
    from memaudit.verify.screening import Screening
    from memaudit.verify.work import Work


def own_pictures(work: Work, size: int) -> tuple[np.ndarray, np.ndarray]:
    """One training picture of each control that has one: uint8 (g, size, size, 3), and which control it is of."""
    ids = [p.text_id for p in work.controls[: int(verify_rules()["sample"]["controls"])] if p.text_id is not None]
    found = work.source.one_each(ids, size)
    return found.pictures, np.array([ids.index(int(text)) for text in found.text_ids], np.int64)


def needed_controls(work: Work, clusters: Sequence[Cluster], seed: int) -> dict[bool, list[Wanted]]:
    """What is drawn of controls for these clusters: True for those with training pictures, False for those without,
    whose samples are compared with samples. Seeds of one prompt lie nearer to each other than to a training picture,
    so neither kind can be judged by the other's controls; only what is needed is drawn."""
    pictured = {work.pictured(cluster) for cluster in clusters}
    if True in pictured and not len(own_pictures(work, LOOKED_AT)[1]):
        pictured = {False}  # the stricter of the two, where controls have no pictures
    return {kind: wanted_controls(work.controls, kind, seed) for kind in sorted(pictured or {False})}


def wanted_controls(controls: Sequence[Prompt], with_pictures: bool, seed: int) -> list[Wanted]:
    """What is drawn of controls: one picture of each; without training pictures fewer controls, with first samples that
    stand for pictures and as many to compare in all."""
    rules = verify_rules()["sample"]
    n, first = int(rules["controls"]), int(rules["references"])
    if with_pictures:
        return [Wanted(p, i, seed) for i, p in enumerate(controls[:n])]
    each = 4
    return [Wanted(p, i, seed + s) for i, p in enumerate(controls[: n // each]) for s in range(first + each)]


def controls_of(
    work: Work, pictured: bool, wanted: Sequence[Wanted], pictures: Sequence[np.ndarray], size: int
) -> Controls:
    """Controls from their pictures, fitted; without training pictures the first samples of each are its gallery."""
    shape = (0, size, size, 3)
    stacked = np.stack(pictures) if pictures else np.zeros(shape, np.uint8)
    numbers = np.array([w.number for w in wanted], np.int64)
    if pictured:
        return Controls(stacked, numbers, *own_pictures(work, size))
    first = int(verify_rules()["sample"]["references"])
    place = np.array([i - int(np.argmax(numbers == n)) for i, n in enumerate(numbers)], np.int64)
    stands = place < first
    return Controls(stacked[~stands], numbers[~stands], stacked[stands], numbers[stands])


def told(
    work: Work, screened: Screening, controls: dict[bool, Controls], records: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What the manifest says of controls and training pictures."""
    own = controls[max(controls)].own(1)
    own = own[np.isfinite(own)]
    # Copies among controls by the limit that a cluster of one picture would have, but for its own plainness.
    limit = verify_rules()["copy"]["whole"] * float(np.median(own)) if len(own) else 0.0
    found, missing = (sum(r.get(name, 0) for r in records) for name in ("gallery", "missing"))
    pictures = {"kind": work.source.kind, "told": work.source.told, "found": found, "missing": missing}
    return {"controls": about_controls(screened, int((own < limit).sum()), len(own)), "pictures": pictures}
