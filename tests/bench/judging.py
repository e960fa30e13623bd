"""Prompts judged by the code that `memaudit verify` runs, each as a cluster of its own: what benchmarks share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memaudit.store import Audit
from memaudit.verify import stages
from memaudit.verify.drawing import Shelf
from memaudit.verify.journal import Journal
from memaudit.verify.pictures import Gallery
from memaudit.verify.prompts import Cluster, Prompt
from memaudit.verify.verdict import kind_of, replicated
from memaudit.verify.work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from memaudit.progress import Progress
    from memaudit.verify.calibration import Controls
    from memaudit.verify.models import Model
    from memaudit.verify.settings import VerifyConfig

CONTROLS = 200  # prompts that calibrate
REPLICATED = ("verbatim", "template")


class Judged(NamedTuple):
    """verdicts: of each prompt; records: as `trials` makes them; calls: U-Net rows, those of earlier sessions included;
    seconds: of this session."""

    verdicts: list[str]
    records: list[dict[str, Any]]
    controls: dict[bool, Controls]
    shelf: Shelf
    calls: int
    seconds: float


class NoPictures:
    """A dataset whose pictures have rotted."""

    kind, told = "none", "no pictures"

    def gallery(self, text_ids: Sequence[int], size: int, most: int) -> Gallery:  # noqa: ARG002
        return Gallery(np.zeros((0, size, size, 3), np.uint8), [], np.zeros(0, np.uint32), 0)

    def one_each(self, text_ids: Sequence[int], size: int) -> Gallery:
        return self.gallery(text_ids, size, 0)


def work_of(captions: Sequence[str], controls: Sequence[str], source: Any) -> Work:
    """Captions as verify's own work, a cluster each: text ids are their positions, then those of the controls."""
    clusters = [
        Cluster(i, f"{i:016x}", "exact", 0.5, caption, None, (Prompt("caption", caption, i),))
        for i, caption in enumerate(captions)
    ]
    prompts = [Prompt("control", text, len(captions) + i) for i, text in enumerate(controls[:CONTROLS])]
    return Work(clusters, {i: [i] for i in range(len(captions))}, prompts, source)


def judge_prompts(model: Model, work: Work, config: VerifyConfig, folder: Path, key: str, progress: Progress) -> Judged:
    """Screen and sample as `run.verify` does. folder: pictures and journal go there; with the same key (of everything
    that decides the result) what an earlier session left is gone on with."""
    started = time.monotonic()
    audit = Audit(folder)
    journal, shelf = Journal(audit, key), Shelf(folder, key)
    screened = stages.screen(model, work, config, journal, progress)
    controls = stages.sample_controls(model, work, screened, config, journal, shelf, progress)
    records = stages.try_clusters(
        model, [str(model.device)], work, screened, controls, config, journal, shelf, progress
    )
    found = replicated(records, len(work.clusters)).tolist()
    verdicts = [
        kind_of(r) if copied else r["status"] if r["status"] != "sampled" else "not_replicated"
        for r, copied in zip(records, found, strict=True)
    ]
    seconds = time.monotonic() - started
    return Judged(verdicts, records, controls, shelf, journal.total("unet_calls"), seconds)
