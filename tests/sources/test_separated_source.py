"""CSV and TSV: delimiters, quotes, malformed lines, odd bytes, compression."""

from __future__ import annotations

import bz2
import gzip

import numpy as np
import pyarrow as pa
import pytest

from memaudit.errors import BadInput
from memaudit.sources import ColumnChoice, batches, discover, open_source, separated


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_delimiter_is_found_in_the_header(tmp_path, load, delimiter):
    lines = [["url", "caption", "a,b;c"], ["http://x", "one", "y"], ["http://y", '"t""w\no, ; | \t"', "z"]]
    quoted = [[f'"{cell}"' if "," in cell and not cell.startswith('"') else cell for cell in line] for line in lines]
    (tmp_path / "a.csv").write_text("\n".join(delimiter.join(line) for line in quoted) + "\n")
    loaded = load(tmp_path / "a.csv")
    assert loaded.captions == [b"one", b't"w\no, ; | \t']
    assert loaded.images == [b"http://x", b"http://y"]


def test_tsv_is_split_at_tabs_whatever_the_header_looks_like(tmp_path, load):
    (tmp_path / "a.TSV").write_text("caption\tx,y,z,w\none, two\t3\n")
    assert load(tmp_path / "a.TSV").captions == [b"one, two"]


def test_byte_order_mark_and_quoted_header(tmp_path, load):
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbf"caption","a,b"\r\n"x",1\r\ny,2\r\n')
    loaded = load(tmp_path / "a.csv")
    assert loaded.reader.columns.captions == ("caption",)
    assert loaded.captions == [b"x", b"y"]
    assert loaded.rows == [0, 1]


def test_quotes_inside_values_are_text(tmp_path, load):
    (tmp_path / "a.csv").write_text('caption,n\n5" screen,1\n"a ""b"" c",2\n"two\nlines",3\n"",4\n,5\n')
    assert load(tmp_path / "a.csv").captions == [b'5" screen', b'a "b" c', b"two\nlines", b"", b""]


@pytest.mark.parametrize("block", [1 << 20, 64], ids=["one block", "many blocks"])
def test_bad_lines_are_counted_and_later_rows_keep_their_numbers(tmp_path, load, monkeypatch, block):
    monkeypatch.setattr(separated, "BLOCKS", (block, 1 << 20))
    lines, expected, n_bad = ["caption,n"], {}, 0
    for i in range(200):
        if i % 7 in (0, 1) or i > 190:
            lines.append("too,many,fields" if i % 2 else "too few")
            n_bad += 1
        else:
            lines.append(f'"caption\n{i}",{i}')
            expected[i] = b"caption\n%d" % i
        if i % 10 == 0:
            lines.append("")  # blank lines are no records
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    loaded = load(tmp_path / "a.csv")
    assert dict(zip(loaded.rows, loaded.captions, strict=True)) == expected
    assert loaded.skipped == {"bad line": n_bad}
    assert len(loaded.rows) + n_bad == 200


def test_only_bad_lines(tmp_path, load):
    (tmp_path / "a.csv").write_text("caption,n\nx\ny\n")
    loaded = load(tmp_path / "a.csv")
    assert loaded.rows == []
    assert loaded.skipped == {"bad line": 2}
    with pytest.raises(IndexError):
        loaded.reader.take(np.array([0], np.uint64), 0)


def test_bytes_that_are_not_utf8_pass_unchanged(tmp_path, load):
    (tmp_path / "a.csv").write_bytes(
        "caption,id\nna\u00efve 猫,1\n".encode() + b"caf\xe9 \x80,\xfe\n\xff bad \xfe\nx,3\n"
    )
    loaded = load(tmp_path / "a.csv")
    assert loaded.captions == ["na\u00efve 猫".encode(), b"caf\xe9 \x80", b"x"]
    assert loaded.ids == ["1", "\ufffd", "3"]
    assert loaded.rows == [0, 1, 3]
    assert loaded.skipped == {"bad line": 1}


def test_words_that_mean_null_elsewhere_are_captions(tmp_path, load):
    (tmp_path / "a.csv").write_text("caption,id,url\nNULL,1,\nNA,,x\nnan,3,\n")
    loaded = load(tmp_path / "a.csv")
    assert loaded.captions == [b"NULL", b"NA", b"nan"]
    assert loaded.ids == ["1", None, "3"]
    assert loaded.images == [None, b"x", None]


def test_weights_in_text(tmp_path, load):
    (tmp_path / "a.csv").write_text("caption,n\na, 2\nb,\nc,x\nd,-1\ne,0.5\n")
    assert load(tmp_path / "a.csv", weights=("n",)).batches[0].weights.tolist() == [2, 1, 1, 1, 0.5]


