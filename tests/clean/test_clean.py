"""Cleaned datasets held to what they promise: nothing lost, nothing twice, the order kept, no input touched."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.audit import scan
from memaudit.clean.copies import copy_without
from memaudit.clean.run import clean
from memaudit.clean.settings import CleanConfig
from memaudit.config import ScanConfig
from memaudit.errors import BadInput, UsageError
from memaudit.schemas import SEVERITIES
from memaudit.sources import ColumnChoice, Source
from memaudit.store import open_audit
from tests.hearing import Heard
from tests.test_export import Case, acting, build, cases, members_of

if TYPE_CHECKING:
    from memaudit.store import Audit

SAMPLE = Path(__file__).parent.parent.parent / "sample_data" / "captions"
WORLD = Path(__file__).parent.parent.parent / "sample_data" / "world"


def with_pictures(audit: Audit, pictures: list[int | None]) -> None:
    """Give the members of a made audit pictures, by row in turn; 0 stands for none."""
    rows = audit.frame("members").select("file", "row").unique().sort("file", "row")
    some = [pictures[i % len(pictures)] for i in range(len(rows))]
    images = rows.with_columns(image=pl.Series(some, dtype=pl.UInt64))
    members = audit.frame("members").drop("image").join(images, on=["file", "row"], how="left", maintain_order="left")
    audit.write("members", members)
    audit.manifest["pictures"] = "hashes"
    audit.save()


PICTURES = st.lists(st.none() | st.integers(1, 3), min_size=1, max_size=8)


@given(cases(), PICTURES, st.sampled_from(SEVERITIES), st.integers(1, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_rows_add_up_and_what_is_left_repeats_no_more_than_allowed(
    case: Case, pictures: list[int | None], severity: str, keep: int, captions_only: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        audit, out = build(Path(folder), case), Path(folder, "clean")
        with_pictures(audit, pictures)
        before = [Path(folder, name).read_bytes() for name in ("one.parquet", "two.csv")]
        summary = clean(audit, out, CleanConfig(severity, keep, captions_only=captions_only)).summary
        assert before == [Path(folder, name).read_bytes() for name in ("one.parquet", "two.csv")]
        removed = pl.read_csv(out / "removed.csv", schema_overrides={"id": pl.String, "template": pl.String})
        kept = pl.read_parquet(out / "keep.parquet")
        copies = [
            pl.read_parquet(out / "data" / "one.parquet"),
            pl.read_csv(out / "data" / "two.csv", infer_schema=False),
        ]
        originals = [
            pl.read_parquet(Path(folder, "one.parquet")),
            pl.read_csv(Path(folder, "two.csv"), infer_schema=False),
        ]
        paths = [str(Path(folder, name)) for name in ("one.parquet", "two.csv")]
        images = {(f, r): i for f, r, i in audit.frame("members").select("file", "row", "image").iter_rows()}
    gone = {(paths.index(f), r) for f, r in removed.select("file", "row").iter_rows()}
    stays = {(paths.index(f), r) for f, r in kept.select("file", "row").iter_rows()}
    everything = {(f, r) for f, rows in enumerate(case.rows) for r in range(len(rows))}
    assert len(removed) == len(gone) == summary["removed"]
    assert gone | stays == everything
    assert not gone & stays
    for f in (0, 1):
        mask = [(f, r) not in gone for r in range(len(case.rows[f]))]
        assert copies[f].rows() == originals[f].filter(pl.Series(mask, dtype=pl.Boolean)).rows()
    acts = acting(case, severity)
    near = {t for cl in acts.values() if cl.kind == "near" for t in cl.texts}
    pairs: Counter[Any] = Counter()
    frames: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for f, r, _, text, _ in members_of(case):
        if (f, r) in gone:
            continue
        picture = 0 if captions_only else images[f, r]
        for c, cluster in acts.items():
            if text in cluster.texts and cluster.kind == "template":
                frames[c].add((f, r))
            elif text in cluster.texts and picture is not None and (cluster.kind == "near" or text not in near):
                pairs[c, picture] += 1 if (f, r) not in frames[-1 - c] else 0
                frames[-1 - c].add((f, r))
    assert all(n <= 1 for n in pairs.values())
    assert all(len(rows) <= keep for c, rows in frames.items() if c >= 0)
    for row in removed.iter_rows(named=True):
        assert (paths.index(row["kept_file"]), row["kept_row"]) in stays  # a stand-in that is really there


def made(folder: Path, **columns: Any) -> Path:
    path = folder / "set.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return path


def audited(path: Path, **config: Any) -> Audit:
    return scan([str(path)], path.parent / "audit", ScanConfig(**config), fresh=True).audit


def repeated(folder: Path) -> Path:
    """40 rows of one caption with four pictures, and 20 captions of their own."""
    captions = ["a very particular caption of one tall lighthouse"] * 40
    hashes = [f"{i % 4:032x}" for i in range(40)] + [f"{i:032x}" for i in range(100, 120)]
    others = [
        f"{a} {b} beside {c}"
        for a, b, c in zip("abcdefghijklmnopqrst", "bcdefghijklmnopqrstu", "zyxwvutsrqponmlkjihg", strict=True)
    ]
    scores = [float(i % 7) for i in range(60)]
    return made(folder, caption=captions + others, md5=hashes, score=scores, uid=[f"{i:032x}" for i in range(60)][::-1])


ALL = CleanConfig("info")


def test_one_row_of_each_picture_stays(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    clean(audit, tmp_path / "out", ALL)
    left = pl.read_parquet(tmp_path / "out" / "data" / "set.parquet")
    assert left["md5"].n_unique() == len(left) == 24


def test_the_row_with_the_highest_value_stays(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    whole = pl.read_parquet(tmp_path / "set.parquet")
    for sign, best in (("", pl.max("score")), ("-", pl.min("score"))):
        clean(audit, tmp_path / f"out{sign}", CleanConfig("info", keep_by=f"{sign}score"))
        left = pl.read_parquet(tmp_path / f"out{sign}" / "data" / "set.parquet")
        expected = whole.group_by("md5").agg(best).sort("md5")
        assert left.select("md5", "score").sort("md5").equals(expected)


def test_resolution_is_width_times_height(tmp_path: Path) -> None:
    path = made(
        tmp_path, caption=["one caption for three rows"] * 3, url=["u"] * 3, width=[1, 30, 10], height=[50, 1, 10]
    )
    audit = audited(path)
    clean(audit, tmp_path / "out", CleanConfig("info", keep_by="resolution"))
    assert pl.read_parquet(tmp_path / "out" / "data" / "set.parquet")["width"].to_list() == [10]


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    with pytest.raises(UsageError, match="no column 'beauty'"):
        clean(audit, tmp_path / "out", CleanConfig("info", keep_by="beauty"))


def test_without_pictures_there_is_only_a_plan(tmp_path: Path) -> None:
    path = made(tmp_path, caption=["sunset over the quiet harbour wall"] * 30 + [f"{c} alone" for c in "abcdefgh"])
    audit = audited(path)
    done = clean(audit, tmp_path / "out", ALL)
    assert done.summary["status"] == "plan"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["clean.json", "plan.csv"]
    assert len(pl.read_csv(tmp_path / "out" / "plan.csv")) == 29
    again = clean(audit, tmp_path / "out", CleanConfig("info", captions_only=True))  # a plan is no reason to refuse
    assert again.summary["status"] == "cleaned"
    assert len(pl.read_parquet(tmp_path / "out" / "data" / "set.parquet")) == 9


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    before = sorted(tmp_path.rglob("*"))
    done = clean(audit, None, ALL, dry_run=True)
    assert (done.summary["status"], done.summary["removed"]) == ("dry run", 36)
    assert sorted(tmp_path.rglob("*")) == before


def test_schema_order_and_storage_stay(tmp_path: Path) -> None:
    rows = 5_000
    table = pa.table(
        {
            "caption": pa.array(
                [f"the same caption number {i % 50} of a set" for i in range(rows)]
            ).dictionary_encode(),
            "phash": [f"{i % 100:x}" for i in range(rows)],
            "image": pa.array([{"bytes": bytes([i % 251] * 9), "path": f"{i}.jpg"} for i in range(rows)]),
            "scores": pa.array([[i / 3, None] for i in range(rows)], pa.list_(pa.float32())),
            "when": pa.array(range(rows), pa.timestamp("us", tz="UTC")),
        }
    ).replace_schema_metadata({"origin": "a test"})
    path = tmp_path / "set.parquet"
    codecs = {"caption": "snappy", "phash": "gzip", "scores.list.element": "none", "when": "zstd"}
    codecs |= {"image.bytes": "zstd", "image.path": "snappy"}
    pq.write_table(table, path, row_group_size=1_024, compression=codecs)
    audit = audited(path, hash_column="phash")
    clean(audit, tmp_path / "out", ALL)
    old, new = pq.ParquetFile(path), pq.ParquetFile(tmp_path / "out" / "data" / "set.parquet")
    gone = pl.read_csv(tmp_path / "out" / "removed.csv")["row"].to_numpy()
    assert len(gone)
    assert new.schema_arrow.equals(old.schema_arrow, check_metadata=True)
    assert new.read().equals(table.filter(pa.array(~np.isin(np.arange(rows), gone))))
    sizes = [new.metadata.row_group(i).num_rows for i in range(new.metadata.num_row_groups)]
    assert all(size == 1_024 for size in sizes[:-1])
    for i in range(new.metadata.num_columns):
        assert new.metadata.row_group(0).column(i).compression == old.metadata.row_group(0).column(i).compression


def test_a_file_without_removed_rows_is_the_same_to_the_byte(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    pl.DataFrame({"caption": ["one alone", "two of them"], "url": ["x", "y"]}).write_parquet(data / "a" / "x.parquet")
    pl.DataFrame({"caption": ["said over and over again here"] * 9, "url": ["u"] * 9}).write_parquet(data / "x.parquet")
    audit = scan([str(data)], tmp_path / "audit", ScanConfig()).audit
    clean(audit, tmp_path / "out", ALL)
    assert (tmp_path / "out" / "data" / "a" / "x.parquet").read_bytes() == (data / "a" / "x.parquet").read_bytes()
    assert len(pl.read_parquet(tmp_path / "out" / "data" / "x.parquet")) == 1


def test_json_lines_and_csv_keep_their_bytes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = [b'{"caption": "said over and over again here", "url": "u", "n": %d }' % i for i in range(5)]
    lines.insert(2, b"no object")
    (data / "a.jsonl.gz").write_bytes(gzip.compress(b"\n".join([*lines[:4], b"", *lines[4:]]) + b"\n"))
    odd = b"caption,url,note\n" + b"".join(b'"said over and over, again",v,\xff%d\n' % i for i in range(5)) + b"a,b\n"
    (data / "b.csv").write_bytes(odd)
    audit = scan([str(data)], tmp_path / "audit", ScanConfig()).audit
    summary = clean(audit, tmp_path / "out", ALL).summary
    assert gzip.decompress((tmp_path / "out" / "data" / "a.jsonl.gz").read_bytes()) == lines[0] + b"\nno object\n"
    expected = b'caption,url,note\n"said over and over, again",v,\xff0\na,b\n'  # a malformed line is no duplicate
    assert (tmp_path / "out" / "data" / "b.csv").read_bytes() == expected
    assert summary["rows"] == summary["kept"] + summary["removed"] == 12


FIELD = st.text(st.sampled_from('ab,"\n\r é'), max_size=4)


@given(
    st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data()
)
@settings(max_examples=60, deadline=None)
def test_records_of_csv_are_cut_where_the_parser_cuts_them(
    records: list[tuple[str, str]], end: str, last: bool, data: st.DataObject
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("caption", "url"), *records])
    whole = text.getvalue()[: None if last else -len(end)]
    gone = data.draw(st.sets(st.integers(0, len(records) - 1)))
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "a.csv"), Path(folder, "b.csv")
        path.write_bytes(whole.encode())
        source = Source(str(path), "csv", 1)
        counts = copy_without(source, ColumnChoice(), out, np.array(sorted(gone), np.uint64))
        left = list(csv.reader(io.StringIO(out.read_bytes().decode(), newline="")))
    assert counts == (len(records), len(records) - len(gone))
    assert [tuple(r) for r in left if r] == [("caption", "url"), *(r for i, r in enumerate(records) if i not in gone)]


def test_folders_of_pictures_are_copied_in_pairs(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.jpg").write_bytes(b"picture %d" % i)
        (folder / f"{i}.txt").write_text("said over and over again here")
    audit = scan([str(folder)], tmp_path / "audit", ScanConfig()).audit
    clean(audit, tmp_path / "out", CleanConfig("info", captions_only=True))
    (copy,) = (tmp_path / "out").rglob("*.jpg")
    assert copy.read_bytes() == b"picture 0"
    assert copy.with_suffix(".txt").is_file()


def test_a_cleaning_that_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for i in range(4):
        frame = {"caption": ["said over and over again here"] * 9, "url": ["u"] * 9, "n": [i] * 9}
        pl.DataFrame(frame).write_parquet(data / f"{i}.parquet")
    audit = scan([str(data)], tmp_path / "audit", ScanConfig()).audit
    clean(audit, tmp_path / "whole", ALL)
    from memaudit.clean import run

    real, done = run.copy_without, []

    def dies_at_the_third(source: Any, choice: Any, out: Path, gone: Any) -> Any:
        if len(done) == 2:
            out.with_name(f".{out.name}.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        done.append(out.name)
        return real(source, choice, out, gone)

    monkeypatch.setattr(run, "copy_without", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        clean(audit, tmp_path / "out", ALL)
    monkeypatch.setattr(run, "copy_without", lambda *a: (done.append(a[2].name), real(*a))[1])
    clean(audit, tmp_path / "out", ALL)
    assert done == ["0.parquet", "1.parquet", "2.parquet", "3.parquet"]  # none of them twice
    names = sorted(p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*"))
    assert names == sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*"))
    for name in names:
        if name.suffix == ".parquet":
            assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    heard = Heard()
    clean(audit, tmp_path / "out", ALL, heard)
    assert any("done already" in line for line in heard.notes)


def test_what_somebody_else_wrote_is_not_touched(tmp_path: Path) -> None:
    path = repeated(tmp_path)
    audit = audited(path, hash_column="md5")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for out in (tmp_path / "mine", tmp_path, tmp_path / "audit", path):
        with pytest.raises(UsageError):
            clean(audit, out, ALL)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    assert len(pl.read_parquet(path)) == 60


def test_another_cleaning_is_replaced_only_when_asked(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    clean(audit, tmp_path / "out", ALL)
    with pytest.raises(UsageError, match="another cleaned dataset"):
        clean(audit, tmp_path / "out", CleanConfig("info", captions_only=True))
    clean(audit, tmp_path / "out", CleanConfig("info", captions_only=True), fresh=True)
    assert len(pl.read_parquet(tmp_path / "out" / "data" / "set.parquet")) == 21


def test_a_journal_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    clean(audit, tmp_path / "out", ALL)
    journal = json.loads((tmp_path / "out" / "clean.json").read_text())
    journal["files"]["../set.parquet"] = {"rows": 60, "kept": 0}
    (tmp_path / "out" / "clean.json").write_text(json.dumps(journal))
    clean(audit, tmp_path / "out", CleanConfig("info", captions_only=True), fresh=True)
    assert len(pl.read_parquet(tmp_path / "set.parquet")) == 60


def test_a_file_that_changed_since_the_scan_is_refused(tmp_path: Path) -> None:
    path = repeated(tmp_path)
    audit = audited(path, hash_column="md5")
    pl.read_parquet(path).reverse().write_parquet(path)
    with pytest.raises(BadInput, match="has changed since the scan"):
        clean(audit, tmp_path / "out", ALL)


def test_uids_of_datacomp_become_its_array(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    clean(audit, tmp_path / "out", ALL)
    kept = pl.read_parquet(tmp_path / "out" / "data" / "set.parquet")["uid"].to_list()
    array = np.load(tmp_path / "out" / "keep.npy")
    assert array.dtype == np.dtype("u8,u8")
    assert [f"{a:016x}{b:016x}" for a, b in array.tolist()] == sorted(kept)


def test_only_confirmed_findings_act_when_asked(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    with pytest.raises(UsageError, match="no verdicts"):
        clean(audit, tmp_path / "out", CleanConfig("info", only_verified=True))
    found = audit.frame("findings")["fingerprint"][0]
    for verdict, relation, left in (
        ("not_replicated", "trained", 60),
        ("verbatim", "unrelated", 60),
        ("verbatim", "trained", 24),
    ):
        row = {
            "fingerprint": found, "model": "m", "verdict": verdict, "rate": 0.5, "low": 0.4, "high": 0.6,
            "control_rate": 0.0, "reference_rate": None, "n_samples": 9, "best_similarity": None, "nearest_image": None,
            "signals": None, "word_weights": None, "why": None, "relation": relation, "n_copies": 5, "e_value": None,
            "unet_calls": 9,
        }  # fmt: skip
        audit.write("verdicts", pl.DataFrame([row]))
        out = tmp_path / f"{verdict}-{relation}"
        summary = clean(open_audit(audit.folder), out, CleanConfig("info", only_verified=True)).summary
        assert summary["kept"] == left


def test_what_is_allowed_stays(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    found = audit.frame("findings")["fingerprint"].to_list()
    text = "".join(f'[[allow]]\nfingerprint = "{f}"\nreason = "meant"\n' for f in found)
    (tmp_path / "memaudit-allow.toml").write_text(text)
    assert clean(audit, tmp_path / "out", ALL).summary["removed"] == 0


def test_the_lists_alone(tmp_path: Path) -> None:
    audit = audited(repeated(tmp_path), hash_column="md5")
    clean(audit, tmp_path / "out", CleanConfig("info", list_only=True))
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["clean.json", "keep.npy", "keep.parquet", "removed.csv"]
    assert len(pl.read_parquet(tmp_path / "out" / "keep.parquet")) == 24


def test_scanned_again_nothing_that_went_is_there_more_often_than_kept(tmp_path: Path) -> None:
    """The round trip, on the world: pictures have hashes there."""
    audit = scan([str(WORLD / "captions.parquet")], tmp_path / "audit", ScanConfig(hash_column="md5")).audit
    clean(audit, tmp_path / "out", CleanConfig(keep=2))
    removed = pl.read_csv(tmp_path / "out" / "removed.csv").select("fingerprint", "kind").unique()
    assert set(removed["kind"]) >= {"exact", "template"}
    again = scan([str(tmp_path / "out")], tmp_path / "again", ScanConfig(hash_column="md5")).audit  # not the lists
    assert len(again.frame("files")) == 1
    found = again.frame("findings").join(removed.drop("kind").unique(), on="fingerprint")
    templates = found.filter(pl.col("kind") == "template")
    assert (templates["n_rows"] <= 2).all()
    others = found.filter(pl.col("kind") != "template")
    assert (others["n_rows"] == others["n_images"]).all()
    done = clean(again, tmp_path / "twice", CleanConfig(keep=2)).summary
    assert done["removed_by"]["exact"] == 0
