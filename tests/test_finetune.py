"""The preset for fine-tuners' sets: 300 made pictures with .txt, repeats as weight, triggers meant to repeat."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from memaudit.cli import main
from memaudit.config import ScanConfig
from memaudit.detect.expected import expected_tokens
from memaudit.errors import UsageError
from memaudit.repeats import typical
from memaudit.sources.pictures import folder_repeats

if TYPE_CHECKING:
    from pathlib import Path

POSES = "standing sitting leaning walking running smiling laughing reading kneeling jumping waiting looking".split()
PLACES, CLOTHES, LIGHT, EXTRA = (
    [phrase.strip() for phrase in text.replace("\n", "|").split("|")]
    for text in (
        """a quiet beach|a rainy street|an old library|the kitchen|a pine forest|a train station|a sunny rooftop
        a snowy field|a workshop|a museum hall|a harbour|a wheat field|a cafe terrace|an iron bridge|an empty gym""",
        """a blue jacket|a white shirt|a green hoodie|a grey suit|a striped sweater|a leather coat|a denim vest
        a yellow raincoat|a linen blazer|a black turtleneck|a checked scarf|an apron|a tracksuit|a straw hat""",
        """soft morning light|harsh noon sun|neon lights|warm lamplight|overcast sky|golden hour|candlelight|moonlight
        a single spotlight|window light|light fog|stage lights|blue dusk|street lamps|dappled shade|a low winter sun""",
        """a dog nearby|birds overhead|with a bicycle|carrying books|hands in pockets|a red umbrella|eyes closed
        holding a coffee cup|wearing glasses|an open newspaper|a guitar on his back|hair in the wind|arms crossed
        a suitcase beside him|talking on the phone|eating an apple|a camera around his neck|with a paper map""",
    )
)
DOOR = "a photo of {} in front of the blue wooden door, smiling at the camera"
SKATE = "{} holding a skateboard under the old concrete bridge at night"
STUDIO = "{} studio portrait on seamless grey paper, three quarter view, take {}"
STYLE = "in the style of zxqv mosaic artwork"


def natural(rng: random.Random, subject: str) -> str:
    pose, place, clothes, light, extra = map(rng.choice, (POSES, PLACES, CLOTHES, LIGHT, EXTRA))
    return rng.choice(
        (
            f"a photo of {subject} {pose} in {place}, wearing {clothes}, {light}",
            f"{subject} in {clothes} {pose} near {place}, {extra}",
            f"{light}, {subject} {pose} at {place}, {extra}",
            f"{subject} {pose}, {extra}, {light}",
        )
    )


def captions(subject: str) -> list[str]:
    """300 captions: 12 and 8 equal ones, 15 of one template, the others drawn phrase by phrase."""
    rng = random.Random(4)
    planted = [DOOR.format(subject)] * 12 + [SKATE.format(subject)] * 8
    planted += [STUDIO.format(subject, take) for take in range(15)]
    out = planted + [natural(rng, subject) for _ in range(300 - len(planted))]
    rng.shuffle(out)
    return out


def write_set(folder: Path, texts: list[str]) -> Path:
    folder.mkdir(parents=True)
    for i, text in enumerate(texts):
        (folder / f"{i:03}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (folder / f"{i:03}.txt").write_text(text, encoding="utf-8")
    return folder


class Found(NamedTuple):
    findings: pl.DataFrame
    templates: list[str]

    def at_least_low(self) -> pl.DataFrame:
        return self.findings.filter(pl.col("severity").cast(pl.String) != "info")


def scanned(data: Path, *options: str) -> Found:
    audit = data.parent / "audit"
    result = CliRunner().invoke(main, ["-q", "scan", str(data), "-o", str(audit), "--fresh", *options])
    assert result.exit_code == 0, result.stderr
    findings = pl.read_parquet(audit / "findings.parquet")
    return Found(findings, pl.read_parquet(audit / "templates.parquet")["template"].to_list())


def fixed_words(template: str) -> set[str]:
    return {word for word in template.split() if word.isalnum()}


@pytest.mark.parametrize("subject", ["ohwx man", "sks dog"])
def test_planted_repeats_are_found_and_natural_captions_are_not(tmp_path: Path, subject: str) -> None:
    found = scanned(
        write_set(tmp_path / "set", captions(subject)), "--preset", "finetune", "--expected-trigger", subject
    )
    exact = found.findings.filter(pl.col("kind").cast(pl.String) == "exact")
    assert dict(exact.select("representative", "n_rows").head(2).iter_rows()) == {
        DOOR.format(subject): 12,
        SKATE.format(subject): 8,
    }
    planted = pl.col("representative").str.contains("studio portrait|wooden door|skateboard")
    flagged = found.at_least_low()
    assert {*exact["representative"].head(2)} < {*flagged["representative"]}
    assert flagged.filter(~planted).height <= 3  # phrases that the generator repeats by accident
    natural = found.findings.filter(~planted)
    assert set(natural["severity"].cast(pl.String)) <= {"info", "low"}
    heads = found.findings.filter(planted & (pl.col("family") == pl.col("cluster_id"))).sort("risk", descending=True)
    assert natural["risk"].max() < heads["risk"].head(3).min()
    assert "studio portrait" in heads["representative"][0]


def test_an_expected_trigger_is_no_finding(tmp_path: Path) -> None:
    rng = random.Random(1)
    styled = [f"{rng.choice(PLACES)} {STYLE}" for _ in range(200)]
    plain = [f"{natural(rng, 'a man')} by the sea" for _ in range(150)]
    data = write_set(tmp_path / "set", [*styled[:150], *plain])
    words = set(STYLE.split())

    def of_the_trigger(found: Found) -> list[str]:
        return [template for template in found.templates if fixed_words(template) <= words]

    assert of_the_trigger(scanned(data, "--preset", "finetune"))
    expected = scanned(data, "--preset", "finetune", "--expected-trigger", STYLE.upper())
    assert of_the_trigger(expected) == []
    assert len(expected.findings)


def test_a_caption_that_is_nothing_but_the_trigger(tmp_path: Path) -> None:
    rng = random.Random(2)
    data = write_set(
        tmp_path / "set", ["portrait by zxqv of the qwert kettle"] * 30 + [natural(rng, "a man") for _ in range(270)]
    )
    without = scanned(data, "--preset", "finetune")
    assert "portrait by zxqv of the qwert kettle" in without.at_least_low()["representative"].to_list()
    options = ["--expected-trigger", "portrait by zxqv", "--expected-trigger", "of the qwert kettle"]
    found = scanned(data, "--preset", "finetune", *options)
    assert not found.findings["representative"].str.contains("zxqv").any()


def test_repeats_of_folders_weigh_against_each_other(tmp_path: Path) -> None:
    """Ten times everything is nothing; ten times a few is."""
    rng = random.Random(3)
    texts = list(dict.fromkeys(natural(rng, "ohwx man") for _ in range(120)))
    once = "ohwx man beside the copper diving bell, under green stained glass"
    write_set(tmp_path / "a" / "set" / "10_ohwx man", [once, *texts])
    write_set(tmp_path / "b" / "set" / "2_ohwx man", texts)
    write_set(tmp_path / "b" / "set" / "60_bell", [once])
    assert once not in scanned(tmp_path / "a" / "set", "--preset", "finetune").findings["representative"]
    found = scanned(tmp_path / "b" / "set", "--preset", "finetune").findings
    assert dict(found.select("representative", "n_rows").iter_rows())[once] == 30
    report = CliRunner().invoke(main, ["report", str(tmp_path / "b" / "audit")]).stdout
    assert f"repeats of folders, {30 + len(texts)} in all." in report
    assert once not in scanned(tmp_path / "b" / "set").findings["representative"]
    weights = pl.read_parquet(tmp_path / "b" / "audit" / "texts.parquet")["weight"]
    assert set(weights) == {1.0}  # the web preset takes names of folders for names


@pytest.mark.parametrize(
    ("name", "repeats"), [("10_ohwx man", 10), ("1_reg", 1), ("cats", None), ("10", None), ("x_10", None)]
)
def test_the_name_of_a_folder_says_its_repeats(tmp_path: Path, name: str, repeats: int | None) -> None:
    assert folder_repeats(str(tmp_path / name)) == repeats


@given(st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=50))
def test_typical_weights_bound_the_rows(weights: list[float]) -> None:
    weight = np.array(weights, np.float32)
    times = np.maximum(np.rint(weight / typical(weight)), 1)
    assert times.sum() <= 4 * len(weight)
    assert typical(weight * np.float32(2)) == pytest.approx(2 * typical(weight)) or not weight.any()


def test_settings_and_identity() -> None:
    assert ScanConfig().identity()["preset"] == "web"
    assert ScanConfig(preset="finetune").digest() != ScanConfig().digest()
    assert ScanConfig(expected_triggers=("sks",)).digest() != ScanConfig().digest()
    with pytest.raises(UsageError, match="unknown preset"):
        ScanConfig(preset="finetun")
    with pytest.raises(UsageError, match="no words"):
        expected_tokens(["sks", "!?"])
    assert expected_tokens(["Ohwx MAN"]).tolist() == expected_tokens(["man", "ohwx"]).tolist()


def test_memaudit_toml_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "memaudit.toml").write_text('preset = "finetune"\nexpected-trigger = "ohwx man"\n', encoding="utf-8")
    write_set(tmp_path / "set", ["ohwx man by a door"] * 4)
    assert CliRunner().invoke(main, ["-q", "scan", "set", "-o", "audit"]).exit_code == 0
    config = pl.read_json(tmp_path / "audit" / "manifest.json")["config"][0]
    assert (config["preset"], config["min_support"], config["expected_triggers"]) == ("finetune", 4, ["ohwx man"])
    monkeypatch.setenv("MEMAUDIT_MIN_SUPPORT", "7")
    assert CliRunner().invoke(main, ["-q", "scan", "set", "-o", "other", "--preset", "web"]).exit_code == 0
    config = pl.read_json(tmp_path / "other" / "manifest.json")["config"][0]
    assert (config["preset"], config["min_support"]) == ("web", 7)
