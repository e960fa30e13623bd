"""Sampling elsewhere: a plan of prompts and seeds out, pictures in. Neither needs a model, or torch, here."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from memaudit.errors import BadInput
from memaudit.rules import verify_rules
from memaudit.verify import outcome
from memaudit.verify.control_samples import controls_of, needed_controls, told
from memaudit.verify.descriptors import open_descriptor
from memaudit.verify.drawing import Shelf
from memaudit.verify.likeness import fitted
from memaudit.verify.plan import PlanRow, read_generated, write_plan
from memaudit.verify.replication import COMPARED, compared_size
from memaudit.verify.screening import everything
from memaudit.verify.trial import Terms, Wanted, numbered, schedule
from memaudit.verify.trials import Court, case_of, try_case
from memaudit.verify.work import work_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from memaudit.progress import Progress
    from memaudit.store import Audit
    from memaudit.verify.calibration import Controls
    from memaudit.verify.prompts import Cluster
    from memaudit.verify.settings import VerifyConfig
    from memaudit.verify.work import Work


NOT_THERE = "the folder has no picture of it: were plan and judging given the same --seed, --samples and --top?"
LEAST = 16  # px of a side: in smaller pictures nothing can be told apart


class Place(NamedTuple):
    """What tells a picture of a plan from the others."""

    fingerprint: str
    kind: str
    prompt: str
    seed: int


def plan_of(audit: Audit, config: VerifyConfig, path: Path, progress: Progress) -> int:
    """Write the plan of a verification: all that may be looked at, since nobody stops early there. Returns its rows."""
    work = work_of(audit, config, progress)
    wanted = (w for some in needed_controls(work, work.clusters, config.seed).values() for w in some)
    rows = [_row("", w, config) for w in dict.fromkeys(wanted)]
    for cluster in work.clusters:
        rows += [_row(cluster.fingerprint, w, config) for w in planned(cluster, config, work.pictured(cluster))]
    write_plan(path, rows)
    return len(rows)


def planned(cluster: Cluster, config: VerifyConfig, pictured: bool) -> list[Wanted]:
    """Every picture that a trial of this cluster may ask for. Without training pictures the first samples come on top,
    and the others have later seeds."""
    rules = verify_rules()["sample"]
    first = 0 if pictured else int(rules["references"])
    terms = Terms(1, config.samples, COMPARED, config.seed)
    triggers = numbered(cluster, ("trigger",))
    return [
        *(Wanted(p, i, config.seed + s) for s in range(first) for p, i in numbered(cluster, ("caption", "unseen"))),
        *(w._replace(seed=w.seed + first) for w in schedule(cluster, terms)),
        *(Wanted(p, i, config.seed + s) for s in range(int(rules["triggers"])) for p, i in triggers),
    ]


def _row(fingerprint: str, w: Wanted, config: VerifyConfig) -> PlanRow:
    name = "-".join([*filter(None, [fingerprint]), w.file()])  # controls have no fingerprint
    return PlanRow(fingerprint, w.prompt.kind, w.prompt.text, w.seed, name, config.steps, config.guidance)


class FromFolder:
    """Pictures that were drawn elsewhere, of one cluster ("" for controls)."""

    def __init__(self, pictures: dict[Place, np.ndarray], fingerprint: str) -> None:
        self.pictures, self.fingerprint = pictures, fingerprint

    def __call__(self, wanted: Sequence[Wanted]) -> list[np.ndarray | None]:
        """See `trial.Drawing`."""
        return [self.pictures.get(Place(self.fingerprint, w.prompt.kind, w.prompt.text, w.seed)) for w in wanted]


def judge_generated(audit: Audit, config: VerifyConfig, folder: Path, progress: Progress) -> dict[str, Any]:
    """Judge the pictures of a folder that were made from a plan of this audit; returns the run as the manifest keeps
    it.

    A cluster without pictures is `not_run`. Raises BadInput where the folder holds no picture of the plan's, or the
    plan is of another audit.
    """
    started = time.monotonic()
    descriptor = open_descriptor(config.descriptor, warn=progress.note)
    with progress.stage("reading pictures") as advance:
        pictures, reasons = _read(folder, advance)
    work = work_of(audit, config, progress)
    missing = sum(reasons.values())
    if not pictures or not {p.fingerprint for p in pictures} & {*work.names()}:
        why = f"{missing} of its rows have no usable picture" if missing else "its plan names none of these clusters"
        raise BadInput(f"{folder} holds no picture to judge", why, f"memaudit verify {audit.folder} --plan plan.csv")
    if missing:
        progress.note(f"{missing:,} pictures of the plan are missing: {_shown(reasons)}")
    key = config.digest([c.fingerprint for c in work.clusters], _content(pictures))
    if (done := outcome.stored(audit, key)) is not None:
        progress.note("this verification is done already")
        return done
    side = min(min(p.shape[:2]) for p in pictures.values())
    terms = Terms.of(config, len(work.clusters), compared_size(side), side)
    controls = _controls(work, pictures, config.seed, terms.size)
    court = Court(controls, terms, Shelf(audit.folder, key), None)
    records = []
    with progress.stage("judging clusters", len(work.clusters)) as advance:
        for cluster in work.clusters:
            record = try_case(case_of(work, cluster, terms.described), court, FromFolder(pictures, cluster.fingerprint))
            if record["status"] == "not_run":
                record["why"] = NOT_THERE
            records.append(record)
            advance(1)
    screened = everything(work.clusters)
    run = outcome.about_run(key, config, _about(config, side), work.clusters, screened, records)
    run |= told(work, screened, controls, records)
    run["descriptor"] = {"name": descriptor.name, "digest": descriptor.digest}
    run |= {"unet_calls": 0, "seconds": round(time.monotonic() - started, 3)}
    outcome.store_run(audit, run, records)
    return run


def _controls(work: Work, pictures: dict[Place, np.ndarray], seed: int, size: int) -> dict[bool, Controls]:
    """Controls from what the folder has of them."""
    out = {}
    for pictured, wanted in needed_controls(work, work.clusters, seed).items():
        drawn = [(w, p) for w, p in zip(wanted, FromFolder(pictures, "")(wanted), strict=True) if p is not None]
        fits = [fitted(p, size) for _, p in drawn]
        out[pictured] = controls_of(work, pictured, [w for w, _ in drawn], fits, size)
    return out


def _about(config: VerifyConfig, size: int) -> dict[str, Any]:
    """What is known of a model that was not here."""
    return {
        "model": config.model,
        "digest": None,
        "family": None,
        "scheduler": None,
        "prediction_type": None,
        "steps": config.steps or 0,
        "guidance": config.guidance or 0.0,
        "size": size,
        "device": "elsewhere",
        "dtype": None,
    }


def _read(folder: Path, advance: Any) -> tuple[dict[Place, np.ndarray], Counter[str]]:
    """Pictures by place, and why others are missing."""
    pictures, reasons = dict[Place, Any](), Counter[str]()
    for row, found in read_generated(folder):
        if isinstance(found, str):
            reasons[found] += 1
        elif min(found.shape[:2]) < LEAST:
            reasons[f"smaller than {LEAST} px"] += 1
        else:
            pictures[Place(row.fingerprint, row.kind, row.prompt, row.seed)] = found
        advance(1)
    return pictures, reasons


def _content(pictures: dict[Place, np.ndarray]) -> str:
    """A digest of what is judged."""
    total = hashlib.sha256()
    for place in sorted(pictures):
        total.update(repr((place, pictures[place].shape)).encode())
        total.update(pictures[place].tobytes())
    return total.hexdigest()


def _shown(reasons: Counter[str]) -> str:
    return ", ".join(f"{n:,} {why}" for why, n in reasons.most_common(3))
