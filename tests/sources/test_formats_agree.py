"""The same captions in parquet, CSV, JSONL and tars are the same records."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memaudit.errors import BadInput
from memaudit.sources import (
    ColumnChoice,
    archive,
    batches,
    discover,
    jsonl,
    objects,
    open_source,
    separated,
    tars,
)
from tests.sources.conftest import write_tar

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TRICKY = st.text(st.sampled_from('",;|\t\n\r\\{}[]é猫\x00\ufeff a'), max_size=12)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl", "a.tar", "a.tar.gz"])
def test_random_damage_is_bad_input_or_harmless(tmp_path, name):
    captions = [f'caption "{i}", é' for i in range(100)]
    path = tmp_path / name
    if name == "a.csv":
        path.write_text("caption,n\n" + "".join(f'"{c.replace(chr(34), chr(34) * 2)}",1\n' for c in captions))
    elif name.startswith("a.tar"):
        members = [(f"{i}.{suffix}", b"x" * 600) for i in range(100) for suffix in ("jpg", "caption")]
        write_tar(path, members)
    elif name == "a.jsonl":
        path.write_text("".join(json.dumps({"caption": c}) + "\n" for c in captions))
    else:
        pq.write_table(pa.table({"caption": captions, "d": pa.array(captions).dictionary_encode()}), path)
    whole, random = path.read_bytes(), Random(7)
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(random.choice([1, 20])):
            damaged[random.randrange(len(whole))] = random.randrange(256)
        path.write_bytes(damaged)
        try:
            reader = open_source(discover([str(path)])[0], ColumnChoice(captions=("caption", "d")))
            outcomes.add(all(len(batch.captions[0]) == len(batch.rows) for batch in reader.batches()))
        except BadInput as error:
            assert all(line.isprintable() for line in error.lines())
            outcomes.add("refused")
    assert outcomes <= {True, "refused"}
    assert True in outcomes


@pytest.fixture(params=["usual", "tiny"])
def block_sizes(request, monkeypatch):
    """Every test also with blocks so small that most values lie across their borders."""
    if request.param == "tiny":
        monkeypatch.setattr(separated, "BLOCKS", (32, 1 << 20))
        monkeypatch.setattr(jsonl, "BLOCK", 100)
        monkeypatch.setattr(objects, "PARSE", 64)
        monkeypatch.setattr(batches, "MAX_ROWS", 3)
        monkeypatch.setattr(archive, "NEAR", 100)
        monkeypatch.setattr(archive, "PACKED", 100)
        monkeypatch.setattr(tars, "PIECE", 2)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(captions=st.lists(ANY_TEXT | TRICKY, max_size=12))
def test_any_captions(block_sizes, load, captions):
    expected = [caption.encode() for caption in captions]
    ids = [str(i) for i in range(len(captions))]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pq.write_table(pa.table({"caption": pa.array(captions, pa.string()), "id": ids}), root / "a.parquet")
        with (root / "a.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("caption", "id"), *zip(captions, ids, strict=True)])
        with (root / "b.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("caption", "id"), *zip(captions, ids, strict=True)])
        for name, ascii_only in (("a.jsonl", True), ("b.jsonl", False)):
            lines = [
                json.dumps({"caption": c, "id": int(i)}, ensure_ascii=ascii_only)
                for c, i in zip(captions, ids, strict=True)
            ]
            (root / name).write_text("".join(line + "\n" for line in lines) or "{}", encoding="utf-8", newline="")
        members = [(f"{i}.json", json.dumps({"caption": c}, indent=2).encode()) for i, c in enumerate(captions)]
        write_tar(root / "a.tar", members)
        write_tar(root / "b.tar.gz", members)
        names = ["a.parquet", "a.csv", "b.csv"]
        names += ["a.jsonl", "b.jsonl", "a.tar", "b.tar.gz"] if captions else []
        for name in names:
            loaded = load(root / name)
            assert loaded.captions == expected, name
            assert loaded.rows == list(range(len(captions))), name
            assert [str(i) for i in loaded.rows] == loaded.ids, name
            assert loaded.skipped == {}, name


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.sampled_from(["good", "few", "many", "long"]), max_size=40))
def test_counts_add_up_whatever_lines_are_bad(block_sizes, load, lines):
    text = {"good": "g,1", "few": "only", "many": "a,b,c", "long": '"l\nl",2'}
    objects = {"good": '{"caption": "g"}', "few": "{", "many": "{}{}", "long": '{"caption": "l\\nl", "x": 1}'}
    caption = {"good": b"g", "long": b"l\nl"}
    expected = {i: caption[line] for i, line in enumerate(lines) if line in caption}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "a.csv").write_text("caption,n\n" + "".join(text[line] + "\n" for line in lines))
        (root / "a.jsonl").write_text("".join(objects[line] + "\n" for line in lines))
        for name in ["a.csv"] + (["a.jsonl"] if expected else []):
            loaded = load(root / name)
            assert dict(zip(loaded.rows, loaded.captions, strict=True)) == expected, name
            assert len(loaded.rows) + sum(loaded.skipped.values()) == len(lines), name
