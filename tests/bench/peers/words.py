"""What every peer reads: captions of a Parquet file, and the words that all of them and the truth share.

Words are runs of letters, marks and digits of the lower-cased caption; Han and Kana are one character a word, as in
memaudit. Peers run as scripts in an environment of their own: only polars is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

IDEOGRAPHS = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
WORD = rf"{IDEOGRAPHS}|[[\p{{L}}\p{{M}}\p{{N}}]--{IDEOGRAPHS}]+"


def read_captions(path: str | Path, limit: int | None = None, repeats: bool = False) -> tuple[pl.DataFrame, int]:
    """The first `limit` captions ("row", "caption"), and how many they were.

    Exact repeats are collapsed to the first, unless `repeats`: hashing them again would only slow a peer down.
    """
    frame = pl.read_parquet(path, columns=["caption"], n_rows=limit).with_row_index("row")
    return frame if repeats else frame.unique("caption", keep="first", maintain_order=True), len(frame)


def word_lists(captions: pl.Series) -> pl.Series:
    """List(String): the words of each caption."""
    return captions.str.to_lowercase().str.extract_all(WORD)
