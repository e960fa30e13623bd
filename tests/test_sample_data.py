"""The sample captions are what their README says, and the script makes exactly them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import polars as pl
import pytest

FOLDER = Path(__file__).parent.parent / "sample_data"
FILES = ("captions/part-0.parquet", "captions/part-1.parquet", "captions/part-2.csv", "truth/truth.parquet")
SLOTS = {
    "<*>": r"(?:\S+ )*?",
    "<num>": r"\d+ ",
    "<code>": r"(?=\S*\d)(?=\S*[a-z])[\w-]+ ",
    "<size>": r"\d+(?:x\d+|'|\") ",
    "<roman>": r"[ivxl]+ ",
}

sys.path.insert(0, str(FOLDER))
from overlap import OverlapIndex, jaccard, shingles, words  # noqa: E402


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)


@pytest.fixture(scope="module")
def sample() -> pl.DataFrame:
    """Every row with its truth: file, row, kind, group, template, url, caption, phash?."""
    truth = pl.read_parquet(FOLDER / "truth/truth.parquet")
    parts = [
        read(FOLDER / f).with_row_index("row").select(pl.lit(Path(f).name).alias("file"), pl.all()) for f in FILES[:3]
    ]
    rows = pl.concat(parts, how="diagonal").with_columns(pl.col("row").cast(pl.UInt64))
    assert len(rows) == len(truth)
    joined = truth.join(rows, on=["file", "row"], how="inner", validate="1:1")
    assert len(joined) == len(truth)
    return joined


def template_pattern(template: str) -> re.Pattern[str]:
    """A template of the truth as an expression over words that are each followed by one space."""
    parts = [SLOTS.get(t, re.escape(t) + " ") for t in template.split(" ") if t not in "^$"]
    before = "" if template.startswith("^") else r"(?:\S+ )*?"
    after = "" if template.endswith("$") else r"(?:\S+ )*"
    return re.compile(before + "".join(parts) + after)


def matches(template: re.Pattern[str], caption: str) -> bool:
    spaced = re.sub(r"([:|])", r" \1 ", caption.lower())
    return template.fullmatch(" ".join(spaced.split()) + " ") is not None


def test_matcher() -> None:
    assert matches(template_pattern("^ acme <*> rug <size> - <code> $"), "Acme big red Rug 8x10 - A1-22")
    assert matches(template_pattern("^ acme <*> rug"), "Acme rug | outlet")
    assert not matches(template_pattern("<*> rug $"), "Acme rug outlet")
    assert not matches(template_pattern("^ acme <num> $"), "Acme IV")


@pytest.mark.slow
def test_script_is_deterministic_and_made_the_committed_files(tmp_path) -> None:
    for run in ("a", "b"):
        command = [sys.executable, str(FOLDER / "make_captions.py"), "--out", str(tmp_path / run)]
        subprocess.run(command, check=True, capture_output=True)
    for file in FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        assert read(tmp_path / "a" / file).equals(read(FOLDER / file)), f"{file} is stale: run make_captions.py"


def test_size_and_schemas(sample: pl.DataFrame) -> None:
    assert sum((FOLDER / f).stat().st_size for f in FILES) < 2_000_000
    assert len(sample) == 20_000
    assert read(FOLDER / FILES[0]).columns == ["uid", "url", "caption", "phash"]
    assert read(FOLDER / FILES[2]).columns == ["caption", "url"]
    assert sample["caption"].null_count() == 0
    share = dict(sample["kind"].value_counts(normalize=True).iter_rows())
    assert set(share) == {"exact", "near", "template", "boilerplate", "unique"}
    assert share["unique"] == pytest.approx(0.6, abs=0.03)


def test_exact_groups_have_the_same_words_and_no_others_do(sample: pl.DataFrame) -> None:
    by_words = defaultdict(set)
    for kind, group, caption in sample.select("kind", "group", "caption").iter_rows():
        by_words[words(caption)].add((kind, group))
    assert all(len(groups) == 1 for groups in by_words.values())


def test_templates_match_their_members_and_nothing_else(sample: pl.DataFrame) -> None:
    members = sample.filter(pl.col("kind") == "template")
    assert members["template"].null_count() == 0
    assert members.select("group", "template").n_unique() == members["group"].n_unique() >= 40
    patterns = {t: template_pattern(t) for t in members["template"].unique().to_list()}
    for template, caption in members.select("template", "caption").iter_rows():
        assert matches(patterns[template], caption), (template, caption)
    others = sample.filter(pl.col("kind") != "template")["caption"].to_list()
    for template, pattern in patterns.items():
        assert not [c for c in others if matches(pattern, c)], template


def test_near_groups_have_a_member_that_all_others_are_near(sample: pl.DataFrame) -> None:
    near = sample.filter(pl.col("kind") == "near").group_by("group").agg("caption")
    for captions in near["caption"].to_list():
        sets = [shingles(words(c)) for c in captions]
        assert 2 <= len(sets) <= 12
        assert any(all(jaccard(base, other) >= 0.7 for other in sets) for base in sets), captions


def test_unique_captions_resemble_nothing(sample: pl.DataFrame) -> None:
    index = OverlapIndex(threshold=0.6)
    for caption in sample.filter(pl.col("kind") != "unique")["caption"]:
        index.add(words(caption))
    uniques = [words(c) for c in sample.filter(pl.col("kind") == "unique")["caption"]]
    for text in uniques:
        assert not index.near(text), text
        index.add(text)
    grams = Counter(g for text in uniques for g in {text[i : i + 4] for i in range(len(text) - 3)})
    assert max(grams.values()) <= 8
