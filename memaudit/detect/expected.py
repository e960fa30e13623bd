"""Words that are meant to repeat: a fine-tuner's trigger is in every caption of its subject, and is no finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from memaudit.detect.templates import Templates
from memaudit.errors import UsageError
from memaudit.ragged import pick
from memaudit.text.alphabet import CODE, FIRST_WORD, NUM
from memaudit.text.arrow import buffers
from memaudit.text.lexer import lex_buffers

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_BITS = 2.0
"""Fixed information below which a template holds nothing beside expected words: ends, a comma, an article."""


def expected_tokens(phrases: Sequence[str]) -> np.ndarray:
    """Tokens (uint32) of words that are expected to repeat, as captions hold them: "ohwx man" is two.

    A word with digits in it has the token of its shape, and then no such shape informs. Raises UsageError for a phrase
    without words.
    """
    data, at, _ = buffers(pa.array([phrase.encode("utf-8", "replace") for phrase in phrases], pa.large_binary()))
    lexed = lex_buffers(data, at)
    for phrase, n_words in zip(phrases, lexed.n_words.tolist(), strict=True):
        if not n_words:
            what = f"expected trigger {phrase!r} has no words"
            raise UsageError(what, "wanted letters or digits, as in the captions", "--expected-trigger WORD")
    tokens = np.unique(lexed.tokens)
    return tokens[(tokens >= FIRST_WORD) | ((tokens >= NUM) & (tokens <= CODE))]


def informing(templates: Templates) -> Templates:
    """The templates that fix more than expected words."""
    kept = np.flatnonzero(templates.bits >= LEAST_BITS)
    own = pick(np.arange(len(templates.text)), templates.member_at, kept)
    columns = (templates.text, templates.span, templates.share)
    return Templates(own.at, *(column[own.values] for column in columns), templates.bits[kept])
