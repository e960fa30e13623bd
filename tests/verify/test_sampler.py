"""Pictures hang on prompt and seed alone, whatever the batch, scheduler or family; calls are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from memaudit.verify.devices import OutOfMemory  # noqa: E402
from memaudit.verify.models import load  # noqa: E402
from memaudit.verify.sampler import NotFinite, sample  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.verify.models import Model

PROMPTS = ["low cat", "low cat", "red er", "x 12", "low"]
SEEDS = [3, 4, 3, 2**40, 0]


@pytest.fixture(params=["sd", "sd-v", "sdxl"])
def model(request: pytest.FixtureRequest, tiny_models: dict[str, Path]) -> Model:
    return load(str(tiny_models[request.param]), "cpu", steps=4)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal but for the rounding of sums."""
    return bool(np.abs(a.astype(int) - b.astype(int)).max() <= 1)


def test_a_picture_does_not_hang_on_its_batch(model: Model) -> None:
    together = sample(model, PROMPTS, SEEDS)
    assert together.pictures.shape == (5, 16, 16, 3)
    assert together.pictures.dtype == np.uint8
    assert together.region is not None
    assert together.region.shape == (5, 8, 8)
    assert together.region.dtype == np.float32
    model.batch = 2
    in_pairs = sample(model, PROMPTS, SEEDS)
    alone = sample(model, PROMPTS[3:4], SEEDS[3:4])
    assert close(together.pictures, in_pairs.pictures)
    assert close(together.pictures[3:4], alone.pictures)
    assert in_pairs.region is not None
    np.testing.assert_allclose(together.region, in_pairs.region, rtol=1e-3, atol=1e-5)


def test_the_same_again_is_the_same_to_the_bit(model: Model) -> None:
    first, second = (sample(model, PROMPTS, SEEDS) for _ in range(2))
    assert np.array_equal(first.pictures, second.pictures)
    assert np.array_equal(first.region, second.region)  # type: ignore[arg-type]
    assert not np.array_equal(first.pictures[0], first.pictures[1])  # another seed


def test_pictures_are_those_of_the_pipeline_itself(model: Model) -> None:
    ours = sample(model, ["low cat"], [7]).pictures
    theirs = model.pipe(
        "low cat",
        num_inference_steps=4,
        guidance_scale=model.guidance,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
    ).images
    assert close(ours, (theirs * 255).round().astype(np.uint8))


def test_calls_are_counted(model: Model) -> None:
    sample(model, PROMPTS, SEEDS)
    assert model.calls == 5 * 4 * 2
    sample(model, PROMPTS[:1], SEEDS[:1], region=False)
    assert model.calls == 6 * 4 * 2
    assert not model.pipe.unet._forward_hooks or len(model.pipe.unet._forward_hooks) == 1  # the counter stays


def test_without_guidance_there_is_half_the_work_and_no_region(tiny_models: dict[str, Path]) -> None:
    model = load(str(tiny_models["sd"]), "cpu", steps=4, guidance=1)
    drawn = sample(model, PROMPTS, SEEDS)
    assert model.calls == 5 * 4
    assert drawn.region is None
    assert sample(model, [], []).pictures.shape == (0, 16, 16, 3)


def test_the_region_is_the_difference_at_the_last_step(tiny_models: dict[str, Path]) -> None:
    """By hand: the last call's predictions, halved, subtracted, squared, summed over channels."""
    model = load(str(tiny_models["sd"]), "cpu", steps=3)
    seen: list[np.ndarray] = []
    hook = model.pipe.unet.register_forward_hook(lambda _m, _i, out: seen.append(out[0].numpy()))
    drawn = sample(model, ["low cat", "red"], [0, 1])
    hook.remove()
    assert len(seen) == 3
    np.testing.assert_allclose(drawn.region, ((seen[-1][2:] - seen[-1][:2]) ** 2).sum(axis=1), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers with numpy 2
@pytest.mark.parametrize(
    "scheduler",
    [
        "DDIMScheduler",
        "EulerDiscreteScheduler",
        "EulerAncestralDiscreteScheduler",
        "DPMSolverMultistepScheduler",
        "PNDMScheduler",
        "HeunDiscreteScheduler",
        "DDPMScheduler",
    ],
)
@pytest.mark.parametrize("kind", ["sd", "sd-v", "sdxl"])
def test_any_scheduler_samples(tiny_models: dict[str, Path], tmp_path: Path, kind: str, scheduler: str) -> None:
    import shutil

    folder = shutil.copytree(tiny_models[kind], tmp_path / "model")
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    getattr(diffusers, scheduler).from_config(pipe.scheduler.config).save_pretrained(folder / "scheduler")
    _rename(folder, scheduler)
    model = load(str(folder), "cpu", steps=4)
    assert model.describe()["scheduler"] == scheduler
    drawn = sample(model, PROMPTS[:3], SEEDS[:3])
    model.batch = 1
    assert close(drawn.pictures, sample(model, PROMPTS[:3], SEEDS[:3]).pictures)
    assert drawn.region is not None
    assert np.isfinite(drawn.region).all()


def _rename(folder: Path, scheduler: str) -> None:
    import json

    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "scheduler": ["diffusers", scheduler]}))


def test_memory_that_runs_out_makes_batches_smaller(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sample(model, PROMPTS, SEEDS)
    forward = model.pipe.unet.forward

    def small(latents: Any, *args: Any, **more: Any) -> Any:
        if len(latents) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(latents, *args, **more)

    monkeypatch.setattr(model.pipe.unet, "forward", small)
    drawn = sample(model, PROMPTS, SEEDS)
    assert model.batch == 2
    assert close(expected.pictures, drawn.pictures)


def test_memory_too_small_for_one_picture(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **more: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.pipe.vae, "decode", never)
    with pytest.raises(OutOfMemory):
        sample(model, PROMPTS, SEEDS)
    assert len(model.pipe.unet._forward_hooks) == 1


def test_a_vae_left_in_fp32_is_put_back(tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(str(tiny_models["sdxl"]), "cpu", "bf16", steps=1)
    decode, failed = model.pipe.vae.decode, []

    def once(*args: Any, **more: Any) -> Any:
        if not failed:
            failed.append(model.pipe.vae.to(torch.float32))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(*args, **more)

    monkeypatch.setattr(model.pipe.vae, "decode", once)
    assert len(sample(model, PROMPTS, SEEDS).pictures) == 5


def test_numbers_that_overflow_are_no_pictures(tiny_models: dict[str, Path]) -> None:
    model = load(str(tiny_models["sd"]), "cpu", steps=2)
    model.pipe.vae.decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(NotFinite):
        sample(model, ["low"], [0])


def test_long_prompts_are_noted(model: Model) -> None:
    drawn = sample(model, ["low cat", "x" * 22, "x" * 23, "x " * 100_000], [0, 0, 0, 0])
    assert drawn.truncated.tolist() == [False, False, True, True]


def test_embeddings_are_computed_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, asked = model.pipe.encode_prompt, []

    def counted(*args: Any, **more: Any) -> Any:
        if more.get("prompt") is not None:
            asked.append(more["prompt"])
        return encode(*args, **more)

    monkeypatch.setattr(model.pipe, "encode_prompt", counted)
    sample(model, PROMPTS, SEEDS)
    sample(model, PROMPTS, SEEDS)
    assert sorted(asked) == ["", "low", "low cat", "red er", "x 12"]
