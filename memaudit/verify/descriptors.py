"""Descriptors: a picture as one vector, so that the nearest of many is found by inner products."""

from __future__ import annotations

import hashlib
import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image

from memaudit.errors import BadInput, UsageError
from memaudit.sources import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CELLS = 8  # a side
BINS = 8  # directions of a gradient
SIDE = 64  # pixels a side on which gradients are taken
FLAT = 0.05  # contrast, as a norm, that counts for little: noise on a plain ground is no picture
FAINT = 0.01  # gradients below this, of grey in [0, 1] a pixel, are noise
SSCD_SIDE = 288
BATCH = 32  # pictures that a network sees at once
CHUNK = 1 << 18  # vectors of a gallery that are searched at once
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # ImageNet's
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Descriptor(Protocol):
    """Pictures -> vectors whose inner product is high for copies."""

    name: str
    digest: str | None  # SHA-256 of the file that it came from
    copy_cut: float | None  # inner product above which its authors speak of a copy; None: it only proposes

    def describe(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (n, H, W, 3) -> float32 (n, d) of unit norm."""
        ...


class ColoursAndGradients:
    """The built-in descriptor: 8 x 8 colours and 8 x 8 histograms of gradients. It proposes the nearest picture and is
    weak on crops and flips."""

    name = "colours+gradients"
    digest: str | None = None
    copy_cut: float | None = None

    def describe(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (n, H, W, 3), any size -> float32 (n, 705) of unit norm; costs about a millisecond a picture.

        Both halves count the same and are centred, so that pictures that have nothing in common come out near 0. The
        last value holds what is left of a picture without contrast.
        """
        vectors = np.empty((len(pictures), CELLS * CELLS * (3 + BINS) + 1), np.float32)
        for at, picture in enumerate(pictures):
            small = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BOX)
            pixels = np.asarray(small, np.float32) / np.float32(255)
            colours = pixels.reshape(CELLS, SIDE // CELLS, CELLS, SIDE // CELLS, 3).mean(axis=(1, 3))
            vectors[at] = np.concatenate([_even(colours - colours.mean((0, 1))), _even(_gradients(pixels)), [FLAT]])
        return _unit(vectors)


def _gradients(pixels: np.ndarray) -> np.ndarray:
    """Histograms of gradients, by cell and direction, less their mean over cells: float32 (CELLS * CELLS, BINS)."""
    grey = pixels.mean(axis=-1)
    down, right = np.gradient(grey)
    direction = ((np.arctan2(down, right) / (2 * np.pi) + 1) * BINS).astype(np.int64) % BINS
    cell = np.arange(SIDE) * CELLS // SIDE
    where = (cell[:, None] * CELLS + cell) * BINS + direction
    strength = np.hypot(down, right)
    strength[strength < FAINT] = 0
    sums = np.bincount(where.ravel(), strength.ravel(), CELLS * CELLS * BINS)
    histograms = np.sqrt(sums.reshape(-1, BINS)).astype(np.float32)  # one strong edge must not drown the rest
    centred: np.ndarray = histograms - histograms.mean(axis=0)
    return centred


def _even(part: np.ndarray) -> np.ndarray:
    flat = part.ravel()
    scaled: np.ndarray = flat / (np.linalg.norm(flat) + FLAT)
    return scaled


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)


def open_descriptor(
    path: str | None = None, device: str = "cpu", warn: Callable[[str], None] = lambda _: None
) -> Descriptor:
    """The built-in descriptor, or the copy detector in a file: TorchScript (.pt, .torchscript) or ONNX (.onnx).

    warn: is told, before it happens, that a TorchScript file runs as code. Raises UsageError where the file's kind or
    its runtime is missing, BadInput where it is no such network.
    """
    if path is None:
        return ColoursAndGradients()
    suffix = Path(path).suffix.lower()
    if suffix not in (".pt", ".pth", ".torchscript", ".onnx"):
        why = "a descriptor is a TorchScript (.pt) or an ONNX (.onnx) file"
        raise UsageError(f"{shown(path)} is of no known kind", why, "leave it out for the built-in descriptor")
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"cannot read {shown(path)}", error.strerror or "", "check the path") from error
    if suffix == ".onnx":
        return _Network(path, digest, _onnx(path))
    warn(f"{shown(path)} runs as code on this machine: use it only if you trust where it came from")
    return _Network(path, digest, _torchscript(path, device))


