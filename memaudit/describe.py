"""Findings in words: representatives, templates with their slots, fingerprints, triggers. Reads back only what is
shown."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from memaudit.detect.frames import unpack
from memaudit.detect.triggers import LONGEST, Phrases, count_phrases
from memaudit.text.alphabet import FIRST_WORD

if TYPE_CHECKING:
    from memaudit.detect.slots import Slots
    from memaudit.detect.templates import Templates
    from memaudit.ingest import Texts
    from memaudit.ragged import Pieces
    from memaudit.readback import Library
    from memaudit.text.spelling import Spelled

SLOT_VALUES = 20  # listed per slot
DETAILED = 1000  # templates, by risk, whose slot values are read back
N_TRIGGERS = 3  # kept per finding
MIN_COVERAGE = 0.6  # of a trigger
PHRASE_WORDS = 16  # of a representative, from which phrases are drawn


def fingerprint(kind: str, content: str) -> str:
    """16 hex digits of a finding's kind and content: stable when the dataset grows."""
    return hashlib.blake2b(f"{kind}\0{content}".encode(), digest_size=8).hexdigest()


def normalised(spelled: Spelled) -> str:
    """The normalised text: words with one space between."""
    return " ".join(spelled.words)


def template_text(spelled: Spelled, span: int, exists: np.ndarray) -> str:
    """A frame in the syntax of templates: "^ shaw <*> case $"."""
    runs = [*unpack(span), (len(spelled.token_hashes), len(spelled.token_hashes))]
    tokens, parts = spelled.tokens, []
    for slot, ((low, high), (_, end)) in enumerate(zip(slot_spans(spelled, span), runs, strict=True)):
        parts += ["<*>"] if exists[slot] else tokens[low:high]  # a slot that never varies is fixed text
        parts += tokens[high:end]
    return " ".join(parts)


def slot_spans(spelled: Spelled, span: int) -> list[tuple[int, int]]:
    """Token ranges of the slots before, between and after the runs of a frame."""
    runs = unpack(span)
    n = len(spelled.token_hashes)
    return list(zip([0, *(b for _, b in runs)], [*(a for a, _ in runs), n], strict=True))


def slot_text(spelled: Spelled, low: int, high: int) -> str:
    """What a slot really held."""
    return " ".join(s for s in spelled.surface[low:high] if s)


def describe_template(templates: Templates, slots: Slots, k: int, library: Library | None) -> list[dict[str, Any]]:
    """The `slots` column of one template; values only with a library that has fetched `slot_examples`."""
    if library is None:
        return [
            {"type": "text", "distinct": n, "values": [], "counts": []}
            for n in slots.distinct[k, slots.exists[k]].tolist()
        ]
    first, last = int(templates.member_at[k]), int(templates.member_at[k + 1])
    out: list[dict[str, Any]] = []
    for s in np.flatnonzero(slots.exists[k]):
        _, example, counts = np.unique(slots.content[first:last, s], return_index=True, return_counts=True)
        values: list[str] = []
        top = np.lexsort((example, -counts))[:SLOT_VALUES]
        for e in first + example[top]:
            spelled = library.spelled(int(templates.text[e]))
            low, high = slot_spans(spelled, int(templates.span[e]))[s]
            values.append(slot_text(spelled, low, high))
        out.append({"type": "text", "distinct": len(counts), "values": values, "counts": counts[top].tolist()})
    return out


def slot_examples(templates: Templates, slots: Slots, k: int) -> list[int]:
    """Texts that `describe_template` needs of template k."""
    first, last = int(templates.member_at[k]), int(templates.member_at[k + 1])
    needed: list[int] = []
    for s in np.flatnonzero(slots.exists[k]):
        _, example, counts = np.unique(slots.content[first:last, s], return_index=True, return_counts=True)
        needed += templates.text[first + example[np.lexsort((example, -counts))[:SLOT_VALUES]]].tolist()
    return needed


def _phrases_of(spelled: Spelled, spans: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Phrases of one to LONGEST adjacent words inside the fixed runs of a representative, as token hashes."""
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
    flat = [(k, phrase) for k, phrases in enumerate(found) for phrase in phrases]
    sizes = np.array([len(p) for _, p in flat], np.int64)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64) if len(flat) else np.empty(0, np.int64)
    words = np.array([w for _, p in flat for w in p], np.uint32)
    phrases = Phrases(np.array([k for k, _ in flat], np.int64), words, first, sizes)
    counted = count_phrases(phrases, members.at, members.values, texts.words, texts.word_at, threads)
    out: list[list[tuple[list[str], float, float, int]]] = [[] for _ in spelled]
    by_finding: list[list[int]] = [[] for _ in spelled]
    for p, (k, _) in enumerate(flat):
        by_finding[k].append(p)
    for k, ps in enumerate(by_finding):
        n = int(members.at[k + 1] - members.at[k])
        names = dict(zip(spelled[k].token_hashes.tolist(), spelled[k].tokens, strict=True))
        scored = []
        for p in ps:
            inside, everywhere = int(counted.inside[p]), max(int(counted.everywhere[p]), 1)
            if inside >= MIN_COVERAGE * n:
                scored.append(
                    (
                        -inside / everywhere + 0.01 * len(flat[p][1]),
                        -inside,
                        flat[p][1],
                        inside / everywhere,
                        everywhere,
                    )
                )
        for _, inside, phrase, purity, everywhere in sorted(scored)[:N_TRIGGERS]:
            out[k].append(([names[w] for w in phrase], purity, -inside / n, everywhere))
    return out
