"""The published prompts, by a model of random weights and lists of four prompts: what is counted and what is told."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from PIL import Image  # noqa: E402

from memaudit.verify.decoding import Unusable  # noqa: E402
from tests.bench import verify_published as published  # noqa: E402
from tests.verify import tiny  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

MEMORISED = """;Caption;URL;type;mean_sscd;max_sscd;Index
0;red cat;https://example.com/a.jpg;VM;0.8;0.9;1
1;"low red; cat";https://example.com/b.jpg;TM;0.2;0.3;2
"""
OTHERS = """;Caption;URL;Index
0;a cat er;https://example.com/c.jpg;3
1;low low;https://example.com/d.jpg;4
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tiny.stable_diffusion(tmp_path_factory.mktemp("published") / "sd")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    for name, text in zip(published.LISTS, (MEMORISED, OTHERS), strict=True):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_list_is_read_as_it_is_published(lists: Path) -> None:
    assert published.read_list(lists / published.LISTS[0]) == [
        ("red cat", "https://example.com/a.jpg", "VM"),
        ("low red; cat", "https://example.com/b.jpg", "TM"),
    ]
    assert [p.label for p in published.read_list(lists / published.LISTS[1])] == ["unmemorised"] * 2


def test_separation_by_hand() -> None:
    other = np.arange(100.0)
    assert published.separation(np.array([98.5, 99.5]), other) == (pytest.approx((0.99 + 1) / 2), 0.5)


def run(model: Path, lists: Path, *more: str) -> dict[str, object]:
    words = [
        "--model",
        str(model),
        "--data",
        str(lists),
        "--device",
        "cpu",
        "--steps",
        "2",
        "--samples",
        "4",
        "--quiet",
    ]
    published.main([*words, "--output", str(lists / "out"), "--json", str(lists / "out.json"), *more])
    return json.loads((lists / "out.json").read_text())


def test_the_lists_are_judged_and_told(model: Path, lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(model, lists)
    told = capsys.readouterr()
    assert told.err.startswith("This needs a GPU and the network")
    assert {label: sum(counts.values()) for label, counts in out["verdicts"].items()} == {
        "VM": 1, "TM": 1, "unmemorised": 1,
    }  # fmt: skip
    assert "| VM | 1 |" in told.out
    assert ".992 / .944" in told.out
    assert f"{3 * 50 * 2 * 2:,}" in told.out
    again = run(model, lists)
    assert again["verdicts"] == out["verdicts"]
    assert again["calls"] == out["calls"]  # the journal counts, nothing is drawn again


def test_training_pictures_may_be_fetched(model: Path, lists: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(file, "PNG")

    def fetch(self: object, url: str) -> bytes:
        if url.endswith("b.jpg"):
            raise Unusable("HTTP 404")
        return file.getvalue()

    monkeypatch.setattr("memaudit.verify.download.Downloads.fetch", fetch)
    out = run(model, lists, "--download")
    sampled = [row for row in out["rows"] if row["verdict"] != "screened"]
    assert out["with pictures"] == sum(row["caption"] != "low red; cat" for row in sampled)


def test_without_a_gpu_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(published, "fetched", lambda _: pytest.fail("the network was asked"))
    with pytest.raises(SystemExit, match="no CUDA device"):
        published.main([])
    assert "CompVis/stable-diffusion-v1-4" in capsys.readouterr().err


def test_what_cannot_be_used_is_told(lists: Path) -> None:
    with pytest.raises(SystemExit, match="error: "):
        published.main(["--model", str(lists / "nowhere"), "--data", str(lists), "--device", "cpu", "--quiet"])
    (lists / published.LISTS[0]).write_text("a;b\n1;2\n")
    with pytest.raises(SystemExit, match="no column 'Caption'"):
        published.main(["--data", str(lists), "--device", "cpu", "--quiet"])
