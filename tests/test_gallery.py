"""Pictures for a page: read from inside the audit only, training pictures only when asked for, and outlined."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from memaudit.errors import UsageError
from memaudit.gallery import gallery
from memaudit.outline import GRID, alike, coarse, outline
from memaudit.report.summary import summary
from tests.report.synthetic import SHAW, TOTALS, captions, clusters, write_audit
from tests.report.verified import sampled, verify

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit

Image = pytest.importorskip("PIL.Image")
FINGERPRINT = "3f9a21c07d5e4b18"


def picture(seed: int, size: int = 64) -> np.ndarray:
    """Blocks of random colours."""
    return np.repeat(
        np.repeat(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8), size // 8, 0), size // 8, 1
    )


def png(pixels: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def sample(path: str, seed: int, near: str | None = "4.png") -> dict[str, Any]:
    return {
        "fingerprint": FINGERPRINT, "model": "m", "prompt_kind": "caption", "prompt": SHAW[0], "seed": seed,
        "path": path, "copied": "verbatim", "distance": 0.1, "nearest_image": near,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def audited(folder: Path, samples: list[dict[str, Any]]) -> Audit:
    audit = write_audit(folder / "audit", captions(), clusters(), TOTALS)
    return verify(audit, [sampled(FINGERPRINT, "verbatim", 2, 4, 0.1, 0.9, model="m")], [], samples)


def cards(audit: Audit) -> list[dict[str, Any]]:
    return list(summary(audit, 20, 100)["cards"])


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_generated_pictures_are_embedded_and_seeds_outline_what_they_share(folder: Path) -> None:
    audit = audited(folder, [sample(f"samples/{i}.png", i) for i in range(3)])
    shared = picture(0)
    (audit.folder / "samples").mkdir()
    for i in range(3):
        own = shared.copy()
        own[32:] = 90 * i  # the upper half is common to all
        (audit.folder / "samples" / f"{i}.png").write_bytes(png(own))
    found = gallery(audit, cards(audit))
    assert set(found.generated) == {f"samples/{i}.png" for i in range(3)} and not found.training
    one = found.generated["samples/1.png"]
    assert one.size == 64 and pixels(one.data).shape == (64, 64, 3)
    assert one.outline and not one.whole
    ys = [
        float(point.split(" ")[1])
        for point in one.outline.strip("MZ").replace("Z", "L").replace("M", "").split("L")
        if point
    ]
    assert min(ys) == 0 and abs(max(ys) - GRID / 2) <= GRID / 16  # half of it, but for the window


def test_nothing_outside_the_audit_is_read(folder: Path) -> None:
    (folder / "secret.png").write_bytes(png(picture(1)))
    samples = [
        sample(path, i) for i, path in enumerate(("../secret.png", str(folder / "secret.png"), "samples/link.png"))
    ]
    audit = audited(
        folder, [*samples, sample("samples/gone.png", 7), sample("samples/zero\x00.png", 8), sample("m.json", 9)]
    )
    (audit.folder / "samples").mkdir()
    (audit.folder / "samples" / "link.png").symlink_to(folder / "secret.png")
    (audit.folder / "m.json").write_text("{}")
    found = gallery(audit, cards(audit))
    assert not found.generated
    assert "3 generated pictures are not shown: their path leads out of the audit." in found.told


def with_training(folder: Path) -> Audit:
    """An audit of a folder of pictures, whose captions are those of the synthetic one."""
    audit = audited(folder, [sample("samples/0.png", 0, near="https://shop.example/5.jpg")])
    (audit.folder / "samples").mkdir()
    (audit.folder / "samples" / "0.png").write_bytes(png(picture(5)))
    root = folder / "pictures"
    root.mkdir()
    (root / "5.jpg").write_bytes(png(picture(5)))
    for i in (6, 7, 8, 9):
        (root / f"{i}.jpg").write_bytes(png(picture(i)))
    return audit


def test_training_pictures_only_when_asked_for(folder: Path) -> None:
    audit = with_training(folder)
    assert not gallery(audit, cards(audit)).training
    found = gallery(audit, cards(audit), True, str(folder / "pictures"))
    [(key, near)] = found.training.items()
    assert key == (FINGERPRINT, "https://shop.example/5.jpg")
    assert np.abs(pixels(near.data).mean(axis=(0, 1)) - picture(5).mean(axis=(0, 1))).max() < 5
    assert found.generated["samples/0.png"].whole  # it is that picture
    assert found.asked and found.told[0].startswith("Training pictures: files in")


def test_what_is_missing_is_told(folder: Path) -> None:
    audit = with_training(folder)
    (folder / "pictures" / "5.jpg").unlink()
    found = gallery(audit, cards(audit), True, str(folder / "pictures"))
    assert not found.training and "1 nearest training pictures were not found." in found.told
    with pytest.raises(UsageError, match="is no folder"):
        gallery(audit, cards(audit), True, str(folder / "elsewhere"))


def test_without_pillow_files_are_embedded_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = audited(folder, [sample("samples/0.png", 0)])
    (audit.folder / "samples").mkdir()
    data = png(picture(1))
    (audit.folder / "samples" / "0.png").write_bytes(data)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert gallery(audit, cards(audit)).generated["samples/0.png"].data == data
    with pytest.raises(UsageError, match="needs the extra"):
        gallery(audit, cards(audit), training=True)


def test_a_large_picture_shrinks_and_loses_its_metadata(folder: Path) -> None:
    audit = audited(folder, [sample("samples/0.jpg", 0)])
    (audit.folder / "samples").mkdir()
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Image.fromarray(picture(1, 800)).save(audit.folder / "samples" / "0.jpg", exif=exif)
    found = gallery(audit, cards(audit)).generated["samples/0.jpg"]
    assert found.size == 256 and found.data.startswith(b"\xff\xd8\xff")
    assert b"taken at home" not in found.data and len(found.data) < 60_000


# Outlines


def area(path: str) -> float:
    """Of the polygons of a path, by the shoelace formula; holes count against."""
    total = 0.0
    for polygon in path.split("Z")[:-1]:
        points = [tuple(map(float, point.split())) for point in polygon[1:].split("L")]
        total += sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True)) / 2
    return total


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 12)).map(lambda n: (n[0], n[0]))))
def test_an_outline_encloses_exactly_the_mask(mask: np.ndarray) -> None:
    side = len(mask)
    assert area(outline(mask, side)) == mask.sum()
    assert outline(mask, side).count("M") == outline(mask, side).count("Z")


def test_outlines_by_hand() -> None:
    mask = np.zeros((4, 4), np.bool_)
    assert outline(mask) == ""
    mask[1:3, 1] = True
    assert outline(mask, 4) == "M1 1L2 1L2 3L1 3Z"
    assert outline(np.ones((64, 64), np.bool_)) == "M0 0L32 0L32 32L0 32Z"
    touching = np.eye(2, dtype=np.bool_)
    assert outline(touching, 2) == "M0 0L1 0L1 1L0 1ZM1 1L2 1L2 2L1 2Z"  # two squares, not one knot


def test_a_coarse_mask_is_the_majority() -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[:32, :33] = True
    assert np.array_equal(coarse(mask, 2), [[True, False], [False, False]])
    assert coarse(np.ones((50, 50), np.bool_), 32).all()


def test_alike_is_a_mean_around_each_pixel() -> None:
    a = np.full((16, 16, 3), 100, np.uint8)
    b = a.copy()
    assert alike(a, b).all()
    b[:, 8:] = 200
    same = alike(a, b)
    assert same[:, :7].all() and not same[:, 8:].any() and not same[:, 7].any()  # one column of three differs there
