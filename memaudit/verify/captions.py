"""Captions of an audit read back for prompts, and whether a new one is among them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from memaudit.errors import BadInput
from memaudit.sources import ColumnChoice, open_source, shown, source_at
from memaudit.text.lexer import lex_buffers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memaudit.store import Audit

PLACE = ("text_id", "file", "row", "column")  # columns of TEXTS by which a caption is read back

_SCRIPTS = (
    ("latin", ("LATIN", "FULLWIDTH LATIN")),
    ("cjk", ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO")),
    ("cyrillic", ("CYRILLIC",)),
)


def read_captions(audit: Audit, texts: pl.DataFrame) -> dict[int, str]:
    """Captions as they stand in the data, by text_id.

    texts: columns `PLACE`. Each file is opened once per caption column. Raises BadInput where a file is gone, damaged
    or has changed since the scan: a prompt that the data does not hold would prove nothing about them.
    """
    files = dict(audit.collect(audit.scan("files").select("file", "path"), "files", engine="streaming").iter_rows())
    known = {entry.get("path"): entry.get("fingerprint") for entry in audit.manifest.get("inputs", [])}
    choice = ColumnChoice.of(audit.manifest.get("config", {}))
    out: dict[int, str] = {}
    for (file, column), part in sorted(texts.unique("text_id").partition_by("file", "column", as_dict=True).items()):
        part = part.sort("row")
        path = files.get(file, "?")
        captions = _taken(path, known.get(path), choice, part["row"].to_numpy(), column)
        out.update(zip(part["text_id"].to_list(), captions, strict=True))
    return out


def _taken(path: str, fingerprint: str | None, choice: ColumnChoice, rows: np.ndarray, column: int) -> list[str]:
    """Captions of one column of one file."""
    hint = "put the files back where the scan found them, or scan again"
    try:
        source = source_at(path)
        if fingerprint not in (None, source.fingerprint()):
            raise BadInput("it has changed since the scan")
        found = open_source(source, choice).take(rows, column)
    except IndexError as error:
        raise BadInput(f"cannot read captions back from {shown(path)}", "its records are others now", hint) from error
    except BadInput as error:
        raise BadInput(f"cannot read captions back from {shown(path)}", error.why or error.what, hint) from error
    return [caption or "" for caption in found]


def in_dataset(audit: Audit, captions: Sequence[str]) -> list[bool]:
    """Which captions the dataset holds, compared as the scan compares: by all their normalised words.

    One pass over the keys of TEXTS, whatever the number of captions.
    """
    if not captions:
        return []
    encoded = [caption.encode("utf-8", errors="replace") for caption in captions]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    lexed = lex_buffers(np.frombuffer(b"".join(encoded) or b" ", np.uint8), offsets)
    wanted = pl.DataFrame({"key_lo": lexed.key_lo, "key_hi": lexed.key_hi}).unique()
    query = audit.scan("texts").select("key_lo", "key_hi").join(wanted.lazy(), on=["key_lo", "key_hi"], how="semi")
    held = set(audit.collect(query, "texts", engine="streaming").iter_rows())
    return [pair in held for pair in zip(lexed.key_lo.tolist(), lexed.key_hi.tolist(), strict=True)]


def script(text: str) -> str:
    """The script of most of a text's letters: "latin" (also of a text without any), "cjk", "cyrillic" or "other"."""
    if text.isascii():
        return "latin"
    seen = Counter(_script_of(c) for c in text if c.isalpha())
    return max(seen, key=lambda name: (seen[name], name)) if seen else "latin"


def _script_of(letter: str) -> str:
    if letter.isascii():
        return "latin"
    name = unicodedata.name(letter, "")
    return next((script for script, starts in _SCRIPTS if name.startswith(starts)), "other")


def joined_words(words: Iterable[str]) -> str:
    """Words with a space between, but none between two characters of Chinese or Japanese."""
    out = ""
    for word in words:
        between = "" if not out or (_stands_alone(out[-1]) and _stands_alone(word[:1])) else " "
        out += between + word
    return out


def _stands_alone(char: str) -> bool:
    return bool(char) and unicodedata.name(char, "").startswith(("CJK", "HIRAGANA", "KATAKANA"))
