"""The read stage: what it leaves in work/ and in its two frames, and input that is large, empty or in many pieces."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import memaudit.ingest
import memaudit.reading
import memaudit.writeout
from memaudit import store
from memaudit.config import ScanConfig
from memaudit.detect.exact import TextIndex, copy_pieces
from memaudit.ingest import ingest, load_rows, load_texts
from memaudit.ragged import offsets_of, pick
from memaudit.schemas import MEMBERS, TEXTS, conform
from memaudit.sources import ColumnChoice, discover
from memaudit.writeout import count, write_frames

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit


def read(data: Path, out: Path, threads: int = 2, **columns: tuple[str, ...]) -> Audit:
    """An audit whose read stage has left everything, and is not entered as finished."""
    audit = store.begin(out, ScanConfig().identity(), [])
    tally = ingest(discover([str(data)]), ColumnChoice(**columns), audit.work, threads, lambda _: None)  # type: ignore[arg-type]
    write_frames(audit, count(audit.work, tally.has_images))
    return audit


def captions(n: int, rng: np.random.Generator) -> list[str]:
    """Short texts of which many occur again and again."""
    return [" ".join(f"w{k}" for k in rng.integers(0, 30, int(rng.integers(1, 3)))) for _ in range(n)]


@pytest.fixture
def rows() -> pl.DataFrame:
    rng, n = np.random.default_rng(2), 3000
    return pl.DataFrame(
        {
            "caption": captions(n, rng),
            "uid": [None if i % 11 == 0 else f"ü{i}" for i in range(n)],
            "url": [None if i % 7 == 0 else f"http://s{i % 3}.org/{rng.integers(300)}" for i in range(n)],
            "repeats": rng.integers(0, 5, n),
        }
    )


@pytest.mark.parametrize(("pairs", "slice_"), [(1 << 23, 1 << 19), (300, 256)])
def test_columns_and_frames_say_what_the_captions_say(
    pairs: int, slice_: int, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memaudit.writeout, "PAIRS", pairs)  # several passes over the pairs of text and image
    monkeypatch.setattr(memaudit.writeout, "SLICE", slice_)
    monkeypatch.setattr(memaudit.ingest, "BLOCK", 500)
    rows.write_parquet(tmp_path / "a.parquet")
    audit = read(tmp_path / "a.parquet", tmp_path / "audit", weights=("repeats",))
    texts, members = audit.frame("texts"), audit.frame("members")
    conform("texts", texts), conform("members", members)
    assert (texts.schema, members.schema) == (TEXTS, MEMBERS)
    assert members["id"].to_list() == rows["uid"].to_list()
    assert members["image"].null_count() == rows["url"].null_count() == members["domain"].null_count()
    assert members["row"].to_list() == list(range(len(rows)))

    by_text = rows.with_columns(text_id=members["text_id"]).group_by("caption", maintain_order=True)
    want = by_text.agg(
        pl.len(), pl.col("repeats").sum(), pl.col("url").drop_nulls().n_unique(), ids=pl.col("text_id").n_unique()
    )  # fmt: skip
    assert want["ids"].to_list() == [1] * len(texts)  # in the order of first occurrence, as the ids are
    assert texts["n_rows"].to_list() == want["len"].to_list()
    assert texts["weight"].to_list() == want["repeats"].to_list()
    assert texts["n_images"].to_list() == want["url"].to_list()

    mapped, own = load_rows(audit.work), load_texts(audit.work)
    assert mapped.weight is not None
    assert np.array_equal(mapped.text, members["text_id"])
    assert np.array_equal(mapped.image, members["image"].fill_null(0))
    assert np.array_equal(mapped.site, members["domain"].fill_null(0))
    assert np.array_equal(mapped.weight, rows["repeats"].cast(pl.Float32))
    assert np.array_equal(own.n_rows, texts["n_rows"])
    assert np.array_equal(own.key_lo, texts["key_lo"])
    assert np.array_equal(np.diff(own.word_at), own.n_words)
    assert own.token_at[0] == 0
    assert own.token_at[-1] == len(own.tokens)


def test_many_small_files_are_read_as_one_large_one(rows: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    kinds = (
        (pl.DataFrame.write_parquet, ".parquet"),
        (pl.DataFrame.write_csv, ".csv"),
        (pl.DataFrame.write_ndjson, ".jsonl"),
    )
    for i in range(0, len(rows), 10):
        write, suffix = kinds[i // 10 % 3]
        write(rows[i : i + 10], tmp_path / "many" / f"{i:04}{suffix}")
    rows.write_parquet(tmp_path / "one.parquet")
    many, one = (read(tmp_path / name, tmp_path / f"audit {name}") for name in ("many", "one.parquet"))
    apart = ["file", "row"]
    assert many.frame("texts").drop(apart).equals(one.frame("texts").drop(apart))
    assert many.frame("members").drop(apart).equals(one.frame("members").drop(apart))
    assert many.frame("members")["row"].to_list() == [i % 10 for i in range(len(rows))]
    assert many.frame("members")["file"].to_list() == [i // 10 for i in range(len(rows))]


def test_files_of_different_columns_side_by_side(tmp_path: Path) -> None:
    """Ids, urls and a broken file among small ones: each row keeps its own, and skipped rows their reasons."""
    parts = [pl.DataFrame({"caption": [f"caption {i} a", "", None, f"caption {i} b"]}) for i in range(9)]
    for i, part in enumerate(parts):
        more = [pl.lit(f"id{i}").alias("uid")] * (i % 2) + [pl.lit(f"http://x.org/{i}").alias("url")] * (i % 3 == 0)
        part.with_columns(*more).write_parquet(tmp_path / f"{i}.parquet")
    (tmp_path / "4.parquet").write_bytes(b"PAR1 no footer PAR1")
    audit = store.begin(tmp_path / "audit", {}, [])
    tally = ingest(discover([str(tmp_path)]), ColumnChoice(), audit.work, 2, lambda _: None)
    write_frames(audit, count(audit.work, tally.has_images))
    good = [i for i in range(9) if i != 4]
    assert [dict(f.skipped) for f in tally.files] == [
        {} if i == 4 else {"null": 1, "without words": 1} for i in range(9)
    ]
    assert [f.rows for f in tally.files] == [0 if i == 4 else 4 for i in range(9)]
    assert [bool(f.error) for f in tally.files] == [i == 4 for i in range(9)]
    members = audit.frame("members")
    assert members["file"].to_list() == [i for i in good for _ in range(2)]
    assert members["id"].to_list() == [f"id{i}" if i % 2 else None for i in good for _ in range(2)]
    assert members["image"].is_null().to_list() == [i % 3 != 0 for i in good for _ in range(2)]


def test_a_row_group_of_many_batches_and_a_very_long_caption(tmp_path: Path) -> None:
    texts = captions(200_000, np.random.default_rng(5))
    texts[150_000] = " ".join(f"word{i}" for i in range(300_000))
    pl.DataFrame({"caption": texts}).write_parquet(tmp_path / "a.parquet", row_group_size=len(texts))
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 1
    one, four = (read(tmp_path / "a.parquet", tmp_path / f"audit{t}", threads=t) for t in (1, 4))
    assert one.frame("texts")["n_rows"].sum() == len(texts)
    assert one.frame("texts")["n_words"].max() > 5000  # the rest is bytes to the lexer
    for name in ("texts", "members"):
        assert one.path(name).read_bytes() == four.path(name).read_bytes()


@pytest.mark.parametrize(("caption", "n_texts"), [("", 0), (None, 0), ("the same again", 1)])
def test_a_million_captions_that_are_one_or_none(caption: str | None, n_texts: int, tmp_path: Path) -> None:
    pl.select(caption=pl.repeat(caption, 1_000_000, dtype=pl.String)).write_parquet(tmp_path / "a.parquet")
    audit = read(tmp_path / "a.parquet", tmp_path / "audit")
    assert audit.frame("texts")["n_rows"].to_list() == [1_000_000] * n_texts
    assert len(load_rows(audit.work).text) == 1_000_000 * n_texts


def test_ids_are_given_in_the_order_of_first_occurrence() -> None:
    rng = np.random.default_rng(0)
    lo = rng.integers(0, 40_000, 300_000).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # spread, as hashes are
    hi = (lo % np.uint64(3)) + rng.integers(0, 2, len(lo)).astype(np.uint64)  # equal halves that are different keys
    keep = rng.random(len(lo)) < 0.9
    known: dict[tuple[int, int], int] = {}
    want = [known.setdefault(key, len(known)) for key in zip(lo[keep].tolist(), hi[keep].tolist(), strict=True)]
    index, ids, where = TextIndex(), [], []
    cuts = [0, *sorted(rng.integers(0, len(lo), 9)), len(lo)]
    for a, b in itertools.pairwise(cuts):
        own, new = index.add(lo[a:b], hi[a:b], keep[a:b])
        ids += own.tolist()
        where += (new + a).tolist()
    assert ids == want
    assert list(zip(lo[where].tolist(), hi[where].tolist(), strict=True)) == list(known)
    again = TextIndex()
    again.restore(len(where), [(lo[where[:100]], hi[where[:100]]), (lo[where[100:]], hi[where[100:]])])
    assert again.add(lo, hi, keep)[0].tolist() == want
    assert again.n == len(known)


def test_pieces_are_copied() -> None:
    rng = np.random.default_rng(0)
    at = offsets_of(rng.integers(0, 5, 100))
    values, which = rng.integers(0, 99, at[-1]).astype(np.uint32), np.flatnonzero(rng.random(100) < 0.5)
    out, ends = np.zeros(len(values), np.uint32), np.zeros(len(which), np.int64)
    n = copy_pieces(values, at, which, out, ends, 7)
    assert np.array_equal(out[:n], pick(values, at, which).values)
    assert np.array_equal(ends, pick(values, at, which).at[1:] + 7)
