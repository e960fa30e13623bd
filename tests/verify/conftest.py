"""Tiny models with random weights, written once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums are rounded alike in every test, and cores are left to others."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders by kind: sd (epsilon), sd-v (v-prediction), sdxl; 16 px, not to be written to."""
    pytest.importorskip("diffusers")
    from tests.verify import tiny

    folder = tmp_path_factory.mktemp("tiny")
    return {
        "sd": tiny.stable_diffusion(folder / "sd"),
        "sd-v": tiny.stable_diffusion(folder / "sd-v", "v_prediction"),
        "sdxl": tiny.stable_diffusion_xl(folder / "sdxl"),
    }
