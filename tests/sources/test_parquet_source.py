"""Parquet: types, streaming, nested and picture columns, img2dataset, damage."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memaudit.errors import BadInput
from memaudit.sources import ColumnChoice, batches, discover, open_source, parquet

CAPTIONS = ["a cat", None, "", "ein Hund", "猫", "a cat"]
STORED = [None if c is None else c.encode() for c in CAPTIONS]

PLAIN = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view())
DICTIONARIES = [
    pa.dictionary(index, value)
    for index in (pa.int8(), pa.uint16(), pa.int64())
    for value in (pa.string(), pa.large_string(), pa.binary())
]


@pytest.mark.parametrize("kind", [*PLAIN, *DICTIONARIES], ids=str)
def test_every_text_type_gives_the_same_captions(tmp_path, load, kind):
    if pa.types.is_dictionary(kind):
        plain = pa.array(CAPTIONS).cast(kind.value_type).dictionary_encode()
        column = pa.DictionaryArray.from_arrays(plain.indices.cast(kind.index_type), plain.dictionary)
    else:
        column = pa.array(CAPTIONS).cast(kind)
    pq.write_table(pa.table({"caption": column}), tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").captions == STORED


def test_fixed_size_and_null_columns(tmp_path, load):
    pq.write_table(pa.table({"caption": pa.array([b"abc", None], pa.binary(3))}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"caption": pa.nulls(2)}), tmp_path / "b.parquet")
    assert load(tmp_path / "a.parquet").captions == [b"abc", None]
    assert load(tmp_path / "b.parquet").captions == [None, None]


def test_bytes_that_are_not_utf8_pass_unchanged(tmp_path, load):
    pq.write_table(pa.table({"caption": pa.array([b"caf\xe9", b"x"], pa.binary())}), tmp_path / "a.parquet")
    loaded = load(tmp_path / "a.parquet")
    assert loaded.captions == [b"caf\xe9", b"x"]
    assert loaded.reader.take(np.array([0], np.uint64), 0) == ["caf\ufffd"]


def test_a_row_group_larger_than_a_batch_streams(tmp_path, load, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH_ROWS", 300)
    captions = [f"caption {i}" for i in range(2000)]
    pq.write_table(pa.table({"caption": captions}), tmp_path / "a.parquet", row_group_size=1500)
    loaded = load(tmp_path / "a.parquet")
    assert max(map(len, loaded.batches)) == 300
    assert len(loaded.batches) >= 7
    assert loaded.captions == [c.encode() for c in captions]
    assert loaded.rows == list(range(2000))
    assert loaded.reader.n_rows == 2000


def test_long_captions_make_smaller_batches(tmp_path, load, monkeypatch):
    monkeypatch.setattr(batches, "MAX_BYTES", 10_000)
    captions = [str(i) * 1000 for i in range(50)]
    pq.write_table(pa.table({"caption": captions}), tmp_path / "a.parquet")
    loaded = load(tmp_path / "a.parquet")
    assert max(b.captions[0].nbytes for b in loaded.batches) <= 10_000
    assert loaded.captions == [c.encode() for c in captions]


def test_take_reads_only_the_row_groups_that_hold_the_rows(tmp_path, monkeypatch):
    table = pa.table({"caption": [f"caption {i}" for i in range(1000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    reader = open_source(discover([str(tmp_path / "a.parquet")])[0], ColumnChoice())
    read = []
    original = pq.ParquetFile.iter_batches

    def watched(self, *args, row_groups=None, **kwargs):
        read.append(row_groups)
        return original(self, *args, row_groups=row_groups, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    rows = np.array([950, 7, 950, 120], np.uint64)
    assert reader.take(rows, 0) == ["caption 950", "caption 7", "caption 950", "caption 120"]
    assert [groups for groups in read if groups] == [[0], [1], [9]]


def test_records_that_do_not_exist_are_an_index_error(tmp_path, load):
    pq.write_table(pa.table({"caption": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(IndexError, match="1 of 2 records"):
        load(tmp_path / "a.parquet").reader.take(np.array([0, 1], np.uint64), 0)


def test_ids_become_text(tmp_path, load):
    key = uuid.UUID("12345678123456781234567812345678")
    for column, expected in [
        (pa.array([7, None, -1]), ["7", None, "-1"]),
        (pa.array(["a", "", None]), ["a", None, None]),
        (pa.array([b"k", None, b"\xff"], pa.binary()), ["k", None, "\ufffd"]),
        (pa.array([key.bytes] * 3, pa.binary(16)), [key.hex] * 3),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
    ]:
        pq.write_table(pa.table({"caption": ["a", "b", "c"], "uid": column}), tmp_path / "a.parquet")
        loaded = load(tmp_path / "a.parquet")
        assert loaded.ids == expected
        assert loaded.batches[0].ids.type == pa.large_string()


def test_weights_are_multiplied_and_senseless_ones_count_as_one(tmp_path, load):
    table = pa.table(
        {
            "caption": list("abcdefg"),
            "n": pa.array([2, None, 0, -3, 4, 5, 6]),
            "w": pa.array(["0.5", "1.5", "2", "3", "", "many", "inf"]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    (batch,) = load(tmp_path / "a.parquet", weights=("n", "W")).batches
    assert batch.weights.tolist() == [1.0, 1.5, 0.0, 3.0, 4.0, 5.0, 6.0]
    assert load(tmp_path / "a.parquet").batches[0].weights is None


def test_hashes_may_be_text_numbers_or_bytes(tmp_path, load):
    for column, expected in [
        (pa.array(["ff00", ""]), [b"ff00", None]),
        (pa.array([255, None]), [b"255", None]),
        (pa.array([b"\xff\x00", None], pa.binary()), [b"\xff\x00", None]),
    ]:
        pq.write_table(pa.table({"caption": ["a", "b"], "phash": column}), tmp_path / "a.parquet")
        assert load(tmp_path / "a.parquet").batches[0].hashes.to_pylist() == expected


def test_picture_bytes_are_no_reference_but_a_struct_has_a_path(tmp_path, load):
    picture = b"\xff\xd8\xff\xe0" + bytes(100)
    bare = pa.table({"text": ["a"], "image": pa.array([picture], pa.binary())})
    url = pa.table({"text": ["a"], "image": pa.array([b"http://x/1.jpg"], pa.binary())})
    struct = pa.table({"text": ["a", "b"], "image": [{"bytes": picture, "path": "1.jpg"}, None]})
    for name, table in {"bare": bare, "url": url, "struct": struct}.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    loaded = load(tmp_path / "bare.parquet")
    assert loaded.reader.columns.image is None
    assert loaded.batches[0].images is None
    assert load(tmp_path / "bare.parquet", image="image").batches[0].images is None
    assert load(tmp_path / "url.parquet").images == [b"http://x/1.jpg"]
    assert load(tmp_path / "struct.parquet").images == [b"1.jpg", None]
    assert load(tmp_path / "struct.parquet", image="image").reader.columns.image == "image.path"


def test_picture_bytes_are_not_read_for_captions(tmp_path, load, monkeypatch):
    asked = []
    original = pq.ParquetFile.iter_batches

    def watched(self, *args, columns=None, **kwargs):
        asked.append(columns)
        return original(self, *args, columns=columns, **kwargs)

    struct = pa.table({"text": ["a"], "image": [{"bytes": b"\xff", "path": "1.jpg"}], "other": [1]})
    pq.write_table(struct, tmp_path / "a.parquet")
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    load(tmp_path / "a.parquet")
    assert {name for names in asked for name in names} == {"text", "image.path"}


def test_nested_captions_by_dotted_name(tmp_path, load):
    rows = [{"caption": "x", "n": {"deep": "p"}}, None, {"caption": None, "n": {"deep": "q"}}]
    pq.write_table(pa.table({"meta": rows, "a.b": ["dot"] * 3, "a": [{"b": "inner"}] * 3}), tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet", captions=("meta.caption",)).captions == [b"x", None, None]
    assert load(tmp_path / "a.parquet", captions=("meta.n.deep",)).captions == [b"p", None, b"q"]
    assert load(tmp_path / "a.parquet", captions=("a.b",)).captions == [b"dot"] * 3


def test_of_two_columns_of_one_name_the_first_counts(tmp_path, load):
    table = pa.Table.from_arrays([pa.array(["one"]), pa.array(["two"])], names=["caption", "caption"])
    pq.write_table(table, tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").captions == [b"one"]


def test_several_caption_columns_of_which_a_file_may_lack_some(tmp_path, load):
    pq.write_table(pa.table({"long": ["l"], "SHORT": ["s"]}), tmp_path / "both.parquet")
    pq.write_table(pa.table({"short": ["t"], "x": [1]}), tmp_path / "one.parquet")
    both = load(tmp_path / "both.parquet", captions=("short", "long"))
    assert both.reader.columns.captions == ("SHORT", "long")
    assert [c.to_pylist() for c in both.batches[0].captions] == [[b"s"], [b"l"]]
    assert both.reader.take(np.array([0], np.uint64), 1) == ["l"]
    assert load(tmp_path / "one.parquet", captions=("short", "long")).reader.columns.captions == ("short",)


def test_rows_that_img2dataset_did_not_download_are_skipped(tmp_path, load):
    table = pa.table(
        {
            "url": [f"http://x/{i}" for i in range(5)],
            "key": [f"{i:09}" for i in range(5)],
            "status": ["success", "failed_to_download", "success", None, "failed_to_resize"],
            "caption": ["a", "b", None, "d", "e"],
        }
    )
    pq.write_table(table, tmp_path / "00000.parquet")
    loaded = load(tmp_path / "00000.parquet")
    assert loaded.rows == [0, 2]
    assert loaded.captions == [b"a", None]
    assert loaded.ids == ["000000000", "000000002"]
    assert loaded.skipped == {"not downloaded": 3}
    assert len(loaded.rows) + sum(loaded.skipped.values()) == loaded.reader.n_rows


def test_status_without_key_is_an_ordinary_column(tmp_path, load):
    pq.write_table(pa.table({"caption": ["a"], "status": ["draft"]}), tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").captions == [b"a"]


def test_a_file_without_rows(tmp_path, load):
    pq.write_table(pa.table({"caption": pa.array([], pa.string())}), tmp_path / "a.parquet")
    loaded = load(tmp_path / "a.parquet")
    assert loaded.captions == []
    assert loaded.reader.n_rows == 0


def test_cut_off_and_foreign_files_are_refused_when_opened(tmp_path, load):
    pq.write_table(pa.table({"caption": ["a"] * 1000}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for name, content in {"cut": whole[:-20], "text": b"caption\nno parquet at all\n", "footer": whole[-100:]}.items():
        (tmp_path / f"{name}.parquet").write_bytes(content)
        with pytest.raises(BadInput, match=rf"{name}\.parquet is not a readable parquet file") as caught:
            load(tmp_path / f"{name}.parquet")
        assert len(caught.value.lines()) == 3
    (tmp_path / "empty.parquet").touch()
    with pytest.raises(BadInput, match="is empty"):
        load(tmp_path / "empty.parquet")


def test_damage_in_the_middle_names_file_and_row_after_the_good_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH_ROWS", 1000)
    path = tmp_path / "a.parquet"
    captions = [f"caption number {i} of many" for i in range(4000)]
    pq.write_table(
        pa.table({"caption": captions}), path, row_group_size=1000, compression="none", write_page_checksum=True
    )
    raw = bytearray(path.read_bytes())
    at = raw.index(b"caption number 2500 of many")
    raw[at : at + 7] = b"CAPTION"
    path.write_bytes(raw)
    reader = open_source(discover([str(path)])[0], ColumnChoice())
    good = []
    with pytest.raises(BadInput, match=r"a\.parquet is damaged at about row 2,000") as caught:
        good.extend(len(batch) for batch in reader.batches())
    assert sum(good) == 2000
    assert len(caught.value.lines()) == 3
