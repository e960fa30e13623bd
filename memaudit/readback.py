"""Texts read back from where they first occur: only for what is shown. Between scan and report a text is a pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memaudit.sources import open_source
from memaudit.text.spelling import Spelled, spell_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memaudit.ingest import Texts
    from memaudit.sources import ColumnChoice, Source


class Library:
    """Captions and spellings of unique texts by id, each read once."""

    def __init__(self, sources: list[Source], choice: ColumnChoice, texts: Texts) -> None:
        self._sources = sources
        self._choice = choice
        self._texts = texts
        self._captions: dict[int, str] = {}
        self._spelled: dict[int, Spelled] = {}

    def fetch(self, text_ids: Iterable[int]) -> None:
        """Read these texts, file by file; each row group at most once a call."""
        wanted = np.array(sorted({int(t) for t in text_ids} - self._captions.keys()), np.int64)
        if not len(wanted):
            return
        place = np.asarray(self._texts.file[wanted]).astype(np.int64) * 256 + self._texts.column[wanted]
        for key in np.unique(place):
            ids = wanted[place == key]
            reader = open_source(self._sources[int(key) // 256], self._choice)
            captions = [c or "" for c in reader.take(np.asarray(self._texts.row[ids]), int(key) % 256)]
            self._captions.update(zip(ids.tolist(), captions, strict=True))
            spelled = spell_all([c.encode("utf-8", errors="replace") for c in captions])
            self._spelled.update(zip(ids.tolist(), spelled, strict=True))

    def caption(self, text_id: int) -> str:
        """The caption as it stands in the data. `fetch` it first, with others."""
        return self._captions[text_id]

    def spelled(self, text_id: int) -> Spelled:
        """The caption's words and tokens written out."""
        return self._spelled[text_id]
