"""Whole verifications: a real tiny model, and a sampler that copies where pictures have to mean something."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from memaudit.audit import scan
from memaudit.config import ScanConfig
from memaudit.errors import BadInput, NoSpace, UsageError
from memaudit.rules import verify_rules
from memaudit.schemas import FRAMES, conform
from memaudit.store import open_audit
from memaudit.verify import screening, stages, trials
from memaudit.verify.devices import OutOfMemory
from memaudit.verify.run import verify
from memaudit.verify.sampler import NotFinite
from memaudit.verify.settings import VerifyConfig
from tests.hearing import Heard
from tests.verify import audits, tiny
from tests.verify.audits import FOX, TELESCOPE, Sampler, made_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from memaudit.store import Audit

pytest.importorskip("diffusers")


def asked(model: Path, **more: Any) -> VerifyConfig:
    given: dict[str, Any] = {"relation": "trained", "steps": 2, "samples": 8, "device": "cpu", "min_severity": "low"}
    return VerifyConfig(model=str(model), **{**given, **more})


def verdicts(audit: Audit) -> dict[str, dict[str, Any]]:
    """Rows of VERDICTS by the caption that stands for the cluster."""
    captions = dict(audit.frame("findings").select("fingerprint", "representative").iter_rows())
    rows = audit.frame("verdicts").iter_rows(named=True)
    return {captions[row["fingerprint"]]: row for row in rows}


def mug(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return next(row for caption, row in found.items() if "mug" in caption)


def same(one: Audit, other: Audit) -> None:
    """Verdicts and samples agree, but for where pictures lie."""
    for name in ("verdicts", "samples"):
        frames = [a.frame(name).sort(pl.all().exclude("signals", "word_weights")) for a in (one, other)]
        assert frames[0].equals(frames[1], null_equal=True), name


def test_copies_are_found_and_told_apart(audit: Audit, tiny_models: dict[str, Path], sampler: Sampler) -> None:
    run = verify(audit, asked(tiny_models["sd"], screen=False))
    found = verdicts(audit)
    assert found[FOX]["verdict"] == "verbatim"
    assert mug(found)["verdict"] == "template"
    assert found[TELESCOPE]["verdict"] == "not_replicated"
    assert run["counts"] == {"verbatim": 1, "template": 1, "not_replicated": 1}
    assert found[TELESCOPE]["rate"] == 0
    assert found[TELESCOPE]["high"] < 1
    assert found[TELESCOPE]["n_samples"] == 8
    assert found[FOX]["n_samples"] < 8  # it stops early
    assert mug(found)["signals"]["unseen_rate"] == 1
    assert found[FOX]["word_weights"]
    assert found[TELESCOPE]["word_weights"] is None
    for name in ("verdicts", "samples"):
        frame = audit.frame(name)
        assert frame.schema == FRAMES[name]
        assert conform(name, frame).equals(frame)
    for path in audit.frame("samples")["path"]:
        assert (audit.folder / path).is_file()
    assert not audit.work.exists()
    assert len(sampler.asked) == len(set(sampler.asked))


def test_a_real_model_from_screen_to_verdict(audit: Audit, tiny_models: dict[str, Path]) -> None:
    run = verify(audit, asked(tiny_models["sd"]))
    rows = audit.frame("verdicts")
    assert len(rows) == run["hypotheses"] == 3
    assert set(rows["verdict"]) <= {"not_replicated", "screened"}
    assert run["screen"]["passed"] + run["screen"]["cleared"] == 3
    assert run["screen"]["audited"] == min(run["screen"]["cleared"], verify_rules()["screen"]["audit_least"])
    assert run["screen"]["missed"] == 0
    assert rows["signals"].struct["magnitude"].null_count() == 0
    assert run["pictures"]["kind"] == "bytes"
    assert 0 < run["unet_calls"] < run["full_calls"]
    assert open_audit(audit.folder).manifest["verify"] == [run]


def test_the_same_again_is_done_already(audit: Audit, tiny_models: dict[str, Path], sampler: Sampler) -> None:
    run = verify(audit, asked(tiny_models["sd"], screen=False))
    n, heard = len(sampler.asked), Heard()
    assert verify(open_audit(audit.folder), asked(tiny_models["sd"], screen=False), heard) == run
    assert len(sampler.asked) == n
    assert any("already" in note for note in heard.notes)


def test_two_models_stand_side_by_side(audit: Audit, tiny_models: dict[str, Path], sampler: Sampler) -> None:
    del sampler
    for kind in ("sd", "sd-v", "sd"):
        verify(audit, asked(tiny_models[kind], screen=False, seed=0))
    verify(audit, asked(tiny_models["sd"], screen=False, seed=5))  # in place of the first
    runs = open_audit(audit.folder).manifest["verify"]
    assert [run["model"] for run in runs] == [str(tiny_models["sd-v"]), str(tiny_models["sd"])]
    assert audit.frame("verdicts").group_by("model").len()["len"].to_list() == [3, 3]
    assert runs[0]["prediction_type"] == "v_prediction"
    assert not audit.frame("samples").filter(pl.col("seed") < 5, model=str(tiny_models["sd"])).height


def killed_at(target: Any, name: str, nth: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the nth call on, `target.name` is interrupted; returns what undoes it."""
    real, calls = getattr(target, name), 0

    def interrupted(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= nth:
            raise KeyboardInterrupt
        return real(*args, **more)

    monkeypatch.setattr(target, name, interrupted)
    return lambda: monkeypatch.setattr(target, name, real)


@pytest.fixture(scope="module")
def uninterrupted(
    _scanned: Path, tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Audit, int]:
    """The audit after a run that nothing interrupted, and how many pictures it drew."""
    fresh = open_audit(shutil.copytree(_scanned, tmp_path_factory.mktemp("fresh") / "audit"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memaudit.verify.sampler.sample", sampler := Sampler())
        verify(fresh, asked(tiny_models["sd"], reference_model=str(tiny_models["sd-v"])))
    return fresh, len(sampler.asked)


@pytest.mark.parametrize(
    ("where", "nth"),
    [
        ("memaudit.verify.screen.screen", 2),
        ("memaudit.verify.drawing.Shelf.keep", 5),
        ("memaudit.verify.drawing.Shelf.keep", 30),
        ("memaudit.verify.trials.try_case", 2),
        ("memaudit.verify.stages.word_weights", 2),
        ("memaudit.verify.stages.asked_again", 2),
        ("memaudit.verify.outcome.store_run", 1),
        ("memaudit.store.Audit.save", 1),
    ],
)
def test_a_killed_run_goes_on_and_ends_the_same(
    audit: Audit,
    tiny_models: dict[str, Path],
    sampler: Sampler,
    monkeypatch: pytest.MonkeyPatch,
    uninterrupted: tuple[Audit, int],
    where: str,
    nth: int,
) -> None:
    import importlib

    config = asked(tiny_models["sd"], reference_model=str(tiny_models["sd-v"]))
    monkeypatch.setattr(screening, "PROMPTS_AT_ONCE", 20)
    module, _, name = where.rpartition(".")
    owner, _, kind = module.rpartition(".")
    target = getattr(importlib.import_module(owner), kind) if kind[0].isupper() else importlib.import_module(module)
    undo = killed_at(target, name, nth, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        verify(audit, config)
    undo()
    again = open_audit(audit.folder)
    assert not again.manifest.get("verify")
    verify(again, config)
    same(uninterrupted[0], again)
    assert not again.work.exists()
    assert len(sampler.asked) - uninterrupted[1] <= 16  # what one step had drawn, not more, is drawn twice


def test_pictures_of_controls_that_were_deleted_are_drawn_again(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sampler
    undo = killed_at(trials, "try_case", 1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        verify(audit, asked(tiny_models["sd"], screen=False))
    undo()
    one = next((audit.folder / "samples").rglob("control-3-*.png"))
    one.unlink()
    next((audit.folder / "samples").rglob("control-20-*.png")).write_bytes(b"\x89PNG")
    verify(audit, asked(tiny_models["sd"], screen=False))
    assert one.is_file()
    assert verdicts(audit)[FOX]["verdict"] == "verbatim"


@pytest.mark.slow
def test_two_devices_find_what_one_finds(audit: Audit, tiny_models: dict[str, Path], tmp_path: Path) -> None:
    other = open_audit(shutil.copytree(audit.folder, tmp_path / "two"))
    verify(audit, asked(tiny_models["sd"], screen=False))
    verify(other, asked(tiny_models["sd"], screen=False, device="cpu,cpu"))
    same(audit, other)
    assert audit.manifest["verify"][0]["unet_calls"] == other.manifest["verify"][0]["unet_calls"]


@pytest.mark.slow
def test_a_process_that_cannot_start_is_an_error_of_three_lines(
    audit: Audit, tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = stages.court_of

    def elsewhere(*args: Any) -> Any:
        return replace(real(*args), model=("/nowhere/model", None, 2, 7.5))

    monkeypatch.setattr(stages, "court_of", elsewhere)
    with pytest.raises(BadInput, match="a process of one of the devices ended"):
        verify(audit, asked(tiny_models["sd"], screen=False, device="cpu,cpu"))


def test_a_reference_that_copies_too_is_told(audit: Audit, tiny_models: dict[str, Path], sampler: Sampler) -> None:
    del sampler
    verify(audit, asked(tiny_models["sd"], screen=False, reference_model=str(tiny_models["sd-v"])))
    found = verdicts(audit)
    assert found[FOX]["verdict"] == "verbatim"
    assert found[FOX]["reference_rate"] == 1
    assert "the reference model copies in 4 of 4 samples" in found[FOX]["why"]
    assert found[TELESCOPE]["reference_rate"] is None


def test_a_reference_of_another_size_is_compared_all_the_same(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, tmp_path: Path
) -> None:
    del sampler
    large = tiny.stable_diffusion(tmp_path / "large", size=32)
    verify(audit, asked(tiny_models["sd"], screen=False, reference_model=str(large)))
    assert verdicts(audit)[FOX]["reference_rate"] == 1


def test_a_reference_that_is_not_there_is_refused_before_the_work(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler
) -> None:
    with pytest.raises(BadInput, match="no model at"):
        verify(audit, asked(tiny_models["sd"], screen=False, reference_model="/nowhere/base"))
    assert not sampler.asked


def test_a_reference_that_fails_does_not_take_the_verdict_away(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sampler

    def fails(*_: Any) -> Any:
        raise OutOfMemory("out of memory at one picture", "of cuda:0")

    monkeypatch.setattr(stages, "asked_again", fails)
    verify(audit, asked(tiny_models["sd"], screen=False, reference_model=str(tiny_models["sd-v"])))
    fox = verdicts(audit)[FOX]
    assert (fox["verdict"], fox["reference_rate"]) == ("verbatim", None)
    assert "reference" in fox["why"]
    assert "out of memory" in fox["why"]


def test_word_weights_that_do_not_fit_are_left_out(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sampler

    def fails(*_: Any) -> Any:
        raise OutOfMemory("out of memory at one gradient", "of cuda:0")

    monkeypatch.setattr(stages, "word_weights", fails)
    run = verify(audit, asked(tiny_models["sd"], screen=False))
    assert run["counts"]["verbatim"] == 1
    assert verdicts(audit)[FOX]["word_weights"] is None


def test_an_unrelated_model_never_clears_anything(audit: Audit, tiny_models: dict[str, Path], sampler: Sampler) -> None:
    del sampler
    verify(audit, asked(tiny_models["sd"], screen=False, relation="unrelated"))
    found = verdicts(audit)
    assert found[FOX]["verdict"] == "verbatim"
    assert found[TELESCOPE]["verdict"] == "not_run"
    assert "never saw" in found[TELESCOPE]["why"]


def fails_for(prompt: str, error: Exception) -> Callable[[str, int], np.ndarray]:
    def make(asked: str, seed: int) -> np.ndarray:
        if asked == prompt:
            raise error
        return audits.copying(asked, seed)

    return make


@pytest.mark.parametrize("error", [OutOfMemory("out of memory at one picture", "of cuda:0"), NotFinite("overflows")])
def test_what_fails_for_one_cluster_is_its_verdict(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, error: Exception
) -> None:
    sampler.make = fails_for(FOX, error)
    run = verify(audit, asked(tiny_models["sd"], screen=False))
    found = verdicts(audit)
    assert found[FOX]["verdict"] == "error"
    assert str(error) in found[FOX]["why"]
    assert np.isnan(found[FOX]["rate"])
    assert (found[FOX]["low"], found[FOX]["high"], found[FOX]["n_samples"]) == (0, 1, 0)
    assert mug(found)["verdict"] == "template"
    assert run["counts"]["error"] == 1
    # The same command tries again what failed, and nothing else.
    sampler.make = audits.copying
    sampler.asked.clear()
    again = verify(open_audit(audit.folder), asked(tiny_models["sd"], screen=False))
    assert "error" not in again["counts"]
    assert verdicts(audit)[FOX]["verdict"] == "verbatim"
    assert {prompt for prompt, _ in sampler.asked} <= {FOX, "a"}
    assert not open_audit(audit.folder).work.exists()


def test_out_of_memory_in_screen_or_controls_is_an_error(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OutOfMemory("out of memory at one picture", "of cuda:0")

    def fails(*_: Any, **__: Any) -> Any:
        raise error

    sampler.make = fails
    with pytest.raises(OutOfMemory):
        verify(audit, asked(tiny_models["sd"], screen=False))
    monkeypatch.setattr("memaudit.verify.screen.screen", fails)
    with pytest.raises(OutOfMemory):
        verify(audit, asked(tiny_models["sd"]))
    assert not open_audit(audit.folder).manifest.get("verify")


def test_a_model_of_numbers_that_are_none_is_refused(
    audit: Audit, tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(tiny_models["sd"], tmp_path / "nan")
    weights = load_file(file := broken / "unet" / "diffusion_pytorch_model.safetensors")
    save_file({name: one * float("nan") for name, one in weights.items()}, file)
    for screen in (True, False):
        with pytest.raises(NotFinite, match="overflows"):
            verify(audit, asked(broken, screen=screen))


def test_a_full_disk_keeps_what_was_found(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from PIL.Image import Image

    real, written = Image.save, 0

    def full(self: Image, path: Path, *args: Any, **more: Any) -> None:
        nonlocal written
        written += path.parent.name != "controls"
        if written > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, path, *args, **more)

    monkeypatch.setattr(Image, "save", full)
    with pytest.raises(NoSpace):
        verify(audit, asked(tiny_models["sd"], screen=False))
    monkeypatch.setattr(Image, "save", real)
    sampler.asked.clear()
    verify(audit, asked(tiny_models["sd"], screen=False))
    assert verdicts(audit)[FOX]["verdict"] == "verbatim"
    assert not set(audits.UNIQUE) & {prompt for prompt, _ in sampler.asked}  # controls lay on the shelf
    assert not list(audit.folder.rglob("*.tmp"))


@pytest.mark.parametrize("how", ["no column", "broken", "missing"])
def test_without_training_pictures_the_verdict_says_so(
    how: str, tiny_models: dict[str, Path], sampler: Sampler, tmp_path: Path
) -> None:
    captions, _ = audits.dataset()
    pictures = {"no column": None, "broken": [b"\x89PNG\r\n\x1a\n"] * len(captions), "missing": [None] * len(captions)}
    audit = audits.scanned(tmp_path, captions, pictures[how])
    sampler.make = lambda prompt, seed: audits.copying(prompt, seed % 1000)
    run = verify(audit, asked(tiny_models["sd"], screen=False))
    assert run["pictures"]["kind"] == "none"
    found = verdicts(audit)
    assert found[FOX]["verdict"] == "verbatim"
    assert "without training pictures" in found[FOX]["why"]
    assert found[TELESCOPE]["verdict"] == "not_replicated"
    assert set(audit.frame("samples").filter(pl.col("copied") == "unjudged")["seed"]) == {0, 1, 2, 3}


def test_an_audit_without_clusters_is_refused(tmp_path: Path, tiny_models: dict[str, Path]) -> None:
    audit = audits.scanned(tmp_path, audits.UNIQUE[:4], None)
    with pytest.raises(BadInput, match="nothing to verify"):
        verify(audit, asked(tiny_models["sd"]))


def test_a_device_that_is_not_there_is_refused(audit: Audit, tiny_models: dict[str, Path]) -> None:
    for device in ("cuda:77", "tpu", "cpu:1"):
        with pytest.raises(UsageError):
            verify(audit, asked(tiny_models["sd"], device=device))


def test_a_fresh_scan_removes_verdicts_and_pictures(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, _scanned: Path
) -> None:
    del sampler
    verify(audit, asked(tiny_models["sd"], screen=False))
    assert audit.samples.is_dir()
    scan([str(_scanned.parent / "data.parquet")], audit.folder, ScanConfig(), fresh=True)
    assert not audit.samples.exists()
    assert not audit.has_frame("verdicts")
    assert "verify" not in open_audit(audit.folder).manifest


def test_prompts_that_nobody_would_write(tiny_models: dict[str, Path], sampler: Sampler, tmp_path: Path) -> None:
    hostile = [
        "owl \x1b[31mred\x07 [bold]x[/] <script>é𝔘" + "\u202e",
        "kettle " * 15_000,
        "../../../etc/passwd % {0} \\",
    ]
    captions, _ = audits.dataset()
    audit = audits.scanned(tmp_path, [*captions, *hostile * 5], None)
    sampler.make = made_up
    verify(audit, asked(tiny_models["sd"], screen=False, min_severity="info"))
    found = verdicts(audit)
    assert sum(caption.startswith(("owl \x1b", "kettle kettle", "../")) for caption in found) >= 2
    assert all((audit.folder / path).is_file() for path in audit.frame("samples")["path"])
