"""Which columns are found, and what is said when they are not."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memaudit.errors import BadInput
from memaudit.sources import ColumnChoice, Columns
from memaudit.sources.columns import find_columns

TEXT = pa.string()


def found(*names: str, **choice: object) -> Columns:
    return find_columns(dict.fromkeys(names, TEXT), ColumnChoice(**choice), "a.csv")  # type: ignore[arg-type]


def test_laion_by_name():
    assert found("SAMPLE_ID", "URL", "TEXT", "HASH") == Columns(("TEXT",), "SAMPLE_ID", "URL", "HASH")


def test_the_first_name_of_the_list_wins_over_the_order_in_the_file():
    assert found("title", "text", "Caption", "id", "uid", "path", "url") == Columns(("Caption",), "uid", "url")


def test_the_exact_name_wins_over_the_folded_one():
    assert found("CAPTION", "caption").captions == ("caption",)
    assert found("Text", "text", "TEXT", captions=("TEXT",)).captions == ("TEXT",)


def test_weights_never_come_by_name():
    assert found("caption", "weight", "n").weights == ()
    assert found("caption", "weight", "n", weights=("N", "weight")).weights == ("n", "weight")


def test_one_column_named_twice_counts_once():
    assert found("Text", captions=("text", "TEXT", "gone")).captions == ("Text",)


def test_types_that_cannot_serve_are_passed_over_by_name():
    fields = {"caption": pa.int64(), "text": TEXT, "id": pa.list_(TEXT), "url": pa.int32(), "path": TEXT}
    assert find_columns(fields, ColumnChoice(), "a") == Columns(("text",), None, "path")


def test_no_caption_column_says_what_was_found_and_guesses():
    with pytest.raises(BadInput) as caught:
        find_columns({"url": TEXT, "TXT": TEXT, "hash": TEXT}, ColumnChoice(), "part-0007.parquet")
    assert caught.value.lines() == [
        "error: no caption column in part-0007.parquet",
        "  found: url, TXT, hash    looked for: caption, text, prompt, alt_text, alttext, alt, description, title, "
        "captions",
        "  try: memaudit scan DATA --column TXT",
    ]


@pytest.mark.parametrize(
    ("fields", "choice", "hint"),
    [
        ({"url": TEXT, "words": TEXT, "n": pa.int64()}, (), "words"),  # the only text that is nothing else
        ({"url": TEXT, "words": TEXT, "more": TEXT}, (), "NAME"),
        ({"caption_en": TEXT, "b": TEXT}, ("captoin_en",), "caption_en"),
        ({"my caption": TEXT, "b": TEXT}, (), "'my caption'"),
        ({"n": pa.int64()}, (), "NAME"),
    ],
)
def test_the_guess(fields, choice, hint):
    with pytest.raises(BadInput) as caught:
        find_columns(fields, ColumnChoice(captions=choice), "a")
    assert caught.value.hint == f"memaudit scan DATA --column {hint}"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (pa.int64(), "its type is int64, wanted text or bytes"),
        (pa.list_(TEXT), "several values a row are not supported"),
        (pa.dictionary(pa.int8(), pa.int64()), "wanted text or bytes"),
        (pa.struct([("a", TEXT)]), "wanted text or bytes"),
    ],
    ids=str,
)
def test_caption_types_that_cannot_be_read(kind, why):
    for choice in (ColumnChoice(), ColumnChoice(captions=("caption",))):
        with pytest.raises(BadInput, match="column 'caption' of a cannot be read as a caption") as caught:
            find_columns({"caption": kind, "n": TEXT}, choice, "a")
        assert why in caught.value.why


@pytest.mark.parametrize("role", ["id", "image", "hash", "weights"])
def test_named_columns_must_exist_and_hold_words(role):
    for name in ("uidd", "list"):
        choice = ColumnChoice(**{role: (name,) if role == "weights" else name})  # type: ignore[arg-type]
        with pytest.raises(BadInput) as caught:
            find_columns({"caption": TEXT, "uid": TEXT, "list": pa.list_(TEXT)}, choice, "a.parquet")
        assert len(caught.value.lines()) == 3
        assert f"'{name}'" in caught.value.what
        assert "a.parquet" in caught.value.what


def test_hostile_column_names_are_escaped(tmp_path, load):
    pq.write_table(pa.table({"a\n\x1b[31mb": ["x"], "c": ["y"]}), tmp_path / "a.parquet")
    with pytest.raises(BadInput) as caught:
        load(tmp_path / "a.parquet")
    assert "a\\n\\x1b[31mb" in caught.value.why
    assert all(line.isprintable() for line in caught.value.lines())
