"""Dense families that are harmless beside few that are not: stock tails, page furniture, openers of machine captions,
placeholder pictures, and synthetic picture columns of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from memaudit.audit import scan
from memaudit.config import ScanConfig

if TYPE_CHECKING:
    from pathlib import Path

SYLLABLES = "ba dor fen gil hum jor kel lam mor nup pel quor ras sen tib ul vam wex yor zan".split()
STOCK = ("{} royalty free stock photo", "{} stock vector art", "download {} wallpaper hd", "{} lizenzfreies bild")
PAGE = ("buy {} online", "{} thumbnail {n}", "load image into gallery viewer {}", "{} for sale price {n}")
OPENERS = ("the image features {long}", "this photo shows {long}", "the picture captures {long}")
SHOPS = ("{} quilted harbour throw pillow", "maplewood {} ceramic lantern {n} cm", "plush otter slippers in {}")
HARMLESS, DANGEROUS = ("TE02", "TE03", "TE04", "TE05", "PI01"), ("medium", "high")


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Captions, hosts and the number of their family; -1 for unique ones."""
    rng = np.random.default_rng(5)
    vocabulary = ["".join(rng.choice(SYLLABLES, 3)) for _ in range(4000)]
    common = 1 / np.arange(10, 4010)
    common /= common.sum()

    def words(least: int, most: int) -> str:
        return " ".join(rng.choice(vocabulary, int(rng.integers(least, most + 1)), p=common))

    captions, hosts, family = [], [], []
    for _ in range(4000):
        captions.append(words(5, 12))
        hosts.append(f"site{rng.integers(0, 400)}.example")
        family.append(-1)
    for number, frame in enumerate((*STOCK, *PAGE, *OPENERS, *SHOPS)):
        for _ in range(60 if frame in SHOPS else 150):
            captions.append(frame.format(words(1, 3), n=rng.integers(1, 99), long=words(8, 14)))
            hosts.append("shop.example" if frame in SHOPS or frame in PAGE else f"site{rng.integers(0, 40)}.example")
            family.append(number)
    return pl.DataFrame({"caption": captions, "host": hosts, "family": family})


def audited(frame: pl.DataFrame, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """FINDINGS, and by row its caption, family and the riskiest finding's rule, severity and risk."""
    frame.drop("family", "host").write_parquet(folder / "captions.parquet")
    audit = scan([str(folder / "captions.parquet")], folder / "audit", ScanConfig(threads=1)).audit
    findings = audit.frame("findings")
    held = audit.frame("clusters").join(findings.drop("text_id", "kind"), on="cluster_id")
    by_row = audit.frame("members").select("row", "text_id").join(held, on="text_id")
    best = by_row.sort("risk", "cluster_id").group_by("row", maintain_order=True).last()
    told = frame.with_row_index("row").join(best.with_columns(pl.col("row").cast(pl.UInt32)), on="row", how="left")
    return findings, told.with_columns(pl.col("risk").fill_null(0.0))


@pytest.fixture(scope="module")
def told(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    url = "https://" + rows["host"] + "/" + pl.Series(map(str, range(len(rows)))) + ".jpg"
    return audited(rows.with_columns(url=url), tmp_path_factory.mktemp("boilerplate"))[1]


def families(told: pl.DataFrame, frames: tuple[str, ...]) -> list[pl.DataFrame]:
    names = (*STOCK, *PAGE, *OPENERS, *SHOPS)
    return [told.filter(family=names.index(frame)) for frame in frames]


def test_harmless_families_are_ranked_below_dangerous_ones(told: pl.DataFrame) -> None:
    dangerous = min(own["risk"].median() for own in families(told, SHOPS))
    harmless = {own["caption"][0]: own["risk"].median() for own in families(told, (*STOCK, *PAGE, *OPENERS))}
    assert max(harmless.values()) < dangerous, harmless


def test_harmless_families_are_low_and_told_as_what_they_are(told: pl.DataFrame) -> None:
    for frames, codes in ((STOCK, {"TE03"}), (PAGE, {"TE04", "TE03"}), (OPENERS, {"TE05", "TE02"})):
        for own in families(told, frames):
            severities = set(own["severity"].drop_nulls().cast(str).unique())
            assert severities <= {"info", "low"}, (own["caption"][0], severities)
            most = own["rule"].value_counts(sort=True)["rule"][0]
            assert most in codes, (own["caption"][0], own["rule"].value_counts())


def test_dangerous_families_are_found(told: pl.DataFrame) -> None:
    for own in families(told, SHOPS):
        assert (own["severity"].cast(str).is_in(DANGEROUS)).mean() > 0.95, own["caption"][0]
        assert (own["rule"] == "TE01").mean() > 0.95


def test_captions_that_repeat_nothing_have_no_risk_to_speak_of(told: pl.DataFrame) -> None:
    unique = told.filter(family=-1)
    assert (unique["severity"].cast(str).is_in(DANGEROUS)).mean() < 0.01


def pictured(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    """The unique captions and the first shop's, with a column of pictures."""
    frame = rows.filter(pl.col("family").is_in([-1, len((*STOCK, *PAGE, *OPENERS))]))
    shop, n = frame["family"].to_numpy() >= 0, np.arange(len(frame))
    picture = {
        "distinct urls": n,
        "same url": np.where(shop, 0, n),
        "distinct hashes": n,
        "same hash": np.where(shop, 0, n),
        "placeholder": np.where(shop | (n % 9 == 0), 0, n),
    }[kind]
    if "hash" in kind or kind == "placeholder":
        return frame.with_columns(phash=pl.Series([f"{p * 2654435761 % 2**32:016x}" for p in picture]))
    return frame.with_columns(url=pl.Series([f"https://shop.example/{p}.jpg" for p in picture]))


def shop_risk(frame: pl.DataFrame, folder: Path) -> tuple[float, str, str]:
    own = audited(frame, folder)[1].filter(pl.col("family") >= 0)
    best = own.sort("risk").tail(1).to_dicts()[0]
    return own["risk"].median(), str(best["severity"]), best["rule"]


def test_pictures_decide_between_alike_captions(rows: pl.DataFrame, tmp_path: Path) -> None:
    found = {}
    for kind in ("distinct urls", "same url", "distinct hashes", "same hash", "placeholder"):
        (tmp_path / kind).mkdir()
        found[kind] = shop_risk(pictured(rows, kind), tmp_path / kind)
    risk = {kind: value[0] for kind, value in found.items()}
    assert found["same url"][1] == found["same hash"][1] == "critical", found
    assert risk["same hash"] > risk["distinct hashes"]
    assert risk["same url"] > risk["distinct urls"]
    assert found["placeholder"][2] == "PI01"
    assert found["placeholder"][1] in ("info", "low"), found
    assert found["distinct hashes"][1] != "critical"
