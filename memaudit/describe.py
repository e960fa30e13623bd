"""What findings are called and what selects them: fingerprints and memory triggers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from memaudit.detect.triggers import LONGEST, Phrases, count_phrases
from memaudit.text.alphabet import FIRST_WORD

if TYPE_CHECKING:
    from memaudit.ingest import Texts
    from memaudit.ragged import Pieces
    from memaudit.text.spelling import Spelled

N_TRIGGERS = 3  # kept per finding
MIN_COVERAGE = 0.6  # of a trigger
PHRASE_WORDS = 16  # of a representative, from which phrases are drawn


def fingerprint(kind: str, content: str) -> str:
    """16 hex digits of a finding's kind and content: stable when the dataset grows."""
    return hashlib.blake2b(f"{kind}\0{content}".encode(), digest_size=8).hexdigest()


def _phrases_of(spelled: Spelled, spans: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Phrases of one to LONGEST adjacent words inside the fixed runs of a representative, as token hashes. With a
    phrase come all its beginnings."""
    out: dict[tuple[int, ...], None] = {}
    for a, b in spans:
        words: list[int] = []
        for token in [*spelled.token_hashes[a : min(b, a + PHRASE_WORDS)].tolist(), 1]:
            if token >= FIRST_WORD:
                words.append(token)
            elif token <= 6 or not spans:  # a shape or an end breaks a phrase; a separator does not
                for i in range(len(words)):
                    for size in range(1, min(LONGEST, len(words) - i) + 1):
                        out[tuple(words[i : i + size])] = None
                words = []
    return list(out)


def triggers(
    spelled: list[Spelled], spans: list[list[tuple[int, int]]], members: Pieces, texts: Texts, threads: int
) -> list[list[tuple[list[str], float, float, int]]]:
    """By finding up to `N_TRIGGERS` of (words, purity, coverage, texts that hold them), best first.

    spelled, spans: representative and its fixed runs, by finding. Purity and coverage are counted over the whole
    dataset.
    """
    found = [_phrases_of(s, sp) for s, sp in zip(spelled, spans, strict=True)]
    sizes = np.array([len(phrase) for phrases in found for phrase in phrases], np.int64)
    words = np.array([word for phrases in found for phrase in phrases for word in phrase], np.uint32)
    counts = np.array([len(phrases) for phrases in found], np.int64)
    phrases_at = np.concatenate([[0], np.cumsum(counts)])
    phrases = Phrases(phrases_at, words, np.cumsum(sizes) - sizes, sizes)
    counted = count_phrases(phrases, members, texts.words, texts.word_at, threads)
    everywhere, inside = counted.everywhere.tolist(), counted.inside.tolist()
    out: list[list[tuple[list[str], float, float, int]]] = []
    for k, own in enumerate(found):
        n, first = int(members.at[k + 1] - members.at[k]), int(phrases_at[k])
        scored = []
        for p, phrase in enumerate(own, first):
            if inside[p] >= MIN_COVERAGE * n:
                purity = inside[p] / max(everywhere[p], 1)
                scored.append((0.01 * len(phrase) - purity, -inside[p], phrase, purity, max(everywhere[p], 1)))
        best = sorted(scored)[:N_TRIGGERS]
        names = dict(zip(spelled[k].token_hashes.tolist(), spelled[k].tokens, strict=True)) if best else {}
        out.append(
            [([names[w] for w in phrase], purity, -count / n, total) for _, count, phrase, purity, total in best]
        )
    return out
