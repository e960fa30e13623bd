"""JSON lines: values of any type, bad lines, long lines, compression."""

from __future__ import annotations

import gzip
import json

import pytest

from memaudit.errors import BadInput
from memaudit.sources import jsonl, objects


def write(path, *lines: object) -> None:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))


def test_nulls_empties_missing_and_blank_lines(tmp_path, load):
    lines = ({"caption": "a"}, {"caption": None}, "", {"id": 3}, "  ", {"caption": ""}, {"caption": "猫\u0000\n"})
    write(tmp_path / "a.jsonl", *lines)
    loaded = load(tmp_path / "a.jsonl")
    assert loaded.captions == [b"a", None, None, b"", "猫\u0000\n".encode()]
    assert loaded.rows == [0, 1, 2, 3, 4]
    assert loaded.ids == [None, None, "3", None, None]
    assert loaded.skipped == {}


def test_good_files_do_not_go_line_by_line(tmp_path, load, monkeypatch):
    monkeypatch.delattr(objects.ObjectParser, "_line_by_line")
    records = [{"caption": f"c{i}", "url": f"u{i}", "id": i, "w": 0.5, "other": [{"x": i}]} for i in range(5000)]
    (tmp_path / "a.jsonl").write_bytes("\r\n".join(map(json.dumps, records)).encode())  # no line break at the end
    monkeypatch.setattr(jsonl, "BLOCK", 10_000)
    loaded = load(tmp_path / "a.jsonl", weights=("w",))
    assert loaded.captions == [b"c%d" % i for i in range(5000)]
    assert loaded.ids == [str(i) for i in range(5000)]
    assert len(loaded.batches) > 10
    assert set(loaded.batches[-1].weights.tolist()) == {0.5}


BAD = (
    "not json",
    "[1, 2]",
    '"text"',
    '{"caption": "cut',
    '{"caption": "x"}{"caption": "y"}',
    '{"caption": "x"} {}',
    "{}}",
)


@pytest.mark.parametrize("bad", BAD)
def test_bad_lines_are_counted_and_later_rows_keep_their_numbers(tmp_path, load, bad):
    write(tmp_path / "a.jsonl", {"caption": "a", "id": 1}, bad, {"caption": "b", "id": 2}, bad)
    loaded = load(tmp_path / "a.jsonl")
    assert loaded.captions == [b"a", b"b"]
    assert loaded.rows == [0, 2]
    assert loaded.ids == ["1", "2"]
    assert loaded.skipped == {"bad line": 2}


def test_an_object_over_several_lines_and_two_on_one_do_not_cancel_out(tmp_path, load):
    write(
        tmp_path / "a.jsonl",
        {"caption": "a"},
        '{"caption": "x"}{"caption": "y"}',
        '{"caption":',
        '{"x": 1}}',
        '{"caption": "b"}',
    )
    loaded = load(tmp_path / "a.jsonl")
    assert loaded.captions == [b"a", b"b"]
    assert loaded.rows == [0, 4]
    assert loaded.skipped == {"bad line": 3}


def test_captions_that_are_no_strings_are_null_not_bad(tmp_path, load):
    write(
        tmp_path / "a.jsonl", {"caption": "a"}, {"caption": 3}, {"caption": ["x"]}, {"caption": True}, {"caption": "b"}
    )
    loaded = load(tmp_path / "a.jsonl")
    assert loaded.captions == [b"a", None, None, None, b"b"]
    assert loaded.skipped == {}


def test_ids_and_weights_of_mixed_types(tmp_path, load):
    ids = [1, "x", 2.5, None, 12345678901234567890]
    weights = [2, "0.5", None, "x", -1]
    write(tmp_path / "a.jsonl", *({"caption": "c", "id": i, "w": w} for i, w in zip(ids, weights, strict=True)))
    loaded = load(tmp_path / "a.jsonl", weights=("w",))
    assert loaded.ids == ["1", "x", "2.5", None, "12345678901234567890"]
    assert loaded.batches[0].weights.tolist() == [2, 0.5, 1, 1, 1]


@pytest.mark.parametrize("stray", ["", "no json\n"], ids=["fast", "line by line"])
def test_bytes_that_are_not_utf8_pass_unchanged(tmp_path, load, stray):
    (tmp_path / "a.jsonl").write_bytes(b'{"caption": "caf\xe9"}\n{"caption": "x"}\n' + stray.encode())
    assert load(tmp_path / "a.jsonl").captions == [b"caf\xe9", b"x"]


def test_unpaired_surrogates_survive(tmp_path, load):
    write(tmp_path / "a.jsonl", '{"caption": "\\ud800!"}', '{"caption": "\\ud83d\\ude00"}')
    assert load(tmp_path / "a.jsonl").captions == [b"\xed\xa0\x80!", "😀".encode()]


def test_lines_far_longer_than_a_block(tmp_path, load, monkeypatch):
    monkeypatch.setattr(jsonl, "BLOCK", 1000)
    monkeypatch.setattr(objects, "PARSE", 100)
    captions = ["short", "x" * 50_000, "", "y" * 999, "z"]
    write(tmp_path / "a.jsonl", *({"caption": c} for c in captions))
    assert load(tmp_path / "a.jsonl").captions == [c.encode() for c in captions]


def test_deep_nesting_is_no_crash(tmp_path, load):
    deep = '{"caption": "x", "d": ' + "[" * 100_000 + "]" * 100_000 + "}"
    write(tmp_path / "a.jsonl", {"caption": "a"}, deep, "bad", {"caption": "b"})
    loaded = load(tmp_path / "a.jsonl")
    assert loaded.captions[0] == b"a"
    assert loaded.captions[-1] == b"b"
    assert loaded.rows[-1] == 3
    assert len(loaded.rows) + loaded.skipped["bad line"] == 4


def test_byte_order_mark_and_gzip(tmp_path, load):
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(b'\xef\xbb\xbf{"TEXT": "a"}\n'))
    assert load(tmp_path / "a.ndjson.gz").captions == [b"a"]


def test_columns_come_from_all_the_first_lines(tmp_path, load):
    write(tmp_path / "a.jsonl", {"id": 1}, {"id": 2, "caption": None}, {"caption": "x", "url": "u"})
    loaded = load(tmp_path / "a.jsonl")
    assert loaded.captions == [None, None, b"x"]
    assert loaded.images == [None, None, b"u"]


def test_files_that_hold_no_json_lines(tmp_path, load):
    for content, why in [("[\n{}\n]", "one JSON array"), ("a,b\n1,2\n", "none of its first 2 lines is a JSON object")]:
        (tmp_path / "a.jsonl").write_text(content)
        with pytest.raises(BadInput, match=r"a\.jsonl is no JSON lines file") as caught:
            load(tmp_path / "a.jsonl")
        assert why in caught.value.why
    (tmp_path / "a.jsonl").write_text("\n \n")
    with pytest.raises(BadInput, match="is empty"):
        load(tmp_path / "a.jsonl")


def test_lists_of_captions_are_refused(tmp_path, load):
    write(tmp_path / "a.jsonl", {"captions": ["a", "b"]})
    with pytest.raises(BadInput, match="'captions'") as caught:
        load(tmp_path / "a.jsonl")
    assert "several values a row are not supported" in caught.value.why
