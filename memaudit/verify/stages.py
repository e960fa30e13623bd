"""The steps of a verification that ask a model, each resumable from the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memaudit.errors import BadInput
from memaudit.verify import screening
from memaudit.verify.control_samples import controls_of, needed_controls
from memaudit.verify.drawing import FromModel
from memaudit.verify.likeness import fitted
from memaudit.verify.models import load
from memaudit.verify.replication import compared_size
from memaudit.verify.trial import Terms
from memaudit.verify.trials import Court, asked_again, case_of, try_all
from memaudit.verify.verdict import replicated
from memaudit.verify.word_weights import word_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from PIL import Image

    from memaudit.progress import Progress
    from memaudit.verify.calibration import Controls
    from memaudit.verify.drawing import Shelf
    from memaudit.verify.journal import Journal
    from memaudit.verify.models import Model
    from memaudit.verify.screening import Screening
    from memaudit.verify.settings import VerifyConfig
    from memaudit.verify.trial import Wanted
    from memaudit.verify.work import Work

Records = list[dict[str, Any]]

AT_ONCE = 16  # control pictures that one entry of the journal holds


def screen(model: Model, work: Work, config: VerifyConfig, journal: Journal, progress: Progress) -> Screening:
    """Tier 0."""
    if not config.screen:
        return screening.everything(work.clusters)
    return screening.screen_clusters(model, work.clusters, work.controls, config.seed, journal, progress)


def sample_controls(
    model: Model,
    work: Work,
    screened: Screening,
    config: VerifyConfig,
    journal: Journal,
    shelf: Shelf,
    progress: Progress,
) -> dict[bool, Controls]:
    """Pictures of control captions, by whether training pictures stand beside them; see `needed_controls`. What lies on
    the shelf is not drawn again."""
    size, chosen = compared_size(model.size), [c for c in work.clusters if c.fingerprint in screened.sampled]
    needed, out = needed_controls(work, chosen, config.seed), {}
    with progress.stage("sampling controls", sum(map(len, needed.values()))) as advance:
        for pictured, wanted in needed.items():
            pictures: list[np.ndarray] = []
            for start in range(0, len(wanted), AT_ONCE):
                some = wanted[start : start + AT_ONCE]
                step = f"controls-{'beside' if pictured else 'without'}-{start}"
                pictures += [fitted(picture, size) for picture in _kept_or_drawn(model, some, step, journal, shelf)]
                advance(len(some))
            out[pictured] = controls_of(work, pictured, wanted, pictures, size)
    return out


def _kept_or_drawn(
    model: Model, wanted: Sequence[Wanted], step: str, journal: Journal, shelf: Shelf
) -> Sequence[Image.Image | np.ndarray]:
    kept = shelf.load_all((journal.read(step) or {}).get("paths", []))
    if kept:
        return kept
    before = model.calls
    drawn = [p for p in FromModel(model)(wanted) if p is not None]
    paths = [shelf.keep("controls", w.file(), p) for w, p in zip(wanted, drawn, strict=True)]
    journal.write(step, {"paths": paths, "unet_calls": model.calls - before})
    return drawn


def try_clusters(
    model: Model,
    devices: Sequence[str],
    work: Work,
    screened: Screening,
    controls: dict[bool, Controls],
    config: VerifyConfig,
    journal: Journal,
    shelf: Shelf,
    progress: Progress,
) -> Records:
    """Tier 1: a record for every cluster, screened ones included, in their order."""
    court = court_of(model, work, controls, config, shelf)
    chosen = [c for c in work.clusters if c.fingerprint in screened.sampled]
    size = court.terms.described
    with progress.stage("sampling clusters", len(chosen)) as advance:
        tried = try_all(chosen, lambda c: case_of(work, c, size), model, devices, court, journal, advance)
    records = {record["fingerprint"]: record for record in tried}
    return [{**(records.get(name) or _cleared(name)), **screened.seen(name)} for name in work.names()]


def _cleared(fingerprint: str) -> dict[str, Any]:
    return {"fingerprint": fingerprint, "status": "screened", "why": None}


def court_of(model: Model, work: Work, controls: dict[bool, Controls], config: VerifyConfig, shelf: Shelf) -> Court:
    """What all trials of a run share."""
    size = next(iter(controls.values())).samples.shape[1]  # of the model on trial, where this is the reference
    terms = Terms.of(config, len(work.clusters), size, model.size)
    return Court(controls, terms, shelf, (model.name, config.dtype, model.steps, model.guidance))


def ask_why(
    model: Model, records: Records, hypotheses: int, config: VerifyConfig, journal: Journal, progress: Progress
) -> Records:
    """Word weights for what replicates: which words of the most copied prompt the model listens to."""
    found = replicated(records, hypotheses)
    with progress.stage("weighing words", int(found.sum())) as advance:
        for record, copied in zip(records, found.tolist(), strict=True):
            if not copied:
                continue
            step = f"words-{record['fingerprint']}"
            known = journal.read(step)
            if known is None:
                seeds, before = [config.seed + i for i in range(2)], model.calls
                try:
                    weights = [list(x) for x in word_weights(model, _most_copied(record), seeds)]
                    known = {"word_weights": weights, "unet_calls": model.calls - before}
                    journal.write(step, known)
                except BadInput as error:  # gradients take more memory than pictures; the verdict stands without
                    progress.note(f"words of {record['fingerprint']} not weighed: {error.line()}")
                    known = {}
            record |= {name: known[name] for name in ("word_weights",) if name in known}
            advance(1)
    return records


def _most_copied(record: dict[str, Any]) -> str:
    """The prompt with most copies among its samples; of equals the first, which repeats most."""
    counts: dict[str, int] = {}
    for s in record["samples"]:
        counts[s["prompt"]] = counts.get(s["prompt"], 0) + (s["copied"] not in ("none", "unjudged"))
    return max(counts, key=lambda prompt: counts[prompt])


def ask_reference(
    work: Work,
    records: Records,
    controls: dict[bool, Controls],
    config: VerifyConfig,
    device: str,
    journal: Journal,
    shelf: Shelf,
    progress: Progress,
) -> Records:
    """The reference model at the prompts and seeds of every cluster that replicates."""
    assert config.reference_model is not None
    found = replicated(records, len(work.clusters))
    with progress.stage("loading the reference model"):
        model = load(config.reference_model, device, config.dtype, steps=config.steps, guidance=config.guidance)
    court, clusters = court_of(model, work, controls, config, shelf), {c.fingerprint: c for c in work.clusters}
    with progress.stage("asking the reference", int(found.sum())) as advance:
        for record, copied in zip(records, found.tolist(), strict=True):
            if not copied:
                continue
            step, cluster = f"reference-{record['fingerprint']}", clusters[record["fingerprint"]]
            known = journal.read(step)
            if known is None:
                case = case_of(work, cluster, court.terms.described)
                try:
                    known = dict(asked_again(record, case, court, FromModel(model)))
                    journal.write(step, known)
                except BadInput as error:  # out of memory, numbers that overflow: what was found stands
                    known = {"reference_why": error.line()}
            record |= {name: known[name] for name in known if name != "unet_calls"}
            advance(1)
    return records
