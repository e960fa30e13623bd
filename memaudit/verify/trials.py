"""All trials of a run: one after the other on one device, or shared out to one process per device."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from memaudit.errors import BadInput, NoSpace
from memaudit.rules import verify_rules
from memaudit.verify.drawing import FromModel
from memaudit.verify.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.queues import Queue

    import numpy as np

    from memaudit.verify.calibration import Controls
    from memaudit.verify.drawing import Shelf
    from memaudit.verify.journal import Journal
    from memaudit.verify.models import Model
    from memaudit.verify.prompts import Cluster
    from memaudit.verify.trial import Drawing, Terms
    from memaudit.verify.work import Work

Record = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One cluster to try. training: its pictures, uint8 (m, S, S, 3); names: of them; missing: how many could not be
    had; why: there are none at all."""

    cluster: Cluster
    training: np.ndarray
    names: tuple[str, ...]
    missing: int
    why: str | None


@dataclass(frozen=True)
class Court:
    """What all trials share, and what a process on another device is given."""

    controls: dict[bool, Controls]  # for clusters with training pictures, and without
    terms: Terms
    shelf: Shelf
    model: tuple[str, str | None, int, float] | None  # name, dtype, steps, guidance; None: it is not here

    def controls_of(self, case: Case) -> Controls:
        """Those that a cluster is judged by. A cluster whose pictures were there when controls were drawn, and are not
        now, is judged by what there is."""
        pictured = bool(len(case.training))
        return self.controls[pictured if pictured in self.controls else not pictured]

    def open_model(self, device: str) -> Model:
        from memaudit.verify.models import load  # torch, which judging pictures made elsewhere does without

        assert self.model is not None
        name, dtype, steps, guidance = self.model
        return load(name, device, dtype, steps=steps, guidance=guidance)


def case_of(work: Work, cluster: Cluster, size: int) -> Case:
    """A cluster with its training pictures."""
    found = work.source.gallery(work.text_ids(cluster), size, int(verify_rules()["sample"]["gallery"]))
    return Case(cluster, found.pictures, tuple(found.names), found.missing, found.why)


def try_case(case: Case, court: Court, draw: Drawing) -> Record:
    """The record of one cluster; what fails for it alone is its record too."""
    name = case.cluster.fingerprint
    trial = Trial(case.cluster, case.training, case.names, court.controls_of(case), court.terms)
    before = _calls(draw)
    try:
        record = trial.run(draw, lambda w, picture: court.shelf.keep(name, w.file(), picture))
    except NoSpace:
        raise
    except BadInput as error:  # out of memory at one picture, numbers that overflow
        record = {"fingerprint": name, "status": "error", "why": error.line()}
    why = {"why": case.why} if case.why and "why" not in record else {}
    cut = sum(p.text in draw.cut for p in case.cluster.prompts) if isinstance(draw, FromModel) else 0
    return {**record, **why, "missing": case.missing, "cut": cut, "unet_calls": _calls(draw) - before}


def _calls(draw: Drawing) -> int:
    return draw.model.calls if isinstance(draw, FromModel) else 0


def try_all(
    cases: Sequence[Cluster],
    case_of: Callable[[Cluster], Case],
    model: Model,
    devices: Sequence[str],
    court: Court,
    journal: Journal,
    advance: Callable[[int], None],
) -> list[Record]:
    """Records of these clusters, in their order; those that the journal holds are not tried again.

    case_of: reads a cluster's training pictures, just before they are needed.
    """
    records = {c.fingerprint: journal.read(f"cluster-{c.fingerprint}") for c in cases}
    waiting = [c for c in cases if records[c.fingerprint] is None]
    advance(len(cases) - len(waiting))
    lazy = (case_of(cluster) for cluster in waiting)
    done = _here(lazy, model, court) if len(devices) == 1 else _everywhere(lazy, devices, court)
    for record in done:
        if record["status"] != "error":  # which is tried again by the next session
            journal.write(f"cluster-{record['fingerprint']}", record)
        records[record["fingerprint"]] = record
        advance(1)
    return [found for c in cases if (found := records[c.fingerprint]) is not None]


def _here(cases: Iterator[Case], model: Model, court: Court) -> Iterator[Record]:
    draw = FromModel(model)
    for case in cases:
        yield try_case(case, court, draw)


_drawing: FromModel | None = None  # of this process, where it is one of several


def _everywhere(cases: Iterator[Case], devices: Sequence[str], court: Court) -> Iterator[Record]:
    """One process a device; whichever is free takes the next cluster. A few cases are read ahead, not all."""
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    names: Queue[str] = context.Queue()
    for device in devices:
        names.put(device)
    pool = ProcessPoolExecutor(len(devices), context, _start, (names, court, len(devices)))
    waiting = set()
    try:
        for case in cases:
            waiting.add(pool.submit(_try_there, case, court))
            if len(waiting) > 2 * len(devices):
                ready = next(as_completed(waiting))
                waiting.remove(ready)
                yield ready.result()
        for ready in as_completed(waiting):
            yield ready.result()
    except BrokenProcessPool as error:
        why = "its model could not be loaded, or the system ended it, which it does where memory runs out"
        raise BadInput("a process of one of the devices ended", why, "one --device, to see why") from error
    finally:
        pool.shutdown(cancel_futures=True)  # what runs ends in order; what waits is for the next session


def _start(names: Queue[str], court: Court, processes: int) -> None:
    global _drawing
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    _drawing = FromModel(court.open_model(names.get()))


def _try_there(case: Case, court: Court) -> Record:
    assert _drawing is not None
    return try_case(case, court, _drawing)


def asked_again(record: Record, case: Case, court: Court, draw: FromModel) -> dict[str, int]:
    """Copies and samples of another model at the prompts and seeds of a record, on the same terms but to the end.

    Keys "reference_hits", "reference_n" and "unet_calls". Nothing is kept of its pictures. Where the record rests on
    first samples, this model's own first samples stand in.
    """
    terms, before = replace(court.terms, samples=record["n"], early_stop=False), draw.model.calls
    trial = Trial(case.cluster, case.training, case.names, court.controls_of(case), terms)
    found = trial.run(draw, lambda w, _: w.file())
    calls = draw.model.calls - before
    return {"reference_hits": found["hits"], "reference_n": found["n"], "unet_calls": calls}
