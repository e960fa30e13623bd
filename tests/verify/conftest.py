"""Tiny models with random weights, written once."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from memaudit.store import Audit
    from tests.verify.audits import Sampler


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


@pytest.fixture(scope="session")
def _scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.verify import audits

    folder = tmp_path_factory.mktemp("small")
    captions, pictures = audits.dataset()
    audits.scanned(folder, captions, [audits.encoded(picture) for picture in pictures])
    return folder / "audit"


@pytest.fixture
def audit(_scanned: Path, tmp_path: Path) -> Audit:
    """A fresh copy of the audit of `audits.dataset`."""
    from memaudit.store import open_audit

    return open_audit(shutil.copytree(_scanned, tmp_path / "audit"))


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch) -> Sampler:
    """A sampler that copies, in place of the model's."""
    from tests.verify.audits import Sampler

    sampler = Sampler()
    monkeypatch.setattr("memaudit.verify.sampler.sample", sampler)
    return sampler
