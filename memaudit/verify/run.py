"""The verification on one page: ranked clusters -> screen -> samples of the model -> verdicts in the audit folder.

Every step leaves a record in the journal, so that a run that was killed goes on where it stopped; frames and manifest
are written at the end, all verdicts of a model at once.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

from memaudit.progress import Progress, Silent
from memaudit.verify import outcome, stages
from memaudit.verify.control_samples import told
from memaudit.verify.descriptors import open_descriptor
from memaudit.verify.devices import device_names
from memaudit.verify.drawing import Shelf
from memaudit.verify.journal import Journal
from memaudit.verify.models import load, look
from memaudit.verify.work import work_of

if TYPE_CHECKING:
    from memaudit.store import Audit
    from memaudit.verify.settings import VerifyConfig


def verify(audit: Audit, config: VerifyConfig, progress: Progress | None = None) -> dict[str, Any]:
    """Screen and sample a model for the top clusters of an audit; returns the run as the manifest keeps it.

    The same audit, model and configuration continue a run that was interrupted or ended with verdicts `error`, or
    return the finished one. Raises BadInput for an audit without clusters or a model that cannot be used, UsageError
    for a device that is not there, NoSpace for a full disk; what fails for one cluster alone is its verdict `error`.
    """
    progress, started = progress or Silent(), time.monotonic()
    descriptor = open_descriptor(config.descriptor, warn=progress.note)  # refused now rather than after the work
    work = work_of(audit, config, progress)
    devices = device_names(config.device)
    if config.reference_model is not None:
        look(config.reference_model, devices[0], config.dtype)  # refused now too
    with progress.stage("loading the model"):
        model = load(config.model, devices[0], config.dtype, steps=config.steps, guidance=config.guidance)
    key = config.digest(model.digest, [(c.fingerprint, [p.text for p in c.prompts]) for c in work.clusters])
    if (done := outcome.stored(audit, key)) is not None:
        progress.note("this verification is done already")
        return done
    journal, shelf = Journal(audit, key), Shelf(audit.folder, key)
    screened = stages.screen(model, work, config, journal, progress)
    controls = stages.sample_controls(model, work, screened, config, journal, shelf, progress)
    records = stages.try_clusters(model, devices, work, screened, controls, config, journal, shelf, progress)
    records = stages.ask_why(model, records, len(work.clusters), config, journal, progress)
    run = outcome.about_run(key, config, model.describe(), work.clusters, screened, records)
    del model
    gc.collect()  # its hooks hold it in a circle, and two models may not fit
    if config.reference_model is not None:
        records = stages.ask_reference(work, records, controls, config, devices[0], journal, shelf, progress)
    run |= told(work, screened, controls, records)
    run["descriptor"] = {"name": descriptor.name, "digest": descriptor.digest}
    run |= {"unet_calls": journal.total("unet_calls"), "seconds": round(time.monotonic() - started, 3)}
    outcome.store_run(audit, run, records)
    if not run["counts"].get("error"):  # else the same command tries again what failed, and nothing else
        journal.drop()
    return run
