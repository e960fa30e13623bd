"""What is loaded, what is refused and why, what a model says of itself."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from memaudit.errors import BadInput, UsageError  # noqa: E402
from memaudit.verify import devices, model_files  # noqa: E402
from memaudit.verify.models import load  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

Models = dict[str, "Path"]


@pytest.fixture
def copied(tiny_models: Models, tmp_path: Path) -> Path:
    """A model that a test may damage."""
    return shutil.copytree(tiny_models["sd"], tmp_path / "model")


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(name: Path | str, **more: Any) -> str:
    """The three lines with which a model is refused; each has something to say."""
    with pytest.raises(BadInput) as told:
        load(str(name), "cpu", **more)
    assert told.value.why
    assert told.value.hint
    return "\n".join(told.value.lines())


@pytest.mark.parametrize(
    ("kind", "family", "prediction", "guidance"),
    [("sd", "sd", "epsilon", 7.5), ("sd-v", "sd", "v_prediction", 7.5), ("sdxl", "sdxl", "epsilon", 5.0)],
)
def test_describes_itself(tiny_models: Models, kind: str, family: str, prediction: str, guidance: float) -> None:
    model = load(str(tiny_models[kind]), "cpu")
    told = model.describe()
    assert (told["family"], told["prediction_type"], told["guidance"]) == (family, prediction, guidance)
    assert (told["scheduler"], told["steps"], told["size"], told["dtype"]) == ("DDIMScheduler", 50, 16, "fp32")
    assert told["safety_checker"] == "off"
    assert json.loads(json.dumps(told)) == told
    assert not any(p.requires_grad for p in model.pipe.unet.parameters())
    assert model.calls == 0


def test_digest_is_of_the_content_and_not_of_the_place(tiny_models: Models, copied: Path) -> None:
    here, there = (model_files.digest(model_files.find(str(p))) for p in (tiny_models["sd"], copied))
    assert here == there
    assert len(here) == 16
    (copied / "README.md").write_text("not a part of the model")
    assert model_files.digest(model_files.find(str(copied))) == here
    weights = copied / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert model_files.digest(model_files.find(str(copied))) != here
    assert model_files.digest(model_files.find(str(tiny_models["sd-v"]))) != here


def test_fp16_files_are_taken_where_they_are_all_there_is_or_wanted(copied: Path) -> None:
    for part in ("unet", "vae", "text_encoder"):
        for weights in list((copied / part).glob("*.safetensors")):
            shutil.copy(weights, weights.with_suffix(".fp16.safetensors"))
    assert model_files.find(str(copied)).variant is None
    assert model_files.find(str(copied), half=True).variant == "fp16"
    for weights in copied.glob("*/*.safetensors"):
        if ".fp16." not in weights.name:
            weights.unlink()
    assert model_files.find(str(copied)).variant == "fp16"
    assert load(str(copied), "cpu", steps=1).size == 16


def test_pickles_are_refused(copied: Path, tmp_path: Path) -> None:
    for weights in (copied / "unet").glob("*.safetensors"):
        weights.rename(weights.with_suffix(".bin"))
    told = refusal(copied)
    assert "pickle" in told
    assert "safe_serialization" in told
    (tmp_path / "sd-v1-4.ckpt").write_bytes(b"\x80\x02")
    assert "pickle checkpoint" in refusal(tmp_path / "sd-v1-4.ckpt")
    (tmp_path / "sd.safetensors").write_bytes(b"")
    assert "from_single_file" in refusal(tmp_path / "sd.safetensors")


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (
            {"_class_name": "StableDiffusion3Pipeline", "transformer": ["diffusers", "SD3Transformer2DModel"]},
            "no U-Net",
        ),
        ({"_class_name": "FluxPipeline"}, "no U-Net"),
        ({"_class_name": "StableDiffusionInpaintPipeline", "unet": []}, "StableDiffusionInpaintPipeline"),
        ({"_class_name": ["pipeline", "Mine"]}, "custom pipeline"),
        ({}, "custom pipeline"),
        ({"_class_name": "StableDiffusionPipeline"}, "names no unet"),
        ({"_class_name": "StableDiffusionPipeline", "unet": ["unet_mine", "Mine"]}, "custom code is never run"),
        ({"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet3DConditionModel"]}, "UNet3D"),
    ],
)
def test_other_pipelines_are_refused(tmp_path: Path, index: dict[str, Any], words: str) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert words in refusal(tmp_path)


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("unet", {"in_channels": 9}, "inpainting"),
        ("unet", {"in_channels": 8}, "no plain text-to-image"),
        ("unet", {"time_cond_proj_dim": 256}, "distilled"),
        ("unet", {"num_class_embeds": 10}, "classes"),
        ("unet", {"addition_embed_type": "image"}, "image beside the text"),
        ("unet", {"sample_size": 10**9}, "1000000000"),
        ("unet", {"sample_size": [8, 16]}, "squares"),
        ("scheduler", {"prediction_type": "sample"}, "predicts sample"),
        ("scheduler", {"use_flow_sigmas": True}, "predicts flow"),
    ],
)
def test_other_unets_and_schedulers_are_refused(copied: Path, part: str, changes: dict[str, Any], words: str) -> None:
    edit(copied / part / ("scheduler_config.json" if part == "scheduler" else "config.json"), **changes)
    assert words in refusal(copied)


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    assert "it is empty" in refusal(tmp_path)
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(b"")
    assert "LoRA" in refusal(tmp_path)
    (tmp_path / "model_index.json").write_text("{")
    assert "no configuration" in refusal(tmp_path)
    assert "it is no folder" in refusal(tmp_path / "absent")
    assert "it is no folder" in refusal("sd14")


def test_missing_and_damaged_parts(copied: Path) -> None:
    weights = copied / "vae" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "cannot be loaded" in refusal(copied)
    weights.unlink()
    assert "no diffusion_pytorch_model.safetensors in vae" in refusal(copied)
    shutil.rmtree(copied / "unet")
    assert "cannot be read" in refusal(copied)


def test_weights_that_a_file_lacks_are_not_made_up(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = copied / "text_encoder" / "model.safetensors"
    tensors = load_file(weights)
    del tensors[next(name for name in tensors if "fc1.weight" in name)]
    save_file(tensors, weights, metadata={"format": "pt"})
    assert "text_encoder has" in refusal(copied)


def test_the_hub_is_asked_only_for_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def unreachable(name: str, file: str, revision: str | None = None) -> str:
        asked.append(name)
        raise ConnectionError("no route to the hub\nmore lines")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    told = refusal("somebody/some-model")
    assert "no route to the hub" in told
    assert "more lines" not in told
    assert asked == ["somebody/some-model"]
    refusal("./somebody/some-model")
    refusal("a/b/c")
    assert len(asked) == 1


def test_the_hub_gives_settings_first_and_only_what_is_needed(
    tiny_models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    source, snapshot, fetched = tiny_models["sd"], tmp_path / "0123abc", []
    names = [p.relative_to(source).as_posix() for p in sorted(source.rglob("*")) if p.is_file()]

    def download(name: str, file: str, revision: str | None = None) -> str:
        fetched.append(file)
        assert revision == (None if file == "model_index.json" else "0123abc")
        (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
        return str(shutil.copy(source / file, snapshot / file))

    def listing(_self: Any, name: str, revision: str) -> list[str]:
        return [*names, "unet/diffusion_pytorch_model.bin", "safety_checker/model.safetensors", "v1-4.ckpt", "evil.py"]

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", listing)
    model = load("somebody/some-model", "cpu", steps=1)
    assert sorted(fetched) == names
    assert [name.endswith(".safetensors") for name in fetched] == sorted(n.endswith(".safetensors") for n in fetched)
    assert model.digest == model_files.digest(model_files.find(str(source)))


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cpu:1", "cuda:99"])
def test_wrong_devices(tiny_models: Models, device: str) -> None:
    with pytest.raises(UsageError) as told:
        load(str(tiny_models["sd"]), device)
    assert "cpu" in told.value.hint


def test_wrong_numbers(tiny_models: Models) -> None:
    for wrong in ({"dtype": "fp8"}, {"dtype": "fp16"}, {"steps": 0}, {"steps": 1001}, {"guidance": float("nan")}):
        with pytest.raises(UsageError):
            load(str(tiny_models["sd"]), "cpu", **wrong)  # type: ignore[arg-type]


def test_precision_follows_the_device() -> None:
    assert devices.find_dtype(None, torch.device("cpu")) == torch.float32
    assert devices.find_dtype(None, torch.device("cuda")) == torch.float16
    assert devices.find_dtype("bf16", torch.device("cuda")) == torch.bfloat16
    assert devices.find_device("cpu").type == "cpu"


class Holder:
    """What in_batches wants of a model."""

    def __init__(self, batch: int) -> None:
        self.batch, self.device, self.restored = batch, torch.device("cpu"), 0

    def restore(self) -> None:
        self.restored += 1


def test_batches_shrink_and_stay_small() -> None:
    owner, seen = Holder(8), []

    def work(start: int, stop: int) -> list[int]:
        seen.append(stop - start)
        if stop - start > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(range(start, stop))

    assert [i for part in devices.in_batches(owner, 7, work) for i in part] == list(range(7))
    assert seen == [7, 3, 3, 1]
    assert (owner.batch, owner.restored) == (3, 1)


@pytest.mark.parametrize("share", [1, 2, 1 / 8])
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("x"), MemoryError(), RuntimeError("MPS backend out of memory")]
)
def test_one_that_does_not_fit_is_told(error: BaseException, share: float) -> None:
    def work(start: int, stop: int) -> None:
        raise error

    with pytest.raises(devices.OutOfMemory) as told:
        devices.in_batches(Holder(16), 40, work, share)
    assert told.value.hint


def test_other_errors_are_not_swallowed() -> None:
    def work(start: int, stop: int) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        devices.in_batches(Holder(4), 4, work)
