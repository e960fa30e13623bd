"""Descriptors and the search for the nearest."""

from __future__ import annotations

import hashlib
import io
import sys
import types
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from memaudit.errors import BadInput, UsageError
from memaudit.verify import descriptors
from memaudit.verify.descriptors import ColoursAndGradients, nearest, open_descriptor

torch = pytest.importorskip("torch")


def scenes(n: int, size: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(n):
        low = Image.fromarray((rng.random((5, 5, 3)) * 255).astype(np.uint8))
        image = low.resize((size, size), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(image)
        for x, y, r, *colour in rng.integers(0, 255, (6, 6)).tolist():
            x, y, r = x * size // 255, y * size // 255, size // 16 + r * size // 1200
            draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(colour))
        pictures.append(np.asarray(image))
    return np.stack(pictures)


def as_jpeg(picture: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("size", [32, 100, 256])
def test_the_built_in_descriptor_tells_copies_from_others(size: int) -> None:
    pictures = scenes(20, size)
    vectors = ColoursAndGradients().describe(pictures)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors.dtype == np.float32
    between = (vectors @ vectors.T)[~np.eye(20, dtype=bool)]
    copies = (ColoursAndGradients().describe(np.stack([as_jpeg(p) for p in pictures])) * vectors).sum(axis=1)
    assert between.max() < 0.5 < 0.7 < copies.min()


def test_pictures_without_contrast_are_alike_and_unlike_others() -> None:
    flat = np.stack([np.full((16, 16, 3), 7, np.uint8), np.full((16, 16, 3), 250, np.uint8), scenes(1, 16)[0]])
    vectors = ColoursAndGradients().describe(flat)
    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=1e-4)
    assert abs(vectors[0] @ vectors[2]) < 0.1
    assert ColoursAndGradients().describe(flat[:0]).shape == (0, 705)


def test_nearest_is_exact_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(5, 16)).astype(np.float32), rng.normal(size=(53, 16)).astype(np.float32)
    products = queries @ gallery.T
    order = np.argsort(-products, axis=1)[:, :4]
    for chunk, given in ((1000, gallery), (7, gallery), (10, [gallery[:20], gallery[20:21], gallery[21:]])):
        monkeypatch.setattr(descriptors, "CHUNK", chunk)
        similarity, index = nearest(queries, given, 4)
        np.testing.assert_array_equal(index, order)
        np.testing.assert_allclose(similarity, np.take_along_axis(products, order, axis=1), atol=1e-5)


def test_nearest_among_few() -> None:
    one = np.eye(3, dtype=np.float32)
    assert nearest(one, one, 9)[1].shape == (3, 3)
    assert nearest(one, np.concatenate([one, one]), 2)[1].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert nearest(one[:0], one, 2)[0].shape == (0, 0)
    assert nearest(one, one[:0], 2)[0].shape == (3, 0)


class _Pooled(torch.nn.Module):
    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(pictures, 4).flatten(1)


def saved(module: Any, path: Any) -> str:
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(module), str(path))
    return str(path)


def test_torchscript_by_path_with_a_warning_and_its_hash(tmp_path) -> None:
    path = saved(_Pooled(), tmp_path / "copy.torchscript.pt")
    told: list[str] = []
    descriptor = open_descriptor(path, warn=told.append)
    assert len(told) == 1 and "runs as code" in told[0]
    assert descriptor.digest == hashlib.sha256((tmp_path / "copy.torchscript.pt").read_bytes()).hexdigest()
    assert (descriptor.name, descriptor.copy_cut) == ("copy.torchscript.pt", 0.5)
    pictures = scenes(40, 64)
    vectors = descriptor.describe(pictures)
    assert vectors.shape == (40, 48)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    plain = descriptor.describe(np.full((1, 50, 50, 3), (90, 160, 30), np.uint8))[0]
    channels = np.repeat((np.array([90, 160, 30]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], 16)
    np.testing.assert_allclose(plain, channels / np.linalg.norm(channels), atol=1e-5)


def test_without_a_path_the_built_in_one() -> None:
    assert isinstance(open_descriptor(), ColoursAndGradients)


def test_files_that_are_no_network(tmp_path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"PK not really")
    torch.save({"w": torch.zeros(2)}, tmp_path / "state.pt")
    for name in ("weights.pt", "state.pt"):
        with pytest.raises(BadInput, match="is no TorchScript"):
            open_descriptor(str(tmp_path / name))
    with pytest.raises(BadInput, match="cannot read"):
        open_descriptor(str(tmp_path / "gone.pt"))
    with pytest.raises(UsageError, match="of no known kind"):
        open_descriptor("sscd.bin")


class _Broken(torch.nn.Module):
    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.flatten(1)[:, :4] * float("nan")


class _Picky(torch.nn.Module):
    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.reshape(5, 5)


def test_a_network_that_describes_nothing(tmp_path) -> None:
    with pytest.raises(BadInput, match="does not describe"):
        open_descriptor(saved(_Broken(), tmp_path / "a.pt")).describe(scenes(1, 32))
    with pytest.raises(BadInput, match="cannot describe"):
        open_descriptor(saved(_Picky(), tmp_path / "b.pt")).describe(scenes(1, 32))


def test_onnx_without_its_runtime(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sscd.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError) as caught:
        open_descriptor(str(tmp_path / "sscd.onnx"))
    assert "onnxruntime is not installed" in caught.value.why


@pytest.mark.parametrize(
    ("kind", "shape"), [("tensor(uint8)", ["n", "h", "w", 3]), ("tensor(float)", [1, 3, 288, 288])]
)
def test_onnx_gets_what_it_asks_for(tmp_path, monkeypatch: pytest.MonkeyPatch, kind: str, shape: list[Any]) -> None:
    seen = []

    class Session:
        def __init__(self, path: str, providers: list[str]) -> None: ...

        def get_inputs(self) -> list[Any]:
            return [types.SimpleNamespace(name="image", type=kind, shape=shape)]

        def get_outputs(self) -> list[Any]:
            return [types.SimpleNamespace(name="embedding")]

        def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
            assert names == ["embedding"]
            seen.append(given["image"])
            return [given["image"].reshape(len(given["image"]), -1)[:, :6].astype(np.float32) + 1]

    (tmp_path / "sscd.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", types.SimpleNamespace(InferenceSession=Session))
    vectors = open_descriptor(str(tmp_path / "sscd.onnx")).describe(scenes(3, 40))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    wanted = [(np.uint8, (3, 288, 288, 3))] if kind == "tensor(uint8)" else [(np.float32, (1, 3, 288, 288))] * 3
    assert [(given.dtype, given.shape) for given in seen] == wanted
