"""Of what templates are made: shares of furniture words, shapes and neutral words, against plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from memaudit.detect.grams import Tokens
from memaudit.detect.style import styles, vocabulary
from memaudit.detect.templates import mine_templates
from memaudit.text.arrow import buffers
from memaudit.text.lexer import lex_buffers

if TYPE_CHECKING:
    from pathlib import Path

STOCK, PAGE, OPENER = "royalty free stock photo", "buy online price", "image features"


def style_of(captions: list[str], tmp_path: Path) -> dict[str, object]:
    """Style of the template with most members, the most fixed one of equals."""
    lexed = lex_buffers(*buffers(pa.array([c.encode() for c in captions], pa.large_binary()))[:2])
    streams = Tokens(lexed.tokens, lexed.token_at)
    templates, _ = mine_templates(streams, 3, 1, 1 << 28, tmp_path)
    first = templates.member_at[np.lexsort((-templates.bits, -np.diff(templates.member_at)))[:1]]
    words = vocabulary([STOCK, PAGE, OPENER], "the a with")
    found = styles(templates.text[first], templates.span[first], streams, words)
    return {name: np.asarray(column[0]).tolist() for name, column in found._asdict().items()}


NAMES = "amber fox,blue whale song,crimson tide,dusty road,early bird gathering,fallen oak,grey goose".split(",")


def test_a_stock_tail_is_furniture(tmp_path: Path) -> None:
    found = style_of([f"{name} royalty free stock photo" for name in NAMES], tmp_path)
    assert found == {"furniture": 1.0, "tables": [1.0, 0.0, 0.0], "shapes": 0.0, "opens": False}


def test_words_of_things_are_not_furniture(tmp_path: Path) -> None:
    found = style_of([f"{name} quilted throw pillow" for name in NAMES], tmp_path)
    assert found == {"furniture": 0.0, "tables": [0.0, 0.0, 0.0], "shapes": 0.0, "opens": False}


def test_neutral_words_count_neither_way_and_openers_open(tmp_path: Path) -> None:
    found = style_of([f"the image features a {name}" for name in NAMES], tmp_path)
    assert found == {"furniture": 1.0, "tables": [0.0, 0.0, 1.0], "shapes": 0.0, "opens": True}


def test_shapes_are_counted(tmp_path: Path) -> None:
    found = style_of([f"{name} quilted rug {i + 3} cm" for i, name in enumerate(NAMES)], tmp_path)
    assert found["shapes"] in (1 / 4, np.float32(1 / 3), np.float32(1 / 3).item())  # "3 cm" is one size or two words
    assert found["furniture"] == 0.0


def test_whole_captions() -> None:
    lexed = lex_buffers(*buffers(pa.array([b"buy a red kite", b"stock photo"], pa.large_binary()))[:2])
    words = vocabulary([STOCK, PAGE, OPENER], "the a with")
    found = styles(np.array([1, 0], np.uint32), None, Tokens(lexed.tokens, lexed.token_at), words)
    assert found.furniture.tolist() == [1.0, np.float32(1 / 3)]
    assert not found.opens.any()


def test_a_vocabulary_is_lexed_like_captions() -> None:
    words = vocabulary(["Photo PHOTO фото", "photo"], "the")
    assert len(words.tokens) == 3
    assert sorted(words.tables.tolist()) == [1, 3, 8]
    assert (np.diff(words.tokens.astype(np.int64)) > 0).all()
