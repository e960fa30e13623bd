"""Of what the part that repeats is made: shapes, and words about the page, the file or the offer, not the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from memaudit.detect.chosen import gather_streams
from memaudit.detect.ordering import lower_bound
from memaudit.jit import kernel, leaf
from memaudit.text import alphabet as abc
from memaudit.text.arrow import buffers
from memaudit.text.lexer import lex_buffers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.detect.grams import Tokens

TABLES = 3  # of furniture words, as in rules/boilerplate.toml
NEUTRAL = np.uint8(1 << TABLES)  # bit of words that count neither way
_START, _END, _SEPARATOR_TOKEN, _FIRST_WORD = abc.START, abc.END, abc.SEPARATOR_TOKEN, abc.FIRST_WORD
_TABLES, _NEUTRAL = TABLES, NEUTRAL


class Vocabulary(NamedTuple):
    """Tokens (uint32, ascending) and in which tables they stand: bit k for table k, `NEUTRAL`."""

    tokens: np.ndarray
    tables: np.ndarray  # uint8


class Styles(NamedTuple):
    """By frame, shares in [0, 1] of the fixed words, neutral ones apart (float32).

    furniture: those in any table; tables: (n, TABLES), those in each; shapes: numbers, sizes, codes among words and
    shapes; opens: bool, whether the frame begins a caption and does not end it.
    """

    furniture: np.ndarray
    tables: np.ndarray
    shapes: np.ndarray
    opens: np.ndarray


def vocabulary(tables: Sequence[str], neutral: str) -> Vocabulary:
    """The tokens of words listed in at most `TABLES` tables, and of neutral ones."""
    bits: dict[int, int] = {}
    for k, words in enumerate([*tables, *[""] * (TABLES - len(tables)), neutral]):
        captions = pa.array([word.encode() for word in words.split()], pa.large_binary())
        if len(captions):
            for token in lex_buffers(*buffers(captions)[:2]).tokens.tolist():
                if token >= abc.FIRST_WORD:
                    bits[token] = bits.get(token, 0) | 1 << k
    known = sorted(bits)
    return Vocabulary(np.array(known, np.uint32), np.array([bits[token] for token in known], np.uint8))


@leaf
def _tables_of(token, known, tables):
    low = lower_bound(known, token)
    return tables[low] if low < len(known) and known[low] == token else np.uint8(0)


@kernel
def _measure(text, span, tokens, token_at, known, tables, furniture, shares, shapes, opens):
    """Frame k has its runs at span[k] of text[k]."""
    for k in range(len(text)):
        first = token_at[np.int64(text[k])]
        counted = any_table = shaped = np.int64(0)
        starts = ends = False
        for s in range(3):
            a = np.int64((span[k] >> np.uint64(16 * s)) & np.uint64(255))
            b = np.int64((span[k] >> np.uint64(16 * s + 8)) & np.uint64(255))
            for i in range(first + a, first + b):
                token = tokens[i]
                starts, ends = starts or token == _START, ends or token == _END
                if token < _FIRST_WORD:
                    shaped += np.int64(_END < token < _SEPARATOR_TOKEN)
                    continue
                held = _tables_of(token, known, tables)
                if held & _NEUTRAL:
                    continue
                counted += 1
                any_table += np.int64(held != 0)
                for v in range(_TABLES):
                    shares[k, v] += np.float32(np.int64(held >> np.uint8(v)) & 1)
        words = counted if counted > 0 else np.int64(1)  # a number beside words of the page is the page's
        furniture[k], opens[k] = any_table / words, starts and not ends
        shapes[k] = shaped / (counted + shaped) if shaped > 0 else 0.0
        for v in range(_TABLES):
            shares[k, v] /= words


def styles(text: np.ndarray, span: np.ndarray | None, streams: Tokens, words: Vocabulary) -> Styles:
    """The style of frames, each as one text holds it: text uint32, span uint64 (`frames.unpack`); without spans of
    whole captions. O(fixed words)."""
    n = len(text)
    own, number = np.unique(text, return_inverse=True)  # in order: what is mapped is given back on the way
    copied = gather_streams(streams.tokens, streams.token_at, own)
    if span is None:
        span = np.minimum(np.diff(copied.at)[number], 255).astype(np.uint64) << np.uint64(8)
    out = Styles(
        np.zeros(n, np.float32), np.zeros((n, TABLES), np.float32), np.zeros(n, np.float32), np.zeros(n, np.bool_)
    )
    _measure(number.astype(np.uint32), span, copied.values, copied.at, *words, *out)
    return out
