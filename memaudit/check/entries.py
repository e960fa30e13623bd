"""Templates and word sets of triggers as runs of hashes, each listed under what is rarest in it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.check.index import radix
from memaudit.check.words import bigram
from memaudit.ragged import offsets_of
from memaudit.text import alphabet as abc
from memaudit.text.lexer import lex_buffers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memaudit.ragged import Pieces

SLOT = "<*>"
RUNS = 3  # of a template or word set, at most
PAIR_GAIN = 8  # a pair of words is so much rarer than its rarer word, about
_NAMES = {name: token for token, name in abc.TOKEN_NAMES.items()}
_END_NAMES = ("^", "$")

Runs = list[list[int]]


class Entries(NamedTuple):
    """Arrays of `Index` (start, hash, at, list, tokens, token_at, ends, finding), and how many are left out because
    they hold more runs than are matched, or a word that the lexer reads otherwise."""

    arrays: tuple[np.ndarray, ...]
    left_out: int


def frame_entries(templates: Sequence[str], ranks: np.ndarray, words: Pieces) -> Entries:
    """Templates over tokens, listed under a pair of neighbours, or a token where no two stand together.

    That a frame is bound to an end ("^", "$") is not asked of prompts: people write words before and after.
    """
    return _entries([template.split(" ") for template in templates], ranks, words, pairs=True)


def trigger_entries(sets: Sequence[Sequence[str]], ranks: np.ndarray, words: Pieces) -> Entries:
    """Word sets over words, listed under their rarest word."""
    return _entries(sets, ranks, words, pairs=False)


def _entries(written: Sequence[Sequence[str]], ranks: np.ndarray, words: Pieces, pairs: bool) -> Entries:
    known = _hashes(token for tokens in written for token in tokens)
    runs = [_runs(tokens, known) for tokens in written]
    usable = [k for k, own in enumerate(runs) if own is not None]
    kept = [own for own in runs if own is not None]
    keys = np.array(_keys(kept, words, pairs), np.uint32)
    order = np.argsort(keys, kind="stable")
    hashes, first = np.unique(keys[order], return_index=True)
    ends = np.array([_ends(own) for own in kept], np.int64).reshape(-1, RUNS)
    arrays = (
        radix(hashes), hashes, np.append(first, len(keys)).astype(np.int64), order.astype(np.uint32),
        np.array([token for own in kept for run in own for token in run], np.uint32),
        offsets_of(ends[:, -1]), ends, ranks[usable].astype(np.uint32),
    )  # fmt: skip
    return Entries(arrays, len(written) - len(kept))


def _hashes(tokens: Iterable[str]) -> dict[str, int]:
    """Token -> number, of those that the lexer cuts as one word."""
    literals = [word for word in dict.fromkeys(tokens) if word != SLOT and word not in _NAMES]
    encoded = [word.encode() for word in literals]
    data = np.frombuffer(b"".join(encoded) or b" ", np.uint8)
    lexed = lex_buffers(data, offsets_of(np.array([len(word) for word in encoded], np.int64)))
    single = np.diff(lexed.token_at) == 3
    middle = lexed.tokens[np.minimum(lexed.token_at[:-1] + 1, max(len(lexed.tokens) - 1, 0))]
    found = zip(literals, middle.tolist(), single.tolist(), strict=True)
    return _NAMES | {word: token for word, token, one in found if one}


def _runs(tokens: Sequence[str], known: dict[str, int]) -> Runs | None:
    """Fixed runs as numbers; None where that cannot be."""
    out: Runs = [[]]
    for token in tokens:
        if token == SLOT:
            out.append([])
        elif token in _END_NAMES:
            continue
        elif token in known:
            out[-1].append(known[token])
        else:
            return None
    out = [run for run in out if run]
    return out if 0 < len(out) <= RUNS else None


def _ends(runs: Runs) -> list[int]:
    ends: list[int] = np.cumsum([len(run) for run in runs]).tolist()
    return ends + [ends[-1]] * (RUNS - len(ends))


def _keys(runs: Sequence[Runs], words: Pieces, pairs: bool) -> list[int]:
    """Of each entry the hash it is listed under: what is rare among members and shared by few entries."""
    values, counts = np.unique(words.values, return_counts=True)
    common = dict(zip(values.tolist(), counts.tolist(), strict=True))
    shared: Counter[int] = Counter()
    options = [list(_options(own, common, len(words.values), pairs)) for own in runs]
    for own in options:
        shared.update({key for key, _ in own})
    return [min(own, key=lambda option: (option[1] + shared[option[0]], option[0]))[0] for own in options]


def _options(runs: Runs, common: dict[int, int], most: int, pairs: bool) -> Iterable[tuple[int, float]]:
    """Hashes that an entry may be listed under, and about how often members hold them; shapes and separators count as
    everywhere."""

    def times(token: int) -> int:
        return most if token < abc.FIRST_WORD else common.get(token, 0)

    for run in runs:
        for token in run:
            yield token, times(token)
        for first, second in pairwise(run) if pairs else ():
            yield bigram(first, second), min(times(first), times(second)) / PAIR_GAIN