class _Network:
    """A network in a file, as a descriptor: SSCD (Pizzi et al., CVPR 2022) or one with its inputs and outputs."""

    copy_cut: float | None = 0.5  # Somepalli et al., CVPR 2023; .75 is 90 % precision on DISC

    def __init__(self, path: str, digest: str, run: Callable[[np.ndarray], np.ndarray]) -> None:
        self.name = shown(Path(path).name)
        self.digest: str | None = digest
        self._run = run

    def describe(self, pictures: np.ndarray) -> np.ndarray:
        parts = [self._run(pictures[at : at + BATCH]) for at in range(0, len(pictures), BATCH)]
        if not parts:
            return np.empty((0, 0), np.float32)
        vectors = np.concatenate(parts).astype(np.float32)
        if vectors.ndim != 2 or len(vectors) != len(pictures) or not np.isfinite(vectors).all():
            why = f"{len(pictures)} pictures gave an array of shape {vectors.shape}, or numbers that are not finite"
            raise BadInput(f"{self.name} does not describe pictures", why, "leave it out for the built-in descriptor")
        return _unit(vectors)


def _at_sscd_side(pictures: np.ndarray) -> np.ndarray:
    """uint8 (n, 288, 288, 3)."""
    if pictures.shape[1:3] == (SSCD_SIDE, SSCD_SIDE):
        return pictures
    size, how = (SSCD_SIDE, SSCD_SIDE), Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(picture).resize(size, how)) for picture in pictures])


def _as_imagenet(pictures: np.ndarray) -> np.ndarray:
    """float32 (n, 3, 288, 288), normalised by ImageNet's mean and deviation."""
    values = (_at_sscd_side(pictures).astype(np.float32) / np.float32(255) - _MEAN) / _DEVIATION
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _torchscript(path: str, device: str) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is being retired: the published files have no other form
        try:
            network: Any = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            hint = "use the file whose name ends in .torchscript.pt: a checkpoint of weights is not a network"
            raise BadInput(f"{shown(path)} is no TorchScript", shown(str(error).splitlines()[0])[:200], hint) from error
    network.eval()

    def run(pictures: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            try:
                found = network(torch.from_numpy(_as_imagenet(pictures)).to(device))
                return np.asarray(found.float().cpu().numpy())
            except (RuntimeError, AttributeError, TypeError) as error:
                raise _does_not_run(path, error) from error

    return run


def _onnx(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """A network that takes uint8 (n, H, W, 3), or float32 (n, 3, 288, 288) normalised as ImageNet's."""
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")  # no dependency: who has such a file has it
    except ImportError as error:
        why = "the package onnxruntime is not installed"
        raise UsageError(f"cannot open {shown(path)}", why, "pip install onnxruntime") from error
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes have no base but this one
        raise BadInput(f"{shown(path)} is no readable ONNX", shown(str(error))[:200], "download it again") from error
    given, output = session.get_inputs()[0], session.get_outputs()[0].name
    as_bytes, one_by_one = given.type == "tensor(uint8)", given.shape[0] == 1

    def run(pictures: np.ndarray) -> np.ndarray:
        values = _at_sscd_side(pictures) if as_bytes else _as_imagenet(pictures)
        pieces = [values[i : i + 1] for i in range(len(values))] if one_by_one else [values]
        try:
            return np.concatenate([np.asarray(session.run([output], {given.name: piece})[0]) for piece in pieces])
        except Exception as error:
            raise _does_not_run(path, error) from error

    return run


def _does_not_run(path: str, error: Exception) -> BadInput:
    what = f"{shown(path)} cannot describe a picture"
    return BadInput(what, shown(str(error).strip().splitlines()[-1:][0] if str(error).strip() else "")[:200])


def nearest(
    queries: np.ndarray, gallery: np.ndarray | Iterable[np.ndarray], k: int, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The k vectors of a gallery with the highest inner products, exactly.

    queries: float32 (n, d). gallery: float32 (m, d), which may be mapped from a file, or its pieces in order; searched
    in chunks of `CHUNK` vectors. Returns inner products float32 and positions int64, both (n, min(k, m)), best first,
    equals by position.
    """
    best = np.empty((len(queries), 0), np.float32)
    index = np.empty((len(queries), 0), np.int64)
    if not len(queries) or k < 1:
        return best, index
    import faiss

    faiss.omp_set_num_threads(threads)
    asked = np.ascontiguousarray(queries, np.float32)
    for first, chunk in _chunks(gallery):
        found, where = faiss.knn(
            asked, np.ascontiguousarray(chunk, np.float32), min(k, len(chunk)), metric=faiss.METRIC_INNER_PRODUCT
        )
        best, index = np.concatenate([best, found], axis=1), np.concatenate([index, where + first], axis=1)
        order = np.lexsort((index, -best))[:, :k]
        best, index = np.take_along_axis(best, order, axis=1), np.take_along_axis(index, order, axis=1)
    return best, index


def _chunks(gallery: np.ndarray | Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Position of the first vector, and up to `CHUNK` vectors."""
    first = 0
    for piece in [gallery] if isinstance(gallery, np.ndarray) else gallery:
        for start in range(0, len(piece), CHUNK):
            chunk = piece[start : start + CHUNK]
            yield first, chunk
            first += len(chunk)
