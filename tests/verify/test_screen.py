"""The screen counts its calls, agrees with the formula by hand, and clears nothing unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from memaudit.verify import screen, signals  # noqa: E402
from memaudit.verify.devices import OutOfMemory  # noqa: E402
from memaudit.verify.models import load  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.verify.models import Model

PROMPTS = ["low cat", "red er", "low cat", ""]
SEEDS = [0, 1, 2, 3]


@pytest.fixture(params=["sd", "sd-v", "sdxl"])
def model(request: pytest.FixtureRequest, tiny_models: dict[str, Path]) -> Model:
    return load(str(tiny_models[request.param]), "cpu", steps=10)


def test_the_unconditional_prediction_is_shared_by_all_prompts(model: Model) -> None:
    screen.magnitudes(model, PROMPTS, SEEDS)
    assert model.calls == len(PROMPTS) * 4 + 4
    screen.magnitudes(model, ["x"], SEEDS[:2])
    assert model.calls == len(PROMPTS) * 4 + 4 + 2


def test_magnitude_by_hand(tiny_models: dict[str, Path]) -> None:
    """The U-Net called directly, on noise of the seed, at the first timestep of 10 leading ones: 901."""
    model = load(str(tiny_models["sd"]), "cpu", steps=10)
    found = screen.magnitudes(model, ["low cat"], [5, 6])
    pipe, norms = model.pipe, []
    with torch.no_grad():
        hidden, empty = pipe.encode_prompt("low cat", "cpu", 1, True)
        for seed in (5, 6):
            x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
            e_c, e_0 = (pipe.unet(x, 901, encoder_hidden_states=h).sample for h in (hidden, empty))
            norms.append((e_c - e_0).norm().item())
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx([sum(norms) / 2], rel=1e-5)


def test_v_prediction_is_scaled_by_the_noise_schedule(tiny_models: dict[str, Path]) -> None:
    """The two tiny models differ in what their scheduler calls the same output."""
    noise, v = (load(str(tiny_models[kind]), "cpu", steps=10) for kind in ("sd", "sd-v"))
    ratio = screen.magnitudes(v, PROMPTS[:2], SEEDS) / screen.magnitudes(noise, PROMPTS[:2], SEEDS)
    assert ratio == pytest.approx(float(noise.pipe.scheduler.alphas_cumprod[901]) ** 0.5, rel=1e-4)


def test_equal_prompts_score_alike_and_the_empty_one_nothing(model: Model) -> None:
    found = screen.magnitudes(model, PROMPTS, SEEDS)
    assert found[0] == pytest.approx(found[2], rel=1e-4)
    if model.family == "sd":  # SDXL contrasts with zeros, not with the empty prompt
        assert found[3] == pytest.approx(0, abs=1e-4)
    assert (found[:3] > 1e-4).all()


def test_neither_batches_nor_memory_change_the_values(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = screen.screen(model, PROMPTS[:3], SEEDS, anisotropy=True, agreement=True)
    model.unconditional.clear()
    forward = model.pipe.unet.forward

    def small(latents: Any, *args: Any, **more: Any) -> Any:
        if len(latents) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(latents, *args, **more)

    monkeypatch.setattr(model.pipe.unet, "forward", small)
    found = screen.screen(model, PROMPTS[:3], SEEDS, anisotropy=True, agreement=True)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_memory_too_small_for_one_row(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **more: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.pipe.unet, "forward", never)
    with pytest.raises(OutOfMemory):
        screen.magnitudes(model, PROMPTS, SEEDS)


def test_signals_on_demand(model: Model) -> None:
    plain = screen.screen(model, PROMPTS, SEEDS)
    assert plain.anisotropy is None
    assert plain.agreement is None
    calls = model.calls
    full = screen.screen(model, PROMPTS, SEEDS, anisotropy=True, agreement=True)
    assert model.calls - calls == 2 * 4 * 4 + 4  # again, and as much at the late timestep with its contrast
    assert full.anisotropy is not None
    assert full.agreement is not None
    assert full.magnitude == pytest.approx(plain.magnitude)
    assert (np.abs(full.anisotropy) <= 1).all()
    assert (full.agreement <= 1 + 1e-6).all()


def test_agreement_is_that_of_the_formula(tiny_models: dict[str, Path]) -> None:
    model = load(str(tiny_models["sd"]), "cpu", steps=10)
    x = torch.stack([model.noise(seed)[0] for seed in SEEDS])
    with torch.no_grad():
        d = model.predict(x, model.timesteps[0], [model.embed("red er")] * 4) - x
    found = screen.screen(model, ["red er"], SEEDS, agreement=True).agreement
    assert found == pytest.approx([signals.seed_agreement(d)], rel=1e-4)


def test_no_prompts(model: Model) -> None:
    assert screen.magnitudes(model, [], SEEDS).shape == (0,)
    assert screen.screen(model, [], SEEDS, agreement=True).agreement.shape == (0,)  # type: ignore[union-attr]


def test_the_threshold_is_one_of_the_controls() -> None:
    controls = np.arange(1, 101, dtype=np.float32)
    cut = screen.threshold(controls, 0.95)
    assert cut in controls
    assert (controls > cut).mean() <= 0.05
    assert screen.threshold(controls, 1) == 100
    assert screen.threshold(np.array([np.nan, 3]), 0.5) == 3


def test_without_controls_the_threshold_clears_nothing() -> None:
    assert screen.threshold(np.array([]), 0.95) == -np.inf
