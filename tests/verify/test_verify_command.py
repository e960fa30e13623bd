"""`memaudit verify` as it is typed: exit codes, messages, and what other commands make of the result."""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner

from memaudit.cli import main
from memaudit.store import open_audit
from memaudit.verify.devices import OutOfMemory
from tests.verify import audits
from tests.verify.audits import FOX, Sampler

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from memaudit.store import Audit

pytest.importorskip("diffusers")


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def verify(audit: Audit, model: Path | str, *more: str | Path) -> Result:
    given = ("--model", model, "--relation", "trained", "--steps", "2", "--samples", "8", "--device", "cpu")
    return run("verify", audit.folder, *given, "--min-severity", "low", *more)


def three_lines(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.rstrip().splitlines()
    lines = lines[next(i for i, line in enumerate(lines) if line.startswith("error: ")) :]
    assert 2 <= len(lines) <= 3
    assert "Traceback" not in result.stderr
    assert "fault in memaudit" not in result.stderr
    return "\n".join(lines)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_verify_report_show_export(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, tmp_path: Path
) -> None:
    del sampler
    told = verify(audit, tiny_models["sd"], "--no-screen", "--reference-model", tiny_models["sd-v"])
    assert told.exit_code == 0, told.stderr
    assert "verbatim" in told.stdout
    assert run("report", audit.folder).stdout == told.stdout
    report = json.loads(run("report", audit.folder, "-f", "json").stdout)
    fox = next(one for one in report["findings"] if one["representative"] == FOX)
    assert "verbatim" in json.dumps(fox)
    assert "verbatim" in run("report", audit.folder, "-f", "md").stdout
    shown = run("show", audit.folder, fox["fingerprint"])
    assert shown.exit_code == 0
    assert "samples/" in shown.stdout
    exported = run("export", audit.folder, "--verdict", "verbatim", "-o", tmp_path / "list.csv")
    assert exported.exit_code == 0, exported.stderr
    rows = pl.read_csv(tmp_path / "list.csv")
    assert 0 < len(rows) <= 20
    again = verify(audit, tiny_models["sd"], "--no-screen", "--reference-model", tiny_models["sd-v"])
    assert (again.exit_code, again.stdout) == (0, told.stdout)
    assert "already" in again.stderr


def test_dry_run_writes_nothing(audit: Audit, tiny_models: dict[str, Path], sampler: Sampler) -> None:
    before = contents(audit.folder)
    told = verify(audit, tiny_models["sd"], "--dry-run")
    assert told.exit_code == 0, told.stderr
    assert "U-Net calls" in told.stdout
    assert "3, with" in told.stdout
    assert contents(audit.folder) == before
    assert not sampler.asked


def test_plan_and_generated(audit: Audit, tmp_path: Path) -> None:
    from PIL import Image

    from memaudit.verify.plan import read_plan

    folder = tmp_path / "theirs"
    folder.mkdir()
    asked = ("--samples", "8", "--min-severity", "low")
    planned = run("verify", audit.folder, "--plan", folder / "plan.csv", *asked)
    assert planned.exit_code == 0, planned.stderr
    assert "--generated" in planned.stderr
    for row in read_plan(folder / "plan.csv"):
        Image.fromarray(audits.copying(row.prompt, row.seed)).save(folder / row.file)
    judged = run("verify", audit.folder, "--generated", folder, "--model", "x", "--relation", "trained", *asked)
    assert judged.exit_code == 0, judged.stderr
    assert "verbatim" in judged.stdout


def test_a_cluster_that_fails_makes_the_run_incomplete(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler
) -> None:
    def make(prompt: str, seed: int) -> Any:
        if prompt == FOX:
            raise OutOfMemory("out of memory at one picture", "it does not fit")
        return audits.copying(prompt, seed)

    sampler.make = make
    told = verify(audit, tiny_models["sd"], "--no-screen")
    assert told.exit_code == 4
    assert "error" in told.stdout
    sampler.make = audits.copying
    assert verify(audit, tiny_models["sd"], "--no-screen").exit_code == 0


def test_out_of_memory_at_controls(audit: Audit, tiny_models: dict[str, Path], sampler: Sampler) -> None:
    def make(prompt: str, seed: int) -> Any:
        del prompt, seed
        raise OutOfMemory("out of memory at one picture", "it does not fit", "a device with more memory")

    sampler.make = make
    assert "out of memory" in three_lines(verify(audit, tiny_models["sd"], "--no-screen"), 3)


def test_a_full_disk_is_incomplete_and_goes_on(
    audit: Audit, tiny_models: dict[str, Path], sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from PIL.Image import Image

    del sampler

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Image, "save", full)
        assert "no space left" in three_lines(verify(audit, tiny_models["sd"], "--no-screen"), 4)
    assert verify(audit, tiny_models["sd"], "--no-screen").exit_code == 0


def test_an_interrupt_says_how_to_go_on(
    audit: Audit, tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("memaudit.verify.stages.sample_controls", stopped)
    told = verify(audit, tiny_models["sd"])
    assert told.exit_code == 130
    assert "continue: memaudit verify" in told.stderr


@pytest.mark.parametrize(
    ("args", "code", "what"),
    [
        (["--model", "nowhere/at all", "--relation", "trained"], 3, "no model at"),
        (["--model", "MODEL"], 2, "--relation"),
        (["--relation", "trained"], 2, "--model"),
        (["--model", "MODEL", "--relation", "trained", "--device", "cuda:77"], 2, "no device"),
        (["--model", "MODEL", "--relation", "trained", "--device", "tpu"], 2, "no device called"),
        (["--model", "MODEL", "--relation", "trained", "--dtype", "fp16", "--device", "cpu"], 2, "fp16"),
        (["--model", "MODEL", "--relation", "trained", "--steps", "5000"], 2, "steps"),
        (["--model", "MODEL", "--relation", "trained", "--guidance", "nan"], 2, "guidance"),
        (["--model", "MODEL", "--relation", "trained", "--image-root", "/nowhere"], 2, "no folder"),
        (["--model", "MODEL", "--relation", "trained", "--descriptor", "no.onnx"], 3, "no.onnx"),
        (["--model", "MODEL", "--relation", "trained", "--reference-model", "/no/base"], 3, "no model at"),
        (["--model", "x", "--relation", "trained", "--generated", "/nowhere"], 3, "no folder"),
        (["--plan", "a.csv", "--dry-run"], 2, "exclude each other"),
        (["--plan", "-"], 2, "a plan is a file"),
        (["--plan", "no/such/folder/plan.csv"], 2, "cannot write"),
    ],
)
def test_what_cannot_be_done_is_said_in_three_lines(
    audit: Audit, tiny_models: dict[str, Path], args: list[str], code: int, what: str
) -> None:
    before = contents(audit.folder)
    given = [str(tiny_models["sd"]) if arg == "MODEL" else arg for arg in args]
    assert what in three_lines(run("verify", audit.folder, *given), code)
    assert contents(audit.folder) == before


def test_models_that_cannot_be_used(audit: Audit, tiny_models: dict[str, Path], tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.ckpt"
    checkpoint.write_bytes(b"\x80\x04")
    assert "model.ckpt" in three_lines(verify(audit, checkpoint), 3)
    pickled = shutil.copytree(tiny_models["sd"], tmp_path / "pickled")
    weights = pickled / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    assert "safetensors" in three_lines(verify(audit, pickled), 3)
    headless = shutil.copytree(tiny_models["sd"], tmp_path / "headless")
    shutil.rmtree(headless / "unet")
    assert "unet" in three_lines(verify(audit, headless), 3)
    empty = tmp_path / "empty"
    empty.mkdir()
    three_lines(verify(audit, empty), 3)
    damaged = shutil.copytree(tiny_models["sd"], tmp_path / "damaged")
    weights = damaged / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    three_lines(verify(audit, damaged), 3)
    assert not open_audit(audit.folder).has_frame("verdicts")


def test_audits_that_cannot_be_verified(tmp_path: Path, tiny_models: dict[str, Path]) -> None:
    dull = audits.scanned(tmp_path, audits.UNIQUE[:4], None)
    assert "nothing to verify" in three_lines(verify(dull, tiny_models["sd"]), 3)
    given = ("--model", tiny_models["sd"], "--relation", "trained")
    assert "is not an audit" in three_lines(run("verify", tmp_path / "nowhere", *given), 3)


@pytest.mark.parametrize(
    ("gone", "args"),
    [
        ("torch", ["--model", "m", "--relation", "trained"]),
        ("faiss", ["--model", "m", "--relation", "trained", "--generated", "folder"]),
        ("PIL", ["--plan", "plan.csv"]),
    ],
)
def test_a_missing_library_is_named(audit: Audit, monkeypatch: pytest.MonkeyPatch, gone: str, args: list[str]) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == gone else real(name, *a))
    said = three_lines(run("verify", audit.folder, *args), 2)
    assert f"missing: {gone}" in said
    assert "memaudit-captions[verify]" in said


def test_hostile_captions_reach_no_terminal(tiny_models: dict[str, Path], sampler: Sampler, tmp_path: Path) -> None:
    hostile = ["owl \x1b[31mred\x07 [bold]x[/] <script>\u202e on a branch", "../../../etc/passwd % {0} \\ and the rest"]
    audit = audits.scanned(tmp_path, [*audits.UNIQUE, *hostile * 20], None)
    sampler.make = lambda prompt, seed: audits.copying(FOX, seed) if prompt in hostile else audits.made_up(prompt, seed)
    told = verify(audit, tiny_models["sd"], "--no-screen")
    assert told.exit_code == 0, told.stderr
    assert "verbatim" in told.stdout
    names = open_audit(audit.folder).frame("findings")["fingerprint"]
    for said in (told, *(run("show", audit.folder, name) for name in names), run("report", audit.folder, "-f", "md")):
        assert not {"\x1b", "\x07", "\u202e"} & set(said.output)
    assert not [path for path in audit.samples.rglob("*.png") if ".." in path.name]
