"""Streams made from word lists, for detectors that see only hashes."""

from __future__ import annotations

import numpy as np
import pytest

from memaudit.detect.grams import Tokens
from memaudit.detect.near import Streams
from memaudit.ragged import offsets_of
from tests.text.test_lexer import lexed


def streams_of(captions: list[str]) -> Streams:
    """Near streams of captions, one text each (captions must differ)."""
    batch = lexed([c.encode() for c in captions])
    return Streams(batch.words, batch.word_at, batch.key_lo, batch.key_hi)


def tokens_of(captions: list[str]) -> Tokens:
    batch = lexed([c.encode() for c in captions])
    return Tokens(batch.tokens, batch.token_at)


def zeros(_: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20231206)


__all__ = ["offsets_of", "streams_of", "tokens_of", "zeros"]
