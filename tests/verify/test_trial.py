"""One cluster on trial, with pictures that are made instead of sampled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from memaudit.rules import verify_rules
from memaudit.verify.calibration import Controls, calibrate
from memaudit.verify.prompts import Cluster, Prompt
from memaudit.verify.replication import originals
from memaudit.verify.trial import Terms, Trial, Wanted, schedule
from tests.verify.pictures_made import SIZE, framed, noisy, scenes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

N_CONTROLS = 64
TERMS = Terms(hypotheses=20, samples=16, size=SIZE, seed=3)


def controls() -> Controls:
    """Controls whose samples have nothing to do with their own pictures."""
    each = np.arange(N_CONTROLS)
    return Controls(scenes(N_CONTROLS, 1000), each, scenes(N_CONTROLS, 2000), each)


def cluster(*kinds: str) -> Cluster:
    prompts = tuple(Prompt(kind, f"{kind} {i}", None) for i, kind in enumerate(kinds or ("caption",)))
    return Cluster(0, "ab" * 8, "exact", 0.9, "caption 0", None, prompts)


class Drawn:
    """Draws what a function makes of the prompt and the seed, and counts."""

    def __init__(self, make: Callable[[Wanted], np.ndarray | None]) -> None:
        self.make, self.wanted = make, list[Wanted]()

    def __call__(self, wanted: Sequence[Wanted]) -> list[np.ndarray | None]:
        self.wanted += wanted
        return [self.make(w) for w in wanted]


def run(make: Callable[[Wanted], np.ndarray | None], training: np.ndarray, *kinds: str, terms: Terms = TERMS):
    draw = Drawn(make)
    names = tuple(f"t{i}" for i in range(len(training)))
    trial = Trial(cluster(*kinds), training, names, controls(), terms)
    record = trial.run(draw, lambda w, _: f"samples/{w.file()}")
    return json.loads(json.dumps(record)), draw.wanted


def test_a_model_that_copies_is_found_after_one_round() -> None:
    training = scenes(1, 5)
    record, wanted = run(lambda w: noisy(training, w.seed)[0], training)
    assert (record["n"], record["hits"], record["whole"], record["region"]) == (4, 4, 4, 0)
    assert len(wanted) == 4
    assert record["e_value"] >= TERMS.hypotheses / verify_rules()["sample"]["alpha"]
    assert {s["copied"] for s in record["samples"]} == {"verbatim"}
    assert {s["nearest"] for s in record["samples"]} == {"t0"}


def test_a_model_that_draws_something_else_is_sampled_to_the_end() -> None:
    record, wanted = run(lambda w: scenes(1, 500 + w.seed)[0], scenes(1, 5))
    assert (record["n"], record["hits"], len(wanted)) == (16, 0, 16)
    assert record["e_value"] < 1


def test_a_template_comes_back_for_captions_and_unseen_values() -> None:
    kinds = ("caption", "caption", "unseen", "trigger")
    record, wanted = run(lambda w: framed(1, 600 + w.seed * 7 + w.number)[0], framed(5, 2), *kinds)
    assert record["region"] == record["hits"] == record["n"]
    assert record["whole"] == 0
    assert {s["kind"] for s in record["samples"]} == {"caption", "unseen", "trigger"}
    assert [w.prompt.kind for w in wanted][-2:] == ["trigger", "trigger"]  # only once the cluster replicates
    assert record["n"] == sum(w.prompt.kind != "trigger" for w in wanted)


def test_triggers_are_not_drawn_for_what_does_not_replicate() -> None:
    _, wanted = run(lambda w: scenes(1, 500 + w.seed)[0], scenes(1, 5), "caption", "trigger")
    assert all(w.prompt.kind == "caption" for w in wanted)


def test_without_training_pictures_first_samples_stand_for_them() -> None:
    same = scenes(1, 5)
    none = np.zeros((0, SIZE, SIZE, 3), np.uint8)
    record, wanted = run(lambda w: noisy(same, w.seed)[0], none)
    assert record["gallery"] == 0
    assert (record["n"], record["hits"]) == (4, 4)
    assert len(wanted) == 8
    assert len({w.seed for w in wanted}) == 8  # a first sample is never judged by itself
    other, _ = run(lambda w: scenes(1, 700 + w.seed)[0], none)
    assert other["hits"] == 0


def test_without_training_pictures_a_frame_shared_by_prompts_is_a_template() -> None:
    none = np.zeros((0, SIZE, SIZE, 3), np.uint8)
    make = lambda w: framed(1, 600 + w.seed * 7 + w.number)[0]  # noqa: E731
    record, _ = run(make, none, "caption", "caption", "unseen")
    assert record["region"] == record["hits"] == record["n"] > 0
    assert record["whole"] < record["n"]


def test_pictures_that_are_missing_are_left_out() -> None:
    training = scenes(1, 5)
    record, _ = run(lambda w: None if w.seed % 2 else noisy(training, w.seed)[0], training)
    assert record["status"] == "sampled"
    assert record["n"] == record["hits"] < len(schedule(cluster(), TERMS))
    nothing, _ = run(lambda _: None, training)
    assert nothing["status"] == "not_run"


def test_every_prompt_counts_the_same() -> None:
    wanted = schedule(cluster("caption", "caption", "unseen"), TERMS)
    counts = {text: sum(w.prompt.text == text for w in wanted) for text in {w.prompt.text for w in wanted}}
    assert len(counts) == 3
    assert len(set(counts.values())) == 1
    assert len(wanted) >= TERMS.samples


def test_controls_that_copy_raise_what_a_cluster_must_exceed() -> None:
    honest, each = controls(), np.arange(N_CONTROLS)
    copying = Controls(
        honest.samples, each, np.where(each[:, None, None, None] < 20, honest.samples, honest.gallery), each
    )
    standard = originals(scenes(1, 5), ("t",))
    clean = calibrate(honest, standard, honest.own(1))
    dirty = calibrate(copying, standard, copying.own(1))
    assert clean.null == verify_rules()["sample"]["claim"]
    assert clean.hits == 0
    assert dirty.hits == 20
    assert dirty.null > 20 / N_CONTROLS


def test_without_controls_only_the_published_distance_counts() -> None:
    empty = Controls(scenes(0, 1), np.zeros(0, int), scenes(0, 1), np.zeros(0, int))
    found = calibrate(empty, originals(scenes(1, 5), ("t",)), empty.own(1))
    assert found.limits.whole == verify_rules()["copy"]["strict"]
    assert found.n == 0
    assert np.isnan(found.rate)


def test_a_gallery_of_others_makes_the_nearest_nearer_and_never_farther() -> None:
    some = controls()
    one, many = some.own(1), some.own(16)
    assert (many <= one).all()
    assert (many < one).any()
    assert many == pytest.approx(some.own(16))
