"""What clusters and models are judged by: controls of their own kind, and the same terms for the reference."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from memaudit.verify import run as runs
from memaudit.verify import stages
from memaudit.verify.run import verify
from tests.verify.audits import FOX, FOX_PICTURE, SIDE, TELESCOPE, WORDS, Sampler, dataset, encoded, scanned
from tests.verify.pictures_made import noisy, scenes
from tests.verify.test_run import asked, verdicts

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit

pytest.importorskip("diffusers")


def test_a_cluster_whose_pictures_are_gone_is_judged_by_controls_without(
    tmp_path: Path, tiny_models: dict[str, Path], sampler: Sampler
) -> None:
    """A model that draws one calm picture a prompt, at every seed nearly the same, copies nothing of the telescope: its
    controls do likewise. Distances to training pictures, which are larger, would call it a copy."""
    captions, pictures = dataset()
    files = [None if caption == TELESCOPE else encoded(p) for caption, p in zip(captions, pictures, strict=True)]
    audit = scanned(tmp_path, captions, files)

    def calm(prompt: str, seed: int) -> np.ndarray:
        own = scenes(1, sum(map(ord, prompt)), SIDE)
        return FOX_PICTURE if prompt == FOX else noisy(own, seed, 30)[0]

    sampler.make = calm
    verify(audit, asked(tiny_models["sd"], screen=False))
    found = verdicts(audit)
    assert found[FOX]["verdict"] == "verbatim"
    assert found[TELESCOPE]["verdict"] == "not_replicated"
    assert "without training pictures" in found[TELESCOPE]["why"]


def test_the_reference_is_asked_on_the_same_terms(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a copy detector finds in the model's pictures it finds in the reference's too."""

    class Detector:
        name, digest, copy_cut = "detector", "0", 0.5

        def describe(self, found: np.ndarray) -> np.ndarray:
            return np.ones((len(found), 1), np.float32)  # everything is a copy of everything

    monkeypatch.setattr("memaudit.verify.trial._descriptor", lambda _: Detector())
    monkeypatch.setattr("memaudit.verify.run.open_descriptor", lambda *_, **__: Detector())
    sampler.make = lambda prompt, seed: scenes(1, seed + sum(map(ord, prompt)), SIDE)[0]
    config = asked(tiny_models["sd"], screen=False, reference_model=str(tiny_models["sd-v"]), descriptor="sscd.onnx")
    run = verify(audit, config)
    assert {v["reference_rate"] for v in verdicts(audit).values()} == {1.0}
    assert run["unet_calls"] >= len(sampler.asked) * 2 * 2  # steps, guidance: the reference's are counted


def test_the_model_is_gone_before_the_reference_comes(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sampler
    seen: list[Any] = []
    real = stages.load

    def load(*args: Any, **more: Any) -> Any:
        assert seen[0]() is None
        return real(*args, **more)

    first = runs.load
    monkeypatch.setattr(runs, "load", lambda *a, **k: seen_of(first(*a, **k), seen))
    monkeypatch.setattr(stages, "load", load)
    verify(audit, asked(tiny_models["sd"], screen=False, reference_model=str(tiny_models["sd-v"])))
    assert len(seen) == 1


def seen_of(model: Any, seen: list[Any]) -> Any:
    seen.append(weakref.ref(model))
    return model


def test_prompts_that_the_model_reads_in_part_are_told(tmp_path: Path, tiny_models: dict[str, Path]) -> None:
    long = " ".join(WORDS)
    captions, pictures = dataset()
    audit = scanned(tmp_path, [long] * 20 + captions, [encoded(FOX_PICTURE)] * 20 + [encoded(p) for p in pictures])
    verify(audit, asked(tiny_models["sd"], screen=False, top=3))
    assert "longer than the model reads: 1" in verdicts(audit)[long]["why"]
