"""The scan end to end, through its Python function: what it promises about its input, its result and its folder."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

import memaudit.audit
from memaudit.audit import ScanResult, scan
from memaudit.config import ScanConfig
from memaudit.errors import BadInput, NoSpace, UsageError
from memaudit.schemas import FRAMES, SCANNED
from memaudit.scratch import Column

if TYPE_CHECKING:
    from memaudit.store import Audit

ROOT = Path(__file__).parents[1]
COLOURS = "crimson teal ochre ivory cobalt umber saffron jade mauve russet".split()
THINGS = "walrus kettle lantern cactus violin comet anchor beetle saddle teapot".split()


def captions(rng: np.random.Generator) -> list[str]:
    """Exact repetition, near duplicates, a template family and noise."""
    noise = [" ".join(f"noise{rng.integers(50_000)}" for _ in range(int(rng.integers(3, 12)))) for _ in range(400)]
    family = [f"Harbour Mills {c} {t} shower curtain 180x200" for c in COLOURS for t in THINGS[:5]]
    near = [n + " extra" for n in noise[:20] if len(n.split()) > 7]
    return [
        *noise,
        *family,
        *near,
        *["A quiet morning by the sea"] * 30,
        *noise[50:60] * 3,
        "Cat",
        "cat!",
        "iPhone 6 case",
    ]


def write(path: Path, texts: list[str | None], **columns: object) -> str:
    pl.DataFrame({"caption": texts, **columns}).write_parquet(path)
    return str(path)


def audited(tmp_path: Path, *data: str, name: str = "audit", **config: object) -> ScanResult:
    return scan(data, tmp_path / name, ScanConfig(**config))  # type: ignore[arg-type]


def groups(audit: Audit, texts: dict[tuple[int, int], str]) -> dict[str, set[frozenset[str]]]:
    """By kind the sets of captions that are clustered together; texts: (file, row) -> caption."""
    first = audit.frame("texts").select("text_id", "file", "row")
    frame = audit.frame("clusters").join(first, on="text_id")
    out: dict[str, set[frozenset[str]]] = {}
    for (kind, _), part in frame.group_by("kind", "cluster_id"):
        words = frozenset(" ".join(texts[key].lower().split()) for key in part.select("file", "row").iter_rows())
        out.setdefault(str(kind), set()).add(words)
    return out


def findings(audit: Audit) -> pl.DataFrame:
    """What a finding is, without ids that depend on the order of rows."""
    frame = audit.frame("findings").select("fingerprint", "kind", "severity", "risk", "n_rows", "n_texts")
    return frame.with_columns(pl.col("risk").round(5)).sort("fingerprint")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_order_of_rows_split_of_files_and_threads_do_not_matter(tmp_path: Path, rng: np.random.Generator) -> None:
    texts = captions(rng)
    shuffled = [texts[i] for i in rng.permutation(len(texts))]
    whole = write(tmp_path / "whole.parquet", texts)
    mixed = write(tmp_path / "mixed.parquet", shuffled)
    parts = [write(tmp_path / f"part{i}.parquet", texts[i * 150 : (i + 1) * 150]) for i in range(len(texts) // 150 + 1)]
    results = [
        (audited(tmp_path, whole, name="a").audit, {(0, i): t for i, t in enumerate(texts)}),
        (audited(tmp_path, mixed, name="b").audit, {(0, i): t for i, t in enumerate(shuffled)}),
        (audited(tmp_path, *parts, name="c").audit, {(i // 150, i % 150): t for i, t in enumerate(texts)}),
        (audited(tmp_path, whole, name="d", threads=1).audit, {(0, i): t for i, t in enumerate(texts)}),
    ]
    want = groups(*results[0])
    assert {len(want["exact"]) >= 11, len(want["near"]) >= 3, len(want["template"]) >= 1} == {True}
    for audit, where in results[1:]:
        assert groups(audit, where) == want
        assert findings(audit).equals(findings(results[0][0]))


def test_duplicating_rows_changes_counts_and_not_clusters(tmp_path: Path, rng: np.random.Generator) -> None:
    texts = captions(rng)
    once = audited(tmp_path, write(tmp_path / "1.parquet", texts), name="a").audit
    twice = audited(tmp_path, write(tmp_path / "2.parquet", texts * 2), name="b").audit
    where = {(0, i): t for i, t in enumerate(texts * 2)}
    for kind in ("near", "template"):
        assert groups(once, where)[kind] == groups(twice, where)[kind]
    assert twice.frame("texts")["n_rows"].to_list() == (once.frame("texts")["n_rows"] * 2).to_list()


def test_one_caption_200_000_times(tmp_path: Path) -> None:
    audit = audited(tmp_path, write(tmp_path / "a.parquet", ["The same words again"] * 200_000)).audit
    assert audit.frame("texts")["n_rows"].to_list() == [200_000]
    assert audit.frame("clusters")["kind"].to_list() == ["exact"]
    assert len(audit.frame("members")) == 200_000
    assert audit.frame("findings")["n_rows"].to_list() == [200_000]


def test_short_captions_are_neither_lost_nor_merged(tmp_path: Path) -> None:
    texts = [
        "Dog",
        "dog",
        "Cat",
        "Red car",
        "red CAR",
        "Blue car",
        "Old red car",
        "A very old car",
        "One two three four",
    ]
    audit = audited(tmp_path, write(tmp_path / "a.parquet", texts)).audit
    assert audit.manifest["totals"]["captions"] == len(texts)
    assert len(audit.frame("texts")) == 7
    assert groups(audit, {(0, i): t for i, t in enumerate(texts)}) == {
        "exact": {frozenset({"dog"}), frozenset({"red car"})}
    }


def test_phone_cases_are_two_texts_and_one_template(tmp_path: Path, rng: np.random.Generator) -> None:
    cases = [f"iPhone {i} case" for i in range(4, 10)]
    audit = audited(tmp_path, write(tmp_path / "a.parquet", [*captions(rng), *cases])).audit
    assert "^ iphone <num> case $" in audit.frame("templates")["template"].to_list()
    assert not any(
        g & {"iphone 6 case"} for g in groups(audit, dict(enumerate_rows(captions_of(audit)))).get("near", set())
    )


def captions_of(audit: Audit) -> list[str]:
    return pl.read_parquet(audit.manifest["inputs"][0]["path"])["caption"].to_list()


def enumerate_rows(texts: list[str]) -> list[tuple[tuple[int, int], str]]:
    return [((0, i), t) for i, t in enumerate(texts)]


def test_counts_add_up_and_every_frame_conforms(tmp_path: Path) -> None:
    texts = ["one two three", None, "", "...", "one two three", "<b></b>", "four"]
    audit = audited(
        tmp_path, write(tmp_path / "a.parquet", texts, uid=list("abcdefg"), url=["http://x.com/1"] * 7)
    ).audit
    totals = audit.manifest["totals"]
    assert totals["rows"] == 7 == totals["captions"] + sum(totals["skipped"].values())
    assert totals["skipped"] == {"null": 1, "without words": 3}
    files = audit.frame("files")
    assert files.select("rows", "skipped", "reason").row(0) == (7, 4, "1 null, 3 without words")
    assert audit.frame("members")["id"].to_list() == ["a", "e", "g"]
    for name in SCANNED:
        assert audit.frame(name).schema == FRAMES[name]
    assert not audit.work.exists()
    assert sorted(p.name for p in audit.folder.iterdir()) == sorted(
        [*(f"{n}.parquet" for n in SCANNED), "manifest.json"]
    )


def test_several_caption_columns_ids_weights_and_images(tmp_path: Path) -> None:
    data = {
        "short": ["red fox", None, "red fox"], "long": ["a red fox in snow", "blue", "red fox"], "key": [7, 8, 9],
        "times": [2.0, 1.0, 3.0], "phash": ["aa", "bb", "aa"], "url": ["http://a.com/1", "http://b.org/2", "http://img.a.com/3"],
    }  # fmt: skip
    pl.DataFrame(data).write_parquet(tmp_path / "a.parquet")
    result = audited(
        tmp_path, str(tmp_path / "a.parquet"), columns=("short", "long"), id_column="key", weight_columns=("times",)
    )
    texts, members = result.audit.frame("texts"), result.audit.frame("members")
    fox = texts.filter(pl.col("n_rows") == 3)
    assert fox["weight"].to_list() == [2 + 3 + 3]
    assert fox["n_images"].to_list() == [1]
    assert sorted(members["id"].to_list()) == ["7", "7", "8", "9", "9"]
    sites = dict(members.select("id", "domain").iter_rows())
    assert sites["7"] == sites["9"] != sites["8"]


def test_a_truncated_file_among_good_ones_is_named_and_the_rest_scanned(tmp_path: Path) -> None:
    good = write(tmp_path / "good.parquet", ["one two three"] * 5)
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(Path(good).read_bytes()[:-40])
    result = audited(tmp_path, good, str(bad))
    assert [Path(path).name for path, _ in result.bad_files] == ["bad.parquet"]
    assert result.audit.manifest["totals"]["captions"] == 5
    assert result.audit.frame("files").filter(pl.col("path").str.ends_with("bad.parquet"))["reason"].null_count() == 0
    again = audited(tmp_path, good, str(bad))
    assert again.already_done
    assert again.bad_files == result.bad_files


def test_nothing_readable_is_an_error_and_leaves_no_finished_audit(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(BadInput, match="nothing could be read"):
        audited(tmp_path, str(tmp_path / "a.parquet"))


def test_same_input_is_done_other_input_or_configuration_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path / "a.parquet", ["one two three"] * 3)
    assert not audited(tmp_path, data).already_done
    assert audited(tmp_path, data).already_done
    assert audited(tmp_path, data, threads=1, memory=10**9).already_done  # neither changes the result
    with pytest.raises(UsageError, match="another configuration"):
        audited(tmp_path, data, threshold=0.8)
    write(tmp_path / "a.parquet", ["four five six"] * 30)
    with pytest.raises(UsageError, match="another input"):
        audited(tmp_path, data)
    fresh = scan([data], tmp_path / "audit", ScanConfig(), fresh=True)
    assert fresh.audit.frame("findings")["representative"].to_list() == ["four five six"]


def test_a_foreign_folder_is_never_touched(tmp_path: Path) -> None:
    data = write(tmp_path / "a.parquet", ["one two three"] * 3)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        scan([data], tmp_path / "audit", ScanConfig(), fresh=True)
    assert (tmp_path / "audit" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("stage", ["_near", "_templates", "_rank"])
def test_an_interrupted_scan_resumes_to_the_same_bytes(
    stage: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(tmp_path / "a.parquet", captions(rng))
    fresh = audited(tmp_path, data, name="fresh").audit

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(memaudit.audit, stage, killed)
        with pytest.raises(KeyboardInterrupt):
            audited(tmp_path, data, name="resumed")
    resumed = audited(tmp_path, data, name="resumed").audit
    for name in SCANNED:
        assert resumed.path(name).read_bytes() == fresh.path(name).read_bytes(), name


def test_a_damaged_stage_is_done_again(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(tmp_path / "a.parquet", captions(rng))
    with monkeypatch.context() as patch:
        patch.setattr(memaudit.audit, "_rank", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            audited(tmp_path, data)
    near = tmp_path / "audit" / "work" / "near.npz"
    near.write_bytes(near.read_bytes()[:-3])
    audit = audited(tmp_path, data).audit
    fresh = audited(tmp_path, data, name="fresh").audit
    assert audit.path("clusters").read_bytes() == fresh.path("clusters").read_bytes()


def test_a_full_disk_is_a_clear_error_and_resumable(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(tmp_path / "a.parquet", captions(rng))

    class Full:
        def write(self, _: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    original = Column.__init__

    def on_full_disk(self: Column, path: Path, dtype: str, keep: int = 0) -> None:
        original(self, path, dtype, keep)
        self._file = Full()  # type: ignore[assignment]

    with monkeypatch.context() as patch:
        patch.setattr(Column, "__init__", on_full_disk)
        with pytest.raises(NoSpace) as raised:
            audited(tmp_path, data)
    assert len(raised.value.lines()) == 3
    assert audited(tmp_path, data).audit.complete


def test_repeats_of_a_picture_and_sites_are_counted(tmp_path: Path) -> None:
    urls = [f"https://cdn{i}.shop.example/p{i % 3}.jpg" for i in range(12)]
    audit = audited(tmp_path, write(tmp_path / "a.parquet", ["blue enamel mug on a shelf"] * 12, url=urls)).audit
    assert audit.frame("findings").select("n_rows", "n_images", "n_domains").row(0) == (12, 12, 1)


def test_no_captions_at_all(tmp_path: Path) -> None:
    audit = audited(tmp_path, write(tmp_path / "a.parquet", [None, "", "?"])).audit
    assert audit.complete
    assert len(audit.frame("findings")) == 0


def test_memory_and_its_files_do_not_change_the_result(tmp_path: Path, rng: np.random.Generator) -> None:
    data = write(tmp_path / "a.parquet", captions(rng))
    usual, tight = audited(tmp_path, data, name="a").audit, audited(tmp_path, data, name="b", memory=1000).audit
    for name in SCANNED:
        assert usual.path(name).read_bytes() == tight.path(name).read_bytes(), name


def test_a_scan_that_failed_at_once_blocks_no_correction(tmp_path: Path) -> None:
    pl.DataFrame({"a": ["one two three"] * 5, "b": ["x"] * 5}).write_csv(tmp_path / "a.csv")
    with pytest.raises(BadInput) as raised:
        audited(tmp_path, str(tmp_path / "a.csv"))
    assert len(raised.value.lines()) == 3
    assert audited(tmp_path, str(tmp_path / "a.csv"), columns=("a",)).audit.complete


def test_a_folder_named_like_a_pattern(tmp_path: Path) -> None:
    audit = audited(tmp_path, write(tmp_path / "a.parquet", ["one two three"] * 50), name="au[1]").audit
    assert len(audit.frame("findings")) == 1
    assert audit.manifest["columns"] == ["caption"]
