"""Shares of the gradient by word: they sum to one, follow finite differences, and leave no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from memaudit.verify.devices import OutOfMemory  # noqa: E402
from memaudit.verify.models import load  # noqa: E402
from memaudit.verify.word_weights import word_weights, words_of  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.verify.models import Model

PROMPT = "Low cat, it's RED 12'"


@pytest.fixture(params=["sd", "sd-v", "sdxl"])
def model(request: pytest.FixtureRequest, tiny_models: dict[str, Path]) -> Model:
    return load(str(tiny_models[request.param]), "cpu", steps=10)


def test_shares_of_the_words_as_written(model: Model) -> None:
    weights = word_weights(model, PROMPT, [0, 1])
    assert [word for word, _ in weights] == ["Low", "cat,", "it's", "RED", "12'"]
    assert sum(share for _, share in weights) == pytest.approx(1)
    assert all(share > 0 for _, share in weights)


def test_no_trace_is_left(model: Model) -> None:
    with torch.no_grad():
        word_weights(model, PROMPT, [0])
    for part in (model.pipe.unet, model.pipe.text_encoder):
        assert not any(p.requires_grad or p.grad is not None for p in part.parameters())
    assert not model.pipe.text_encoder.get_input_embeddings()._forward_hooks
    assert torch.is_grad_enabled()
    assert not model.embed(PROMPT).hidden.requires_grad


def test_hooks_go_when_memory_runs_out(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **more: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    word_weights(model, PROMPT, [0])  # the contrast is known from now on
    monkeypatch.setattr(model.pipe.unet, "forward", never)
    with pytest.raises(OutOfMemory, match="gradient"):
        word_weights(model, PROMPT, [0])
    assert not model.pipe.text_encoder.get_input_embeddings()._forward_hooks


def test_seeds_apart_or_together_are_the_same(model: Model) -> None:
    model.batch = 32
    together = dict(word_weights(model, PROMPT, [0, 1, 2]))
    model.batch = 1
    assert dict(word_weights(model, PROMPT, [0, 1, 2])) == pytest.approx(together, rel=1e-3)


def test_the_gradient_is_that_of_finite_differences(tiny_models: dict[str, Path]) -> None:
    """Of a prompt of two tokens, in double precision: the magnitude when one number of an embedding moves by h."""
    model = load(str(tiny_models["sd"]), "cpu", steps=10)
    pipe, h = model.pipe.to(dtype=torch.float64), 1e-6
    model.dtype = torch.float64
    shift = torch.zeros(24, 16, dtype=torch.float64)
    hook = pipe.text_encoder.get_input_embeddings().register_forward_hook(lambda _m, _i, out: out + shift)
    x = model.noise(0)[0].double()[None]

    def magnitude() -> float:
        with torch.no_grad():
            hidden = model.encode("low cat").hidden
            e_c, e_0 = (
                pipe.unet(x, model.timesteps[0], encoder_hidden_states=one).sample
                for one in (hidden, model.embed_empty().hidden)
            )
        return float((e_c - e_0).norm())

    model.embed_empty()
    norms = []
    for token in (1, 2):
        slopes = []
        for i in range(16):
            shift[token, i] = h
            above = magnitude()
            shift[token, i] = -h
            slopes.append((above - magnitude()) / (2 * h))
            shift[token, i] = 0
        norms.append(sum(s * s for s in slopes) ** 0.5)
    hook.remove()
    shares = [share for _, share in word_weights(model, "low cat", [0])]
    assert shares == pytest.approx([norm / sum(norms) for norm in norms], rel=1e-3)


def test_words_that_are_not_read_have_no_weight(model: Model) -> None:
    weights = word_weights(model, "low " * 22 + "cat red", [0])
    assert [word for word, _ in weights] == ["low"] * 22
    assert word_weights(model, "", [0]) == []
    assert word_weights(model, "  \n ", [0]) == []


def test_a_prompt_that_changes_nothing(tiny_models: dict[str, Path]) -> None:
    model = load(str(tiny_models["sd"]), "cpu", steps=10)
    model.pipe.unet.conv_out.weight.zero_()
    assert word_weights(model, "low cat", [0]) == [("low", 0.0), ("cat", 0.0)]


def test_half_precision_works(tiny_models: dict[str, Path]) -> None:
    model = load(str(tiny_models["sd"]), "cpu", "bf16", steps=10)
    assert sum(share for _, share in word_weights(model, PROMPT, [0])) == pytest.approx(1)


class Odd:
    """A tokenizer that cuts a whole prompt otherwise than its words."""

    def __call__(self, text: Any, add_special_tokens: bool) -> Any:  # noqa: ARG002
        ids = [1, 2, 3] if isinstance(text, str) else [[9]] * len(text)
        return type("Encoded", (), {"input_ids": ids})

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:  # noqa: ARG002
        return ["lo", "w</w>", "cat</w>"]


def test_words_by_the_tokens_that_end_them() -> None:
    words, owners = words_of(Odd(), "Lōw cat")
    assert [words[i] for i in owners] == ["low", "low", "cat"]
