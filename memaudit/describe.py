"""What findings are called and what selects them: fingerprints and memory triggers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memaudit.detect.triggers import LONGEST, Phrases, count_phrases
from memaudit.detect.wordsets import word_sets
from memaudit.ragged import offsets_of
from memaudit.text.alphabet import FIRST_WORD

if TYPE_CHECKING:
    from memaudit.ingest import Texts
    from memaudit.ragged import Pieces
    from memaudit.text.spelling import Spelled

GAP = "<*>"
PHRASE_WORDS = 16  # of a representative, from which phrases are drawn


def fingerprint(kind: str, content: str) -> str:
    """16 hex digits of a finding's kind and content: stable when the dataset grows."""
    return hashlib.blake2b(f"{kind}\0{content}".encode(), digest_size=8).hexdigest()


class Trigger(NamedTuple):
    """Words whose presence selects a finding; `GAP` stands where others may come between."""

    words: list[str]
    purity: float  # of the texts that hold them, the share that is the finding's
    coverage: float  # of the finding's texts, the share that holds them
    n_texts: int  # that hold them in the whole dataset


def _phrases_of(spelled: Spelled, spans: list[tuple[int, int]]) -> dict[tuple[int, ...], int]:
    """Phrases of one to LONGEST adjacent words inside the fixed runs of a representative, as token hashes, and the
    place of each among these words. With a phrase come all its beginnings."""
    out: dict[tuple[int, ...], int] = {}
    place = 0
    for a, b in spans:
        words: list[int] = []
        for token in [*spelled.token_hashes[a : min(b, a + PHRASE_WORDS)].tolist(), 1]:
            if token >= FIRST_WORD:
                words.append(token)
            elif token <= 6 or not spans:  # a shape or an end breaks a phrase; a separator does not
                for i in range(len(words)):
                    for size in range(1, min(LONGEST, len(words) - i) + 1):
                        out.setdefault(tuple(words[i : i + size]), place + i)
                place += len(words)
                words = []
    return out


def triggers(
    spelled: list[Spelled], spans: list[list[tuple[int, int]]], members: Pieces, texts: Texts, threads: int
) -> list[list[Trigger]]:
    """By finding up to `wordsets.MOST` triggers: the one that selects it best, then those that add texts it leaves out.

    spelled, spans: representative and its fixed runs, by finding. Purity and coverage are counted over the whole
    dataset.
    """
    found = [_phrases_of(s, sp) for s, sp in zip(spelled, spans, strict=True)]
    flat = [phrase for own in found for phrase in own]
    sizes = np.array([len(phrase) for phrase in flat], np.int64)
    phrases = Phrases(
        offsets_of(np.array([len(own) for own in found], np.int64)),
        np.array([word for phrase in flat for word in phrase], np.uint32),
        np.cumsum(sizes) - sizes,
        sizes,
        np.array([place for own in found for place in own.values()], np.int64),
    )
    counted = count_phrases(phrases, members, texts.words, texts.word_at, threads)
    sets = word_sets(phrases, counted, members, texts.words, texts.word_at)
    out: list[list[Trigger]] = []
    for own, s, n in zip(sets, spelled, np.diff(members.at).tolist(), strict=True):
        names = dict(zip(s.token_hashes.tolist(), s.tokens, strict=True)) if own else {}
        out.append(
            [
                Trigger(
                    _written([flat[p] for p in one.phrases], names),
                    one.inside / one.everywhere,
                    one.inside / n,
                    one.everywhere,
                )
                for one in own
            ]
        )
    return out


def _written(phrases: list[tuple[int, ...]], names: dict[int, str]) -> list[str]:
    """The words of phrases in order, a gap between any two phrases."""
    out: list[str] = []
    for phrase in phrases:
        out += [GAP, *(names[word] for word in phrase)] if out else [names[word] for word in phrase]
    return out
