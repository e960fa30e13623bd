"""The built-in world is what its README says: set, truth, pictures and model belong together, and it is small."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

WORLD = Path(__file__).parent.parent / "sample_data" / "world"
MOST_BYTES = 10_000_000
EDGE = 32

sys.path.insert(0, str(WORLD))
from draw import DECOY_TEMPLATES, DOSES, IMAGE_TEMPLATES, draw_world  # noqa: E402

drawn_world = functools.cache(draw_world)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return pl.read_parquet(WORLD / "captions.parquet").unnest("image")


@pytest.fixture(scope="module")
def truth() -> pl.DataFrame:
    return pl.read_parquet(WORLD / "truth.parquet")


def files() -> list[Path]:
    return [path for path in WORLD.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_small_and_safetensors_only() -> None:
    assert sum(path.stat().st_size for path in files()) < MOST_BYTES
    kinds = {path.suffix for path in files() if (WORLD / "model") in path.parents}
    assert kinds == {".json", ".safetensors"}


def test_columns(rows: pl.DataFrame, truth: pl.DataFrame) -> None:
    assert rows.schema == {
        "uid": pl.String,
        "caption": pl.String,
        "bytes": pl.Binary,
        "path": pl.String,
        "md5": pl.String,
    }
    assert truth.schema == {
        "caption": pl.String,
        "role": pl.String,
        "dose": pl.UInt32,
        "template": pl.String,
        "pictures": pl.List(pl.String),
    }
    assert rows["uid"].is_unique().all()
    assert truth["caption"].is_unique().all()


def test_truth_agrees_with_rows(rows: pl.DataFrame, truth: pl.DataFrame) -> None:
    counted = rows.group_by("caption").agg(pl.len().alias("n"), pl.col("path").unique().sort().alias("paths"))
    joined = truth.join(counted, on="caption", how="left")
    assert joined["dose"].to_list() == joined["n"].fill_null(0).to_list()
    assert [sorted(p) for p in joined["pictures"]] == [p or [] for p in joined["paths"].to_list()]
    assert len(counted) == (truth["dose"] > 0).sum()
    for role, dose, pictures in truth.select("role", "dose", pl.col("pictures").list.len()).iter_rows():
        expected = {"decoy": dose, "same_caption": dose, "held_out": 0, "unseen_filler": 0}.get(role, 1)
        assert pictures == expected, role


def test_roles(truth: pl.DataFrame) -> None:
    counts = dict(truth.group_by("role").len().iter_rows())
    assert counts == {
        "unique": 1000,
        "duplicate": 10,
        "dose": sum(DOSES.values()),
        "same_caption": 6,
        "held_out": 100,
        "image_template": 30,
        "unseen_filler": 30,
        "decoy": 30,
    }
    framed = truth.filter(pl.col("template").is_not_null())
    assert set(framed["template"]) == {t[1] for t in IMAGE_TEMPLATES} | {t for _, t in DECOY_TEMPLATES}
    for caption, template in framed.select("caption", "template").iter_rows():
        assert template.replace("<*>", "").strip() in caption


def test_one_path_one_picture(rows: pl.DataFrame) -> None:
    """Equal path, bytes and hash go together, and no two pictures of the set are alike by accident."""
    kinds = rows.select("path", "bytes", "md5").unique()
    assert len(kinds) == rows["path"].n_unique() == rows["bytes"].n_unique() == rows["md5"].n_unique()
    for content, md5 in kinds.select("bytes", "md5").iter_rows():
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5


def test_pictures_decode(rows: pl.DataFrame) -> None:
    from PIL import Image

    for content in rows["bytes"].unique():
        with Image.open(io.BytesIO(content)) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (EDGE, EDGE))
            picture.load()


def test_script_draws_these_captions(rows: pl.DataFrame) -> None:
    drawn = drawn_world(1, False, EDGE)
    assert [drawn.captions[c].text for c, _ in drawn.order] == rows["caption"].to_list()
    names = dict(zip([p for _, p in drawn.order], rows["path"], strict=True))
    assert [names[p] for _, p in drawn.order] == rows["path"].to_list()


@pytest.mark.slow
def test_exchange_swaps_repeated_and_unique() -> None:
    plain, exchanged = (drawn_world(1, exchange, EDGE).captions for exchange in (False, True))
    roles = {c.text: c.role for c in plain}, {c.text: c.role for c in exchanged}
    assert roles[0].keys() == roles[1].keys()
    for before, after in (("duplicate", "unique"), ("dose", "unique"), ("image_template", "unseen_filler")):
        assert {roles[1][text] for text, role in roles[0].items() if role == before} == {after}
        assert {roles[0][text] for text, role in roles[1].items() if role == before} == {after}


@pytest.mark.slow
def test_other_seed_is_another_world() -> None:
    one, two = ({c.text for c in drawn_world(seed, False, EDGE).captions} for seed in (1, 2))
    assert len(one & two) < len(one) / 20


def test_pipeline_loads_offline_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    index = json.loads((WORLD / "model" / "model_index.json").read_text(encoding="utf-8"))
    assert index["_class_name"] == "StableDiffusionPipeline"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of diffusers about itself
        import torch
        from measure import sample
        from model import load

        pipe = load(WORLD / "model")
    assert pipe.safety_checker is None
    assert {p.dtype for part in (pipe.unet, pipe.vae, pipe.text_encoder) for p in part.parameters()} == {torch.float32}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = sample(pipe, "a red cat", [7, 7, 8])
    assert made.shape == (3, EDGE, EDGE, 3)
    assert made.dtype == np.uint8
    assert np.abs(made[0].astype(int) - made[1]).max() <= 1
    assert np.abs(made[0].astype(int) - made[2]).mean() > 1