def test_a_value_larger_than_a_block(tmp_path, load, monkeypatch):
    monkeypatch.setattr(separated, "BLOCKS", (100, 1000, 100_000))
    captions = [b"first", b"x" * 300, b"second", b"y" * 5000, b"last"]
    (tmp_path / "a.csv").write_bytes(b"caption,n\n" + b"".join(b"%b,1\nbad\n" % c for c in captions))
    loaded = load(tmp_path / "a.csv")
    assert loaded.captions == captions
    assert loaded.rows == [0, 2, 4, 6, 8]
    assert loaded.skipped == {"bad line": 5}


@pytest.mark.parametrize("blocks", [(1 << 20,), (64, 256)], ids=["one block", "many blocks"])
def test_a_quote_that_never_closes_does_not_swallow_the_rest_in_silence(tmp_path, load, monkeypatch, blocks):
    monkeypatch.setattr(separated, "BLOCKS", blocks)
    (tmp_path / "a.csv").write_text("caption,n\nfine,1\n" + '"open,2\n' + "lost,3\n" * 100)
    with pytest.raises(BadInput, match=r"a\.csv is damaged at about row \d") as caught:
        load(tmp_path / "a.csv")
    assert caught.value.why == "a quoted value does not end"


def test_a_last_line_cut_off_within_a_quote_is_one_bad_line(tmp_path, load):
    (tmp_path / "a.csv").write_text('caption,n\nfine,1\n"cut of')
    loaded = load(tmp_path / "a.csv")
    assert loaded.captions == [b"fine"]
    assert loaded.skipped == {"bad line": 1}


def test_batches_stay_small(tmp_path, load, monkeypatch):
    monkeypatch.setattr(batches, "MAX_ROWS", 100)
    (tmp_path / "a.csv").write_text("caption\n" + "".join(f"c{i}\n" for i in range(1000)))
    loaded = load(tmp_path / "a.csv")
    assert max(map(len, loaded.batches)) <= 100
    assert loaded.captions == [b"c%d" % i for i in range(1000)]


def test_compressed_files(tmp_path, load):
    text = b"caption,n\n" + b"".join(b"caption %d,1\n" % i for i in range(500))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text[:2000]) + gzip.compress(text[2000:]))
    (tmp_path / "a.csv.bz2").write_bytes(bz2.compress(text))
    with pa.CompressedOutputStream(str(tmp_path / "a.tsv.zst"), "zstd") as out:
        out.write(text.replace(b",", b"\t"))
    expected = [b"caption %d" % i for i in range(500)]
    for name in ("a.csv.gz", "a.csv.bz2", "a.tsv.zst"):
        assert load(tmp_path / name).captions == expected


def test_damaged_gzip_is_bad_input(tmp_path, load):
    noise = np.random.default_rng(0).integers(97, 123, (20_000, 20), dtype=np.uint8)
    text = b"caption\n" + b"".join(row.tobytes() + b"\n" for row in noise)
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(text)[:-1000])
    (tmp_path / "no.csv.gz").write_bytes(text)
    with pytest.raises(BadInput, match=r"cut\.csv\.gz"):
        load(tmp_path / "cut.csv.gz")
    with pytest.raises(BadInput, match=r"cannot read .*no\.csv\.gz"):
        load(tmp_path / "no.csv.gz")


def test_header_only_and_empty_files(tmp_path, load):
    (tmp_path / "header.csv").write_text("caption,n\n")
    assert load(tmp_path / "header.csv").captions == []
    for content in ("", "\n\n"):
        (tmp_path / "empty.csv").write_text(content)
        with pytest.raises(BadInput, match=r"empty\.csv is empty"):
            load(tmp_path / "empty.csv")


def test_take_does_not_read_past_the_last_wanted_record(tmp_path, monkeypatch):
    monkeypatch.setattr(separated, "BLOCKS", (64,))
    (tmp_path / "a.csv").write_text("caption,n\n" + "fine,1\n" * 100 + '"open,2\n' + "lost,3\n" * 100)
    reader = open_source(discover([str(tmp_path / "a.csv")])[0], ColumnChoice())
    assert reader.take(np.array([30, 2], np.uint64), 0) == ["fine", "fine"]
    with pytest.raises(BadInput):
        reader.take(np.array([2, 150], np.uint64), 0)


def test_utf16_is_named(tmp_path, load):
    (tmp_path / "a.csv").write_text("caption,n\nx,1\n", encoding="utf-16")
    with pytest.raises(BadInput, match="not a UTF-8 text file"):
        load(tmp_path / "a.csv")
